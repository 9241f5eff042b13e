from datetime import date

import numpy as np
import pytest

from services.core.prices import Closes, Symbol
from services.core.reason import Code, Reason
from services.market.consensus.corporate_actions import Action, ActionKind, DeclaredActions
from services.market.consensus.declared_actions import agree_dividends, agree_splits
from tests.fakes.market import session_days
from tests.fakes.reasons import reason

WGMI = Symbol("WGMI")
DAYS = session_days("2026-02-02", 8)
CLOSES = Closes(symbol=WGMI, sessions=np.array(DAYS, dtype="datetime64[D]"), prices=np.full(8, 20.0), source="A")
EX = DAYS[4]
NAN = float("nan")


def declared_by(source: str, value: float, kind: ActionKind = ActionKind.DIVIDEND, on: date = EX) -> DeclaredActions:
    return DeclaredActions(source=source, since=DAYS[0], actions=(Action(session=on, kind=kind, value=value),))


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        pytest.param([], [], id="none declared"),
        pytest.param([declared_by("A", 0.11)], [0.11], id="one source is enough for a small one"),
        pytest.param([declared_by("A", 0.11), declared_by("B", 0.11)], [0.11], id="two sources are one dividend"),
        pytest.param([declared_by("A", 0.10), declared_by("B", 0.11)], [0.105], id="the median of both"),
        pytest.param(
            [declared_by("A", 0.10), declared_by("B", 0.2), declared_by("C", 0.10)],
            [0.10],
            id="a majority outvotes an outlier",
        ),
        pytest.param([declared_by("A", 4.0), declared_by("B", 4.0)], [4.0], id="two declare a large one"),
        pytest.param([declared_by("A", 0.11), declared_by("B", -3.0)], [0.11], id="an invalid one and a valid one"),
    ],
)
def test_an_agreed_dividend_is_applied(declared: list[DeclaredActions], expected: list[float]) -> None:
    agreed = agree_dividends(CLOSES, declared, [])

    assert expected == pytest.approx([one.value for one in agreed.actions])


@pytest.mark.parametrize(
    ("declared", "problem"),
    [
        pytest.param(
            [declared_by("A", 0.10), declared_by("B", 0.12)],
            reason(
                Code.ACTION_DISPUTED,
                declared=(("A", 0.1), ("B", 0.12)),
                kind="dividend",
                session="2026-02-06",
                symbol="WGMI",
            ),
            id="more than a tenth apart",
        ),
        pytest.param(
            [declared_by("A", 0.10), declared_by("B", 0.12), declared_by("C", 0.14)],
            reason(
                Code.ACTION_DISPUTED,
                declared=(("A", 0.1), ("B", 0.12), ("C", 0.14)),
                kind="dividend",
                session="2026-02-06",
                symbol="WGMI",
            ),
            id="three that do not agree",
        ),
        pytest.param(
            [declared_by("A", 3.0)],
            reason(
                Code.ACTION_UNCONFIRMED, declared=(("A", 3.0),), kind="dividend", session="2026-02-06", symbol="WGMI"
            ),
            id="a large one of a single source",
        ),
        pytest.param(
            [declared_by("A", 5.5)],
            reason(Code.ACTION_INVALID, declared=(("A", 5.5),), kind="dividend", session="2026-02-06", symbol="WGMI"),
            id="more than a quarter of the price",
        ),
        pytest.param(
            [declared_by("A", -0.1)],
            reason(Code.ACTION_INVALID, declared=(("A", -0.1),), kind="dividend", session="2026-02-06", symbol="WGMI"),
            id="a negative one",
        ),
        pytest.param(
            [declared_by("A", NAN)],
            reason(Code.ACTION_INVALID, declared=(("A", "nan"),), kind="dividend", session="2026-02-06", symbol="WGMI"),
            id="not a number",
        ),
    ],
)
def test_a_disputed_dividend_is_not_applied_and_is_a_problem(declared: list[DeclaredActions], problem: Reason) -> None:
    agreed = agree_dividends(CLOSES, declared, [])

    assert ((), (problem,)) == (agreed.actions, agreed.problems)


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
    declared = [declared_by(source, ratio, ActionKind.SPLIT) for source, ratio in zip("AB", ratios, strict=False)]

    agreed = agree_splits(WGMI, declared)

    assert expected == pytest.approx([one.value for one in agreed.actions])
    assert bool(agreed.problems) == (not expected)


def test_a_disputed_split_is_a_problem_with_both_ratios() -> None:
    agreed = agree_splits(WGMI, [declared_by("A", 2.0, ActionKind.SPLIT), declared_by("B", 3.0, ActionKind.SPLIT)])

    assert (
        reason(
            Code.ACTION_DISPUTED, declared=(("A", 2.0), ("B", 3.0)), kind="split", session="2026-02-06", symbol="WGMI"
        ),
    ) == agreed.problems
