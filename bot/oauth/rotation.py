"""Exchange of codes and refresh tokens for bot tokens, and their renewal in time, each by one process at a time."""

import base64
import logging
from collections.abc import Awaitable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.oauth.tokens import InstallationCache
from services.core.clock import Clock
from services.core.errors import MinerPulseError, TokenExchangeError
from services.core.installation import RENEW_BEFORE_EXPIRY, Installation, InstallationStore


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
        """Call the method directly: slack_sdk's own passes the credentials in a way that aiohttp deprecates."""
        basic = base64.b64encode(f"{self.client_id}:{self.client_secret}".encode()).decode()
        call = self.client.api_call("oauth.v2.access", data=form, headers={"Authorization": f"Basic {basic}"})
        return await _response_data(call)


async def _response_data(call: Awaitable[AsyncSlackResponse]) -> dict[str, Any]:
    try:
        response = (await call).data
    except SlackApiError as error:
        data = getattr(error.response, "data", None)  # if Slack's response isn't JSON, this is aiohttp's own
        if not isinstance(data, dict) or "error" not in data:
            raise TokenExchangeError("Slack's answer cannot be read.", refused=False) from error
        raise TokenExchangeError(f"Slack refuses it ({data['error']}).", refused=True) from error
    except (aiohttp.ClientError, OSError) as error:
        raise TokenExchangeError(f"Slack cannot be reached ({type(error).__name__}).", refused=False) from error
    return response if isinstance(response, dict) else {}


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
        raise TokenExchangeError(f"Slack's answer lacks {error}.", refused=True) from error


def _parse_token(response: dict[str, Any], now: datetime) -> dict[str, Any]:
    if response.get("token_type") != "bot" or not response.get("access_token"):
        raise TokenExchangeError("Slack's answer has no bot token.", refused=True)
    expires_in_s = response.get("expires_in")
    return {
        "bot_token": str(response["access_token"]),
        "refresh_token": response.get("refresh_token"),
        "expires_at": None if expires_in_s is None else now + timedelta(seconds=int(expires_in_s)),
    }


OVERDUE_AFTER = timedelta(minutes=10)  # after ten attempts
REINSTALL_HINT = "have the app installed there again"
log = logging.getLogger(__name__)


async def overdue_tokens(store: InstallationStore, now: datetime) -> tuple[str, ...]:
    """Return a sentence for each token that any process should have renewed by now. Raises DatabaseUnavailableError."""
    homes = await store.find_expiring(now + RENEW_BEFORE_EXPIRY - OVERDUE_AFTER)
    return tuple(f"workspace {home}: its token cannot be renewed and ends: {REINSTALL_HINT}" for home in homes)


@dataclass(slots=True, kw_only=True)
class Rotation:
    """Renews each token two hours before it expires, and retries each minute.

    A refresh token works once, so a renewal is claimed in the database before the call to Slack.
    """

    store: InstallationStore
    token_exchange: TokenExchange
    installation_cache: InstallationCache
    clock: Clock
    _failing: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """Renew expiring tokens. Each failure is logged once, and does not affect other tokens."""
        try:
            homes = await self.store.find_expiring(self.clock.now() + RENEW_BEFORE_EXPIRY)
        except MinerPulseError as error:
            self._log_failure("the database", error)
            return
        for home in homes:
            try:
                await self._renew(home)
            except MinerPulseError as error:
                self._log_failure(home, error)
            else:
                self._failing.discard(home)
        self._failing.discard("the database")

    async def _renew(self, home: str) -> None:
        now = self.clock.now()
        installation = await self.store.claim_renewal(home, now, before=now + RENEW_BEFORE_EXPIRY)
        if installation is None:
            return
        await self.store.save(await self.token_exchange.refresh(installation, now))
        self.installation_cache.invalidate(home)
        log.info("renewed the token of %s", home)

    def _log_failure(self, home: str, error: MinerPulseError) -> None:
        if home not in self._failing:
            remedy = (
                f" {REINSTALL_HINT.capitalize()}." if isinstance(error, TokenExchangeError) and error.refused else ""
            )
            log.error("cannot renew the token of %s; retrying every minute: %s%s", home, error, remedy)
        self._failing.add(home)
