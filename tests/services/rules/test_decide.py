from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import cycle, islice

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.core.reason import Code, Reason
from services.market.metrics import Direction
from services.rules.decide import Change, Decision, Observation, RuleState, RuleStatus, Side, decide
from services.rules.grammar import parse_rule
from services.rules.rule import Rule
from tests.fakes.reasons import reason, reason_with

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
EARLIER = NOW - timedelta(minutes=5)
LONG_AGO = NOW - timedelta(hours=5)
MINUTE = timedelta(minutes=1)

OK = RuleState()
ABOVE = RuleState(firing=Side.ABOVE, fired_at=LONG_AGO)
BELOW = RuleState(firing=Side.BELOW, fired_at=LONG_AGO)
HELD = RuleState(breach=Side.ABOVE, breach_at=EARLIER, breach_seen_at=EARLIER)
JUST_STARTED = replace(HELD, breach_at=NOW - timedelta(minutes=4, seconds=59))
FLIPPING = replace(ABOVE, breach=Side.BELOW, breach_at=EARLIER, breach_seen_at=EARLIER)
NODATA = RuleState(firing=Side.ABOVE, fired_at=LONG_AGO, nodata_since=LONG_AGO)
ERROR = replace(NODATA, error_since=LONG_AGO)
RECOVERING = replace(ABOVE, clear_at=EARLIER, clear_seen_at=EARLIER)

case = pytest.param
WITHIN, PENDING, PAST, KEEPS, RECOVERS, CLEARED = (
    partial(reason_with, code)
    for code in (
        Code.RULE_WITHIN_THRESHOLD,
        Code.RULE_PENDING,
        Code.RULE_PAST_THRESHOLD,
        Code.RULE_KEEPS_FIRING,
        Code.RULE_RECOVERING,
        Code.RULE_CLEARED,
    )
)
NO_DATA = reason(Code.RULE_HAS_NO_DATA, reason="no quote")
FIRE_ABOVE, FIRE_BELOW = (Change.FIRING, Side.ABOVE), (Change.FIRING, Side.BELOW)
END_ABOVE, END_BELOW = (Change.RESOLVED, Side.ABOVE), (Change.RESOLVED, Side.BELOW)


def evaluate(state: RuleState, value: float | None, rule: str, *, closing: bool = False) -> Decision:
    return decide(state, Observation(at=NOW, value=value, reason="no quote", at_close=closing), parse_rule(rule), NOW)


