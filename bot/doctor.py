"""The doctor: one real look at everything that MinerPulse needs, and what to do about each failure."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import Enum
from time import perf_counter
from typing import TypeVar

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.app import App, build
from bot.clock import SystemClock
from bot.health import sentence_on
from bot.manifest import LOOK_UP_SCOPES, PICTURES, SCOPES
from bot.oauth.rotation import overdue
from bot.scopes import granted
from bot.settings import Settings
from handlers.render import fmt
from services.core.clock import Clock
from services.core.errors import NoHistoryError, SourceError, StoreError
from services.core.prices import Quote
from services.delivery.ports import DeliveryProblem
from services.market.feeds.network import NetworkFeed
from services.market.network_checks import CheckedNetwork
from services.market.ports import CryptoSource, EquitySource
from services.storage import SqlStore

T = TypeVar("T")

RECENT = timedelta(days=10)  # long enough for a session, whatever the holidays
TOO_FAR = timedelta(minutes=2)  # Slack refuses to be trusted beyond five
CONNECT = "Create the app from `minerpulse manifest` and set its tokens as .env.example shows."
REINSTALL = "Add the scopes under OAuth & Permissions, and install the app again."
TRY_THE_NETWORK = "Try again in a minute; then check the network, or leave it out of MINERPULSE_NETWORK_SOURCES."
WAIT_FOR_FIGURES = "Do not rely on these figures; look again in an hour, and compare them with a block explorer."
UNRENEWED = "Its people open /slack/install; the log says what Slack answers."
EACH_ITS_OWN = "each workspace that installs the app has its own"
SET_THE_CLOCK = "Set this machine's clock, best by NTP: Slack's requests are refused at five minutes."


class Verdict(Enum):
    """How a check ended."""

    OK = "OK"
    FAIL = "FAIL"
    SKIP = "SKIP"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check: what was looked at, how it ended, what was found, and what to do next, empty where nothing."""

    check: str
    verdict: Verdict
    found: str
    next_step: str = ""


async def examine(settings: Settings) -> list[Finding]:
    """Check everything; nothing is kept but an empty database, which is made ready."""
    database, messages = await check_database(settings)
    async with build(settings.model_copy(update={"database_url": "sqlite://"})) as app:
        sources = [await check_etf(app, source) for source in app.history.equities]
        sources += [await check_crypto(app, source) for source in app.history.cryptos]
        sources += await check_network(app)
        return [ok("settings", "complete"), database, *messages, *sources, *await check_slack(app)]


def ok(check: str, found: str) -> Finding:
    """Find a check in order."""
    return Finding(check=check, verdict=Verdict.OK, found=found)


async def check_database(settings: Settings) -> tuple[Finding, list[Finding]]:
    """Open the database and compare its schema; look for messages and tokens that a person must see to."""
    try:
        store = await SqlStore.open(settings.database_url)
    except StoreError as error:
        remedy = "Check MINERPULSE_DATABASE_URL; an older database needs `minerpulse migrate`."
        return _fail("database", str(error), remedy), []
    messages = [_undelivered(one) for one in await store.troubles()]
    if settings.distributed:
        installations = store.installations([key.get_secret_value() for key in settings.token_keys])
        messages += [_fail("tokens", one, UNRENEWED) for one in await overdue(installations, SystemClock().now())]
    await store.aclose()
    return ok("database", f"{store.name}: reachable, with this version's schema"), messages


def _undelivered(trouble: DeliveryProblem) -> Finding:
    remedy = (
        "It is tried again once its alert changes." if trouble.given_up else "What waits is told once that is done."
    )
    return _fail("messages", sentence_on(trouble), remedy)


async def check_etf(app: App, source: EquitySource) -> Finding:
    """Ask a source of ETF prices once."""
    check, symbol = f"ETF source {source.name}", app.settings.pair.etf
    try:
        since = (app.clock.now() - RECENT).date()
        answer, took = await _timed(source.prices(symbol, since))
    except SourceError as error:
        return _fail(check, str(error), _try("MINERPULSE_ETF_SOURCES", error))
    if answer.quote is None and not len(answer.closes):
        return _fail(check, f"{source.name} has no recent {symbol} price", "Check MINERPULSE_ETF.")
    price = _quoted(answer.quote, app.clock.now()) if answer.quote else f"closed at {answer.closes.prices[-1]:,.2f}"
    return ok(check, f"{symbol} {price}; answered in {took:.2f} s")


async def check_crypto(app: App, source: CryptoSource) -> Finding:
    """Ask a source of cryptocurrency prices once."""
    check, symbol = f"crypto source {source.name}", app.settings.pair.crypto
    try:
        quote, took = await _timed(source.quote(symbol))
    except SourceError as error:
        return _fail(check, str(error), _try("MINERPULSE_CRYPTO_SOURCES", error))
    if quote is None:
        return _fail(check, f"{source.name} has no {symbol} price", "Check MINERPULSE_CRYPTO.")
    return ok(check, f"{symbol} {_quoted(quote, app.clock.now())}; answered in {took:.2f} s")


