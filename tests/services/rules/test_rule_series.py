from dataclasses import replace
from datetime import UTC, date, datetime
from math import nan

import pytest

from services.channels.charts import alert_events
from services.market.chart_points import common_rows
from services.market.measure import Window
from services.market.metrics import GAP, SPREAD
from services.rules.chart_series import RuleEvent, metric_and_window, replay_events, rule_series
from services.rules.decide import Change
from services.rules.grammar import parse_rule
from services.rules.replay import replay
from tests.fakes.alerts import an_alert
from tests.fakes.market import aligned_market

RULE = parse_rule("1d 8pp")
MARKET = aligned_market([10.0, 11.0, None, 11.0, 11.0], [100.0] * 5)
FRIDAY, MONDAY, TUESDAY = date(2026, 3, 6), date(2026, 3, 9), date(2026, 3, 10)


def test_a_series_has_a_value_per_session_and_nan_without_a_price() -> None:
    series = rule_series(MARKET, common_rows(MARKET), metric_and_window(RULE), rules=[RULE])

    assert [nan, 0.1, nan, nan, 0.0] == pytest.approx(list(series.values), nan_ok=True)
    assert (SPREAD, Window.D1, (RULE,)) == (series.metric, series.window, series.rules)


def test_a_live_value_follows_the_closes() -> None:
    series = rule_series(MARKET, range(3, 4), metric_and_window(RULE), live_values=[0.07])
    assert [nan, 0.07] == pytest.approx(list(series.values), nan_ok=True)


def test_a_metric_without_closes_has_no_values() -> None:
    assert all(value != value for value in rule_series(MARKET, range(5), (GAP, None)).values)  # noqa: PLR0124 -- NaN


def test_a_replay_has_events_where_it_fired_and_resolved() -> None:
    days = MARKET.sessions.tolist()
    assert [
        RuleEvent(session=days[1], change=Change.FIRING),
        RuleEvent(session=days[4], change=Change.RESOLVED),
    ] == replay_events(replay(MARKET, [RULE]).rules[0].steps)


@pytest.mark.parametrize(
    ("opened", "session"),
    [
        pytest.param(datetime(2026, 3, 9, 15, 0, tzinfo=UTC), MONDAY, id="in-a-session"),
        pytest.param(datetime(2026, 3, 9, 20, 5, tzinfo=UTC), MONDAY, id="just-after-its-close"),
        pytest.param(datetime(2026, 3, 10, 1, 0, tzinfo=UTC), MONDAY, id="in-the-evening-of-new-york"),
        pytest.param(datetime(2026, 3, 8, 12, 0, tzinfo=UTC), FRIDAY, id="on-a-weekend"),
    ],
)
def test_an_alert_event_is_at_the_session_in_which_it_opened(opened: datetime, session: date) -> None:
    alert = replace(an_alert(), opened_at=opened)
    assert [RuleEvent(session=session, change=Change.FIRING)] == alert_events([alert], [FRIDAY, MONDAY, TUESDAY])


def test_an_alert_has_a_resolved_event_and_none_before_the_first_session() -> None:
    alert = replace(
        an_alert(), opened_at=datetime(2026, 3, 5, 15, tzinfo=UTC), closed_at=datetime(2026, 3, 10, 15, tzinfo=UTC)
    )
    assert [RuleEvent(session=TUESDAY, change=Change.RESOLVED)] == alert_events([alert], [FRIDAY, MONDAY, TUESDAY])
