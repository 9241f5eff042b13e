import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import httpx
import numpy as np
import pytest

from handlers.render.reasons import sentence
from services.core.errors import SourceError
from services.core.prices import Bars, Closes, Symbol
from services.core.reason import Code
from services.core.trust import Verdict
from services.market.consensus.closes import LegHistory
from services.market.consensus.quorum import CONFIRMED
from services.market.ports import CryptoSource, EquitySource
from services.market.price_history import PriceHistory
from services.market.sources.http.client import HttpClient
from services.market.sources.simulated.market import SimulatedMarket
from services.market.sources.vendors.yahoo import Yahoo
from services.storage import SqlStore
from tests.fakes.clock import SetClock
from tests.fakes.market import CALENDAR
from tests.fakes.reasons import reason, reason_with
from tests.fakes.store_snapshots import open_snapshot
from tests.fakes.vendors import Vendors
from tests.services.market.sources.conftest import RESPONSES

WGMI, BTC = Symbol("WGMI"), Symbol("BTC")
IN_SESSION = datetime(2026, 3, 4, 16, 0, tzinfo=UTC)
CLOSE = datetime(2026, 3, 4, 21, 0, tzinfo=UTC)
EVENING = datetime(2026, 3, 5, 0, 0, tzinfo=UTC)
TODAY = date(2026, 3, 4)
LAST = np.datetime64("2026-03-04")
DOWN = httpx.Response(404)


@pytest.fixture
async def store() -> AsyncIterator[SqlStore]:
    store = await open_snapshot()
    yield store
    await store.aclose()


@pytest.fixture
def vendors() -> Vendors:
    return Vendors(SetClock(EVENING), etf_since=date(2024, 1, 2), crypto_since=datetime(2025, 9, 1, tzinfo=UTC))


@pytest.fixture
def history(vendors: Vendors, store: SqlStore) -> PriceHistory:
    return make_history(vendors, store)


def make_history(vendors: Vendors, store: SqlStore) -> PriceHistory:
    equities: list[EquitySource] = [vendors.yahoo(), vendors.nasdaq()]
    return PriceHistory(equities, venues(vendors), store)


def venues(vendors: Vendors) -> list[CryptoSource]:
    return [vendors.coinbase(), vendors.kraken(), vendors.bitstamp()]


def closes(leg: LegHistory) -> dict[date, float]:
    assert isinstance(leg.history.prices, Closes)
    return dict(zip(leg.history.prices.sessions.tolist(), leg.history.prices.prices.tolist(), strict=True))


def bars(leg: LegHistory) -> Bars:
    assert isinstance(leg.history.prices, Bars)
    return leg.history.prices


async def test_agreeing_sources_give_one_trusted_close(history: PriceHistory, vendors: Vendors) -> None:
    vendors.close_overrides = {("yahoo", TODAY): 22.00, ("nasdaq", TODAY): 22.04}

    leg = await history.leg(WGMI, EVENING)

    assert pytest.approx(22.02) == closes(leg)[TODAY]
    assert ("Yahoo and Nasdaq", (), Verdict.OK) == (
        leg.history.prices.source,
        leg.history.trust(LAST).reasons,
        leg.history.trust(LAST).verdict,
    )


async def test_a_close_of_a_single_source_is_degraded(history: PriceHistory, vendors: Vendors) -> None:
    vendors.faults["nasdaq"] = [DOWN] * 9

    leg = await history.leg(WGMI, EVENING)
    trust = leg.history.trust(LAST)

    assert (Verdict.DEGRADED, (reason(Code.CLOSE_FROM_ONE_SOURCE, sources=("Yahoo",), symbol="WGMI"),)) == (
        trust.verdict,
        trust.reasons,
    )
    assert "Yahoo" == leg.history.prices.source
    assert "Nasdaq" in str(leg.problems[0])


async def test_sources_that_differ_slightly_are_degraded(history: PriceHistory, vendors: Vendors) -> None:
    vendors.close_overrides[("nasdaq", TODAY)] = 1.005 * vendors.etf_close(TODAY)

    trust = (await history.leg(WGMI, EVENING)).history.trust(LAST)

    assert (
        Verdict.DEGRADED,
        (reason(Code.CLOSES_APART, apart=0.005001, sources=("Yahoo", "Nasdaq"), symbol="WGMI"),),
    ) == (trust.verdict, trust.reasons)


