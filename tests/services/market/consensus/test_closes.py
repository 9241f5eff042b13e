from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from services.core.prices import Bars, Closes, Symbol
from services.core.reason import Code, Reason
from services.core.trust import TRUSTED, Trust, Verdict
from services.market.consensus.closes import (
    ConsensusHistory,
    consensus_bars,
    consensus_closes,
    consensus_open_to_close,
    corroborate,
    no_trade_sessions,
)
from services.market.consensus.corporate_actions import Action, ActionKind, DeclaredActions, LastTrade
from services.market.consensus.quorum import CLOSE_LIMITS, SourcePrices, consensus_prices
from tests.fakes.market import CALENDAR, etf_closes, session_days
from tests.fakes.reasons import reason, reason_with

WGMI = Symbol("WGMI")
DAYS = session_days("2025-11-24", 4)
HOURS = np.datetime64("2025-11-28T15:00", "s") + np.arange(4) * np.timedelta64(3600, "s")


def closes(source: str, *prices: float, volumes: list[float] | None = None) -> Closes:
    return Closes(
        symbol=WGMI,
        sessions=np.array(DAYS[: len(prices)], dtype="datetime64[D]"),
        prices=np.array(prices, dtype=np.float64),
        source=source,
        volumes=None if volumes is None else np.array(volumes),
    )


def bars(source: str, *prices: float) -> Bars:
    return Bars(
        symbol=Symbol("BTC"),
        interval=timedelta(hours=1),
        opened_at=HOURS[: len(prices)],
        closes=np.array(prices, dtype=np.float64),
        source=source,
    )


def share_consensus(*closes_by_source: Closes, requires_witness: bool = True) -> ConsensusHistory:
    return consensus_closes(WGMI, closes_by_source, CALENDAR, requires_witness=requires_witness)


@pytest.mark.parametrize(
    ("closes_by_source", "verdict", "reason"),
    [
        pytest.param([closes("A", 20.0), closes("B", 20.0)], Verdict.OK, "", id="two agree"),
        pytest.param(
            [closes("A", 20.0)],
            Verdict.DEGRADED,
            reason(Code.CLOSE_FROM_ONE_SOURCE, sources=("A",), symbol="WGMI"),
            id="a single source",
        ),
        pytest.param(
            [closes("A", 20.0), closes("B", 20.1)],
            Verdict.DEGRADED,
            reason(Code.CLOSES_APART, apart=0.005, sources=("A", "B"), symbol="WGMI"),
            id="a slight difference",
        ),
        pytest.param(
            [closes("A", 20.0), closes("B", 25.0), closes("C", 20.0)], Verdict.OK, "", id="an outlier is outvoted"
        ),
    ],
)
def test_the_trust_of_a_close_depends_on_how_its_sources_agree(
    closes_by_source: list[Closes], verdict: Verdict, reason: str
) -> None:
    trust = share_consensus(*closes_by_source).trust(np.datetime64(DAYS[0]))

    assert (verdict, (reason,) if reason else ()) == (trust.verdict, trust.reasons)


def test_only_a_disputed_close_is_quarantined() -> None:
    history = share_consensus(closes("A", 20.0, 21.0, 22.0), closes("B", 20.0, 23.0, 22.0))

    assert [DAYS[0], DAYS[2]] == history.prices.sessions.tolist()  # type: ignore[union-attr]
    assert {
        np.datetime64(DAYS[1]): reason(Code.PRICES_DISPUTED, prices=(("A", 21.0), ("B", 23.0)))
    } == history.quarantined
    assert "A and B" == history.prices.source


def test_a_close_without_volume_is_quarantined_unless_another_source_has_one() -> None:
    idle = closes("A", 20.0, 20.0, volumes=[900.0, 0.0])

    alone, with_other = share_consensus(idle), share_consensus(idle, closes("B", 20.0, 21.0))

    assert {np.datetime64(DAYS[1]): reason(Code.NO_VOLUME)} == alone.quarantined
    assert ({}, 21.0) == (with_other.quarantined, with_other.prices.prices[-1])  # type: ignore[union-attr]


def test_only_the_sources_of_the_last_price_are_named() -> None:
    history = share_consensus(closes("A", 20.0, 21.0), closes("B", 20.0), closes("C", 20.0, 21.0))

    assert ("A and C", ["A", "B", "C"]) == (history.prices.source, history.sources_of(np.datetime64(DAYS[0])))


def test_sources_without_closes_give_an_empty_history() -> None:
    history = share_consensus(closes("A"), closes("B"))

    assert (0, "", {}, TRUSTED) == (
        len(history.prices),
        history.prices.source,
        history.quarantined,
        history.trust(np.datetime64(DAYS[0])),
    )


