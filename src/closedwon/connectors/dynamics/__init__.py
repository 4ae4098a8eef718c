"""The Dynamics connector: deals out of a Dataverse environment, invoice facts back into it.

Reading order: settings, errors, batch, client, mappings, changes, setup, webhooks, connector.
"""
