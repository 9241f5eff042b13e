from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.alerting.alert import (
    ActorStamp,
    Subject,
    close,
    with_chart,
    with_hit,
    with_observation,
    with_rule,
    without_rule,
)
from services.alerting.rule_hit import RuleHit, is_corrected
from services.market.measure import Measurement, Metric, Window, measure
from services.rules.decide import Side
from services.rules.history_lookup import HistoryLookup
from tests.fakes.alerts import a_fact, a_measurement, an_alert
from tests.fakes.market import random_market

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def of_window(window: Window, rule_id: int, value: float = 0.1) -> RuleHit:
    return a_fact(rule_id=rule_id, measurement=a_measurement(window=window), value=value)


def test_the_tightest_window_leads_and_the_year_comes_last() -> None:
    alert = an_alert(facts=[of_window(Window.YTD, 1), of_window(Window.D20, 2)])

    joined = with_rule(alert, of_window(Window.D1, 3))

    assert [3, 2, 1] == [fact.rule_id for fact in joined.facts]
    assert 3 == joined.lead.rule_id


def test_a_rule_that_left_no_longer_leads() -> None:
    alert = an_alert(facts=[of_window(Window.D1, 1), of_window(Window.D5, 2)])

    assert 2 == without_rule(alert, 1).lead.rule_id
    assert 1 == without_rule(without_rule(alert, 1), 2).lead.rule_id  # all have left: the tightest of all


def test_a_rule_that_comes_back_is_there_once() -> None:
    alert = without_rule(an_alert(facts=[of_window(Window.D1, 1), of_window(Window.D5, 2)]), 1)

    again = with_rule(alert, of_window(Window.D1, 1, value=0.2))

    assert [(1, 0.2, True), (2, 0.1, True)] == [(fact.rule_id, fact.value, fact.active) for fact in again.facts]


@pytest.mark.parametrize(
    ("side", "seen", "expected"),
    [
        pytest.param(Side.ABOVE, 0.15, 0.15, id="above: a larger one"),
        pytest.param(Side.ABOVE, 0.05, 0.10, id="above: a smaller one"),
        pytest.param(Side.BELOW, -0.15, -0.15, id="below: a deeper one"),
        pytest.param(Side.BELOW, 0.05, -0.10, id="below: a higher one"),
    ],
)
def test_the_peak_is_the_furthest_on_the_side_of_the_episode(side: Side, seen: float, expected: float) -> None:
    start = 0.1 * side.sign
    alert = an_alert(side=side, facts=[a_fact(value=start), of_window(Window.D5, 2)])

    fact = with_observation(alert, 1, seen, LATER, a_measurement(as_of=LATER)).facts[0]

    assert seen == fact.value
    assert expected == pytest.approx(fact.peak)


CLOSED = a_measurement(as_of=NOW, live=False)


def test_a_corrected_peak_falls_back_to_the_largest_value_before_it() -> None:
    alert = an_alert(facts=[a_fact(value=0.12, measurement=a_measurement(as_of=NOW - timedelta(hours=1)))])
    peaked = with_observation(alert, 1, 0.15, NOW, CLOSED)

    corrected = [with_observation(peaked, 1, value, NOW, CLOSED).lead for value in (0.11, 0.13, 0.16)]

    assert [0.12, 0.13, 0.16] == [fact.peak for fact in corrected]
    assert [0.15] * 3 == [fact.corrected_from for fact in corrected]


def test_a_correction_is_told_until_a_newer_price_takes_its_place() -> None:
    corrected = with_observation(an_alert(facts=[a_fact(value=0.12, measurement=CLOSED)]), 1, 0.11, NOW, CLOSED)

    same, newer = (
        with_observation(corrected, 1, 0.11, NOW, CLOSED),
        with_observation(corrected, 1, 0.11, LATER, a_measurement(as_of=LATER)),
    )

    assert [0.12, 0.12, None] == [alert.lead.corrected_from for alert in (corrected, same, newer)]
    assert [0.11, 0.11, 0.11] == [alert.lead.peak for alert in (corrected, same, newer)]


