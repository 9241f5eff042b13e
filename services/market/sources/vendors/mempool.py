"""mempool.space: the network's difficulty, hash rate, next retarget and fees. Official, and without a key."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Self, TypeVar

import numpy as np
from pydantic import FailFast, Field, ValidationError, model_validator

from services.core.clock import Clock
from services.market.network import NETWORK, Network, Retarget, Reward
from services.market.network_history import NetworkHistory
from services.market.sources.http.client import HttpClient, HttpStatusError
from services.market.sources.http.limits import Limit
from services.market.sources.http.payload import Epoch, EpochSeconds, Wire, WrittenSatoshis, seconds
from services.market.sources.http.vendor import VendorClient

BASE_URL = "https://mempool.space"
REST = timedelta(minutes=15)
LIMITS = (Limit(calls=10, per=timedelta(minutes=1)),)
BLOCKS = 144  # about a day
SATOSHIS = 100_000_000

Read = TypeVar("Read", bound=Wire)


class _Mining(Wire):
    current_hashrate: Annotated[float, Field(ge=0, lt=1e30, allow_inf_nan=False)]
    current_difficulty: Annotated[float, Field(ge=0, lt=1e30, allow_inf_nan=False)]


class _Rate(Wire):
    timestamp: EpochSeconds
    avg_hashrate: Annotated[float, Field(gt=0, lt=1e30, allow_inf_nan=False)]


class _Retarget(Wire):
    time: EpochSeconds
    height: Annotated[int, Field(ge=0, lt=10**9)]
    difficulty: Annotated[float, Field(gt=0, lt=1e30, allow_inf_nan=False)]


class _Past(Wire):
    hashrates: Annotated[list[_Rate], FailFast()]
    difficulty: Annotated[list[_Retarget], FailFast()]

    @model_validator(mode="after")
    def _is_in_order(self) -> Self:
        for times in ([one.timestamp for one in self.hashrates], [one.time for one in self.difficulty]):
            if times != sorted(set(times)):
                raise ValueError("not in the order of time")
        return self


class _Adjustment(Wire):
    difficulty_change: Annotated[float, Field(gt=-100, lt=1000, allow_inf_nan=False)]  # percent
    estimated_retarget_date: Epoch
    next_retarget_height: Annotated[int, Field(ge=0, lt=10**9)]


class _Rewards(Wire):
    start_block: Annotated[int, Field(ge=0, lt=10**9)]
    end_block: Annotated[int, Field(ge=0, lt=10**9)]
    total_reward: WrittenSatoshis
    total_fee: WrittenSatoshis


class _Fees(Wire):
    fastest_fee: Annotated[float, Field(ge=0, lt=1e8, allow_inf_nan=False)]


class Mempool:
    """A NetworkSource over mempool.space's mining pages. In real time, without a key.

    Its limits are not published, and it bans who goes on after a 429: ten calls a minute are kept to, and `network`
    makes four. Terms: mempool.space/terms-of-service.
    """

    name = "mempool.space"
    simulated = False

    def __init__(self, client: HttpClient, clock: Clock, *, base_url: str = BASE_URL) -> None:
        self._vendor = VendorClient(client, clock, source=self.name, base_url=base_url, rest=REST, limits=LIMITS)
        self._clock = clock

    async def network(self) -> Network:
        """Fetch the network's state, in four calls; the reward is that of the last 144 blocks.

        Where mempool.space's own node is down it gives 0 for the hash rate and the difficulty, which stands for
        unknown.
        """
        mining = await self._get("mining/hashrate/3d", _Mining)
        adjustment = await self._get("difficulty-adjustment", _Adjustment)
        rewards = await self._get(f"mining/reward-stats/{BLOCKS}", _Rewards)
        fees = await self._get("fees/recommended", _Fees)
        return Network(
            at=self._clock.now(),
            source=self.name,
            hashrate=mining.current_hashrate or None,
            difficulty=mining.current_difficulty or None,
            retarget=Retarget(
                change=adjustment.difficulty_change / 100,
                height=adjustment.next_retarget_height,
                at=datetime.fromtimestamp(seconds(adjustment.estimated_retarget_date), UTC),
            ),
            reward=self._reward(rewards),
            fee_rate=fees.fastest_fee,
        )

    async def past(self) -> NetworkHistory:
        """Fetch the hash rate by day and every retarget of the last three years, in one call."""
        told = await self._get("mining/hashrate/3y", _Past)
        return NetworkHistory(
            source=self.name,
            days=np.array([_utc(one.timestamp) for one in told.hashrates], dtype="datetime64[D]"),
            hashrates=np.array([one.avg_hashrate for one in told.hashrates]),
            retargets_at=np.array([_utc(one.time) for one in told.difficulty], dtype="datetime64[s]"),
            difficulties=np.array([one.difficulty for one in told.difficulty]),
            heights=np.array([one.height for one in told.difficulty], dtype=np.int64),
        )

    async def _get(self, page: str, shape: type[Read]) -> Read:
        return await self._vendor.get(
            f"/api/v1/{page}", {}, symbol=NETWORK, read=shape.model_validate_json, explain=_explain
        )

    def _reward(self, sums: _Rewards) -> Reward:
        blocks, total, fees = sums.end_block - sums.start_block + 1, int(sums.total_reward), int(sums.total_fee)
        if blocks < 1 or fees > total:
            raise self._vendor.error(NETWORK, "sent rewards that cannot be; it will be asked again", retryable=True)
        return Reward(blocks=blocks, total=total / blocks / SATOSHIS, fees=fees / blocks / SATOSHIS)


def _utc(epoch: int) -> np.datetime64:
    return np.datetime64(epoch, "s")


class _Complaint(Wire):
    error: str


def _explain(refusal: HttpStatusError) -> str | None:
    try:
        return f"answered {refusal.answer}: “{_Complaint.model_validate_json(refusal.body).error[:200]}”"
    except ValidationError:
        return None
