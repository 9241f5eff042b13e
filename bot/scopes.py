"""The scopes that each workspace has granted: of the one bot token, or of the installation."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from bot.oauth.tokens import InstallationCache
from handlers.slack_errors import translate_slack_error
from services.core.clock import Clock

CACHE_TTL = timedelta(minutes=10)  # scopes can be added to an existing token


def granted_scopes(response: AsyncSlackResponse) -> frozenset[str]:
    """Return the token's scopes from a Slack response."""
    return frozenset(str(response.headers.get("x-oauth-scopes", "")).replace(" ", "").split(","))


@dataclass(slots=True)
class TokenGrants:
    """The scopes of the one bot token, fetched on demand and cached for ten minutes."""

    client: AsyncWebClient
    clock: Clock
    _cached: tuple[datetime, frozenset[str]] | None = field(default=None)

    async def scopes(self, _team: str) -> frozenset[str]:
        """Return the token's scopes. Raises DeliveryError."""
        now = self.clock.now()
        if self._cached is None or now - self._cached[0] > CACHE_TTL:
            with translate_slack_error():
                self._cached = now, granted_scopes(await self.client.auth_test())
        return self._cached[1]


@dataclass(frozen=True, slots=True)
class WorkspaceGrants:
    """The scopes that each workspace has granted."""

    installation_cache: InstallationCache

    async def scopes(self, team: str) -> tuple[str, ...]:
        """Return a workspace's scopes; empty if the app is not installed there."""
        installation = await self.installation_cache.get(team)
        return installation.scopes if installation else ()