async def test_a_disputed_close_is_quarantined_until_its_sources_agree(history: PriceHistory, vendors: Vendors) -> None:
    vendors.close_overrides[("nasdaq", TODAY)] = 1.05 * vendors.etf_close(TODAY)
    disputed = await history.leg(WGMI, EVENING)

    vendors.close_overrides.clear()
    vendors.clock.at = datetime(2026, 3, 5, 14, 31, tzinfo=UTC)
    vendors.etf_last = (20.0, vendors.clock.at)
    again = make_history(vendors, history.store)  # type: ignore[arg-type]
    agreed = await again.leg(WGMI, vendors.clock.at)

    assert TODAY not in closes(disputed)
    assert Code.PRICES_DISPUTED is disputed.history.quarantined[LAST].code
    assert TODAY in closes(agreed)
    assert {} == agreed.history.quarantined


async def test_a_jump_at_a_single_source_is_quarantined_until_a_witness_agrees(
    history: PriceHistory, vendors: Vendors, caplog: pytest.LogCaptureFixture
) -> None:
    """As for WULF on 2025-08-14: the news was true, but a single source could be wrong."""
    vendors.etf_moves[TODAY] = 32.0
    vendors.faults["nasdaq"] = [DOWN]
    alone = await history.leg(WGMI, EVENING)

    witnessed = await history.leg(WGMI, vendors.clock.advance(timedelta(minutes=10)))

    assert TODAY not in closes(alone)
    assert Code.MOVE_UNCONFIRMED is alone.history.quarantined[LAST].code
    assert 32.0 == closes(witnessed)[TODAY]
    assert Verdict.OK is witnessed.history.trust(LAST).verdict
    assert "1 price of WGMI quarantined: sources disagree, or only one has a price" in caplog.messages


async def test_quarantine_and_release_are_logged(
    history: PriceHistory, vendors: Vendors, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="services.market.price_history")
    vendors.clock.at = CLOSE - timedelta(hours=1)
    await history.leg(WGMI, vendors.clock.at)
    vendors.etf_moves[TODAY] = 32.0
    vendors.clock.at = CLOSE + timedelta(minutes=20)
    await history.leg(WGMI, vendors.clock.at)
    await history.leg(WGMI, vendors.clock.advance(timedelta(hours=2)))

    quarantined, released = [message for message in caplog.messages if "quarantine" in message]
    assert "price of WGMI at 2026-03-04 quarantined: move_unconfirmed(move=moved_far(moved=0.6" in quarantined
    assert "price of WGMI at 2026-03-04 released from quarantine" == released


async def test_nothing_is_quarantined_or_degraded_if_no_witness_is_required(vendors: Vendors, store: SqlStore) -> None:
    vendors.etf_moves[TODAY] = 32.0
    history = PriceHistory([vendors.yahoo()], [vendors.coinbase()], store, requires_witness=False)

    share, coin = await history.leg(WGMI, EVENING), await history.leg(BTC, EVENING)

    assert 32.0 == closes(share)[TODAY]
    assert {Verdict.OK} == {
        share.history.trust(LAST).verdict,
        coin.history.trust(np.datetime64("2026-03-04T21:00")).verdict,
        coin.quote_trust.verdict,
    }


async def test_an_outlier_venue_is_outvoted(history: PriceHistory, vendors: Vendors) -> None:
    vendors.price_factors["kraken"] = 1.03

    leg = await history.leg(BTC, EVENING)

    assert leg.quote is not None
    assert pytest.approx(vendors.crypto_at(EVENING), abs=0.01) == leg.quote.price
    assert ("Coinbase and Bitstamp", Verdict.OK) == (leg.quote.source, leg.quote_trust.verdict)
    assert reason_with(Code.PRICE_OUTLIER, source="Kraken") == leg.quote_trust.reasons[0]
    assert pytest.approx(vendors.crypto_at(CLOSE), abs=0.01) == bars(leg).last_complete(CLOSE)[0]  # type: ignore[index]
    assert {} == leg.history.quarantined


