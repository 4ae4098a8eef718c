"""What the environment holds. Read schema, values, store, records."""
