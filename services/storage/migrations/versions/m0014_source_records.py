"""Add when each source last answered, and its failures since.

Revision ID: 0014
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "source_records",
        sa.Column("source", sa.String, nullable=False),
        sa.Column("last_success_at", sa.DateTime(timezone=True)),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("failing_since", sa.DateTime(timezone=True)),
        sa.Column("problem", sa.String),
        sa.PrimaryKeyConstraint("source", name="pk_source_records"),
    )
