"""What a flow is to the engine, and what the engine gives a flow to work with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from closedwon.connectors.port import Books, Crm, Reference
    from closedwon.engine.batch import Batch
    from closedwon.engine.ledger import Operation
    from closedwon.kernel.clock import Clock


@dataclass(frozen=True, slots=True)
class Integration:
    """Two connections with their enabled flows: what every run of the integration works with.

    `settings` holds each flow's settings by name. `reference` returns the books' reference data from the cache, read
    anew when stale. `crm_connection` and `books_connection` are the connections' names.
    """

    tenant: str
    name: str
    crm: Crm
    books: Books
    crm_connection: str
    books_connection: str
    settings: Mapping[str, Any]
    reference: Callable[[], Reference]
    clock: Clock


class Flow(Protocol):
    """A business process as code. It works on a batch: runs of one lane, one per record."""

    name: str
    record_type: str  # the events it wants: "opportunity" or "invoice"
    side: str  # the connection they come from: "crm" or "books"
    steps: Sequence[str]

    def operations(self, integration: Integration) -> Mapping[str, Operation[Any, Any]]:
        """Return every remote write the flow makes, by name; the resolver uses them too."""

    def execute(self, batch: Batch) -> None:
        """Carry every run of the batch as far as it can go, ending each exactly once."""