async def test_the_order_of_the_venues_does_not_change_the_prices(vendors: Vendors, store: SqlStore) -> None:
    vendors.price_factors = {"coinbase": 1.001, "bitstamp": 0.999}
    orders = venues(vendors), venues(vendors)[::-1]

    legs = [await PriceHistory([], order, store).leg(BTC, EVENING) for order in orders]

    assert bars(legs[0]).closes.tolist() == bars(legs[1]).closes.tolist()
    assert legs[0].quote is not None
    assert legs[1].quote is not None
    assert legs[0].quote.price == legs[1].quote.price


async def test_an_hour_that_venues_dispute_has_no_price(vendors: Vendors, store: SqlStore) -> None:
    vendors.clock.at = CLOSE - timedelta(minutes=30)
    history = PriceHistory([], [vendors.coinbase(), vendors.bitstamp()], store)
    await history.leg(BTC, vendors.clock.at)

    vendors.price_factors["bitstamp"] = 1.04
    vendors.clock.at = CLOSE + timedelta(minutes=1)
    leg = await history.leg(BTC, vendors.clock.at)

    assert [np.datetime64("2026-03-04T21:00")] == list(leg.history.quarantined)  # both confirmed the hours before
    assert np.datetime64("2026-03-04T20:00") == bars(leg).ended_at[-1]
    assert (Verdict.SUSPECT, (reason_with(Code.PRICES_DISPUTED),)) == (leg.quote_trust.verdict, leg.quote_trust.reasons)


async def test_the_other_venues_replace_one_that_is_down(history: PriceHistory, vendors: Vendors) -> None:
    vendors.faults["coinbase"] = [DOWN] * 99

    leg = await history.leg(BTC, EVENING)

    assert ("Kraken and Bitstamp", Verdict.OK) == (leg.history.prices.source, leg.quote_trust.verdict)
    assert len(bars(leg)) > 4_400
    assert "Coinbase" in str(leg.problems[0])


async def test_a_source_without_last_trades_is_asked_every_ten_minutes(history: PriceHistory, vendors: Vendors) -> None:
    vendors.clock.at = CLOSE + timedelta(minutes=1)
    for _ in range(25):
        await history.leg(WGMI, vendors.clock.advance(timedelta(minutes=1)))

    assert 3 == len(vendors.calls("historical"))


async def test_a_coins_quote_at_an_instant_is_the_consensus_of_the_venues(
    history: PriceHistory, vendors: Vendors
) -> None:
    at = EVENING - timedelta(minutes=4)
    vendors.crypto_moves = {at: 60_000.0, at + timedelta(minutes=1): 70_000.0}
    vendors.price_factors["bitstamp"] = 1.002

    consensus = await history.quote_at(BTC, at)
    vendors.faults["coinbase"] = [DOWN]
    fewer = await history.quote_at(BTC, at)

    assert consensus is not None
    assert consensus.quote is not None
    assert (60_000.0, at, Verdict.OK) == (consensus.quote.price, consensus.quote.at, consensus.trust.verdict)
    assert fewer is not None
    assert fewer.quote is not None
    assert pytest.approx(60_060.0) == fewer.quote.price


async def test_a_bitcoin_jump_at_a_single_venue_is_suspect(history: PriceHistory, vendors: Vendors) -> None:
    await history.leg(BTC, EVENING)
    vendors.crypto_moves = {EVENING: 60_000.0}
    vendors.faults = {name: [DOWN] * 9 for name in ("kraken", "bitstamp")}
    now = vendors.clock.advance(timedelta(minutes=5))

    last, minute = (await history.leg(BTC, now)).quote_trust, await history.quote_at(BTC, now)
    vendors.faults.clear()
    witnessed = await history.leg(BTC, vendors.clock.advance(timedelta(minutes=1)))

    assert minute is not None
    for trust in (last, minute.trust):
        assert Verdict.SUSPECT is trust.verdict
        assert (
            reason(
                Code.OF_SYMBOL,
                symbol="BTC",
                reason=reason(Code.MOVE_UNCONFIRMED, move=reason_with(Code.MOVED_FAR, period="hour")),
            )
            == trust.reasons[-1]
        )
    assert Verdict.OK is witnessed.quote_trust.verdict


