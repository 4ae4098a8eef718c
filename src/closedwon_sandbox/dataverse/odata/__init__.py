"""The query language. Read paths, options, filters, scopes, listing, rendering, changes."""
