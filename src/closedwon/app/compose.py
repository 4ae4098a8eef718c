"""Puts the product together from a configuration: stores, connectors, flows, engine."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from closedwon.app.settings import Settings, load_settings
from closedwon.connectors.limits import BudgetStore, CallBudget
from closedwon.connectors.port import Books, Crm, Reference, Token
from closedwon.connectors.registry import Equipment
from closedwon.db.connect import Database
from closedwon.db.migrate import migrate
from closedwon.engine.batch import BatchLoop
from closedwon.engine.flow import Integration
from closedwon.engine.intake import Intake
from closedwon.engine.replay import Replayer
from closedwon.engine.run import lane_name
from closedwon.engine.runner import Runner, Tick
from closedwon.engine.schedule import Housekeeper
from closedwon.engine.store import EngineStore
from closedwon.events.store import EventStore
from closedwon.flows.ingest import Feeds
from closedwon.flows.registry import build_flows
from closedwon.kernel.clock import Clock, SystemClock
from closedwon.kernel.errors import ClosedwonError, Misconfigured, NotConnected
from closedwon.kernel.http import Exchange, HttpClient
from closedwon.links.store import LinkStore
from closedwon.review.store import ReviewStore
from closedwon.tenants.secrets import Vault, load_key
from closedwon.tenants.store import INTEGRATION, TenantStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from closedwon.app.settings import IntegrationSettings
    from closedwon.engine.flow import Flow
    from closedwon.engine.run import Run

REFERENCE_FRESH = timedelta(hours=1)
CALLS_OF_A_BATCH = 3  # to either system, where customers are new
RETENTION = timedelta(hours=2)  # of the durable runner's own rows; ours stay

log = structlog.get_logger(__name__)


class App:
    """The product, ready to be asked; `start` makes it work. Close it in the end."""

    def __init__(
        self, settings: Settings, clock: Clock | None = None, on_exchange: Callable[[Exchange], None] | None = None
    ) -> None:
        self.settings = settings
        self.clock = clock or SystemClock()
        self.database = _open_store(settings.store)
        self._runner_database = Database(settings.store, durable=False)
        self.runner = Runner(self._runner_database.engine)
        self.runner.prepare(settings.store)
        self.http = HttpClient(ca_file=settings.ca_file, on_exchange=on_exchange)
        vault = Vault(load_key(settings.path.parent))
        self.tenants = TenantStore(self.database, self.clock, vault)
        self.engine = EngineStore(self.database, self.clock)
        self.events = EventStore(self.database, self.clock)
        self.links = LinkStore(self.database, self.clock)
        self.reviews = ReviewStore(self.database, self.clock)
        self.intake = Intake(self.engine, self.events, self.runner, self.routes)
        self.replayer = Replayer(self.engine, self.intake)
        self.flows: dict[str, Flow] = build_flows(self.links, self.events, self.engine)
        self._connected: dict[tuple[str, str], Crm | Books] = {}
        self._budgets: dict[tuple[str, str], CallBudget] = {}
        self.integrations = {key: self._integrate(one) for key, one in settings.integrations.items()}
        self.feeds = Feeds(self.intake, self.events, self.links, self.tenants.started_on)
        self.housekeeper = Housekeeper(self.engine, self.runner, self.intake, self.is_idle)
        self._lock = StoreLock(settings.store)
        self._started = False

    # --- building -----------------------------------------------------------------------------------------------

    def connect(self, tenant: str, name: str) -> Crm | Books:
        """Return the connector of a connection, built once."""
        key = (tenant, name)
        if key not in self._connected:
            one = self.settings.connections[key]
            store = _StoredBudget(self.tenants, tenant, name)
            budget = CallBudget(one.connector.limits(one.settings), store, self.clock)
            self._budgets[key] = budget
            equipment = Equipment(self.http, self.clock, _StoredToken(self.tenants, tenant, name), budget)
            self._connected[key] = one.connector.build(one.settings, equipment)
        return self._connected[key]

    def _integrate(self, one: IntegrationSettings) -> Integration:
        crm, books = self.connect(one.tenant, one.crm), self.connect(one.tenant, one.books)
        return Integration(
            tenant=one.tenant,
            name=one.name,
            crm=_NamedErrors(crm, one.crm),
            books=_NamedErrors(books, one.books),
            crm_connection=one.crm,
            books_connection=one.books,
            settings=one.flows,
            reference=lambda: self.reference(one.tenant, one.books),
            clock=self.clock,
        )

    def routes(self, tenant: str, connection: str, record_type: str) -> list[str]:
        """Name the lanes that want a tenant's events of a connection."""
        return [
            lane_name(one.name, flow)
            for one in self.settings.integrations.values()
            for flow in one.flows
            if one.tenant == tenant
            and self.flows[flow].record_type == record_type
            and (one.crm if self.flows[flow].side == "crm" else one.books) == connection
        ]

    def reference(self, tenant: str, name: str) -> Reference:
        """Return a connection's reference data: from the cache while fresh, else read anew."""
        cached = self.tenants.find_reference(tenant, name)
        if cached is not None:
            fresh = msgspec.convert(cached, Reference, strict=False)
            if self.clock.now() - fresh.fetched_at < REFERENCE_FRESH:
                return fresh
        books: Any = _NamedErrors(self.connect(tenant, name), name)
        reference: Reference = books.fetch_reference()
        self.tenants.save_reference(tenant, name, reference)
        return reference

    # --- working ------------------------------------------------------------------------------------------------

    def start(self, workers: int | None = None) -> None:
        """Start working: lanes, at most `workers` at once, schedules and housekeeping.

        *Raises* Misconfigured when another process works on this SQLite store.
        """
        self._lock.take()
        self._started = True  # from here on there is something to stop
        loop = BatchLoop(
            self.engine, Reviewer(self), self.integrations, self.flows, self.is_paused, self.pause, self.breather_s
        )
        self.runner.launch(loop.take, loop.work, self._ticks(), workers)
        self.intake.start()
        self.housekeeper.start(alone=self.database.is_sqlite)

    def breather_s(self, integration: Integration) -> float:
        """Return how long an integration's lanes should gather work, in seconds: as its scarcer budget says."""
        names = (integration.crm_connection, integration.books_connection)
        return max(self._budgets[integration.tenant, name].breather_s(CALLS_OF_A_BATCH) for name in names)

    def start_if_alone(self) -> bool:
        """Start working unless another process works on this store; say whether we do."""
        if not self._started and self._lock.is_free():
            self.start()
        return self._started

    def close(self) -> None:
        """Stop working, let what runs come to its end, and close everything."""
        if self._started:
            self.housekeeper.stop()
            self.intake.stop()
            self.runner.stop()
        self.http.close()
        self.database.close()
        self._runner_database.close()
        self._lock.give_back()

    def _ticks(self) -> list[Tick]:
        ticks = [
            Tick(f"feeds/{one.tenant}/{one.name}", _cron(one.feed_every_s), self._feeder(key))
            for key, one in self.settings.integrations.items()
        ]
        ticks.append(Tick("reconnect", "*/15 * * * * *", self.reconnect))
        ticks.append(Tick("retention", "30 */10 * * * *", lambda: self.runner.forget(self.clock.now() - RETENTION)))
        return ticks

    def _feeder(self, key: tuple[str, str]) -> Callable[[], object]:
        return lambda: self.read_feeds(*key)

    def read_feeds(self, tenant: str, name: str) -> int:
        """Read both change feeds of an integration, unless it is paused; return how many new events there were."""
        integration = self.integrations[tenant, name]
        if self.is_idle(tenant, name):
            return 0
        number = 0
        for read in (self.feeds.read_crm, self.feeds.read_books):
            try:
                number += read(integration)
            except NotConnected as error:
                with self.database.begin() as tx:
                    self.pause(tx, tenant, str(error.details.get("connection") or f"{INTEGRATION}{name}"), error)
            except ClosedwonError as error:
                log.warning("feed not read", tenant=tenant, integration=name, error=error.text)
        return number

    def reconnect(self) -> None:
        """Try paused connections; the ones that answer again go on by themselves."""
        for tenant in self.settings.tenants:
            for name in self.tenants.list_paused(tenant):
                if (tenant, name) in self.settings.connections:
                    with suppress(ClosedwonError):
                        self.connect(tenant, name).identify()
                        self.resume(tenant, name)

    # --- pausing ------------------------------------------------------------------------------------------------

    def is_paused(self, tenant: str, name: str) -> bool:
        """Tell whether a connection, or an integration as integration:NAME, is paused."""
        return name in self.tenants.list_paused(tenant)

    def is_idle(self, tenant: str, name: str) -> bool:
        """Tell whether an integration cannot work: it is paused, one of its connections is, or it is unknown."""
        one = self.settings.integrations.get((tenant, name))
        if one is None:
            return True
        paused = self.tenants.list_paused(tenant)
        return any(candidate in paused for candidate in (one.crm, one.books, f"{INTEGRATION}{name}"))

    def pause(self, tx: Any, tenant: str, name: str, error: ClosedwonError) -> None:
        """Pause a connection or integration and open its one review item."""
        self.tenants.pause(tx, tenant, name, error.as_dict())
        self.reviews.open(tx, tenant, _subject(name), error)

    def resume(self, tenant: str, name: str) -> None:
        """Let a paused connection or integration go on, and close its review item."""
        with self.database.begin() as tx:
            self.tenants.resume(tx, tenant, name)
            self.reviews.close_subjects(tx, tenant, [_subject(name)])


