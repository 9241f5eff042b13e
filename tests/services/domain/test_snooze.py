from datetime import timedelta

import pytest

from services.domain.errors import MarketShutError
from services.domain.snooze import Span, end_of
from tests.fakes.floor import CLOSE, OPEN
from tests.fakes.market import CALENDAR

MINUTE = timedelta(minutes=1)
NEXT_OPEN = OPEN + timedelta(days=1)


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        pytest.param(Span.HALF_HOUR, CLOSE + 29 * MINUTE, id="half an hour"),
        pytest.param(Span.HOUR, CLOSE + 59 * MINUTE, id="an hour"),
        pytest.param(Span.FOUR_HOURS, CLOSE + 239 * MINUTE, id="four hours"),
        pytest.param(Span.CLOSE, CLOSE, id="the close"),
        pytest.param(Span.OPEN, NEXT_OPEN, id="the next open"),
    ],
)
def test_a_snooze_that_begins_a_minute_before_the_close_ends(span: Span, expected: object) -> None:
    now = CLOSE - MINUTE

    assert expected == end_of(span, CALENDAR.state(now), now)


def test_after_the_close_there_is_none_to_wait_for_but_the_next_open() -> None:
    with pytest.raises(MarketShutError, match="no close to wait for") as refused:
        end_of(Span.CLOSE, CALENDAR.state(CLOSE), CLOSE)

    assert NEXT_OPEN == refused.value.next_open_at
    assert NEXT_OPEN == end_of(Span.OPEN, CALENDAR.state(CLOSE), CLOSE)
