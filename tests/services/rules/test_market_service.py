import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta

import httpx
import pytest

from services.core.errors import NoHistoryError
from services.core.prices import WGMI_BTC, Pair, Symbol
from services.core.reason import Code
from services.core.trust import TRUSTED, Trust, Verdict
from services.market.gap import GapBasis
from services.market.measure import Measurement, NotMeasured, Window
from services.market.price_history import PriceHistory
from services.rules.grammar import parse_rule
from services.rules.market_service import MarketService
from services.rules.market_view import MarketView
from tests.fakes.clock import SetClock
from tests.fakes.reasons import reason, reason_with
from tests.fakes.store_snapshots import open_snapshot
from tests.fakes.vendors import Vendors

NOON = datetime(2026, 3, 4, 16, 30, tzinfo=UTC)
OPEN = datetime(2026, 3, 4, 14, 30, tzinfo=UTC)
CLOSE = datetime(2026, 3, 4, 21, 0, tzinfo=UTC)
YESTERDAY = datetime(2026, 3, 3, 21, 0, tzinfo=UTC)


@pytest.fixture
async def vendors() -> Vendors:
    return Vendors(SetClock(NOON), crypto_since=datetime(2025, 1, 1, tzinfo=UTC))


@pytest.fixture
async def market(vendors: Vendors) -> AsyncIterator[MarketService]:
    store = await open_snapshot()
    yield MarketService(PriceHistory([vendors.yahoo()], [vendors.coinbase()], store, requires_witness=False))
    await store.aclose()


async def view_at(market: MarketService, vendors: Vendors, at: datetime) -> MarketView:
    vendors.clock.at = at
    return await market.view(WGMI_BTC, at)


def one_session(view: MarketView) -> Measurement:
    measured = view.current.measurements[Window.D1]
    assert isinstance(measured, Measurement)
    return measured


async def test_in_a_session_both_legs_are_read_at_the_earlier_quote(market: MarketService, vendors: Vendors) -> None:
    traded = NOON - timedelta(minutes=4)
    vendors.etf_moves[date(2026, 3, 3)] = 20.0
    vendors.etf_last = (22.0, traded)
    vendors.crypto_moves = {
        YESTERDAY: 50_000.0,
        NOON - timedelta(minutes=30): 45_000.0,
        NOON - timedelta(minutes=2): 60_000.0,
    }

    view = await view_at(market, vendors, NOON)

    assert view.live is not None
    assert traded == view.live.at
    assert [0.10, -0.10] == pytest.approx([one_session(view).etf_return, one_session(view).crypto_return])
    assert date(2026, 3, 3) == one_session(view).anchor
    assert view.live.crypto is not None
    assert ("Coinbase", 45_000.0, traded) == (view.live.crypto.source, view.live.crypto.price, view.live.crypto.at)


async def test_a_live_window_starts_at_the_close_that_many_sessions_ago(
    market: MarketService, vendors: Vendors
) -> None:
    vendors.etf_last = (22.0, NOON)

    view = await view_at(market, vendors, NOON)
    week = view.current.measurements[Window.D5]

    assert isinstance(week, Measurement)
    assert (date(2026, 3, 4), date(2026, 2, 25), True) == (week.session, week.anchor, week.live)


async def test_live_rules_wait_for_the_first_trade_of_the_session(market: MarketService, vendors: Vendors) -> None:
    vendors.etf_moves[date(2026, 3, 3)] = 25.0

    view = await view_at(market, vendors, OPEN + timedelta(minutes=2))
    seen, closed = view.observe(parse_rule("1d 8pp")), view.observe(parse_rule("1d 8pp at close"))

    assert (None, reason(Code.NO_TRADE_IN_SESSION, session="2026-03-04", symbol="WGMI")) == (
        view.live,
        view.live_reason,
    )
    assert (None, view.live_reason, True) == (seen.value, seen.reason, seen.awaiting_trade)
    assert (YESTERDAY, True, False) == (closed.at, closed.at_close, closed.awaiting_trade)
    assert closed.value is not None
    assert closed.value > 0.2


