"""The HTTP door: webhooks in, health out.

Reading order: webhooks, server.
"""
