"""Review: what a person must decide, with evidence and proposals, and what they decided.

Reading order: item, triage, resolution, store.
"""
