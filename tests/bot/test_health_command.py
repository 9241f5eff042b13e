"""`minerpulse health` shows what the database and Slack say, and agrees with /readyz."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from bot.app import build
from bot.health import HealthReport, ask_database, find_slack_problem, judge, stored_vitals
from bot.settings import load_settings
from services.market.source_log import SourceRecord
from services.storage import SqlStore
from tests.bot.conftest import RunCli
from tests.bot.documents.test_schemas import validator
from tests.bot.test_health import HealthHarness, open_health
from tests.fakes.slack import Fault


@pytest.fixture
async def harness() -> AsyncIterator[HealthHarness]:
    async with open_health() as harness:
        yield harness


async def seen_from_outside(harness: HealthHarness) -> HealthReport:
    """Return the health as another process finds it in the database."""
    app, store = harness.harness, harness.harness.store
    now, pairs = app.clock.now(), await app.monitor.watch_pairs()
    vitals = stored_vitals(pairs, await store.last_ticks(pairs), await store.pair_statuses(), app.monitor.every)
    return judge(now, vitals, await ask_database(store, None, {}, now), await find_slack_problem(harness.health.client))


async def test_it_agrees_with_readyz_before_and_after_the_first_tick(harness: HealthHarness) -> None:
    before = (await harness.health.report(), await seen_from_outside(harness))
    await harness.run_after()
    after = (await harness.health.report(), await seen_from_outside(harness))

    assert [("the first tick hasn't finished yet",)] * 2 == [report.problems for report in before]
    assert [()] * 2 == [report.problems for report in after]


async def test_it_agrees_with_readyz_while_prices_fail_and_when_they_return(harness: HealthHarness) -> None:
    await harness.run_after()
    harness.harness.vendors.faults["yahoo"] = [httpx.Response(500)] * 10_000
    for _ in range(18):
        await harness.run_after(5, None)
    failing = await harness.health.report(), await seen_from_outside(harness)
    harness.harness.vendors.faults.clear()
    for _ in range(20):
        await harness.run_after()
    recovered = await harness.health.report(), await seen_from_outside(harness)

    assert [("prices",), ("prices",)] == [report.categories for report in failing]
    assert [(), ()] == [report.categories for report in recovered]


async def test_it_agrees_with_readyz_when_ticks_stop_and_slack_fails(harness: HealthHarness) -> None:
    await harness.run_after()
    harness.harness.clock.at += timedelta(minutes=6)
    harness.slack.fail("auth.test", Fault(status=503, body="down"))
    harness.health.slack_problem = await find_slack_problem(harness.health.client)
    inside = await harness.health.report()
    harness.slack.fail("auth.test", Fault(status=503, body="down"))

    assert ("the last good tick was 6\N{NO-BREAK SPACE}min ago", "Slack isn't responding") == inside.problems
    assert inside == await seen_from_outside(harness)


def test_without_a_database_it_says_how_one_is_created(minerpulse: RunCli, clean: Path) -> None:
    result = minerpulse("health")

    assert (1, "") == (result.code, result.out)
    assert "`minerpulse run` creates it" in result.err
    assert [] == list(clean.iterdir())


@pytest.mark.usefixtures("simulated")
def test_an_installation_that_never_ticked_is_not_ready(minerpulse: RunCli, clean: Path) -> None:
    minerpulse("migrate")
    result, document = minerpulse("health"), json.loads(minerpulse("health", "--json").out)

    validator("health").validate(document)
    assert (1, "") == (result.code, result.err)
    assert "not ready: ticks" in result.out
    assert "the first tick hasn't finished yet" in result.out
    assert str(clean / "minerpulse.db") == document["database"]["name"]
    assert {"ticks": "FAIL", "prices": "OK", "database": "OK", "slack": "SKIP"} == {
        check["category"]: check["result"] for check in document["checks"]
    }


@pytest.mark.usefixtures("simulated")
def test_after_a_tick_it_shows_ticks_sources_queue_and_database_on_one_screen(minerpulse: RunCli, clean: Path) -> None:
    async def tick_once() -> None:
        async with build(load_settings()) as app:
            await app.monitor.tick(app.clock.now())

    asyncio.run(tick_once())
    result, document = minerpulse("health"), json.loads(minerpulse("health", "--json").out)

    validator("health").validate(document)
    assert (0, True) == (result.code, document["ready"])
    assert [("slack", 0, 0)] == [(one["sink"], one["waiting"], one["dead_lettered"]) for one in document["queues"]]
    for text in (
        "ready",
        "Ticks",
        "WGMI/BTC",
        "Sources",
        "simulated",
        "Queues",
        "slack: 0 waiting",
    ):
        assert text in result.out
    assert str(clean / "minerpulse.db") in "".join(result.out.split())  # a long path is wrapped, never cut
    assert len(result.out.splitlines()) <= 24


def test_each_source_has_a_row_with_its_last_success_and_its_failures_since(
    minerpulse: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    minerpulse("migrate")
    now = datetime.now(UTC)

    async def record() -> None:
        async with aclosing(await SqlStore.open(load_settings().database_url)) as store:
            failing = SourceRecord(
                source="Nasdaq",
                last_success_at=now - timedelta(hours=2),
                failures=12,
                failing_since=now - timedelta(hours=1),
                problem="HTTP 503 Service Unavailable",
            )
            await store.add_source_records([SourceRecord(source="Yahoo", last_success_at=now), failing])

    asyncio.run(record())
    monkeypatch.setenv("MINERPULSE_CRYPTO_SOURCES", "simulated")
    shown = minerpulse("health").out
    document = json.loads(minerpulse("health", "--json").out)

    assert "Sources   OK    yahoo (WGMI): last response just now" in shown
    assert "WARN  nasdaq (WGMI): 12 failures since " in shown
    assert "last response 2 h ago: HTTP 503 Service Unavailable" in " ".join(shown.split())
    assert "SKIP  simulated (BTC, bitcoin network): not queried" in shown
    assert [("yahoo", 0), ("nasdaq", 12), ("simulated", 0)] == [
        (one["name"], one["failures"]) for one in document["sources"]
    ]