@pytest.mark.parametrize(
    ("rule", "state", "value", "changes", "status", "expected"),
    [
        case("1d 8pp", OK, 0.0799, [], RuleStatus.OK, WITHIN(value=0.0799), id="under the threshold"),
        case("1d 8pp", OK, 0.08, [], RuleStatus.PENDING, PENDING(held_s=0.0, hold_s=300.0), id="at it: held first"),
        case("1d 8pp", JUST_STARTED, 0.09, [], RuleStatus.PENDING, PENDING(held_s=299.0), id="a second too early"),
        case("1d 8pp", HELD, 0.09, [FIRE_ABOVE], RuleStatus.FIRING, PAST(value=0.09, held_s=300.0), id="held"),
        case("1d 8pp", HELD, 0.07, [], RuleStatus.OK, WITHIN(value=0.07), id="the breach did not last"),
        case("1d 8pp", HELD, -0.09, [], RuleStatus.PENDING, PENDING(held_s=0.0), id="the breach changed sides"),
        case("1d 8pp for 0s", OK, -0.09, [FIRE_BELOW], RuleStatus.FIRING, PAST(value=-0.09, held_s=0.0), id="no hold"),
        case("1d 8pp", ABOVE, 0.2, [], RuleStatus.FIRING, KEEPS(value=0.2, clear=0.048), id="still past it"),
        case("1d 8pp", ABOVE, 0.048, [], RuleStatus.FIRING, KEEPS(value=0.048), id="at the clear level"),
        case("1d 8pp", ABOVE, 1.148 - 1.1, [], RuleStatus.FIRING, KEEPS(), id="at the clear level, a float below"),
        case("5d 15pp", HELD, 23 / 20 - 1, [FIRE_ABOVE], RuleStatus.FIRING, PAST(), id="20.00 to 23.00 is a tie"),
        case("5d 15pp", HELD, 0.1499994, [], RuleStatus.OK, WITHIN(), id="no tie at 6 decimals"),
        case("1d z3.5", HELD, 3.5 - 1e-12, [FIRE_ABOVE], RuleStatus.FIRING, PAST(), id="a tie of z"),
        case("1d 8.12345pp", HELD, 0.0812345, [FIRE_ABOVE], RuleStatus.FIRING, PAST(), id="a tie beyond 6 decimals"),
        case("1d 8pp", ABOVE, 0.0479, [END_ABOVE], RuleStatus.OK, CLEARED(kept_s=0.0), id="cleared"),
        case("1d 8pp keep 5m", ABOVE, 0.04, [], RuleStatus.RECOVERING, RECOVERS(kept_s=0.0), id="cleared: keep first"),
        case("1d 8pp keep 6m", RECOVERING, 0.04, [], RuleStatus.RECOVERING, RECOVERS(kept_s=300.0), id="too early"),
        case("1d 8pp keep 5m", RECOVERING, 0.04, [END_ABOVE], RuleStatus.OK, CLEARED(kept_s=300.0), id="kept"),
        case("1d 8pp keep 5m", RECOVERING, 0.05, [], RuleStatus.FIRING, KEEPS(value=0.05), id="recovery ended"),
        case("1d 8pp keep 5m", RECOVERING, 0.09, [], RuleStatus.FIRING, KEEPS(value=0.09), id="breached again"),
        case("1d 8pp keep 5m", RECOVERING, -0.09, [END_ABOVE], RuleStatus.PENDING, PENDING(held_s=0.0), id="flips"),
        case("1d 8pp keep 9m", RECOVERING, -0.09, [], RuleStatus.RECOVERING, PENDING(held_s=0.0), id="flip, kept"),
        case("1d 8pp keep 5m", RECOVERING, None, [], RuleStatus.FIRING, NO_DATA, id="no data restarts keep"),
        case("1d 8pp", ERROR, None, [], RuleStatus.NODATA, NO_DATA, id="error ends, no data left"),
        case("1d 8pp", ERROR, 0.06, [], RuleStatus.FIRING, KEEPS(), id="prices are back"),
        case("1d 8pp", ABOVE, -0.06, [END_ABOVE], RuleStatus.OK, CLEARED(value=-0.06), id="the other band"),
        case("1d 8pp", BELOW, 0.06, [END_BELOW], RuleStatus.OK, CLEARED(value=0.06), id="the other band, from below"),
        case("1d 8pp keep 5m", ABOVE, -0.06, [], RuleStatus.RECOVERING, RECOVERS(), id="the other band: kept first"),
        case("1d 8pp", ABOVE, -0.09, [END_ABOVE], RuleStatus.PENDING, PENDING(held_s=0.0), id="a flip: held first"),
        case("1d 8pp", FLIPPING, -0.09, [END_ABOVE, FIRE_BELOW], RuleStatus.FIRING, PAST(held_s=300.0), id="a flip"),
        case("1d 8pp", FLIPPING, 0.06, [], RuleStatus.FIRING, KEEPS(), id="a flip that did not"),
        case("1d 8pp above for 0s", OK, -0.2, [], RuleStatus.OK, WITHIN(value=-0.2), id="the side not watched"),
        case("1d 8pp above", ABOVE, -0.06, [END_ABOVE], RuleStatus.OK, CLEARED(), id="one-sided: clears below"),
        case("1d 8pp below for 0s", OK, -0.08, [FIRE_BELOW], RuleStatus.FIRING, PAST(), id="below fires below"),
        case("1d 8pp below", BELOW, -0.05, [], RuleStatus.FIRING, KEEPS(), id="below holds in its band"),
        case("1d 8pp below", BELOW, 0.3, [END_BELOW], RuleStatus.OK, CLEARED(), id="below clears upwards"),
        case("1d z3.5 for 0s", OK, 3.6, [FIRE_ABOVE], RuleStatus.FIRING, PAST(value=3.6, unit="z"), id="in robust z"),
        case("1d 8pp", ABOVE, None, [], RuleStatus.FIRING, NO_DATA, id="no data resolves nothing"),
        case("1d 8pp", HELD, None, [], RuleStatus.OK, NO_DATA, id="no data restarts hold"),
        case("1d 8pp", NODATA, None, [], RuleStatus.NODATA, NO_DATA, id="no data past the grace period"),
        case("1d 8pp", NODATA, 0.06, [], RuleStatus.FIRING, KEEPS(), id="data again: the episode goes on"),
    ],
)  # fmt: skip
def test_the_decision_table(
    rule: str, state: RuleState, value: float | None, changes: list[object], status: RuleStatus, expected: Reason
) -> None:
    decision = evaluate(state, value, rule)

    assert changes == [(transition.change, transition.side) for transition in decision.transitions]
    assert status is decision.state.status(NOW)
    assert expected == decision.reason


