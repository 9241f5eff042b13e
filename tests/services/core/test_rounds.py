from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from services.core.clock import boundary, rounds_between

OPEN, CLOSE = datetime(2026, 3, 4, 14, 30, tzinfo=UTC), datetime(2026, 3, 4, 21, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def test_a_round_begins_at_the_last_multiple_of_its_length() -> None:
    assert OPEN == boundary(OPEN + 14 * MINUTE, 15 * MINUTE)


@pytest.mark.parametrize(
    ("begin", "end", "every", "count"),
    [
        pytest.param(OPEN, CLOSE, MINUTE, 390, id="a session of minutes"),
        pytest.param(OPEN, CLOSE, 7 * MINUTE, 56, id="what does not divide it"),
        pytest.param(OPEN, OPEN, MINUTE, 0, id="no time at all"),
        pytest.param(CLOSE, OPEN, MINUTE, 0, id="backwards"),
    ],
)
def test_the_rounds_of_a_span_are_those_that_begin_in_it(
    begin: datetime, end: datetime, every: timedelta, count: int
) -> None:
    starts = {boundary(begin + n * MINUTE, every) for n in range(int((end - begin) / MINUTE))}

    assert count == rounds_between(begin, end, every) == len({at for at in starts if at >= begin})
