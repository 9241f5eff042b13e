"""Exchange of codes and refresh tokens for bot tokens, and their renewal in time, each by one process at a time."""

import asyncio
import base64
import json
import logging
import re
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from bot.oauth.tokens import InstallationCache
from handlers.slack_errors import RATE_LIMITED, SERVER_ERRORS
from services.core.clock import Clock
from services.core.errors import MinerPulseError, StorageError, TokenExchangeError
from services.core.installation import RENEW_BEFORE_EXPIRY, Installation, InstallationStore

OVERDUE_AFTER = timedelta(minutes=10)  # after ten attempts
REINSTALL_HINT = "Reinstall the app there."
TOKEN_LIFETIME_S = 43_200  # of a token that rotates
MIN_SAVE_PAUSE_S, MAX_SAVE_PAUSE_S = 1.0, 15.0
COMPLETE_FIELD = re.compile(r'"(\w{1,40})":\s{0,9}("[^"\\]{0,1000}"|[0-9]{1,12}|true|false)[,}]', re.ASCII)
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenExchange:
    """Calls Slack's oauth.v2.access with the app's credentials."""

    client: AsyncWebClient
    client_id: str
    client_secret: str

    async def exchange_code(self, code: str, now: datetime) -> Installation:
        """Return the installation for an authorization code. Raises TokenExchangeError."""
        return _parse_installation(await self._call(code=code), now)

    async def refresh(self, installation: Installation, now: datetime) -> Installation:
        """Return the installation with its next token; the old refresh token is used up. Raises TokenExchangeError."""
        refresh_token = str(installation.refresh_token)
        response = await self._call(grant_type="refresh_token", refresh_token=refresh_token)
        return replace(installation, **_parse_token(response, now))

    async def _call(self, **form: str) -> dict[str, Any]:
        """Return Slack's answer. Raises TokenExchangeError.

        slack_sdk's own call would drop an answer that is cut off, and with it tokens that Slack has already issued.
        """
        assert self.client.session is not None  # noqa: S101 -- bot.app opens one for all calls
        basic = base64.b64encode(f"{self.client_id}:{self.client_secret}".encode()).decode()
        try:
            async with self.client.session.post(
                f"{self.client.base_url}oauth.v2.access", data=form, headers={"Authorization": f"Basic {basic}"}
            ) as response:
                return _parse_answer(await _read_available(response), response.status)
        except (aiohttp.ClientError, OSError) as error:
            raise TokenExchangeError(f"Slack can't be reached ({type(error).__name__}).", refused=False) from error


async def _read_available(response: aiohttp.ClientResponse) -> str:
    """Return the body, or what arrived of it before the connection broke."""
    chunks = []
    with suppress(aiohttp.ClientPayloadError, aiohttp.ClientConnectionError):
        async for chunk in response.content.iter_any():
            chunks.append(chunk)  # noqa: PERF401 -- what arrived counts, even if the next chunk raises
    return b"".join(chunks).decode(errors="replace")


def _parse_answer(body: str, status: int) -> dict[str, Any]:
    """Return an answer with `ok: true`, also if its end is missing. Raises TokenExchangeError."""
    try:
        answer = json.loads(body)
    except ValueError:
        answer = _complete_fields(body)
    if not isinstance(answer, dict) or not (answer.get("ok") or "error" in answer):
        raise TokenExchangeError(f"Slack's response can't be read (HTTP {status}).", refused=False)
    if answer.get("ok"):
        return answer
    is_transient = status >= HTTPStatus.INTERNAL_SERVER_ERROR or answer["error"] in RATE_LIMITED | SERVER_ERRORS
    verb = "can't respond now" if is_transient else "rejected the request"
    raise TokenExchangeError(f"Slack {verb} ({answer['error']}).", refused=not is_transient)


def _complete_fields(body: str) -> dict[str, Any]:
    """Return the simple fields that arrived of an answer that was cut off, if a whole token pair is among them."""
    fields = {name: json.loads(value) for name, value in COMPLETE_FIELD.findall(body)}
    if not (fields.get("ok") and {"access_token", "refresh_token"} <= fields.keys()):
        return {}
    log.warning("Slack's response to a token refresh was truncated, but both tokens are in it")
    return {"token_type": "bot", "expires_in": TOKEN_LIFETIME_S, **fields}


def _parse_installation(response: dict[str, Any], now: datetime) -> Installation:
    """Parse an installation in a workspace, or in an organization, which names no workspace."""
    enterprise, team = response.get("enterprise") or {}, response.get("team") or {}
    installed = enterprise if response.get("is_enterprise_install") else team
    try:
        return Installation(
            home=str(installed["id"]),
            enterprise=enterprise.get("id"),
            name=str(installed.get("name") or installed["id"]),
            bot_user=str(response["bot_user_id"]),
            scopes=tuple(str(response["scope"]).split(",")),
            installed_by=str(response["authed_user"]["id"]),
            installed_at=now,
            **_parse_token(response, now),
        )
    except KeyError as error:
        raise TokenExchangeError(f"Slack's response lacks {error}.", refused=True) from error