@dataclass(slots=True)
class Reviewer:
    """Tells the review desk what the batch loop met."""

    app: App

    def park(self, tx: Any, run: Run, error: ClosedwonError, record_name: str) -> None:
        """Open or refresh the item of a run."""
        self.app.reviews.open(tx, run.tenant, run.subject, error, run.record_id, record_name)

    def settle(self, tx: Any, runs: Sequence[Run]) -> None:
        """Close the items of runs that went through."""
        if runs:
            self.app.reviews.close_records(tx, runs[0].tenant, [run.record_id for run in runs])

    def pause(self, tx: Any, tenant: str, subject: str, error: ClosedwonError) -> None:
        """Pause a connection or integration."""
        self.app.pause(tx, tenant, subject, error)


@dataclass(slots=True)
class _NamedErrors:
    """Passes calls to a connector and puts the connection's name into the errors that pause it."""

    connector: Any
    name: str

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(self.connector, attribute)
        if not callable(value):
            return value

        def call(*arguments: Any, **named: Any) -> Any:
            try:
                return value(*arguments, **named)
            except NotConnected as error:
                error.details.setdefault("connection", self.name)
                raise

        return call


@dataclass(slots=True)
class _StoredBudget(BudgetStore):
    """The call budget of a connection, in the store."""

    tenants: TenantStore
    tenant: str
    name: str

    def update(self, change: Callable[[dict[str, Any]], tuple[dict[str, Any], Any]]) -> Any:
        """Change it atomically."""
        return self.tenants.change_budget(self.tenant, self.name, change)


