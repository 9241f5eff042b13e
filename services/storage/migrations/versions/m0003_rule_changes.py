"""Add the state of recovering, failing, paused and edited rules, and the audit log of rules.

Revision ID: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

AT = sa.DateTime(timezone=True)


def upgrade() -> None:
    for name in ("paused_at", "clear_at", "clear_seen_at", "error_at"):
        op.add_column("rules", sa.Column(name, AT))
    op.add_column("rules", sa.Column("edition", sa.Integer(), nullable=False, server_default="0"))
    op.create_table(
        "acts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("team", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("rule_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("at", AT, nullable=False),
        sa.Column("before", sa.String()),
        sa.Column("after", sa.String()),
        sa.PrimaryKeyConstraint("id", name="pk_acts"),
    )
    op.create_index("ix_acts_team_channel_id", "acts", ["team", "channel", "id"])
