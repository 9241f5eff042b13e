"""Access: what Slack grants for a code or a refresh token, read into an installation."""

from __future__ import annotations

import base64
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import aiohttp
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from services.core.errors import AccessError
from services.core.installation import Installation


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenExchange:
    """Asks Slack's oauth.v2.access as the one app that these credentials are of."""

    client: AsyncWebClient
    client_id: str
    client_secret: str

    async def granted(self, code: str, now: datetime) -> Installation:
        """Turn the code of somebody who has agreed into an installation. Raises AccessError."""
        return _read(await self._asked(code=code), now)

    async def renewed(self, installation: Installation, now: datetime) -> Installation:
        """Give an installation its next token; the old refresh token is used up. Raises AccessError."""
        refresh_token = str(installation.refresh_token)
        answer = await self._asked(grant_type="refresh_token", refresh_token=refresh_token)
        return replace(installation, **_read_token(answer, now))

    async def _asked(self, **form: str) -> dict[str, Any]:
        """Ask as slack_sdk's own method does, whose way to name the app is deprecated in aiohttp."""
        basic = base64.b64encode(f"{self.client_id}:{self.client_secret}".encode()).decode()
        call = self.client.api_call("oauth.v2.access", data=form, headers={"Authorization": f"Basic {basic}"})
        return await _answered(call)


async def _answered(call: Awaitable[AsyncSlackResponse]) -> dict[str, Any]:
    try:
        answer = (await call).data
    except SlackApiError as error:
        data = getattr(error.response, "data", None)  # where Slack's answer is no JSON, it is aiohttp's own
        if not isinstance(data, dict) or "error" not in data:
            raise AccessError("Slack's answer cannot be read.", refused=False) from error
        raise AccessError(f"Slack refuses it ({data['error']}).", refused=True) from error
    except (aiohttp.ClientError, OSError) as error:
        raise AccessError(f"Slack cannot be reached ({type(error).__name__}).", refused=False) from error
    return answer if isinstance(answer, dict) else {}


def _read(answer: dict[str, Any], now: datetime) -> Installation:
    """Read what was granted: to a workspace, or to an organization as a whole, which names no workspace then."""
    enterprise, team = answer.get("enterprise") or {}, answer.get("team") or {}
    home = enterprise if answer.get("is_enterprise_install") else team
    try:
        return Installation(
            home=str(home["id"]),
            enterprise=enterprise.get("id"),
            name=str(home.get("name") or home["id"]),
            bot_user=str(answer["bot_user_id"]),
            scopes=tuple(str(answer["scope"]).split(",")),
            installed_by=str(answer["authed_user"]["id"]),
            installed_at=now,
            **_read_token(answer, now),
        )
    except KeyError as error:
        raise AccessError(f"Slack's answer lacks {error}.", refused=True) from error


def _read_token(answer: dict[str, Any], now: datetime) -> dict[str, Any]:
    if answer.get("token_type") != "bot" or not answer.get("access_token"):
        raise AccessError("Slack's answer has no bot token.", refused=True)
    lasts_s = answer.get("expires_in")
    return {
        "bot_token": str(answer["access_token"]),
        "refresh_token": answer.get("refresh_token"),
        "expires_at": None if lasts_s is None else now + timedelta(seconds=int(lasts_s)),
    }
