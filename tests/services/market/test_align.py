from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from services.core.errors import NoHistoryError
from services.core.prices import WGMI_BTC, Bars, Closes, Symbol
from services.core.reason import Code, Reason
from services.core.sessions import sessions_between
from services.market.align import Aligned, Leg, PriorHigh, Quarantined, align
from services.market.measure import Window, drawdown
from services.market.metrics import DRAWDOWN
from services.market.sources.files.prices import read_crypto_csv, read_etf_csv
from tests.fakes.market import CALENDAR, crypto_bars, etf_closes
from tests.fakes.reasons import reason

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
def test_bitcoin_is_priced_at_the_session_close(session: date, close: datetime) -> None:
    hours = {close + timedelta(hours=n): 100.0 + n for n in range(-30, 30)}

    rows = aligned({session: 20.0}, crypto_bars(hours))

    assert rows.crypto.tolist() == [99.0]  # the bar that ends at the close
    assert rows.exclusions == ()


def test_the_last_bar_fills_a_gap_of_two_hours_but_not_a_longer_one() -> None:
    close = at("2025-12-01T21:00")

    bridged = aligned({FULL_DAY: 20.0}, crypto_bars({close - timedelta(hours=3): 100.0}))
    broken = aligned({FULL_DAY: 20.0}, crypto_bars({close - timedelta(hours=3, seconds=1): 100.0}))

    assert bridged.crypto.tolist() == [100.0]
    assert np.isnan(broken.crypto).tolist() == [True]
    assert [(FULL_DAY, Leg.CRYPTO)] == [(exclusion.session, exclusion.leg) for exclusion in broken.exclusions]
    assert broken.exclusions[0].reason == (
        reason(Code.NO_BAR_BEFORE_CLOSE, last_at="2025-12-01T18:59:59+00:00", symbol="BTC")
    )


def test_a_bar_that_ends_after_the_close_is_not_used() -> None:
    rows = aligned({FULL_DAY: 20.0}, crypto_bars({at("2025-12-01T20:30"): 100.0}))

    assert rows.exclusions[0].reason == reason(Code.NO_BAR_BEFORE_CLOSE, last_at=None, symbol="BTC")


def test_a_session_without_an_etf_close_keeps_its_row_with_a_reason() -> None:
    hours = {at("2025-11-26T00:00") + timedelta(hours=n): 100.0 for n in range(200)}

    rows = aligned({date(2025, 11, 26): 20.0, FULL_DAY: 21.0}, crypto_bars(hours))

    assert rows.sessions.tolist() == [date(2025, 11, 26), HALF_DAY, FULL_DAY]  # Thanksgiving is not a session
    assert rows.complete.tolist() == [True, False, True]
    assert [exclusion.reason for exclusion in rows.exclusions] == [reason(Code.NO_CLOSE, source="hand", symbol="WGMI")]


def test_an_etf_close_on_a_holiday_is_excluded_with_a_reason() -> None:
    hours = {at("2025-11-26T00:00") + timedelta(hours=n): 100.0 for n in range(200)}

    rows = aligned({date(2025, 11, 26): 20.0, date(2025, 11, 27): 20.5, HALF_DAY: 21.0}, crypto_bars(hours))

    assert [(date(2025, 11, 27), Leg.ETF, reason(Code.CLOSE_WITHOUT_SESSION, session="2025-11-27", source="hand"))] == [
        (exclusion.session, exclusion.leg, exclusion.reason) for exclusion in rows.exclusions
    ]


def test_a_session_that_has_not_closed_has_no_row() -> None:
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
        pytest.param("2025-12-01T20:00", [100.0, None], id="the bar that ends at the close is not fetched yet"),
        pytest.param("2025-12-01T21:00", [100.0, 100.0], id="it is fetched"),
        pytest.param("2025-12-01T22:00", [100.0, 100.0], id="it is missing: a later bar is fetched"),
    ],
)
def test_the_last_session_is_excluded_until_its_bar_is_fetched(last_ended: str, expected: list[float | None]) -> None:
    hours = {at("2025-11-26T00:00") + timedelta(hours=n): 100.0 for n in range(200)}
    fetched = {opened: price for opened, price in hours.items() if opened + timedelta(hours=1) <= at(last_ended)}
    if last_ended.endswith("22:00"):
        del fetched[at("2025-12-01T20:00")]

    rows = aligned({HALF_DAY: 20.0, FULL_DAY: 21.0}, crypto_bars(fetched), until=at("2025-12-02T04:00"))

    assert expected == [None if np.isnan(price) else price for price in rows.crypto.tolist()]
    assert (None in expected) is (Code.BAR_PENDING in {exclusion.reason.code for exclusion in rows.exclusions})


