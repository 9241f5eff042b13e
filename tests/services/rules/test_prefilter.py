from datetime import timedelta

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from services.rules.decide import Observation, RuleState, Side, decide
from services.rules.grammar import parse_rule
from services.rules.prefilter import RulePrefilter
from tests.services.rules.test_decide import NOW

RULES = [
    parse_rule(text)
    for text in (
        "1d 8pp",
        "1d 8pp above keep 10m",
        "1d 8pp below",
        "1d 10pp clear 2pp for 0s keep 5m",
        "1d z3.5",
        "1d 8pp at close",
    )
]
moments = st.sampled_from([NOW - timedelta(minutes=minutes) for minutes in (0, 3, 5, 60)])


@st.composite
def states(draw: st.DrawFn) -> RuleState:
    firing = draw(st.sampled_from([None, Side.ABOVE, Side.BELOW]))
    breach = draw(st.sampled_from([None, *(side for side in Side if side is not firing)]))
    recovering = firing is not None and breach is None and draw(st.booleans())
    dark_at = draw(st.one_of(st.none(), moments))
    return RuleState(
        firing=firing,
        fired_at=draw(moments) if firing else None,
        breach=breach,
        breach_at=draw(moments) if breach else None,
        breach_seen_at=draw(moments) if breach else None,
        clear_at=draw(moments) if recovering else None,
        clear_seen_at=draw(moments) if recovering else None,
        dark_at=dark_at,
        error_at=dark_at and draw(st.one_of(st.none(), moments)),
    )


@given(
    st.lists(st.tuples(st.sampled_from(range(len(RULES))), states()), min_size=1, max_size=30),
    st.one_of(st.none(), st.floats(-0.2, 0.2), st.sampled_from([0.08, -0.08, 0.048, -0.048, 0.02, 0.1])),
    st.booleans(),
    st.booleans(),
)
def test_a_rule_that_is_screened_out_would_not_have_changed(
    watched: list[tuple[int, RuleState]], value: float | None, closing: bool, unknown: bool
) -> None:
    rules, known = [RULES[index] for index, _ in watched], [state for _, state in watched]
    screen = RulePrefilter.of(rules, known, [0] * len(rules))

    seen = Observation(at=NOW, value=value, closing=closing, unknown=unknown and value is None)
    values = np.array([np.nan if value is None else value])
    may_change = set(screen.may_change(values, unknown=seen.unknown).tolist())

    for index, (rule, state) in enumerate(zip(rules, known, strict=True)):
        decision = decide(state, seen, rule, NOW)
        assert index in may_change or decision.state == state


def test_quiet_rules_are_all_screened_out() -> None:
    screen = RulePrefilter.of(RULES, [RuleState()] * len(RULES), [0] * len(RULES))

    assert [] == screen.may_change(np.array([0.01])).tolist()


def test_each_rule_looks_at_its_own_column() -> None:
    screen = RulePrefilter.of(RULES[:2], [RuleState()] * 2, [0, 1])

    assert [1] == screen.may_change(np.array([0.01, 0.09])).tolist()


@given(st.sampled_from(range(len(RULES))), states(), states())
def test_a_state_that_is_taken_over_is_screened_like_one_from_the_start(
    index: int, before: RuleState, after: RuleState
) -> None:
    rule, values = RULES[index], [-0.2, -0.1, -0.08, -0.03, 0.0, 0.03, 0.08, 0.1, 0.2, np.nan]
    screen = RulePrefilter.of([rule], [before], [0])

    screen.put(0, rule, after)

    fresh = RulePrefilter.of([rule], [after], [0])
    assert [fresh.may_change(np.array([value])).tolist() for value in values] == [
        screen.may_change(np.array([value])).tolist() for value in values
    ]


def test_no_rules_need_no_decision() -> None:
    assert [] == RulePrefilter.of([], [], []).may_change(np.array([])).tolist()
