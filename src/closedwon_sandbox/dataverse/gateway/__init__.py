"""What stands before the Web API. Read entra, limits, batch."""
