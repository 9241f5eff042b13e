from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from services.core.errors import NoHistoryError
from services.core.prices import WGMI_BTC, Bars, Closes, Symbol
from services.core.sessions import sessions_between
from services.market.align import Aligned, Leg, Past, Quarantined, align
from services.market.measure import METRICS, Metric, Window, drawdown
from services.market.sources.files.prices import read_crypto_csv, read_etf_csv
from tests.fakes.market import CALENDAR, crypto_bars, etf_closes

DATA = Path("../shared/data")
HALF_DAY, FULL_DAY = date(2025, 11, 28), date(2025, 12, 1)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def aligned(etf: dict[date, float], crypto: Bars, until: datetime | None = None) -> Aligned:
    return align(WGMI_BTC, etf_closes(etf), crypto, CALENDAR, until=until)


@pytest.mark.parametrize(
    ("session", "close"),
    [
        pytest.param(date(2025, 11, 28), at("2025-11-28T18:00"), id="a half-day closes at 13:00 New York"),
        pytest.param(date(2025, 12, 1), at("2025-12-01T21:00"), id="winter: 16:00 New York is 21:00 UTC"),
        pytest.param(date(2026, 3, 6), at("2026-03-06T21:00"), id="the last session of winter time"),
        pytest.param(date(2026, 3, 9), at("2026-03-09T20:00"), id="the first session of summer time"),
        pytest.param(date(2026, 10, 30), at("2026-10-30T20:00"), id="the last session of summer time"),
        pytest.param(date(2026, 11, 2), at("2026-11-02T21:00"), id="the first session of winter time"),
    ],
)
def test_bitcoin_is_read_at_the_very_close_of_the_session(session: date, close: datetime) -> None:
    hours = {close + timedelta(hours=n): 100.0 + n for n in range(-30, 30)}

    rows = aligned({session: 20.0}, crypto_bars(hours))

    assert rows.crypto.tolist() == [99.0]  # the bar that opened an hour before the close has just ended
    assert rows.left_out == ()


def test_a_gap_of_two_hours_is_bridged_by_the_last_bar_and_a_longer_one_is_not() -> None:
    close = at("2025-12-01T21:00")

    bridged = aligned({FULL_DAY: 20.0}, crypto_bars({close - timedelta(hours=3): 100.0}))
    broken = aligned({FULL_DAY: 20.0}, crypto_bars({close - timedelta(hours=3, seconds=1): 100.0}))

    assert bridged.crypto.tolist() == [100.0]
    assert np.isnan(broken.crypto).tolist() == [True]
    assert [(FULL_DAY, Leg.CRYPTO)] == [(out.session, out.leg) for out in broken.left_out]
    assert broken.left_out[0].reason == (
        "no BTC bar ended in the 2 h up to the close; the last one before it ended 2025-12-01 18:59 UTC"
    )


def test_a_bar_that_ends_after_the_close_is_the_future() -> None:
    rows = aligned({FULL_DAY: 20.0}, crypto_bars({at("2025-12-01T20:30"): 100.0}))

    assert rows.left_out[0].reason == "no BTC bar ended in the 2 h up to the close; the bars begin later"


def test_a_session_without_an_etf_close_stays_a_row_with_its_reason() -> None:
    hours = {at("2025-11-26T00:00") + timedelta(hours=n): 100.0 for n in range(200)}

    rows = aligned({date(2025, 11, 26): 20.0, FULL_DAY: 21.0}, crypto_bars(hours))

    assert rows.sessions.tolist() == [date(2025, 11, 26), HALF_DAY, FULL_DAY]  # Thanksgiving is no session
    assert rows.complete.tolist() == [True, False, True]
    assert [out.reason for out in rows.left_out] == ["hand has no WGMI close for this session"]


def test_an_etf_close_on_a_holiday_is_left_out_with_its_reason() -> None:
    hours = {at("2025-11-26T00:00") + timedelta(hours=n): 100.0 for n in range(200)}

    rows = aligned({date(2025, 11, 26): 20.0, date(2025, 11, 27): 20.5, HALF_DAY: 21.0}, crypto_bars(hours))

    assert [(date(2025, 11, 27), Leg.ETF, "hand has a close on 2025-11-27, which is no XNYS session")] == [
        (out.session, out.leg, out.reason) for out in rows.left_out
    ]


def test_a_session_that_has_not_closed_yet_is_not_there() -> None:
    hours = {at("2025-11-26T00:00") + timedelta(hours=n): 100.0 for n in range(200)}
    prices = {HALF_DAY: 20.0, FULL_DAY: 21.0}

    before = aligned(prices, crypto_bars(hours), until=at("2025-12-01T20:59:59"))
    after = aligned(prices, crypto_bars(hours), until=at("2025-12-01T21:00"))

    assert before.sessions.tolist() == [HALF_DAY]
    assert after.sessions.tolist() == [HALF_DAY, FULL_DAY]


