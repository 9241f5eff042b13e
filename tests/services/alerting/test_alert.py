from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from services.alerting.alert import (
    ActorStamp,
    HitEnd,
    RuleHit,
    close,
    is_corrected,
    with_chart,
    with_hit,
    with_observation,
    with_opening,
    with_pair,
    with_rule,
    without_rule,
)
from services.core.prices import Pair, Symbol
from services.market.measure import Measurement, Window, measure
from services.market.metrics import DIVERGENCE, DRAWDOWN, GAP, HASHPRICE, RESIDUAL, SPREAD, Metric, Subject, Z
from services.rules.decide import Side
from services.rules.history_lookup import HistoryLookup
from tests.fakes.alerts import a_measurement, a_rule_hit, an_alert
from tests.fakes.market import random_market

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)


def hit_of_window(window: Window, rule_id: int, value: float = 0.1) -> RuleHit:
    return a_rule_hit(rule_id=rule_id, measurement=a_measurement(window=window), value=value)


def test_the_shortest_window_leads_and_ytd_comes_last() -> None:
    alert = an_alert(hits=[hit_of_window(Window.YTD, 1), hit_of_window(Window.D20, 2)])

    joined = with_rule(alert, hit_of_window(Window.D1, 3))

    assert [3, 2, 1] == [hit.rule_id for hit in joined.hits]
    assert 3 == joined.lead.rule_id


def test_a_rule_that_left_no_longer_leads() -> None:
    alert = an_alert(hits=[hit_of_window(Window.D1, 1), hit_of_window(Window.D5, 2)])

    assert 2 == without_rule(alert, 1, HitEnd.CLEARED).lead.rule_id
    assert 1 == without_rule(without_rule(alert, 1, HitEnd.CLEARED), 2, HitEnd.CLEARED).lead.rule_id  # no active rule


def test_a_rule_that_rejoins_is_listed_once() -> None:
    alert = without_rule(an_alert(hits=[hit_of_window(Window.D1, 1), hit_of_window(Window.D5, 2)]), 1, HitEnd.CLEARED)

    again = with_rule(alert, hit_of_window(Window.D1, 1, value=0.2))

    assert [(1, 0.2, True), (2, 0.1, True)] == [(hit.rule_id, hit.value, hit.active) for hit in again.hits]


@pytest.mark.parametrize(
    ("side", "value", "expected"),
    [
        pytest.param(Side.ABOVE, 0.15, 0.15, id="above: a larger one"),
        pytest.param(Side.ABOVE, 0.05, 0.10, id="above: a smaller one"),
        pytest.param(Side.BELOW, -0.15, -0.15, id="below: a deeper one"),
        pytest.param(Side.BELOW, 0.05, -0.10, id="below: a higher one"),
    ],
)
def test_the_peak_is_the_largest_value_on_the_alerts_side(side: Side, value: float, expected: float) -> None:
    start = 0.1 * side.sign
    alert = an_alert(side=side, hits=[a_rule_hit(value=start), hit_of_window(Window.D5, 2)])

    hit = with_observation(alert, 1, value, LATER, a_measurement(as_of=LATER)).hits[0]

    assert value == hit.value
    assert expected == pytest.approx(hit.peak)


CLOSED = a_measurement(as_of=NOW, live=False)


def test_a_corrected_peak_falls_back_to_the_largest_value_before_it() -> None:
    alert = an_alert(hits=[a_rule_hit(value=0.12, measurement=a_measurement(as_of=NOW - timedelta(hours=1)))])
    peaked = with_observation(alert, 1, 0.15, NOW, CLOSED)

    corrected = [with_observation(peaked, 1, value, NOW, CLOSED).lead for value in (0.11, 0.13, 0.16)]

    assert [0.12, 0.13, 0.16] == [hit.peak for hit in corrected]
    assert [0.15] * 3 == [hit.corrected_from for hit in corrected]


def test_a_correction_is_shown_until_a_newer_price_replaces_it() -> None:
    corrected = with_observation(an_alert(hits=[a_rule_hit(value=0.12, measurement=CLOSED)]), 1, 0.11, NOW, CLOSED)

    same, newer = (
        with_observation(corrected, 1, 0.11, NOW, CLOSED),
        with_observation(corrected, 1, 0.11, LATER, a_measurement(as_of=LATER)),
    )

    assert [0.12, 0.12, None] == [alert.lead.corrected_from for alert in (corrected, same, newer)]
    assert [0.11, 0.11, 0.11] == [alert.lead.peak for alert in (corrected, same, newer)]


@pytest.mark.parametrize(
    ("hit", "value", "at", "measurement", "expected"),
    [
        pytest.param(a_rule_hit(value=0.1, measurement=CLOSED), 0.09, NOW, CLOSED, True, id="a close"),
        pytest.param(a_rule_hit(value=0.1, measurement=CLOSED), 0.1 + 1e-9, NOW, CLOSED, False, id="noise"),
        pytest.param(
            a_rule_hit(value=0.1, measurement=a_measurement(as_of=NOW)), 0.09, NOW, CLOSED, False,
            id="a live price settles",
        ),
        pytest.param(
            a_rule_hit(value=0.1, measurement=CLOSED), 0.09, LATER, a_measurement(as_of=LATER, live=False), False,
            id="the next close",
        ),
        pytest.param(
            replace(a_rule_hit(rule="gap 5%", value=0.1, measurement=CLOSED), at=LATER), 0.09, LATER, CLOSED, False,
            id="a gap, which moves on after the close",
        ),
    ],
)  # fmt: skip
def test_only_a_close_that_is_shown_is_corrected(
    hit: RuleHit, value: float, at: datetime, measurement: Measurement, *, expected: bool
) -> None:
    assert expected is is_corrected(hit, value, at, measurement)