async def test_a_quote_raises_the_first_failure_if_every_venue_fails(history: PriceHistory, vendors: Vendors) -> None:
    vendors.faults = {name: [DOWN] for name in ("coinbase", "kraken", "bitstamp")}

    with pytest.raises(SourceError, match=r"Coinbase \(BTC\)"):
        await history.quote_at(BTC, EVENING)
    assert await history.quote_at(WGMI, EVENING) is None


async def test_a_minute_bar_that_is_too_old_is_not_a_quote(vendors: Vendors, store: SqlStore) -> None:
    at = EVENING - timedelta(minutes=4)
    history = PriceHistory([], [vendors.coinbase()], store)

    def thin(minutes: int) -> httpx.Response:
        opened = int((at - timedelta(minutes=minutes + 1)).timestamp())
        return httpx.Response(200, json=[[opened, 1.0, 1.0, 1.0, 60_000.0, 1.0]])

    vendors.faults["coinbase"] = [thin(2), thin(3)]

    assert await history.quote_at(BTC, at) is not None
    assert await history.quote_at(BTC, at) is None


async def test_a_programming_error_is_not_treated_as_a_source_failure(vendors: Vendors, store: SqlStore) -> None:
    coinbase = vendors.coinbase()
    coinbase._vendor = None  # type: ignore[assignment]  # noqa: SLF001 -- a mistake of ours
    history = PriceHistory([], [coinbase, vendors.bitstamp()], store)

    with pytest.raises(AttributeError):
        await history.quote_at(BTC, EVENING)


async def test_unchanged_inputs_reuse_the_consensus(history: PriceHistory, vendors: Vendors) -> None:
    first = await history.leg(WGMI, EVENING)
    second = await history.leg(WGMI, vendors.clock.advance(timedelta(minutes=1)))

    assert first.history is second.history


async def test_two_processes_on_one_database_have_the_same_close(vendors: Vendors, store: SqlStore) -> None:
    """During a deploy the old process has cached closes, while the new one fetches a correction at its start."""
    old = make_history(vendors, store)
    await old.leg(WGMI, EVENING)
    vendors.etf_moves[TODAY] = 1.001 * vendors.etf_close(TODAY)

    later = vendors.clock.advance(timedelta(minutes=30))
    consensus = [closes(await one.leg(WGMI, later))[TODAY] for one in (make_history(vendors, store), old)]

    assert consensus[0] == consensus[1]


async def test_concurrent_reads_ask_each_source_once(history: PriceHistory, vendors: Vendors) -> None:
    await asyncio.gather(*(history.leg(WGMI, EVENING) for _ in range(5)))

    assert (1, 1) == (len(vendors.calls("chart")), len(vendors.calls("historical")))


async def test_one_simulated_source_makes_the_history_simulated(vendors: Vendors, store: SqlStore) -> None:
    simulated = SimulatedMarket(vendors.clock)
    etf, btc = vendors.yahoo(), vendors.coinbase()

    histories = [
        PriceHistory([simulated], [btc], store),
        PriceHistory([etf], [simulated], store),
        PriceHistory([etf], [btc], store),
    ]

    assert [True, True, False] == [history.simulated for history in histories]


async def test_sources_that_dispute_everything_are_logged_once(
    vendors: Vendors, store: SqlStore, caplog: pytest.LogCaptureFixture
) -> None:
    vendors.price_factors["nasdaq"] = 1.5
    history = make_history(vendors, store)

    for _ in range(3):
        assert {} == closes(await history.leg(WGMI, vendors.clock.advance(timedelta(minutes=1))))

    assert 1 == len([message for message in caplog.messages if "prices of WGMI quarantined" in message])


def approx(expected: dict[date, float]) -> dict[date, object]:
    """Return closes that may differ in rounding: Nasdaq's have four decimals."""
    return {day: pytest.approx(price, rel=1e-5) for day, price in expected.items()}


def confirmed_run(vendors: Vendors) -> None:
    """Let the ETF gain 10% in the last session, at both sources."""
    vendors.etf_moves[TODAY] = 1.10 * vendors.etf_close(date(2026, 3, 3))