def test_daily_bitcoin_bars_are_matched_by_date() -> None:
    days = {at("2025-11-28"): 100.0, at("2025-11-29"): 101.0}

    rows = aligned({HALF_DAY: 20.0, FULL_DAY: 21.0}, crypto_bars(days, interval=timedelta(days=1)))

    assert rows.crypto[0] == 100.0
    assert [exclusion.reason for exclusion in rows.exclusions] == [
        reason(Code.NO_BAR_THAT_DAY, source="hand", symbol="BTC")
    ]


def test_a_truncated_history_has_no_later_rows() -> None:
    hours = {at("2025-11-26T00:00") + timedelta(hours=n): 100.0 + n for n in range(200)}
    rows = aligned({HALF_DAY: 20.0, FULL_DAY: 21.0}, crypto_bars(hours))

    assert rows.until(at("2025-12-01T20:59")).sessions.tolist() == [HALF_DAY]
    assert rows.before(FULL_DAY).etf.tolist() == [20.0]


def test_a_live_row_has_its_own_instant() -> None:
    hours = {at("2025-11-26T00:00") + timedelta(hours=n): 100.0 for n in range(60)}
    rows = aligned({HALF_DAY: 20.0}, crypto_bars(hours))

    live = rows.with_live(FULL_DAY, at("2025-12-01T15:42"), etf=21.0, crypto=110.0)

    assert (len(rows), len(live), live.live) == (1, 2, True)
    assert live.at[-1] == np.datetime64("2025-12-01T15:42")
    assert (live.etf[-1], live.crypto[-1]) == (21.0, 110.0)


def test_rebasing_scales_all_prices_and_the_prior_high() -> None:
    hours = {at("2025-11-20T00:00") + timedelta(hours=n): 100.0 for n in range(300)}
    rows = aligned({HALF_DAY: 20.0, FULL_DAY: 21.0}, crypto_bars(hours))

    rebased = rows.rebased(etf=0.9, crypto=0.5)

    assert [18.0, 18.9] == pytest.approx(rebased.etf.tolist())
    assert [50.0, 50.0] == rebased.crypto.tolist()
    assert rebased.crypto_prior_high is not None
    assert 50.0 == rebased.crypto_prior_high.high


def test_rebasing_works_without_a_prior_high() -> None:
    close = at("2025-12-01T21:00")
    rows = aligned({FULL_DAY: 20.0}, crypto_bars({close - timedelta(hours=1): 100.0}))

    assert rows.rebased(etf=1.0, crypto=0.5).crypto_prior_high is None


def test_a_leg_without_closes_raises() -> None:
    nothing = Closes(
        symbol=Symbol("WGMI"), sessions=np.array([], dtype="datetime64[D]"), prices=np.array([]), source="hand"
    )
    with pytest.raises(NoHistoryError, match="hand has no WGMI closes"):
        align(WGMI_BTC, nothing, crypto_bars({at("2025-11-26"): 1.0}), CALENDAR)
    with pytest.raises(NoHistoryError, match="no WGMI close of a finished session"):
        aligned({FULL_DAY: 20.0}, crypto_bars({at("2025-11-26"): 1.0}), until=at("2025-11-30"))


def test_bitcoins_high_before_the_etf_was_listed_counts() -> None:
    hours = {at("2025-11-25T00:00") + timedelta(hours=n): 100.0 for n in range(200)}
    hours |= {at("2025-11-26T20:00"): 400.0}

    rows = aligned({HALF_DAY: 20.0, FULL_DAY: 21.0}, crypto_bars(hours))

    assert rows.crypto_prior_high == PriorHigh(high=400.0, high_on=date(2025, 11, 26), since=date(2025, 11, 25))
    depth = drawdown(rows, rows.crypto, rows.crypto_prior_high)
    assert depth is not None
    assert (0.75, 400.0, date(2025, 11, 26), date(2025, 11, 25)) == (
        depth.depth,
        depth.high,
        depth.high_on,
        depth.since,
    )
    series = DRAWDOWN.series
    assert series is not None
    assert [0.75, 0.75] == series(rows, Window.D1).tolist()


