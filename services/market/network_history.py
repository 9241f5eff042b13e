"""History of the bitcoin network's difficulty and hash rate, and the percentile rank of a value in it."""

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

MAX_RANK = 100.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NetworkHistory:
    """The network's history from one source. All arrays of times ascend.

    Attributes:
        days: datetime64[D].
        hashrates: of each day, in hashes per second.
        retargets_at: datetime64[s] UTC.
        difficulties: from each retarget on, in units of the minimum difficulty.
        heights: the first block of each difficulty.
    """

    source: str
    days: NDArray[np.datetime64]
    hashrates: NDArray[np.float64]
    retargets_at: NDArray[np.datetime64]
    difficulties: NDArray[np.float64]
    heights: NDArray[np.int64]

    def retarget_rows(self, at: NDArray[np.datetime64]) -> NDArray[np.intp]:
        """Return the row of the last retarget at or before each instant; -1 before the first."""
        return np.searchsorted(self.retargets_at, at, side="right") - 1

    def difficulties_at(self, at: NDArray[np.datetime64]) -> NDArray[np.float64]:
        """Return the difficulty at each instant; NaN before the first retarget."""
        rows = self.retarget_rows(at)
        known: NDArray[np.float64] = np.append(self.difficulties, np.nan)[rows]  # row -1 selects the NaN
        return known


EMPTY_HISTORY = NetworkHistory(
    source="",
    days=np.empty(0, "datetime64[D]"),
    hashrates=np.empty(0),
    retargets_at=np.empty(0, "datetime64[s]"),
    difficulties=np.empty(0),
    heights=np.empty(0, np.int64),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PercentileRank:
    """The rank of a value among `count` earlier ones from `since` on: `rank` is the percentage below it, 0 to 100.

    `high` and `low` are the extremes of the earlier values, with their dates; the ranked value may be beyond them.
    """

    rank: float
    count: int
    since: date
    high: float
    high_on: date
    low: float
    low_on: date

    @property
    def is_highest(self) -> bool:
        """Whether no earlier value was as high."""
        return self.rank >= MAX_RANK

    @property
    def is_lowest(self) -> bool:
        """Whether no earlier value was as low."""
        return self.rank <= 0


def percentile_rank(value: float, days: NDArray[np.datetime64], values: NDArray[np.float64]) -> PercentileRank | None:
    """Return the rank of `value` among earlier daily values, ties counting half; None if there are none."""
    known = np.isfinite(values)
    days, values = days[known], values[known]
    if not len(values):
        return None
    high, low = int(np.argmax(values)), int(np.argmin(values))
    return PercentileRank(
        rank=float(MAX_RANK * ((values < value).sum() + 0.5 * (values == value).sum()) / len(values)),
        count=len(values),
        since=days[0].astype(object),
        high=float(values[high]),
        high_on=days[high].astype(object),
        low=float(values[low]),
        low_on=days[low].astype(object),
    )