def test_a_close_resolves_without_keep_time() -> None:
    decision = evaluate(ABOVE, 0.04, "1d 8pp keep 1h", closing=True)

    assert [END_ABOVE] == [(transition.change, transition.side) for transition in decision.transitions]


def test_an_unavailable_pair_is_an_error_after_the_grace_period() -> None:
    unknown = Observation(at=NOW, value=None, reason="no WGMI prices yet", pair_unavailable=True)

    first = decide(ABOVE, unknown, parse_rule("1d 8pp"), NOW).state
    later = NOW + timedelta(minutes=31)

    assert [RuleStatus.FIRING, RuleStatus.ERROR] == [first.status(at) for at in (NOW + timedelta(minutes=30), later)]
    assert first == decide(first, unknown, parse_rule("1d 8pp"), later).state


def test_a_recovery_restarts_after_an_outage() -> None:
    later = NOW + timedelta(hours=1)

    decision = decide(RECOVERING, Observation(at=later, value=0.04), parse_rule("1d 8pp keep 5m"), later)

    assert ((later, later), ()) == ((decision.state.clear_at, decision.state.clear_seen_at), decision.transitions)


def test_a_state_without_firing_has_never_fired() -> None:
    assert (OK, RuleState(nodata_since=LONG_AGO)) == (RECOVERING.without_firing(), NODATA.without_firing())


def test_a_close_fires_without_hold_time() -> None:
    decision = evaluate(OK, 0.09, "1d 8pp for 1h", closing=True)

    assert [FIRE_ABOVE] == [(transition.change, transition.side) for transition in decision.transitions]
    assert PAST(value=0.09, at_close=True) == decision.reason


def test_the_hold_counts_between_prices_and_not_between_reads() -> None:
    """A price that is read twice has not been held for the time between the reads."""
    rule, seen = parse_rule("1d 8pp"), Observation(at=NOW, value=0.09)
    started = decide(OK, seen, rule, NOW)

    again = decide(started.state, seen, rule, NOW + timedelta(hours=1))

    assert (started.state, ()) == (again.state, again.transitions)


def test_nodata_since_is_the_first_missing_observation() -> None:
    first = evaluate(OK, None, "1d 8pp").state

    later = decide(first, Observation(at=NOW, value=None), parse_rule("1d 8pp"), NOW + timedelta(minutes=31))

    assert (NOW, RuleStatus.OK) == (later.state.nodata_since, later.state.status(NOW + timedelta(minutes=30)))
    assert RuleStatus.NODATA is later.state.status(NOW + timedelta(minutes=31))


def test_a_rule_fires_at_the_time_of_the_prices() -> None:
    decision = decide(HELD, Observation(at=NOW, value=0.09), parse_rule("1d 8pp"), NOW + timedelta(minutes=2))

    assert (Side.ABOVE, NOW) == (decision.state.firing, decision.state.fired_at)


def test_a_breach_restarts_after_missing_data() -> None:
    rule = parse_rule("1d 8pp")
    no_data = decide(HELD, Observation(at=NOW, value=None, reason="no quote"), rule, NOW).state

    again = decide(no_data, Observation(at=NOW + MINUTE, value=0.09), rule, NOW + MINUTE)

    assert (PENDING(value=0.09, held_s=0.0), ()) == (again.reason, again.transitions)


