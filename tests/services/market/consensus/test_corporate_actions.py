from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.prices import Closes, Symbol
from services.market.consensus.corporate_actions import (
    Action,
    Declared,
    Kind,
    Traded,
    adjusted,
    awaits_close,
    carry,
    in_shares_of_today,
)
from tests.fakes.market import session_days

DAYS = session_days("2026-02-02", 8)
AMOUNTS = st.floats(min_value=0.01, max_value=2.0)
RATIOS = st.sampled_from([2.0, 3.0, 10.0, 1.5, 0.5, 0.1])
CALM = st.lists(st.floats(min_value=19.0, max_value=21.0), min_size=8, max_size=8)
ROWS = st.integers(min_value=1, max_value=7)


def closes(*prices: float, source: str = "A") -> Closes:
    return Closes(
        symbol=Symbol("WGMI"),
        sessions=np.array(DAYS[: len(prices)], dtype="datetime64[D]"),
        prices=np.array(prices, dtype=np.float64),
        source=source,
    )


def dividend(row: int, amount: float) -> Action:
    return Action(session=DAYS[row], kind=Kind.DIVIDEND, value=amount)


def split(row: int, ratio: float) -> Action:
    return Action(session=DAYS[row], kind=Kind.SPLIT, value=ratio)


def as_traded(prices: list[float], row: int, ratio: float) -> Closes:
    """Closes of which those before `row` have not been adjusted for a split."""
    return closes(*[price * ratio if at < row else price for at, price in enumerate(prices)])


@given(CALM, ROWS, AMOUNTS)
def test_the_return_over_an_ex_date_is_the_total_return(prices: list[float], row: int, amount: float) -> None:
    paid = adjusted(closes(*prices), [dividend(row, amount)]).prices

    assert paid[row] / paid[row - 1] == pytest.approx(prices[row] / (prices[row - 1] - amount))


@given(CALM, st.lists(st.builds(dividend, ROWS, AMOUNTS), max_size=3))
def test_the_last_close_stays_as_traded(prices: list[float], dividends: list[Action]) -> None:
    assert prices[-1] == adjusted(closes(*prices), dividends).prices[-1]


@given(CALM, ROWS, AMOUNTS)
def test_returns_that_lead_over_no_ex_date_stay_as_they_are(prices: list[float], row: int, amount: float) -> None:
    before, paid = closes(*prices).prices, adjusted(closes(*prices), [dividend(row, amount)]).prices

    kept = np.arange(1, 8) != row
    np.testing.assert_allclose((paid[1:] / paid[:-1])[kept], (before[1:] / before[:-1])[kept])


@given(CALM, ROWS, RATIOS)
def test_a_split_is_adjusted_once_whoever_does_it(prices: list[float], row: int, ratio: float) -> None:
    actions = [split(row, ratio)]

    by_the_source = adjusted(closes(*prices), actions)
    by_us = adjusted(as_traded(prices, row, ratio), actions)

    assert prices == by_the_source.prices.tolist()
    np.testing.assert_allclose(by_us.prices, prices)
    np.testing.assert_array_equal(adjusted(by_us, actions).prices, by_us.prices)


@given(CALM, ROWS, ROWS, RATIOS, AMOUNTS)
def test_a_dividend_is_the_same_share_of_the_price_whoever_adjusts_for_a_split(
    prices: list[float], ex: int, row: int, ratio: float, amount: float
) -> None:
    amount = amount * ratio if ex < row else amount  # in the shares of its day
    actions = [split(row, ratio), dividend(ex, amount)]

    expected = adjusted(closes(*prices), actions).prices

    np.testing.assert_allclose(adjusted(as_traded(prices, row, ratio), actions).prices, expected)
    assert expected[0] < prices[0]


def test_a_dividend_on_the_day_of_a_split_is_in_new_shares() -> None:
    told = closes(40.0, 40.0, 20.0)

    paid = adjusted(told, [split(2, 2.0), dividend(2, 1.0)])

    assert [19.0, 19.0, 20.0] == pytest.approx(paid.prices.tolist())


def test_two_splits_are_adjusted_one_after_the_other() -> None:
    told = closes(60.0, 60.0, 30.0, 30.0, 10.0)

    assert [10.0] * 5 == pytest.approx(adjusted(told, [split(2, 2.0), split(4, 3.0)]).prices.tolist())


