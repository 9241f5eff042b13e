"""Rename tables, columns, indexes and stored JSON keys to the standard terms of the field.

SQLite cannot rename a constraint without a rebuild of its table, so its key constraints keep their names there.

Revision ID: 0008
"""

import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TABLES = {
    "actions": "corporate_actions",
    "declared": "action_coverage",
    "rulebook": "rules_revision",
    "acts": "rule_audit",
    "entries": "timeline_entries",
    "rests": "channel_backoff",
    "sights": "feed_status",
    "extremes": "metric_extremes",
}
COLUMNS = [  # new table name, old column, new column
    ("closes", "inside", "intraday_return"),
    ("corporate_actions", "noted_at", "recorded_at"),
    ("rules", "edition", "edit_count"),
    ("rules", "breach_at", "breach_since"),
    ("rules", "breach_seen_at", "breach_last_seen_at"),
    ("rules", "clear_at", "clear_since"),
    ("rules", "clear_seen_at", "clear_last_seen_at"),
    ("rules", "dark_at", "nodata_since"),
    ("rules", "error_at", "error_since"),
    ("deliveries", "told_in", "superseded_by"),
    ("channels", "silent_from", "quiet_from"),
    ("channels", "released_at", "quiet_ended_at"),
    ("feed_status", "usable_at", "last_usable_at"),
    ("feed_status", "dark_at", "nodata_since"),
    ("metric_extremes", "look", "metric_key"),
]
INDEXES = [  # old name, new name, table, columns, condition of a partial unique index
    ("uq_rules_standing", "uq_rules_active", "rules", ["team", "channel", "rule"], "removed_at IS NULL"),
    ("ix_acts_team_channel_id", "ix_rule_audit_team_channel_id", "rule_audit", ["team", "channel", "id"], None),
    ("ix_entries_alert_id", "ix_timeline_entries_alert_id", "timeline_entries", ["alert_id"], None),
    ("ix_channels_silent_from", "ix_channels_quiet_from", "channels", ["quiet_from"], None),
]
FOREIGN_KEYS = [  # table, old name, new name
    ("timeline_entries", "fk_entries_alert_id", "fk_timeline_entries_alert_id"),
    ("deliveries", "fk_deliveries_told_in", "fk_deliveries_superseded_by"),
]
NUMBERED = ("acts", "entries", "rulebook")  # PostgreSQL numbers the rows of these by a sequence

# New names of JSON keys by (root, path of old keys). List positions are no part of a path. The roots are `alert`,
# `entry`, `settings`, `prices`, and for a notice its kind.
STORED_KEYS: dict[tuple[str, str], str] = {
    ("alert", "course"): "chart",
    ("alert", "facts"): "hits",
    ("alert", "facts.measurement.mined"): "mining",
    ("alert", "facts.parted"): "attribution",
    ("alert", "facts.parted.rest"): "residual",
    ("alert", "facts.record"): "track_record",
    ("alert", "facts.record.lasts"): "open_side",
    ("alert", "facts.told"): "last_reported",
    ("alert", "facts.told.of"): "prices_at",
    ("alert", "unseen_since"): "unacknowledged_since",
    ("brief", "ahead"): "special_days",
    ("brief", "alerts.course"): "chart",
    ("brief", "alerts.facts"): "hits",
    ("brief", "alerts.facts.measurement.mined"): "mining",
    ("brief", "alerts.facts.parted"): "attribution",
    ("brief", "alerts.facts.parted.rest"): "residual",
    ("brief", "alerts.facts.record"): "track_record",
    ("brief", "alerts.facts.record.lasts"): "open_side",
    ("brief", "alerts.facts.told"): "last_reported",
    ("brief", "alerts.facts.told.of"): "prices_at",
    ("brief", "alerts.unseen_since"): "unacknowledged_since",
    ("brief", "measured"): "measurements",
    ("brief", "measured.mined"): "mining",
    ("daily", "miss"): "nearest_miss",
    ("daily", "pairs.trouble"): "unusable_reason",
    ("daily", "posted"): "message_counts",
    ("daily", "posted.given_up"): "dead_lettered",
    ("digest", "alerts.course"): "chart",
    ("digest", "alerts.facts"): "hits",
    ("digest", "alerts.facts.measurement.mined"): "mining",
    ("digest", "alerts.facts.parted"): "attribution",
    ("digest", "alerts.facts.parted.rest"): "residual",
    ("digest", "alerts.facts.record"): "track_record",
    ("digest", "alerts.facts.record.lasts"): "open_side",
    ("digest", "alerts.facts.told"): "last_reported",
    ("digest", "alerts.facts.told.of"): "prices_at",
    ("digest", "alerts.unseen_since"): "unacknowledged_since",
    ("digest", "outages.back_at"): "recovered_at",
    ("digest", "why"): "reason",
    ("entry", "calls"): "mention",
    ("escalation", "alert.course"): "chart",
    ("escalation", "alert.facts"): "hits",
    ("escalation", "alert.facts.measurement.mined"): "mining",
    ("escalation", "alert.facts.parted"): "attribution",
    ("escalation", "alert.facts.parted.rest"): "residual",
    ("escalation", "alert.facts.record"): "track_record",
    ("escalation", "alert.facts.record.lasts"): "open_side",
    ("escalation", "alert.facts.told"): "last_reported",
    ("escalation", "alert.facts.told.of"): "prices_at",
    ("escalation", "alert.unseen_since"): "unacknowledged_since",
    ("outage", "back_at"): "recovered_at",
}
BATCH_SIZE = 500  # rows read at a time

