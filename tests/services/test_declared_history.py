import logging
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from handlers.render.reasons import sentences
from services.core.prices import WGMI_BTC, Closes, Symbol
from services.core.trust import Verdict
from services.market.consensus.closes import LegHistory
from services.market.measure import Measurement, Window
from services.market.price_history import PriceHistory
from services.market.sources.vendors.yahoo import Yahoo
from services.rules.market_service import MarketService
from services.rules.market_view import MarketView
from services.storage import SqlStore
from tests.fakes.clock import SetClock
from tests.fakes.store_snapshots import open_snapshot
from tests.fakes.vendors import Vendors

WGMI = Symbol("WGMI")
MORNING = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
NOON = datetime(2026, 3, 4, 17, 0, tzinfo=UTC)
EVENING = datetime(2026, 3, 5, 0, 0, tzinfo=UTC)
BEFORE, YESTERDAY, TODAY = date(2026, 3, 2), date(2026, 3, 3), date(2026, 3, 4)
MINUTE = timedelta(minutes=1)


class SecondVendor(Yahoo):
    """A second vendor with last trades; it serves Yahoo's data."""

    name = "Second"


@pytest.fixture
async def store() -> AsyncIterator[SqlStore]:
    store = await open_snapshot()
    yield store
    await store.aclose()


@pytest.fixture
def vendors() -> Vendors:
    return Vendors(
        SetClock(MORNING),
        etf_moves={YESTERDAY: 20.0},
        crypto_moves={datetime(2026, 3, 2, tzinfo=UTC): 50_000.0},
        crypto_since=datetime(2025, 1, 1, tzinfo=UTC),
    )


@pytest.fixture
def history(vendors: Vendors, store: SqlStore) -> PriceHistory:
    return a_history(vendors, store)


def a_history(vendors: Vendors, store: SqlStore) -> PriceHistory:
    """Return a history from Yahoo and Nasdaq; only Yahoo has last trades and declared actions."""
    return PriceHistory([vendors.yahoo(), vendors.nasdaq()], [vendors.coinbase(), vendors.bitstamp()], store)


async def leg(history: PriceHistory, vendors: Vendors, at: datetime, last: float | None = None) -> LegHistory:
    vendors.clock.at = at
    vendors.etf_last = (last, at) if last else vendors.etf_last
    return await history.leg(WGMI, at)


async def read_view(history: PriceHistory, vendors: Vendors, at: datetime, last: float | None = None) -> MarketView:
    vendors.clock.at = at
    vendors.etf_last = (last, at) if last else None
    return await MarketService(history).view(WGMI_BTC, at)


def closes(leg: LegHistory) -> dict[date, float]:
    assert isinstance(leg.history.prices, Closes)
    return dict(zip(leg.history.prices.sessions.tolist(), leg.history.prices.prices.tolist(), strict=True))


def moved(view: MarketView, window: Window = Window.D1) -> float:
    measured = view.current.measurements[window]
    assert isinstance(measured, Measurement)
    return measured.etf_return


async def test_a_declared_dividend_adjusts_the_whole_history_at_once(history: PriceHistory, vendors: Vendors) -> None:
    before = closes(await leg(history, vendors, EVENING))

    vendors.dividends[YESTERDAY] = 0.2
    vendors.clock.at = NOON + timedelta(days=1)
    after = closes(await leg(history, vendors, NOON + timedelta(days=1), 20.0))

    factor = 1 - 0.2 / before[BEFORE]
    assert before[YESTERDAY] == after[YESTERDAY]
    np.testing.assert_allclose(
        [price for day, price in after.items() if day < YESTERDAY],
        [price * factor for day, price in before.items() if day < YESTERDAY],
    )


async def test_on_an_ex_date_the_live_return_is_a_total_return_and_prices_are_as_traded(
    history: PriceHistory, vendors: Vendors
) -> None:
    vendors.dividends[TODAY] = 0.5

    morning = await read_view(history, vendors, MORNING)
    live = await read_view(history, vendors, NOON, 19.5)

    assert morning.close.etf is not None
    assert live.current.etf is not None
    assert (20.0, 19.5) == (morning.close.etf.price, live.current.etf.price)
    assert pytest.approx(0.0) == moved(live)
    assert live.current.etf_drawdown is not None
    assert pytest.approx(0.975 * morning.close.etf_drawdown.high) == live.current.etf_drawdown.high  # type: ignore[union-attr]


