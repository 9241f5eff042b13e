"""A simulated bitcoin network beside the simulated market: ever harder to mine on while bitcoin falls."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.core.clock import Clock
from services.core.prices import instant, moment
from services.market.mining_economics import FIRST_SUBSIDY, HALVED_EVERY
from services.market.network import BLOCK_S, HASHES, NETWORK, Network, Retarget, Reward
from services.market.network_history import NetworkHistory
from services.market.sources.simulated.market import SEED, name_of, within_its_years
from services.market.sources.simulated.scenario import FIRST_DAY, YEARS, stream

EPOCH = 2016  # blocks from one retarget to the next
FIRST_HEIGHT = 303 * EPOCH  # of the last days of 2019
MOST = 4.0  # times, that one retarget may change the difficulty
HASHRATE = 8e20  # hashes a second, at the beginning
BOOM, GROWTH = 0.42, 0.05  # by logarithms: until the high of an even year, and from one even year to the next
HIGH_AT = (10, 1)  # month and day of an even year
DAILY_NOISE, LUCK = 0.04, 1 / math.sqrt(EPOCH)
FEES, FEES_NOISE, RATE = 0.06, 0.5, 100.0  # bitcoin a block; by logarithms; sat/vB for each bitcoin of them
BLOCKS, DAYS = 144, 3  # that rewards and the hash rate of now are averaged over
REMEMBERED = np.timedelta64(3 * 365, "D")
DAY = np.timedelta64(1, "D")


class _Mined(NamedTuple):
    """Every retarget: when, to which difficulty, and at which block; the last one is never reached."""

    at: NDArray[np.datetime64]
    difficulties: NDArray[np.float64]
    heights: NDArray[np.int64]


class SimulatedNetwork:
    """A NetworkSource and a NetworkPastSource for 2021 to 2040, a pure function of seed and time.

    In even years the hash rate grows by half until October, whatever bitcoin does, so that mining is harder than ever;
    then miners leave, until two years together are almost flat. The difficulty follows block by block, and subsidies
    are halved where they are on the true network. Nothing later than the clock is told.
    """

    simulated = True

    def __init__(self, clock: Clock, *, seed: int = SEED) -> None:
        self.name = name_of(seed)
        self._clock, self._seed = clock, seed
        self._retargets: _Mined | None = None

    async def network(self) -> Network:
        """Tell the network of now; the retarget is estimated from the pace since the last one."""
        now = within_its_years(self._clock.now(), self.name, NETWORK)
        mined, at = self._mined(), instant(now)
        row = int(np.searchsorted(mined.at, at, side="right")) - 1
        begun, due = mined.at[row], mined.at[row + 1]
        height = int(mined.heights[row]) + int(EPOCH * ((at - begun) / (due - begun)))
        fees = self._fees(at)
        return Network(
            at=now,
            source=self.name,
            hashrate=float(self._rates(at.astype("datetime64[D]") - DAY * np.arange(DAYS)).mean()),
            difficulty=float(mined.difficulties[row]),
            retarget=Retarget(
                change=float(mined.difficulties[row + 1] / mined.difficulties[row] - 1),
                height=int(mined.heights[row + 1]),
                at=moment(due),
            ),
            reward=Reward(blocks=BLOCKS, total=FIRST_SUBSIDY / 2 ** (height // HALVED_EVERY) + fees, fees=fees),
            fee_rate=max(1.0, round(RATE * fees)),
        )

    async def past(self) -> NetworkHistory:
        """Tell the hash rate of the days that are over, and every retarget, of the last three years."""
        at = instant(within_its_years(self._clock.now(), self.name, NETWORK))
        mined, today = self._mined(), at.astype("datetime64[D]")
        days = np.arange(max(today - REMEMBERED, np.datetime64(FIRST_DAY)), today)
        known = (mined.at <= at) & (mined.at >= days[0])
        return NetworkHistory(
            source=self.name,
            days=days,
            hashrates=self._rates(days),
            retargets_at=mined.at[known],
            difficulties=mined.difficulties[known],
            heights=mined.heights[known],
        )

    def _mined(self) -> _Mined:
        if self._retargets is None:
            self._retargets = _mine(self._seed)
        return self._retargets

    def _rates(self, days: NDArray[np.datetime64]) -> NDArray[np.float64]:
        """Give the hash rate that each day's blocks tell, which scatters around the true one."""
        noise = [stream(self._seed, "hash rate", str(day)).normal(0, DAILY_NOISE) for day in days]
        rates: NDArray[np.float64] = _hashrate((days + DAY // 2).astype("datetime64[s]").astype(np.float64))
        return rates * np.exp(noise)

    def _fees(self, at: np.datetime64) -> float:
        """Give a block's fees, in bitcoin: those of the day, on their way from the day before's."""
        today = at.astype("datetime64[D]")
        by_day = [stream(self._seed, "fees", str(day)).normal(0, FEES_NOISE) for day in (today - DAY, today)]
        share = (at - today) / DAY
        return FEES * math.exp((1 - share) * by_day[0] + share * by_day[1])


def _mine(seed: int) -> _Mined:
    """Mine from retarget to retarget: each takes as long as the hash rate and some luck have it."""
    rng = stream(seed, "blocks")
    begun, end = (datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() for day in (FIRST_DAY, _ENDS))
    difficulty = float(_hashrate(np.array([begun]))[0]) * BLOCK_S / HASHES
    at, difficulties = [begun], [difficulty]
    while at[-1] < end:
        middle = at[-1] + EPOCH * BLOCK_S / 2
        pace = float(_hashrate(np.array([middle]))[0]) / (difficulty * HASHES) * math.exp(rng.normal(0, LUCK))
        difficulty *= min(max(pace * BLOCK_S, 1 / MOST), MOST)
        at.append(at[-1] + EPOCH / pace)
        difficulties.append(difficulty)
    return _Mined(
        at=np.array(at).astype(np.int64).astype("datetime64[s]"),
        difficulties=np.array(difficulties),
        heights=FIRST_HEIGHT + EPOCH * np.arange(len(at)),
    )


def _hashrate(at_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give the true hash rate at instants in seconds since 1970: knot by knot, from cycle to cycle."""
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