def test_a_session_without_a_price_is_trusted() -> None:
    assert TRUSTED == share_consensus(closes("A", 20.0)).trust(np.datetime64(DAYS[1]))


def test_one_source_is_enough_if_no_witness_is_required() -> None:
    assert TRUSTED == share_consensus(closes("A", 20.0), requires_witness=False).trust(np.datetime64(DAYS[0]))


def declares(source: str, row: int, value: float, kind: ActionKind = ActionKind.DIVIDEND) -> DeclaredActions:
    return DeclaredActions(source=source, since=DAYS[0], actions=(Action(session=DAYS[row], kind=kind, value=value),))


def consensus_with_actions(
    *declared: DeclaredActions, closes_by_source: Sequence[Closes], traded: LastTrade | None = None
) -> ConsensusHistory:
    return consensus_closes(
        WGMI, closes_by_source, CALENDAR, requires_witness=True, declared=declared, last_trade=traded
    )


def accepted_prices(history: ConsensusHistory) -> list[float]:
    assert isinstance(history.prices, Closes)
    return [float(price) for price in history.prices.prices]


def test_accepted_prices_are_adjusted_for_dividends_and_agreed_ones_are_not() -> None:
    history = consensus_with_actions(
        declares("A", 1, 1.0), closes_by_source=[closes("A", 20.0, 20.0), closes("B", 20.0, 20.0)]
    )

    assert [19.0, 20.0] == accepted_prices(history)
    assert [20.0, 20.0] == history.agreed.prices.tolist()
    assert (["A", "B"], "A and B") == (history.sources_of(np.datetime64(DAYS[0])), history.prices.source)
    assert 20.0 == history.last_close


def test_a_dividend_in_the_next_session_does_not_change_the_last_close() -> None:
    history = consensus_with_actions(declares("A", 2, 1.0), closes_by_source=[closes("A", 20.0, 20.0)])

    assert [20.0, 20.0] == accepted_prices(history)
    assert (1.0, 0.95) == (history.dividend_factor(DAYS[1]), history.dividend_factor(DAYS[2]))
    assert [19.0, 19.0] == history.rebased_to(DAYS[2]).prices.tolist()


def test_a_coin_has_no_dividend_factor() -> None:
    history = consensus_bars(Symbol("BTC"), [bars("A", 100.0)], requires_witness=True)

    assert (1.0, None) == (history.dividend_factor(DAYS[3]), history.last_close)


def test_only_an_ex_date_has_a_dividend_note() -> None:
    history = consensus_with_actions(declares("A", 1, 0.11), closes_by_source=[closes("A", 20.0, 20.0)])

    note = reason(Code.EX_DIVIDEND, amount_usd=0.11, session="2025-11-25", symbol="WGMI")
    assert (Trust(reasons=(note,)), TRUSTED) == (history.dividend_note(DAYS[1]), history.dividend_note(DAYS[2]))


def test_a_split_at_a_single_source_is_quarantined_until_declared() -> None:
    closes_by_source = [closes("A", 20.0, 10.0)]

    alone, declared = (
        consensus_with_actions(closes_by_source=closes_by_source),
        consensus_with_actions(declares("A", 1, 2.0, ActionKind.SPLIT), closes_by_source=closes_by_source),
    )

    assert [np.datetime64(DAYS[1])] == list(alone.quarantined)
    assert ({}, [10.0, 10.0]) == (declared.quarantined, accepted_prices(declared))


def test_a_declared_large_dividend_explains_a_fall_at_a_single_source() -> None:
    days = session_days("2025-06-02", 80)
    prices = [20.0 + row % 3 / 10 for row in range(79)] + [16.1]
    closes_by_source = Closes(
        symbol=WGMI, sessions=np.array(days, "datetime64[D]"), prices=np.array(prices), source="A"
    )
    paid = Action(session=days[-1], kind=ActionKind.DIVIDEND, value=4.0)
    both = [DeclaredActions(source=source, since=days[0], actions=(paid,)) for source in "AB"]

    alone, explained = (
        consensus_with_actions(closes_by_source=[closes_by_source]),
        consensus_with_actions(*both, closes_by_source=[closes_by_source]),
    )

    assert ([np.datetime64(days[-1])], []) == (list(alone.quarantined), list(explained.quarantined))


@pytest.mark.parametrize("declarer", ["A", "B"])
def test_a_split_adjusted_source_agrees_with_an_unadjusted_one(declarer: str) -> None:
    closes_by_source = [closes("A", 20.0, 20.0, 10.0), closes("B", 10.0, 10.0, 10.0)]

    history = consensus_with_actions(declares(declarer, 2, 2.0, ActionKind.SPLIT), closes_by_source=closes_by_source)

    assert ({}, [10.0, 10.0, 10.0]) == (history.quarantined, accepted_prices(history))
    assert Verdict.OK is history.trust(np.datetime64(DAYS[0])).verdict


