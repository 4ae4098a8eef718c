"""A Dataverse environment in memory: it accepts what Dynamics CRM's Web API accepts and refuses what it refuses.

Reading order: `simulator`, `environment`, `records`, `payloads`, `seed`, `report`, `errors`; then the packages `api`
(the Web API's resources), `odata` (its query language), `rows` (what is stored), `sales` (business rules), `gateway`
(sign-in, limits, batches) and `webhooks`.
"""

from closedwon_sandbox.dataverse.simulator import DataverseSimulator

__all__ = ["DataverseSimulator"]
