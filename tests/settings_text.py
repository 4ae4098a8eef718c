"""A configuration that is right, for tests to take apart."""

from __future__ import annotations

CRM_SECRET, BOOKS_KEY = "hook-secret-of-the-crm", "signing-key-of-the-books"
GOOD = f"""\
store: sqlite:///data/closedwon.db
public_url: https://hooks.example.com/
tenants:
  acme:
    connections:
      crm:
        connector: dynamics
        url: https://acme.crm.dynamics.com
        webhook_secret: {CRM_SECRET}
        auth:
          kind: client_credentials
          directory: acme.example
          client_id: app
          client_secret: s3cr3t
      books:
        connector: xero
        webhook_key: {BOOKS_KEY}
        auth:
          kind: custom_connection
          client_id: app
          client_secret: s3cr3t
    integrations:
      sales:
        crm: crm
        books: books
        feed_every_s: 30
        flows:
          opportunity_won:
            account_code: "200"
          invoice_status:
"""