@pytest.mark.parametrize("factor", [10.0, 1.1, 0.5])
@pytest.mark.parametrize("restarted", [False, True])
async def test_a_source_that_rewrites_its_history_is_outvoted(
    history: PriceHistory, vendors: Vendors, store: SqlStore, factor: float, *, restarted: bool
) -> None:
    vendors.clock.at = EVENING - timedelta(days=1)
    before = closes(await history.leg(WGMI, vendors.clock.at))
    confirmed_run(vendors)
    vendors.clock.at, vendors.price_factors["yahoo"] = EVENING, factor
    if restarted:
        await history.leg(WGMI, EVENING)
        history = make_history(vendors, store)

    leg = await history.leg(WGMI, EVENING)

    assert approx(before) == {day: closes(leg)[day] for day in before}
    assert pytest.approx(1.10, rel=1e-4) == closes(leg)[TODAY] / closes(leg)[date(2026, 3, 3)]
    assert Verdict.OK is leg.history.trust(LAST).verdict
    outvoted = reason(Code.SOURCE_OUTVOTED, source="Yahoo", symbol="WGMI", sessions=len(before), witnesses=("Nasdaq",))
    assert outvoted in leg.history.problems
    assert sentence(outvoted).startswith(f"{len(before)} of Yahoo's WGMI closes differ from those of Nasdaq and")


async def test_closes_that_were_stored_before_this_release_are_witnesses_too(vendors: Vendors, store: SqlStore) -> None:
    await make_history(vendors, store).leg(WGMI, EVENING)
    none = Closes(symbol=WGMI, sessions=np.array([], dtype="datetime64[D]"), prices=np.array([]), source=CONFIRMED)
    await store.replace_closes(none, EVENING)
    vendors.price_factors["yahoo"] = 10.0

    leg = await make_history(vendors, store).leg(WGMI, EVENING + timedelta(hours=1))

    assert pytest.approx(vendors.etf_close(TODAY)) == closes(leg)[TODAY]
    assert Code.SOURCE_OUTVOTED in [problem.code for problem in leg.history.problems]


async def test_a_source_that_rewrites_its_history_is_outvoted_while_no_other_source_answers(
    history: PriceHistory, vendors: Vendors
) -> None:
    before = closes(await history.leg(WGMI, EVENING))
    vendors.price_factors["yahoo"], vendors.faults["nasdaq"] = 1.1, [DOWN] * 99
    vendors.clock.at = datetime(2026, 3, 5, 14, 31, tzinfo=UTC)

    leg = await history.leg(WGMI, vendors.clock.at)

    assert approx(before) == closes(leg)


@pytest.mark.parametrize(("sessions", "settled"), [(4, False), (5, True)])
async def test_the_only_source_left_is_converted_after_five_sessions_on_another_scale(
    history: PriceHistory, vendors: Vendors, store: SqlStore, sessions: int, *, settled: bool
) -> None:
    """As after a split that no source declares; its last trade stays suspect, and the board says what to do."""
    before = closes(await history.leg(WGMI, EVENING))
    vendors.price_factors["yahoo"], vendors.faults["nasdaq"] = 0.1, [DOWN] * 99
    days = CALENDAR.days[CALENDAR.days > LAST][: sessions + 1].astype(object)
    at = datetime(days[-1].year, days[-1].month, days[-1].day, 16, 0, tzinfo=UTC)
    vendors.clock.at, vendors.etf_last = at, (2.0, at)

    leg = await make_history(vendors, store).leg(WGMI, at)
    again = await make_history(vendors, store).leg(WGMI, at + timedelta(minutes=1))

    known = closes(leg)
    assert known == closes(again)
    assert approx(before) == {day: price for day, price in known.items() if day in before}
    expected = {day: pytest.approx(vendors.etf_close(day)) for day in days[:-1].tolist()} if settled else {}
    assert expected == {day: price for day, price in known.items() if day not in before}
    assert Verdict.SUSPECT is leg.quote_trust.verdict
    [problem] = leg.history.problems
    assert (Code.SCALE_UNCONFIRMED if settled else Code.SOURCE_OUTVOTED) is problem.code


