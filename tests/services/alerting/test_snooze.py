from datetime import timedelta

import pytest

from services.alerting.snooze import SnoozeUntil, parse_snooze, snooze_end
from services.core.errors import MarketClosedError
from tests.fakes.harness import CLOSE, OPEN
from tests.fakes.market import CALENDAR

MINUTE = timedelta(minutes=1)
NEXT_OPEN = OPEN + timedelta(days=1)


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        pytest.param(SnoozeUntil.HALF_HOUR, CLOSE + 29 * MINUTE, id="half an hour"),
        pytest.param(SnoozeUntil.HOUR, CLOSE + 59 * MINUTE, id="an hour"),
        pytest.param(SnoozeUntil.FOUR_HOURS, CLOSE + 239 * MINUTE, id="four hours"),
        pytest.param(SnoozeUntil.CLOSE, CLOSE, id="the close"),
        pytest.param(SnoozeUntil.OPEN, NEXT_OPEN, id="the next open"),
    ],
)
def test_a_snooze_from_a_minute_before_the_close_ends_at_its_time(span: SnoozeUntil, expected: object) -> None:
    now = CLOSE - MINUTE

    assert expected == snooze_end(span, CALENDAR.state_at(now), now)


def test_after_the_close_only_a_snooze_until_the_open_is_possible() -> None:
    with pytest.raises(MarketClosedError, match="no close to wait for") as refused:
        snooze_end(SnoozeUntil.CLOSE, CALENDAR.state_at(CLOSE), CLOSE)

    assert NEXT_OPEN == refused.value.next_open_at
    assert NEXT_OPEN == snooze_end(SnoozeUntil.OPEN, CALENDAR.state_at(CLOSE), CLOSE)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("45m", 45 * MINUTE, id="minutes"),
        pytest.param("2h30m", 150 * MINUTE, id="hours and minutes"),
        pytest.param("1d", timedelta(days=1), id="a day"),
        pytest.param("2 hours 5 min", 125 * MINUTE, id="in words"),
        pytest.param("for 1H", 60 * MINUTE, id="with for, in capitals"),
        pytest.param("half an hour", 30 * MINUTE, id="in words only"),
        pytest.param("till the close", SnoozeUntil.CLOSE, id="till"),
        pytest.param("until market open", SnoozeUntil.OPEN, id="of the market"),
        pytest.param("30d", timedelta(days=30), id="the longest"),
        pytest.param("1m", MINUTE, id="the shortest"),
        pytest.param("until close", SnoozeUntil.CLOSE, id="until close"),
        pytest.param("until the next open", SnoozeUntil.OPEN, id="until the next open"),
        pytest.param("open", SnoozeUntil.OPEN, id="open"),
        pytest.param("", None, id="nothing"),
        pytest.param("0m", None, id="no time at all"),
        pytest.param("31d", None, id="too long"),
        pytest.param("-5m", None, id="backwards"),
        pytest.param("12 2h", None, id="a number before it"),
        pytest.param("soon", None, id="no duration"),
        pytest.param("5", None, id="no unit"),
        pytest.param("99999999999d", None, id="too large for a timedelta"),
    ],
)
def test_a_duration_is_parsed_as_people_type_it(text: str, expected: object) -> None:
    assert expected == parse_snooze(text)


def test_a_typed_duration_ends_after_that_time() -> None:
    assert OPEN + 45 * MINUTE == snooze_end(45 * MINUTE, CALENDAR.state_at(OPEN), OPEN)
