"""Grants: what each workspace lets the app do, as Slack tells of the one token, or as it was when they installed it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.oauth.tokens import Tokens
from handlers.slack_errors import translate_slack_error
from services.core.clock import Clock

KNOWN_FOR = timedelta(minutes=10)  # scopes can be added to a token that stays the same


def granted(answer: AsyncSlackResponse) -> frozenset[str]:
    """Read the token's scopes from an answer of Slack."""
    return frozenset(str(answer.headers.get("x-oauth-scopes", "")).replace(" ", "").split(","))


@dataclass(slots=True)
class GrantsOfToken:
    """The scopes of the one token; asked for when they are needed, and again after ten minutes."""

    client: AsyncWebClient
    clock: Clock
    _known: tuple[datetime, frozenset[str]] | None = field(default=None)

    async def scopes(self, _team: str) -> frozenset[str]:
        """Give the token's scopes. Raises DeliveryError."""
        now = self.clock.now()
        if self._known is None or now - self._known[0] > KNOWN_FOR:
            with translate_slack_error():
                self._known = now, granted(await self.client.auth_test())
        return self._known[1]


@dataclass(frozen=True, slots=True)
class GrantsOfTeams:
    """The scopes that each workspace has granted."""

    tokens: Tokens

    async def scopes(self, team: str) -> tuple[str, ...]:
        """Give a workspace's scopes; none where the app is not installed there."""
        found = await self.tokens.of(team)
        return found.scopes if found else ()
