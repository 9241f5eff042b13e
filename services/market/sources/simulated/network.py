"""A simulated bitcoin network for the simulated market: mining becomes harder while bitcoin falls."""

import math
from datetime import UTC, date, datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.core.clock import Clock
from services.core.prices import to_datetime, to_datetime64
from services.market.mining_economics import HALVING_INTERVAL, INITIAL_SUBSIDY
from services.market.network import BLOCK_S, HASHES, NETWORK, Network, Retarget, Reward
from services.market.network_history import NetworkHistory
from services.market.sources.simulated.market import SEED, require_supported_time, source_name
from services.market.sources.simulated.scenario import FIRST_DAY, YEARS, random_stream

BLOCKS_PER_RETARGET = 2016  # blocks from one retarget to the next
FIRST_HEIGHT = 303 * BLOCKS_PER_RETARGET  # at the end of 2019
MAX_ADJUSTMENT = 4.0  # factor by which one retarget may change the difficulty
HASHRATE = 8e20  # hashes per second, on the first day
BOOM, GROWTH = 0.42, 0.05  # log growth to the high of an even year, and from one even year to the next
HIGH_AT = (10, 1)  # month and day, in an even year
DAILY_NOISE, LUCK = 0.04, 1 / math.sqrt(BLOCKS_PER_RETARGET)
FEES, FEES_NOISE, FEE_RATE = 0.06, 0.5, 100.0  # BTC per block; log standard deviation; sat/vB per BTC of fees
REWARD_BLOCKS, HASHRATE_DAYS = 144, 3  # averaging windows of rewards and of the current hash rate
HISTORY = np.timedelta64(3 * 365, "D")
DAY = np.timedelta64(1, "D")


class _Retargets(NamedTuple):
    """All retargets: time, difficulty and block height. The last one is beyond the simulated time."""

    at: NDArray[np.datetime64]
    difficulties: NDArray[np.float64]
    heights: NDArray[np.int64]


class SimulatedNetwork:
    """A NetworkSource and a NetworkHistorySource for 2021 to 2040, a pure function of seed and time.

    In even years the hash rate grows by half until October regardless of bitcoin's price, so mining reaches a new
    record
    difficulty. Then miners leave, and two years together are almost flat. The difficulty follows block by block, and
    subsidies halve at the same heights as on the real network. Returns nothing later than the clock.
    """

    simulated = True

    def __init__(self, clock: Clock, *, seed: int = SEED) -> None:
        self.name = source_name(seed)
        self._clock, self._seed = clock, seed
        self._cached_retargets: _Retargets | None = None

    async def network(self) -> Network:
        """Return the current network; the retarget is estimated from the pace since the last one."""
        now = require_supported_time(self._clock.now(), self.name, NETWORK)
        retargets, at = self._retarget_series(), to_datetime64(now)
        row = int(np.searchsorted(retargets.at, at, side="right")) - 1
        started_at, due_at = retargets.at[row], retargets.at[row + 1]
        height = int(retargets.heights[row]) + int(BLOCKS_PER_RETARGET * ((at - started_at) / (due_at - started_at)))
        fees, days = self._fees(at), at.astype("datetime64[D]") - DAY * np.arange(HASHRATE_DAYS)
        return Network(
            at=now,
            source=self.name,
            hashrate=float(self._observed_hashrates(days).mean()),
            difficulty=float(retargets.difficulties[row]),
            retarget=Retarget(
                change=float(retargets.difficulties[row + 1] / retargets.difficulties[row] - 1),
                height=int(retargets.heights[row + 1]),
                at=to_datetime(due_at),
            ),
            reward=Reward(
                blocks=REWARD_BLOCKS, total=INITIAL_SUBSIDY / 2 ** (height // HALVING_INTERVAL) + fees, fees=fees
            ),
            fee_rate=max(1.0, round(FEE_RATE * fees)),
        )

    async def history(self) -> NetworkHistory:
        """Return the hash rates of finished days and all retargets, of the last three years."""
        at = to_datetime64(require_supported_time(self._clock.now(), self.name, NETWORK))
        retargets, today = self._retarget_series(), at.astype("datetime64[D]")
        days = np.arange(max(today - HISTORY, np.datetime64(FIRST_DAY)), today)
        known = (retargets.at <= at) & (retargets.at >= days[0])
        return NetworkHistory(
            source=self.name,
            days=days,
            hashrates=self._observed_hashrates(days),
            retargets_at=retargets.at[known],
            difficulties=retargets.difficulties[known],
            heights=retargets.heights[known],
        )

    def _retarget_series(self) -> _Retargets:
        if self._cached_retargets is None:
            self._cached_retargets = _simulate_retargets(self._seed)
        return self._cached_retargets

    def _observed_hashrates(self, days: NDArray[np.datetime64]) -> NDArray[np.float64]:
        """Return the hash rates estimated from each day's blocks, which scatter around the true ones."""
        noise = [random_stream(self._seed, "hash rate", str(day)).normal(0, DAILY_NOISE) for day in days]
        rates: NDArray[np.float64] = _hashrate((days + DAY // 2).astype("datetime64[s]").astype(np.float64))
        return rates * np.exp(noise)

    def _fees(self, at: np.datetime64) -> float:
        """Return the fees of a block in BTC, interpolated between the previous day's and today's."""
        today = at.astype("datetime64[D]")
        by_day = [random_stream(self._seed, "fees", str(day)).normal(0, FEES_NOISE) for day in (today - DAY, today)]
        weight = (at - today) / DAY
        return FEES * math.exp((1 - weight) * by_day[0] + weight * by_day[1])


def _simulate_retargets(seed: int) -> _Retargets:
    """Simulate retarget after retarget; each period's length follows from the hash rate and luck."""
    rng = random_stream(seed, "blocks")
    started_at, end = (datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() for day in (FIRST_DAY, _ENDS))
    difficulty = float(_hashrate(np.array([started_at]))[0]) * BLOCK_S / HASHES
    at, difficulties = [started_at], [difficulty]
    while at[-1] < end:
        middle = at[-1] + BLOCKS_PER_RETARGET * BLOCK_S / 2
        pace = float(_hashrate(np.array([middle]))[0]) / (difficulty * HASHES) * math.exp(rng.normal(0, LUCK))
        difficulty *= min(max(pace * BLOCK_S, 1 / MAX_ADJUSTMENT), MAX_ADJUSTMENT)
        at.append(at[-1] + BLOCKS_PER_RETARGET / pace)
        difficulties.append(difficulty)
    return _Retargets(
        at=np.array(at).astype(np.int64).astype("datetime64[s]"),
        difficulties=np.array(difficulties),
        heights=FIRST_HEIGHT + BLOCKS_PER_RETARGET * np.arange(len(at)),
    )


def _hashrate(at_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the true hash rate at epoch seconds, interpolated between the knots of each cycle."""
    rates: NDArray[np.float64] = HASHRATE * np.exp(np.interp(at_s, *_KNOTS))
    return rates


def _knots() -> tuple[list[float], list[float]]:
    at, levels = [], []
    for cycle, year in enumerate(year for year in (*YEARS, YEARS[-1] + 1) if year % 2 == 0):
        begin, high = datetime(year, 1, 1, tzinfo=UTC), datetime(year, *HIGH_AT, tzinfo=UTC)
        at += [begin.timestamp(), high.timestamp()]
        levels += [GROWTH * cycle, GROWTH * cycle + BOOM]
    return at, levels


_ENDS = date(YEARS[-1] + 1, 2, 1)
_KNOTS = _knots()
