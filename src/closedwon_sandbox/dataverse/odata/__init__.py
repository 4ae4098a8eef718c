"""The query language of the Web API.

Reading order: `paths`, `options`, `filters`, `scopes`, `predicates`, `listing`, `rendering`, `changes`.
"""