def test_a_price_before_bitcoin_existed_is_incomplete() -> None:
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
def test_four_years_of_real_prices_align_up_to_the_end_of_the_bitcoin_file() -> None:
    rows = align(
        WGMI_BTC,
        read_etf_csv(DATA / "equities/WGMI.csv", Symbol("WGMI")),
        read_crypto_csv(DATA / "btc/btcusdt_binance_1h.csv", Symbol("BTC")),
        CALENDAR,
    )

    assert int(rows.complete.sum()) == 1047
    assert {exclusion.leg for exclusion in rows.exclusions} == {Leg.CRYPTO}
    assert [rows.exclusions[0].session, len(rows.exclusions)] == [date(2026, 4, 14), 77]


DISPUTED = Reason.of(Code.PRICES_DISPUTED, prices=[("A", 100.0), ("B", 110.0)])
MOVED = Reason.of(Code.MOVED_FAR, moved=0.3, steps=1, step="session", period="day")


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        pytest.param("2025-12-01T21:00", [100.0, None], id="the bar of the close: an older one is not used"),
        pytest.param("2025-12-01T20:00", [100.0, 100.0], id="an older bar that is not needed"),
        pytest.param("2025-12-01T23:00", [100.0, 100.0], id="a bar after the last close"),
        pytest.param("2025-11-27T12:00", [100.0, 100.0], id="a bar of a holiday"),
    ],
)
def test_a_quarantined_bar_is_excluded(end: str, expected: list[float | None]) -> None:
    hours = {at("2025-11-26T00:00") + timedelta(hours=n): 100.0 for n in range(200)}
    ended = at(end)
    del hours[ended - timedelta(hours=1)]
    quarantined: Quarantined = ({}, {np.datetime64(ended.replace(tzinfo=None), "s"): DISPUTED})

    rows = align(
        WGMI_BTC, etf_closes({HALF_DAY: 20.0, FULL_DAY: 21.0}), crypto_bars(hours), CALENDAR, quarantined=quarantined
    )

    assert expected == [None if np.isnan(price) else price for price in rows.crypto.tolist()]
    assert [DISPUTED] * expected.count(None) == [exclusion.reason for exclusion in rows.exclusions]


def test_a_quarantined_close_is_excluded_with_its_reason() -> None:
    hours = {at("2025-11-26T00:00") + timedelta(hours=n): 100.0 for n in range(200)}
    prices = {date(2025, 11, 26): 19.0, FULL_DAY: 21.0}

    quarantined: Quarantined = ({np.datetime64(HALF_DAY): MOVED}, {})
    rows = align(WGMI_BTC, etf_closes(prices), crypto_bars(hours), CALENDAR, quarantined=quarantined)

    assert [(HALF_DAY, Leg.ETF, MOVED)] == [
        (exclusion.session, exclusion.leg, exclusion.reason) for exclusion in rows.exclusions
    ]


def test_bars_of_both_legs_are_read_at_each_close() -> None:
    hours = {at("2025-11-26T00:00") + timedelta(hours=n): 100.0 + n for n in range(200)}
    bars = crypto_bars(hours)

    rows = align(WGMI_BTC, bars, bars, CALENDAR)

    assert rows.etf.tolist() == rows.crypto.tolist()
    assert [date(2025, 11, 26), HALF_DAY, FULL_DAY, date(2025, 12, 2), date(2025, 12, 3)] == rows.sessions.tolist()


def test_a_calendar_that_begins_with_the_leg_gives_no_prior_high() -> None:
    hours = {at("2025-11-26T00:00") + timedelta(hours=n): 100.0 for n in range(200)}
    calendar = sessions_between(HALF_DAY, date(2025, 12, 31))

    rows = align(WGMI_BTC, etf_closes({HALF_DAY: 20.0, FULL_DAY: 21.0}), crypto_bars(hours), calendar)

    assert rows.crypto_prior_high is None


def test_bitcoin_without_a_price_at_any_earlier_close_has_no_prior_high() -> None:
    hours = {at("2025-11-25T00:00"): 500.0} | {at("2025-11-28T00:00") + timedelta(hours=n): 100.0 for n in range(120)}

    assert aligned({HALF_DAY: 20.0, FULL_DAY: 21.0}, crypto_bars(hours)).crypto_prior_high is None
