from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.prices import Closes, Symbol
from services.core.reason import Code, Reason
from services.market.consensus.corporate_actions import (
    Action,
    ActionKind,
    DeclaredActions,
    LastTrade,
    agree_dividends,
    agree_splits,
    dividend_factor_until,
    dividend_factors,
    needs_trade_for_split,
    split_adjusted,
)
from tests.fakes.market import session_days
from tests.fakes.reasons import reason

WGMI = Symbol("WGMI")
DAYS = session_days("2026-02-02", 8)
AMOUNTS = st.floats(min_value=0.01, max_value=2.0)
RATIOS = st.sampled_from([2.0, 3.0, 10.0, 1.5, 0.5, 0.1])
CALM = st.lists(st.floats(min_value=19.0, max_value=21.0), min_size=8, max_size=8)
ROWS = st.integers(min_value=1, max_value=7)


def closes(*prices: float, source: str = "A") -> Closes:
    return Closes(
        symbol=WGMI,
        sessions=np.array(DAYS[: len(prices)], dtype="datetime64[D]"),
        prices=np.array(prices, dtype=np.float64),
        source=source,
    )


def dividend(row: int, amount: float) -> Action:
    return Action(session=DAYS[row], kind=ActionKind.DIVIDEND, value=amount)


def split(row: int, ratio: float) -> Action:
    return Action(session=DAYS[row], kind=ActionKind.SPLIT, value=ratio)


def adjusted(closes: Closes, actions: Sequence[Action]) -> Closes:
    """Adjust closes for splits, then for dividends."""
    (split_closes,) = split_adjusted([closes], [action for action in actions if action.kind is ActionKind.SPLIT])
    return replace(split_closes, prices=split_closes.prices * dividend_factors(split_closes, actions))


def unadjusted(prices: list[float], row: int, ratio: float) -> Closes:
    """Return closes that are not split-adjusted before `row`."""
    return closes(*[price * ratio if at < row else price for at, price in enumerate(prices)])


@given(CALM, ROWS, AMOUNTS)
def test_the_return_over_an_ex_date_is_the_total_return(prices: list[float], row: int, amount: float) -> None:
    paid = adjusted(closes(*prices), [dividend(row, amount)]).prices

    assert paid[row] / paid[row - 1] == pytest.approx(prices[row] / (prices[row - 1] - amount))


@given(CALM, st.lists(st.builds(dividend, ROWS, AMOUNTS), max_size=3))
def test_the_last_close_stays_as_traded(prices: list[float], dividends: list[Action]) -> None:
    assert prices[-1] == adjusted(closes(*prices), dividends).prices[-1]


@given(CALM, ROWS, AMOUNTS)
def test_returns_that_span_no_ex_date_do_not_change(prices: list[float], row: int, amount: float) -> None:
    before, paid = closes(*prices).prices, adjusted(closes(*prices), [dividend(row, amount)]).prices

    kept = np.arange(1, 8) != row
    np.testing.assert_allclose((paid[1:] / paid[:-1])[kept], (before[1:] / before[:-1])[kept])


@given(CALM, ROWS, RATIOS)
def test_a_split_is_adjusted_exactly_once(prices: list[float], row: int, ratio: float) -> None:
    actions = [split(row, ratio)]

    by_the_source = adjusted(closes(*prices), actions)
    by_us = adjusted(unadjusted(prices, row, ratio), actions)

    assert prices == by_the_source.prices.tolist()
    np.testing.assert_allclose(by_us.prices, prices)
    np.testing.assert_array_equal(adjusted(by_us, actions).prices, by_us.prices)


@given(CALM, ROWS, ROWS, RATIOS, AMOUNTS)
def test_a_dividends_fraction_does_not_depend_on_who_adjusts_for_a_split(
    prices: list[float], ex: int, row: int, ratio: float, amount: float
) -> None:
    amount = amount * ratio if ex < row else amount  # in the shares of its day
    actions = [split(row, ratio), dividend(ex, amount)]

    expected = adjusted(closes(*prices), actions).prices

    np.testing.assert_allclose(adjusted(unadjusted(prices, row, ratio), actions).prices, expected)
    assert expected[0] < prices[0]


def test_a_dividend_on_the_day_of_a_split_is_in_new_shares() -> None:
    series = closes(40.0, 40.0, 20.0)

    paid = adjusted(series, [split(2, 2.0), dividend(2, 1.0)])

    assert [19.0, 19.0, 20.0] == pytest.approx(paid.prices.tolist())


def test_two_splits_are_both_adjusted() -> None:
    series = closes(60.0, 60.0, 30.0, 30.0, 10.0)

    assert [10.0] * 5 == pytest.approx(adjusted(series, [split(2, 2.0), split(4, 3.0)]).prices.tolist())


