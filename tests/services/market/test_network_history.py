from datetime import date

import numpy as np
import pytest

from services.market.network_history import PercentileRank, percentile_rank

DAYS = np.array(["2026-11-02", "2026-11-03", "2026-11-04", "2026-11-05"], dtype="datetime64[D]")
VALUES = np.array([4.0, 1.0, np.nan, 3.0])


@pytest.mark.parametrize(
    ("now", "rank", "highest", "lowest"),
    [
        pytest.param(5.0, 100.0, True, False, id="the highest"),
        pytest.param(0.5, 0.0, False, True, id="the lowest"),
        pytest.param(3.5, 200 / 3, False, False, id="between"),
        pytest.param(3.0, 50.0, False, False, id="a tie counts half"),
    ],
)
def test_a_value_is_ranked_among_its_history(now: float, rank: float, highest: bool, lowest: bool) -> None:
    result = percentile_rank(now, DAYS, VALUES)
    expected = PercentileRank(
        rank=rank,
        count=3,
        since=date(2026, 11, 2),
        high=4.0,
        high_on=date(2026, 11, 2),
        low=1.0,
        low_on=date(2026, 11, 3),
    )
    assert expected == result
    assert (highest, lowest) == (expected.is_highest, expected.is_lowest)


def test_a_value_without_history_has_no_rank() -> None:
    assert percentile_rank(1.0, DAYS[:1], np.array([np.nan])) is None
