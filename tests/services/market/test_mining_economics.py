from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from services.market.mining_economics import hashprice, past_hashprices
from tests.fakes.network import PAST


def instants(*times: str) -> np.ndarray:
    return np.array(times, dtype="datetime64[s]")


def test_a_petahash_earned_as_much_as_was_published_less_the_fees() -> None:
    """Of 13 March 2023; Luxor published 0.0029565 BTC, and fees were 2.4% of it."""
    assert 0.0028870 == pytest.approx(hashprice(43.55e12, 6.25, 1.0), rel=1e-4)
    assert 0.0029565 == pytest.approx(hashprice(43.55e12, 6.25, 1.0), rel=0.025)


def test_the_past_has_the_difficulty_of_its_day_and_the_subsidy_of_its_block() -> None:
    at = instants("2024-04-01T20:00:00", "2024-04-19T20:00:00", "2024-04-22T20:00:00", "2024-04-26T20:00:00")
    expected = [
        hashprice(83.13e12, 6.25, 70_000.0),
        hashprice(86.39e12, 6.25, 64_000.0),  # the halving came at 0:09 on the 20th
        hashprice(86.39e12, 3.125, 66_000.0),
        hashprice(88.10e12, 3.125, 64_000.0),
    ]
    assert expected == pytest.approx(past_hashprices(PAST, at, np.array([70_000.0, 64_000.0, 66_000.0, 64_000.0])))


def test_what_is_not_remembered_or_has_no_price_is_unknown() -> None:
    at = instants("2024-03-01T20:00:00", "2024-04-26T20:00:00")
    assert np.isnan(past_hashprices(PAST, at, np.array([60_000.0, np.nan]))).all()
    nothing = replace(PAST, retargets_at=PAST.retargets_at[:0], difficulties=PAST.difficulties[:0])
    assert np.isnan(past_hashprices(nothing, at, np.array([1.0, 1.0]))).all()
