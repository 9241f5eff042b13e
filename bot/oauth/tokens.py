"""Installations of workspaces, cached in memory, and the clients, authorization and scopes that come from them."""

import asyncio
import copy
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeAlias

from slack_bolt.authorization import AuthorizeResult
from slack_bolt.authorization.async_authorize import AsyncAuthorize
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.web.async_slack_response import AsyncSlackResponse

from handlers.slack_errors import translate_slack_error
from services.core.clock import Clock
from services.core.errors import DeliveryError
from services.core.installation import Installation, InstallationStore

WorkspaceKey: TypeAlias = tuple[str | None, str | None]  # workspace and organization


CACHE_TTL = timedelta(minutes=1)  # how long another process may use a token after its renewal
SCOPES_TTL = timedelta(minutes=10)  # scopes can be added to an existing token
CAPACITY = 1_000  # workspaces
NOT_INSTALLED = "MinerPulse is no longer installed in this workspace: reinstall it."


@dataclass(slots=True, kw_only=True)
class InstallationCache:
    """Single-flight LRU cache of installations. A miss reads the store, never Slack."""

    store: InstallationStore
    clock: Clock
    capacity: int = CAPACITY
    _cached: OrderedDict[WorkspaceKey, tuple[datetime, Installation]] = field(default_factory=OrderedDict)
    _pending: dict[WorkspaceKey, asyncio.Task[Installation | None]] = field(default_factory=dict)

    async def get(self, team: str | None, enterprise: str | None = None) -> Installation | None:
        """Return the installation for a workspace; None if there is none. Raises DatabaseUnavailableError."""
        key = team, enterprise
        expires_at, cached = self._cached.get(key, (None, None))
        if expires_at is not None and self.clock.now() < expires_at:
            self._cached.move_to_end(key)
            return cached
        return await self.read(team, enterprise)

    async def read(self, team: str | None, enterprise: str | None = None) -> Installation | None:
        """Read the installation that applies to a workspace, and cache it. Raises DatabaseUnavailableError.

        Concurrent reads of one workspace share one query.
        """
        key = team, enterprise
        if key not in self._pending:
            self._pending[key] = asyncio.create_task(self._load(key))
        return await asyncio.shield(self._pending[key])

    async def _load(self, key: WorkspaceKey) -> Installation | None:
        """Read from the store; do not cache an installation that was invalidated during the read."""
        now, task = self.clock.now(), asyncio.current_task()
        try:
            installation = await self.store.find(*key)
        finally:
            is_current = self._pending.get(key) is task
            if is_current:
                del self._pending[key]
        if installation is None:  # not cached, so that invented workspaces evict no real ones
            self._cached.pop(key, None)
        elif is_current:
            self._put(key, now + CACHE_TTL, installation)
        return installation

    def _put(self, key: WorkspaceKey, expires_at: datetime, installation: Installation) -> None:
        self._cached[key] = expires_at, installation
        self._cached.move_to_end(key)
        while len(self._cached) > self.capacity:
            self._cached.popitem(last=False)

    def invalidate(self, home: str) -> None:
        """Remove a changed workspace or organization from the cache."""
        self._pending.clear()
        for key in [key for key, (_, cached) in self._cached.items() if cached.home == home]:
            del self._cached[key]

    def invalidate_all(self) -> None:
        """Clear the cache, because it is unknown which installation changed."""
        self._pending.clear()
        self._cached.clear()

    def __len__(self) -> int:
        return len(self._cached)


class MultiWorkspaceAuthorize(AsyncAuthorize):
    """Authorizes each request with its workspace's token."""

    def __init__(self, installation_cache: InstallationCache) -> None:
        self.installation_cache = installation_cache

    async def __call__(
        self, *, enterprise_id: str | None, team_id: str | None, **_request: object
    ) -> AuthorizeResult | None:
        """Return the authorization for the request's workspace; None if the app is not installed there."""
        installation = await self.installation_cache.get(team_id, enterprise_id)
        if installation is None:
            return None
        return AuthorizeResult(
            enterprise_id=enterprise_id,
            team_id=team_id,
            bot_token=installation.bot_token,
            bot_user_id=installation.bot_user,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamClients:
    """Slack clients that share one HTTP session, each with its workspace's token."""

    client: AsyncWebClient
    installation_cache: InstallationCache

    async def of(self, team: str) -> AsyncWebClient:
        """Return the client of a workspace. Raises DeliveryError if the app is no longer installed there.

        Its token is read anew: another process may have renewed or replaced the cached one just now.
        """
        installation = await self.installation_cache.read(team)
        if installation is None:
            raise DeliveryError(NOT_INSTALLED, permanent=True, surely_not_posted=True)
        client = copy.copy(self.client)
        client.token = installation.bot_token
        return client


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
        if self._cached is None or now - self._cached[0] > SCOPES_TTL:
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
