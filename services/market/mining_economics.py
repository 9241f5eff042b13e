"""Hashprice: what a petahash a second earns in a day, in US dollars."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from services.market.align import Aligned
from services.market.network import BLOCK_S, HASHES
from services.market.network_history import NetworkHistory

PETA, DAY_S = 1e15, 86_400
FIRST_SUBSIDY, HALVED_EVERY = 50.0, 210_000  # bitcoin a block, and blocks


def hashprice(difficulty: float, reward: float, price: float) -> float:
    """Take what a petahash a second earns a day in US dollars, at bitcoin a block and US dollars a bitcoin.

    In a day it makes 86,400 × 10^15 hashes, of which 2^32 × difficulty find a block on average.
    Source: Hashrate Index, the definition of hashprice; fees are a part of the reward.
    """
    return PETA * DAY_S / (HASHES * difficulty) * reward * price


def past_hashprices(
    past: NetworkHistory, at: NDArray[np.datetime64], prices: NDArray[np.float64]
) -> NDArray[np.float64]:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class MiningEconomics:
    """What it was to mine at a window's end, and `before`, where it began; the changes are fractions.

    Difficulties are in units of the easiest one. Hashprices are in US dollars for a petahash a second a day, without
    fees: of those no past is known. A percentile (0 to 100) places the change among those of the 252 sessions before,
    None where too few of them are known.
    """

    source: str
    difficulty: float
    difficulty_before: float
    hashprice: float
    hashprice_before: float
    difficulty_percentile: float | None = None
    hashprice_percentile: float | None = None

    @property
    def difficulty_change(self) -> float:
        """How much harder it became."""
        return self.difficulty / self.difficulty_before - 1

    @property
    def hashprice_change(self) -> float:
        """How much more it earned."""
        return self.hashprice / self.hashprice_before - 1


def difficulties(aligned: Aligned) -> NDArray[np.float64]:
    """Take the difficulty at each row's instant; NaN before the first that is known, and where none is."""
    if aligned.network is None:
        return np.full(len(aligned), np.nan)
    return aligned.network.difficulties_at(aligned.at)


def hashprices(aligned: Aligned) -> NDArray[np.float64]:
    """Take the hashprice at each row's instant, without fees, at the price of the coin in it; NaN as above."""
    if aligned.network is None:
        return np.full(len(aligned), np.nan)
    return past_hashprices(aligned.network, aligned.at, aligned.crypto)


def standing(aligned: Aligned) -> Aligned:
    """Let the ETF stand at its last price where it has none: what is mined does not wait for it."""
    known = np.where(np.isfinite(aligned.etf), np.arange(len(aligned)), -1)
    last = np.maximum.accumulate(known)
    return replace(aligned, etf=np.append(aligned.etf, np.nan)[last])
