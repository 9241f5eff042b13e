"""Conversion between domain values and table rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from functools import cached_property, lru_cache
from typing import Any, Generic, TypeVar, get_args

import numpy as np
from pydantic import GetCoreSchemaHandler, TypeAdapter
from pydantic_core import CoreSchema, core_schema
from sqlalchemy import Row

from services.alerting.alert import Alert, TimelineEntry
from services.alerting.channel_settings import ChannelSettings
from services.alerting.notice import (
    Brief,
    ChannelChange,
    Content,
    CoverageReport,
    Digest,
    Escalation,
    EscalationSource,
    Notice,
    Outage,
    PageFailed,
    RetiredRules,
    Untraded,
)
from services.alerting.ports import ChannelRule, RuleAudit, RuleAuditKind, StoredAlert
from services.core.identity import Channel
from services.core.prices import Pair, PriceStamp, Symbol
from services.core.reason import Reason
from services.core.rows import complete
from services.rules.decide import RuleState, Side
from services.rules.grammar import parse_rule

Stored = TypeVar("Stored")


def write_reason(reason: Reason | str) -> str:
    """Return a reason as JSON; words are returned as they are."""
    return reason if isinstance(reason, str) else json.dumps(reason.to_json(), ensure_ascii=False)


def read_reason(text: str) -> Reason | str:
    """Parse a reason from JSON; text, and a reason that this release does not know, are returned unchanged."""
    if not text.startswith("{"):
        return text
    try:
        return Reason.from_json(json.loads(text))
    except ValueError:
        return text


def read_optional_reason(text: str | None) -> Reason | str | None:
    """Parse the reason in a column that may be null."""
    return None if text is None else read_reason(text)


def _validate_reason(value: object) -> Reason | str:
    if isinstance(value, str):
        return value
    if not isinstance(value, dict):
        raise ValueError("not a reason")  # noqa: TRY004 -- pydantic expects it
    try:
        return Reason.from_json(value)
    except ValueError:  # of a later release
        return json.dumps(value, ensure_ascii=False)


def _serialize_reason(reason: Reason | str) -> object:
    return reason if isinstance(reason, str) else reason.to_json()


def _reason_schema(_source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
    return core_schema.no_info_plain_validator_function(
        _validate_reason, serialization=core_schema.plain_serializer_function_ser_schema(_serialize_reason)
    )


Reason.__get_pydantic_core_schema__ = _reason_schema  # type: ignore[attr-defined] # core does not know pydantic


class StoredType(Generic[Stored]):
    """A type that is stored as JSON. Its adapter is built at the first use: all take 0.07 s, and a query needs none."""

    def __init__(self, stored: type[Stored]) -> None:
        self._stored = stored

    @cached_property
    def adapter(self) -> TypeAdapter[Stored]:
        """Writes and reads values of the type."""
        return TypeAdapter(self._stored)


_ALERT = StoredType(Alert)
_ENTRY = StoredType(TimelineEntry)
_SETTINGS = StoredType(ChannelSettings)
_PRICES = StoredType(tuple[PriceStamp, ...])
_KINDS: Mapping[type[Content], str] = complete(
    "_KINDS",
    get_args(Content),
    {  # stored in `notices.kind`: a class may be renamed, its kind may not
        Outage: "outage",
        Digest: "digest",
        CoverageReport: "daily",
        Escalation: "escalation",
        EscalationSource: "escalation_source",
        ChannelChange: "change",
        Brief: "brief",
        Untraded: "untraded",
        RetiredRules: "retired_rules",
        PageFailed: "page_failed",
    },
)
_CONTENTS: dict[str, StoredType[Any]] = {kind: StoredType(content) for content, kind in _KINDS.items()}
STORED: dict[str, StoredType[Any]] = {
    "alert": _ALERT,
    "entry": _ENTRY,
    "settings": _SETTINGS,
    "prices": _PRICES,
    **_CONTENTS,
}
_parse_rule = lru_cache(maxsize=10_000)(parse_rule)  # rules are few and read often


def write_alert(alert: Alert) -> str:
    """Return an alert as JSON, without its permalink, which has a column of its own. A new alert's id is 0."""
    return _ALERT.adapter.dump_json(alert, exclude={"permalink"}).decode()


def read_alert(text: str, alert_id: int, permalink: str | None = None) -> Alert:
    """Parse an alert from JSON, with its id and the permalink of its message."""
    alert = replace(_ALERT.adapter.validate_json(text), id=alert_id)
    return replace(alert, permalink=permalink) if permalink else alert