@pytest.mark.parametrize(
    ("fact", "value", "at", "measurement", "expected"),
    [
        pytest.param(a_fact(value=0.1, measurement=CLOSED), 0.09, NOW, CLOSED, True, id="a close"),
        pytest.param(a_fact(value=0.1, measurement=CLOSED), 0.1 + 1e-9, NOW, CLOSED, False, id="noise"),
        pytest.param(
            a_fact(value=0.1, measurement=a_measurement(as_of=NOW)), 0.09, NOW, CLOSED, False, id="a live price settles"
        ),
        pytest.param(
            a_fact(value=0.1, measurement=CLOSED), 0.09, LATER, a_measurement(as_of=LATER, live=False), False,
            id="the next close",
        ),
        pytest.param(
            replace(a_fact(rule="gap 5%", value=0.1, measurement=CLOSED), at=LATER), 0.09, LATER, CLOSED, False,
            id="a gap, which moves on after the close",
        ),
    ],
)  # fmt: skip
def test_only_a_close_that_was_told_is_corrected(
    fact: RuleHit, value: float, at: datetime, measurement: Measurement, *, expected: bool
) -> None:
    assert expected is is_corrected(fact, value, at, measurement)


def test_a_closed_alert_has_no_active_rule() -> None:
    alert = close(an_alert(facts=[of_window(Window.D1, 1), of_window(Window.D5, 2)]), NOW, "all clear")

    assert (NOW, "all clear", [False, False]) == (alert.closed_at, alert.reason, [one.active for one in alert.facts])


def test_an_alert_is_retracted_once_it_is_over_and_none_of_its_rules_would_have_fired() -> None:
    gone = replace(of_window(Window.D1, 1), retracted=True, active=False)
    alert = with_hit(an_alert(facts=[of_window(Window.D1, 1), of_window(Window.D5, 2)]), gone)

    both = with_hit(alert, replace(of_window(Window.D5, 2), retracted=True))

    assert [gone.retracted, False] == [fact.retracted for fact in alert.facts]
    assert [False, False, True] == [
        one.retracted for one in (both, close(alert, NOW, "cleared"), close(both, NOW, "corrected"))
    ]


def test_a_snooze_ends_by_itself() -> None:
    until = NOW + timedelta(hours=1)
    alert = an_alert(snoozed=ActorStamp(by="U1", at=NOW, until=until))

    assert (True, False) == (alert.is_snoozed(until - timedelta(seconds=1)), alert.is_snoozed(until))
    assert not an_alert().is_snoozed(NOW)


def test_a_closed_alert_is_led_by_the_rule_that_went_furthest() -> None:
    small = a_fact(rule_id=1, rule="1d 8pp", value=0.115)
    large = a_fact(rule_id=2, rule="20d 30pp", measurement=a_measurement(window=Window.D20), value=0.6)

    alert = an_alert(facts=[small, large])

    assert 1 == alert.lead.rule_id
    assert 2 == close(alert, NOW, "all clear").lead.rule_id


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        pytest.param(Metric.SPREAD, Subject.DIVERGENCE, id="spread"),
        pytest.param(Metric.RESIDUAL, Subject.DIVERGENCE, id="residual"),
        pytest.param(Metric.Z, Subject.DIVERGENCE, id="z"),
        pytest.param(Metric.GAP, Subject.GAP, id="gap"),
        pytest.param(Metric.DRAWDOWN, Subject.DRAWDOWN, id="drawdown"),
    ],
)
def test_each_metric_has_its_subject(metric: Metric, expected: Subject) -> None:
    assert expected is Subject.of(metric)


@pytest.mark.parametrize(
    ("subject", "shown"),
    [
        pytest.param(Subject.DIVERGENCE, Window.D5, id="how far the legs part: its lead's window"),
        pytest.param(Subject.GAP, None, id="a gap is yet to come"),
        pytest.param(Subject.HASHPRICE, None, id="the hashprice is neither leg"),
    ],
)
def test_both_legs_are_drawn_where_the_alert_is_about_how_far_they_part(subject: Subject, shown: Window | None) -> None:
    market = random_market(60)
    seen = measure(market, Window.D5)
    assert isinstance(seen, Measurement)
    alert = replace(an_alert(facts=[a_fact(measurement=seen, rule="5d 15pp")]), subject=subject)

    course = with_chart(alert, HistoryLookup(market)).course

    assert shown is (course and course.window)
