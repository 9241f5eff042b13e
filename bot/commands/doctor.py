"""`minerpulse doctor`: check each dependency once, and suggest a fix for each failure."""

import glob
import os
import shlex
import stat
from collections.abc import Awaitable
from contextlib import aclosing, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from time import perf_counter
from typing import TypeVar

import aiohttp
from rich.markup import escape
from rich.table import Column, Table
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.app import App, build
from bot.asyncio_runner import run_async
from bot.cli import as_typed
from bot.clock import SystemClock
from bot.commands.base import command
from bot.commands.options import json_option, print_document
from bot.documents.operations import CheckFields, CheckResult, doctor_document
from bot.env_file import env_file
from bot.health import describe_delivery_problem
from bot.manifest import ALL_SCOPES, LOOKUP_SCOPES, MENTION, REQUIRED_SCOPES
from bot.market_app import needs_network
from bot.oauth.rotation import overdue_tokens
from bot.oauth.tokens import granted_scopes
from bot.settings import Settings, load_settings
from bot.terminal import SafeConsole
from handlers.render import fmt
from handlers.render.reasons import error_text, sentences
from services.core.clock import Clock
from services.core.errors import (
    DatabaseUnavailableError,
    InvalidSettingsError,
    NoHistoryError,
    SourceError,
    SourceFault,
)
from services.core.prices import Quote
from services.core.rows import complete
from services.delivery.ports import DeliveryProblem
from services.market.feeds.network import NetworkFeed
from services.market.network_checks import CheckedNetwork
from services.market.ports import CryptoSource, EquitySource
from services.market.sources.catalogue import SOURCES
from services.market.sources.http.environment import check_network_environment, describe_proxies
from services.storage import DatabaseMissingError, SqlStore, database_path

T = TypeVar("T")