async def test_a_venue_that_rewrites_its_history_is_outvoted_by_the_bars_that_two_confirmed(
    vendors: Vendors, store: SqlStore
) -> None:
    vendors.crypto_since = EVENING - timedelta(days=3)
    two = PriceHistory([], [vendors.coinbase(), vendors.bitstamp()], store)
    before = bars(await two.leg(BTC, EVENING))
    await store.save_bars(replace(before, closes=10 * before.closes, source="Coinbase"))
    vendors.price_factors["coinbase"] = 10.0

    leg = await PriceHistory([], [vendors.coinbase()], store).leg(BTC, EVENING)

    assert pytest.approx(before.closes) == bars(leg).closes
    assert [reason(Code.VENUE_OUTVOTED, source="Coinbase", symbol="BTC", hours=72, witnesses=())] == [
        *leg.history.problems
    ]
    assert not leg.quote_trust.verdict.usable


async def test_two_venues_that_agree_outvote_the_stored_bars(vendors: Vendors, store: SqlStore) -> None:
    vendors.crypto_since = EVENING - timedelta(days=3)
    before = bars(await PriceHistory([], [vendors.coinbase(), vendors.bitstamp()], store).leg(BTC, EVENING))
    for source in ("Coinbase", "Bitstamp"):
        await store.save_bars(replace(before, closes=2 * before.closes, source=source))
    vendors.price_factors = {"coinbase": 2.0, "bitstamp": 2.0}

    leg = await PriceHistory([], [vendors.coinbase(), vendors.bitstamp()], store).leg(BTC, EVENING)

    assert pytest.approx(2 * before.closes) == bars(leg).closes
    assert () == leg.history.problems
    stored = await store.load_bars(BTC, CONFIRMED, timedelta(hours=1), EVENING - timedelta(days=9))
    assert pytest.approx(2 * before.closes) == stored.closes


async def test_two_sources_that_agree_outvote_the_stored_closes(history: PriceHistory, vendors: Vendors) -> None:
    before = closes(await history.leg(WGMI, EVENING))
    vendors.price_factors = {"yahoo": 0.5, "nasdaq": 0.5}
    vendors.clock.at = datetime(2026, 3, 6, 0, 0, tzinfo=UTC)

    leg = await history.leg(WGMI, vendors.clock.at)

    assert pytest.approx(0.5 * before[TODAY]) == closes(leg)[TODAY]
    assert () == leg.history.problems


async def test_a_declared_split_outvotes_the_stored_closes(history: PriceHistory, vendors: Vendors) -> None:
    before = closes(await history.leg(WGMI, EVENING))
    tomorrow = date(2026, 3, 5)
    vendors.splits[tomorrow], vendors.price_factors["yahoo"] = (10, 1), 0.1
    vendors.clock.at = datetime(2026, 3, 5, 16, 0, tzinfo=UTC)
    vendors.etf_last = (0.1 * before[TODAY], vendors.clock.at)

    leg = await history.leg(WGMI, vendors.clock.at)

    assert pytest.approx(0.1 * before[TODAY]) == closes(leg)[TODAY]
    assert Verdict.SUSPECT is not leg.quote_trust.verdict
    assert () == leg.history.problems


async def test_a_source_that_recovers_is_a_witness_again(history: PriceHistory, vendors: Vendors) -> None:
    before = closes(await history.leg(WGMI, EVENING))
    vendors.price_factors["yahoo"] = 10.0
    vendors.clock.at = datetime(2026, 3, 5, 15, 0, tzinfo=UTC)
    vendors.etf_last = (before[TODAY], vendors.clock.at)
    await history.leg(WGMI, vendors.clock.at)
    vendors.price_factors.clear()

    leg = await history.leg(WGMI, vendors.clock.advance(timedelta(minutes=1)))

    assert approx(before) == closes(leg)
    assert () == leg.history.problems
    assert "Yahoo and Nasdaq" == leg.history.prices.source


