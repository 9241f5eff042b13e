from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.rules.decide import Change, Decision, Observation, RuleState, Side, Status, decide
from services.rules.grammar import parse_rule
from services.rules.rule import Direction, Rule

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
EARLIER = NOW - timedelta(minutes=5)
LONG_AGO = NOW - timedelta(hours=5)
MINUTE = timedelta(minutes=1)

OK = RuleState()
ABOVE = RuleState(firing=Side.ABOVE, fired_at=LONG_AGO)
BELOW = RuleState(firing=Side.BELOW, fired_at=LONG_AGO)
HELD = RuleState(breach=Side.ABOVE, breach_at=EARLIER, breach_seen_at=EARLIER)
BEGUN = replace(HELD, breach_at=NOW - timedelta(minutes=4, seconds=59))
TURNING = replace(ABOVE, breach=Side.BELOW, breach_at=EARLIER, breach_seen_at=EARLIER)
DARK = RuleState(firing=Side.ABOVE, fired_at=LONG_AGO, dark_at=LONG_AGO)
LOST = replace(DARK, error_at=LONG_AGO)
CALMER = replace(ABOVE, clear_at=EARLIER, clear_seen_at=EARLIER)

row = pytest.param
FIRE_ABOVE, FIRE_BELOW = (Change.FIRING, Side.ABOVE), (Change.FIRING, Side.BELOW)
END_ABOVE, END_BELOW = (Change.RESOLVED, Side.ABOVE), (Change.RESOLVED, Side.BELOW)


def look(state: RuleState, value: float | None, rule: str, *, closing: bool = False) -> Decision:
    return decide(state, Observation(at=NOW, value=value, reason="no quote", closing=closing), parse_rule(rule), NOW)


@pytest.mark.parametrize(
    ("rule", "state", "value", "changes", "status", "reason"),
    [
        row("1d 8pp", OK, 0.0799, [], Status.OK, "7.99pp is within 8pp", id="under the threshold"),
        row("1d 8pp", OK, 0.08, [], Status.PENDING, "8pp is past 8pp, held for 0s of 5m", id="at it: held first"),
        row("1d 8pp", BEGUN, 0.09, [], Status.PENDING, "held for 4m 59s of 5m", id="a second too early"),
        row("1d 8pp", HELD, 0.09, [FIRE_ABOVE], Status.FIRING, "9pp is past 8pp, held for 5m", id="held"),
        row("1d 8pp", HELD, 0.07, [], Status.OK, "7pp is within 8pp", id="the breach did not last"),
        row("1d 8pp", HELD, -0.09, [], Status.PENDING, "held for 0s of 5m", id="the breach changed sides"),
        row("1d 8pp for 0s", OK, -0.09, [FIRE_BELOW], Status.FIRING, "-9pp is past 8pp", id="no hold"),
        row("1d 8pp", ABOVE, 0.2, [], Status.FIRING, "20pp keeps it firing: clear is 4.8pp", id="still past it"),
        row("1d 8pp", ABOVE, 0.048, [], Status.FIRING, "4.8pp keeps it firing", id="at the clear level"),
        row("1d 8pp", ABOVE, 0.0479, [END_ABOVE], Status.OK, "back inside the clear level of 4.8pp", id="cleared"),
        row("1d 8pp keep 5m", ABOVE, 0.04, [], Status.RECOVERING, "for 0s of 5m", id="cleared: kept there first"),
        row("1d 8pp keep 6m", CALMER, 0.04, [], Status.RECOVERING, "for 5m of 6m", id="a minute too early"),
        row("1d 8pp keep 5m", CALMER, 0.04, [END_ABOVE], Status.OK, "of 4.8pp, for 5m", id="cleared and kept"),
        row("1d 8pp keep 5m", CALMER, 0.05, [], Status.FIRING, "5pp keeps it firing", id="the recovery did not last"),
        row("1d 8pp keep 5m", CALMER, 0.09, [], Status.FIRING, "9pp keeps it firing", id="past the threshold again"),
        row("1d 8pp keep 5m", CALMER, -0.09, [], Status.FIRING, "held for 0s of 5m", id="through to the other side"),
        row("1d 8pp keep 5m", CALMER, None, [], Status.FIRING, "nothing decided", id="what nobody saw was not kept"),
        row("1d 8pp", LOST, None, [], Status.NODATA, "nothing decided: no quote", id="something is known again"),
        row("1d 8pp", LOST, 0.06, [], Status.FIRING, "keeps it firing", id="prices are back"),
        row("1d 8pp", ABOVE, -0.06, [], Status.FIRING, "keeps it firing", id="the band of the other side"),
        row("1d 8pp", ABOVE, -0.09, [], Status.FIRING, "-9pp is past 8pp, held for 0s", id="a flip is held first"),
        row("1d 8pp", TURNING, -0.09, [END_ABOVE, FIRE_BELOW], Status.FIRING, "held for 5m", id="a flip that lasted"),
        row("1d 8pp", TURNING, 0.06, [], Status.FIRING, "keeps it firing", id="a flip that did not"),
        row("1d 8pp above for 0s", OK, -0.2, [], Status.OK, "-20pp is within 8pp", id="the side not watched"),
        row("1d 8pp above", ABOVE, -0.06, [END_ABOVE], Status.OK, "back inside", id="one-sided: the other side clears"),
        row("1d 8pp below for 0s", OK, -0.08, [FIRE_BELOW], Status.FIRING, "", id="below fires below"),
        row("1d 8pp below", BELOW, -0.05, [], Status.FIRING, "keeps it firing", id="below holds in its band"),
        row("1d 8pp below", BELOW, 0.3, [END_BELOW], Status.OK, "back inside", id="below clears upwards"),
        row("1d z3.5 for 0s", OK, 3.6, [FIRE_ABOVE], Status.FIRING, "z3.6 is past z3.5", id="in robust z"),
        row("1d 8pp", ABOVE, None, [], Status.FIRING, "nothing decided: no quote", id="no data resolves nothing"),
        row("1d 8pp", HELD, None, [], Status.OK, "nothing decided: no quote", id="what nobody saw was not held"),
        row("1d 8pp", DARK, None, [], Status.NODATA, "nothing decided", id="no data past the grace period"),
        row("1d 8pp", DARK, 0.06, [], Status.FIRING, "keeps it firing", id="data again: the episode goes on"),
    ],
)  # fmt: skip
def test_the_decision_table(
    rule: str, state: RuleState, value: float | None, changes: list[object], status: Status, reason: str
) -> None:
    decision = look(state, value, rule)

    assert changes == [(transition.to, transition.side) for transition in decision.transitions]
    assert status is decision.state.status(NOW)
    assert reason in decision.reason