PRICE_LOOKBACK = timedelta(days=10)  # contains a session, whatever the holidays
MAX_CLOCK_SKEW = timedelta(minutes=2)  # Slack rejects a difference of more than five
ENV_EXAMPLE = ".env.example"
ENVIRONMENT = "proxies, certificates"
NETWORK_HINT = "Fix this, and run doctor again: sources and Slack weren't checked."
CONNECT_HINT = "Create the app from `minerpulse manifest`, and set its tokens as .env.example shows."
REINSTALL_HINT = "Add the scopes under OAuth & Permissions, and reinstall the app."
MENTION_HINT = (
    "To answer @MinerPulse in channels, paste the output of `minerpulse manifest` under App Manifest, and reinstall "
    "the app."
)
NETWORK_RETRY_HINT = (
    "Try again in a minute. If it still fails, check the network, or remove this source from "
    "MINERPULSE_NETWORK_SOURCES."
)
SUSPECT_NETWORK_HINT = "Don't rely on these figures. Check again in an hour, and compare them with a block explorer."
RENEWAL_HINT = "Open /slack/install at this app's address, and choose that workspace. The log has Slack's response."
PER_WORKSPACE = "each workspace that installs the app has its own"
CLOCK_HINT = (
    "Set this machine's clock, ideally with NTP. If it is off by more than five minutes, Slack's requests are rejected."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check with its result.

    Attributes:
        check: The name of what was checked.
        found: What the check found.
        next_step: What to do about it; empty if nothing.
    """

    check: str
    result: CheckResult
    found: str
    next_step: str = ""


async def run_checks(settings: Settings) -> list[Finding]:
    """Run all checks; nothing is stored or created. Without a usable network environment, nothing is called."""
    environment = check_environment(settings)
    database, messages = await check_database(settings)
    messages += check_file_permissions(settings)
    if environment.result is CheckResult.FAIL:
        return [_ok("settings", "complete"), environment, database, *messages]
    async with build(settings.model_copy(update={"database_url": "sqlite://"})) as app:
        sources = [await check_etf(app, source) for source in app.history.equities]
        sources += [await check_crypto(app, source) for source in app.history.cryptos]
        sources += await check_network(app)
        slack = await check_slack(app)
    return [_ok("settings", "complete"), environment, database, *messages, *sources, *slack]


def _ok(check: str, found: str) -> Finding:
    return Finding(check=check, result=CheckResult.OK, found=found)


def check_environment(settings: Settings) -> Finding:
    """Check what the environment says about proxies and certificates."""
    if not needs_network(settings):
        return _skip(ENVIRONMENT, "not needed: prices are simulated")
    try:
        check_network_environment()
    except InvalidSettingsError as error:
        return _fail(ENVIRONMENT, str(error), NETWORK_HINT)
    return _ok(ENVIRONMENT, f"requests use {describe_proxies()}")


async def check_database(settings: Settings) -> tuple[Finding, list[Finding]]:
    """Open the database and compare its schema; find delivery problems and overdue tokens."""
    try:
        store = await SqlStore.open(settings.database_url, create=False)
    except DatabaseMissingError as error:
        return _ok("database", str(error)), []
    except DatabaseUnavailableError as error:
        remedy = "Check MINERPULSE_DATABASE_URL."
        return _fail("database", str(error), remedy), []
    async with aclosing(store):
        messages = [_delivery_finding(problem) for problem in await store.delivery_problems()]
        if settings.distributed:
            installations = store.installations([key.get_secret_value() for key in settings.token_keys])
            overdue = await overdue_tokens(installations, SystemClock().now())
            messages += [_fail("tokens", problem, RENEWAL_HINT) for problem in overdue]
    return _ok("database", f"{store.name}: reachable, with this version's schema"), messages


def check_file_permissions(settings: Settings) -> list[Finding]:
    """Find files with secrets that other users of this machine can read: .env, the database, and backups beside it."""
    chosen = env_file.get()
    candidates = [path for path in chosen.parent.glob(f"{glob.escape(chosen.name)}*") if path.name != ENV_EXAMPLE]
    with suppress(DatabaseUnavailableError):  # of a URL that cannot be read, which has its own finding
        candidates += _database_files(database_path(settings.database_url))
    readable = sorted({str(path) for path in candidates if _others_can_read(path)})
    if not readable:
        return []
    return [
        Finding(
            check="file permissions",
            result=CheckResult.WARN,
            found=f"Other users of this machine can read {', '.join(readable)}.",
            next_step=f"Run `chmod 600 {shlex.join(readable)}`.",
        )
    ]


def _database_files(database: Path | None) -> list[Path]:
    """Return an SQLite file with its journals, and what looks like its backups."""
    if database is None:
        return []
    name, stem = glob.escape(database.name), glob.escape(database.stem)
    patterns = (f"{name}*", f"{stem}*{glob.escape(database.suffix)}", f"{stem}*.sql*", f"{stem}*.dump*", f"{stem}*.bak")
    return [path for pattern in patterns for path in database.parent.glob(pattern)]


def _others_can_read(path: Path) -> bool:
    try:
        status = path.stat()
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and bool(status.st_mode & (stat.S_IRGRP | stat.S_IROTH)) and os.name == "posix"


def _delivery_finding(problem: DeliveryProblem) -> Finding:
    remedy = (
        "Fix the problem. A dead-lettered alert is retried when it changes."
        if problem.dead_lettered
        else "Queued messages are sent once this is fixed."
    )
    return _fail("messages", describe_delivery_problem(problem), remedy)


async def check_etf(app: App, source: EquitySource) -> Finding:
    """Query an ETF price source once."""
    check, symbol = f"ETF source {source.name}", app.settings.pair.etf
    try:
        since = (app.clock.now() - PRICE_LOOKBACK).date()
        history, elapsed_s = await _timed(source.prices(symbol, since))
    except SourceError as error:
        return _fail(check, error_text(error), _source_hint("MINERPULSE_ETF_SOURCES", error))
    if history.quote is None and not len(history.closes):
        return _fail(check, f"{source.name} has no recent {symbol} price", "Check MINERPULSE_ETF.")
    price = (
        _format_quote(history.quote, app.clock.now())
        if history.quote
        else f"closed at {fmt.price(history.closes.prices[-1])}"
    )
    return _ok(check, f"{symbol} {price}; responded in {elapsed_s:.2f} s")


async def check_crypto(app: App, source: CryptoSource) -> Finding:
    """Query a cryptocurrency price source once."""
    check, symbol = f"crypto source {source.name}", app.settings.pair.crypto
    try:
        quote, elapsed_s = await _timed(source.quote(symbol))
    except SourceError as error:
        return _fail(check, error_text(error), _source_hint("MINERPULSE_CRYPTO_SOURCES", error))
    if quote is None:
        return _fail(check, f"{source.name} has no {symbol} price", "Check MINERPULSE_CRYPTO.")
    return _ok(check, f"{symbol} {_format_quote(quote, app.clock.now())}; responded in {elapsed_s:.2f} s")


async def check_network(app: App) -> list[Finding]:
    """Query each bitcoin network source once, and check the combined figures."""
    if app.settings.simulated:
        return [_skip("bitcoin network", "not checked: prices are simulated")]
    sources = [await check_network_source(app, feed) for feed in app.network.feeds]
    try:
        checked = await app.network.network(app.clock.now())
    except NoHistoryError:
        return [*sources, _skip("bitcoin network", "not checked: no source has usable data")]
    return [*sources, check_network_data(checked)]


async def check_network_source(app: App, feed: NetworkFeed) -> Finding:
    """Query a bitcoin network source once."""
    check = f"network source {feed.source.name}"
    report, elapsed_s = await _timed(feed.read(app.clock.now()))
    if report.network is None:
        return _fail(check, report.problem or "", NETWORK_RETRY_HINT)
    age = fmt.age(report.network.age(app.clock.now()))
    return _ok(check, f"hash rate {fmt.hashrate(report.network.hashrate)}, {age}; responded in {elapsed_s:.2f} s")


def check_network_data(checked: CheckedNetwork) -> Finding:
    """Report the network's figures; unusable ones are a failure."""
    network, trust = checked.network, checked.trust
    figures = [f"difficulty {fmt.difficulty(network.difficulty)}", f"hash rate {fmt.hashrate(network.hashrate)}"]
    if network.retarget is not None:
        figures.append(
            f"next retarget {fmt.percent(network.retarget.change)} on {fmt.plain_instant(network.retarget.at)}"
        )
    reasons = f": {'; '.join(sentences(trust.reasons))}" if trust.reasons else ""
    found = f"{', '.join(figures)}; {trust.verdict.value}{reasons}"
    return (
        _ok("bitcoin network", found) if trust.verdict.usable else _fail("bitcoin network", found, SUSPECT_NETWORK_HINT)
    )


async def check_slack(app: App) -> list[Finding]:
    """Call Slack to check the token, its scopes and the clock."""
    names = ("Slack token", "Slack scopes", "Slack requests", "clock")
    if not app.settings.has_slack:
        return [_skip(name, "not connected to Slack", CONNECT_HINT if name == names[0] else "") for name in names]
    distributed = app.settings.distributed
    try:
        response = await (app.client.api_test() if distributed else app.client.auth_test())
    except SlackApiError as error:
        token = _fail(
            names[0],
            f"Slack returned “{error.response['error']}”",
            "Copy the Bot User OAuth Token from OAuth & Permissions.",
        )
    except (aiohttp.ClientError, TimeoutError) as error:
        token = _fail(names[0], f"Slack can't be reached ({type(error).__name__})", "Check this machine's network.")
    else:
        token = (
            _skip(names[0], PER_WORKSPACE)
            if distributed
            else _ok(names[0], f"{response['team']}, as {response['user']}")
        )
        return [
            token,
            _skip(names[1], PER_WORKSPACE) if distributed else check_scopes(response),
            check_requests(app.settings),
            check_clock(response.headers.get("date"), app.clock),
        ]
    return [token, *(_skip(name, "not checked: the token couldn't be checked") for name in names[1:])]


def check_scopes(response: AsyncSlackResponse) -> Finding:
    """Compare the token's scopes with the required ones. Those for look-ups and mentions are optional."""
    granted = granted_scopes(response)
    missing = [scope for scope in REQUIRED_SCOPES if scope not in granted]
    if missing:
        return _fail("Slack scopes", f"missing: {', '.join(missing)}", REINSTALL_HINT)
    missing_lookup = [scope for scope in LOOKUP_SCOPES if scope not in granted]
    found = [", ".join(scope for scope in ALL_SCOPES if scope in granted)]
    if missing_lookup:
        found.append(f"without {' and '.join(missing_lookup)}, an alert may appear twice if Slack's response is lost")
    if missing_mention := [scope for scope in MENTION if scope not in granted]:
        found.append(f"without {missing_mention[0]}, mentions of @MinerPulse aren't answered")
    next_step = MENTION_HINT if missing_mention else ""
    return Finding(check="Slack scopes", result=CheckResult.OK, found="; ".join(found), next_step=next_step)


def check_requests(settings: Settings) -> Finding:
    """Report how Slack's requests arrive. Incomplete settings have been rejected earlier."""
    if settings.socket_mode:
        return _ok("Slack requests", "over Socket Mode, with the app token")
    return _ok("Slack requests", "over HTTP, checked with the signing secret")


def check_clock(date: str | None, clock: Clock) -> Finding:
    """Compare this machine's clock with the Date header of Slack's response."""
    if date is None:
        return _skip("clock", "Slack's response has no date")
    skew = abs(clock.now() - parsedate_to_datetime(date))
    if skew > MAX_CLOCK_SKEW:
        return _fail("clock", f"{skew.total_seconds():,.0f} s off Slack's clock", CLOCK_HINT)
    return _ok("clock", "agrees with Slack's clock")


def _format_quote(quote: Quote, now: datetime) -> str:
    return f"at {fmt.price(quote.price)}, {fmt.age(quote.age(now))}"


def _fail(check: str, found: str, next_step: str) -> Finding:
    return Finding(check=check, result=CheckResult.FAIL, found=found, next_step=next_step)


def _skip(check: str, found: str, next_step: str = "") -> Finding:
    return Finding(check=check, result=CheckResult.SKIP, found=found, next_step=next_step)


def _source_hint(setting: str, error: SourceError) -> str:
    if error.fault is SourceFault.KEY_REFUSED:
        variables = [name for row in SOURCES if row.title == error.source for name in row.key_variables]
        return f"The API key is wrong or has expired. Set a new one in {' and '.join(variables)}."
    if error.retryable:
        return f"Try again in a minute. If it still fails, check the network, or remove this source from {setting}."
    return f"Check the symbols, or remove this source from {setting}."


async def _timed(call: Awaitable[T]) -> tuple[T, float]:
    """Await a call; return its result and its duration in seconds."""
    started = perf_counter()
    return await call, perf_counter() - started


STYLES = complete(
    "STYLES",
    CheckResult,
    {
        CheckResult.OK: "green",
        CheckResult.WARN: "bold yellow",
        CheckResult.FAIL: "bold red",
        CheckResult.SKIP: "yellow",
    },
)
SETTINGS_HINT = "Fix it in the environment or .env; .env.example explains every setting."


@command("minerpulse doctor", "minerpulse doctor --json | jq '.checks[] | select(.result == \"FAIL\")'")
@json_option
def doctor_command(*, as_json: bool) -> int:
    """Check the settings, the database, all sources, Slack and the clock, and show how to fix each failure.

    The exit code is 1 if a check failed. Without tokens, the Slack checks are skipped.
    """
    findings = _run_checks()
    has_failed = any(finding.result is CheckResult.FAIL for finding in findings)
    if as_json:
        checks: list[CheckFields] = [
            {
                "check": finding.check,
                "result": finding.result,
                "found": finding.found,
                "next_step": finding.next_step,
            }
            for finding in findings
        ]
        print_document(doctor_document(checks, ok=not has_failed))
    else:
        SafeConsole().print(_table(findings))
    return int(has_failed)


def _run_checks() -> list[Finding]:
    try:
        settings = load_settings()
    except InvalidSettingsError as error:
        problems = str(error).splitlines()
        return [
            Finding(check="settings", result=CheckResult.FAIL, found=problem, next_step=SETTINGS_HINT)
            for problem in problems
        ]
    return run_async(run_checks(settings))


def _table(findings: list[Finding]) -> Table:
    column = Column("Found", overflow="fold")  # a path that is cut can't be copied
    table = Table("Check", "Result", column, box=None, pad_edge=False, title="MinerPulse", title_justify="left")
    for finding in findings:
        found = as_typed(f"{finding.found}\n→ {finding.next_step}" if finding.next_step else finding.found)
        table.add_row(finding.check, f"[{STYLES[finding.result]}]{finding.result.value}[/]", escape(found))
    return table