async def test_live_rules_do_not_use_yesterdays_close_if_the_source_fails(
    market: MarketService, vendors: Vendors
) -> None:
    await view_at(market, vendors, YESTERDAY + timedelta(hours=1))
    vendors.faults["yahoo"] = [httpx.Response(404)] * 9

    seen = (await view_at(market, vendors, OPEN + timedelta(minutes=2))).observe(parse_rule("1d 8pp"))
    gap = (await view_at(market, vendors, OPEN + timedelta(minutes=3))).observe(parse_rule("gap 5%"))

    assert (None, reason(Code.NO_TRADE_IN_SESSION, session="2026-03-04", symbol="WGMI"), False) == (
        seen.value,
        seen.reason,
        seen.awaiting_trade,
    )
    assert (None, reason(Code.NO_TRADE_IN_SESSION, session="2026-03-04", symbol="WGMI")) == (gap.value, gap.reason)


async def test_live_rules_do_not_use_yesterdays_close_without_last_trades(
    market: MarketService, vendors: Vendors
) -> None:
    vendors.last_trade_known = False

    view = await view_at(market, vendors, OPEN + timedelta(minutes=2))

    assert (None, False) == (
        view.observe(parse_rule("1d 8pp")).value,
        view.observe(parse_rule("1d 8pp")).awaiting_trade,
    )


async def test_half_an_hour_without_a_first_trade_is_no_data(market: MarketService, vendors: Vendors) -> None:
    view = await view_at(market, vendors, OPEN + timedelta(minutes=30))

    seen = view.observe(parse_rule("1d 8pp"))

    assert (None, reason(Code.NO_TRADE_IN_SESSION, session="2026-03-04", symbol="WGMI"), False) == (
        seen.value,
        seen.reason,
        seen.awaiting_trade,
    )
    assert view.measurement(parse_rule("1d 8pp")) is None
    with pytest.raises(ValueError, match="nothing to evaluate"):
        view.price_stamps(parse_rule("1d 8pp"))


async def test_an_etf_trade_older_than_20_minutes_is_not_live(market: MarketService, vendors: Vendors) -> None:
    vendors.etf_last = (22.0, NOON - timedelta(minutes=21))

    view = await view_at(market, vendors, NOON)

    assert reason(Code.TRADE_TOO_OLD, age_min=21, source="Yahoo", symbol="WGMI") == view.live_reason
    assert view.observe(parse_rule("1d 8pp")).value is None


async def test_an_at_close_rule_observes_the_last_close_all_day(market: MarketService, vendors: Vendors) -> None:
    vendors.etf_last = (22.0, NOON)

    view = await view_at(market, vendors, NOON)

    assert YESTERDAY == view.observe(parse_rule("1d 8pp at close")).at
    assert NOON == view.observe(parse_rule("1d 8pp")).at


async def test_a_bitcoin_quote_older_than_the_etf_quote_is_not_compared(
    market: MarketService, vendors: Vendors
) -> None:
    vendors.etf_last = (22.0, NOON)
    vendors.faults["coinbase"] = [None] * 80
    await view_at(market, vendors, NOON - timedelta(minutes=3))
    vendors.faults["coinbase"] = [httpx.Response(404, json={"message": "NotFound"})]

    view = await view_at(market, vendors, NOON)

    assert reason(Code.QUOTE_LAGS, lag_s=180, other="WGMI", symbol="BTC") == view.live_reason
    assert "Coinbase (BTC)" in str(view.problems[0])


async def test_missing_minute_bars_are_a_reason_and_a_problem(market: MarketService, vendors: Vendors) -> None:
    await view_at(market, vendors, NOON - timedelta(minutes=5))
    vendors.etf_last = (22.0, NOON - timedelta(minutes=4))
    vendors.faults["coinbase"] = [None, httpx.Response(404, json={"message": "NotFound"})]

    view = await view_at(market, vendors, NOON)

    assert view.live is None
    assert (view.live_reason,) == view.problems


