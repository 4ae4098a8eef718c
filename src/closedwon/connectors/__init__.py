"""Connectors: the systems we join, each behind a small port.

Reading order: port, oauth, limits, registry; then one folder per system.
"""
