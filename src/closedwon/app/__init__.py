"""The composition root: the only place that picks implementations and joins them.

Reading order: settings, compose, desk.
"""
