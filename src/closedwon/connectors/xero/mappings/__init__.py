"""Between Xero's rows and our documents, both ways. Pure: no network, no clock.

Reading order: wire, payloads, documents.
"""
