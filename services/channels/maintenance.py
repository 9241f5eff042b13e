"""Maintenance: time-driven work such as quiet hours, reminders, outages, briefs and coverage reports."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.alerting.ports import StoredChannel
from services.alerting.rule_index import RuleIndex
from services.alerting.tick_log import Claim, Tick
from services.channels.briefs import send_due_briefs
from services.channels.coverage import send_daily_coverage
from services.channels.drill import resolve_drills
from services.channels.escalation import announce_escalations, remind_and_escalate, update_escalations
from services.channels.outages import sync_outage_notices
from services.channels.ports import ChannelStore
from services.channels.retired_rules import send_retired_rule_notices
from services.channels.settings import apply_silence
from services.channels.untraded import send_untraded_notices
from services.core.clock import last_boundary
from services.core.errors import ConflictError
from services.core.prices import WGMI_BTC, Pair
from services.rules.market_service import MarketService

JOB = "upkeep"
DELETION_INTERVAL = timedelta(hours=1)
log = logging.getLogger(__name__)


@dataclass(slots=True)
class Maintenance:
    """Runs one maintenance round when the scheduler calls it.

    The stored state makes each step idempotent: the next round completes a step that a crash interrupted, and two
    rounds
    at once do no harm. The claim only saves work across several processes.
    """

    store: ChannelStore
    market: MarketService
    rule_index: RuleIndex
    nudge: Callable[[], None]
    interval: timedelta = timedelta(minutes=1)
    pair: Pair = WGMI_BTC
    keep: timedelta | None = None
    _next_deletion_at: datetime | None = None

    async def tick(self, now: datetime) -> int:
        """Run one round unless another process does; return the number of changes.

        1. End silences that are over, with their digests, and schedule the next ones.
        2. Resolve test alerts that are over.
        3. Notify channels of who escalates to them; send reminders and escalations; update escalation notices in other
           channels.
        4. Post and close outage notices.
        5. After a close, send coverage reports to the subscribed channels.
        6. Send due briefs.
        7. Post notices about shares that no longer trade.
        8. Delete a batch of what is older than `keep`.
        """
        tick = Tick(job=JOB, boundary=last_boundary(now, self.interval), claimed_at=now)
        if await self.store.claim_tick(JOB, tick.boundary, now) is not Claim.OURS:
            return 0
        try:
            changes = await self._round(now)
            await self.store.finish_tick(tick)
        except Exception:
            await self.store.release_tick(JOB, tick.boundary, now)
            raise
        if changes:
            self.nudge()
        return changes

    async def _round(self, now: datetime) -> int:
        changes = await self._apply_silences(await self.store.channels(), now)
        channels = {stored.channel: stored for stored in await self.store.channels()}
        changes += await resolve_drills(self.store, now)
        changes += await announce_escalations(self.store, channels, now)
        changes += await remind_and_escalate(self.store, channels, now)
        changes += await update_escalations(self.store, now)
        changes += await sync_outage_notices(self.store, self.rule_index, self.market, now)
        daily = [stored for stored in channels.values() if stored.settings.daily_since is not None]
        changes += await send_daily_coverage(self.store, self.market, daily, now, self.interval)
        with_briefs = [stored for stored in channels.values() if stored.settings.briefs]
        changes += await send_due_briefs(self.store, self.market, self.pair, with_briefs, now)
        changes += await send_retired_rule_notices(self.store, self.rule_index, now)
        changes += await send_untraded_notices(self.store, self.rule_index, self.market, now)
        await self._delete_old(now)
        return changes

    async def _delete_old(self, now: datetime) -> None:
        """Delete one batch per round while there is more, and look again after an hour."""
        due_at = self._next_deletion_at
        if self.keep is None or (due_at is not None and now < due_at <= now + DELETION_INTERVAL):
            return
        deleted = await self.store.delete_older(now - self.keep)
        self._next_deletion_at = None if deleted.more else now + DELETION_INTERVAL
        if deleted.alerts or deleted.notices or deleted.attempts or deleted.changes:
            log.info(
                "deleted data older than %d days: %d alerts, %d notices, %d delivery attempts, %d records of changes",
                self.keep.days,
                deleted.alerts,
                deleted.notices,
                deleted.attempts,
                deleted.changes,
            )

    async def _apply_silences(self, channels: Iterable[StoredChannel], now: datetime) -> int:
        sessions = self.market.history.sessions(now)
        released = 0
        for stored in channels:
            try:
                released += await apply_silence(self.store, stored, sessions, now)
            except ConflictError as error:  # a person has just changed a setting
                log.info(
                    "channel %s changed during its quiet-hours check; retrying in the next round: %s",
                    stored.channel.id,
                    error,
                )
        return released
