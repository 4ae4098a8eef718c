"""Telling subscribers what happened.

Reading order: `messages`, `dispatch`.
"""
