"""Tests of the network service: caching, retries, and failures in its trust."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from services.core.errors import NoHistoryError
from services.core.reason import Code
from services.core.trust import TRUSTED, Trust, Verdict
from services.market.network_service import NetworkService
from services.market.sources.http.client import HttpClient
from services.market.sources.vendors.blockchain_info import BlockchainInfo
from services.market.sources.vendors.mempool import Mempool
from tests.fakes.clock import SetClock
from tests.fakes.reasons import reason, reason_with
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
FORBIDDEN = "HTTP 403 Forbidden; it blocks this machine: choose another source, or try another network"


class NetworkVendors:
    """Both vendors behind one transport.

    Attributes:
        away: hosts that refuse requests.
        changes: values that replace those of the recorded responses.
    """

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.away: set[str] = set()
        self.changes: dict[str, object] = {}
        self.clock = SetClock(NOON)
        client = HttpClient(transport=httpx.MockTransport(self.answer), sleep=no_wait)
        self.service = NetworkService([Mempool(client, self.clock), BlockchainInfo(client, self.clock)])

    async def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.host)
        await asyncio.sleep(0)  # other tasks run meanwhile, as on a real connection
        if request.url.host in self.away:
            return httpx.Response(403)
        name = next(name for part, name in PAGES.items() if part in request.url.path)
        body = json.loads((RESPONSES / f"{name}.json").read_bytes())
        return httpx.Response(200, json=body | {key: self.changes[key] for key in body.keys() & self.changes.keys()})

    async def trust(self, after: timedelta = timedelta(0)) -> Trust:
        self.clock.at = NOON + after
        return (await self.service.network(self.clock.at)).trust


@pytest.fixture
def vendors() -> NetworkVendors:
    return NetworkVendors()


async def test_both_sources_form_one_network(vendors: NetworkVendors) -> None:
    checked = await vendors.service.network(NOON)

    assert ("mempool.space", 150000000000000.5, 1.0123456789012345e21) == (
        checked.network.source,
        checked.network.difficulty,
        checked.network.hashrate,
    )
    assert TRUSTED == checked.trust


async def test_requests_within_five_minutes_share_one_answer(vendors: NetworkVendors) -> None:
    await asyncio.gather(*(vendors.service.network(NOON) for _ in range(5)))
    await vendors.trust(after=4 * MINUTE)
    assert 5 == len(vendors.asked)

    await vendors.trust(after=5 * MINUTE)
    assert 10 == len(vendors.asked)


async def test_a_hash_rate_in_another_unit_is_suspect(vendors: NetworkVendors) -> None:
    vendors.changes = {"currentHashrate": 1.0123456789012345e18}

    trust = await vendors.trust()

    assert Verdict.SUSPECT is trust.verdict
    assert reason_with(Code.HASHRATES_IMPOSSIBLE, ratio=1060.6) == trust.reasons[0]


async def test_zeros_of_a_node_that_is_down_are_missing_figures(vendors: NetworkVendors) -> None:
    vendors.changes = {"currentHashrate": 0, "currentDifficulty": 0}

    trust = await vendors.trust()

    assert Verdict.DEGRADED is trust.verdict
    assert reason(Code.FIGURES_UNKNOWN, figures=("difficulty", "hashrate"), source="mempool.space") == trust.reasons[0]


async def test_an_old_answer_ages_until_its_source_recovers(vendors: NetworkVendors) -> None:
    await vendors.trust()
    vendors.away = {"mempool.space"}

    failing, old = await vendors.trust(after=HOUR), await vendors.trust(after=7 * HOUR)

    problem = f"mempool.space (network): {FORBIDDEN}"
    assert Trust(verdict=Verdict.DEGRADED, reasons=(problem,)) == failing
    assert (Verdict.STALE, problem) == (old.verdict, old.reasons[0])

    vendors.away = set()
    assert TRUSTED == await vendors.trust(after=7 * HOUR + MINUTE)


async def test_a_failed_source_is_retried_after_a_minute(vendors: NetworkVendors) -> None:
    vendors.away = {"api.blockchain.info"}
    for seconds in (0, 59, 60):
        await vendors.trust(after=timedelta(seconds=seconds))

    assert 2 == vendors.asked.count("api.blockchain.info")


async def test_a_single_source_is_degraded_and_the_failure_of_the_other_named(vendors: NetworkVendors) -> None:
    vendors.away = {"api.blockchain.info"}

    trust = await vendors.trust()

    expected = (reason(Code.NO_WITNESS, source="mempool.space"), f"Blockchain.com (network): {FORBIDDEN}")
    assert Trust(verdict=Verdict.DEGRADED, reasons=expected) == trust


async def test_a_network_that_requires_no_witness_is_trusted(vendors: NetworkVendors) -> None:
    """As for a simulated network; stale figures stay stale."""
    service = NetworkService([vendors.service.feeds[0].source], requires_witness=False)
    assert TRUSTED == (await service.network(NOON)).trust
    vendors.away = {"mempool.space"}
    assert Verdict.STALE is (await service.network(NOON + 7 * HOUR)).trust.verdict


async def test_all_sources_are_named_if_none_has_ever_answered(vendors: NetworkVendors) -> None:
    vendors.away = {"mempool.space", "api.blockchain.info"}

    with pytest.raises(NoHistoryError) as error:
        await vendors.service.network(NOON)

    assert (
        f"No bitcoin network data yet. mempool.space (network): {FORBIDDEN}; "
        f"Blockchain.com (network): {FORBIDDEN}." == str(error.value)
    )


async def test_an_outage_and_its_recovery_are_logged_once(
    vendors: NetworkVendors, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="services")
    vendors.away = {"mempool.space"}
    for minutes in range(3):
        await vendors.trust(after=minutes * MINUTE)
    vendors.away = set()
    for minutes in range(3, 20):
        await vendors.trust(after=minutes * MINUTE)

    assert ["WARNING", "INFO"] == [record.levelname for record in caplog.records]


async def test_the_history_is_fetched_every_few_hours_and_survives_a_failure(vendors: NetworkVendors) -> None:
    first = await vendors.service.history(NOON)
    again = await vendors.service.history(NOON + HOUR)
    asked = len(vendors.asked)
    vendors.away.add("mempool.space")
    later = await vendors.service.history(NOON + 7 * HOUR)
    assert first == again
    assert 1 == asked
    assert first.history is not None
    assert (first.history, None, f"mempool.space (network): {FORBIDDEN}") == (
        later.history,
        first.problem,
        later.problem,
    )


async def test_sources_without_history_return_none(vendors: NetworkVendors) -> None:
    service = NetworkService([feed.source for feed in vendors.service.feeds[1:]])
    assert (None, None) == await service.history(NOON)


async def test_unusable_values_of_a_network_source_are_named(vendors: NetworkVendors) -> None:
    await vendors.service.network(NOON)
    nothing = vendors.service.dropped_values()
    vendors.changes = {"fastestFee": "soon"}

    await vendors.service.network(NOON + HOUR)

    assert [] == nothing
    expected = reason(Code.VALUES_DROPPED, source="mempool.space", symbol="network", values=("fastestFee",))
    assert [expected] == vendors.service.dropped_values()