@pytest.mark.parametrize(
    ("prices", "action"),
    [
        pytest.param((20.0, 19.0), split(1, 1.1), id="a split as fine as a day's move"),
        pytest.param((20.0, 15.0), split(1, 2.0), id="a fall that is closer to no split"),
        pytest.param((20.0, 10.0), split(0, 2.0), id="a split before the first close"),
        pytest.param((20.0, 19.0), dividend(0, 1.0), id="a dividend before the first close"),
        pytest.param((20.0, 19.0), dividend(2, 1.0), id="a dividend after the last close"),
        pytest.param((20.0, 19.0), dividend(1, 5.01), id="more than a quarter of the price"),
        pytest.param((20.0, 19.0), dividend(1, -1.0), id="a negative one"),
        pytest.param((20.0, 19.0), dividend(1, float("nan")), id="not a number"),
        pytest.param((), dividend(1, 1.0), id="no closes"),
    ],
)
def test_closes_without_an_applicable_action_do_not_change(prices: tuple[float, ...], action: Action) -> None:
    assert [*prices] == adjusted(closes(*prices), [action]).prices.tolist()


@pytest.mark.parametrize(
    ("traded", "expected"),
    [
        pytest.param(None, [20.0, 20.0], id="without a trade nothing is adjusted"),
        pytest.param((DAYS[1], 10.0), [20.0, 20.0], id="a trade of the day before is ignored"),
        pytest.param((DAYS[2], 10.2), [10.0, 10.0], id="a trade in new shares shows closes in old ones"),
        pytest.param((DAYS[2], 19.8), [20.0, 20.0], id="a trade that fits shows closes that are adjusted"),
    ],
)
def test_on_the_ex_date_the_first_trade_shows_whether_closes_are_adjusted(
    traded: LastTrade | None, expected: list[float]
) -> None:
    (shared,) = split_adjusted([closes(20.0, 20.0)], [split(2, 2.0)], traded)

    assert expected == shared.prices.tolist()


@pytest.mark.parametrize(
    ("ratio", "new"), [pytest.param(2.0, 10.0, id="forward"), pytest.param(0.1, 200.0, id="reverse")]
)
def test_before_the_first_trade_adjusted_closes_reveal_unadjusted_ones(ratio: float, new: float) -> None:
    series = [closes(20.0, 20.0, source="A"), closes(new, new, source="B"), closes(source="C")]

    shared = split_adjusted(series, [split(2, ratio)])

    assert [[new, new], [new, new], []] == [one.prices.tolist() for one in shared]


def test_the_dividend_factor_covers_ex_dates_up_to_the_session() -> None:
    series, dividends = closes(20.0, 20.0), [dividend(1, 1.0), dividend(2, 1.0), dividend(4, 1.0), split(2, 2.0)]

    assert [1.0, 0.95, 0.95] == [dividend_factor_until(series, dividends, until=day) for day in DAYS[1:4]]


def test_a_newer_answer_replaces_the_days_that_it_covers() -> None:
    known = DeclaredActions(source="A", since=DAYS[0], actions=(dividend(1, 0.1), dividend(3, 0.2)))
    fresh = DeclaredActions(source="A", since=DAYS[2], actions=(dividend(4, 0.3),))

    assert DeclaredActions(source="A", since=DAYS[0], actions=(dividend(1, 0.1), dividend(4, 0.3))) == known.updated(
        fresh
    )


def test_an_action_on_the_first_covered_day_can_be_withdrawn() -> None:
    known = DeclaredActions(source="A", since=DAYS[0], actions=(dividend(2, 0.1),))

    assert () == known.updated(DeclaredActions(source="A", since=DAYS[2])).actions


@pytest.mark.parametrize(
    ("series", "action", "expected"),
    [
        pytest.param(closes(20.0, 20.0), split(2, 2.0), True, id="a split of today"),
        pytest.param(closes(20.0, 20.0), split(1, 2.0), False, id="a split that has a close"),
        pytest.param(closes(20.0, 20.0), dividend(2, 1.0), False, id="a dividend"),
        pytest.param(closes(), split(2, 2.0), False, id="a source without closes"),
    ],
)
def test_a_split_needs_a_trade_until_it_has_a_close(series: Closes, action: Action, *, expected: bool) -> None:
    assert expected == needs_trade_for_split([series], [DeclaredActions(source="A", since=DAYS[0], actions=(action,))])


EX = DAYS[4]
CLOSES = closes(*[20.0] * 8)
NAN = float("nan")


def declared_by(source: str, value: float, kind: ActionKind = ActionKind.DIVIDEND, on: date = EX) -> DeclaredActions:
    return DeclaredActions(source=source, since=DAYS[0], actions=(Action(session=on, kind=kind, value=value),))


def declared_by_each(*values: float, kind: ActionKind = ActionKind.DIVIDEND) -> list[DeclaredActions]:
    return [declared_by(source, value, kind) for source, value in zip("ABC", values, strict=False)]


