"""A simulator of Xero: `simulator` is the front door, `books` the ledger behind it.

Reading order: `simulator`, `identity`, `limits`, `idempotency`, `routes`, `operations`, `query`, `wire`,
`markup`, `webhooks`, `snapshot`; then the package `books`.
"""

from closedwon_sandbox.xero.simulator import XeroSimulator

__all__ = ["XeroSimulator"]