async def check_network(app: App) -> list[Finding]:
    """Ask each source of the bitcoin network once, and say what the network is at."""
    if app.settings.simulated:
        return [_skip("bitcoin network", "not asked, as prices are simulated")]
    sources = [await check_network_source(app, feed) for feed in app.mining.feeds]
    try:
        judged = await app.mining.network(app.clock.now())
    except NoHistoryError:
        return [*sources, _skip("bitcoin network", "needs a source that answers")]
    return [*sources, check_figures(judged)]


async def check_network_source(app: App, feed: NetworkFeed) -> Finding:
    """Ask a source of the bitcoin network once."""
    check = f"network source {feed.source.name}"
    report, took = await _timed(feed.read(app.clock.now()))
    if report.network is None:
        return _fail(check, report.problem or "", TRY_THE_NETWORK)
    age = fmt.duration(report.network.age(app.clock.now()))
    return ok(check, f"hash rate {fmt.hashrate(report.network.hashrate)}, {age} old; answered in {took:.2f} s")


def check_figures(judged: CheckedNetwork) -> Finding:
    """Say what the network is at; figures that nothing may be built on are a failure."""
    network, trust = judged.network, judged.trust
    figures = [f"difficulty {fmt.difficulty(network.difficulty)}", f"hash rate {fmt.hashrate(network.hashrate)}"]
    if network.retarget is not None:
        figures.append(f"next retarget {fmt.percent(network.retarget.change)} on {fmt.moment(network.retarget.at)}")
    reasons = f": {'; '.join(trust.reasons)}" if trust.reasons else ""
    found = f"{', '.join(figures)}; {trust.verdict.value}{reasons}"
    return ok("bitcoin network", found) if trust.verdict.usable else _fail("bitcoin network", found, WAIT_FOR_FIGURES)


async def check_slack(app: App) -> list[Finding]:
    """Ask Slack who the bot is, and compare its scopes and its clock."""
    names = ("Slack token", "Slack scopes", "Slack requests", "clock")
    if not app.settings.has_slack:
        return [_skip(name, "not connected to Slack", CONNECT if name == names[0] else "") for name in names]
    many = app.settings.distributed
    try:
        answer = await (app.client.api_test() if many else app.client.auth_test())
    except SlackApiError as error:
        token = _fail(
            names[0],
            f"Slack answers “{error.response['error']}”",
            "Copy the Bot User OAuth Token from OAuth & Permissions.",
        )
    except (aiohttp.ClientError, TimeoutError) as error:
        token = _fail(names[0], f"Slack cannot be reached ({type(error).__name__})", "Check this machine's network.")
    else:
        token = _skip(names[0], EACH_ITS_OWN) if many else ok(names[0], f"{answer['team']}, as {answer['user']}")
        return [
            token,
            _skip(names[1], EACH_ITS_OWN) if many else check_scopes(answer),
            check_requests(app.settings),
            check_clock(answer.headers.get("date"), app.clock),
        ]
    return [token, *(_skip(name, "needs the token") for name in names[1:])]


def check_scopes(answer: AsyncSlackResponse) -> Finding:
    """Compare what the token may do with what is needed; alerts work without reading what was posted."""
    held = granted(answer)
    missing = [scope for scope in SCOPES if scope not in held]
    if missing:
        return _fail("Slack scopes", f"missing: {', '.join(missing)}", REINSTALL)
    unread = [scope for scope in LOOK_UP_SCOPES if scope not in held]
    risk = f"; without {' and '.join(unread)} an alert whose answer is lost may appear twice" if unread else ""
    return ok(
        "Slack scopes", ", ".join(scope for scope in (*SCOPES, *LOOK_UP_SCOPES, *PICTURES) if scope in held) + risk
    )


def check_requests(settings: Settings) -> Finding:
    """Say how Slack's requests come; settings without what that needs are refused before."""
    if settings.socket_mode:
        return ok("Slack requests", "over Socket Mode, with the app token")
    return ok("Slack requests", "over HTTP, checked with the signing secret")


def check_clock(date: str | None, clock: Clock) -> Finding:
    """Compare this machine's clock with the date of Slack's answer."""
    if date is None:
        return _skip("clock", "Slack's answer has no date")
    off = abs(clock.now() - parsedate_to_datetime(date))
    if off > TOO_FAR:
        return _fail("clock", f"{off.total_seconds():,.0f} s apart from Slack's", SET_THE_CLOCK)
    return ok("clock", "agrees with Slack's")


def _quoted(quote: Quote, now: datetime) -> str:
    return f"at {quote.price:,.2f}, {fmt.duration(quote.age(now))} old"


def _fail(check: str, found: str, next_step: str) -> Finding:
    return Finding(check=check, verdict=Verdict.FAIL, found=found, next_step=next_step)


def _skip(check: str, found: str, next_step: str = "") -> Finding:
    return Finding(check=check, verdict=Verdict.SKIP, found=found, next_step=next_step)


def _try(setting: str, error: SourceError) -> str:
    if error.retryable:
        return f"Try again in a minute; then check the network, or leave it out of {setting}."
    return f"Check the symbols, or leave it out of {setting}."


async def _timed(call: Awaitable[T]) -> tuple[T, float]:
    """Await a call and take the seconds that it lasted."""
    began = perf_counter()
    return await call, perf_counter() - began
