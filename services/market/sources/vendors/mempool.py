"""mempool.space: difficulty, hash rate, next retarget and fees of the bitcoin network. Official API; no key."""

from datetime import timedelta
from typing import Annotated, Self, TypeVar

import numpy as np
from pydantic import Field, model_validator

from services.core.prices import Symbol
from services.market.network import NETWORK, Network, Retarget, Reward
from services.market.network_history import NetworkHistory
from services.market.sources.http.client import HttpStatusError
from services.market.sources.http.odd_values import DROP, Droppable
from services.market.sources.http.payload import Epoch, EpochSeconds, Payload, Rows, SatoshisString, epoch_time
from services.market.sources.http.vendor import Limit, VendorSource, error_message

REWARD_BLOCKS = 144  # about a day
SATOSHIS_PER_BTC = 100_000_000

NonNegative = Annotated[float, Field(ge=0, lt=1e30, allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, lt=1e30, allow_inf_nan=False)]
Height = Annotated[int, Field(ge=0, lt=10**9)]
Model = TypeVar("Model", bound=Payload)


class _MempoolMining(Payload):
    current_hashrate: NonNegative | None
    current_difficulty: NonNegative | None


class _MempoolHashrate(Payload):
    timestamp: EpochSeconds
    avg_hashrate: Positive


class _MempoolRetarget(Payload):
    time: EpochSeconds
    height: Height
    difficulty: Positive


class _MempoolHistory(Payload):
    """Points in the order of time; the same time may occur twice."""

    hashrates: Rows[_MempoolHashrate]
    difficulty: Rows[_MempoolRetarget]

    @model_validator(mode="after")
    def _check_order(self) -> Self:
        for times in ([point.timestamp for point in self.hashrates], [point.time for point in self.difficulty]):
            if times != sorted(times):
                raise ValueError("not in time order")
        return self


class _MempoolAdjustment(Payload):
    difficulty_change: Annotated[float, Field(gt=-100, lt=1000, allow_inf_nan=False)] | None  # percent
    estimated_retarget_date: Epoch | None
    next_retarget_height: Height | None


class _MempoolRewards(Payload):
    start_block: Height | None
    end_block: Height | None
    total_reward: SatoshisString | None
    total_fee: SatoshisString | None


class _MempoolFees(Payload):
    fastest_fee: Annotated[float, Field(ge=0, lt=1e8, allow_inf_nan=False)] | None


MINING: Droppable = {"currentHashrate": None, "currentDifficulty": None}
ADJUSTMENT: Droppable = {"difficultyChange": None, "estimatedRetargetDate": None, "nextRetargetHeight": None}
REWARDS: Droppable = {"startBlock": None, "endBlock": None, "totalReward": None, "totalFee": None}
FEES: Droppable = {"fastestFee": None}
HISTORY: Droppable = {"hashrates.*": DROP, "difficulty.*": DROP}


class Mempool(VendorSource):
    """A NetworkSource over mempool.space's mining endpoints. Real time, no key.

    Rate limits are not published, and clients that continue after a 429 are banned. We stay at ten calls a minute;
    `network` makes four. Terms: mempool.space/terms-of-service.
    """

    name = "mempool.space"
    base_url = "https://mempool.space"
    backoff = timedelta(minutes=15)
    limits = (Limit(calls=10, per=timedelta(minutes=1)),)

    async def network(self) -> Network:
        """Fetch the network's state in four calls; the reward is averaged over the last 144 blocks.

        When mempool.space's own node is down, it sends 0 for hash rate and difficulty; both become None.
        """
        mining = await self._page("mining/hashrate/3d", _MempoolMining, MINING)
        adjustment = await self._page("difficulty-adjustment", _MempoolAdjustment, ADJUSTMENT)
        rewards = await self._page(f"mining/reward-stats/{REWARD_BLOCKS}", _MempoolRewards, REWARDS)
        fees = await self._page("fees/recommended", _MempoolFees, FEES)
        return Network(
            at=self._vendor.answered_at,
            source=self.name,
            hashrate=mining.current_hashrate or None,
            difficulty=mining.current_difficulty or None,
            retarget=_retarget(adjustment),
            reward=self._reward(rewards),
            fee_rate=fees.fastest_fee,
        )

    async def history(self) -> NetworkHistory:
        """Fetch the daily hash rates and all retargets of the last three years, in one call."""
        history = await self._page("mining/hashrate/3y", _MempoolHistory, HISTORY)
        hashrates = {_utc(point.timestamp).astype("datetime64[D]"): point for point in reversed(history.hashrates)}
        retargets = {_utc(point.time): point for point in reversed(history.difficulty)}  # the first of a day stays
        self._record_repeated("hashrates", [_utc(point.timestamp) for point in history.hashrates], len(hashrates))
        self._record_repeated("difficulty", [_utc(point.time) for point in history.difficulty], len(retargets))
        return NetworkHistory(
            source=self.name,
            days=np.array([*reversed(hashrates)], dtype="datetime64[D]"),
            hashrates=np.array([point.avg_hashrate for point in reversed(hashrates.values())]),
            retargets_at=np.array([*reversed(retargets)], dtype="datetime64[s]"),
            difficulties=np.array([point.difficulty for point in reversed(retargets.values())]),
            heights=np.array([point.height for point in reversed(retargets.values())], dtype=np.int64),
        )

    def _record_repeated(self, name: str, times: list[np.datetime64], count: int) -> None:
        """Record that times occur repeatedly."""
        repeated = len(times) - count
        self._vendor.record_odd(NETWORK, name, (f"{name}: {repeated} repeated",) if repeated else ())

    async def _page(self, page: str, model: type[Model], droppable: Droppable) -> Model:
        return await self._get(f"/api/v1/{page}", {}, NETWORK, model.model_validate_json, droppable=droppable)

    def _explain(self, symbol: Symbol, error: HttpStatusError) -> str | None:  # noqa: ARG002 -- of the base
        message = error_message(error.body, "error")
        return None if message is None else f"HTTP {error.status_line}: “{message[:200]}”"

    def _reward(self, stats: _MempoolRewards) -> Reward | None:
        """Return the average reward; None if its figures are unusable or contradict each other."""
        if (
            stats.end_block is None
            or stats.start_block is None
            or stats.total_reward is None
            or stats.total_fee is None
        ):
            return None
        blocks, total, fees = stats.end_block - stats.start_block + 1, int(stats.total_reward), int(stats.total_fee)
        is_odd = blocks < 1 or fees > total
        self._vendor.record_odd(NETWORK, "reward", ("rewards that contradict each other",) if is_odd else ())
        if is_odd:
            return None
        return Reward(blocks=blocks, total=total / blocks / SATOSHIS_PER_BTC, fees=fees / blocks / SATOSHIS_PER_BTC)


def _retarget(adjustment: _MempoolAdjustment) -> Retarget | None:
    change, at = adjustment.difficulty_change, adjustment.estimated_retarget_date
    height = adjustment.next_retarget_height
    if change is None or at is None or height is None:
        return None
    return Retarget(change=change / 100, height=height, at=epoch_time(at))


def _utc(epoch: int) -> np.datetime64:
    return np.datetime64(epoch, "s")
