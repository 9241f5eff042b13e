from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.exc import StatementError

from services.domain.episode import Entry
from services.domain.prices import WGMI_BTC
from services.ports import Claim
from services.store.codec import read_alert, read_entry, write_alert, write_entry
from tests.fakes.alerts import AT, a_fact, an_alert

if TYPE_CHECKING:
    from services.domain.episode import Alert
    from services.ports import Store

moments = st.datetimes(timezones=st.just(UTC))
numbers = st.floats(allow_nan=False, allow_infinity=False)


@given(value=numbers, peak=numbers, as_of=moments, reason=st.text())
def test_an_alert_is_read_as_it_was_written(value: float, peak: float, as_of: datetime, reason: str) -> None:
    alert = an_alert(facts=[a_fact(value=value, peak=peak)], as_of=as_of, reason=reason)

    assert alert == read_alert(write_alert(alert))


@given(st.builds(Entry, at=moments, until=st.none() | moments))
def test_an_entry_is_read_as_it_was_written(entry: Entry) -> None:
    assert entry == read_entry(write_entry(entry))


def aware(alert: Alert) -> list[timedelta | None]:
    return [at.utcoffset() for at in (alert.opened_at, alert.as_of, alert.lead.measurement.as_of, alert.etf.at)]


def test_times_are_read_aware_utc() -> None:
    assert [timedelta(0)] * 4 == aware(read_alert(write_alert(an_alert())))


async def test_an_instant_of_another_zone_is_the_same_instant(store: Store) -> None:
    new_york = timezone(timedelta(hours=-5))
    await store.claim_tick(WGMI_BTC, AT, AT)

    assert Claim.TAKEN is await store.claim_tick(WGMI_BTC, AT.astimezone(new_york), AT)


async def test_a_time_without_a_zone_is_a_mistake(store: Store) -> None:
    with pytest.raises(StatementError, match="has no time zone"):
        await store.claim_tick(WGMI_BTC, AT.replace(tzinfo=None), AT)
