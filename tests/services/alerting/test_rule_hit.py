"""What a rule of an episode has seen, what was corrected of that, and what of it is told."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from services.alerting.alert_news import corrected, is_recovering, repeated, report_changes, retracted, worsened
from services.alerting.rule_hit import CLOSES_KEPT, Correction, LastReported, RuleHit, open_hit, recheck, seen
from services.market.measure import METRICS, Measurement, Metric, Window
from services.rules.decide import Side
from services.rules.grammar import parse_rule
from services.rules.history_lookup import HistoryLookup, PastReading
from tests.fakes.alerts import a_fact, a_measurement
from tests.fakes.market import aligned_market, random_market

AT = datetime(2026, 3, 4, 21, 0, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


def at_close(days: int) -> Measurement:
    at = AT + days * DAY
    return a_measurement(as_of=at, session=at.date(), live=False)


def closes_of(*values: float) -> RuleHit:
    """What a rule saw at one close after another."""
    rule = parse_rule("1d 8pp at close")
    fact = open_hit(1, rule, values[0], at=AT, measurement=at_close(0), now=AT)
    for days, value in enumerate(values[1:], 1):
        fact = seen(fact, Side.ABOVE, value, AT + days * DAY, at_close(days))
    return fact


def known_now(fact: RuleHit, *values: float | None) -> tuple[RuleHit, tuple[Correction, ...]]:
    """Hold a fact against what its closes are by now; None for one that cannot be measured any more."""

    def recall(session: date) -> PastReading | None:
        days = (session - AT.date()).days
        value = values[days]
        return None if value is None else PastReading(value=value, measurement=at_close(days))

    return recheck(fact, Side.ABOVE, recall)


def test_the_peak_outlives_the_closes_that_are_too_old_to_be_corrected() -> None:
    fact = closes_of(0.2, *[0.09] * CLOSES_KEPT)

    assert (CLOSES_KEPT, 0.2, 0.2) == (len(fact.closes), fact.peak_before, fact.peak)


def test_a_live_peak_outlives_every_correction_of_a_close() -> None:
    live = open_hit(1, parse_rule("1d 8pp"), 0.12, at=AT - HOUR, measurement=a_measurement(as_of=AT - HOUR), now=AT)
    closed = seen(live, Side.ABOVE, 0.15, AT, at_close(0))

    fact, _ = known_now(closed, 0.05)

    assert (0.05, 0.12, 0.15) == (fact.value, fact.peak, fact.corrected_from)


@pytest.mark.parametrize(
    ("known", "peak", "told", "why"),
    [
        pytest.param([0.084, 0.05], 0.084, None, None, id="nothing is corrected"),
        pytest.param([None, None], 0.084, None, None, id="nothing is known any more"),
        pytest.param([0.084, 0.06], 0.084, "1d 8pp at close: from 5pp to 6pp", None, id="the newest"),
        pytest.param(
            [0.082, 0.05],
            0.082,
            "1d 8pp at close: at the close of Wed 4 Mar from 8.4pp to 8.2pp, peak now 8.2pp",
            None,
            id="one before it",
        ),
        pytest.param(
            [0.0799999, 0.05],
            0.0799999,
            "1d 8pp at close: at the close of Wed 4 Mar from 8.4pp to 7.99999pp, peak now 8pp",
            "1d 8pp at close: corrected at the close of Wed 4 Mar from 8.4pp to 7.99999pp, not past 8pp any more",
            id="the one that fired",
        ),
        pytest.param(
            [0.07, 0.09],
            0.09,
            "1d 8pp at close: at the close of Wed 4 Mar from 8.4pp to 7pp; "
            "at the close of Thu 5 Mar from 5pp to 9pp, peak now 9pp",
            None,
            id="another would have fired",
        ),
    ],
)
def test_what_is_corrected_is_told_and_retracts_where_nothing_is_past_the_threshold(
    known: list[float | None], peak: float, told: str | None, why: str | None
) -> None:
    before = closes_of(0.084, 0.05)

    after, changed = known_now(before, *known)

    assert peak == after.peak
    assert told == corrected(before, after, Side.ABOVE, changed)
    assert why == retracted(before, after, Side.ABOVE, changed, None)


def test_what_is_past_its_threshold_now_is_not_retracted() -> None:
    before = closes_of(0.084)
    after, changed = known_now(before, 0.07)

    assert retracted(before, after, Side.ABOVE, changed, 0.079)
    assert retracted(before, after, Side.ABOVE, changed, 0.08) is None


def test_a_close_that_moves_without_the_peak_is_followed_and_not_told() -> None:
    before = closes_of(0.2, 0.1, 0.09)
    after, changed = known_now(before, 0.2, 0.11, 0.09)

    assert (0.11, 0.2) == (after.closes[1].value, after.peak)
    assert corrected(before, after, Side.ABOVE, changed) is None


def fact_of(rule: str, value: float, peak: float, told_peak: float, at: datetime = AT) -> RuleHit:
    told = LastReported(at=AT - HOUR, of=AT - HOUR, peak=told_peak)
    return replace(a_fact(rule=rule, value=value, peak=peak), at=at, told=told)


@pytest.mark.parametrize(
    ("fact", "side", "expected"),
    [
        pytest.param(fact_of("1d 8pp", 0.12, 0.122, 0.082), Side.ABOVE, "by 4pp to 12.2pp (1d 8pp)", id="by half"),
        pytest.param(fact_of("1d 8pp", 0.12, 0.1219, 0.082), Side.ABOVE, None, id="by less"),
        pytest.param(fact_of("1d 8pp", -0.13, -0.13, -0.08), Side.BELOW, "by 5pp to -13pp (1d 8pp)", id="below"),
        pytest.param(a_fact(rule="1d 8pp", value=0.3), Side.ABOVE, None, id="of an older version"),
    ],
)
def test_a_peak_is_told_once_it_has_grown_by_half_of_the_threshold(
    fact: RuleHit, side: Side, expected: str | None
) -> None:
    assert expected == worsened(fact, side)
    assert worsened(report_changes(fact, AT), side) is None


@pytest.mark.parametrize(
    ("fact", "expected"),
    [
        pytest.param(fact_of("1d 8pp repeat 1h", 0.09, 0.1, 0.1), "1d 8pp repeat 1h at 9pp, peak 10pp", id="due"),
        pytest.param(fact_of("1d 8pp", 0.09, 0.1, 0.1), None, id="not to be repeated"),
        pytest.param(fact_of("1d 8pp repeat 2h", 0.09, 0.1, 0.1), None, id="not yet"),
        pytest.param(fact_of("1d 8pp repeat 1h", 0.09, 0.1, 0.1, AT - HOUR), None, id="no newer price"),
        pytest.param(fact_of("1d 8pp keep 5m repeat 1h", 0.04, 0.1, 0.1), None, id="recovering"),
    ],
)
def test_a_rule_is_repeated_when_it_is_due_and_prices_are_newer(fact: RuleHit, expected: str | None) -> None:
    assert expected == repeated(fact, Side.ABOVE, AT)


def test_only_a_rule_that_still_fires_recovers() -> None:
    fact = a_fact(value=0.04)

    assert [True, False] == [is_recovering(one, Side.ABOVE) for one in (fact, replace(fact, active=False))]


@pytest.mark.parametrize(
    "text", ["1d 8pp", "5d residual 8pp", "20d z3", "ytd 8pp", "drawdown 60%"], ids=lambda text: text.replace(" ", "-")
)
def test_a_past_close_is_recalled_as_it_was_measured(text: str) -> None:
    market, rule = random_market(400), parse_rule(text)
    series = METRICS[rule.metric].series
    assert series is not None
    session = market.sessions[350].astype(object)

    back = HistoryLookup(market)
    known = back.recall(rule, session)

    assert known is not None
    assert series(market, rule.window or Window.D1)[350] == pytest.approx(known.value)
    assert session == known.measurement.session
    assert known is back.recall(rule, session)


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
def test_what_was_not_measured_is_not_recalled(text: str, session: date) -> None:
    market = aligned_market([20.0, None, 21.0, 22.0], [100.0, 101.0, 102.0, 103.0])

    assert HistoryLookup(market).recall(parse_rule(text), session) is None


def test_every_metric_can_be_recalled_or_is_the_gap() -> None:
    assert {Metric.GAP} == {metric for metric, row in METRICS.items() if row.series is None}
