"""The shared kernel: what every floor above may use.

Reading order: errors, clock, ids, redact, exact_json, http, log, config.
"""
