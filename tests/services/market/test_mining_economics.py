from dataclasses import replace

import numpy as np
import pytest

from services.market.mining_economics import hashprice, historical_hashprices
from tests.fakes.mempool import PAST


def instants(*times: str) -> np.ndarray:
    return np.array(times, dtype="datetime64[s]")


def test_the_hashprice_matches_the_published_one_without_fees() -> None:
    """13 March 2023: Luxor published 0.0029565 BTC, of which fees were 2.4%."""
    assert 0.0028870 == pytest.approx(hashprice(43.55e12, 6.25, 1.0), rel=1e-4)
    assert 0.0029565 == pytest.approx(hashprice(43.55e12, 6.25, 1.0), rel=0.025)


def test_historical_hashprices_use_the_difficulty_and_subsidy_of_their_time() -> None:
    at = instants("2024-04-01T20:00:00", "2024-04-19T20:00:00", "2024-04-22T20:00:00", "2024-04-26T20:00:00")
    expected = [
        hashprice(83.13e12, 6.25, 70_000.0),
        hashprice(86.39e12, 6.25, 64_000.0),  # the halving came at 0:09 on the 20th
        hashprice(86.39e12, 3.125, 66_000.0),
        hashprice(88.10e12, 3.125, 64_000.0),
    ]
    assert expected == pytest.approx(
        historical_hashprices(PAST, at, np.array([70_000.0, 64_000.0, 66_000.0, 64_000.0]))
    )


def test_the_hashprice_is_nan_without_history_or_price() -> None:
    at = instants("2024-03-01T20:00:00", "2024-04-26T20:00:00")
    assert np.isnan(historical_hashprices(PAST, at, np.array([60_000.0, np.nan]))).all()
    nothing = replace(PAST, retargets_at=PAST.retargets_at[:0], difficulties=PAST.difficulties[:0])
    assert np.isnan(historical_hashprices(nothing, at, np.array([1.0, 1.0]))).all()
