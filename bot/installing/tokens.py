"""Tokens: what the app speaks with in each workspace, kept in memory for a minute, and bounded."""

from __future__ import annotations

import copy
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from slack_bolt.authorization import AuthorizeResult
from slack_bolt.authorization.async_authorize import AsyncAuthorize

from services.domain.errors import DeliveryError

if TYPE_CHECKING:
    from datetime import datetime

    from slack_sdk.web.async_client import AsyncWebClient

    from services.domain.installation import Installation
    from services.ports import Clock, InstallationStore

KEPT = timedelta(minutes=1)  # how long another process may go on with a token that has been renewed
MOST = 1_000  # workspaces
GONE = "MinerPulse is not installed in this workspace any more: install it again."


@dataclass(slots=True, kw_only=True)
class Tokens:
    """The installations that were asked for lately. What is not known is read from the store, and never from Slack."""

    store: InstallationStore
    clock: Clock
    most: int = MOST
    _known: OrderedDict[tuple[str | None, str | None], tuple[datetime, Installation]] = field(
        default_factory=OrderedDict
    )

    async def of(self, team: str | None, enterprise: str | None = None) -> Installation | None:
        """Give the installation that holds for a workspace; None where it has none. Raises StoreError."""
        asked, now = (team, enterprise), self.clock.now()
        if asked in self._known:
            until, known = self._known[asked]
            if now < until:
                self._known.move_to_end(asked)
                return known
        found = await self.store.find(team, enterprise)
        if found is None:  # not kept: whoever makes up workspaces must not push out those that are
            self._known.pop(asked, None)
            return None
        self._known[asked] = now + KEPT, found
        self._known.move_to_end(asked)
        while len(self._known) > self.most:
            self._known.popitem(last=False)
        return found

    def forget(self, home: str) -> None:
        """Forget what is known of a home, as it has changed."""
        for asked in [asked for asked, (_, known) in self._known.items() if known.home == home]:
            del self._known[asked]

    def forget_all(self) -> None:
        """Forget everything, as it is not told whose home has changed."""
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