@pytest.mark.parametrize(
    ("without_prices", "expected"),
    [
        pytest.param(
            timedelta(minutes=35), PAST(value=0.09, held_s=2160.0), id="a slow tick and a price as old as may be"
        ),
        pytest.param(timedelta(minutes=35, seconds=1), PENDING(held_s=0.0), id="an outage"),
        pytest.param(timedelta(hours=18), PENDING(held_s=0.0), id="a night"),
    ],
)
def test_a_hold_does_not_count_the_time_without_prices(without_prices: timedelta, expected: Reason) -> None:
    rule = parse_rule("1d 8pp")
    started = decide(OK, Observation(at=NOW, value=0.09), rule, NOW).state
    seen = decide(started, Observation(at=NOW + MINUTE, value=0.09), rule, NOW + MINUTE).state

    later = NOW + MINUTE + without_prices

    assert expected == decide(seen, Observation(at=later, value=0.09), rule, later).reason


def test_a_price_older_than_the_last_adds_nothing_to_the_hold() -> None:
    older = NOW - timedelta(minutes=6)
    rule, started = parse_rule("1d 8pp for 7m"), replace(HELD, breach_seen_at=NOW - MINUTE)

    decision = decide(started, Observation(at=older, value=0.09), rule, NOW)

    assert (started, PENDING(held_s=240.0, hold_s=420.0)) == (decision.state, decision.reason)


# Properties for any path of a spread.

THRESHOLD, CLEAR = 0.08, 0.048
paths = st.lists(st.floats(-0.3, 0.3, allow_nan=False), max_size=60)
optional_values = st.one_of(st.none(), st.floats(-0.3, 0.3, allow_nan=False))


def decisions_along(path: list[float | None], rule: Rule, minutes: int = 3) -> list[Decision]:
    state, decisions = RuleState(), []
    for step, value in enumerate(path):
        at = NOW + timedelta(minutes=minutes * step)
        decisions.append(decide(state, Observation(at=at, value=value), rule, at))
        state = decisions[-1].state
    return decisions


def transitions_of(decisions: list[Decision]) -> list[tuple[int, Change, Side]]:
    return [(step, one.change, one.side) for step, decision in enumerate(decisions) for one in decision.transitions]


@given(paths, st.integers(0, 10), st.integers(0, 10))
@example([0.25, -0.25], 1, 1)
def test_an_either_rule_fires_and_resolves_as_the_two_one_sided_rules(path: list[float], hold: int, keep: int) -> None:
    """A keep time of at most the hold time ends before the other side can fire."""
    rule = replace(parse_rule("1d 8pp"), hold=timedelta(minutes=hold), keep=timedelta(minutes=min(keep, hold)))
    sides = [replace(rule, direction=direction) for direction in (Direction.ABOVE, Direction.BELOW)]

    one_sided = {transition for side in sides for transition in transitions_of(decisions_along(list(path), side))}

    assert one_sided == set(transitions_of(decisions_along(list(path), rule)))


@given(paths, st.integers(0, 3), st.integers(4, 10))
@example([0.25, -0.25], 0, 4)
def test_a_side_that_fires_ends_the_keep_time_of_the_other(path: list[float], hold: int, keep: int) -> None:
    """One rule has one alert at a time: whenever one side fires, the other has resolved by then."""
    rule = replace(parse_rule("1d 8pp"), hold=timedelta(minutes=hold), keep=timedelta(minutes=keep))
    changes = [change for _, change, _ in transitions_of(decisions_along(list(path), rule))]

    assert list(islice(cycle([Change.FIRING, Change.RESOLVED]), len(changes))) == changes


def test_a_flip_resolves_on_its_own_reason() -> None:
    decision = evaluate(FLIPPING, -0.09, "1d 8pp")

    assert [CLEARED(value=-0.09), PAST(value=-0.09)] == [transition.reason for transition in decision.transitions]


@given(paths)
def test_a_mirrored_market_gives_mirrored_decisions(path: list[float]) -> None:
    rule = parse_rule("1d 8pp")
    other = {Side.ABOVE: Side.BELOW, Side.BELOW: Side.ABOVE}

    mirrored = transitions_of(decisions_along([-value for value in path], rule))

    assert [(step, to, other[side]) for step, to, side in transitions_of(decisions_along(list(path), rule))] == mirrored


