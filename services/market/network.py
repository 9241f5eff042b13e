"""The bitcoin network that the miners work on: how hard it is, how much works on it, and what a block pays."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from services.core.prices import Symbol

NETWORK = Symbol("network")  # what failures to read it are about
HASHES = 2**32  # that a block takes on average at a difficulty of 1
BLOCK_S = 600  # seconds between blocks, which the difficulty is set for


@dataclass(frozen=True, slots=True, kw_only=True)
class Retarget:
    """The next change of the difficulty, as it is estimated: `change` is a fraction, `height` the block's number."""

    change: float
    height: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Reward:
    """What a block paid on the average of the last `blocks`, in bitcoin; `fees` are a part of `total`."""

    blocks: int
    total: float
    fees: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The network as one source sees it at `at` (aware UTC); None is what it does not know.

    `hashrate` is in hashes a second, averaged over a day or so; `difficulty` is in units of the easiest one;
    `fee_rate` is what the next block asks for, in satoshis for each virtual byte. `lag` is how old the newest figures
    of this source may be although all is well with it.
    """

    at: datetime
    source: str
    hashrate: float | None = None
    difficulty: float | None = None
    retarget: Retarget | None = None
    reward: Reward | None = None
    fee_rate: float | None = None
    lag: timedelta = timedelta(0)

    def age(self, now: datetime) -> timedelta:
        """Tell how old these figures are at `now`."""
        return now - self.at

    @property
    def implied_hashrate(self) -> float | None:
        """The hashes a second at which this difficulty lets a block come every ten minutes; the hash rate is near it.

        Source: en.bitcoin.it/wiki/Difficulty.
        """
        return None if self.difficulty is None else self.difficulty * HASHES / BLOCK_S