def test_a_closed_alert_has_no_active_rule() -> None:
    alert = close(an_alert(hits=[hit_of_window(Window.D1, 1), hit_of_window(Window.D5, 2)]), NOW, "all clear")

    assert (NOW, "all clear", [False, False]) == (alert.closed_at, alert.reason, [one.active for one in alert.hits])


def test_a_closed_alert_is_retracted_if_none_of_its_rules_would_have_fired() -> None:
    retracted = replace(hit_of_window(Window.D1, 1), retracted=True, active=False)
    alert = with_hit(an_alert(hits=[hit_of_window(Window.D1, 1), hit_of_window(Window.D5, 2)]), retracted)

    both = with_hit(alert, replace(hit_of_window(Window.D5, 2), retracted=True))

    assert [retracted.retracted, False] == [hit.retracted for hit in alert.hits]
    assert [False, False, True] == [
        one.retracted for one in (both, close(alert, NOW, "cleared"), close(both, NOW, "corrected"))
    ]


def test_a_snooze_expires() -> None:
    until = NOW + timedelta(hours=1)
    alert = an_alert(snoozed=ActorStamp(by="U1", at=NOW, until=until))

    assert (True, False) == (alert.is_snoozed(until - timedelta(seconds=1)), alert.is_snoozed(until))
    assert not an_alert().is_snoozed(NOW)


def test_a_closed_alert_is_led_by_the_largest_breach_ratio() -> None:
    small = a_rule_hit(rule_id=1, rule="1d 8pp", value=0.115)
    large = a_rule_hit(rule_id=2, rule="20d 30pp", measurement=a_measurement(window=Window.D20), value=0.6)

    alert = an_alert(hits=[small, large])

    assert 1 == alert.lead.rule_id
    assert 2 == close(alert, NOW, "all clear").lead.rule_id


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        pytest.param(SPREAD, DIVERGENCE, id="spread"),
        pytest.param(RESIDUAL, DIVERGENCE, id="residual"),
        pytest.param(Z, DIVERGENCE, id="z"),
        pytest.param(GAP, GAP.subject, id="gap"),
        pytest.param(DRAWDOWN, DRAWDOWN.subject, id="drawdown"),
    ],
)
def test_each_metric_has_its_subject(metric: Metric, expected: Subject) -> None:
    assert expected == metric.subject


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        pytest.param(DIVERGENCE, Window.D5, id="divergence: the window of the lead"),
        pytest.param(GAP.subject, None, id="gap"),
        pytest.param(HASHPRICE.subject, None, id="hashprice"),
    ],
)
def test_only_divergence_alerts_have_a_chart_of_both_legs(subject: Subject, expected: Window | None) -> None:
    market = random_market(60)
    measurement = measure(market, Window.D5)
    assert isinstance(measurement, Measurement)
    alert = replace(an_alert(hits=[a_rule_hit(measurement=measurement, rule="5d 15pp")]), subject=subject)

    chart = with_chart(alert, HistoryLookup(market)).chart

    assert expected is (chart and chart.window)


def test_an_alert_needs_the_subject_of_a_metric() -> None:
    with pytest.raises(ValueError, match="no metric has the subject 'volume'"):
        replace(an_alert(), subject=Subject("volume"))


def test_an_alert_has_one_peak_that_of_the_rule_that_opened_it() -> None:
    day, month = hit_of_window(Window.D1, 1, 0.09), replace(hit_of_window(Window.D20, 2, 0.62), rule="20d 30pp")
    alert = with_rule(with_opening(an_alert(hits=[day])), month)
    alert = with_observation(alert, 1, 0.11, NOW, a_measurement())
    alert = without_rule(with_observation(alert, 1, 0.03, LATER, a_measurement()), 1, HitEnd.CLEARED)
    closed = close(alert, LATER, "all clear")

    assert [(1, 0.11, Window.D1)] * 2 == [
        (one.peak.rule_id, one.peak.value, one.peak.window) for one in (alert, closed)
    ]


def test_a_rule_that_fires_again_or_is_edited_does_not_lower_the_peak() -> None:
    alert = with_opening(an_alert(hits=[hit_of_window(Window.D1, 1, 0.12), hit_of_window(Window.D5, 2)]))
    again = with_rule(without_rule(alert, 1, HitEnd.CLEARED), hit_of_window(Window.D1, 1, 0.09))
    edited = with_hit(alert, replace(hit_of_window(Window.D1, 1, 4.2), rule="1d z3.5"))
    back = with_hit(edited, hit_of_window(Window.D1, 1, 0.1))

    assert [("1d 8pp", 0.12)] * 3 == [(one.peak.rule, one.peak.value) for one in (again, edited, back)]


def test_a_corrected_close_lowers_the_peak() -> None:
    alert = with_opening(an_alert(hits=[hit_of_window(Window.D1, 1, 0.12)]))

    assert 0.1 == with_hit(alert, hit_of_window(Window.D1, 1, 0.1)).peak.value


def test_an_alert_whose_rules_are_moved_keeps_its_values_and_peaks_on_the_new_pair() -> None:
    alert = with_opening(an_alert(hits=[hit_of_window(Window.D5, 1)]))
    pair = Pair(etf=Symbol("MARA"), crypto=Symbol("BTC"))

    moved = with_pair(alert, pair, LATER)

    assert pair == moved.pair == moved.lead.measurement.pair
    assert moved.opening is not None
    assert alert.opening is not None
    assert f"{alert.opening.rule} on MARA/BTC" == moved.opening.rule == moved.lead.rule
    assert (alert.lead.value, alert.lead.peak, alert.lead.peak) == (
        moved.lead.value,
        moved.lead.peak,
        moved.lead.peak_before,
    )
    assert () == moved.lead.closes
    assert LATER == moved.lead.at
