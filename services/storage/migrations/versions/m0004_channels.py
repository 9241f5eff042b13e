"""Add channel settings and notices, and a channel for each delivery.

Revision ID: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

AT = sa.DateTime(timezone=True)


def upgrade() -> None:
    create_notices()
    if op.get_bind().dialect.name == "sqlite":
        put_attempts_aside()
        extend_deliveries()
        put_attempts_back()
    else:
        extend_deliveries()
    create_channels()
    extend_ticks()
    op.add_column("rests", sa.Column("problem", sa.String()))


def create_notices() -> None:
    op.create_table(
        "notices",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("team", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("opened_at", AT, nullable=False),
        sa.Column("closed_at", AT),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_notices"),
        sa.UniqueConstraint("team", "channel", "name", name="uq_notices_name"),
    )
    while_open = sa.text("closed_at IS NULL")
    op.create_index("ix_notices_open", "notices", ["kind"], sqlite_where=while_open, postgresql_where=while_open)


def extend_deliveries() -> None:
    op.add_column("deliveries", sa.Column("team", sa.String()))
    op.add_column("deliveries", sa.Column("channel", sa.String()))
    for column in ("team", "channel"):
        of_alert = f"SELECT alerts.{column} FROM alerts WHERE alerts.id = deliveries.alert_id"  # noqa: S608 -- ours
        op.execute(f"UPDATE deliveries SET {column} = ({of_alert})")  # noqa: S608 -- as above
    with op.batch_alter_table("deliveries") as table:
        table.alter_column("team", nullable=False)
        table.alter_column("channel", nullable=False)
        table.alter_column("alert_id", nullable=True)
        table.add_column(sa.Column("notice_id", sa.Integer()))
        table.add_column(sa.Column("told_in", sa.Integer()))
        table.create_foreign_key("fk_deliveries_notice_id", "notices", ["notice_id"], ["id"])
        table.create_foreign_key("fk_deliveries_told_in", "notices", ["told_in"], ["id"])
        table.create_index("ix_deliveries_notice_id", ["notice_id"])


def put_attempts_aside() -> None:
    """Move the attempts to a temporary table: SQLite cannot recreate `deliveries` while rows refer to it."""
    op.execute("CREATE TABLE kept_attempts AS SELECT id, delivery_id, version, at, outcome, problem FROM attempts")
    op.drop_table("attempts")


def put_attempts_back() -> None:
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
    op.execute("INSERT INTO attempts SELECT id, delivery_id, version, at, outcome, problem FROM kept_attempts")
    op.drop_table("kept_attempts")


def create_channels() -> None:
    op.create_table(
        "channels",
        sa.Column("team", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("silent_from", AT),
        sa.Column("released_at", AT),
        sa.PrimaryKeyConstraint("team", "channel", name="pk_channels"),
    )
    op.create_index("ix_channels_silent_from", "channels", ["silent_from"])
    op.create_table(
        "channel_changes",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("team", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("at", AT, nullable=False),
        sa.Column("what", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_channel_changes"),
    )
    op.create_index("ix_channel_changes_team_channel_id", "channel_changes", ["team", "channel", "id"])


def extend_ticks() -> None:
    op.execute("ALTER TABLE ticks RENAME COLUMN pair TO job")
    op.add_column("ticks", sa.Column("verdict", sa.String()))
    op.create_table(
        "sights",
        sa.Column("pair", sa.String(), nullable=False),
        sa.Column("at", AT, nullable=False),
        sa.Column("reason", sa.String()),
        sa.Column("usable_at", AT),
        sa.Column("dark_at", AT),
        sa.Column("prices", sa.Text(), nullable=False),
        sa.Column("simulated", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("pair", name="pk_sights"),
    )
    op.create_table(
        "extremes",
        sa.Column("pair", sa.String(), nullable=False),
        sa.Column("session_day", sa.Integer(), nullable=False),
        sa.Column("look", sa.String(), nullable=False),
        sa.Column("high", sa.Double(), nullable=False),
        sa.Column("high_at", AT, nullable=False),
        sa.Column("low", sa.Double(), nullable=False),
        sa.Column("low_at", AT, nullable=False),
        sa.PrimaryKeyConstraint("pair", "session_day", "look", name="pk_extremes"),
    )