def test_a_trade_on_the_ex_date_shows_whether_closes_are_split_adjusted() -> None:
    closes_by_source, split = [closes("A", 20.0, 20.0)], declares("A", 2, 2.0, ActionKind.SPLIT)

    assert [20.0, 20.0] == accepted_prices(consensus_with_actions(split, closes_by_source=closes_by_source))
    assert [10.0, 10.0] == accepted_prices(
        consensus_with_actions(split, closes_by_source=closes_by_source, traded=(DAYS[2], 10.1))
    )


def test_declared_actions_that_are_not_applied_are_problems() -> None:
    invalid = declares("A", 1, -1.0), declares("A", 1, 0.0, ActionKind.SPLIT)

    history = consensus_with_actions(*invalid, closes_by_source=[closes("A", 20.0, 20.0)])

    assert ((), 2) == (history.actions, len(history.problems))


def test_the_consensus_of_bars_is_found_hour_by_hour() -> None:
    history = consensus_bars(
        Symbol("BTC"), [bars("A", 100.0, 101.0, 102.0), bars("B", 100.2, 110.0, 102.0)], requires_witness=True
    )

    assert pytest.approx([100.1, 102.0]) == history.prices.closes.tolist()  # type: ignore[union-attr]
    assert [np.datetime64("2025-11-28T17:00", "s")] == list(history.quarantined)  # where the bar ends


def test_a_jump_at_a_single_venue_is_quarantined() -> None:
    hours = replace(
        bars("A"),
        opened_at=np.datetime64("2025-11-20T00:00", "s") + np.arange(101) * np.timedelta64(3600, "s"),
        closes=np.append(np.tile([100.0, 100.2, 100.1, 100.4], 25), 120.0),
    )

    alone, files = (consensus_bars(Symbol("BTC"), [hours], requires_witness=required) for required in (True, False))

    assert [np.datetime64("2025-11-24T05:00", "s")] == list(alone.quarantined)  # where the bar ends
    assert (100, 101) == (len(alone.prices), len(files.prices))


@pytest.mark.parametrize(
    ("at", "verdict"),
    [
        pytest.param("2025-11-28T16:00", Verdict.OK, id="two venues at that instant"),
        pytest.param("2025-11-28T17:30", Verdict.DEGRADED, id="the last bar before it has one venue"),
        pytest.param("2025-11-28T15:59", Verdict.OK, id="before the first bar"),
    ],
)
def test_the_trust_of_a_coin_is_that_of_the_last_bar_that_ended(at: str, verdict: Verdict) -> None:
    history = consensus_bars(Symbol("BTC"), [bars("A", 100.0, 101.0), bars("B", 100.0)], requires_witness=True)

    assert verdict is history.trust(np.datetime64(at, "s")).verdict


ALONE = Trust(verdict=Verdict.DEGRADED, reasons=(Reason.of(Code.CLOSE_FROM_ONE_SOURCE, sources=("A",), symbol="BTC"),))


@pytest.mark.parametrize(
    ("coin", "fund", "verdict"),
    [
        pytest.param([100.0, 103.0], [50.0, 51.4], Verdict.OK, id="the fund moved alike"),
        pytest.param([100.0, 103.0], [50.0, 50.5], Verdict.SUSPECT, id="the fund hardly moved"),
        pytest.param([100.0, np.nan], [50.0, 50.5], Verdict.DEGRADED, id="the coin has no close"),
        pytest.param([100.0, 103.0], [50.0], Verdict.DEGRADED, id="the fund has no close yet"),
        pytest.param([103.0], [50.0], Verdict.DEGRADED, id="the first session has no move"),
    ],
)
def test_a_fund_of_the_coin_corroborates_a_single_venue_close(
    coin: list[float], fund: list[float], verdict: Verdict
) -> None:
    days = np.array(DAYS[: len(coin)], dtype="datetime64[D]")

    trust = corroborate(ALONE, np.array(coin), days, closes("Yahoo", *fund))

    assert verdict is trust.verdict
    assert (verdict is Verdict.SUSPECT) is (reason_with(Code.MOVED_UNLIKE_FUND) in trust.reasons)


JANUARY = session_days("2026-01-05", 30)
GAP = JANUARY[10]
NOW = datetime(2026, 2, 18, 0, tzinfo=UTC)
NO_TRADE = reason(Code.NO_TRADE_ANYWHERE, symbol="WGMI")


