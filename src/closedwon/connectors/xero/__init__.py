"""The connector to Xero: the books where invoices stand and payments arrive.

Reading order: manifest, settings, mappings, errors, client, changes, check, connector, webhooks.
"""
