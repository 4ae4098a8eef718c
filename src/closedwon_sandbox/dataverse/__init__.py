"""A Dataverse environment in memory: it accepts what Dynamics CRM's Web API accepts and refuses what it refuses.

Read simulator, service, environment, records, payloads, seed, metadata, definitions, report, wire, errors; then the
packages rows (what is stored), odata (the query language), sales (business rules), gateway (sign-in, limits, batches)
and webhooks.
"""

from closedwon_sandbox.dataverse.simulator import DataverseSimulator

__all__ = ["DataverseSimulator"]
