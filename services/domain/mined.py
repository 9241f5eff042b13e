"""Mined: what it was to mine at both ends of a window, from the network's past and bitcoin's price."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from services.domain.hashprice import past_hashprices

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from services.domain.align import Aligned


@dataclass(frozen=True, slots=True, kw_only=True)
class Mined:
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
