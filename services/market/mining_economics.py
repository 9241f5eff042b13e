"""Mining economics: the hashprice, which is the revenue of one petahash per second per day in US dollars."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.market.network import BLOCK_S, HASHES
from services.market.network_history import NetworkHistory

PETA, DAY_S = 1e15, 86_400
INITIAL_SUBSIDY, HALVING_INTERVAL = 50.0, 210_000  # bitcoin per block; blocks


def hashprice(difficulty: float, reward: float, price: float) -> float:
    """Return the hashprice in US dollars per PH/s per day.

    `reward` is in bitcoin per block, `price` in US dollars per bitcoin. One PH/s makes 86,400 × 10^15 hashes per day; a
    block takes 2^32 × difficulty hashes on average.
    Source: Hashrate Index, the definition of hashprice; fees are part of the reward.
    """
    return PETA * DAY_S / (HASHES * difficulty) * reward * price


def historical_hashprices(
    history: NetworkHistory, at: NDArray[np.datetime64], prices: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the hashprice without fees at each instant; NaN if an input is missing.

    The history of fees is not available. Blocks since the last retarget are assumed to arrive every ten minutes, which
    puts a halving on the right day.
    """
    if not len(history.retargets_at):
        return np.full(len(at), np.nan)
    rows = history.retarget_rows(at)
    known = rows >= 0
    elapsed_s = (at - history.retargets_at[rows]) / np.timedelta64(1, "s")
    heights = history.heights[rows] + elapsed_s // BLOCK_S
    subsidies = INITIAL_SUBSIDY / 2.0 ** (heights // HALVING_INTERVAL)
    values = PETA * DAY_S / (HASHES * history.difficulties[rows]) * subsidies * prices
    return np.where(known, values, np.nan)


@dataclass(frozen=True, slots=True, kw_only=True)
class MiningEconomics:
    """Difficulty and hashprice at a window's end and (`_before`) at its start; the changes are fractions.

    Attributes:
        difficulty: in units of the minimum difficulty.
        hashprice: in US dollars per PH/s per day, without fees, whose history is not available.
        difficulty_percentile, hashprice_percentile: rank (0 to 100) of the change among the 252 sessions before, for
            windows of at most 20 sessions; None if too few of them are known.
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
        """The change of the difficulty over the window."""
        return self.difficulty / self.difficulty_before - 1

    @property
    def hashprice_change(self) -> float:
        """The change of the hashprice over the window."""
        return self.hashprice / self.hashprice_before - 1
