"""The shared kernel: what every floor above may use.

Reading order: errors, clock, ids, log, http, config.
"""