async def test_a_fall_by_the_days_dividend_is_not_suspect(history: PriceHistory, vendors: Vendors) -> None:
    jumped = (await leg(history, vendors, NOON, 17.6)).quote_trust.verdict

    vendors.dividends[TODAY] = 1.9
    paid = (await leg(history, vendors, NOON + MINUTE, 17.6)).quote_trust.verdict

    assert (Verdict.SUSPECT, Verdict.DEGRADED) == (jumped, paid)


async def test_after_the_close_of_an_ex_date_the_return_is_the_same(history: PriceHistory, vendors: Vendors) -> None:
    vendors.dividends[TODAY], vendors.etf_moves[TODAY] = 0.5, 19.5

    closed = await read_view(history, vendors, EVENING)

    assert closed.current.etf is not None
    assert [19.5, 0.0] == pytest.approx([closed.current.etf.price, moved(closed)])


async def test_the_view_of_an_ex_date_has_a_note(history: PriceHistory, vendors: Vendors) -> None:
    vendors.dividends[TODAY] = 0.11
    note = "WGMI went ex-dividend on Mar 4, 2026 ($0.11 a share, included in its returns)"

    morning = await read_view(history, vendors, MORNING)
    noon = await read_view(history, vendors, NOON, 19.9)
    evening = await read_view(history, vendors, EVENING)

    assert [False, True, True] == [note in sentences(view.current.trust.reasons) for view in (morning, noon, evening)]
    assert [Verdict.DEGRADED, Verdict.OK] == [view.current.trust.verdict for view in (noon, evening)]


async def test_a_dividend_is_still_in_the_history_after_a_restart(vendors: Vendors, store: SqlStore) -> None:
    vendors.dividends[date(2025, 12, 19)] = 0.5
    first = closes(await leg(a_history(vendors, store), vendors, EVENING))

    vendors.dividends.clear()  # the response with the last sessions starts after it
    again = closes(await leg(a_history(vendors, store), vendors, EVENING + MINUTE))

    assert first == again
    assert 0.49 < vendors.etf_close(date(2025, 12, 18)) - first[date(2025, 12, 18)] < 0.51


async def test_an_impossible_dividend_is_excluded_logged_once_and_reported(
    history: PriceHistory, vendors: Vendors, caplog: pytest.LogCaptureFixture
) -> None:
    vendors.dividends[YESTERDAY] = 9.0

    views = [await read_view(history, vendors, NOON, 20.0), await read_view(history, vendors, EVENING)]

    problem = "Yahoo reports a $9.00 dividend for WGMI on Mar 3, 2026, which can't be right; it's ignored"
    assert [[problem]] * 2 == [sentences(view.problems) for view in views]
    assert 1 == sum("action_invalid" in message for message in caplog.messages)
    assert logging.WARNING == max(record.levelno for record in caplog.records)


async def declare_split(vendors: Vendors, ratio: tuple[float, float], *rewritten: str) -> None:
    """Declare a split of today at Yahoo; the `rewritten` vendors already serve split-adjusted closes."""
    scale = ratio[1] / ratio[0]
    vendors.splits[TODAY] = ratio
    vendors.price_factors = dict.fromkeys(rewritten, scale)
    for vendor in {"yahoo", "nasdaq"} - {*rewritten}:
        vendors.close_overrides[(vendor, TODAY)] = 20.0 * scale
    for vendor in rewritten:
        vendors.close_overrides[(vendor, TODAY)] = 20.0


