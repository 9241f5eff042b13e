"""Exchange a code or a refresh token for a bot token."""

import base64
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from services.core.errors import TokenExchangeError
from services.core.installation import Installation


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
