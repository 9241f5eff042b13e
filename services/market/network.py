"""The bitcoin network's current state: difficulty, hash rate and block rewards."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from services.core.prices import Symbol

NETWORK = Symbol("network")  # the symbol in network source errors
HASHES = 2**32  # average hashes per block at difficulty 1
BLOCK_S = 600  # target seconds between blocks


@dataclass(frozen=True, slots=True, kw_only=True)
class Retarget:
    """The estimated next change of the difficulty: `change` is a fraction, `height` the block number."""

    change: float
    height: int
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Reward:
    """The average block reward of the last `blocks` blocks, in bitcoin; `total` includes `fees`."""

    blocks: int
    total: float
    fees: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """The network as one source reports it at `at` (aware UTC); None for what the source does not know.

    Attributes:
        hashrate: in hashes per second, averaged over about a day.
        difficulty: in units of the minimum difficulty.
        fee_rate: for the next block, in satoshis per virtual byte.
        lag: the normal age of this source's newest figures.
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
        """Return the age of these figures at `now`."""
        return now - self.at

    @property
    def implied_hashrate(self) -> float | None:
        """The hash rate, in hashes per second, at which this difficulty gives one block per ten minutes.

        The true hash rate is close to it. Source: en.bitcoin.it/wiki/Difficulty.
        """
        return None if self.difficulty is None else self.difficulty * HASHES / BLOCK_S
