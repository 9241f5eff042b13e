"""Table definitions for SQLite and PostgreSQL.

closes, bars                          price history by source, with keys that load straight into columns
corporate_actions, action_coverage    dividends and splits by source, and the day from which they are complete
revisions                             closes that their source changed after they were final
holdings                              fund holdings, one row per position and day
rules, rules_revision                 the rules of every channel with their states, and a counter of their changes
rule_audit                            changes of rules by people: who, when, what, before and after
managed_rules                         rules that a rules file has made, as it made them last
alerts, timeline_entries              alerts as their messages show them, and their timelines
votes                                 people's feedback on alerts, one vote each
notices                               messages for a channel that belong to no alert
deliveries, attempts                  the outbox: messages to show in Slack, and every attempt to send them
channel_backoff                       the time before which nothing is sent to a channel, and the problem to fix, if any
channels                              a channel's settings, and when its quiet hours start
channel_changes                       who changed which setting of a channel
ticks                                 claimed ticks, whether they are done, and the verdict on their prices
feed_status                           when each pair's prices could last be used, and since when they cannot
source_records                        when each source last answered, and its failures since
metric_extremes                       the high and low of each metric in each session
installations                         workspaces and organizations that installed the app, with encrypted tokens
org_teams                             the workspaces of an organization that installed the app as a whole
database_identity                     a random name of this database, by which another one in its place is noticed
processed_keys                        requests, events and announcements that a process has taken, until they expire
"""

from datetime import UTC, datetime

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    TextClause,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.engine import Dialect

