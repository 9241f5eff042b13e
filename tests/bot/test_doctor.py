"""The doctor looks at everything once, and says what to do about each failure."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import web
from pydantic import SecretStr

from bot.doctor import Finding, Verdict, check_clock, check_figures, examine
from bot.fake_slack.server import serving
from bot.fake_slack.workspace import Workspace
from bot.settings import Settings
from services.core.installation import Installation
from services.market.network import Network
from services.market.network_checks import Report, check_network_sources
from services.storage import SqlStore, new_key
from tests.bot.conftest import MINERPULSE, Ran
from tests.fakes.clock import SetClock

NOWHERE = "http://127.0.0.1:9"  # nothing listens at the discard port
SECRET = SecretStr("hush")


def yahoo(at: int) -> dict[str, Any]:
    """One close of yesterday, and a trade of now."""
    meta = {
        "symbol": "WGMI",
        "currency": "USD",
        "exchangeTimezoneName": "America/New_York",
        "regularMarketPrice": 24.31,
        "regularMarketTime": at,
    }
    result = {"meta": meta, "timestamp": [at - 86_400, at], "indicators": {"quote": [{"close": [24.0, 24.31]}]}}
    return {"chart": {"result": [result], "error": None}}


def network(path: str, now: datetime) -> dict[str, Any]:
    """What mempool.space and Blockchain.com say of a network whose witness is a third higher."""
    if "charts" in path:
        return {"unit": "Hash Rate TH/s", "values": [{"x": int(now.timestamp()) - 86_400, "y": 1.33e9}]}
    return {
        "currentHashrate": 1e21,
        "currentDifficulty": 140e12,
        "difficultyChange": -2.5,
        "estimatedRetargetDate": int(now.timestamp() + 86_400) * 1000,
        "nextRetargetHeight": 977760,
        "startBlock": 976001,
        "endBlock": 976144,
        "totalReward": "46440000000",
        "totalFee": "1440000000",
        "fastestFee": 3,
    }


@asynccontextmanager
async def vendors() -> AsyncIterator[str]:
    """Yahoo, Coinbase and both sources of the network at one address of this machine."""

    async def answer(request: web.Request) -> web.Response:
        now = datetime.now(UTC)
        if "/v1/" in request.path or "charts" in request.path:
            return web.json_response(network(request.path, now))
        if "chart" in request.path:
            return web.json_response(yahoo(int(now.timestamp())))
        return web.json_response({"price": "87412.50", "time": f"{now:%Y-%m-%dT%H:%M:%S.%fZ}"})

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


@pytest.fixture
async def healthy(clean: Path) -> AsyncIterator[Settings]:
    """Settings under which everything is as it should be."""
    workspace = Workspace(now=lambda: datetime.now(UTC))
    async with vendors() as url, serving(workspace):
        yield Settings(
            slack_bot_token=SecretStr(workspace.token),
            slack_signing_secret=SECRET,
            slack_api_url=workspace.url,
            database_url=f"sqlite:///{clean / 'desk.db'}",
            etf_sources=("yahoo",),
            crypto_sources=("coinbase",),
            network_sources=("mempool", "blockchain"),
            source_urls=dict.fromkeys(("yahoo", "coinbase", "mempool", "blockchain"), url),
        )


async def found(settings: Settings, **changed: object) -> dict[str, Finding]:
    return {finding.check: finding for finding in await examine(settings.model_copy(update=changed))}


async def test_where_all_is_well_every_check_is_ok(healthy: Settings) -> None:
    findings = await found(healthy)
    assert {check: finding.verdict for check, finding in findings.items()} == dict.fromkeys(
        (
            "settings",
            "database",
            "ETF source Yahoo",
            "crypto source Coinbase",
            "network source mempool.space",
            "network source Blockchain.com",
            "bitcoin network",
            "Slack token",
            "Slack scopes",
            "Slack requests",
            "clock",
        ),
        Verdict.OK,
    )
    assert findings["ETF source Yahoo"].found.startswith("WGMI at 24.31, ")
    assert findings["crypto source Coinbase"].found.startswith("BTC at 87,412.50, ")
    assert findings["network source mempool.space"].found.startswith("hash rate 1,000 EH/s, 0 s old; answered in ")
    assert findings["network source Blockchain.com"].found.startswith("hash rate 1,330 EH/s, 24 h old; answered in ")
    assert findings["Slack token"].found == "Rehearsal, as minerpulse"
    assert findings["Slack requests"].found == "over HTTP, checked with the signing secret"


@pytest.mark.parametrize(
    ("changed", "check", "told", "next_step"),
    [
        pytest.param(
            {"database_url": "sqlite:////nowhere/at/all.db"},
            "database",
            "unable to open",
            "Check MINERPULSE_DATABASE_URL",
            id="database",
        ),
        pytest.param(
            {"source_urls": {"yahoo": NOWHERE}},
            "ETF source Yahoo",
            "Yahoo on WGMI",
            "MINERPULSE_ETF_SOURCES",
            id="etf",
        ),
        pytest.param(
            {"source_urls": {"coinbase": NOWHERE}},
            "crypto source Coinbase",
            "Coinbase on BTC",
            "MINERPULSE_CRYPTO_SOURCES",
            id="crypto",
        ),
        pytest.param(
            {"source_urls": {"mempool": NOWHERE}},
            "network source mempool.space",
            "mempool.space on network",
            "MINERPULSE_NETWORK_SOURCES",
            id="network",
        ),
        pytest.param(
            {"slack_bot_token": SecretStr("xoxb-other")},
            "Slack token",
            "Slack answers “invalid_auth”",
            "Copy the Bot User OAuth Token",
            id="token",
        ),
        pytest.param(
            {"slack_api_url": f"{NOWHERE}/api/"}, "Slack token", "Slack cannot be reached", "network", id="slack-away"
        ),
    ],
)
async def test_one_failure_leaves_the_other_checks_standing(
    healthy: Settings, changed: dict[str, object], check: str, told: str, next_step: str
) -> None:
    if "source_urls" in changed:
        changed = {"source_urls": {**healthy.source_urls, **cast("dict[str, str]", changed["source_urls"])}}
    findings = await found(healthy, **changed)
    failed = [finding for finding in findings.values() if finding.verdict is Verdict.FAIL]
    assert [finding.check for finding in failed] == [check]
    assert told in failed[0].found
    assert next_step in failed[0].next_step


async def test_the_network_is_told_with_its_verdict(healthy: Settings) -> None:
    found_now = (await found(healthy))["bitcoin network"].found
    told = (
        r"difficulty 140\.00 T, hash rate 1,000 EH/s, next retarget −2\.5% on \w{3} \d+ \w{3} \d\d:\d\d New York; "
        r"degraded: the hash rate of Blockchain\.com is 33% above the hash rate of mempool\.space"
    )
    assert re.fullmatch(told, found_now)


async def test_figures_that_contradict_each_other_fail_with_what_to_do() -> None:
    now = datetime(2026, 11, 17, tzinfo=UTC)
    network = Network(at=now, source="mempool.space", hashrate=1e18, difficulty=140e12)
    judged = check_network_sources([Report(network=network)], now)
    assert judged is not None
    finding = check_figures(judged)
    assert finding.verdict is Verdict.FAIL
    assert "suspect: what the difficulty of mempool.space implies is 1,002.2 times the hash rate" in finding.found
    assert finding.next_step.startswith("Do not rely on these figures")


async def test_where_no_source_of_the_network_answers_there_are_no_figures(healthy: Settings) -> None:
    findings = await found(healthy, source_urls=healthy.source_urls | {"mempool": NOWHERE, "blockchain": NOWHERE})
    assert (Verdict.SKIP, "needs a source that answers") == (
        findings["bitcoin network"].verdict,
        findings["bitcoin network"].found,
    )


async def test_a_simulated_market_asks_nobody_about_the_network(healthy: Settings) -> None:
    findings = await found(healthy, etf_sources=("simulated",), crypto_sources=("simulated",))
    assert [Verdict.SKIP] == [finding.verdict for check, finding in findings.items() if "network" in check]


async def test_without_a_token_that_works_its_other_checks_are_left_out(healthy: Settings) -> None:
    findings = await found(healthy, slack_bot_token=SecretStr("xoxb-other"))
    assert {findings[check].verdict for check in ("Slack scopes", "Slack requests", "clock")} == {Verdict.SKIP}


async def test_a_missing_scope_is_named(healthy: Settings) -> None:
    workspace = Workspace(now=lambda: datetime.now(UTC), scopes="commands,users:read")
    async with serving(workspace):
        findings = await found(healthy, slack_api_url=workspace.url)
    assert (findings["Slack scopes"].verdict, findings["Slack scopes"].found) == (Verdict.FAIL, "missing: chat:write")
    assert "install the app again" in findings["Slack scopes"].next_step


@pytest.mark.parametrize(
    ("granted", "told"),
    [
        pytest.param(
            "commands,chat:write,channels:history,groups:history",
            "commands, chat:write, channels:history, groups:history",
            id="all",
        ),
        pytest.param(
            "commands,chat:write,channels:history",
            "commands, chat:write, channels:history; "
            "without groups:history an alert whose answer is lost may appear twice",
            id="not in private channels",
        ),
    ],
)
async def test_what_cannot_be_looked_up_is_told(healthy: Settings, granted: str, told: str) -> None:
    workspace = Workspace(now=lambda: datetime.now(UTC), scopes=granted)
    async with serving(workspace):
        findings = await found(healthy, slack_api_url=workspace.url)
    assert (Verdict.OK, told) == (findings["Slack scopes"].verdict, findings["Slack scopes"].found)


async def test_socket_mode_is_named_as_the_way_in(healthy: Settings) -> None:
    findings = await found(healthy, slack_app_token=SecretStr("xapp-hush"), slack_signing_secret=None)
    assert findings["Slack requests"].found == "over Socket Mode, with the app token"


@pytest.mark.parametrize(
    ("off", "verdict", "told"),
    [
        pytest.param(timedelta(seconds=119), Verdict.OK, "agrees with Slack's", id="near"),
        pytest.param(timedelta(seconds=121), Verdict.FAIL, "121 s apart from Slack's", id="ahead"),
        pytest.param(timedelta(hours=-1), Verdict.FAIL, "3,600 s apart from Slack's", id="behind"),
    ],
)
def test_a_clock_that_slack_would_not_trust_fails(off: timedelta, verdict: Verdict, told: str) -> None:
    finding = check_clock("Tue, 17 Nov 2026 15:40:00 GMT", SetClock(datetime(2026, 11, 17, 15, 40, tzinfo=UTC) + off))
    assert (finding.verdict, finding.found) == (verdict, told)


def test_without_slacks_date_the_clock_is_left_out() -> None:
    assert check_clock(None, SetClock(datetime(2026, 11, 17, tzinfo=UTC))).verdict is Verdict.SKIP


def test_without_tokens_slack_is_left_out_with_how_to_connect_and_nothing_fails(
    minerpulse: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINERPULSE_ETF_SOURCES", "simulated")
    monkeypatch.setenv("MINERPULSE_CRYPTO_SOURCES", "simulated")
    ran = minerpulse("doctor")
    assert (ran.code, ran.err) == (0, "")
    assert re.search(r"^Slack token +SKIP ", ran.out, re.MULTILINE)
    assert "Create the app from `minerpulse manifest`" in ran.out


def test_settings_that_cannot_be_used_are_a_finding_for_each(
    minerpulse: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", "x")
    monkeypatch.setenv("MINERPULSE_TICK_SECONDS", "1")
    ran = minerpulse("doctor", "--json")
    document = json.loads(ran.out)
    assert (ran.code, document["ok"]) == (1, False)
    assert [(row["check"], row["result"]) for row in document["checks"]] == [("settings", "FAIL")] * 2


async def test_the_command_tells_the_same_as_json_and_never_a_secret(healthy: Settings, clean: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        MINERPULSE,
        "doctor",
        "--json",
        env={
            "SLACK_BOT_TOKEN": "xoxb-standin",
            "SLACK_SIGNING_SECRET": "hush",
            "MINERPULSE_SLACK_API_URL": healthy.slack_api_url,
            "MINERPULSE_ETF_SOURCES": "yahoo",
            "MINERPULSE_CRYPTO_SOURCES": "coinbase",
            "MINERPULSE_SOURCE_URLS": " ".join(
                f"{name}={url}" for name, url in (healthy.source_urls | {"coinbase": NOWHERE}).items()
            ),
        },
        cwd=clean,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    document = json.loads(out)
    assert (process.returncode, document["ok"]) == (1, False)
    assert [row["check"] for row in document["checks"] if row["result"] == "FAIL"] == ["crypto source Coinbase"]
    assert b"hush" not in out + err
    assert b"xoxb-standin" not in out + err
    assert err == b""


async def test_a_token_that_is_not_renewed_is_told_with_what_to_do(healthy: Settings) -> None:
    key = SecretStr(new_key())
    store = await SqlStore.open(healthy.database_url)
    lapsing = Installation(
        home="T1",
        enterprise=None,
        name="Acme",
        bot_token="xoxe.xoxb-1",
        bot_user="UBOT",
        scopes=("commands",),
        installed_by="U1",
        installed_at=datetime(2026, 1, 1, tzinfo=UTC),
        refresh_token="xoxe-1",
        expires_at=datetime.now(UTC) + timedelta(hours=1),
    )
    await store.installations([key.get_secret_value()]).save(lapsing)
    await store.aclose()

    seen = await found(
        healthy, slack_bot_token=None, slack_client_id="1.2", slack_client_secret=SECRET, token_keys=(key,)
    )

    assert (
        "workspace T1: its token cannot be renewed and ends: have the app installed there again" == seen["tokens"].found
    )
    assert "/slack/install" in seen["tokens"].next_step
