"""What Dynamics 365 Sales adds to plain tables. Read pricing, states, documents, actions."""
