"""The doctor checks everything once and suggests a fix for each failure."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import web
from pydantic import SecretStr

from bot.commands.doctor import (
    Finding,
    check_clock,
    check_file_permissions,
    check_network_data,
    run_checks,
)
from bot.documents.operations import CheckResult
from bot.fake_slack.server import serve_workspace
from bot.fake_slack.workspace import Workspace
from bot.settings import Settings
from services.core.installation import Installation
from services.market.network import Network
from services.market.network_checks import NetworkAnswer, check_network_sources
from services.market.sources.catalogue import SOURCES, Source
from services.storage import SqlStore, generate_key
from tests.bot.conftest import MINERPULSE, RunCli
from tests.fakes.clock import SetClock

NOWHERE = "http://127.0.0.1:9"  # nothing listens at the discard port
SECRET = SecretStr("hush")


def yahoo_chart(at: int) -> dict[str, Any]:
    """Return one close of yesterday and a current trade."""
    meta = {
        "symbol": "WGMI",
        "currency": "USD",
        "exchangeTimezoneName": "America/New_York",
        "regularMarketPrice": 24.31,
        "regularMarketTime": at,
    }
    result = {"meta": meta, "timestamp": [at - 86_400, at], "indicators": {"quote": [{"close": [24.0, 24.31]}]}}
    return {"chart": {"result": [result], "error": None}}


def network_response(path: str, now: datetime) -> dict[str, Any]:
    """Return mempool.space's or Blockchain.com's figures; the latter's hash rate is a third higher."""
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
async def serve_vendors() -> AsyncIterator[str]:
    """Serve Yahoo, Coinbase and both network sources at one local URL."""

    async def answer(request: web.Request) -> web.Response:
        now = datetime.now(UTC)
        if "/v1/" in request.path or "charts" in request.path:
            return web.json_response(network_response(request.path, now))
        if "chart" in request.path:
            return web.json_response(yahoo_chart(int(now.timestamp())))
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
    """Settings with which every check passes."""
    workspace = Workspace(now=lambda: datetime.now(UTC))
    async with serve_vendors() as url, serve_workspace(workspace):
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


async def findings_by_check(settings: Settings, **changed: object) -> dict[str, Finding]:
    return {finding.check: finding for finding in await run_checks(settings.model_copy(update=changed))}


LEG_SETTINGS = {"equity": ("etf_sources", "ETF source"), "crypto": ("crypto_sources", "crypto source")}
KEYED = [pytest.param(row, leg, id=f"{row.name}-{leg}") for row in SOURCES if row.keys for leg in row.legs]


@pytest.mark.parametrize(("row", "leg"), KEYED)
async def test_a_refused_key_names_the_variable_to_set(healthy: Settings, row: Source, leg: str) -> None:
    async def refuse(_request: web.Request) -> web.Response:
        return web.json_response({"detail": "Invalid token."}, status=401)

    app = web.Application()
    app.router.add_get("/{path:.*}", refuse)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        findings = await findings_by_check(
            healthy,
            **{LEG_SETTINGS[leg][0]: (row.name,)},
            **dict.fromkeys(row.keys, SecretStr("expired")),
            source_urls={**healthy.source_urls, row.name: f"http://{host}:{port}"},
        )
    finally:
        await runner.cleanup()

    finding = findings[f"{LEG_SETTINGS[leg][1]} {row.title}"]
    assert CheckResult.FAIL is finding.result
    variables = " and ".join(f"MINERPULSE_{key.upper()}" for key in row.keys)
    assert f"The API key is wrong or has expired. Set a new one in {variables}." == finding.next_step


