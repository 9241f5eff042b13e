from __future__ import annotations

from datetime import UTC, timedelta

import numpy as np
import pytest

from services.domain.hours import Hours, split_hours
from services.domain.prices import Bars, Symbol
from tests.fakes.legs import proxy_closes
from tests.fakes.market import CALENDAR, HOUR, aligned_market, crypto_bars, session_days

CLOSES = [100.0, 110.0, 99.0]  # at 16:00 of three sessions in January
OPENED = [None, 104.5, 108.9]  # at 9:00, the last full hour before 9:30
MARKET = aligned_market([1.0] * 3, CLOSES)


def bars(opened: list[float | None], closes: list[float] = CLOSES) -> Bars:
    """Hourly bars: one that ends at each close, and one that ends half an hour before the opening."""
    prices = {}
    for day, before, after in zip(session_days("2024-01-02", len(closes)), opened, closes, strict=True):
        row = CALENDAR.position(np.datetime64(day)) or 0
        opens_at, closes_at = (
            at[row].astype(object).replace(tzinfo=UTC) for at in (CALENDAR.opens_at, CALENDAR.closes_at)
        )
        if before:
            prices[opens_at - timedelta(minutes=30) - HOUR] = before
        prices[closes_at - HOUR] = after
    return crypto_bars(prices)


def test_bitcoins_way_is_split_at_each_opening_and_close() -> None:
    found = split_hours(MARKET, bars(OPENED), CALENDAR, 0)
    assert found is not None
    assert (110 / 104.5 * 99 / 108.9 - 1, 104.5 / 100 * 108.9 / 110 - 1) == pytest.approx((found.inside, found.outside))
    assert 99 / 100 == pytest.approx((1 + found.inside) * (1 + found.outside))
    assert (HOUR, 0) == (found.interval, found.unsplit)


def test_a_session_without_an_opening_price_counts_in_neither_and_is_counted() -> None:
    closes = [100.0, 100.0, 100.0, 100.0, 120.0]
    market = aligned_market([1.0] * 5, closes)
    found = split_hours(market, bars([None, 100.0, 100.0, 100.0, None], closes), CALENDAR, 0)
    assert Hours(inside=0.0, outside=0.0, interval=HOUR, unsplit=1) == found


def test_too_few_openings_split_nothing() -> None:
    assert split_hours(MARKET, bars([None, None, 108.9]), CALENDAR, 0) is None


@pytest.mark.parametrize(
    "prices",
    [
        pytest.param(proxy_closes(MARKET.sessions, np.array(CLOSES)), id="a share has closes alone"),
        pytest.param(
            Bars(
                symbol=Symbol("BTC"),
                interval=timedelta(days=1),
                opened_at=MARKET.sessions.astype("datetime64[s]"),
                closes=np.array(CLOSES),
                source="hand",
            ),
            id="daily bars have no openings",
        ),
    ],
)
def test_prices_without_openings_split_nothing(prices: Bars) -> None:
    assert split_hours(MARKET, prices, CALENDAR, 0) is None