@pytest.mark.parametrize("ratio", [pytest.param((2, 1), id="2 for 1"), pytest.param((1, 10), id="reverse, 1 for 10")])
@pytest.mark.parametrize(
    "rewritten",
    [
        pytest.param((), id="no source rewrote its history"),
        pytest.param(("yahoo",), id="the declaring source did"),
        pytest.param(("nasdaq",), id="the other source did"),
        pytest.param(("yahoo", "nasdaq"), id="both did"),
    ],
)
async def test_a_declared_split_is_applied_once_even_if_sources_rewrite_history(
    history: PriceHistory, vendors: Vendors, ratio: tuple[float, float], rewritten: tuple[str, ...]
) -> None:
    before = closes(await leg(history, vendors, MORNING))
    scale = ratio[1] / ratio[0]

    await declare_split(vendors, ratio, *rewritten)
    live = await read_view(history, vendors, NOON, 21.0 * scale)
    closed = closes(await leg(history, vendors, EVENING))

    assert live.current.live
    assert pytest.approx(0.05) == moved(live)
    assert Verdict.SUSPECT is not live.current.trust.verdict
    np.testing.assert_allclose([closed[day] for day in before], [scale * price for price in before.values()], rtol=2e-4)
    assert pytest.approx(20.0 * scale) == closed[TODAY]


async def test_a_history_rewritten_days_after_a_split_is_not_adjusted_twice(
    history: PriceHistory, vendors: Vendors
) -> None:
    before = closes(await leg(history, vendors, MORNING))
    await declare_split(vendors, (2, 1))
    late = closes(await leg(history, vendors, EVENING))

    await declare_split(vendors, (2, 1), "yahoo", "nasdaq")
    vendors.close_overrides.clear()
    vendors.etf_moves[TODAY] = 20.0
    rewritten = closes(await leg(history, vendors, NOON + timedelta(days=1), 10.0))

    np.testing.assert_allclose([late[day] for day in before], [price / 2 for price in before.values()], rtol=2e-4)
    np.testing.assert_allclose(list(rewritten.values()), list(late.values()), rtol=2e-4)


async def test_a_dividend_and_a_split_on_one_day_are_both_in_the_return(
    history: PriceHistory, vendors: Vendors
) -> None:
    await leg(history, vendors, MORNING)

    await declare_split(vendors, (2, 1))
    vendors.dividends[TODAY] = 0.5
    live = await read_view(history, vendors, NOON, 9.5)

    assert pytest.approx(0.0) == moved(live)


def two_sources_with_trades(vendors: Vendors, store: SqlStore) -> PriceHistory:
    second = SecondVendor(vendors.client(), vendors.clock)
    return PriceHistory([vendors.yahoo(), second], [vendors.coinbase(), vendors.bitstamp()], store)


async def test_a_split_sized_trade_is_suspect_even_from_two_sources(vendors: Vendors, store: SqlStore) -> None:
    history = two_sources_with_trades(vendors, store)
    await leg(history, vendors, MORNING)

    quoted = (await leg(history, vendors, NOON, 10.0)).quote_trust

    reason = (
        "moved −50.0%, the size of a 2:1 split, and no source reports a split; "
        "the next close will show whether it was one"
    )
    assert (Verdict.SUSPECT, [reason]) == (quoted.verdict, sentences(quoted.reasons))


@pytest.mark.parametrize("price", [pytest.param(9.4, id="a crash"), pytest.param(15.9, id="as on 2025-01-27")])
async def test_a_crash_unlike_a_split_is_trusted_at_once(vendors: Vendors, store: SqlStore, price: float) -> None:
    history = two_sources_with_trades(vendors, store)
    await leg(history, vendors, MORNING)

    assert Verdict.OK is (await leg(history, vendors, NOON, price)).quote_trust.verdict


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"splits": {TODAY: (2, 1)}}, id="a declaration"),
        pytest.param({"etf_scale": 0.5}, id="a rewritten history"),
    ],
)
async def test_news_of_a_split_clears_the_suspect_trade(
    vendors: Vendors, store: SqlStore, change: dict[str, object]
) -> None:
    history = two_sources_with_trades(vendors, store)
    await leg(history, vendors, NOON, 10.0)

    for name, value in change.items():
        setattr(vendors, name, value)

    assert Verdict.OK is (await leg(history, vendors, NOON + MINUTE, 10.0)).quote_trust.verdict


async def test_the_next_close_clears_the_suspect_trade_as_news(vendors: Vendors, store: SqlStore) -> None:
    history = two_sources_with_trades(vendors, store)
    await leg(history, vendors, NOON, 10.0)

    vendors.etf_moves[TODAY], vendors.etf_last = 10.0, None
    view = await read_view(history, vendors, EVENING)

    assert Verdict.OK is view.current.trust.verdict
    assert pytest.approx(-0.5) == moved(view)