async def test_every_check_passes_on_a_healthy_setup(healthy: Settings) -> None:
    findings = await findings_by_check(healthy)
    assert {check: finding.result for check, finding in findings.items()} == dict.fromkeys(
        (
            "settings",
            "proxies, certificates",
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
        CheckResult.OK,
    )
    assert findings["ETF source Yahoo"].found.startswith("WGMI at $24.31, ")
    assert findings["crypto source Coinbase"].found.startswith("BTC at $87,412, ")
    assert findings["network source mempool.space"].found.startswith("hash rate 1,000 EH/s, just now; responded in ")
    assert findings["network source Blockchain.com"].found.startswith(
        "hash rate 1,330 EH/s, 24\u00a0h ago; responded in "
    )
    assert findings["Slack token"].found == "Rehearsal, as minerpulse"
    assert findings["Slack requests"].found == "over HTTP, checked with the signing secret"


@pytest.mark.parametrize(
    ("changed", "check", "expected", "next_step"),
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
            "Yahoo (WGMI)",
            "MINERPULSE_ETF_SOURCES",
            id="etf",
        ),
        pytest.param(
            {"source_urls": {"coinbase": NOWHERE}},
            "crypto source Coinbase",
            "Coinbase (BTC)",
            "MINERPULSE_CRYPTO_SOURCES",
            id="crypto",
        ),
        pytest.param(
            {"source_urls": {"mempool": NOWHERE}},
            "network source mempool.space",
            "mempool.space (network)",
            "MINERPULSE_NETWORK_SOURCES",
            id="network",
        ),
        pytest.param(
            {"slack_bot_token": SecretStr("xoxb-other")},
            "Slack token",
            "Slack returned “invalid_auth”",
            "Copy the Bot User OAuth Token",
            id="token",
        ),
        pytest.param(
            {"slack_api_url": f"{NOWHERE}/api/"}, "Slack token", "Slack can't be reached", "network", id="slack-away"
        ),
    ],
)
async def test_one_failure_does_not_affect_the_other_checks(
    healthy: Settings, changed: dict[str, object], check: str, expected: str, next_step: str
) -> None:
    if "source_urls" in changed:
        changed = {"source_urls": {**healthy.source_urls, **cast("dict[str, str]", changed["source_urls"])}}
    findings = await findings_by_check(healthy, **changed)
    failed = [finding for finding in findings.values() if finding.result is CheckResult.FAIL]
    assert [finding.check for finding in failed] == [check]
    assert expected in failed[0].found
    assert next_step in failed[0].next_step


async def test_the_network_check_shows_figures_and_verdict(healthy: Settings) -> None:
    found = (await findings_by_check(healthy))["bitcoin network"].found
    expected = (
        r"difficulty 140\.00 T, hash rate 1,000 EH/s, next retarget −2\.5% on \w{3} \d+, \d+:\d\d [AP]M ET; "
        r"degraded: the hash rate from Blockchain\.com is 33% above the hash rate from mempool\.space"
    )
    assert re.fullmatch(expected, found)


async def test_contradicting_network_figures_fail_with_a_next_step() -> None:
    now = datetime(2026, 11, 17, tzinfo=UTC)
    network = Network(at=now, source="mempool.space", hashrate=1e18, difficulty=140e12)
    checked = check_network_sources([NetworkAnswer(network=network)], now)
    assert checked is not None
    finding = check_network_data(checked)
    assert finding.result is CheckResult.FAIL
    assert (
        "suspect: the hash rate implied by mempool.space's difficulty is 1,002.2 times the hash rate" in finding.found
    )
    assert finding.next_step.startswith("Don't rely on these figures")


async def test_the_network_check_is_skipped_if_no_source_answers(healthy: Settings) -> None:
    findings = await findings_by_check(
        healthy, source_urls=healthy.source_urls | {"mempool": NOWHERE, "blockchain": NOWHERE}
    )
    assert (CheckResult.SKIP, "not checked: no source has usable data") == (
        findings["bitcoin network"].result,
        findings["bitcoin network"].found,
    )


async def test_a_simulated_market_skips_the_network_checks(healthy: Settings) -> None:
    findings = await findings_by_check(healthy, etf_sources=("simulated",), crypto_sources=("simulated",))
    assert [CheckResult.SKIP] == [finding.result for check, finding in findings.items() if "network" in check]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        pytest.param("ALL_PROXY", "socks5://127.0.0.1:9", id="SOCKS"),
        pytest.param("HTTPS_PROXY", "http://[bad", id="proxy"),
        pytest.param("SSL_CERT_FILE", "/missing.pem", id="certificates"),
    ],
)
async def test_an_unusable_environment_is_found_before_anything_is_called(
    healthy: Settings, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)

    findings = await findings_by_check(healthy)

    assert ["settings", "proxies, certificates", "database"] == list(findings)
    assert (CheckResult.FAIL, True) == (
        findings["proxies, certificates"].result,
        findings["proxies, certificates"].found.startswith(f"{variable} "),
    )


