"""Tokens: what the app speaks with in each workspace, kept in memory for a minute, and bounded."""

from __future__ import annotations

import asyncio
import copy
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeAlias

from slack_bolt.authorization import AuthorizeResult
from slack_bolt.authorization.async_authorize import AsyncAuthorize
from slack_sdk.web.async_client import AsyncWebClient

from services.core.clock import Clock
from services.core.errors import DeliveryError
from services.core.installation import Installation, InstallationStore

Asked: TypeAlias = tuple[str | None, str | None]  # the workspace, and its organization


KEPT = timedelta(minutes=1)  # how long another process may go on with a token that has been renewed
MOST = 1_000  # workspaces
GONE = "MinerPulse is not installed in this workspace any more: install it again."


@dataclass(slots=True, kw_only=True)
class Tokens:
    """The installations that were asked for lately. What is not known is read from the store, and never from Slack."""

    store: InstallationStore
    clock: Clock
    most: int = MOST
    _known: OrderedDict[Asked, tuple[datetime, Installation]] = field(default_factory=OrderedDict)
    _looking: dict[Asked, asyncio.Task[Installation | None]] = field(default_factory=dict)

    async def of(self, team: str | None, enterprise: str | None = None) -> Installation | None:
        """Give the installation that holds for a workspace; None where it has none. Raises StoreError.

        Requests that come at once, before it is known, share one look into the store.
        """
        asked = team, enterprise
        until, known = self._known.get(asked, (None, None))
        if until is not None and self.clock.now() < until:
            self._known.move_to_end(asked)
            return known
        if asked not in self._looking:
            self._looking[asked] = asyncio.create_task(self._look(asked))
        return await asyncio.shield(self._looking[asked])

    async def _look(self, asked: Asked) -> Installation | None:
        """Read from the store; what was forgotten meanwhile, as it has changed, is not kept."""
        now, mine = self.clock.now(), asyncio.current_task()
        try:
            found = await self.store.find(*asked)
        finally:
            current = self._looking.get(asked) is mine
            if current:
                del self._looking[asked]
        if found is None:  # not kept: whoever makes up workspaces must not push out those that are
            self._known.pop(asked, None)
        elif current:
            self._keep(asked, now + KEPT, found)
        return found

    def _keep(self, asked: Asked, until: datetime, found: Installation) -> None:
        self._known[asked] = until, found
        self._known.move_to_end(asked)
        while len(self._known) > self.most:
            self._known.popitem(last=False)

    def forget(self, home: str) -> None:
        """Forget what is known of a home, as it has changed."""
        self._looking.clear()
        for asked in [asked for asked, (_, known) in self._known.items() if known.home == home]:
            del self._known[asked]

    def forget_all(self) -> None:
        """Forget everything, as it is not told whose home has changed."""
        self._looking.clear()
        self._known.clear()

    def __len__(self) -> int:
        return len(self._known)


class ManyWorkspaces(AsyncAuthorize):
    """Authorizes each request with the token of its workspace."""

    def __init__(self, tokens: Tokens) -> None:
        self.tokens = tokens

    async def __call__(
        self, *, enterprise_id: str | None, team_id: str | None, **_request: object
    ) -> AuthorizeResult | None:
        """Let the request through, in its own workspace; None where the app is not installed there."""
        found = await self.tokens.of(team_id, enterprise_id)
        if found is None:
            return None
        return AuthorizeResult(
            enterprise_id=enterprise_id, team_id=team_id, bot_token=found.bot_token, bot_user_id=found.bot_user
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamClients:
    """Clients that share one HTTP session, each with the token of its workspace."""

    client: AsyncWebClient
    tokens: Tokens

    async def of(self, team: str) -> AsyncWebClient:
        """Give the client for a workspace. Raises DeliveryError where the app is not installed there any more."""
        found = await self.tokens.of(team)
        if found is None:
            raise DeliveryError(GONE, permanent=True, surely_not_posted=True)
        client = copy.copy(self.client)
        client.token = found.bot_token
        return client