def test_a_close_needs_nothing_to_be_kept() -> None:
    decision = look(ABOVE, 0.04, "1d 8pp keep 1h", closing=True)

    assert [END_ABOVE] == [(transition.to, transition.side) for transition in decision.transitions]


def test_a_pair_of_which_nothing_is_known_is_an_error_after_the_grace_period() -> None:
    unknown = Observation(at=NOW, value=None, reason="no WGMI prices yet", unknown=True)

    first = decide(ABOVE, unknown, parse_rule("1d 8pp"), NOW).state
    later = NOW + timedelta(minutes=31)

    assert [Status.FIRING, Status.ERROR] == [first.status(at) for at in (NOW + timedelta(minutes=30), later)]
    assert first == decide(first, unknown, parse_rule("1d 8pp"), later).state


def test_a_recovery_that_nobody_watched_begins_anew() -> None:
    later = NOW + timedelta(hours=1)

    decision = decide(CALMER, Observation(at=later, value=0.04), parse_rule("1d 8pp keep 5m"), later)

    assert ((later, later), ()) == ((decision.state.clear_at, decision.state.clear_seen_at), decision.transitions)


def test_what_is_taken_back_has_never_fired() -> None:
    assert (OK, RuleState(dark_at=LONG_AGO)) == (CALMER.unfired(), DARK.unfired())


def test_a_close_needs_no_hold() -> None:
    decision = look(OK, 0.09, "1d 8pp for 1h", closing=True)

    assert [FIRE_ABOVE] == [(transition.to, transition.side) for transition in decision.transitions]
    assert "9pp is past 8pp at the close" == decision.reason


def test_the_hold_counts_between_prices_and_not_between_looks() -> None:
    """A price that is looked at twice has not been held for the time between the looks."""
    rule, seen = parse_rule("1d 8pp"), Observation(at=NOW, value=0.09)
    begun = decide(OK, seen, rule, NOW)

    again = decide(begun.state, seen, rule, NOW + timedelta(hours=1))

    assert (begun.state, ()) == (again.state, again.transitions)


