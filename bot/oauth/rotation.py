"""Rotation: tokens that expire are renewed in time, each by one process at a time."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.oauth.token_exchange import TokenExchange
from bot.oauth.tokens import Tokens
from services.core.clock import Clock
from services.core.errors import AccessError, MinerPulseError
from services.core.installation import ROTATED_BEFORE, InstallationStore

OVERDUE = timedelta(minutes=10)  # by then a token was tried ten times
AGAIN = "have the app installed there again"
log = logging.getLogger(__name__)


async def overdue(store: InstallationStore, now: datetime) -> tuple[str, ...]:
    """Say whose token should have been renewed by now, whichever process was to do it. Raises StoreError."""
    homes = await store.expiring(now + ROTATED_BEFORE - OVERDUE)
    return tuple(f"workspace {home}: its token cannot be renewed and ends: {AGAIN}" for home in homes)


@dataclass(slots=True, kw_only=True)
class Rotation:
    """Renews each token two hours before it expires; one that cannot be renewed is tried again each minute.

    A refresh token is good for once, so a renewal is claimed in the database before Slack is asked.
    """

    store: InstallationStore
    access: TokenExchange
    tokens: Tokens
    clock: Clock
    _failing: set[str] = field(default_factory=set)

    async def work(self) -> None:
        """Renew what is about to expire; whatever goes wrong is logged once, and keeps nobody else from a new token."""
        try:
            homes = await self.store.expiring(self.clock.now() + ROTATED_BEFORE)
        except MinerPulseError as error:
            self._tell("the database", error)
            return
        for home in homes:
            try:
                await self._renew(home)
            except MinerPulseError as error:
                self._tell(home, error)
            else:
                self._failing.discard(home)
        self._failing.discard("the database")

    async def _renew(self, home: str) -> None:
        now = self.clock.now()
        installation = await self.store.claim(home, now, before=now + ROTATED_BEFORE)
        if installation is None:
            return
        await self.store.save(await self.access.renewed(installation, now))
        self.tokens.forget(home)
        log.info("the token of %s is renewed", home)

    def _tell(self, home: str, error: MinerPulseError) -> None:
        if home not in self._failing:
            remedy = f" {AGAIN.capitalize()}." if isinstance(error, AccessError) and error.refused else ""
            log.error("the token of %s cannot be renewed and is tried again each minute: %s%s", home, error, remedy)
        self._failing.add(home)