def test_a_session_whose_close_is_late_is_a_row_without_an_etf_price() -> None:
    hours = {at("2025-11-26T00:00") + timedelta(hours=n): 100.0 for n in range(200)}

    rows = aligned({HALF_DAY: 20.0}, crypto_bars(hours), until=at("2025-12-01T21:05"))

    assert rows.complete.tolist() == [True, False]


@pytest.mark.parametrize(
    ("last_ended", "expected"),
    [
        pytest.param("2025-12-01T20:00", [100.0, None], id="the bar that ends at the close is still to come"),
        pytest.param("2025-12-01T21:00", [100.0, 100.0], id="it has come"),
        pytest.param("2025-12-01T22:00", [100.0, 100.0], id="it will never come: a later one has"),
    ],
)
def test_a_bar_still_to_be_fetched_is_waited_for(last_ended: str, expected: list[float | None]) -> None:
    hours = {at("2025-11-26T00:00") + timedelta(hours=n): 100.0 for n in range(200)}
    come = {opened: price for opened, price in hours.items() if opened + timedelta(hours=1) <= at(last_ended)}
    if last_ended.endswith("22:00"):
        del come[at("2025-12-01T20:00")]

    rows = aligned({HALF_DAY: 20.0, FULL_DAY: 21.0}, crypto_bars(come), until=at("2025-12-02T04:00"))

    assert expected == [None if np.isnan(price) else price for price in rows.crypto.tolist()]
    assert (None in expected) is ("has not come yet" in "".join(out.reason for out in rows.left_out))


def test_daily_bitcoin_takes_the_day_of_the_same_date() -> None:
    days = {at("2025-11-28"): 100.0, at("2025-11-29"): 101.0}

    rows = aligned({HALF_DAY: 20.0, FULL_DAY: 21.0}, crypto_bars(days, interval=timedelta(days=1)))

    assert rows.crypto[0] == 100.0
    assert [out.reason for out in rows.left_out] == ["hand has no BTC bar for this day"]


def test_a_cut_knows_nothing_of_what_came_after() -> None:
    hours = {at("2025-11-26T00:00") + timedelta(hours=n): 100.0 + n for n in range(200)}
    rows = aligned({HALF_DAY: 20.0, FULL_DAY: 21.0}, crypto_bars(hours))

    assert rows.until(at("2025-12-01T20:59")).sessions.tolist() == [HALF_DAY]
    assert rows.before(FULL_DAY).etf.tolist() == [20.0]


def test_a_live_row_carries_its_own_instant() -> None:
    hours = {at("2025-11-26T00:00") + timedelta(hours=n): 100.0 for n in range(60)}
    rows = aligned({HALF_DAY: 20.0}, crypto_bars(hours))

    live = rows.with_live(FULL_DAY, at("2025-12-01T15:42"), etf=21.0, crypto=110.0)

    assert (len(rows), len(live), live.live) == (1, 2, True)
    assert live.at[-1] == np.datetime64("2025-12-01T15:42")
    assert (live.etf[-1], live.crypto[-1]) == (21.0, 110.0)


def test_a_past_can_be_made_fit_for_a_later_price() -> None:
    hours = {at("2025-11-20T00:00") + timedelta(hours=n): 100.0 for n in range(300)}
    rows = aligned({HALF_DAY: 20.0, FULL_DAY: 21.0}, crypto_bars(hours))

    carried = rows.carried(etf=0.9, crypto=0.5)

    assert [18.0, 18.9] == pytest.approx(carried.etf.tolist())
    assert [50.0, 50.0] == carried.crypto.tolist()
    assert carried.crypto_past is not None
    assert 50.0 == carried.crypto_past.high


def test_a_past_without_earlier_sessions_is_carried_too() -> None:
    close = at("2025-12-01T21:00")
    rows = aligned({FULL_DAY: 20.0}, crypto_bars({close - timedelta(hours=1): 100.0}))

    assert rows.carried(etf=1.0, crypto=0.5).crypto_past is None


def test_no_closes_at_all_say_so() -> None:
    nothing = Closes(
        symbol=Symbol("WGMI"), sessions=np.array([], dtype="datetime64[D]"), prices=np.array([]), source="hand"
    )
    with pytest.raises(NoHistoryError, match="hand has no WGMI closes"):
        align(WGMI_BTC, nothing, crypto_bars({at("2025-11-26"): 1.0}), CALENDAR)
    with pytest.raises(NoHistoryError, match="no WGMI close of a finished session"):
        aligned({FULL_DAY: 20.0}, crypto_bars({at("2025-11-26"): 1.0}), until=at("2025-11-30"))


def test_bitcoins_high_before_the_etf_was_listed_is_not_forgotten() -> None:
    hours = {at("2025-11-25T00:00") + timedelta(hours=n): 100.0 for n in range(200)}
    hours |= {at("2025-11-26T20:00"): 400.0}

    rows = aligned({HALF_DAY: 20.0, FULL_DAY: 21.0}, crypto_bars(hours))

    assert rows.crypto_past == Past(high=400.0, high_on=date(2025, 11, 26), since=date(2025, 11, 25))
    depth = drawdown(rows, rows.crypto, rows.crypto_past)
    assert depth is not None
    assert (0.75, 400.0, date(2025, 11, 26), date(2025, 11, 25)) == (
        depth.depth,
        depth.high,
        depth.high_on,
        depth.since,
    )
    series = METRICS[Metric.DRAWDOWN].series
    assert series is not None
    assert [0.75, 0.75] == series(rows, Window.D1).tolist()