def test_what_went_dark_first_is_remembered() -> None:
    first = look(OK, None, "1d 8pp").state

    later = decide(first, Observation(at=NOW, value=None), parse_rule("1d 8pp"), NOW + timedelta(minutes=31))

    assert (NOW, Status.OK) == (later.state.dark_at, later.state.status(NOW + timedelta(minutes=30)))
    assert Status.NODATA is later.state.status(NOW + timedelta(minutes=31))


def test_a_rule_fires_as_of_the_instant_of_the_prices() -> None:
    decision = decide(HELD, Observation(at=NOW, value=0.09), parse_rule("1d 8pp"), NOW + timedelta(minutes=2))

    assert (Side.ABOVE, NOW) == (decision.state.firing, decision.state.fired_at)


def test_a_breach_in_the_dark_begins_anew() -> None:
    rule = parse_rule("1d 8pp")
    dark = decide(HELD, Observation(at=NOW, value=None, reason="no quote"), rule, NOW).state

    again = decide(dark, Observation(at=NOW + MINUTE, value=0.09), rule, NOW + MINUTE)

    assert ("9pp is past 8pp, held for 0s of 5m", ()) == (again.reason, again.transitions)


@pytest.mark.parametrize(
    ("unseen", "reason"),
    [
        pytest.param(
            timedelta(minutes=35), "9pp is past 8pp, held for 36m", id="a slow tick and a price as old as may be"
        ),
        pytest.param(timedelta(minutes=35, seconds=1), "held for 0s of 5m", id="an outage"),
        pytest.param(timedelta(hours=18), "held for 0s of 5m", id="a night"),
    ],
)
def test_a_hold_does_not_count_the_time_in_which_nobody_looked(unseen: timedelta, reason: str) -> None:
    rule = parse_rule("1d 8pp")
    begun = decide(OK, Observation(at=NOW, value=0.09), rule, NOW).state
    seen = decide(begun, Observation(at=NOW + MINUTE, value=0.09), rule, NOW + MINUTE).state

    later = NOW + MINUTE + unseen

    assert reason in decide(seen, Observation(at=later, value=0.09), rule, later).reason


def test_a_price_that_is_older_than_the_last_adds_nothing_to_the_hold() -> None:
    older = NOW - timedelta(minutes=6)
    rule, begun = parse_rule("1d 8pp for 7m"), replace(HELD, breach_seen_at=NOW - MINUTE)

    decision = decide(begun, Observation(at=older, value=0.09), rule, NOW)

    assert (begun, "9pp is past 8pp, held for 4m of 7m") == (decision.state, decision.reason)


@pytest.mark.parametrize(
    ("rule", "state", "value", "reason"),
    [
        pytest.param("1d 8pp", ABOVE, -0.00001, "0pp is back inside the clear level of 4.8pp", id="zero has no sign"),
        pytest.param("1d 8pp", OK, 0.0799999, "7.99999pp is within 8pp", id="just under the threshold"),
        pytest.param("1d 8pp", ABOVE, 0.0479999, "4.79999pp is back inside the clear level of 4.8pp", id="just inside"),
        pytest.param("1d 8pp", ABOVE, 0.048, "4.8pp keeps it firing: clear is 4.8pp", id="at the clear level"),
        pytest.param("1d 8.1231pp for 0s", OK, 0.0812314, "8.1231pp is past 8.1231pp", id="a fine threshold"),
        pytest.param("1d z3.5", OK, -3.4999, "z-3.4999 is within z3.5", id="in robust z"),
    ],
)
def test_a_value_is_written_on_its_own_side_of_the_level(
    rule: str, state: RuleState, value: float, reason: str
) -> None:
    assert reason == look(state, value, rule).reason


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        pytest.param(timedelta(seconds=45), "45s", id="seconds"),
        pytest.param(timedelta(minutes=5, seconds=1), "5m 1s", id="minutes"),
        pytest.param(timedelta(hours=1, minutes=30, seconds=7), "1h 30m", id="hours, without the seconds"),
        pytest.param(timedelta(hours=2), "2h", id="whole hours"),
    ],
)
def test_a_hold_is_told_as_people_say_it(held: timedelta, expected: str) -> None:
    state = RuleState(breach=Side.ABOVE, breach_at=NOW - held, breach_seen_at=NOW - timedelta(seconds=1))

    assert f"10pp is past 8pp, held for {expected} of 6h" == look(state, 0.1, "1d 8pp for 6h").reason


# Laws, over any path of a spread.

