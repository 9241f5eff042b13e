"""Values of a rule, their corrections, and what the thread reports of them."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from handlers.render.reasons import sentence
from services.alerting.alert import MAX_CLOSES, Correction, LastReported, RuleHit, open_hit, recheck, with_value
from services.alerting.alert_news import (
    due_repeat,
    is_recovering,
    mark_reported,
    retraction,
    visible_correction,
    worsening,
)
from services.core.reason import Reason
from services.market.measure import Measurement, Window
from services.market.metrics import GAP, METRICS
from services.rules.decide import Side
from services.rules.grammar import parse_rule
from services.rules.history_lookup import HistoryLookup, PastReading
from tests.fakes.alerts import a_measurement, a_rule_hit
from tests.fakes.market import aligned_market, random_market

AT = datetime(2026, 3, 4, 21, 0, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def at_close(days: int) -> Measurement:
    at = AT + days * DAY
    return a_measurement(as_of=at, session=at.date(), live=False)


def hit_of_closes(*values: float) -> RuleHit:
    """Build the hit of a rule at one close after another."""
    rule = parse_rule("1d 8pp at close")
    hit = open_hit(1, rule, values[0], at=AT, measurement=at_close(0), now=AT)
    for days, value in enumerate(values[1:], 1):
        hit = with_value(hit, Side.ABOVE, value, AT + days * DAY, at_close(days))
    return hit


def rechecked(hit: RuleHit, *values: float | None) -> tuple[RuleHit, tuple[Correction, ...]]:
    """Recheck a hit against the current values of its closes; None for one that can't be recalled."""

    def recall(session: date) -> PastReading | None:
        days = (session - AT.date()).days
        value = values[days]
        return None if value is None else PastReading(value=value, measurement=at_close(days))

    return recheck(hit, Side.ABOVE, recall)


def test_the_peak_includes_closes_too_old_to_be_corrected() -> None:
    hit = hit_of_closes(0.2, *[0.09] * MAX_CLOSES)

    assert (MAX_CLOSES, 0.2, 0.2) == (len(hit.closes), hit.peak_before, hit.peak)


def test_a_live_peak_survives_the_correction_of_a_close() -> None:
    live = open_hit(1, parse_rule("1d 8pp"), 0.12, at=AT - HOUR, measurement=a_measurement(as_of=AT - HOUR), now=AT)
    closed = with_value(live, Side.ABOVE, 0.15, AT, at_close(0))

    hit, _ = rechecked(closed, 0.05)

    assert (0.05, 0.12, 0.15) == (hit.value, hit.peak, hit.corrected_from)


@pytest.mark.parametrize(
    ("current", "peak", "correction", "expected_retraction"),
    [
        pytest.param([0.084, 0.05], 0.084, None, None, id="nothing is corrected"),
        pytest.param([None, None], 0.084, None, None, id="nothing can be recalled"),
        pytest.param([0.084, 0.06], 0.084, "`1d 8pp at close` was +5.0 pp, now +6.0 pp", None, id="the newest"),
        pytest.param(
            [0.082, 0.05],
            0.082,
            "`1d 8pp at close` at the Mar 4, 2026 close was +8.4 pp, now +8.2 pp; the peak is now +8.2 pp",
            None,
            id="one before it",
        ),
        pytest.param(
            [0.079999, 0.05],
            0.079999,
            "`1d 8pp at close` at the Mar 4, 2026 close was +8.4 pp, now +7.9999 pp; the peak is now +7.9999 pp",
            "`1d 8pp at close` at the Mar 4, 2026 close was +8.4 pp, now +7.9999 pp, "
            "which doesn't cross the 8 pp threshold",
            id="the one that fired",
        ),
        pytest.param(
            [0.07, 0.09],
            0.09,
            "`1d 8pp at close` at the Mar 4, 2026 close was +8.4 pp, now +7.0 pp; "
            "at the Mar 5, 2026 close was +5.0 pp, now +9.0 pp; the peak is now +9.0 pp",
            None,
            id="another would have fired",
        ),
    ],
)
def test_a_correction_is_reported_and_retracts_a_rule_that_no_longer_breaches(
    current: list[float | None], peak: float, correction: str | None, expected_retraction: str | None
) -> None:
    before = hit_of_closes(0.084, 0.05)

    after, changed = rechecked(before, *current)

    assert peak == after.peak
    assert correction == said(visible_correction(before, after, Side.ABOVE, changed))
    assert expected_retraction == said(retraction(before, after, Side.ABOVE, changed, None))


def test_a_rule_that_breaches_now_is_not_retracted() -> None:
    before = hit_of_closes(0.084)
    after, changed = rechecked(before, 0.07)

    assert retraction(before, after, Side.ABOVE, changed, 0.079)
    assert retraction(before, after, Side.ABOVE, changed, 0.08) is None


