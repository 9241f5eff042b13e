"""The network's past: how hard mining was and how much worked on it, and where the present stands among that."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

MOST = 100.0  # of a rank


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class NetworkHistory:
    """The network as one source remembers it.

    `days` is datetime64[D] with the `hashrates` of each, in hashes a second; `retargets_at`, datetime64[s] UTC, has the
    `difficulties` from then on, in units of the easiest one, and the `heights` of their first blocks. All ascend.
    """

    source: str
    days: NDArray[np.datetime64]
    hashrates: NDArray[np.float64]
    retargets_at: NDArray[np.datetime64]
    difficulties: NDArray[np.float64]
    heights: NDArray[np.int64]

    def retargets(self, at: NDArray[np.datetime64]) -> NDArray[np.intp]:
        """Find the last retarget at or before each instant; -1 where that is before the first."""
        return np.searchsorted(self.retargets_at, at, side="right") - 1

    def difficulties_at(self, at: NDArray[np.datetime64]) -> NDArray[np.float64]:
        """Take the difficulty at each instant; NaN before the first retarget."""
        rows = self.retargets(at)
        known: NDArray[np.float64] = np.append(self.difficulties, np.nan)[rows]  # -1 is the NaN
        return known


NOTHING = NetworkHistory(
    source="",
    days=np.empty(0, "datetime64[D]"),
    hashrates=np.empty(0),
    retargets_at=np.empty(0, "datetime64[s]"),
    difficulties=np.empty(0),
    heights=np.empty(0, np.int64),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PercentileRank:
    """Where a figure stands among `count` earlier ones since a day: `rank` is the share below it, 0 to 100.

    `high` and `low` are the extremes among them, with their days; the figure itself may lie beyond.
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
        """Whether nothing earlier was as high."""
        return self.rank >= MOST

    @property
    def is_lowest(self) -> bool:
        """Whether nothing earlier was as low."""
        return self.rank <= 0


def percentile_rank(now: float, days: NDArray[np.datetime64], values: NDArray[np.float64]) -> PercentileRank | None:
    """Place a figure among earlier ones by day, ties counting half; None where there are none."""
    known = np.isfinite(values)
    days, values = days[known], values[known]
    if not len(values):
        return None
    high, low = int(np.argmax(values)), int(np.argmin(values))
    return PercentileRank(
        rank=float(MOST * ((values < now).sum() + 0.5 * (values == now).sum()) / len(values)),
        count=len(values),
        since=days[0].astype(object),
        high=float(values[high]),
        high_on=days[high].astype(object),
        low=float(values[low]),
        low_on=days[low].astype(object),
    )
