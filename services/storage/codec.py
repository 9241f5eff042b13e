"""Domain values in the form that the tables keep, and back."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row

from services.alerting.alert import Alert, Entry
from services.alerting.brief import Brief
from services.alerting.channel_settings import ChannelSettings
from services.alerting.notice import Content, CoverageReport, Digest, Escalation, Notice, Outage
from services.alerting.records import ChannelRule, RuleAudit, RuleAuditKind, StoredAlert
from services.core.identity import Channel
from services.core.prices import Pair, PriceStamp, Symbol
from services.rules.decide import RuleState, Side
from services.rules.grammar import parse_rule

_ALERT = TypeAdapter(Alert)
_ENTRY = TypeAdapter(Entry)
_SETTINGS = TypeAdapter(ChannelSettings)
_PRICES = TypeAdapter(tuple[PriceStamp, ...])
_KINDS: dict[type[Content], str] = {  # stored in `notices.kind`: a class may be renamed, its kind may not
    Outage: "outage",
    Digest: "digest",
    CoverageReport: "daily",
    Escalation: "escalation",
    Brief: "brief",
}
_CONTENTS: dict[str, TypeAdapter[Any]] = {kind: TypeAdapter(content) for content, kind in _KINDS.items()}
STORED: dict[str, TypeAdapter[Any]] = {
    "alert": _ALERT,
    "entry": _ENTRY,
    "settings": _SETTINGS,
    "prices": _PRICES,
    **_CONTENTS,
}
_read_rule = lru_cache(maxsize=10_000)(parse_rule)  # a desk's rules are few and read often


def write_alert(alert: Alert) -> str:
    """Write an alert as JSON."""
    return _ALERT.dump_json(alert).decode()


def read_alert(text: str) -> Alert:
    """Read an alert from JSON."""
    return _ALERT.validate_json(text)


def write_entry(entry: Entry) -> str:
    """Write a timeline entry as JSON."""
    return _ENTRY.dump_json(entry).decode()


def read_entry(text: str) -> Entry:
    """Read a timeline entry from JSON."""
    return _ENTRY.validate_json(text)


def write_settings(settings: ChannelSettings) -> str:
    """Write a channel's settings as JSON."""
    return _SETTINGS.dump_json(settings).decode()


def read_settings(text: str) -> ChannelSettings:
    """Read a channel's settings from JSON."""
    return _SETTINGS.validate_json(text)


def write_prices(prices: tuple[PriceStamp, ...]) -> str:
    """Write prices with their sources and instants as JSON."""
    return _PRICES.dump_json(prices).decode()


def read_prices(text: str) -> tuple[PriceStamp, ...]:
    """Read prices with their sources and instants from JSON."""
    return _PRICES.validate_json(text)


def kind_of(content: Content | type[Content]) -> str:
    """Name the kind of a notice, as its row keeps it."""
    return _KINDS[content if isinstance(content, type) else type(content)]


def write_content(content: Content) -> str:
    """Write what a notice tells as JSON."""
    return _CONTENTS[kind_of(content)].dump_json(content).decode()


def read_notice(row: Row[Any], number: int) -> Notice:
    """Read a notice with this number, of which the row has every other column. Raises ValueError."""
    return Notice(
        id=number,
        channel=Channel(team=row.team, id=row.channel),
        name=row.name,
        content=_CONTENTS[row.kind].validate_json(row.content),
        opened_at=row.opened_at,
        closed_at=row.closed_at,
    )


def write_state(state: RuleState) -> dict[str, Any]:
    """Name the columns of `rules` that hold a state, with their values."""
    return {
        "firing": state.firing and state.firing.value,
        "fired_at": state.fired_at,
        "breach": state.breach and state.breach.value,
        "breach_at": state.breach_at,
        "breach_seen_at": state.breach_seen_at,
        "clear_at": state.clear_at,
        "clear_seen_at": state.clear_seen_at,
        "dark_at": state.dark_at,
        "error_at": state.error_at,
    }


def read_watch(row: Row[Any]) -> ChannelRule:
    """Read a row of `rules`."""
    return ChannelRule(
        id=row.id,
        channel=Channel(team=row.team, id=row.channel),
        rule=_read_rule(row.rule),
        state=RuleState(
            firing=_side(row.firing),
            fired_at=row.fired_at,
            breach=_side(row.breach),
            breach_at=row.breach_at,
            breach_seen_at=row.breach_seen_at,
            clear_at=row.clear_at,
            clear_seen_at=row.clear_seen_at,
            dark_at=row.dark_at,
            error_at=row.error_at,
        ),
        created_by=row.created_by,
        created_at=row.created_at,
        paused_at=row.paused_at,
        edition=row.edition,
    )


def read_act(row: Row[Any]) -> RuleAudit:
    """Read a row of `acts`."""
    return RuleAudit(
        kind=RuleAuditKind(row.kind), rule_id=row.rule_id, by=row.by, at=row.at, before=row.before, after=row.after
    )


def read_pair(text: str) -> Pair:
    """Read a pair as it is written, such as WGMI/BTC."""
    etf, _, crypto = text.partition("/")
    return Pair(etf=Symbol(etf), crypto=Symbol(crypto))


def read_stored(row: Row[Any]) -> StoredAlert:
    """Read a row of `alerts`."""
    return StoredAlert(alert=read_alert(row.alert), revision=row.revision)


def _side(value: str | None) -> Side | None:
    return None if value is None else Side(value)
