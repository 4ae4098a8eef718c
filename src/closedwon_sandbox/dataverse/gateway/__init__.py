"""What stands before the Web API.

Reading order: `entra`, `limits`, `batch`.
"""
