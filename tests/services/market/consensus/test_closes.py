from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from services.core.prices import Bars, Closes, Symbol
from services.core.trust import FULL, Trust, Verdict
from services.market.consensus.closes import ConsensusHistory, consensus_bars, consensus_closes, corroborated
from services.market.consensus.corporate_actions import Action, Declared, Kind, Traded
from tests.fakes.market import CALENDAR, session_days

DAYS = session_days("2025-11-24", 4)
HOURS = np.datetime64("2025-11-28T15:00", "s") + np.arange(4) * np.timedelta64(3600, "s")


def closes(source: str, *prices: float, volumes: list[float] | None = None) -> Closes:
    return Closes(
        symbol=Symbol("WGMI"),
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


def of_shares(*told: Closes, witnessed: bool = True) -> ConsensusHistory:
    return consensus_closes(Symbol("WGMI"), told, CALENDAR, witnessed=witnessed)


@pytest.mark.parametrize(
    ("told", "verdict", "reason"),
    [
        pytest.param([closes("A", 20.0), closes("B", 20.0)], Verdict.OK, "", id="two agree"),
        pytest.param([closes("A", 20.0)], Verdict.DEGRADED, "WGMI's close is from A alone", id="one alone"),
        pytest.param(
            [closes("A", 20.0), closes("B", 20.1)],
            Verdict.DEGRADED,
            "A and B are 0.5% apart on WGMI's close",
            id="somewhat apart",
        ),
        pytest.param(
            [closes("A", 20.0), closes("B", 25.0), closes("C", 20.0)], Verdict.OK, "", id="an odd one is outvoted"
        ),
    ],
)
def test_a_close_is_trusted_as_far_as_its_sources_agree(told: list[Closes], verdict: Verdict, reason: str) -> None:
    trust = of_shares(*told).trust(np.datetime64(DAYS[0]))

    assert (verdict, (reason,) if reason else ()) == (trust.verdict, trust.reasons)


def test_a_disputed_close_is_held_with_the_reason_and_the_others_stand() -> None:
    judged = of_shares(closes("A", 20.0, 21.0, 22.0), closes("B", 20.0, 23.0, 22.0))

    assert [DAYS[0], DAYS[2]] == judged.prices.sessions.tolist()  # type: ignore[union-attr]
    assert {np.datetime64(DAYS[1]): "A has 21.00 and B 23.00, 9.5% apart"} == judged.held
    assert "A and B" == judged.prices.source


def test_a_session_in_which_nobody_traded_is_held_where_no_other_source_has_it() -> None:
    idle = closes("A", 20.0, 20.0, volumes=[900.0, 0.0])

    alone, beside = of_shares(idle), of_shares(idle, closes("B", 20.0, 21.0))

    assert {np.datetime64(DAYS[1]): "no volume: nobody traded"} == alone.held
    assert ({}, 21.0) == (beside.held, beside.prices.prices[-1])  # type: ignore[union-attr]


def test_only_the_sources_behind_the_last_price_are_named() -> None:
    judged = of_shares(closes("A", 20.0, 21.0), closes("B", 20.0), closes("C", 20.0, 21.0))

    assert ("A and C", ["A", "B", "C"]) == (judged.prices.source, judged.behind(np.datetime64(DAYS[0])))


def test_nothing_told_is_nothing_judged() -> None:
    judged = of_shares(closes("A"), closes("B"))

    assert (0, "", {}, FULL) == (
        len(judged.prices),
        judged.prices.source,
        judged.held,
        judged.trust(np.datetime64(DAYS[0])),
    )


def test_a_session_that_has_no_price_has_nothing_to_be_trusted() -> None:
    assert FULL == of_shares(closes("A", 20.0)).trust(np.datetime64(DAYS[1]))


def test_where_no_witness_is_to_be_had_a_source_is_enough() -> None:
    assert FULL == of_shares(closes("A", 20.0), witnessed=False).trust(np.datetime64(DAYS[0]))


def declares(source: str, row: int, value: float, kind: Kind = Kind.DIVIDEND) -> Declared:
    return Declared(source=source, since=DAYS[0], actions=(Action(session=DAYS[row], kind=kind, value=value),))


def with_declared(*declared: Declared, told: Sequence[Closes], traded: Traded | None = None) -> ConsensusHistory:
    return consensus_closes(Symbol("WGMI"), told, CALENDAR, witnessed=True, declared=declared, traded=traded)


def prices(judged: ConsensusHistory) -> list[float]:
    assert isinstance(judged.prices, Closes)
    return [float(price) for price in judged.prices.prices]


def test_what_is_believed_is_without_its_dividends_and_what_is_told_is_not() -> None:
    judged = with_declared(declares("A", 1, 1.0), told=[closes("A", 20.0, 20.0), closes("B", 20.0, 20.0)])

    assert [19.0, 20.0] == prices(judged)
    assert [20.0, 20.0] == judged.agreed.prices.tolist()
    assert (["A", "B"], "A and B") == (judged.behind(np.datetime64(DAYS[0])), judged.prices.source)
    assert 20.0 == judged.last_close


def test_a_dividend_of_the_next_session_leaves_the_last_close_as_traded() -> None:
    judged = with_declared(declares("A", 2, 1.0), told=[closes("A", 20.0, 20.0)])

    assert [20.0, 20.0] == prices(judged)
    assert (1.0, 0.95) == (judged.carry(DAYS[1]), judged.carry(DAYS[2]))
    assert [19.0, 19.0] == judged.before(DAYS[2]).prices.tolist()


def test_a_coin_has_no_dividend() -> None:
    judged = consensus_bars(Symbol("BTC"), [bars("A", 100.0)], witnessed=True)

    assert (1.0, None) == (judged.carry(DAYS[3]), judged.last_close)


def test_an_ex_date_is_noted_and_no_other_session_is() -> None:
    judged = with_declared(declares("A", 1, 0.11), told=[closes("A", 20.0, 20.0)])

    told = "WGMI went ex-dividend on 2025-11-25: 0.11 USD a share, included in its returns"
    assert (Trust(reasons=(told,)), FULL) == (judged.noted(DAYS[1]), judged.noted(DAYS[2]))


def test_the_return_over_a_split_of_a_lone_source_is_held_until_the_split_is_declared() -> None:
    told = [closes("A", 20.0, 10.0)]

    alone, declared = with_declared(told=told), with_declared(declares("A", 1, 2.0, Kind.SPLIT), told=told)

    assert [np.datetime64(DAYS[1])] == list(alone.held)
    assert ({}, [10.0, 10.0]) == (declared.held, prices(declared))


def test_the_fall_on_a_large_dividend_of_a_lone_source_is_explained_by_it() -> None:
    days = session_days("2025-06-02", 80)
    prices = [20.0 + row % 3 / 10 for row in range(79)] + [16.1]
    told = Closes(symbol=Symbol("WGMI"), sessions=np.array(days, "datetime64[D]"), prices=np.array(prices), source="A")
    paid = Action(session=days[-1], kind=Kind.DIVIDEND, value=4.0)
    both = [Declared(source=source, since=days[0], actions=(paid,)) for source in "AB"]

    alone, explained = with_declared(told=[told]), with_declared(*both, told=[told])

    assert ([np.datetime64(days[-1])], []) == (list(alone.held), list(explained.held))


@pytest.mark.parametrize("declarer", ["A", "B"])
def test_a_source_that_has_adjusted_for_a_split_agrees_with_one_that_has_not(declarer: str) -> None:
    told = [closes("A", 20.0, 20.0, 10.0), closes("B", 10.0, 10.0, 10.0)]

    judged = with_declared(declares(declarer, 2, 2.0, Kind.SPLIT), told=told)

    assert ({}, [10.0, 10.0, 10.0]) == (judged.held, prices(judged))
    assert Verdict.OK is judged.trust(np.datetime64(DAYS[0])).verdict


def test_on_its_day_a_trade_shows_whether_a_split_is_in_the_closes() -> None:
    told, split = [closes("A", 20.0, 20.0)], declares("A", 2, 2.0, Kind.SPLIT)

    assert [20.0, 20.0] == prices(with_declared(split, told=told))
    assert [10.0, 10.0] == prices(with_declared(split, told=told, traded=(DAYS[2], 10.1)))


def test_what_is_declared_and_left_out_is_told() -> None:
    left_out = declares("A", 1, -1.0), declares("A", 1, 0.0, Kind.SPLIT)

    judged = with_declared(*left_out, told=[closes("A", 20.0, 20.0)])

    assert ((), 2) == (judged.actions, len(judged.problems))


def test_the_bars_of_venues_are_judged_hour_by_hour() -> None:
    judged = consensus_bars(
        Symbol("BTC"), [bars("A", 100.0, 101.0, 102.0), bars("B", 100.2, 110.0, 102.0)], witnessed=True
    )

    assert pytest.approx([100.1, 102.0]) == judged.prices.closes.tolist()  # type: ignore[union-attr]
    assert [np.datetime64("2025-11-28T17:00", "s")] == list(judged.held)  # where the bar ends


def test_an_hour_that_one_venue_alone_has_is_held_where_it_jumps() -> None:
    hours = replace(
        bars("A"),
        opened_at=np.datetime64("2025-11-20T00:00", "s") + np.arange(101) * np.timedelta64(3600, "s"),
        closes=np.append(np.tile([100.0, 100.2, 100.1, 100.4], 25), 120.0),
    )

    alone, files = (consensus_bars(Symbol("BTC"), [hours], witnessed=witnessed) for witnessed in (True, False))

    assert [np.datetime64("2025-11-24T05:00", "s")] == list(alone.held)  # where the bar ends
    assert (100, 101) == (len(alone.prices), len(files.prices))


@pytest.mark.parametrize(
    ("at", "verdict"),
    [
        pytest.param("2025-11-28T16:00", Verdict.OK, id="two venues at that instant"),
        pytest.param("2025-11-28T17:30", Verdict.DEGRADED, id="the last bar before it has one"),
        pytest.param("2025-11-28T15:59", Verdict.OK, id="before the first bar there is nothing to trust"),
    ],
)
def test_a_coin_is_trusted_as_of_the_last_bar_that_ended_by_then(at: str, verdict: Verdict) -> None:
    judged = consensus_bars(Symbol("BTC"), [bars("A", 100.0, 101.0), bars("B", 100.0)], witnessed=True)

    assert verdict is judged.trust(np.datetime64(at, "s")).verdict


ALONE = Trust(verdict=Verdict.DEGRADED, reasons=("BTC's close is from A alone",))


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
def test_a_fund_of_the_coin_speaks_for_a_close_that_one_venue_alone_has(
    coin: list[float], fund: list[float], verdict: Verdict
) -> None:
    days = np.array(DAYS[: len(coin)], dtype="datetime64[D]")

    trust = corroborated(ALONE, np.array(coin), days, closes("Yahoo", *fund))

    assert verdict is trust.verdict
    assert (verdict is Verdict.SUSPECT) is any("at one venue" in one for one in trust.reasons)