def write_entry(entry: TimelineEntry) -> str:
    """Return a timeline entry as JSON."""
    return _ENTRY.adapter.dump_json(entry).decode()


def read_entry(text: str) -> TimelineEntry:
    """Parse a timeline entry from JSON."""
    return _ENTRY.adapter.validate_json(text)


def write_settings(settings: ChannelSettings) -> str:
    """Return a channel's settings as JSON."""
    return _SETTINGS.adapter.dump_json(settings).decode()


def read_settings(text: str) -> ChannelSettings:
    """Parse a channel's settings from JSON."""
    return _SETTINGS.adapter.validate_json(text)


def write_prices(prices: tuple[PriceStamp, ...]) -> str:
    """Return prices with their sources and times as JSON."""
    return _PRICES.adapter.dump_json(prices).decode()


def read_prices(text: str) -> tuple[PriceStamp, ...]:
    """Parse prices with their sources and times from JSON."""
    return _PRICES.adapter.validate_json(text)


def notice_kind(content: Content | type[Content]) -> str:
    """Return the value of `notices.kind` for this content."""
    return _KINDS[content if isinstance(content, type) else type(content)]


def write_content(content: Content) -> str:
    """Return a notice's content as JSON."""
    return _CONTENTS[notice_kind(content)].adapter.dump_json(content).decode()


def read_notice(row: Row[Any], notice_id: int) -> Notice:
    """Build the notice with this id; the row has every other column. Raises ValueError."""
    if row.kind not in _CONTENTS:
        raise ValueError(f"“{row.kind}” isn't a kind of notice that this release knows")
    return Notice(
        id=notice_id,
        channel=Channel(team=row.team, id=row.channel),
        name=row.name,
        content=_CONTENTS[row.kind].adapter.validate_json(row.content),
        opened_at=row.opened_at,
        closed_at=row.closed_at,
    )


def write_state(state: RuleState) -> dict[str, Any]:
    """Return the columns of `rules` that store a state, with their values."""
    return {
        "firing": state.firing and state.firing.value,
        "fired_at": state.fired_at,
        "breach": state.breach and state.breach.value,
        "breach_since": state.breach_at,
        "breach_last_seen_at": state.breach_seen_at,
        "clear_since": state.clear_at,
        "clear_last_seen_at": state.clear_seen_at,
        "nodata_since": state.nodata_since,
        "error_since": state.error_since,
    }


def read_rule(row: Row[Any]) -> ChannelRule:
    """Build a rule from a row of `rules`."""
    return ChannelRule(
        id=row.id,
        channel=Channel(team=row.team, id=row.channel),
        rule=_parse_rule(row.rule),
        state=RuleState(
            firing=_side(row.firing),
            fired_at=row.fired_at,
            breach=_side(row.breach),
            breach_at=row.breach_since,
            breach_seen_at=row.breach_last_seen_at,
            clear_at=row.clear_since,
            clear_seen_at=row.clear_last_seen_at,
            nodata_since=row.nodata_since,
            error_since=row.error_since,
        ),
        created_by=row.created_by,
        created_at=row.created_at,
        paused_at=row.paused_at,
        edition=row.edit_count,
    )


def read_rule_audit(row: Row[Any]) -> RuleAudit:
    """Build an audit record from a row of `rule_audit`."""
    return RuleAudit(
        kind=RuleAuditKind(row.kind), rule_id=row.rule_id, by=row.by, at=row.at, before=row.before, after=row.after
    )


def read_pair(text: str) -> Pair:
    """Parse a pair such as WGMI/BTC."""
    etf, _, crypto = text.partition("/")
    return Pair(etf=Symbol(etf), crypto=Symbol(crypto))


def days_since_1970(day: date) -> int:
    """Return a date as the stored day number."""
    return int(np.datetime64(day, "D").astype(np.int64))


def day_of(number: int) -> date:
    """Return the date of a stored day number."""
    day: date = np.datetime64(number, "D").astype(object)
    return day


def read_stored_alert(row: Row[Any]) -> StoredAlert:
    """Build an alert with its revision from a row of `alerts`."""
    return StoredAlert(alert=read_alert(row.alert, row.id, row.permalink), revision=row.revision)


def _side(value: str | None) -> Side | None:
    return None if value is None else Side(value)
