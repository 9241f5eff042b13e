"""Name the database, so that another one in its place is noticed, and drop a table that is not used any more.

Revision ID: 0010
"""

from uuid import uuid4

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    identities = op.create_table(
        "database_identity",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("identity", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_database_identity"),
    )
    op.bulk_insert(identities, [{"id": 1, "identity": uuid4().hex}])
    op.drop_table("oauth_states")