ACTIVE = text("removed_at IS NULL")
OPEN = text("closed_at IS NULL")
UNDELIVERED = text("sent_version < version")


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC datetime; a naive one is a programming error and raises ValueError."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC, as SQLite stores no offset."""
        del dialect
        if value is not None and value.tzinfo is None:
            raise ValueError(f"{value} has no time zone")
        return value and value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return an aware datetime, also from SQLite, which reads naive ones."""
        del dialect
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


def _unique_while(condition: TextClause, name: str, *columns: str) -> Index:
    return Index(name, *columns, unique=True, sqlite_where=condition, postgresql_where=condition)


metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

closes = Table(
    "closes",
    metadata,
    Column("symbol", String, primary_key=True),
    Column("source", String, primary_key=True),
    Column("session_day", Integer, primary_key=True),  # since 1970-01-01
    Column("price", Double, nullable=False),
    Column("volume", Double),
    Column("intraday_return", Double),  # a fraction, from the session's open to its close
)

corporate_actions = Table(
    "corporate_actions",
    metadata,
    Column("symbol", String, primary_key=True),
    Column("source", String, primary_key=True),
    Column("session_day", Integer, primary_key=True),  # the ex-date, since 1970-01-01
    Column("kind", String, primary_key=True),
    Column("value", Double, nullable=False),  # USD per share of that day, or new shares per old share
    Column("recorded_at", UtcDateTime, nullable=False),
)

action_coverage = Table(
    "action_coverage",
    metadata,
    Column("symbol", String, primary_key=True),
    Column("source", String, primary_key=True),
    Column("since_day", Integer, nullable=False),  # since 1970-01-01
)

revisions = Table(
    "revisions",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("symbol", String, nullable=False),
    Column("source", String, nullable=False),
    Column("session_day", Integer, nullable=False),
    Column("old", Double, nullable=False),
    Column("new", Double, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Index(None, "symbol", "id"),
)

bars = Table(
    "bars",
    metadata,
    Column("symbol", String, primary_key=True),
    Column("source", String, primary_key=True),
    Column("interval_s", Integer, primary_key=True),
    Column("opened_at_s", BigInteger, primary_key=True),  # since 1970-01-01 UTC
    Column("close", Double, nullable=False),
)

holdings = Table(
    "holdings",
    metadata,
    Column("fund", String, primary_key=True),
    Column("as_of_day", Integer, primary_key=True),  # since 1970-01-01
    Column("position", Integer, primary_key=True),  # from 0, in the order of its source
    Column("ticker", String, nullable=False),
    Column("exchange", String, nullable=False),  # empty if the source names none
    Column("name", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("weight", Double, nullable=False),  # a fraction of net assets
    Column("shares", Double),
    Column("market_value", Double),
    Column("source", String, nullable=False),
)

rules = Table(
    "rules",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("team", String, nullable=False),
    Column("channel", String, nullable=False),
    Column("rule", String, nullable=False),
    Column("created_by", String, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("removed_at", UtcDateTime),
    Column("paused_at", UtcDateTime),
    Column("edit_count", Integer, nullable=False, server_default="0"),  # how often people changed the rule
    Column("revision", BigInteger, nullable=False),  # of `rules_revision`, at the last change of the rule or its state
    Column("firing", String),
    Column("fired_at", UtcDateTime),
    Column("breach", String),
    Column("breach_since", UtcDateTime),
    Column("breach_last_seen_at", UtcDateTime),
    Column("clear_since", UtcDateTime),
    Column("clear_last_seen_at", UtcDateTime),
    Column("nodata_since", UtcDateTime),
    Column("error_since", UtcDateTime),
    Index(None, "revision"),
    _unique_while(ACTIVE, "uq_rules_active", "team", "channel", "rule"),
)

managed_rules = Table(
    "managed_rules",
    metadata,
    Column("team", String, primary_key=True),
    Column("channel", String, primary_key=True),
    Column("key", String, primary_key=True),  # of the rule in its file
    Column("file", String, nullable=False),
    Column("rule_id", Integer, nullable=False),
    Column("rule", String, nullable=False),  # as the file has made it
    Column("paused", Boolean, nullable=False),  # as the file has made it
)

rule_audit = Table(
    "rule_audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("team", String, nullable=False),
    Column("channel", String, nullable=False),
    Column("rule_id", Integer, nullable=False),
    Column("kind", String, nullable=False),
    Column("by", String, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("before", String),  # the old rule; null for an added one
    Column("after", String),  # the new rule; null for a removed one
    Index(None, "team", "channel", "id"),
)

rules_revision = Table(
    "rules_revision",
    metadata,
    Column("id", Integer, primary_key=True),  # always 1
    Column("revision", BigInteger, nullable=False),
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("team", String, nullable=False),
    Column("channel", String, nullable=False),
    Column("pair", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("side", String, nullable=False),
    Column("closed_at", UtcDateTime),
    Column("revision", Integer, nullable=False),
    Column("alert", Text, nullable=False),  # JSON
    Column("permalink", String),  # of its message in Slack; null until it is looked up
    Index(None, "team", "channel", "id"),
    _unique_while(OPEN, "uq_alerts_open", "team", "channel", "pair", "subject", "side"),
)

timeline_entries = Table(
    "timeline_entries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("alert_id", ForeignKey("alerts.id"), nullable=False, index=True),
    Column("entry", Text, nullable=False),  # JSON
)

votes = Table(
    "votes",
    metadata,
    Column("alert_id", ForeignKey("alerts.id"), primary_key=True),
    Column("person", String, primary_key=True),
    Column("team", String, nullable=False),
    Column("noise", Boolean, nullable=False),  # false: useful
    Column("at", UtcDateTime, nullable=False),
)

notices = Table(
    "notices",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("team", String, nullable=False),
    Column("channel", String, nullable=False),
    Column("name", String, nullable=False),  # unique in its channel, also after it is closed
    Column("kind", String, nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("closed_at", UtcDateTime),
    Column("revision", Integer, nullable=False),
    Column("content", Text, nullable=False),  # JSON
    UniqueConstraint("team", "channel", "name", name="uq_notices_name"),
    Index("ix_notices_open", "kind", sqlite_where=OPEN, postgresql_where=OPEN),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", String, nullable=False, unique=True),
    Column("team", String, nullable=False),
    Column("channel", String, nullable=False),
    Column("alert_id", ForeignKey("alerts.id"), index=True),  # null for a notice
    Column("entry_id", ForeignKey("timeline_entries.id")),  # null for the alert's own message
    Column("notice_id", ForeignKey("notices.id"), index=True),
    Column("priority", SmallInteger, nullable=False, server_default="2"),  # a `Priority`; the lowest is sent first
    Column("version", Integer, nullable=False),
    Column("sent_version", Integer, nullable=False),
    Column("message_id", String),
    Column("attempts", Integer, nullable=False),  # failures in a row
    Column("attempting", Boolean, nullable=False),
    Column("next_at", UtcDateTime, nullable=False),  # time of the next attempt, or the end of the lease
    Column("since", UtcDateTime, nullable=False),  # when it became outdated
    Column("problem", String),
    Column("dead_at", UtcDateTime),
    Column("superseded_by", ForeignKey("notices.id")),  # the digest that is posted instead
    Index("ix_deliveries_undelivered", "next_at", sqlite_where=UNDELIVERED, postgresql_where=UNDELIVERED),
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("delivery_id", ForeignKey("deliveries.id"), nullable=False, index=True),
    Column("version", Integer, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("outcome", String),  # null if unknown
    Column("problem", String),
)

PAGE_WAITS = text("sent_version < version AND dead_at IS NULL")
pages = Table(
    "pages",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("team", String, nullable=False),
    Column("channel", String, nullable=False),
    Column("alert_id", ForeignKey("alerts.id"), nullable=False),
    Column("sink", String, nullable=False),
    Column("config", String, nullable=False),  # version of the sink's configuration that opened it
    Column("severity", String, nullable=False),
    Column("always", Boolean, nullable=False),  # quiet hours don't hold it
    Column("version", Integer, nullable=False),
    Column("sent_version", Integer, nullable=False),
    Column("sent_stage", String),
    Column("maybe_sent", Boolean, nullable=False),
    Column("attempts", Integer, nullable=False),  # failures in a row
    Column("next_at", UtcDateTime, nullable=False),  # time of the next attempt, or the end of the lease
    Column("since", UtcDateTime, nullable=False),
    Column("dead_at", UtcDateTime),
    Column("problem", String),
    Column("reference", String),
    UniqueConstraint("alert_id", "sink", name="uq_pages_alert_sink"),
    Index("ix_pages_waiting", "next_at", sqlite_where=PAGE_WAITS, postgresql_where=PAGE_WAITS),
)

sinks = Table(
    "sinks",
    metadata,
    Column("team", String, primary_key=True),  # empty for a sink of the operator's file, which every workspace may use
    Column("name", String, primary_key=True),
    Column("config", String, primary_key=True),  # version: a hash of the type, the options and the secret
    Column("type", String, nullable=False),
    Column("options", Text, nullable=False),  # JSON, encrypted
    Column("at", UtcDateTime, nullable=False),
    Column("removed_at", UtcDateTime),
)

sink_holds = Table(
    "sink_holds",
    metadata,
    Column("team", String, primary_key=True),
    Column("sink", String, primary_key=True),
    Column("until", UtcDateTime, nullable=False),
    Column("problem", String, nullable=False),
)

channel_backoff = Table(
    "channel_backoff",
    metadata,
    Column("team", String, primary_key=True),
    Column("channel", String, primary_key=True),
    Column("until", UtcDateTime, nullable=False),
    Column("problem", String),  # null if nothing needs a fix
)

channels = Table(
    "channels",
    metadata,
    Column("team", String, primary_key=True),
    Column("channel", String, primary_key=True),
    Column("settings", Text, nullable=False),  # JSON
    Column("revision", Integer, nullable=False),
    Column("quiet_from", UtcDateTime),  # no new message is sent from then on, until a digest resets this to null
    Column("quiet_ended_at", UtcDateTime),  # when the last quiet period ended
    Index(None, "quiet_from"),
)

channel_changes = Table(
    "channel_changes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("team", String, nullable=False),
    Column("channel", String, nullable=False),
    Column("by", String, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("what", String, nullable=False),
    Index(None, "team", "channel", "id"),
)

feed_status = Table(
    "feed_status",
    metadata,
    Column("pair", String, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("reason", String),  # null if prices can be used
    Column("last_usable_at", UtcDateTime),
    Column("nodata_since", UtcDateTime),
    Column("prices", Text, nullable=False),  # JSON, the last usable ones
    Column("simulated", Boolean, nullable=False),
)

source_records = Table(
    "source_records",
    metadata,
    Column("source", String, primary_key=True),
    Column("last_success_at", UtcDateTime),
    Column("failures", Integer, nullable=False),
    Column("failing_since", UtcDateTime),
    Column("problem", String),
)

metric_extremes = Table(
    "metric_extremes",
    metadata,
    Column("pair", String, primary_key=True),
    Column("session_day", Integer, primary_key=True),  # since 1970-01-01
    Column("metric_key", String, primary_key=True),
    Column("high", Double, nullable=False),
    Column("high_at", UtcDateTime, nullable=False),
    Column("low", Double, nullable=False),
    Column("low_at", UtcDateTime, nullable=False),
)

ticks = Table(
    "ticks",
    metadata,
    Column("job", String, primary_key=True),  # a pair, or a maintenance job by its name
    Column("boundary", UtcDateTime, primary_key=True),
    Column("claimed_at", UtcDateTime, nullable=False),
    Column("done", Boolean, nullable=False),
    Column("verdict", String),  # on a pair's prices, when the tick is done
)

installations = Table(
    "installations",
    metadata,
    Column("home", String, primary_key=True),  # a workspace or an organization
    Column("enterprise", String),
    Column("name", String, nullable=False),
    Column("bot_token", Text, nullable=False),  # encrypted
    Column("bot_user", String, nullable=False),
    Column("scopes", String, nullable=False),
    Column("installed_by", String, nullable=False),
    Column("installed_at", UtcDateTime, nullable=False),
    Column("refresh_token", Text),  # encrypted
    Column("expires_at", UtcDateTime),
    Column("rotating_until", UtcDateTime),  # end of the lease of the process that renews the token
)

org_teams = Table(
    "org_teams",
    metadata,
    Column("team", String, primary_key=True),
    Column("enterprise", String, nullable=False, index=True),
)

database_identity = Table(
    "database_identity",
    metadata,
    Column("id", Integer, primary_key=True),  # always 1
    Column("identity", String, nullable=False),
)

processed_keys = Table(
    "processed_keys",
    metadata,
    Column("key", String, primary_key=True),
    Column("until", UtcDateTime, nullable=False, index=True),
)