def test_a_corrected_close_that_does_not_move_the_peak_is_not_reported() -> None:
    before = hit_of_closes(0.2, 0.1, 0.09)
    after, changed = rechecked(before, 0.2, 0.11, 0.09)

    assert (0.11, 0.2) == (after.closes[1].value, after.peak)
    assert visible_correction(before, after, Side.ABOVE, changed) is None


def said(reason: Reason | None) -> str | None:
    return None if reason is None else sentence(reason).replace("\u00a0", " ")


def hit_of(rule: str, value: float, peak: float, reported_peak: float, at: datetime = AT) -> RuleHit:
    last_reported = LastReported(at=AT - HOUR, prices_at=AT - HOUR, peak=reported_peak)
    return replace(a_rule_hit(rule=rule, value=value, peak=peak), at=at, last_reported=last_reported)


@pytest.mark.parametrize(
    ("hit", "side", "expected"),
    [
        pytest.param(
            hit_of("1d 8pp", 0.12, 0.122, 0.082),
            Side.ABOVE,
            "`1d 8pp` at +12.2 pp, 4.0 pp further than last reported",
            id="by half",
        ),
        pytest.param(hit_of("1d 8pp", 0.12, 0.1219, 0.082), Side.ABOVE, None, id="by less"),
        pytest.param(
            hit_of("1d 8pp", -0.13, -0.13, -0.08),
            Side.BELOW,
            "`1d 8pp` at −13.0 pp, 5.0 pp further than last reported",
            id="below",
        ),
        pytest.param(a_rule_hit(rule="1d 8pp", value=0.3), Side.ABOVE, None, id="of an older version"),
    ],
)
def test_a_peak_is_reported_after_growing_by_half_of_the_threshold(
    hit: RuleHit, side: Side, expected: str | None
) -> None:
    assert expected == said(worsening(hit, side))
    assert worsening(mark_reported(hit, AT), side) is None


@pytest.mark.parametrize(
    ("hit", "expected"),
    [
        pytest.param(
            hit_of("1d 8pp repeat 1h", 0.09, 0.1, 0.1), "`1d 8pp repeat 1h` at +9.0 pp, peak +10.0 pp", id="due"
        ),
        pytest.param(hit_of("1d 8pp", 0.09, 0.1, 0.1), None, id="not to be repeated"),
        pytest.param(hit_of("1d 8pp repeat 2h", 0.09, 0.1, 0.1), None, id="not yet"),
        pytest.param(hit_of("1d 8pp repeat 1h", 0.09, 0.1, 0.1, AT - HOUR), None, id="no newer price"),
        pytest.param(hit_of("1d 8pp keep 5m repeat 1h", 0.04, 0.1, 0.1), None, id="recovering"),
    ],
)
def test_a_rule_is_repeated_when_it_is_due_and_prices_are_newer(hit: RuleHit, expected: str | None) -> None:
    assert expected == said(due_repeat(hit, Side.ABOVE, AT))


def test_only_an_active_rule_is_recovering() -> None:
    hit = a_rule_hit(value=0.04)

    assert [True, False] == [is_recovering(one, Side.ABOVE) for one in (hit, replace(hit, active=False))]


@pytest.mark.parametrize(
    "text", ["1d 8pp", "5d residual 8pp", "20d z3", "ytd 8pp", "drawdown 60%"], ids=lambda text: text.replace(" ", "-")
)
def test_a_past_close_is_recalled_as_measured(text: str) -> None:
    market, rule = random_market(400), parse_rule(text)
    series = rule.metric.series
    assert series is not None
    session = market.sessions[350].astype(object)

    lookup = HistoryLookup(market)
    reading = lookup.reading_at(rule, session)

    assert reading is not None
    assert series(market, rule.window or Window.D1)[350] == pytest.approx(reading.value)
    assert session == reading.measurement.session
    assert reading is lookup.reading_at(rule, session)


@pytest.mark.parametrize(
    ("text", "session"),
    [
        pytest.param("gap 5%", date(2024, 1, 5), id="a gap"),
        pytest.param("1d 8pp", date(2023, 12, 1), id="before the history"),
        pytest.param("1d 8pp", date(2024, 1, 6), id="no session"),
        pytest.param("1d 8pp", date(2024, 1, 3), id="no price"),
        pytest.param("1d z3", date(2024, 1, 5), id="too little history"),
    ],
)
def test_an_unmeasured_close_is_not_recalled(text: str, session: date) -> None:
    market = aligned_market([20.0, None, 21.0, 22.0], [100.0, 101.0, 102.0, 103.0])

    assert HistoryLookup(market).reading_at(parse_rule(text), session) is None


def test_every_metric_except_the_gap_can_be_recalled() -> None:
    assert {GAP} == {metric for metric in METRICS.values() if metric.series is None}