async def test_a_minute_without_trades_has_no_price(market: MarketService, vendors: Vendors) -> None:
    await view_at(market, vendors, NOON - timedelta(minutes=5))
    vendors.etf_last = (22.0, NOON - timedelta(minutes=4))
    vendors.faults["coinbase"] = [None, httpx.Response(200, json=[])]

    view = await view_at(market, vendors, NOON)

    assert reason(Code.NO_PRICE_AT, at="2026-03-04T16:26:00+00:00", other="WGMI", symbol="BTC") == view.live_reason


async def test_after_the_close_the_last_trades_are_used_until_the_close_is_final(
    market: MarketService, vendors: Vendors
) -> None:
    vendors.etf_last = (22.0, CLOSE - timedelta(minutes=1))

    waiting = await view_at(market, vendors, CLOSE + timedelta(minutes=2))
    final = await view_at(market, vendors, CLOSE + timedelta(minutes=16))

    assert waiting.live is not None
    assert CLOSE - timedelta(minutes=1) == waiting.live.at
    assert (None, CLOSE) == (final.live, final.current.at)


async def test_a_missing_close_has_its_reason(market: MarketService, vendors: Vendors) -> None:
    vendors.etf_last = (20.0, YESTERDAY)
    await view_at(market, vendors, YESTERDAY + timedelta(hours=1))
    vendors.faults["yahoo"] = [httpx.Response(404)] * 9

    view = await view_at(market, vendors, CLOSE + timedelta(minutes=31))
    measured = view.current.measurements[Window.D1]

    assert isinstance(measured, NotMeasured)
    assert (
        reason(
            Code.MISSING_PRICE, reasons=(reason(Code.NO_CLOSE, source="Yahoo", symbol="WGMI"),), session="2026-03-04"
        )
        == measured.reason
    )
    assert view.current.etf is None
    assert measured.reason == view.observe(parse_rule("1d 8pp")).reason


async def test_outside_the_session_bitcoins_move_implies_a_gap_and_no_divergence(
    market: MarketService, vendors: Vendors
) -> None:
    quiet_market = await view_at(market, vendors, CLOSE + timedelta(hours=1))
    vendors.crypto_moves = {CLOSE + timedelta(hours=2): 40_000.0}

    view = await view_at(market, vendors, CLOSE + timedelta(hours=3))
    gap = view.gap

    assert view.live is None
    assert one_session(quiet_market).spread == one_session(view).spread
    assert gap is not None
    assert gap.beta is not None
    assert gap.move == pytest.approx(-0.2, abs=0.02)
    assert (60, GapBasis.OPENINGS) == (gap.pairs, gap.basis)
    assert (gap.implied, view.now) == (view.observe(parse_rule("gap 5%")).value, gap.at)
    assert 40_000.0 == view.price_stamps(parse_rule("gap 5%"))[1].price


async def test_the_gap_is_zero_when_the_etf_trades_again(market: MarketService, vendors: Vendors) -> None:
    vendors.etf_last = (20.0, NOON)

    view = await view_at(market, vendors, NOON)

    assert (None, 0.0) == (view.gap, view.observe(parse_rule("gap 5%")).value)


async def test_without_a_bitcoin_quote_there_is_no_gap(market: MarketService, vendors: Vendors) -> None:
    vendors.faults["coinbase ticker"] = [httpx.Response(404, json={"message": "NotFound"})] * 9
    view = await view_at(market, vendors, CLOSE + timedelta(hours=1))

    assert view.observe(parse_rule("gap 5%")).reason == reason(Code.GAP_UNKNOWN)


async def test_a_drawdown_rule_observes_bitcoins_depth(market: MarketService, vendors: Vendors) -> None:
    vendors.crypto_moves = {CLOSE - timedelta(hours=2): 20_000.0}

    view = await view_at(market, vendors, CLOSE + timedelta(hours=1))

    assert 0.6 == pytest.approx(view.observe(parse_rule("drawdown 60%")).value, abs=0.01)


