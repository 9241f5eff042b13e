"""Add where the app is installed.

Revision ID: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

AT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "installations",
        sa.Column("home", sa.String(), nullable=False),
        sa.Column("enterprise", sa.String()),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("bot_token", sa.Text(), nullable=False),
        sa.Column("bot_user", sa.String(), nullable=False),
        sa.Column("scopes", sa.String(), nullable=False),
        sa.Column("installed_by", sa.String(), nullable=False),
        sa.Column("installed_at", AT, nullable=False),
        sa.Column("refresh_token", sa.Text()),
        sa.Column("expires_at", AT),
        sa.Column("rotating_until", AT),
        sa.PrimaryKeyConstraint("home", name="pk_installations"),
    )
    op.create_table(
        "org_teams",
        sa.Column("team", sa.String(), nullable=False),
        sa.Column("enterprise", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("team", name="pk_org_teams"),
    )
    op.create_index("ix_org_teams_enterprise", "org_teams", ["enterprise"])
    op.create_table(
        "oauth_states",
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("until", AT, nullable=False),
        sa.PrimaryKeyConstraint("state", name="pk_oauth_states"),
    )
