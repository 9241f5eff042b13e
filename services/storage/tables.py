"""What is stored, as tables that SQLite and PostgreSQL both keep.

closes, bars            price history by source, keyed so that it loads straight into columns
actions, declared       dividends and splits by source, and from which day on they are known
revisions               closes that their source has changed after they were final
holdings                what funds hold, a row for each position of each day
rules, rulebook         the rules of every channel with their states, and a number that grows as they change
acts                    what people did to rules: who, when, what, before and after
alerts, entries         episodes as their messages tell them, and their timelines
votes                   what people say of alerts, one vote each
notices                 messages for a channel that belong to no alert
deliveries, attempts    what Slack must be made to show, and every try to do so
rests                   until when a channel is to be left alone, and why where only a person can mend that
channels                what a channel has set, and since when no new message goes out into it
channel_changes         who has set what in a channel
ticks                   which ticks have been claimed, whether they were done, and how far their prices could be used
sights                  when each pair's prices could last be used, and since when they cannot
extremes                how far the values that rules look at went in each session
installations           where the app is installed, with its sealed tokens
org_teams               which workspaces an organization has that installed it as a whole
oauth_states            who is on the way to install it
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TextClause,
    UniqueConstraint,
    text,
)

from services.storage.types import UtcDateTime

STANDING = text("removed_at IS NULL")
OPEN = text("closed_at IS NULL")
UNDELIVERED = text("sent_version < version")


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
    Column("inside", Double),  # the session's return from its opening to its close
)

actions = Table(
    "actions",
    metadata,
    Column("symbol", String, primary_key=True),
    Column("source", String, primary_key=True),
    Column("session_day", Integer, primary_key=True),  # the ex-date, since 1970-01-01
    Column("kind", String, primary_key=True),
    Column("value", Double, nullable=False),  # USD a share of that day, or new shares for one old share
    Column("noted_at", UtcDateTime, nullable=False),
)

declared = Table(
    "declared",
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
    Column("exchange", String, nullable=False),  # empty where the source names none
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
    Column("edition", Integer, nullable=False, server_default="0"),  # how often people have changed the rule
    Column("revision", BigInteger, nullable=False),  # of the rulebook, at the last change of the rule or its state
    Column("firing", String),
    Column("fired_at", UtcDateTime),
    Column("breach", String),
    Column("breach_at", UtcDateTime),
    Column("breach_seen_at", UtcDateTime),
    Column("clear_at", UtcDateTime),
    Column("clear_seen_at", UtcDateTime),
    Column("dark_at", UtcDateTime),
    Column("error_at", UtcDateTime),
    Index(None, "revision"),
    _unique_while(STANDING, "uq_rules_standing", "team", "channel", "rule"),
)

acts = Table(
    "acts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("team", String, nullable=False),
    Column("channel", String, nullable=False),
    Column("rule_id", Integer, nullable=False),
    Column("kind", String, nullable=False),
    Column("by", String, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("before", String),  # the rule as it was; null for one that was added
    Column("after", String),  # the rule as it is now; null for one that was removed
    Index(None, "team", "channel", "id"),
)

rulebook = Table(
    "rulebook",
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
    Index(None, "team", "channel", "id"),
    _unique_while(OPEN, "uq_alerts_open", "team", "channel", "pair", "subject", "side"),
)

entries = Table(
    "entries",
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
    Column("noise", Boolean, nullable=False),  # else useful
    Column("at", UtcDateTime, nullable=False),
)

notices = Table(
    "notices",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("team", String, nullable=False),
    Column("channel", String, nullable=False),
    Column("name", String, nullable=False),  # once for ever in its channel
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
    Column("entry_id", ForeignKey("entries.id")),  # null for the alert's own message
    Column("notice_id", ForeignKey("notices.id"), index=True),
    Column("version", Integer, nullable=False),
    Column("sent_version", Integer, nullable=False),
    Column("message_id", String),
    Column("attempts", Integer, nullable=False),  # failures in a row
    Column("attempting", Boolean, nullable=False),
    Column("next_at", UtcDateTime, nullable=False),  # not before then; during an attempt, when others may take it up
    Column("since", UtcDateTime, nullable=False),  # since when it has not been as it should be
    Column("problem", String),
    Column("dead_at", UtcDateTime),
    Column("told_in", ForeignKey("notices.id")),  # the digest that tells it in its stead
    Index("ix_deliveries_undelivered", "next_at", sqlite_where=UNDELIVERED, postgresql_where=UNDELIVERED),
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("delivery_id", ForeignKey("deliveries.id"), nullable=False, index=True),
    Column("version", Integer, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("outcome", String),  # null where it was never learned
    Column("problem", String),
)

rests = Table(
    "rests",
    metadata,
    Column("team", String, primary_key=True),
    Column("channel", String, primary_key=True),
    Column("until", UtcDateTime, nullable=False),
    Column("problem", String),  # null where waiting is enough
)

channels = Table(
    "channels",
    metadata,
    Column("team", String, primary_key=True),
    Column("channel", String, primary_key=True),
    Column("settings", Text, nullable=False),  # JSON
    Column("revision", Integer, nullable=False),
    Column("silent_from", UtcDateTime),  # no new message goes out from then on, until a digest has put this to null
    Column("released_at", UtcDateTime),  # when the last silence ended
    Index(None, "silent_from"),
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

sights = Table(
    "sights",
    metadata,
    Column("pair", String, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("reason", String),  # null where prices can be used
    Column("usable_at", UtcDateTime),
    Column("dark_at", UtcDateTime),
    Column("prices", Text, nullable=False),  # JSON, the last that could be used
    Column("simulated", Boolean, nullable=False),
)

extremes = Table(
    "extremes",
    metadata,
    Column("pair", String, primary_key=True),
    Column("session_day", Integer, primary_key=True),  # since 1970-01-01
    Column("look", String, primary_key=True),
    Column("high", Double, nullable=False),
    Column("high_at", UtcDateTime, nullable=False),
    Column("low", Double, nullable=False),
    Column("low_at", UtcDateTime, nullable=False),
)

ticks = Table(
    "ticks",
    metadata,
    Column("job", String, primary_key=True),  # a pair, or a chore by its name
    Column("boundary", UtcDateTime, primary_key=True),
    Column("claimed_at", UtcDateTime, nullable=False),
    Column("done", Boolean, nullable=False),
    Column("verdict", String),  # of a pair's prices, once it is done
)

installations = Table(
    "installations",
    metadata,
    Column("home", String, primary_key=True),  # a workspace, or the organization itself
    Column("enterprise", String),
    Column("name", String, nullable=False),
    Column("bot_token", Text, nullable=False),  # sealed
    Column("bot_user", String, nullable=False),
    Column("scopes", String, nullable=False),
    Column("installed_by", String, nullable=False),
    Column("installed_at", UtcDateTime, nullable=False),
    Column("refresh_token", Text),  # sealed
    Column("expires_at", UtcDateTime),
    Column("rotating_until", UtcDateTime),  # until when the renewal is one process's own
)

org_teams = Table(
    "org_teams",
    metadata,
    Column("team", String, primary_key=True),
    Column("enterprise", String, nullable=False, index=True),
)

oauth_states = Table(
    "oauth_states",
    metadata,
    Column("state", String, primary_key=True),  # its SHA-256
    Column("until", UtcDateTime, nullable=False),
)