async def test_a_metric_without_enough_history_has_a_reason(market: MarketService, vendors: Vendors) -> None:
    vendors.crypto_moves = {datetime(2020, 1, 1, tzinfo=UTC): 50_000.0}

    view = await view_at(market, vendors, CLOSE + timedelta(hours=1))

    assert reason(Code.TOO_LITTLE_HISTORY, metric="residual") == view.observe(parse_rule("1d residual 5pp")).reason


async def test_a_view_is_shared_for_a_few_seconds_and_fetched_once(market: MarketService, vendors: Vendors) -> None:
    first = await view_at(market, vendors, NOON)
    calls = len(vendors.requests)

    again = await view_at(market, vendors, NOON + timedelta(seconds=9))
    later = await view_at(market, vendors, NOON + timedelta(seconds=10))

    assert first is again is not later
    assert len(vendors.requests) == calls + 2  # one chart call, one ticker call


async def test_no_prices_at_all_raise_with_the_sources_problem(market: MarketService, vendors: Vendors) -> None:
    vendors.faults["yahoo"] = [httpx.Response(404)]

    with pytest.raises(NoHistoryError) as error:
        await view_at(market, vendors, NOON)
    assert reason_with(Code.NO_PRICES_YET, symbol="WGMI") == error.value.reason
    assert "Yahoo (WGMI): doesn't know the symbol" in str(error.value)


@pytest.mark.parametrize(
    ("at", "session", "half_day"),
    [
        pytest.param(datetime(2025, 11, 28, 17, 30, tzinfo=UTC), date(2025, 11, 28), True, id="half-day"),
        pytest.param(datetime(2026, 3, 9, 13, 45, tzinfo=UTC), date(2026, 3, 9), False, id="first summer session"),
    ],
)
async def test_live_follows_the_calendar(
    market: MarketService, vendors: Vendors, at: datetime, session: date, half_day: bool
) -> None:
    vendors.etf_last = (22.0, at)

    view = await view_at(market, vendors, at)

    assert view.live is not None
    assert (session, half_day) == (view.live.session, view.market.half_day)


async def test_a_close_waits_for_the_bitcoin_bar_that_ends_with_it(market: MarketService, vendors: Vendors) -> None:
    vendors.etf_moves[date(2026, 3, 4)] = 22.0
    vendors.etf_last = (22.0, CLOSE)
    await view_at(market, vendors, CLOSE - timedelta(minutes=1))
    vendors.crypto_moves = {CLOSE - timedelta(minutes=30): 60_000.0}
    down = httpx.Response(404, json={"message": "NotFound"})

    vendors.faults["coinbase candles"] = [down]
    waiting = await view_at(market, vendors, CLOSE + timedelta(seconds=20))
    vendors.faults["coinbase candles"] = [down]
    no_data = await view_at(market, vendors, CLOSE + timedelta(minutes=31))
    final = await view_at(market, vendors, CLOSE + timedelta(minutes=32))

    assert waiting.live is not None
    assert (60_000.0, False) == (
        waiting.live.crypto and waiting.live.crypto.price,
        one_session(waiting).crypto_return < 0,
    )
    pending = reason(Code.BAR_PENDING, symbol="BTC", last_at="2026-03-04T20:00:00+00:00")
    assert (None, reason(Code.MISSING_PRICE, session="2026-03-04", reasons=(pending,))) == (
        no_data.observe(parse_rule("1d 8pp")).value,
        no_data.observe(parse_rule("1d 8pp at close")).reason,
    )
    assert (None, CLOSE) == (final.live, final.current.at)
    assert 60_000.0 == (final.current.crypto and final.current.crypto.price)