@pytest.mark.parametrize(
    ("factor", "price", "usable"),
    [
        pytest.param(10.0, 21.0, True, id="the-trade-is-right"),
        pytest.param(10.0, 220.0, False, id="the-trade-is-wrong-too"),
        pytest.param(1.1, 22.0, False, id="nobody-knows"),
    ],
)
async def test_a_live_trade_of_an_outvoted_source_needs_the_right_scale(
    history: PriceHistory, vendors: Vendors, factor: float, price: float, *, usable: bool
) -> None:
    await history.leg(WGMI, EVENING)
    vendors.price_factors["yahoo"] = factor
    vendors.clock.at = datetime(2026, 3, 5, 15, 0, tzinfo=UTC)
    vendors.etf_last = (price, vendors.clock.at)

    leg = await history.leg(WGMI, vendors.clock.at)

    assert usable is leg.quote_trust.verdict.usable


async def test_a_session_that_one_source_rewrites_keeps_its_confirmed_close(
    history: PriceHistory, vendors: Vendors
) -> None:
    before = closes(await history.leg(WGMI, EVENING))
    vendors.close_overrides["yahoo", TODAY] = 1.05 * before[TODAY]
    vendors.clock.at = datetime(2026, 3, 5, 14, 31, tzinfo=UTC)

    assert approx(before) == closes(await history.leg(WGMI, vendors.clock.at))


async def test_a_distribution_of_capital_gains_is_part_of_the_return(store: SqlStore) -> None:
    body = (RESPONSES / "yahoo_chart_capital_gains.json").read_bytes()
    at = datetime(2025, 12, 19, 22, 0, tzinfo=UTC)
    client = HttpClient(transport=httpx.MockTransport(lambda _request: httpx.Response(200, content=body)))

    leg = await PriceHistory([Yahoo(client, SetClock(at))], [], store).leg(WGMI, at)

    before, last = (closes(leg)[date(2025, 12, day)] for day in (18, 19))
    assert 36.0 == last == pytest.approx(before)


@pytest.mark.parametrize(
    "event",
    [
        pytest.param({"dividends": {"amount": None}}, id="dividend-null"),
        pytest.param({"splits": {"numerator": 0, "denominator": 1}}, id="split-0-to-1"),
        pytest.param({"capitalGains": {"amount": "x"}}, id="capital-gain-text"),
    ],
)
async def test_returns_across_an_unusable_event_are_suspect_until_the_next_answer(
    history: PriceHistory, vendors: Vendors, store: SqlStore, event: dict[str, dict[str, object]]
) -> None:
    [(kind, fields)] = event.items()
    stamp = int(datetime(2026, 3, 4, 14, 30, tzinfo=UTC).timestamp())
    vendors.odd_events = {kind: {f"{stamp}": fields | {"date": stamp}}}

    odd = (await history.leg(WGMI, EVENING)).history
    restarted = (await make_history(vendors, store).leg(WGMI, EVENING)).history
    vendors.odd_events = {}
    settled = (await make_history(vendors, store).leg(WGMI, EVENING)).history

    yesterday = date(2026, 3, 3)
    for found in (odd, restarted):
        assert Verdict.SUSPECT is found.trust_across(yesterday, TODAY).verdict
        assert Verdict.OK is found.trust_across(date(2026, 3, 2), yesterday).verdict
        assert Code.ACTION_UNUSABLE in [problem.code for problem in found.problems]
    assert Verdict.OK is settled.trust_across(yesterday, TODAY).verdict
    assert () == settled.problems


async def test_what_a_source_sent_in_an_unusable_form_is_named_and_its_closes_are_used(
    history: PriceHistory, vendors: Vendors
) -> None:
    vendors.close_overrides["yahoo", TODAY] = 0.0

    leg = await history.leg(WGMI, EVENING)

    assert "Nasdaq" == leg.history.prices.source
    [problem] = leg.problems
    assert "Yahoo (WGMI): unusable values ignored (2026-03-04 0.0)" == sentence(problem)


async def test_one_zero_candle_costs_one_candle(history: PriceHistory, vendors: Vendors) -> None:
    vendors.crypto_moves = {EVENING - timedelta(hours=3): 0.0, EVENING - timedelta(hours=2): 50_000.0}

    leg = await history.leg(BTC, EVENING)

    assert EVENING - timedelta(hours=3) not in bars(leg).ended_at.astype(object)
    assert len(bars(leg)) > 4_400
    assert {"Coinbase", "Kraken", "Bitstamp"} == {sentence(problem).split()[0] for problem in leg.problems}
