"""Permalinks of alerts' messages, looked up apart from delivery, so that they never delay or repeat a message."""

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.core.clock import Clock
from services.core.errors import DatabaseUnavailableError, DeliveryError
from services.delivery.ports import PermalinkSource, PermalinkStore

RETRY_AFTER = timedelta(hours=1)
BATCH_SIZE = 20  # look-ups in a run
log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Permalinks:
    """Looks up the permalinks that are missing, newest alerts first; a failed look-up is retried after an hour."""

    store: PermalinkStore
    source: PermalinkSource
    clock: Clock
    _retry_at: dict[int, datetime] = field(default_factory=dict)  # by alert ID

    async def run(self) -> None:
        """Look up and store some of the missing permalinks. Without the database, wait for the next run."""
        now = self.clock.now()
        self._retry_at = {alert_id: at for alert_id, at in self._retry_at.items() if now < at <= now + RETRY_AFTER}
        try:
            for message in await self.store.messages_without_permalink(self._retry_at.keys(), BATCH_SIZE):
                try:
                    permalink = await self.source.permalink(message.channel, message.message_id)
                except DeliveryError as error:
                    log.info("alert %d has no permalink yet: %s", message.alert_id, error)
                    self._retry_at[message.alert_id] = now + RETRY_AFTER
                else:
                    await self.store.save_permalink(message, permalink)
        except DatabaseUnavailableError as error:
            log.info("permalinks are delayed until the database can be reached: %s", error)
