"""mempool.space behind an httpx transport, with retargets, staleness and faults set by tests."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx
import numpy as np

from services.market.network import BLOCK_S, HASHES
from services.market.network_history import NetworkHistory
from services.market.network_service import NetworkService
from services.market.sources.http.client import HttpClient
from services.market.sources.vendors.mempool import Mempool
from tests.fakes.clock import SetClock
from tests.fakes.vendors import no_wait

FIRST_RETARGET = datetime(2024, 4, 24, 12, 0, tzinfo=UTC)


@dataclass(slots=True)
class FakeMempool:
    """A network at difficulty 100 T since before the ETF's history, until `retargets` change it.

    With `stale_history`, the history lacks the last retarget; while `down`, every request fails. `changes` has values
    that replace those of an answer.
    """

    clock: SetClock
    retargets: dict[datetime, float] = field(default_factory=dict)
    stale_history: bool = False
    down: bool = False
    requests: list[str] = field(default_factory=list)
    changes: dict[str, object] = field(default_factory=dict)

    def service(self) -> NetworkService:
        """Build a NetworkService on this fake."""
        client = HttpClient(transport=httpx.MockTransport(self.answer), sleep=no_wait)
        return NetworkService([Mempool(client, self.clock)])

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request.url.path)
        if self.down:
            return httpx.Response(403)
        retargets = {
            at: difficulty
            for at, difficulty in {FIRST_RETARGET: 100e12, **self.retargets}.items()
            if at <= self.clock.at
        }
        difficulty = [*retargets.values()][-1]
        path = request.url.path
        if "hashrate/3" in path:
            history = [*retargets.items()][: -1 if self.stale_history and path.endswith("3y") else None]
            rate = difficulty * HASHES / BLOCK_S
            return httpx.Response(
                200,
                json={
                    "hashrates": [{"timestamp": _s(self.clock.at), "avgHashrate": rate}],
                    "difficulty": [
                        {"time": _s(at), "height": 840_672 + 2016 * n, "difficulty": one}
                        for n, (at, one) in enumerate(history)
                    ],
                    "currentHashrate": rate,
                    "currentDifficulty": difficulty,
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
        page = pages[path.rsplit("/", 1)[-1]]
        return httpx.Response(200, json=page | {key: self.changes[key] for key in page.keys() & self.changes.keys()})


def _s(at: datetime) -> int:
    return int(at.timestamp())


PAST = NetworkHistory(
    source="mempool.space",
    days=np.array(["2024-04-10", "2024-04-20", "2024-04-30"], dtype="datetime64[D]"),
    hashrates=np.array([620e18, 640e18, 600e18]),
    retargets_at=np.array(["2024-03-28T00:00:00", "2024-04-10T16:00:00", "2024-04-24T12:00:00"], dtype="datetime64[s]"),
    difficulties=np.array([83.13e12, 86.39e12, 88.10e12]),
    heights=np.array([836_640, 838_656, 840_672]),
)
