"""Events: facts that happened, stored once, and our place in the vendors' change feeds.

Reading order: event, store.
"""