THRESHOLD, CLEAR = 0.08, 0.048
paths = st.lists(st.floats(-0.3, 0.3, allow_nan=False), max_size=60)
usable = st.one_of(st.none(), st.floats(-0.3, 0.3, allow_nan=False))


def walk(path: list[float | None], rule: Rule, minutes: int = 3) -> list[Decision]:
    state, decisions = RuleState(), []
    for step, value in enumerate(path):
        at = NOW + timedelta(minutes=minutes * step)
        decisions.append(decide(state, Observation(at=at, value=value), rule, at))
        state = decisions[-1].state
    return decisions


def changes_of(decisions: list[Decision]) -> list[tuple[int, Change, Side]]:
    return [(step, one.to, one.side) for step, made in enumerate(decisions) for one in made.transitions]


@given(paths)
def test_a_mirrored_market_gives_mirrored_decisions(path: list[float]) -> None:
    rule = parse_rule("1d 8pp")
    other = {Side.ABOVE: Side.BELOW, Side.BELOW: Side.ABOVE}

    mirrored = changes_of(walk([-value for value in path], rule))

    assert [(step, to, other[side]) for step, to, side in changes_of(walk(list(path), rule))] == mirrored


@given(paths)
def test_a_one_sided_rule_mirrors_into_the_other_side(path: list[float]) -> None:
    other = {Side.ABOVE: Side.BELOW, Side.BELOW: Side.ABOVE}

    above = changes_of(walk(list(path), parse_rule("1d 8pp above")))
    below = changes_of(walk([-value for value in path], parse_rule("1d 8pp below")))

    assert [(step, to, other[side]) for step, to, side in above] == below


@given(paths, st.sampled_from([0.25, 0.5, 2.0, 4.0, 1024.0]))
def test_the_scale_of_rule_and_market_does_not_matter(path: list[float], factor: float) -> None:
    rule = parse_rule("1d 8pp")
    scaled = replace(rule, threshold=rule.threshold * factor, clear=rule.clear * factor)

    assert changes_of(walk(list(path), rule)) == changes_of(walk([value * factor for value in path], scaled))


@given(st.sampled_from([OK, ABOVE, BELOW]), st.floats(CLEAR, THRESHOLD, exclude_max=True), st.sampled_from([1, -1]))
def test_nothing_changes_inside_the_band(state: RuleState, size: float, sign: int) -> None:
    decision = look(state, size * sign, "1d 8pp for 0s")

    assert (state, ()) == (decision.state, decision.transitions)


@given(st.lists(usable, max_size=60), st.sampled_from(list(Direction)), st.integers(0, 10))
def test_there_is_at_most_one_open_episode_and_it_opens_and_ends_in_turn(
    path: list[float | None], direction: Direction, hold_minutes: int
) -> None:
    rule = replace(parse_rule("1d 8pp"), direction=direction, hold=timedelta(minutes=hold_minutes))
    opened: Side | None = None

    for _, to, side in changes_of(walk(path, rule)):
        assert opened is (None if to is Change.FIRING else side)
        opened = side if to is Change.FIRING else None


@given(st.lists(usable, max_size=60))
def test_missing_data_never_fires_and_never_resolves(path: list[float | None]) -> None:
    for value, decision in zip(path, walk(path, parse_rule("1d 8pp for 0s")), strict=True):
        assert value is not None or decision.transitions == ()


@given(paths)
def test_looking_twice_at_a_close_decides_once(path: list[float]) -> None:
    rule, state = parse_rule("1d 8pp"), RuleState()
    for value in path:
        seen = Observation(at=NOW, value=value, closing=True)
        state = decide(state, seen, rule, NOW).state
        assert (state, ()) == (decide(state, seen, rule, NOW).state, decide(state, seen, rule, NOW).transitions)


@given(st.lists(usable, max_size=40))
def test_every_decision_has_a_reason(path: list[float | None]) -> None:
    assert all(decision.reason for decision in walk(path, parse_rule("1d 8pp")))


@pytest.mark.parametrize("state", [RuleState(), RuleState(firing=Side.ABOVE, fired_at=NOW), RuleState(dark_at=NOW)])
def test_while_a_first_trade_is_awaited_nothing_changes(state: RuleState) -> None:
    waiting = Observation(at=NOW, value=None, reason="no trade yet", waiting=True)

    decision = decide(state, waiting, parse_rule("1d 8pp"), NOW)

    assert (state, (), "nothing decided yet: no trade yet") == (decision.state, decision.transitions, decision.reason)
