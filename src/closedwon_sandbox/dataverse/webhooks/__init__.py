"""Telling subscribers what happened. Read messages, dispatch."""