async def test_after_the_close_an_older_bitcoin_price_is_not_paired_with_the_last_trade(
    market: MarketService, vendors: Vendors
) -> None:
    await view_at(market, vendors, CLOSE - timedelta(minutes=3))
    vendors.etf_last = (22.0, CLOSE + timedelta(seconds=1))
    vendors.faults["coinbase"] = [httpx.Response(404, json={"message": "NotFound"})] * 9

    view = await view_at(market, vendors, CLOSE + timedelta(seconds=30))

    assert (None, reason(Code.QUOTE_LAGS, lag_s=180, other="WGMI", symbol="BTC")) == (view.live, view.live_reason)


@pytest.mark.parametrize(
    ("older", "expected"),
    [pytest.param(timedelta(minutes=1), True, id="a minute"), pytest.param(timedelta(seconds=61), False, id="more")],
)
async def test_quotes_within_a_minute_count_as_simultaneous(
    market: MarketService, vendors: Vendors, older: timedelta, expected: bool
) -> None:
    await view_at(market, vendors, NOON - older)
    vendors.etf_last = (22.0, NOON)
    vendors.faults["coinbase"] = [httpx.Response(404, json={"message": "NotFound"})]

    view = await view_at(market, vendors, NOON)

    assert expected is (view.live is not None)


async def test_trades_after_the_close_are_not_used(market: MarketService, vendors: Vendors) -> None:
    vendors.etf_last = (22.0, CLOSE - timedelta(seconds=30))
    await view_at(market, vendors, CLOSE - timedelta(minutes=1))
    vendors.crypto_moves = {CLOSE + timedelta(minutes=3): 70_000.0}

    view = await view_at(market, vendors, CLOSE + timedelta(minutes=5))

    assert view.live is not None
    assert view.live.crypto is not None
    assert view.live.crypto.price < 51_000
    assert CLOSE - timedelta(seconds=30) == view.live.at


async def test_the_last_trades_are_used_for_at_most_half_an_hour(market: MarketService, vendors: Vendors) -> None:
    vendors.etf_last = (22.0, CLOSE - timedelta(minutes=1))
    await view_at(market, vendors, CLOSE - timedelta(seconds=30))
    vendors.faults["yahoo"] = [httpx.Response(404)] * 9

    waiting = await view_at(market, vendors, CLOSE + timedelta(minutes=10))
    over = await view_at(market, vendors, CLOSE + timedelta(minutes=31))

    assert waiting.live is not None
    assert over.live is None


async def test_an_old_bitcoin_quote_implies_no_gap(market: MarketService, vendors: Vendors) -> None:
    await view_at(market, vendors, CLOSE + timedelta(hours=1))
    vendors.faults["coinbase"] = [httpx.Response(404, json={"message": "NotFound"})] * 99

    fresh = await view_at(market, vendors, CLOSE + timedelta(hours=1, minutes=20))
    old = await view_at(market, vendors, CLOSE + timedelta(hours=1, minutes=21))

    assert fresh.gap is not None
    assert old.gap is None


async def test_a_close_without_a_bitcoin_price_has_no_gap(market: MarketService, vendors: Vendors) -> None:
    await view_at(market, vendors, CLOSE - timedelta(minutes=1))
    vendors.faults["coinbase"] = [httpx.Response(404, json={"message": "NotFound"})]

    view = await view_at(market, vendors, CLOSE + timedelta(minutes=1))

    assert view.crypto is not None
    assert view.gap is None


async def test_the_gap_continues_until_the_etf_trades(market: MarketService, vendors: Vendors) -> None:
    vendors.etf_last = (20.0, YESTERDAY)
    untraded = await view_at(market, vendors, OPEN + timedelta(minutes=1))
    vendors.etf_last = (20.0, OPEN + timedelta(minutes=2))
    traded = await view_at(market, vendors, OPEN + timedelta(minutes=3))

    assert [None, 0.0] == [view.observe(parse_rule("gap 5%")).value for view in (untraded, traded)]