def problem(code: Code, kind: str, *amounts: float | str) -> Reason:
    declared = tuple(zip("ABC", amounts, strict=False))
    expected: Reason = reason(code, declared=declared, kind=kind, session="2026-02-06", symbol="WGMI")
    return expected


@pytest.mark.parametrize(
    ("amounts", "expected"),
    [
        pytest.param([], [], id="none declared"),
        pytest.param([0.11], [0.11], id="one source is enough for a small one"),
        pytest.param([0.11, 0.11], [0.11], id="two sources are one dividend"),
        pytest.param([0.10, 0.11], [0.105], id="the median of both"),
        pytest.param([0.10, 0.2, 0.10], [0.10], id="a majority outvotes an outlier"),
        pytest.param([4.0, 4.0], [4.0], id="two declare a large one"),
        pytest.param([0.11, -3.0], [0.11], id="an invalid one and a valid one"),
    ],
)
def test_an_agreed_dividend_is_applied(amounts: list[float], expected: list[float]) -> None:
    agreed = agree_dividends(CLOSES, declared_by_each(*amounts), [])

    assert expected == pytest.approx([one.value for one in agreed.actions])


@pytest.mark.parametrize(
    ("amounts", "code"),
    [
        pytest.param([0.10, 0.12], Code.ACTION_DISPUTED, id="more than a tenth apart"),
        pytest.param([0.10, 0.12, 0.14], Code.ACTION_DISPUTED, id="three that do not agree"),
        pytest.param([3.0], Code.ACTION_UNCONFIRMED, id="a large one of a single source"),
        pytest.param([5.5], Code.ACTION_INVALID, id="more than a quarter of the price"),
        pytest.param([-0.1], Code.ACTION_INVALID, id="a negative one"),
    ],
)
def test_a_disputed_dividend_is_not_applied_and_is_a_problem(amounts: list[float], code: Code) -> None:
    agreed = agree_dividends(CLOSES, declared_by_each(*amounts), [])

    assert ((), (problem(code, "dividend", *amounts),)) == (agreed.actions, agreed.problems)


def test_a_dividend_that_is_not_a_number_is_a_problem() -> None:
    agreed = agree_dividends(CLOSES, [declared_by("A", NAN)], [])

    assert ((), (problem(Code.ACTION_INVALID, "dividend", "nan"),)) == (agreed.actions, agreed.problems)


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        pytest.param((DAYS[4], DAYS[5], DAYS[5]), [DAYS[5]], id="the day that most declare"),
        pytest.param((DAYS[4], DAYS[5]), [DAYS[4]], id="else the first"),
        pytest.param((DAYS[1], DAYS[7]), [DAYS[1], DAYS[7]], id="a week apart they are two"),
    ],
)
def test_declarations_a_session_apart_are_one_dividend(days: tuple[date, ...], expected: list[date]) -> None:
    declared = [declared_by(source, 0.1, on=day) for source, day in zip("ABC", days, strict=False)]

    assert expected == [one.session for one in agree_dividends(CLOSES, declared, []).actions]


def test_two_dividends_of_one_source_are_two() -> None:
    both = DeclaredActions(
        source="A", since=DAYS[0], actions=declared_by("A", 0.1).actions + declared_by("A", 0.1, on=DAYS[5]).actions
    )

    assert [EX, DAYS[5]] == [one.session for one in agree_dividends(CLOSES, [both], []).actions]


def test_a_dividend_before_the_first_close_is_ignored() -> None:
    agreed = agree_dividends(CLOSES, [declared_by("A", 99.0, on=date(2020, 1, 2))], [])

    assert ((), ()) == (agreed.actions, agreed.problems)


def test_a_dividend_is_checked_in_the_shares_of_its_day() -> None:
    later = Action(session=DAYS[6], kind=ActionKind.SPLIT, value=10.0)

    assert 1 == len(agree_dividends(CLOSES, [declared_by("A", 19.0)], [later]).actions)


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [
        pytest.param([2.0], [2.0], id="one source is enough"),
        pytest.param([0.3333, 1 / 3], [0.33331667], id="rounded by one"),
        pytest.param([2.0, 3.0], [], id="they do not agree"),
        pytest.param([0.0], [], id="zero"),
        pytest.param([1.0], [], id="a ratio of one"),
        pytest.param([NAN], [], id="not a number"),
        pytest.param([1e6], [], id="too large"),
    ],
)
def test_a_split_is_what_its_sources_agree_on(ratios: list[float], expected: list[float]) -> None:
    agreed = agree_splits(WGMI, declared_by_each(*ratios, kind=ActionKind.SPLIT))

    assert expected == pytest.approx([one.value for one in agreed.actions])
    assert bool(agreed.problems) == (not expected)


def test_a_disputed_split_is_a_problem_with_both_ratios() -> None:
    agreed = agree_splits(WGMI, declared_by_each(2.0, 3.0, kind=ActionKind.SPLIT))

    assert (problem(Code.ACTION_DISPUTED, "split", 2.0, 3.0),) == agreed.problems