@given(paths)
def test_a_one_sided_rule_mirrors_into_the_other_side(path: list[float]) -> None:
    other = {Side.ABOVE: Side.BELOW, Side.BELOW: Side.ABOVE}

    above = transitions_of(decisions_along(list(path), parse_rule("1d 8pp above")))
    below = transitions_of(decisions_along([-value for value in path], parse_rule("1d 8pp below")))

    assert [(step, to, other[side]) for step, to, side in above] == below


@given(
    st.lists(st.integers(-30_000, 30_000).map(lambda steps: steps / 100_000), max_size=60),  # farther apart than ties
    st.sampled_from([0.25, 0.5, 2.0, 4.0, 1024.0]),
)
def test_the_scale_of_rule_and_market_does_not_matter(path: list[float], factor: float) -> None:
    rule = parse_rule("1d 8pp")
    scaled = replace(rule, threshold=rule.threshold * factor, clear=rule.clear * factor)

    assert transitions_of(decisions_along(list(path), rule)) == transitions_of(
        decisions_along([value * factor for value in path], scaled)
    )


@given(st.sampled_from([OK, ABOVE, BELOW]), st.floats(CLEAR, THRESHOLD - 1e-6))
def test_nothing_changes_inside_the_band_of_its_side(state: RuleState, size: float) -> None:
    decision = evaluate(state, size * (-1 if state.firing is Side.BELOW else 1), "1d 8pp for 0s")

    assert (state, ()) == (decision.state, decision.transitions)


@given(st.lists(optional_values, max_size=60), st.sampled_from(list(Direction)), st.integers(0, 10))
def test_at_most_one_episode_is_open_and_firing_and_resolved_alternate(
    path: list[float | None], direction: Direction, hold_minutes: int
) -> None:
    rule = replace(parse_rule("1d 8pp"), direction=direction, hold=timedelta(minutes=hold_minutes))
    opened: Side | None = None

    for _, to, side in transitions_of(decisions_along(path, rule)):
        assert opened is (None if to is Change.FIRING else side)
        opened = side if to is Change.FIRING else None


@given(st.lists(optional_values, max_size=60))
def test_missing_data_never_fires_and_never_resolves(path: list[float | None]) -> None:
    for value, decision in zip(path, decisions_along(path, parse_rule("1d 8pp for 0s")), strict=True):
        assert value is not None or decision.transitions == ()


@given(paths)
def test_evaluating_a_close_twice_changes_nothing(path: list[float]) -> None:
    rule, state = parse_rule("1d 8pp"), RuleState()
    for value in path:
        seen = Observation(at=NOW, value=value, at_close=True)
        state = decide(state, seen, rule, NOW).state
        assert (state, ()) == (decide(state, seen, rule, NOW).state, decide(state, seen, rule, NOW).transitions)


@given(st.lists(optional_values, max_size=40))
def test_every_decision_has_a_reason(path: list[float | None]) -> None:
    assert all(decision.reason for decision in decisions_along(path, parse_rule("1d 8pp")))


@pytest.mark.parametrize(
    "state", [RuleState(), RuleState(firing=Side.ABOVE, fired_at=NOW), RuleState(nodata_since=NOW)]
)
def test_nothing_changes_while_the_first_trade_is_awaited(state: RuleState) -> None:
    waiting = Observation(at=NOW, value=None, reason="no trade yet", awaiting_trade=True)

    decision = decide(state, waiting, parse_rule("1d 8pp"), NOW)

    assert (state, (), reason(Code.RULE_AWAITS_TRADE, reason="no trade yet")) == (
        decision.state,
        decision.transitions,
        decision.reason,
    )


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (HELD, RuleState(breach=Side.ABOVE, breach_at=LONG_AGO, breach_seen_at=LONG_AGO)),
        (
            replace(NODATA, nodata_since=NOW, error_since=NOW),
            replace(ABOVE, nodata_since=LONG_AGO, error_since=LONG_AGO),
        ),
    ],
    ids=["a breach", "missing data"],
)
def test_times_that_lie_ahead_after_the_clock_was_set_back_start_again(state: RuleState, expected: RuleState) -> None:
    value = 0.1 if state.breach else None
    observation = Observation(at=LONG_AGO, value=value, pair_unavailable=value is None)
    assert (
        replace(expected, fired_at=state.fired_at) == decide(state, observation, parse_rule("1d 8pp"), LONG_AGO).state
    )
