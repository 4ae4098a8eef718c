"""Links: which record here is which record there, and how a customer's record is found.

Reading order: link, normalise, match, store.
"""
