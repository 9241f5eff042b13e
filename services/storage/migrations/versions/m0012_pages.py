"""Add pages, the attempts at them, sinks that wait for a person, and the sinks of workspaces.

Revision ID: 0012
"""

import sqlalchemy as sa
from alembic import op

AT = sa.DateTime(timezone=True)
WAITING = sa.text("sent_version < version AND dead_at IS NULL")

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pages",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("team", sa.String, nullable=False),
        sa.Column("channel", sa.String, nullable=False),
        sa.Column("alert_id", sa.Integer, nullable=False),
        sa.Column("sink", sa.String, nullable=False),
        sa.Column("config", sa.String, nullable=False),
        sa.Column("severity", sa.String, nullable=False),
        sa.Column("always", sa.Boolean, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("sent_version", sa.Integer, nullable=False),
        sa.Column("sent_stage", sa.String, nullable=True),
        sa.Column("maybe_sent", sa.Boolean, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_at", AT, nullable=False),
        sa.Column("since", AT, nullable=False),
        sa.Column("dead_at", AT, nullable=True),
        sa.Column("problem", sa.String, nullable=True),
        sa.Column("reference", sa.String, nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_pages"),
        sa.ForeignKeyConstraint(["alert_id"], ["alerts.id"], name="fk_pages_alert_id"),
        sa.UniqueConstraint("alert_id", "sink", name="uq_pages_alert_sink"),
    )
    op.create_index("ix_pages_waiting", "pages", ["next_at"], sqlite_where=WAITING, postgresql_where=WAITING)
    op.create_table(
        "sinks",
        sa.Column("team", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("config", sa.String, nullable=False),
        sa.Column("type", sa.String, nullable=False),
        sa.Column("options", sa.Text, nullable=False),
        sa.Column("at", AT, nullable=False),
        sa.Column("removed_at", AT, nullable=True),
        sa.PrimaryKeyConstraint("team", "name", "config", name="pk_sinks"),
    )
    op.create_table(
        "sink_holds",
        sa.Column("team", sa.String, nullable=False),
        sa.Column("sink", sa.String, nullable=False),
        sa.Column("until", AT, nullable=False),
        sa.Column("problem", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("team", "sink", name="pk_sink_holds"),
    )
