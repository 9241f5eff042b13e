"""Token rotation: renew expiring tokens in time, each by one process at a time."""

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from bot.oauth.token_exchange import TokenExchange
from bot.oauth.tokens import InstallationCache
from services.core.clock import Clock
from services.core.errors import MinerPulseError, TokenExchangeError
from services.core.installation import RENEW_BEFORE_EXPIRY, InstallationStore

OVERDUE_AFTER = timedelta(minutes=10)  # after ten attempts
REINSTALL_HINT = "have the app installed there again"
log = logging.getLogger(__name__)


async def overdue_tokens(store: InstallationStore, now: datetime) -> tuple[str, ...]:
    """Return a sentence for each token that any process should have renewed by now. Raises DatabaseUnavailableError."""
    homes = await store.find_expiring(now + RENEW_BEFORE_EXPIRY - OVERDUE_AFTER)
    return tuple(f"workspace {home}: its token cannot be renewed and ends: {REINSTALL_HINT}" for home in homes)


@dataclass(slots=True, kw_only=True)
class Rotation:
    """Renews each token two hours before it expires, and retries each minute.

    A refresh token works once, so a renewal is claimed in the database before the call to Slack.
    """

    store: InstallationStore
    token_exchange: TokenExchange
    installation_cache: InstallationCache
    clock: Clock
    _failing: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """Renew expiring tokens. Each failure is logged once, and does not affect other tokens."""
        try:
            homes = await self.store.find_expiring(self.clock.now() + RENEW_BEFORE_EXPIRY)
        except MinerPulseError as error:
            self._log_failure("the database", error)
            return
        for home in homes:
            try:
                await self._renew(home)
            except MinerPulseError as error:
                self._log_failure(home, error)
            else:
                self._failing.discard(home)
        self._failing.discard("the database")

    async def _renew(self, home: str) -> None:
        now = self.clock.now()
        installation = await self.store.claim_renewal(home, now, before=now + RENEW_BEFORE_EXPIRY)
        if installation is None:
            return
        await self.store.save(await self.token_exchange.refresh(installation, now))
        self.installation_cache.invalidate(home)
        log.info("renewed the token of %s", home)

    def _log_failure(self, home: str, error: MinerPulseError) -> None:
        if home not in self._failing:
            remedy = (
                f" {REINSTALL_HINT.capitalize()}." if isinstance(error, TokenExchangeError) and error.refused else ""
            )
            log.error("cannot renew the token of %s; retrying every minute: %s%s", home, error, remedy)
        self._failing.add(home)