@dataclass(slots=True)
class _StoredToken:
    """The access token of a connection, sealed in the store."""

    tenants: TenantStore
    tenant: str
    name: str
    kind: str = "token"

    def find(self) -> Token | None:
        """Return it."""
        return _read_token(self.tenants.find_secret(self.tenant, self.name, self.kind))

    def renew(self, stale: Token | None, fetch: Callable[[Token | None], Token]) -> Token:
        """Replace it, one process at a time."""

        def fetch_text(current: str | None) -> str:
            return _write_token(fetch(_read_token(current)))

        stale_text = _write_token(stale) if stale else None
        token = _read_token(self.tenants.renew_secret(self.tenant, self.name, self.kind, stale_text, fetch_text))
        assert token is not None
        return token


def _write_token(token: Token) -> str:
    return msgspec.json.encode([token.access, token.expires_at, token.refresh]).decode()


def _read_token(text: str | None) -> Token | None:
    if text is None:
        return None
    access, expires_at, refresh = msgspec.json.decode(text)
    return Token(access, msgspec.convert(expires_at, type(SystemClock().now())), refresh)


@dataclass(slots=True)
class StoreLock:
    """Makes sure that one process at a time works on a SQLite store; PostgreSQL needs no such thing."""

    store: str
    _file: Any = field(default=None)

    def take(self) -> None:
        """Take the lock. *Raises* Misconfigured naming the process that has it."""
        if not self.store.startswith("sqlite:///") or self.store == "sqlite:///":
            return
        path = Path(self.store.removeprefix("sqlite:///") + ".lock")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._file = os.fdopen(descriptor, "r+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = self._file.read().strip() or "unknown"
            self.give_back()
            raise Misconfigured(
                f"another process (id {owner}) works on the store {self.store}",
                hint="end it first, or use PostgreSQL for several processes",
            ) from None
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()

    def is_free(self) -> bool:
        """Tell whether nobody works on the store."""
        try:
            self.take()
        except Misconfigured:
            return False
        self.give_back()
        return True

    def give_back(self) -> None:
        """Give the lock back."""
        if self._file is not None:
            self._file.close()
            self._file = None


def open_app(path: Path, clock: Clock | None = None, on_exchange: Callable[[Exchange], None] | None = None) -> App:
    """Build the product from a configuration file. *Raises* Misconfigured, Unavailable."""
    return App(load_settings(path), clock, on_exchange)


def _open_store(url: str) -> Database:
    database = Database(url)
    migrate(database)
    return database


def _cron(seconds: int) -> str:
    """Render an interval that divides a minute or an hour as a cron expression with seconds."""
    minute = 60
    return f"*/{seconds} * * * * *" if seconds < minute else f"0 */{seconds // minute} * * * *"


def _subject(name: str) -> str:
    return name if name.startswith(INTEGRATION) else f"connection:{name}"
