"""What the environment holds.

Reading order: `schema` (with `tables.yaml`), `values`, `store`.
"""