alerts = sa.table("alerts", sa.column("id"), sa.column("alert"))
timeline_entries = sa.table("timeline_entries", sa.column("id"), sa.column("entry"))
channels = sa.table("channels", sa.column("team"), sa.column("channel"), sa.column("settings"))
notices = sa.table("notices", sa.column("id"), sa.column("kind"), sa.column("content"))
feed_status = sa.table("feed_status", sa.column("pair"), sa.column("prices"))


def upgrade() -> None:
    rename_tables()
    rename_indexes()
    _rename_stored_keys(op.get_bind())


def rename_tables() -> None:
    for old, new in TABLES.items():
        op.rename_table(old, new)
    for table, old, new in COLUMNS:
        op.execute(f"ALTER TABLE {table} RENAME COLUMN {old} TO {new}")
    if op.get_bind().dialect.name == "postgresql":
        for old, new in TABLES.items():
            op.execute(f"ALTER TABLE {new} RENAME CONSTRAINT pk_{old} TO pk_{new}")
        for table, old, new in FOREIGN_KEYS:
            op.execute(f"ALTER TABLE {table} RENAME CONSTRAINT {old} TO {new}")
        for old in NUMBERED:
            op.execute(f"ALTER SEQUENCE {old}_id_seq RENAME TO {TABLES[old]}_id_seq")


def rename_indexes() -> None:
    """Rename indexes in place on PostgreSQL; SQLite must build them again."""
    for old, new, table, columns, condition in INDEXES:
        if op.get_bind().dialect.name == "postgresql":
            op.execute(f"ALTER INDEX {old} RENAME TO {new}")
            continue
        op.drop_index(old, table)
        where = condition and sa.text(condition)
        op.create_index(new, table, columns, unique=condition is not None, sqlite_where=where)


def _rename_stored_keys(connection: sa.Connection) -> None:
    """Rename the keys of stored JSON by `STORED_KEYS`.

    Rows without such a key, and rows that cannot be parsed, stay as they are.
    """
    _rename_in(connection, alerts, ["id"], "alert", sa.literal("alert"))
    _rename_in(connection, timeline_entries, ["id"], "entry", sa.literal("entry"))
    _rename_in(connection, channels, ["team", "channel"], "settings", sa.literal("settings"))
    _rename_in(connection, notices, ["id"], "content", notices.c.kind)
    _rename_in(connection, feed_status, ["pair"], "prices", sa.literal("prices"))


def _rename_in(
    connection: sa.Connection, table: sa.TableClause, key: list[str], column: str, root: sa.ColumnElement[str]
) -> None:
    """Rename the JSON keys in one column of a table, whose rows are identified by `key`."""
    ours = [table.c[name] == sa.bindparam(f"key_{name}") for name in key]
    rewrite = sa.update(table).where(*ours).values({column: sa.bindparam("text")})
    query = sa.select(*(table.c[name] for name in key), root.label("root"), table.c[column].label("text"))
    for rows in _batches(connection, query, [table.c[name] for name in key]):
        changed = [
            {**{f"key_{name}": getattr(row, name) for name in key}, "text": text}
            for row in rows
            if (text := _renamed_text(row.root, row.text)) != row.text
        ]
        if changed:
            connection.execute(rewrite, changed)


def _batches(
    connection: sa.Connection, query: sa.Select[Any], key: list[sa.ColumnElement[Any]]
) -> Iterator[list[sa.Row[Any]]]:
    """Read all rows in the order of `key`, at most BATCH_SIZE at a time."""
    ordered = query.order_by(*key).limit(BATCH_SIZE)
    rows = list(connection.execute(ordered))
    while rows:
        yield rows
        after = sa.tuple_(*(sa.literal(value) for value in rows[-1][: len(key)]))
        rows = list(connection.execute(ordered.where(sa.tuple_(*key) > after)))


def _renamed_text(root: str, text: str) -> str:
    """Return stored JSON with its keys renamed, written without spaces: the store searches it as text."""
    try:
        old = json.loads(text)
    except ValueError:
        return text
    new = _renamed(old, root, "")
    return text if new == old else json.dumps(new, ensure_ascii=False, separators=(",", ":"))


def _renamed(value: object, root: str, path: str) -> object:
    if isinstance(value, list):
        return [_renamed(item, root, path) for item in value]
    if isinstance(value, dict):
        inner = {key: f"{path}.{key}" if path else key for key in value}
        return {
            STORED_KEYS.get((root, inner[key]), key): _renamed(item, root, inner[key]) for key, item in value.items()
        }
    return value
