"""Create the first tables.

Revision ID: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

AT = sa.DateTime(timezone=True)


def upgrade() -> None:
    create_history()
    create_holdings()
    create_rules()
    create_alerts()
    create_deliveries()
    op.create_table(
        "ticks",
        sa.Column("pair", sa.String(), nullable=False),
        sa.Column("boundary", AT, nullable=False),
        sa.Column("claimed_at", AT, nullable=False),
        sa.Column("done", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("pair", "boundary", name="pk_ticks"),
    )


def create_history() -> None:
    op.create_table(
        "closes",
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("session_day", sa.Integer(), nullable=False),
        sa.Column("price", sa.Double(), nullable=False),
        sa.Column("volume", sa.Double()),
        sa.PrimaryKeyConstraint("symbol", "source", "session_day", name="pk_closes"),
    )
    op.create_table(
        "revisions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("session_day", sa.Integer(), nullable=False),
        sa.Column("old", sa.Double(), nullable=False),
        sa.Column("new", sa.Double(), nullable=False),
        sa.Column("at", AT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_revisions"),
    )
    op.create_index("ix_revisions_symbol_id", "revisions", ["symbol", "id"])
    op.create_table(
        "bars",
        sa.Column("symbol", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("interval_s", sa.Integer(), nullable=False),
        sa.Column("opened_at_s", sa.BigInteger(), nullable=False),
        sa.Column("close", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("symbol", "source", "interval_s", "opened_at_s", name="pk_bars"),
    )


def create_holdings() -> None:
    op.create_table(
        "holdings",
        sa.Column("fund", sa.String(), nullable=False),
        sa.Column("as_of_day", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("ticker", sa.String(), nullable=False),
        sa.Column("exchange", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("weight", sa.Double(), nullable=False),
        sa.Column("shares", sa.Double()),
        sa.Column("market_value", sa.Double()),
        sa.Column("source", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("fund", "as_of_day", "position", name="pk_holdings"),
    )


def create_rules() -> None:
    op.create_table(
        "rules",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("team", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", AT, nullable=False),
        sa.Column("removed_at", AT),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("firing", sa.String()),
        sa.Column("fired_at", AT),
        sa.Column("breach", sa.String()),
        sa.Column("breach_at", AT),
        sa.Column("breach_seen_at", AT),
        sa.Column("dark_at", AT),
        sa.PrimaryKeyConstraint("id", name="pk_rules"),
    )
    op.create_index("ix_rules_revision", "rules", ["revision"])
    create_partial_index("uq_rules_standing", "rules", ["team", "channel", "rule"], "removed_at IS NULL", unique=True)
    rulebook = op.create_table(
        "rulebook",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_rulebook"),
    )
    op.bulk_insert(rulebook, [{"id": 1, "revision": 0}])


def create_alerts() -> None:
    op.create_table(
        "alerts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("team", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("pair", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("side", sa.String(), nullable=False),
        sa.Column("closed_at", AT),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("alert", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_alerts"),
    )
    op.create_index("ix_alerts_team_channel_id", "alerts", ["team", "channel", "id"])
    create_partial_index(
        "uq_alerts_open", "alerts", ["team", "channel", "pair", "subject", "side"], "closed_at IS NULL", unique=True
    )
    op.create_table(
        "entries",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("alert_id", sa.Integer(), nullable=False),
        sa.Column("entry", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_entries"),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name="fk_entries_alert_id"),
    )
    op.create_index("ix_entries_alert_id", "entries", ["alert_id"])


def create_deliveries() -> None:
    op.create_table(
        "deliveries",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("alert_id", sa.Integer(), nullable=False),
        sa.Column("entry_id", sa.Integer()),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("sent_version", sa.Integer(), nullable=False),
        sa.Column("message_id", sa.String()),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("attempting", sa.Boolean(), nullable=False),
        sa.Column("next_at", AT, nullable=False),
        sa.Column("since", AT, nullable=False),
        sa.Column("problem", sa.String()),
        sa.Column("dead_at", AT),
        sa.PrimaryKeyConstraint("id", name="pk_deliveries"),
        sa.UniqueConstraint("key", name="uq_deliveries_key"),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name="fk_deliveries_alert_id"),
        sa.ForeignKeyConstraint(["entry_id"], ["entries.id"], name="fk_deliveries_entry_id"),
    )
    op.create_index("ix_deliveries_alert_id", "deliveries", ["alert_id"])
    create_partial_index("ix_deliveries_undelivered", "deliveries", ["next_at"], "sent_version < version")
    op.create_table(
        "attempts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("delivery_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("at", AT, nullable=False),
        sa.Column("outcome", sa.String()),
        sa.Column("problem", sa.String()),
        sa.PrimaryKeyConstraint("id", name="pk_attempts"),
        sa.ForeignKeyConstraint(["delivery_id"], ["deliveries.id"], name="fk_attempts_delivery_id"),
    )
    op.create_index("ix_attempts_delivery_id", "attempts", ["delivery_id"])
    op.create_table(
        "rests",
        sa.Column("team", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("until", AT, nullable=False),
        sa.PrimaryKeyConstraint("team", "channel", name="pk_rests"),
    )


def create_partial_index(name: str, table: str, columns: list[str], condition: str, *, unique: bool = False) -> None:
    where = sa.text(condition)
    op.create_index(name, table, columns, unique=unique, sqlite_where=where, postgresql_where=where)