def test_a_price_of_long_ago_meets_no_bitcoin() -> None:
    bars = Bars(
        symbol=Symbol("BTC"),
        interval=timedelta(hours=1),
        opened_at=np.array(["2020-01-02T00:00"], dtype="datetime64[s]"),
        closes=np.array([7_000.0]),
        source="hand",
    )
    old = sessions_between(date(1965, 1, 1), date(1966, 1, 1))

    rows = align(WGMI_BTC, etf_closes({date(1965, 3, 2): 20.0}), bars, old)

    assert not rows.complete.any()


@pytest.mark.skipif(not DATA.exists(), reason="the vendor price files in ../shared/data are not here")
def test_four_years_of_real_prices_align_but_for_the_days_past_the_bitcoin_file() -> None:
    rows = align(
        WGMI_BTC,
        read_etf_csv(DATA / "equities/WGMI.csv", Symbol("WGMI")),
        read_crypto_csv(DATA / "btc/btcusdt_binance_1h.csv", Symbol("BTC")),
        CALENDAR,
    )

    assert int(rows.complete.sum()) == 1047
    assert {out.leg for out in rows.left_out} == {Leg.CRYPTO}
    assert [rows.left_out[0].session, len(rows.left_out)] == [date(2026, 4, 14), 77]


HELD = "Coinbase has 100 and Kraken 104, 4.0% apart"


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        pytest.param("2025-12-01T21:00", [100.0, None], id="the bar of the close: an older one does not stand in"),
        pytest.param("2025-12-01T20:00", [100.0, 100.0], id="an older bar, which is not needed"),
        pytest.param("2025-12-01T23:00", [100.0, 100.0], id="a bar after the last close"),
        pytest.param("2025-11-27T12:00", [100.0, 100.0], id="a bar of a holiday"),
    ],
)
def test_a_bar_that_nobody_stands_behind_is_left_out(end: str, expected: list[float | None]) -> None:
    hours = {at("2025-11-26T00:00") + timedelta(hours=n): 100.0 for n in range(200)}
    ended = at(end)
    del hours[ended - timedelta(hours=1)]
    held: Quarantined = ({}, {np.datetime64(ended.replace(tzinfo=None), "s"): HELD})

    rows = align(WGMI_BTC, etf_closes({HALF_DAY: 20.0, FULL_DAY: 21.0}), crypto_bars(hours), CALENDAR, held=held)

    assert expected == [None if np.isnan(price) else price for price in rows.crypto.tolist()]
    assert [HELD] * expected.count(None) == [out.reason for out in rows.left_out]


def test_a_close_that_nobody_stands_behind_is_left_out_with_its_reason() -> None:
    hours = {at("2025-11-26T00:00") + timedelta(hours=n): 100.0 for n in range(200)}
    prices = {date(2025, 11, 26): 19.0, FULL_DAY: 21.0}

    held: Quarantined = ({np.datetime64(HALF_DAY): "moved"}, {})
    rows = align(WGMI_BTC, etf_closes(prices), crypto_bars(hours), CALENDAR, held=held)

    assert [(HALF_DAY, Leg.ETF, "moved")] == [(out.session, out.leg, out.reason) for out in rows.left_out]


def test_bars_on_both_sides_are_read_at_each_close() -> None:
    hours = {at("2025-11-26T00:00") + timedelta(hours=n): 100.0 + n for n in range(200)}
    bars = crypto_bars(hours)

    rows = align(WGMI_BTC, bars, bars, CALENDAR)

    assert rows.etf.tolist() == rows.crypto.tolist()
    assert [date(2025, 11, 26), HALF_DAY, FULL_DAY, date(2025, 12, 2), date(2025, 12, 3)] == rows.sessions.tolist()


def test_a_calendar_that_begins_with_the_leg_has_no_past() -> None:
    hours = {at("2025-11-26T00:00") + timedelta(hours=n): 100.0 for n in range(200)}
    calendar = sessions_between(HALF_DAY, date(2025, 12, 31))

    rows = align(WGMI_BTC, etf_closes({HALF_DAY: 20.0, FULL_DAY: 21.0}), crypto_bars(hours), calendar)

    assert rows.crypto_past is None


def test_bitcoin_without_a_price_at_any_earlier_close_has_no_past() -> None:
    hours = {at("2025-11-25T00:00"): 500.0} | {at("2025-11-28T00:00") + timedelta(hours=n): 100.0 for n in range(120)}

    assert aligned({HALF_DAY: 20.0, FULL_DAY: 21.0}, crypto_bars(hours)).crypto_past is None