def _parse_token(response: dict[str, Any], now: datetime) -> dict[str, Any]:
    if response.get("token_type") != "bot" or not response.get("access_token"):
        raise TokenExchangeError("Slack's answer has no bot token.", refused=True)
    expires_in_s = response.get("expires_in")
    return {
        "bot_token": str(response["access_token"]),
        "refresh_token": response.get("refresh_token"),
        "expires_at": None if expires_in_s is None else now + timedelta(seconds=int(expires_in_s)),
    }


async def overdue_tokens(store: InstallationStore, now: datetime, refused: Collection[str] = ()) -> tuple[str, ...]:
    """Return a sentence for each expiring token that Slack `refused` to renew, or that is overdue for renewal.

    Raises DatabaseUnavailableError.
    """
    expiring = await store.find_expiring(now + RENEW_BEFORE_EXPIRY)
    overdue = await store.find_expiring(now + RENEW_BEFORE_EXPIRY - OVERDUE_AFTER)
    reasons = {
        **dict.fromkeys(overdue, "its token could not be renewed"),
        **{home: "Slack does not renew its token" for home in expiring if home in refused},
    }
    return tuple(
        f"workspace {home}: {reasons[home]}, and it expires soon. {REINSTALL_HINT}" for home in sorted(reasons)
    )


@dataclass(slots=True, kw_only=True)
class Rotation:
    """Renews each token two hours before it expires, and retries each minute.

    A refresh token works once, so a renewal is claimed in the database before the call to Slack. A pair that Slack has
    issued is saved, however long that takes: from memory until the database takes it, before the process stops, and
    after a stop from an encrypted file.

    Attributes:
        refused: Homes whose refresh token Slack does not accept, so that the app must be installed again.
    """

    store: InstallationStore
    token_exchange: TokenExchange
    installation_cache: InstallationCache
    clock: Clock
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    refused: set[str] = field(default_factory=set)
    _logged: set[tuple[str, bool]] = field(default_factory=set)
    _database_failed: bool = False
    _stopping: bool = False
    _idle: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._idle.set()

    async def run(self) -> None:
        """Renew expiring tokens. Each kind of failure is logged once, and does not affect other tokens."""
        if self._stopping:
            return
        self._idle.clear()
        try:
            await self._renew_expiring()
        finally:
            self._idle.set()

    async def stop(self) -> None:
        """Start no more renewals, and wait until the running one is saved."""
        self._stopping = True
        await self._idle.wait()

    async def _renew_expiring(self) -> None:
        try:
            await self._recover()
            homes = await self.store.find_expiring(self.clock.now() + RENEW_BEFORE_EXPIRY)
        except MinerPulseError as error:
            self._log_database_failure(error)
            return
        self._database_failed = False
        self.refused &= {*homes}
        for home in homes:
            if self._stopping:
                return
            try:
                await self._renew(home)
            except MinerPulseError as error:
                self._log_failure(home, error)

    async def _recover(self) -> None:
        """Save the pairs that an earlier process could not save before it ended."""
        for home in await self.store.recover_renewals(self.clock.now()):
            self.installation_cache.invalidate(home)
            log.info("saved the token of %s that was renewed before the last shutdown", home)

    async def _renew(self, home: str) -> None:
        now = self.clock.now()
        claimed = await self.store.claim_renewal(home, now, before=now + RENEW_BEFORE_EXPIRY)
        if claimed is None:
            return
        try:
            renewed = await self.token_exchange.refresh(claimed, now)
        except TokenExchangeError:
            await self.store.release_renewal(claimed)
            raise
        if not await self._save(claimed, renewed):
            log.info("the token of %s was renewed, but the app was installed or removed there meanwhile", home)
            return
        self.installation_cache.invalidate(home)
        self._logged -= {(home, True), (home, False)}
        self.refused.discard(home)
        log.info("renewed the token of %s", home)

    async def _save(self, claimed: Installation, renewed: Installation) -> bool:
        """Save a pair that exists nowhere else, and retry until the database takes it."""
        pause_s = MIN_SAVE_PAUSE_S
        try:
            while True:
                try:
                    return await self.store.save_renewal(claimed, renewed, self.clock.now())
                except StorageError as error:
                    if pause_s == MIN_SAVE_PAUSE_S:
                        log.error("the new token of %s is not saved yet; retrying until it is: %s", renewed.home, error)  # noqa: TRY400 -- the error says it all
                    await self.sleep(pause_s)
                    pause_s = min(2 * pause_s, MAX_SAVE_PAUSE_S)
        except asyncio.CancelledError:
            path = self.store.unsaved_renewal(renewed.home)
            if path is None:
                log.critical("the new token of %s is lost: it could not be saved. %s", renewed.home, REINSTALL_HINT)
            else:
                log.warning(
                    "the new token of %s is in %s, encrypted, and will be saved at the next start", renewed.home, path
                )
            raise

    def _log_database_failure(self, error: MinerPulseError) -> None:
        if not self._database_failed:
            log.error("cannot look up expiring tokens; retrying every minute: %s", error)
        self._database_failed = True

    def _log_failure(self, home: str, error: MinerPulseError) -> None:
        """Log the first failure, and the first refusal even after other failures."""
        is_refused = isinstance(error, TokenExchangeError) and error.refused
        if is_refused:
            self.refused.add(home)
        if (home, is_refused) not in self._logged:
            remedy = f" {REINSTALL_HINT}" if is_refused else ""
            log.error("cannot renew the token of %s; retrying every minute: %s%s", home, error, remedy)
        self._logged.add((home, is_refused))