async def test_a_bitcoin_quote_before_the_close_implies_no_gap(market: MarketService, vendors: Vendors) -> None:
    await view_at(market, vendors, CLOSE - timedelta(minutes=5))
    vendors.faults["coinbase"] = [None, httpx.Response(404, json={"message": "NotFound"})]

    view = await view_at(market, vendors, CLOSE + timedelta(minutes=20))

    assert view.gap is None


async def test_concurrent_calls_share_one_fetch(market: MarketService, vendors: Vendors) -> None:
    vendors.clock.at = NOON
    views = await asyncio.gather(*(market.view(WGMI_BTC, NOON) for _ in range(20)))

    assert 1 == len({id(view) for view in views})
    assert (1, 1) == (len(vendors.calls("chart")), len(vendors.calls("ticker")))


async def test_a_call_with_an_older_time_does_not_replace_the_view(market: MarketService, vendors: Vendors) -> None:
    later = await view_at(market, vendors, NOON)

    earlier = await view_at(market, vendors, NOON - timedelta(seconds=30))
    again = await view_at(market, vendors, NOON + timedelta(seconds=5))

    assert earlier is not later
    assert later is again


async def test_pairs_with_bitcoin_share_one_quote_request(market: MarketService, vendors: Vendors) -> None:
    vendors.clock.at = NOON

    await asyncio.gather(*(market.view(Pair(etf=Symbol(etf), crypto=Symbol("BTC")), NOON) for etf in ("WGMI", "MARA")))

    assert (2, 1) == (len(vendors.calls("chart")), len(vendors.calls("ticker")))


async def test_a_missing_price_at_a_close_is_observed_at_that_close(market: MarketService, vendors: Vendors) -> None:
    vendors.etf_last = (20.0, YESTERDAY)
    await view_at(market, vendors, YESTERDAY + timedelta(hours=1))
    vendors.faults["yahoo"] = [httpx.Response(404)] * 9

    seen = (await view_at(market, vendors, CLOSE + timedelta(minutes=31))).observe(parse_rule("1d 8pp"))

    assert (CLOSE, True) == (seen.at, seen.at_close)


SEMIS = Pair(etf=Symbol("WGMI"), crypto=Symbol("SMH"))


async def test_two_shares_can_be_compared(market: MarketService, vendors: Vendors) -> None:
    vendors.clock.at = CLOSE + timedelta(hours=1)

    view = await market.view(SEMIS, vendors.clock.at)

    assert 0.0 == one_session(view).spread
    assert (CLOSE, "Yahoo", "Yahoo") == (
        view.current.at,
        view.current.etf and view.current.etf.source,
        view.current.crypto and view.current.crypto.source,
    )
    assert (None, 2) == (view.gap, len(vendors.calls("chart")))
    assert [] == vendors.calls("ticker")


@pytest.mark.parametrize(
    ("age_min", "price", "live_reason"),
    [
        pytest.param(5, 22.0, "", id="it trades rarely"),
        pytest.param(6, None, reason(Code.QUOTE_LAGS, lag_s=360, other="SMH", symbol="WGMI"), id="much earlier"),
    ],
)
async def test_two_shares_are_live_unless_one_traded_much_earlier(
    market: MarketService, vendors: Vendors, age_min: int, price: float | None, live_reason: object
) -> None:
    vendors.clock.at = NOON
    traded_at = NOON - timedelta(minutes=age_min)
    vendors.etf_last = (22.0, traded_at)
    await market.history.leg(SEMIS.etf, NOON)
    vendors.etf_last = (21.0, NOON)

    view = await market.view(SEMIS, NOON + timedelta(seconds=5))

    assert live_reason == view.live_reason
    assert (price and (traded_at, price)) == (view.live and (view.live.at, view.live.etf and view.live.etf.price))


async def test_two_coins_can_be_compared(market: MarketService, vendors: Vendors) -> None:
    vendors.clock.at = NOON

    view = await market.view(Pair(etf=Symbol("ETH"), crypto=Symbol("BTC")), NOON)

    assert view.live is not None
    assert (NOON, 0.0) == (view.live.at, one_session(view).spread)
    assert [] == vendors.calls("chart")


