from datetime import timedelta

import numpy as np
import pytest
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
times = st.sampled_from([NOW - timedelta(minutes=minutes) for minutes in (-5, 0, 3, 5, 60)])


@st.composite
def states(draw: st.DrawFn) -> RuleState:
    firing = draw(st.sampled_from([None, Side.ABOVE, Side.BELOW]))
    breach = draw(st.sampled_from([None, *(side for side in Side if side is not firing)]))
    recovering = firing is not None and draw(st.booleans())
    nodata_since = draw(st.one_of(st.none(), times))
    return RuleState(
        firing=firing,
        fired_at=draw(times) if firing else None,
        breach=breach,
        breach_at=draw(times) if breach else None,
        breach_seen_at=draw(times) if breach else None,
        clear_at=draw(times) if recovering else None,
        clear_seen_at=draw(times) if recovering else None,
        nodata_since=nodata_since,
        error_since=nodata_since and draw(st.one_of(st.none(), times)),
    )


@given(
    st.lists(st.tuples(st.sampled_from(range(len(RULES))), states()), min_size=1, max_size=30),
    st.one_of(st.none(), st.floats(-0.2, 0.2), st.sampled_from([0.08, -0.08, 0.048, -0.048, 0.02, 0.1])),
    st.booleans(),
    st.booleans(),
)
def test_a_rule_that_is_filtered_out_would_not_have_changed(
    rules_and_states: list[tuple[int, RuleState]], value: float | None, closing: bool, unknown: bool
) -> None:
    rules, rule_states = [RULES[index] for index, _ in rules_and_states], [state for _, state in rules_and_states]
    prefilter = RulePrefilter.from_rules(rules, rule_states, [0] * len(rules))

    observation = Observation(at=NOW, value=value, at_close=closing, pair_unavailable=unknown and value is None)
    values = np.array([np.nan if value is None else value])
    may_change = set(prefilter.may_change(values, NOW, pair_unavailable=observation.pair_unavailable).tolist())

    for index, (rule, state) in enumerate(zip(rules, rule_states, strict=True)):
        decision = decide(state, observation, rule, NOW)
        assert index in may_change or decision.state == state


def test_ok_rules_are_all_filtered_out() -> None:
    prefilter = RulePrefilter.from_rules(RULES, [RuleState()] * len(RULES), [0] * len(RULES))

    assert [] == prefilter.may_change(np.array([0.01]), NOW).tolist()


def test_each_rule_uses_its_own_column() -> None:
    prefilter = RulePrefilter.from_rules(RULES[:2], [RuleState()] * 2, [0, 1])

    assert [1] == prefilter.may_change(np.array([0.01, 0.09]), NOW).tolist()


@given(st.sampled_from(range(len(RULES))), states(), states())
def test_an_updated_state_is_filtered_like_an_initial_one(index: int, before: RuleState, after: RuleState) -> None:
    rule, values = RULES[index], [-0.2, -0.1, -0.08, -0.03, 0.0, 0.03, 0.08, 0.1, 0.2, np.nan]
    prefilter = RulePrefilter.from_rules([rule], [before], [0])

    prefilter.update(0, rule, after)

    fresh = RulePrefilter.from_rules([rule], [after], [0])
    assert [fresh.may_change(np.array([value]), NOW).tolist() for value in values] == [
        prefilter.may_change(np.array([value]), NOW).tolist() for value in values
    ]


def test_an_empty_prefilter_selects_nothing() -> None:
    assert [] == RulePrefilter.from_rules([], [], []).may_change(np.array([]), NOW).tolist()


@pytest.mark.parametrize("value", [23 / 20 - 1, 1 - 23 / 20])
def test_an_exact_tie_may_change_a_rule(value: float) -> None:
    rules = RulePrefilter.from_rules([parse_rule("5d 15pp")], [RuleState()], [0])

    assert value not in {0.15, -0.15}
    assert [0] == rules.may_change(np.array([value]), NOW).tolist()
