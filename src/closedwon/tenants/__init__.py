"""Tenants: whose connections these are, what state they are in, and their secrets.

Reading order: secrets, store.
"""
