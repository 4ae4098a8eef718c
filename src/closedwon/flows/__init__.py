"""Flows: the business processes. Read registry.py first: it names the flow of every event.

Reading order: registry, opportunity_won, invoice_status, plan, invoicing, customers, steps, adoption, ingest.
"""