def january_closes(source: str, without: date | None = None) -> Closes:
    return etf_closes({day: 20.0 for day in JANUARY if day != without}, source)


def found_sessions(*closes_by_source: Closes) -> dict[np.datetime64, Reason]:
    return no_trade_sessions(
        consensus_closes(WGMI, closes_by_source, CALENDAR, requires_witness=True), None, CALENDAR, NOW, answering=False
    )


def test_a_gap_at_two_sources_is_a_session_without_a_trade() -> None:
    assert {np.datetime64(GAP): NO_TRADE} == found_sessions(january_closes("Yahoo", GAP), january_closes("Nasdaq", GAP))


def test_a_gap_at_one_source_is_not_a_session_without_a_trade() -> None:
    short = etf_closes({day: 20.0 for day in JANUARY if day > GAP}, "Nasdaq")
    empty = replace(short, sessions=short.sessions[:0], prices=short.prices[:0])

    assert {} == found_sessions(january_closes("Yahoo", GAP))
    assert {} == found_sessions(january_closes("Yahoo", GAP), january_closes("Nasdaq"))
    assert {} == found_sessions(january_closes("Yahoo", GAP), short)
    assert {} == found_sessions(january_closes("Yahoo", GAP), empty)


def test_a_close_without_volume_is_not_a_trade() -> None:
    whole = january_closes("Yahoo")
    idle = replace(whole, volumes=np.where(whole.sessions == np.datetime64(GAP), 0.0, 1_000.0))

    assert {np.datetime64(GAP): NO_TRADE} == found_sessions(idle, january_closes("Nasdaq", GAP))


def test_disputed_closes_are_trades() -> None:
    other = january_closes("Nasdaq")
    other = replace(other, prices=np.where(other.sessions == np.datetime64(GAP), 25.0, 20.0))

    assert {} == found_sessions(january_closes("Yahoo"), other)


def session_close(source: str, price: float, inside: float, *, volume: float = 900.0) -> Closes:
    return Closes(
        symbol=WGMI,
        sessions=np.array(DAYS[:1], dtype="datetime64[D]"),
        prices=np.array([price]),
        source=source,
        volumes=np.array([volume]),
        open_to_close=np.array([inside]),
    )


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        pytest.param([session_close("A", 20.0, 0.03)], 0.03, id="a single source"),
        pytest.param([session_close("A", 20.0, 0.03), session_close("B", 20.0, 0.032)], 0.031, id="two agree"),
        pytest.param([session_close("A", 20.0, 0.03), session_close("B", 20.0, 0.05)], np.nan, id="two differ"),
        pytest.param(
            [session_close("A", 20.0, 0.03), session_close("B", 20.0, np.nan)], 0.03, id="one without an opening"
        ),
        pytest.param(
            [session_close("A", 20.0, 0.03), session_close("B", 20.0, 0.03), session_close("C", 25.0, 0.3)],
            0.03,
            id="an outvoted close",
        ),
        pytest.param(
            [session_close("A", 20.0, 0.03), session_close("B", 20.0, 0.5, volume=0.0)], 0.03, id="one without a trade"
        ),
        pytest.param([session_close("A", 20.0, 0.03), session_close("B", 25.0, 0.03)], np.nan, id="disputed closes"),
        pytest.param([session_close("A", 20.0, np.nan)], np.nan, id="no opening"),
    ],
)
def test_the_open_to_close_return_is_that_of_the_accepted_sources(sources: list[Closes], expected: float) -> None:
    columns = [
        SourcePrices(source=one.source, keys=one.sessions, prices=one.prices, volumes=one.volumes) for one in sources
    ]
    np.testing.assert_allclose(consensus_open_to_close(sources, consensus_prices(columns, CLOSE_LIMITS)), [expected])


def test_splits_and_dividends_do_not_change_open_to_close_returns() -> None:
    """A 4:1 split at the third session, and a dividend with the same ex-date."""
    source = replace(closes("A", 80.0, 84.0, 20.0, 21.0), open_to_close=np.array([np.nan, 0.05, -0.02, 0.04]))
    split, dividend = declares("A", 2, 4.0, ActionKind.SPLIT), declares("A", 2, 0.2)
    declared = replace(split, actions=split.actions + dividend.actions)

    prices = consensus_with_actions(declared, closes_by_source=[source, replace(source, source="B")]).prices

    assert isinstance(prices, Closes)
    assert [19.8, 20.79, 20.0, 21.0] == pytest.approx(prices.prices.tolist(), rel=1e-3)
    np.testing.assert_array_equal([np.nan, 0.05, -0.02, 0.04], prices.known_open_to_close)
