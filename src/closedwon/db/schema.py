"""The tables. Names are the glossary's; every key begins with the tenant; times are UTC text that sorts."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa

metadata = sa.MetaData()


class Json(sa.types.TypeDecorator[Any]):
    """Plain JSON values kept as text. Decimals become strings on the way in, so no float ever touches an amount."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: sa.Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's shape
        """Encode for the database."""
        return None if value is None else msgspec.json.encode(value).decode()

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> Any:  # noqa: ARG002
        """Decode from the database."""
        return None if value is None else msgspec.json.decode(value)


def _key(name: str, *, primary: bool = True) -> sa.Column[str]:
    return sa.Column(name, sa.String(200), primary_key=primary, nullable=False)


def _text(name: str, *, default: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=default is None, server_default=default)


def _instant(name: str, *, required: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.String(24), nullable=not required)


def _json(name: str) -> sa.Column[Any]:
    return sa.Column(name, Json)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False, server_default="0")


connection = sa.Table(
    "connection",
    metadata,
    _key("tenant"),
    _key("name"),
    _text("state", default="connected"),  # connected, degraded, paused, revoked
    _json("error"),
    _instant("changed_at"),
    _json("budget"),
    _instant("lease_until"),
    _number("reference_stale"),
)

secret = sa.Table(
    "secret",
    metadata,
    _key("tenant"),
    _key("connection"),
    _key("kind"),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    _instant("saved_at", required=True),
)

integration = sa.Table(
    "integration",
    metadata,
    _key("tenant"),
    _key("name"),
    _text("state", default="running"),  # running, paused
    _json("error"),
    _instant("started_at", required=True),
)

event = sa.Table(
    "event",
    metadata,
    _key("tenant"),
    _key("id"),
    _text("connection", default=""),
    _text("source", default=""),  # webhook, feed, person
    _text("record_type", default=""),
    _key("record_id", primary=False),
    _text("name", default=""),
    sa.Column("dedupe_key", sa.String(300), nullable=False),
    _instant("occurred_at"),
    _instant("received_at", required=True),
    sa.UniqueConstraint("tenant", "dedupe_key"),
    sa.Index("event_record", "tenant", "record_id"),
)

lane = sa.Table(
    "lane",
    metadata,
    _key("tenant"),
    _key("name"),  # integration/flow
    _number("generation"),
    _number("awake"),
    _instant("woken_at"),
)

run = sa.Table(
    "run",
    metadata,
    _key("tenant"),
    _key("id"),
    _key("lane", primary=False),
    _key("record_id", primary=False),
    _text("state", default="pending"),  # pending, running, waiting, parked, succeeded, failed, cancelled
    _text("outcome", default=""),  # created, updated, unchanged, skipped
    _text("reason", default=""),
    _number("attempt"),
    _text("event_id", default=""),
    _text("batch_id", default=""),
    _json("decision"),
    _json("error"),
    _instant("not_before"),
    _instant("created_at", required=True),
    _instant("started_at"),
    _instant("finished_at"),
    sa.Index("run_queue", "tenant", "lane", "state", "id"),
    sa.Index("run_due", "state", "not_before"),
    sa.Index("run_record", "tenant", "record_id"),
    sa.Index("run_batch", "batch_id"),
    # Bursts of events on one record become one run on its newest state.
    sa.Index(
        "run_once_queued",
        "tenant",
        "lane",
        "record_id",
        unique=True,
        sqlite_where=sa.text("state IN ('pending', 'waiting', 'parked')"),
        postgresql_where=sa.text("state IN ('pending', 'waiting', 'parked')"),
    ),
)

step_log = sa.Table(
    "step_log",
    metadata,
    _key("tenant"),
    _key("run_id"),
    _key("id"),
    _text("step", default=""),
    _instant("started_at", required=True),
    _number("took_ms"),
    _text("outcome", default=""),
    _json("detail"),
)

intent = sa.Table(
    "intent",
    metadata,
    _key("tenant"),
    _key("id"),
    _key("lane", primary=False),
    _key("connection", primary=False),
    _key("run_id", primary=False),
    _text("operation", default=""),
    _key("record_id", primary=False),
    _key("call_id", primary=False),  # intents sent in one API call
    _number("position"),
    _text("request_hash", default=""),
    _text("idempotency_key", default=""),
    _number("epoch"),  # rises when the vendor answered with a failure that its idempotency memory would repeat
    _text("state", default="open"),  # open, confirmed, rejected, void
    _text("remote_id", default=""),
    _text("version", default=""),
    _json("error"),
    _instant("created_at", required=True),
    _instant("settled_at"),
    sa.Index("intent_open", "tenant", "lane", "state"),
    sa.Index("intent_run", "tenant", "run_id"),
    sa.Index("intent_record", "tenant", "record_id"),
    sa.Index("intent_call", "call_id"),
)

link = sa.Table(
    "link",
    metadata,
    _key("tenant"),
    _key("integration"),
    _key("record_type"),  # customer, invoice
    _key("crm_id"),
    _key("books_id", primary=False),
    _text("books_number", default=""),
    _json("crm_document"),
    _json("snapshot"),  # what both sides last agreed on
    _text("books_version", default=""),
    _instant("linked_at", required=True),
    _instant("agreed_at"),
    sa.UniqueConstraint("tenant", "integration", "record_type", "books_id"),
)

candidate = sa.Table(
    "candidate",
    metadata,
    _key("tenant"),
    _key("connection"),
    _key("record_id"),
    sa.Column("number_key", sa.String(200), nullable=False, index=True),
    sa.Column("name_key", sa.String(300), nullable=False, index=True),
    sa.Column("email_key", sa.String(300), nullable=False, index=True),
    _json("document"),
)

reference = sa.Table(
    "reference",
    metadata,
    _key("tenant"),
    _key("connection"),
    _json("document"),
    _instant("fetched_at", required=True),
)

watermark = sa.Table(
    "watermark",
    metadata,
    _key("tenant"),
    _key("connection"),
    _key("feed"),
    _text("value", default=""),
    _instant("saved_at", required=True),
)

review_item = sa.Table(
    "review_item",
    metadata,
    _key("tenant"),
    _key("id"),
    _number("number"),  # what people type
    _text("subject", default=""),  # run:ID, connection:NAME or integration:NAME
    _text("state", default="open"),  # open, resolved, dismissed
    _text("code", default=""),
    _text("text", default=""),
    _text("hint", default=""),
    _json("details"),
    _json("proposals"),
    _key("record_id", primary=False),
    _text("record_name", default=""),
    _instant("opened_at", required=True),
    _instant("closed_at"),
    sa.UniqueConstraint("tenant", "number"),
    sa.Index("review_open", "tenant", "state", "opened_at"),
    sa.Index("review_subject", "tenant", "subject"),
    sa.Index("review_record", "tenant", "record_id"),
)

resolution = sa.Table(
    "resolution",
    metadata,
    _key("tenant"),
    _key("id"),
    _key("item_id", primary=False),
    _json("decision"),
    _text("decided_by", default=""),
    _instant("decided_at", required=True),
)

executor = sa.Table(
    "executor",
    metadata,
    _key("id"),
    _instant("beat_at", required=True),
)