async def test_in_session_without_a_bitcoin_quote_nothing_is_live(market: MarketService, vendors: Vendors) -> None:
    await view_at(market, vendors, YESTERDAY + timedelta(hours=1))
    vendors.etf_last = (22.0, NOON)
    again = MarketService(
        PriceHistory([vendors.yahoo()], [vendors.coinbase()], market.history.store, requires_witness=False)
    )
    vendors.faults["coinbase"] = [httpx.Response(404, json={"message": "NotFound"})] * 99

    view = await view_at(again, vendors, NOON)

    assert (None, reason(Code.NO_QUOTE, symbol="BTC")) == (view.live, view.live_reason)


async def test_each_window_is_trusted_as_far_as_its_first_close(vendors: Vendors) -> None:
    """Nasdaq has recent sessions only: it corroborates the closes of the last days, and none before."""
    store = await open_snapshot()
    vendors.clock.at = CLOSE + timedelta(days=1, hours=3)
    vendors.faults["nasdaq"] = [httpx.Response(200, content=_recent_sessions_only(vendors, 4))]
    history = PriceHistory([vendors.yahoo(), vendors.nasdaq()], [vendors.coinbase(), vendors.bitstamp()], store)

    view = await MarketService(history).view(WGMI_BTC, vendors.clock.at)
    await store.aclose()

    assert Verdict.OK is view.close.trust.verdict
    alone = Trust(
        verdict=Verdict.DEGRADED,
        reasons=(
            reason(
                Code.WINDOW_BEGINS_WHERE,
                reason=reason(Code.CLOSE_FROM_ONE_SOURCE, sources=("Yahoo",), symbol="WGMI"),
                window="5d",
            ),
        ),
    )
    assert [TRUSTED, alone, TRUSTED] == [
        view.trust_for(parse_rule(rule)) for rule in ("1d 8pp", "5d 8pp", "drawdown 60%")
    ]
    assert {*Window} - {Window.D1} == view.close.anchor_trust.keys()


def _recent_sessions_only(vendors: Vendors, sessions: int) -> bytes:
    """Return Nasdaq's answer, cut to the last sessions."""
    request = httpx.Request("GET", "https://api.nasdaq.com/api/quote/WGMI/historical?fromdate=2020-01-01")
    body = vendors.handle(request).json()
    table = body["data"]["tradesTable"]
    table["rows"] = table["rows"][:sessions]
    body["data"]["totalRecords"] = sessions
    return json.dumps(body).encode()


async def test_bitcoin_from_a_single_venue_is_checked_against_a_bitcoin_etf(
    vendors: Vendors, market: MarketService
) -> None:
    """The fake fund hardly moves, like every fake share."""
    vendors.clock.at = CLOSE + timedelta(hours=1)
    quiet_market = MarketService(PriceHistory([vendors.yahoo()], [vendors.coinbase()], market.history.store))
    trusted = await quiet_market.view(WGMI_BTC, vendors.clock.at)
    hours = enumerate([51_500.0, 53_500.0, 55_500.0, 57_700.0, 60_000.0])  # none of these hourly moves counts as a jump
    vendors.crypto_moves = {CLOSE - timedelta(hours=4.5 - hour): price for hour, price in hours}
    other = await open_snapshot()
    volatile_market = MarketService(PriceHistory([vendors.yahoo()], [vendors.coinbase()], other))
    doubted = await volatile_market.view(WGMI_BTC, vendors.clock.at)
    await other.aclose()

    assert (reason(Code.CLOSE_FROM_ONE_SOURCE, sources=("Yahoo",), symbol="WGMI"),) == trusted.close.trust.reasons
    assert Verdict.SUSPECT is doubted.close.trust.verdict
    assert reason_with(Code.MOVED_UNLIKE_FUND, fund="IBIT") == doubted.close.trust.reasons[-1]
    assert doubted.observe(parse_rule("1d 8pp")).value is None
