"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create."""
    op.create_table(
        "candidate",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("connection", sa.String(length=200), nullable=False),
        sa.Column("record_id", sa.String(length=200), nullable=False),
        sa.Column("number_key", sa.String(length=200), nullable=False),
        sa.Column("name_key", sa.String(length=300), nullable=False),
        sa.Column("email_key", sa.String(length=300), nullable=False),
        sa.Column("document", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "connection", "record_id"),
    )
    with op.batch_alter_table("candidate", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_candidate_email_key"), ["email_key"], unique=False)
        batch_op.create_index(batch_op.f("ix_candidate_name_key"), ["name_key"], unique=False)
        batch_op.create_index(batch_op.f("ix_candidate_number_key"), ["number_key"], unique=False)

    op.create_table(
        "connection",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("state", sa.Text(), server_default="connected", nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("changed_at", sa.String(length=24), nullable=True),
        sa.Column("budget", sa.Text(), nullable=True),
        sa.Column("lease_until", sa.String(length=24), nullable=True),
        sa.Column("reference_stale", sa.Integer(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("tenant", "name"),
    )
    op.create_table(
        "event",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("id", sa.String(length=200), nullable=False),
        sa.Column("connection", sa.Text(), server_default="", nullable=False),
        sa.Column("source", sa.Text(), server_default="", nullable=False),
        sa.Column("record_type", sa.Text(), server_default="", nullable=False),
        sa.Column("record_id", sa.String(length=200), nullable=False),
        sa.Column("name", sa.Text(), server_default="", nullable=False),
        sa.Column("dedupe_key", sa.String(length=300), nullable=False),
        sa.Column("occurred_at", sa.String(length=24), nullable=True),
        sa.Column("received_at", sa.String(length=24), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id"),
        sa.UniqueConstraint("tenant", "dedupe_key"),
    )
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.create_index("event_record", ["tenant", "record_id"], unique=False)

    op.create_table(
        "executor",
        sa.Column("id", sa.String(length=200), nullable=False),
        sa.Column("beat_at", sa.String(length=24), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "integration",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("state", sa.Text(), server_default="running", nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("started_at", sa.String(length=24), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "name"),
    )
    op.create_table(
        "intent",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("id", sa.String(length=200), nullable=False),
        sa.Column("lane", sa.String(length=200), nullable=False),
        sa.Column("connection", sa.String(length=200), nullable=False),
        sa.Column("run_id", sa.String(length=200), nullable=False),
        sa.Column("operation", sa.Text(), server_default="", nullable=False),
        sa.Column("record_id", sa.String(length=200), nullable=False),
        sa.Column("call_id", sa.String(length=200), nullable=False),
        sa.Column("position", sa.Integer(), server_default="0", nullable=False),
        sa.Column("request_hash", sa.Text(), server_default="", nullable=False),
        sa.Column("idempotency_key", sa.Text(), server_default="", nullable=False),
        sa.Column("epoch", sa.Integer(), server_default="0", nullable=False),
        sa.Column("state", sa.Text(), server_default="open", nullable=False),
        sa.Column("remote_id", sa.Text(), server_default="", nullable=False),
        sa.Column("version", sa.Text(), server_default="", nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.String(length=24), nullable=False),
        sa.Column("settled_at", sa.String(length=24), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "id"),
    )
    with op.batch_alter_table("intent", schema=None) as batch_op:
        batch_op.create_index("intent_call", ["call_id"], unique=False)
        batch_op.create_index("intent_open", ["tenant", "lane", "state"], unique=False)
        batch_op.create_index("intent_record", ["tenant", "record_id"], unique=False)
        batch_op.create_index("intent_run", ["tenant", "run_id"], unique=False)

    op.create_table(
        "lane",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("generation", sa.Integer(), server_default="0", nullable=False),
        sa.Column("awake", sa.Integer(), server_default="0", nullable=False),
        sa.Column("woken_at", sa.String(length=24), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "name"),
    )
    op.create_table(
        "link",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("integration", sa.String(length=200), nullable=False),
        sa.Column("record_type", sa.String(length=200), nullable=False),
        sa.Column("crm_id", sa.String(length=200), nullable=False),
        sa.Column("books_id", sa.String(length=200), nullable=False),
        sa.Column("books_number", sa.Text(), server_default="", nullable=False),
        sa.Column("crm_document", sa.Text(), nullable=True),
        sa.Column("snapshot", sa.Text(), nullable=True),
        sa.Column("books_version", sa.Text(), server_default="", nullable=False),
        sa.Column("linked_at", sa.String(length=24), nullable=False),
        sa.Column("agreed_at", sa.String(length=24), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "integration", "record_type", "crm_id"),
        sa.UniqueConstraint("tenant", "integration", "record_type", "books_id"),
    )
    op.create_table(
        "reference",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("connection", sa.String(length=200), nullable=False),
        sa.Column("document", sa.Text(), nullable=True),
        sa.Column("fetched_at", sa.String(length=24), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "connection"),
    )
    op.create_table(
        "resolution",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("id", sa.String(length=200), nullable=False),
        sa.Column("item_id", sa.String(length=200), nullable=False),
        sa.Column("decision", sa.Text(), nullable=True),
        sa.Column("decided_by", sa.Text(), server_default="", nullable=False),
        sa.Column("decided_at", sa.String(length=24), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "id"),
    )
    op.create_table(
        "review_item",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("id", sa.String(length=200), nullable=False),
        sa.Column("number", sa.Integer(), server_default="0", nullable=False),
        sa.Column("subject", sa.Text(), server_default="", nullable=False),
        sa.Column("state", sa.Text(), server_default="open", nullable=False),
        sa.Column("code", sa.Text(), server_default="", nullable=False),
        sa.Column("text", sa.Text(), server_default="", nullable=False),
        sa.Column("hint", sa.Text(), server_default="", nullable=False),
        sa.Column("details", sa.Text(), nullable=True),
        sa.Column("proposals", sa.Text(), nullable=True),
        sa.Column("record_id", sa.String(length=200), nullable=False),
        sa.Column("record_name", sa.Text(), server_default="", nullable=False),
        sa.Column("opened_at", sa.String(length=24), nullable=False),
        sa.Column("closed_at", sa.String(length=24), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "id"),
        sa.UniqueConstraint("tenant", "number"),
    )
    with op.batch_alter_table("review_item", schema=None) as batch_op:
        batch_op.create_index("review_open", ["tenant", "state", "opened_at"], unique=False)
        batch_op.create_index("review_record", ["tenant", "record_id"], unique=False)
        batch_op.create_index("review_subject", ["tenant", "subject"], unique=False)

    op.create_table(
        "run",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("id", sa.String(length=200), nullable=False),
        sa.Column("lane", sa.String(length=200), nullable=False),
        sa.Column("record_id", sa.String(length=200), nullable=False),
        sa.Column("state", sa.Text(), server_default="pending", nullable=False),
        sa.Column("outcome", sa.Text(), server_default="", nullable=False),
        sa.Column("reason", sa.Text(), server_default="", nullable=False),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("event_id", sa.Text(), server_default="", nullable=False),
        sa.Column("batch_id", sa.Text(), server_default="", nullable=False),
        sa.Column("decision", sa.Text(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("not_before", sa.String(length=24), nullable=True),
        sa.Column("created_at", sa.String(length=24), nullable=False),
        sa.Column("started_at", sa.String(length=24), nullable=True),
        sa.Column("finished_at", sa.String(length=24), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "id"),
    )
    with op.batch_alter_table("run", schema=None) as batch_op:
        batch_op.create_index("run_batch", ["batch_id"], unique=False)
        batch_op.create_index("run_due", ["state", "not_before"], unique=False)
        batch_op.create_index(
            "run_once_queued",
            ["tenant", "lane", "record_id"],
            unique=True,
            sqlite_where=sa.text("state IN ('pending', 'waiting', 'parked')"),
            postgresql_where=sa.text("state IN ('pending', 'waiting', 'parked')"),
        )
        batch_op.create_index("run_queue", ["tenant", "lane", "state", "id"], unique=False)
        batch_op.create_index("run_record", ["tenant", "record_id"], unique=False)

    op.create_table(
        "secret",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("connection", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=200), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("saved_at", sa.String(length=24), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "connection", "kind"),
    )
    op.create_table(
        "step_log",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("run_id", sa.String(length=200), nullable=False),
        sa.Column("id", sa.String(length=200), nullable=False),
        sa.Column("step", sa.Text(), server_default="", nullable=False),
        sa.Column("started_at", sa.String(length=24), nullable=False),
        sa.Column("took_ms", sa.Integer(), server_default="0", nullable=False),
        sa.Column("outcome", sa.Text(), server_default="", nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("tenant", "run_id", "id"),
    )
    op.create_table(
        "watermark",
        sa.Column("tenant", sa.String(length=200), nullable=False),
        sa.Column("connection", sa.String(length=200), nullable=False),
        sa.Column("feed", sa.String(length=200), nullable=False),
        sa.Column("value", sa.Text(), server_default="", nullable=False),
        sa.Column("saved_at", sa.String(length=24), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "connection", "feed"),
    )


def downgrade() -> None:
    """Remove."""
    op.drop_table("watermark")
    op.drop_table("step_log")
    op.drop_table("secret")
    with op.batch_alter_table("run", schema=None) as batch_op:
        batch_op.drop_index("run_record")
        batch_op.drop_index("run_queue")
        batch_op.drop_index(
            "run_once_queued",
            sqlite_where=sa.text("state IN ('pending', 'waiting', 'parked')"),
            postgresql_where=sa.text("state IN ('pending', 'waiting', 'parked')"),
        )
        batch_op.drop_index("run_due")
        batch_op.drop_index("run_batch")

    op.drop_table("run")
    with op.batch_alter_table("review_item", schema=None) as batch_op:
        batch_op.drop_index("review_subject")
        batch_op.drop_index("review_record")
        batch_op.drop_index("review_open")

    op.drop_table("review_item")
    op.drop_table("resolution")
    op.drop_table("reference")
    op.drop_table("link")
    op.drop_table("lane")
    with op.batch_alter_table("intent", schema=None) as batch_op:
        batch_op.drop_index("intent_run")
        batch_op.drop_index("intent_record")
        batch_op.drop_index("intent_open")
        batch_op.drop_index("intent_call")

    op.drop_table("intent")
    op.drop_table("integration")
    op.drop_table("executor")
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.drop_index("event_record")

    op.drop_table("event")
    op.drop_table("connection")
    with op.batch_alter_table("candidate", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_candidate_number_key"))
        batch_op.drop_index(batch_op.f("ix_candidate_name_key"))
        batch_op.drop_index(batch_op.f("ix_candidate_email_key"))

    op.drop_table("candidate")