@pytest.mark.parametrize("variable", ["ALL_PROXY", "SSL_CERT_FILE"])
async def test_a_simulated_market_needs_no_usable_environment(
    clean: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "socks5://nowhere")
    settings = Settings(
        database_url=f"sqlite:///{clean / 'desk.db'}", etf_sources=("simulated",), crypto_sources=("simulated",)
    )

    findings = await findings_by_check(settings)

    assert CheckResult.SKIP is findings["proxies, certificates"].result
    assert {CheckResult.OK, CheckResult.SKIP} == {finding.result for finding in findings.values()}


async def test_a_missing_database_is_named_and_not_created(healthy: Settings, clean: Path) -> None:
    findings = await findings_by_check(healthy)

    assert f"There is no database at {clean / 'desk.db'} yet. `minerpulse run` creates it" in findings["database"].found
    assert CheckResult.OK is findings["database"].result
    assert not (clean / "desk.db").exists()


async def test_without_a_valid_token_the_other_slack_checks_are_skipped(healthy: Settings) -> None:
    findings = await findings_by_check(healthy, slack_bot_token=SecretStr("xoxb-other"))
    assert {findings[check].result for check in ("Slack scopes", "Slack requests", "clock")} == {CheckResult.SKIP}


async def test_a_missing_scope_fails_with_its_name(healthy: Settings) -> None:
    workspace = Workspace(now=lambda: datetime.now(UTC), scopes="commands,users:read")
    async with serve_workspace(workspace):
        findings = await findings_by_check(healthy, slack_api_url=workspace.url)
    assert (findings["Slack scopes"].result, findings["Slack scopes"].found) == (
        CheckResult.FAIL,
        "missing: chat:write",
    )
    assert "reinstall the app" in findings["Slack scopes"].next_step


@pytest.mark.parametrize(
    ("granted", "expected"),
    [
        pytest.param(
            "commands,chat:write,channels:history,groups:history,app_mentions:read",
            "commands, chat:write, channels:history, groups:history, app_mentions:read",
            id="all",
        ),
        pytest.param(
            "commands,chat:write,channels:history,app_mentions:read",
            "commands, chat:write, channels:history, app_mentions:read; "
            "without groups:history, an alert may appear twice if Slack's response is lost",
            id="not in private channels",
        ),
    ],
)
async def test_a_missing_lookup_scope_is_mentioned(healthy: Settings, granted: str, expected: str) -> None:
    workspace = Workspace(now=lambda: datetime.now(UTC), scopes=granted)
    async with serve_workspace(workspace):
        findings = await findings_by_check(healthy, slack_api_url=workspace.url)
    assert (CheckResult.OK, expected) == (findings["Slack scopes"].result, findings["Slack scopes"].found)


async def test_without_the_scope_for_mentions_the_check_says_what_to_add(healthy: Settings) -> None:
    workspace = Workspace(now=lambda: datetime.now(UTC), scopes="commands,chat:write,channels:history,groups:history")
    async with serve_workspace(workspace):
        finding = (await findings_by_check(healthy, slack_api_url=workspace.url))["Slack scopes"]
    assert (CheckResult.OK, True) == (
        finding.result,
        finding.found.endswith("; without app_mentions:read, mentions of @MinerPulse aren't answered"),
    )
    assert "minerpulse manifest" in finding.next_step
    assert "reinstall the app" in finding.next_step


async def test_socket_mode_is_reported(healthy: Settings) -> None:
    findings = await findings_by_check(healthy, slack_app_token=SecretStr("xapp-hush"), slack_signing_secret=None)
    assert findings["Slack requests"].found == "over Socket Mode, with the app token"


@pytest.mark.parametrize(
    ("skew", "verdict", "expected"),
    [
        pytest.param(timedelta(seconds=119), CheckResult.OK, "agrees with Slack's clock", id="near"),
        pytest.param(timedelta(seconds=121), CheckResult.FAIL, "121 s off Slack's clock", id="ahead"),
        pytest.param(timedelta(hours=-1), CheckResult.FAIL, "3,600 s off Slack's clock", id="behind"),
    ],
)
def test_too_much_clock_skew_fails(skew: timedelta, verdict: CheckResult, expected: str) -> None:
    finding = check_clock("Tue, 17 Nov 2026 15:40:00 GMT", SetClock(datetime(2026, 11, 17, 15, 40, tzinfo=UTC) + skew))
    assert (finding.result, finding.found) == (verdict, expected)


