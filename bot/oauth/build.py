"""What an app of many workspaces has besides: made in one place, so that an app of one workspace has none of it."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from slack_sdk.web.async_client import AsyncWebClient

from bot.oauth.flow import OAuthFlow
from bot.oauth.rotation import Rotation, overdue
from bot.oauth.token_exchange import TokenExchange
from bot.oauth.tokens import TeamClients, Tokens
from services.core.clock import Clock
from services.core.installation import InstallationStore

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthParts:
    """Many workspaces: how they come, what the app speaks with there, and how they leave."""

    store: InstallationStore
    tokens: Tokens
    clients: TeamClients
    flow: OAuthFlow
    rotation: Rotation

    async def overdue(self, now: datetime) -> tuple[str, ...]:
        """Say whose token should have been renewed by now. Raises StoreError."""
        return await overdue(self.store, now)

    async def leave(self, team: str | None, enterprise: str | None, at: datetime) -> None:
        """Forget a workspace, or an organization with all of its workspaces, that has ended its installation `at`."""
        left = await self.store.leave(team, enterprise, at)
        for home in (team, enterprise):
            self.tokens.forget(home or "")
        _tell(left)

    async def expel(self, teams: Sequence[str], at: datetime) -> None:
        """Forget workspaces that their organization lets the app into no more since `at`."""
        _tell(await self.store.expel(teams, at))
        self.tokens.forget_all()


def _tell(left: Sequence[str]) -> None:
    log.info(
        "the app was taken out; all data is deleted of %s",
        ", ".join(left) or "nobody, as it is back or never was there",
    )


def build_oauth(
    store: InstallationStore,
    client: AsyncWebClient,
    clock: Clock,
    *,
    credentials: tuple[str, str],
    scopes: Sequence[str],
) -> OAuthParts:
    """Wire it; the credentials are the app's client id and client secret."""
    client_id, client_secret = credentials
    access = TokenExchange(client=client, client_id=client_id, client_secret=client_secret)
    tokens = Tokens(store=store, clock=clock)
    return OAuthParts(
        store=store,
        tokens=tokens,
        clients=TeamClients(client=client, tokens=tokens),
        flow=OAuthFlow(access=access, store=store, tokens=tokens, clock=clock, scopes=scopes),
        rotation=Rotation(store=store, access=access, tokens=tokens, clock=clock),
    )
