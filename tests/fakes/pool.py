"""mempool.space behind an httpx transport: a network whose retargets, age and faults tests set."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx

from services.market.network import BLOCK_S, HASHES
from services.market.network_service import NetworkService
from services.market.sources.http.client import HttpClient
from services.market.sources.vendors.mempool import Mempool
from tests.fakes.clock import SetClock
from tests.fakes.vendors import no_wait

BEGUN = datetime(2024, 4, 24, 12, 0, tzinfo=UTC)


@dataclass(slots=True)
class Pool:
    """A network at difficulty 100 T since before the ETF's history, until `retargets` move it.

    Where `lags`, the past does not know the last retarget yet; while `away`, nothing is answered.
    """

    clock: SetClock
    retargets: dict[datetime, float] = field(default_factory=dict)
    lags: bool = False
    away: bool = False
    asked: list[str] = field(default_factory=list)

    def mining(self) -> NetworkService:
        """Make what the services ask."""
        client = HttpClient(transport=httpx.MockTransport(self.answer), sleep=no_wait)
        return NetworkService([Mempool(client, self.clock)])

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path)
        if self.away:
            return httpx.Response(403)
        done = {at: hard for at, hard in {BEGUN: 100e12, **self.retargets}.items() if at <= self.clock.at}
        hard = [*done.values()][-1]
        path = request.url.path
        if "hashrate/3" in path:
            past = [*done.items()][: -1 if self.lags and path.endswith("3y") else None]
            rate = hard * HASHES / BLOCK_S
            return httpx.Response(
                200,
                json={
                    "hashrates": [{"timestamp": _s(self.clock.at), "avgHashrate": rate}],
                    "difficulty": [
                        {"time": _s(at), "height": 840_672 + 2016 * n, "difficulty": one}
                        for n, (at, one) in enumerate(past)
                    ],
                    "currentHashrate": rate,
                    "currentDifficulty": hard,
                },
            )
        pages: dict[str, dict[str, object]] = {
            "difficulty-adjustment": {
                "difficultyChange": 1.0,
                "estimatedRetargetDate": _s(self.clock.at + timedelta(days=7)),
                "nextRetargetHeight": 977_760,
            },
            "144": {"startBlock": 1, "endBlock": 144, "totalReward": "46440000000", "totalFee": "1440000000"},
            "recommended": {"fastestFee": 3},
        }
        return httpx.Response(200, json=pages[path.rsplit("/", 1)[-1]])


def _s(at: datetime) -> int:
    return int(at.timestamp())
