"""Hashprice: what a petahash a second earns in a day, in US dollars."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from services.domain.network import BLOCK_S, HASHES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from services.domain.network_past import NetworkPast

PETA, DAY_S = 1e15, 86_400
FIRST_SUBSIDY, HALVED_EVERY = 50.0, 210_000  # bitcoin a block, and blocks


def hashprice(difficulty: float, reward: float, price: float) -> float:
    """Take what a petahash a second earns a day in US dollars, at bitcoin a block and US dollars a bitcoin.

    In a day it makes 86,400 × 10^15 hashes, of which 2^32 × difficulty find a block on average.
    Source: Hashrate Index, the definition of hashprice; fees are a part of the reward.
    """
    return PETA * DAY_S / (HASHES * difficulty) * reward * price


def past_hashprices(past: NetworkPast, at: NDArray[np.datetime64], prices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take the hashprice without fees, whose past is not known, at each instant; NaN where something is missing.

    Blocks since the last retarget are taken to come every ten minutes, which puts a halving on its day.
    """
    if not len(past.retargets_at):
        return np.full(len(at), np.nan)
    rows = past.retargets(at)
    known = rows >= 0
    since_s = (at - past.retargets_at[rows]) / np.timedelta64(1, "s")
    heights = past.heights[rows] + since_s // BLOCK_S
    subsidies = FIRST_SUBSIDY / 2.0 ** (heights // HALVED_EVERY)
    earned = PETA * DAY_S / (HASHES * past.difficulties[rows]) * subsidies * prices
    return np.where(known, earned, np.nan)
