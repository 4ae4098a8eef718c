"""The ledger behind the API: what an organisation holds and which writes it refuses. It knows nothing of HTTP.

Reading order: `shapes` (members of every resource), `organisation` (tables and stamps), `seed`, `contacts`, `lines`,
`documents`, `settlement`, `reference`, then `rendering`; `errors` and `messages` say how refusals look.
"""
