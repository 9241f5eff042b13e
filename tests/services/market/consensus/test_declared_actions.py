from datetime import date

import numpy as np
import pytest

from services.core.prices import Closes, Symbol
from services.market.consensus.corporate_actions import Action, Declared, Kind
from services.market.consensus.declared_actions import agree_dividends, agree_splits
from tests.fakes.market import session_days

WGMI = Symbol("WGMI")
DAYS = session_days("2026-02-02", 8)
CLOSES = Closes(symbol=WGMI, sessions=np.array(DAYS, dtype="datetime64[D]"), prices=np.full(8, 20.0), source="A")
EX = DAYS[4]
NAN = float("nan")


def says(source: str, value: float, kind: Kind = Kind.DIVIDEND, on: date = EX) -> Declared:
    return Declared(source=source, since=DAYS[0], actions=(Action(session=on, kind=kind, value=value),))


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        pytest.param([], [], id="nobody declares any"),
        pytest.param([says("A", 0.11)], [0.11], id="one source is enough for a small one"),
        pytest.param([says("A", 0.11), says("B", 0.11)], [0.11], id="two sources are one dividend"),
        pytest.param([says("A", 0.10), says("B", 0.11)], [0.105], id="the median of both"),
        pytest.param([says("A", 0.10), says("B", 0.2), says("C", 0.10)], [0.10], id="a majority outvotes an odd one"),
        pytest.param([says("A", 4.0), says("B", 4.0)], [4.0], id="two declare a large one"),
        pytest.param([says("A", 0.11), says("B", -3.0)], [0.11], id="nonsense beside sense"),
    ],
)
def test_a_dividend_that_is_believed_is_applied(declared: list[Declared], expected: list[float]) -> None:
    settled = agree_dividends(CLOSES, declared, [])

    assert expected == pytest.approx([one.value for one in settled.actions])


@pytest.mark.parametrize(
    ("declared", "problem"),
    [
        pytest.param(
            [says("A", 0.10), says("B", 0.12)],
            "the dividend of WGMI on 2026-02-06 is 0.1 USD at A and 0.12 USD at B; it is left out until they agree",
            id="more than a tenth apart",
        ),
        pytest.param(
            [says("A", 0.10), says("B", 0.12), says("C", 0.14)],
            "the dividend of WGMI on 2026-02-06 is 0.1 USD at A and 0.12 USD at B and 0.14 USD at C; "
            "it is left out until they agree",
            id="three that do not agree",
        ),
        pytest.param(
            [says("A", 3.0)],
            "the dividend of WGMI on 2026-02-06 is 3 USD at A alone; it is left out until a second source declares it",
            id="a large one alone",
        ),
        pytest.param(
            [says("A", 5.5)],
            "the dividend of WGMI on 2026-02-06 is 5.5 USD at A, which cannot be; it is left out",
            id="more than a quarter of the price",
        ),
        pytest.param(
            [says("A", -0.1)],
            "the dividend of WGMI on 2026-02-06 is -0.1 USD at A, which cannot be; it is left out",
            id="a negative one",
        ),
        pytest.param(
            [says("A", NAN)],
            "the dividend of WGMI on 2026-02-06 is nan USD at A, which cannot be; it is left out",
            id="no number",
        ),
    ],
)
def test_a_dividend_that_is_not_believed_is_left_out_and_told(declared: list[Declared], problem: str) -> None:
    settled = agree_dividends(CLOSES, declared, [])

    assert ((), (problem,)) == (settled.actions, settled.problems)


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        pytest.param((DAYS[4], DAYS[5], DAYS[5]), [DAYS[5]], id="the day that most name"),
        pytest.param((DAYS[4], DAYS[5]), [DAYS[4]], id="else the first"),
        pytest.param((DAYS[1], DAYS[7]), [DAYS[1], DAYS[7]], id="a week apart they are two"),
    ],
)
def test_sources_that_are_a_session_apart_tell_of_one_dividend(days: tuple[date, ...], expected: list[date]) -> None:
    declared = [says(source, 0.1, on=day) for source, day in zip("ABC", days, strict=False)]

    assert expected == [one.session for one in agree_dividends(CLOSES, declared, []).actions]


def test_two_dividends_of_one_source_are_two() -> None:
    both = Declared(source="A", since=DAYS[0], actions=says("A", 0.1).actions + says("A", 0.1, on=DAYS[5]).actions)

    assert [EX, DAYS[5]] == [one.session for one in agree_dividends(CLOSES, [both], []).actions]


def test_a_dividend_before_the_first_close_is_passed_over_in_silence() -> None:
    settled = agree_dividends(CLOSES, [says("A", 99.0, on=date(2020, 1, 2))], [])

    assert ((), ()) == (settled.actions, settled.problems)


def test_a_dividend_is_judged_in_the_shares_of_its_day() -> None:
    later = Action(session=DAYS[6], kind=Kind.SPLIT, value=10.0)

    assert 1 == len(agree_dividends(CLOSES, [says("A", 19.0)], [later]).actions)


@pytest.mark.parametrize(
    ("ratios", "expected"),
    [
        pytest.param([2.0], [2.0], id="one source is enough"),
        pytest.param([0.3333, 1 / 3], [0.33331667], id="rounded by one"),
        pytest.param([2.0, 3.0], [], id="they do not agree"),
        pytest.param([0.0], [], id="nothing"),
        pytest.param([1.0], [], id="no split at all"),
        pytest.param([NAN], [], id="no number"),
        pytest.param([1e6], [], id="beyond all measure"),
    ],
)
def test_a_split_is_what_its_sources_agree_on(ratios: list[float], expected: list[float]) -> None:
    declared = [says(source, ratio, Kind.SPLIT) for source, ratio in zip("AB", ratios, strict=False)]

    settled = agree_splits(WGMI, declared)

    assert expected == pytest.approx([one.value for one in settled.actions])
    assert bool(settled.problems) == (not expected)


def test_a_split_in_dispute_is_told_with_both_ratios() -> None:
    settled = agree_splits(WGMI, [says("A", 2.0, Kind.SPLIT), says("B", 3.0, Kind.SPLIT)])

    assert (
        "the split of WGMI on 2026-02-06 is 2 for 1 at A and 3 for 1 at B; it is left out until they agree",
    ) == settled.problems
