"""The network is asked for once in minutes, and what its sources fail at stands in its verdict."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from services.core.errors import NoHistoryError
from services.core.trust import FULL, Trust, Verdict
from services.market.network_service import NetworkService
from services.market.sources.http.client import HttpClient
from services.market.sources.vendors.blockchain_info import BlockchainInfo
from services.market.sources.vendors.mempool import Mempool
from tests.fakes.clock import SetClock
from tests.fakes.vendors import no_wait

RESPONSES = Path(__file__).parents[2] / "responses"
PAGES = {
    "hashrate/3": "mempool_hashrate",
    "difficulty-adjustment": "mempool_adjustment",
    "reward-stats": "mempool_rewards",
    "recommended": "mempool_fees",
    "charts/hash-rate": "blockchain_hashrate",
}
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
AWAY = "answered 403 Forbidden; it turns this machine away: choose another source, or try another network"


class Wires:
    """Both vendors behind one transport; `away` are the hosts that refuse, `changes` what pages say instead."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.away: set[str] = set()
        self.changes: dict[str, object] = {}
        self.clock = SetClock(NOON)
        client = HttpClient(transport=httpx.MockTransport(self.answer), sleep=no_wait)
        self.mining = NetworkService([Mempool(client, self.clock), BlockchainInfo(client, self.clock)])

    async def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.host)
        await asyncio.sleep(0)  # others have their turn meanwhile, as on a real line
        if request.url.host in self.away:
            return httpx.Response(403)
        name = next(name for part, name in PAGES.items() if part in request.url.path)
        body = json.loads((RESPONSES / f"{name}.json").read_bytes())
        return httpx.Response(200, json=body | {key: self.changes[key] for key in body.keys() & self.changes.keys()})

    async def trust(self, after: timedelta = timedelta(0)) -> Trust:
        self.clock.at = NOON + after
        return (await self.mining.network(self.clock.at)).trust


@pytest.fixture
def wires() -> Wires:
    return Wires()


async def test_both_sources_make_one_network(wires: Wires) -> None:
    judged = await wires.mining.network(NOON)

    assert ("mempool.space", 150000000000000.5, 1.0123456789012345e21) == (
        judged.network.source,
        judged.network.difficulty,
        judged.network.hashrate,
    )
    assert FULL == judged.trust


async def test_everyone_who_asks_within_five_minutes_shares_one_answer(wires: Wires) -> None:
    await asyncio.gather(*(wires.mining.network(NOON) for _ in range(5)))
    await wires.trust(after=4 * MINUTE)
    assert 5 == len(wires.asked)

    await wires.trust(after=5 * MINUTE)
    assert 10 == len(wires.asked)


async def test_a_hash_rate_in_another_unit_is_suspect(wires: Wires) -> None:
    wires.changes = {"currentHashrate": 1.0123456789012345e18}

    trust = await wires.trust()

    assert Verdict.SUSPECT is trust.verdict
    assert "1,060.6 times" in trust.reasons[0]


async def test_zeros_of_a_node_that_is_down_are_no_figures(wires: Wires) -> None:
    wires.changes = {"currentHashrate": 0, "currentDifficulty": 0}

    trust = await wires.trust()

    assert Verdict.DEGRADED is trust.verdict
    assert "mempool.space does not know the difficulty and the hash rate" == trust.reasons[0]


async def test_an_old_answer_goes_on_ageing_until_its_source_is_back(wires: Wires) -> None:
    await wires.trust()
    wires.away = {"mempool.space"}

    failing, old = await wires.trust(after=HOUR), await wires.trust(after=7 * HOUR)

    problem = f"mempool.space on network: {AWAY}"
    assert Trust(verdict=Verdict.DEGRADED, reasons=(problem,)) == failing
    assert (Verdict.STALE, problem) == (old.verdict, old.reasons[0])

    wires.away = set()
    assert FULL == await wires.trust(after=7 * HOUR + MINUTE)


async def test_a_failure_is_looked_at_again_after_a_minute(wires: Wires) -> None:
    wires.away = {"api.blockchain.info"}
    for seconds in (0, 59, 60):
        await wires.trust(after=timedelta(seconds=seconds))

    assert 2 == wires.asked.count("api.blockchain.info")


async def test_one_source_alone_is_told_with_what_the_other_fails_at(wires: Wires) -> None:
    wires.away = {"api.blockchain.info"}

    trust = await wires.trust()

    expected = ("mempool.space has no witness", f"Blockchain.com on network: {AWAY}")
    assert Trust(verdict=Verdict.DEGRADED, reasons=expected) == trust


async def test_a_network_that_has_no_witness_to_be_had_is_trusted_as_it_is(wires: Wires) -> None:
    """As a simulated one: but what is stale stays stale."""
    mining = NetworkService([wires.mining.feeds[0].source], witnessed=False)
    assert FULL == (await mining.network(NOON)).trust
    wires.away = {"mempool.space"}
    assert Verdict.STALE is (await mining.network(NOON + 7 * HOUR)).trust.verdict


async def test_where_no_source_has_ever_answered_all_are_named(wires: Wires) -> None:
    wires.away = {"mempool.space", "api.blockchain.info"}

    with pytest.raises(NoHistoryError) as nothing:
        await wires.mining.network(NOON)

    assert (
        f"Nothing is known of the bitcoin network yet. mempool.space on network: {AWAY}; "
        f"Blockchain.com on network: {AWAY}." == str(nothing.value)
    )


async def test_an_outage_and_its_end_are_logged_once(wires: Wires, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="services")
    wires.away = {"mempool.space"}
    for minutes in range(3):
        await wires.trust(after=minutes * MINUTE)
    wires.away = set()
    for minutes in range(3, 20):
        await wires.trust(after=minutes * MINUTE)

    assert ["WARNING", "INFO"] == [record.levelname for record in caplog.records]


async def test_the_past_is_asked_for_every_few_hours_and_outlives_a_failure(wires: Wires) -> None:
    first = await wires.mining.past(NOON)
    again = await wires.mining.past(NOON + HOUR)
    asked = len(wires.asked)
    wires.away.add("mempool.space")
    later = await wires.mining.past(NOON + 7 * HOUR)
    assert first == again
    assert 1 == asked
    assert first.past is not None
    assert (first.past, None, f"mempool.space on network: {AWAY}") == (later.past, first.problem, later.problem)


async def test_sources_that_remember_nothing_have_no_past(wires: Wires) -> None:
    mining = NetworkService([feed.source for feed in wires.mining.feeds[1:]])
    assert (None, None) == await mining.past(NOON)