@pytest.mark.parametrize(
    ("prices", "action"),
    [
        pytest.param((20.0, 19.0), split(1, 1.1), id="a split as fine as a day's move"),
        pytest.param((20.0, 15.0), split(1, 2.0), id="a fall that is nearer to none than to the split"),
        pytest.param((20.0, 10.0), split(0, 2.0), id="a split before the first close"),
        pytest.param((20.0, 19.0), dividend(0, 1.0), id="a dividend before the first close"),
        pytest.param((20.0, 19.0), dividend(2, 1.0), id="a dividend after the last close"),
        pytest.param((20.0, 19.0), dividend(1, 5.01), id="more than a quarter of the price"),
        pytest.param((20.0, 19.0), dividend(1, -1.0), id="a negative one"),
        pytest.param((20.0, 19.0), dividend(1, float("nan")), id="no number"),
        pytest.param((), dividend(1, 1.0), id="no close at all"),
    ],
)
def test_closes_stay_as_they_are(prices: tuple[float, ...], action: Action) -> None:
    assert [*prices] == adjusted(closes(*prices), [action]).prices.tolist()


@pytest.mark.parametrize(
    ("traded", "expected"),
    [
        pytest.param(None, [20.0, 20.0], id="before anybody knows, nothing is done"),
        pytest.param((DAYS[1], 10.0), [20.0, 20.0], id="a trade of the day before tells nothing"),
        pytest.param((DAYS[2], 10.2), [10.0, 10.0], id="a trade in new shares shows closes in old ones"),
        pytest.param((DAYS[2], 19.8), [20.0, 20.0], id="a trade that fits shows closes that are adjusted"),
    ],
)
def test_on_the_day_of_a_split_the_first_trade_tells_what_the_closes_are(
    traded: Traded | None, expected: list[float]
) -> None:
    (shared,) = in_shares_of_today([closes(20.0, 20.0)], [split(2, 2.0)], traded)

    assert expected == shared.prices.tolist()


@pytest.mark.parametrize(
    ("ratio", "new"), [pytest.param(2.0, 10.0, id="forward"), pytest.param(0.1, 200.0, id="reverse")]
)
def test_before_the_first_trade_a_source_that_has_adjusted_shows_one_that_has_not(ratio: float, new: float) -> None:
    told = [closes(20.0, 20.0, source="A"), closes(new, new, source="B"), closes(source="C")]

    shared = in_shares_of_today(told, [split(2, ratio)])

    assert [[new, new], [new, new], []] == [one.prices.tolist() for one in shared]


def test_a_price_of_the_ex_date_is_held_against_closes_less_the_dividend() -> None:
    told, dividends = closes(20.0, 20.0), [dividend(1, 1.0), dividend(2, 1.0), dividend(4, 1.0), split(2, 2.0)]

    assert [1.0, 0.95, 0.95] == [carry(told, dividends, until=day) for day in DAYS[1:4]]


def test_a_newer_answer_stands_for_the_days_that_it_covers() -> None:
    known = Declared(source="A", since=DAYS[0], actions=(dividend(1, 0.1), dividend(3, 0.2)))
    fresh = Declared(source="A", since=DAYS[2], actions=(dividend(4, 0.3),))

    assert Declared(source="A", since=DAYS[0], actions=(dividend(1, 0.1), dividend(4, 0.3))) == known.updated(fresh)


def test_an_action_of_the_first_day_that_is_covered_can_be_withdrawn() -> None:
    known = Declared(source="A", since=date(2026, 2, 2), actions=(dividend(2, 0.1),))

    assert () == known.updated(Declared(source="A", since=DAYS[2])).actions


@pytest.mark.parametrize(
    ("told", "action", "expected"),
    [
        pytest.param(closes(20.0, 20.0), split(2, 2.0), True, id="a split of today"),
        pytest.param(closes(20.0, 20.0), split(1, 2.0), False, id="a split that has a close"),
        pytest.param(closes(20.0, 20.0), dividend(2, 1.0), False, id="a dividend"),
        pytest.param(closes(), split(2, 2.0), False, id="a source without closes"),
    ],
)
def test_trades_must_tell_until_a_split_has_a_close(told: Closes, action: Action, *, expected: bool) -> None:
    assert expected == awaits_close([told], [Declared(source="A", since=DAYS[0], actions=(action,))])
