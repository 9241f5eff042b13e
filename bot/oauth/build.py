"""Wiring for an app that many workspaces install."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography.fernet import Fernet, MultiFernet
from slack_sdk.web.async_client import AsyncWebClient

from bot.http.slack_requests import ProcessedKeys
from bot.oauth.flow import OAuthFlow
from bot.oauth.rotation import Rotation, TokenExchange, overdue_tokens
from bot.oauth.tokens import InstallationCache, TeamClients
from services.core.clock import Clock
from services.core.installation import InstallationStore

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuthParts:
    """Installation, tokens and removal for many workspaces."""

    store: InstallationStore
    installation_cache: InstallationCache
    clients: TeamClients
    flow: OAuthFlow
    rotation: Rotation

    async def overdue_tokens(self, now: datetime) -> tuple[str, ...]:
        """Return a sentence for each token that Slack refuses to renew, or that is overdue for renewal.

        Raises DatabaseUnavailableError.
        """
        return await overdue_tokens(self.store, now, self.rotation.refused)

    async def uninstall(self, team: str | None, enterprise: str | None, at: datetime) -> None:
        """Delete a workspace, or an organization with all its workspaces, that uninstalled the app `at` this time."""
        teams = await self.store.uninstall(team, enterprise, at)
        for home in (team, enterprise):
            self.installation_cache.invalidate(home or "")
        _log_removal(teams)

    async def revoke(self, teams: Sequence[str], at: datetime) -> None:
        """Delete workspaces whose organization revoked the app's access `at` this time."""
        _log_removal(await self.store.revoke(teams, at))
        self.installation_cache.invalidate_all()


def _log_removal(teams: Sequence[str]) -> None:
    if teams:
        log.info("app removed; deleted all data of %s", ", ".join(teams))
    else:
        log.info("app removed; nothing to delete (reinstalled since, or never installed)")


def build_oauth(
    store: InstallationStore,
    client: AsyncWebClient,
    clock: Clock,
    *,
    credentials: tuple[str, str],
    scopes: Sequence[str],
    token_keys: Sequence[str],
    processed_keys: ProcessedKeys,
    nudge: Callable[[], None] = lambda: None,
) -> OAuthParts:
    """Wire the parts; `credentials` are the app's client ID and client secret.

    `nudge` is called after an installation, because messages may have waited for it.
    """
    client_id, client_secret = credentials
    token_exchange = TokenExchange(client=client, client_id=client_id, client_secret=client_secret)
    cache = InstallationCache(store=store, clock=clock)
    return OAuthParts(
        store=store,
        installation_cache=cache,
        clients=TeamClients(client=client, installation_cache=cache),
        flow=OAuthFlow(
            token_exchange=token_exchange,
            store=store,
            installation_cache=cache,
            clock=clock,
            scopes=scopes,
            state_cipher=MultiFernet([Fernet(key) for key in token_keys]),
            processed_keys=processed_keys,
            nudge=nudge,
        ),
        rotation=Rotation(store=store, token_exchange=token_exchange, installation_cache=cache, clock=clock),
    )
