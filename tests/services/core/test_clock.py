from datetime import UTC, datetime, timedelta

import pytest

from services.core.clock import count_boundaries, last_boundary

OPEN, CLOSE = datetime(2026, 3, 4, 14, 30, tzinfo=UTC), datetime(2026, 3, 4, 21, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def test_the_last_boundary_is_the_last_multiple_of_the_interval() -> None:
    assert OPEN == last_boundary(OPEN + 14 * MINUTE, 15 * MINUTE)


@pytest.mark.parametrize(
    ("begin", "end", "every", "count"),
    [
        pytest.param(OPEN, CLOSE, MINUTE, 390, id="a session of minutes"),
        pytest.param(OPEN, CLOSE, 7 * MINUTE, 56, id="what does not divide it"),
        pytest.param(OPEN, OPEN, MINUTE, 0, id="no time at all"),
        pytest.param(CLOSE, OPEN, MINUTE, 0, id="backwards"),
    ],
)
def test_boundaries_are_counted_from_start_to_before_end(
    begin: datetime, end: datetime, every: timedelta, count: int
) -> None:
    starts = {last_boundary(begin + n * MINUTE, every) for n in range(int((end - begin) / MINUTE))}

    assert count == count_boundaries(begin, end, every) == len({at for at in starts if at >= begin})
