import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import StatementError

from services.alerting.alert import Alert, TimelineEntry
from services.alerting.tick_log import Claim
from services.core.prices import WGMI_BTC
from services.storage import SqlStore, codec
from services.storage.codec import read_alert, read_entry, write_alert, write_entry
from tests.fakes.alerts import AT, a_rule_hit, an_alert

moments = st.datetimes(timezones=st.just(UTC))
numbers = st.floats(allow_nan=False, allow_infinity=False)


@given(value=numbers, peak=numbers, as_of=moments, reason=st.text())
def test_an_alert_is_read_as_it_was_written(value: float, peak: float, as_of: datetime, reason: str) -> None:
    alert = an_alert(hits=[a_rule_hit(value=value, peak=peak)], as_of=as_of, reason=reason)

    assert alert == read_alert(write_alert(alert), alert.id)


@given(st.builds(TimelineEntry, at=moments, until=st.none() | moments, reason=st.text()))
def test_an_entry_is_read_as_it_was_written(entry: TimelineEntry) -> None:
    assert entry == read_entry(write_entry(entry))


def aware(alert: Alert) -> list[timedelta | None]:
    return [at.utcoffset() for at in (alert.opened_at, alert.as_of, alert.lead.measurement.as_of, alert.etf.at)]


def test_times_are_read_aware_utc() -> None:
    assert [timedelta(0)] * 4 == aware(read_alert(write_alert(an_alert()), 1))


async def test_times_are_equal_across_time_zones(store: SqlStore) -> None:
    new_york = timezone(timedelta(hours=-5))
    await store.claim_tick(WGMI_BTC, AT, AT)

    assert Claim.TAKEN is await store.claim_tick(WGMI_BTC, AT.astimezone(new_york), AT)


async def test_a_naive_time_is_an_error(store: SqlStore) -> None:
    with pytest.raises(StatementError, match="has no time zone"):
        await store.claim_tick(WGMI_BTC, AT.replace(tzinfo=None), AT)


def fields_of(schema: dict[str, Any], defs: dict[str, Any], path: str, seen: tuple[str, ...] = ()) -> set[str]:
    """Return every path of field names in a JSON schema, without the names of classes."""
    found: set[str] = set()
    if (ref := schema.get("$ref")) and ref not in seen:
        found |= fields_of(defs[ref.rpartition("/")[2]], defs, path, (*seen, ref))
    for name, inner in schema.get("properties", {}).items():
        found |= {f"{path}.{name}"} | fields_of(inner, defs, f"{path}.{name}", seen)
    for inner in [
        *schema.get("anyOf", []),
        *schema.get("prefixItems", []),
        *([schema["items"]] if schema.get("items") else []),
    ]:
        found |= fields_of(inner, defs, path, seen)
    return found | {f"{path}={value}" for value in schema.get("enum", [])}


def test_stored_kinds_and_field_names_do_not_change() -> None:
    stored = set()
    for kind, stored_type in codec.STORED.items():
        schema = stored_type.adapter.json_schema()
        stored |= fields_of(schema, schema.get("$defs", {}), kind)

    assert json.loads((Path(__file__).parent / "stored_fields.json").read_text("utf-8")) == sorted(stored)