def test_without_slacks_date_the_clock_check_is_skipped() -> None:
    assert check_clock(None, SetClock(datetime(2026, 11, 17, tzinfo=UTC))).result is CheckResult.SKIP


def test_without_tokens_the_slack_checks_are_skipped_with_a_hint(
    minerpulse: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINERPULSE_ETF_SOURCES", "simulated")
    monkeypatch.setenv("MINERPULSE_CRYPTO_SOURCES", "simulated")
    result = minerpulse("doctor")
    assert (result.code, result.err) == (0, "")
    assert re.search(r"^Slack token +SKIP ", result.out, re.MULTILINE)
    assert "Create the app from `minerpulse manifest`" in result.out


def test_each_invalid_setting_is_a_finding(minerpulse: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "x")
    monkeypatch.setenv("MINERPULSE_TICK_SECONDS", "1")
    result = minerpulse("doctor", "--json")
    document = json.loads(result.out)
    assert (result.code, document["ok"]) == (1, False)
    assert [(row["check"], row["result"]) for row in document["checks"]] == [("settings", "FAIL")] * 2


def test_a_long_path_is_wrapped_and_never_cut(minerpulse: RunCli, clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    database = clean / ("a" * 120) / "minerpulse.db"
    monkeypatch.setenv("MINERPULSE_DATABASE_URL", f"sqlite:///{database}")

    shown = minerpulse("doctor").out

    assert str(database) in "".join(shown.split())


async def test_the_command_prints_json_without_secrets(healthy: Settings, clean: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        MINERPULSE,
        "doctor",
        "--json",
        env={
            "SLACK_BOT_TOKEN": "xoxb-standin",
            "SLACK_SIGNING_SECRET": "hush",
            "XDG_DATA_HOME": str(clean),
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


async def test_an_overdue_token_fails_with_a_next_step(healthy: Settings) -> None:
    key = SecretStr(generate_key())
    store = await SqlStore.open(healthy.database_url)
    installation = Installation(
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
    await store.installations([key.get_secret_value()]).save(installation)
    await store.aclose()

    findings = await findings_by_check(
        healthy, slack_bot_token=None, slack_client_id="1.2", slack_client_secret=SECRET, token_keys=(key,)
    )

    assert (
        "workspace T1: its token could not be renewed, and it expires soon. Reinstall the app there."
        == findings["tokens"].found
    )
    assert "/slack/install" in findings["tokens"].next_step


def test_files_with_secrets_that_others_can_read_are_named(clean: Path) -> None:
    for name, mode in FILES.items():
        (clean / name).write_text("")
        (clean / name).chmod(mode)
    findings = check_file_permissions(Settings.model_construct(database_url="sqlite:///desk.db"))

    (finding,) = findings
    in_folder = [str(clean.resolve() / name) for name in ("desk-backup.db", "desk.db-wal", "desk.sql.gz")]
    assert (CheckResult.WARN, "file permissions") == (finding.result, finding.check)
    assert {".env", ".env.backup", *in_folder} == set(
        finding.found.removesuffix(".").partition("can read ")[2].split(", ")
    )
    assert finding.next_step.startswith("Run `chmod 600 .env ")


FILES = {
    ".env": 0o644,
    ".env.backup": 0o640,
    ".env.example": 0o644,
    "desk.db": 0o600,
    "desk.db-wal": 0o604,
    "desk-backup.db": 0o644,
    "desk.sql.gz": 0o644,
    "desk.png": 0o644,
    "other.db": 0o644,
}


@pytest.mark.parametrize("url", ["sqlite://", "postgresql://me@there/desk", "nonsense"])
@pytest.mark.usefixtures("clean")
def test_without_readable_files_there_is_no_finding_on_permissions(url: str) -> None:
    assert [] == check_file_permissions(Settings.model_construct(database_url=url))
