"""One attempt to deliver one message, and the handling of its outcome."""

import logging
import time
import zlib
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import assert_never

from services.core.clock import Clock
from services.core.errors import (
    DeliveryError,
    MessageGoneError,
    MessageLookupDeniedError,
    MessageNotEditableError,
    MessageRefusedError,
    SendDeadlineError,
)
from services.core.identity import Channel
from services.delivery.pacing import WorkspacePacer
from services.delivery.ports import (
    AlertMessage,
    AttemptOutcome,
    Delivery,
    DeliveryMeter,
    NoticeMessage,
    Notifier,
    OutboxStore,
    ThreadMessage,
)

LOOKUP_WAITS = "It may have been posted; it is looked up when Slack's rate limit allows."
SINK = "slack"  # in metrics

MIN_BACKOFF = timedelta(seconds=2)
MAX_BACKOFF = timedelta(minutes=5)
PROBLEM_RETRY = timedelta(minutes=1)  # of a channel or token that a person must fix: they see the result soon
LOOK_BACK = timedelta(days=1)  # of a look-up whose attempt lies ahead of the clock, which was set back
SETTLE_TIME = timedelta(seconds=15)  # after a lost response: by then, the request has reached Slack or never will
SEND_BUDGET = timedelta(seconds=35)  # longer than the three calls that sending one message can need
# About an hour: temporary refusals pass within it, and a fixed version can be installed.
MAX_ATTEMPTS = 20
log = logging.getLogger(__name__)


class _LookUpLimitedError(DeliveryError):
    """Slack limits the look-ups in a workspace, which doesn't concern its posts."""

    def __init__(self, problem: str, wait: timedelta) -> None:
        super().__init__(problem, permanent=False, surely_not_posted=False, retry_after=wait)
        self.wait = wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A message that Slack has accepted, with its id there."""

    delivery: Delivery
    message_id: str


@dataclass(slots=True)
class Dispatcher:
    """Sends one message at a time and records the outcome, so that nothing is lost and little is repeated.

    - Slack can't be reached, or refuses the channel or the token: the channel is paused, as no other message would get
      through. It is retried without limit, about once a minute if a person must fix it, so nothing is lost.
    - Slack refuses this message, or it can't be rendered: only this message backs off, and it is dead-lettered after 20
      attempts. An alert or a notice is tried again when it changes; a thread that it has not opened waits until then.
    - The store can't record what Slack has accepted: that is recorded at the next attempt, without sending again.
    - The response is lost, or a crash cuts the attempt off: the message is looked up by its key before it is posted
      again. If the app may not read the channel, it is posted again: at least once.
    - This process was frozen, or a look-up took long: a message whose lease ends too soon is not sent.
    - A message is gone: it is posted again. A thread reply whose thread is gone waits for its alert's message.
    """

    store: OutboxStore
    notifier: Notifier
    clock: Clock
    pacer: WorkspacePacer
    meter: DeliveryMeter | None = None
    _failures: Counter[Channel] = field(default_factory=Counter)  # consecutive failures of channels that accept nothing
    _unrecorded: dict[int, Accepted] = field(default_factory=dict)  # accepted, but the store failed; by delivery id

    async def deliver_one(self, delivery: Delivery, now: datetime) -> bool:
        """Try to send a message that is due at `now`; return whether Slack has it.

        Does nothing if another process is sending it, or if it changed after it was read.
        """
        leased = await self.store.mark_attempting(delivery, self._now(now))
        if leased is None:
            return False
        unrecorded = self._unrecorded.pop(leased.id, None)
        if unrecorded is not None and _is_unchanged(unrecorded.delivery, leased):
            sent = replace(unrecorded.delivery, leased_until=leased.leased_until)
            await self._record_sent(replace(unrecorded, delivery=sent), now)
            return True
        return await self._send_and_record(leased, now)

    async def _send_and_record(self, delivery: Delivery, now: datetime) -> bool:
        started_s = time.perf_counter()
        posted_id, unsure = delivery.message_id, delivery.attempting and delivery.message_id is None
        try:
            if unsure:
                at = self._now(now)
                look_up_at = self.pacer.lookup_at(delivery.channel.team, delivery.key, at)
                if look_up_at > at:
                    await self.store.mark_failed(delivery, LOOKUP_WAITS, look_up_at, counts=False, unsure=True)
                    return False
                posted_id, unsure = await self._look_up(delivery, at)
            if not self._has_lease(delivery):
                raise SendDeadlineError  # noqa: TRY301 -- handled like the notifier's own
            message_id = await self._send(delivery, posted_id)
        except SendDeadlineError as error:
            log.warning(
                "%s was not sent: its deadline has passed; the next attempt sends it", delivery.message.log_name
            )
            await self.store.mark_failed(delivery, str(error), self._now(now), counts=False, unsure=unsure)
            self._count(delivery, AttemptOutcome.RETRY, started_s)
            return False
        except DeliveryError as error:
            unsure = unsure or not error.surely_not_posted
            is_dead = await self._handle_error(delivery, error, self._now(now), unsure=unsure)
            self._count(delivery, _outcome(error, is_dead=is_dead, unsure=unsure), started_s)
            return False
        except Exception as error:  # a message that cannot be rendered must not block others
            if not delivery.attempts:
                log.exception("%s cannot be rendered; report this traceback as a bug", delivery.message.log_name)
            is_dead = await self._retry_later(delivery, error, self._now(now), unsure=unsure)
            self._count(delivery, AttemptOutcome.DEAD_LETTERED if is_dead else AttemptOutcome.RETRY, started_s)
            return False
        self._count(delivery, AttemptOutcome.SENT, started_s)
        await self._record_sent(Accepted(delivery=delivery, message_id=message_id), now)
        return True

    def _count(self, delivery: Delivery, outcome: AttemptOutcome, started_s: float) -> None:
        if self.meter is None:
            return
        accepted = outcome is AttemptOutcome.SENT and delivery.since is not None
        latency = self.clock.now() - delivery.since if accepted and delivery.since else None
        self.meter.count_attempt(SINK, outcome, time.perf_counter() - started_s, latency)

    async def _look_up(self, delivery: Delivery, now: datetime) -> tuple[str | None, bool]:
        """Return the id of a message that may have been posted, and whether that remains unknown."""
        since = await self.store.first_attempt_at(delivery)
        if since > now:
            since = now - LOOK_BACK
        try:
            found = await self.notifier.find(delivery.channel, delivery.key, since, delivery.thread_id)
        except MessageLookupDeniedError as error:
            log.warning("%s is sent again and may be duplicated: %s", delivery.message.log_name, error)
            return None, True
        except DeliveryError as error:
            if error.retry_after is None:
                raise
            self.pacer.slow_lookups(delivery.channel.team, error.retry_after, now)
            raise _LookUpLimitedError(str(error), error.retry_after) from error
        outcome = "found in Slack, not sent again" if found else "not found in Slack, sent again"
        log.info("%s: %s", delivery.message.log_name, outcome)
        return found, found is not None  # it is looked up again until its id is recorded

    async def _record_sent(self, accepted: Accepted, now: datetime) -> None:
        """Record what Slack has accepted. If that fails, it is remembered, and the message is not sent again."""
        delivery = accepted.delivery
        self.pacer.count_sent(delivery.channel.team, self._now(now))
        self._unrecorded[delivery.id] = accepted
        await self.store.mark_sent(delivery, accepted.message_id, self._now(now))
        del self._unrecorded[delivery.id]
        self._log_recovery(delivery)

    async def _handle_error(self, delivery: Delivery, error: DeliveryError, at: datetime, *, unsure: bool) -> bool:
        """Record an error; return whether the message is dead-lettered."""
        match error:
            case _LookUpLimitedError():
                await self.store.mark_failed(delivery, str(error), at + error.wait, counts=False, unsure=True)
                return False
            case MessageGoneError():
                return await self._repost(delivery, error, at)
            case MessageNotEditableError():
                return await self._stop_editing(delivery, error, at)
            case MessageRefusedError():
                return await self._retry_later(delivery, error, at, unsure=unsure)
            case _:
                await self._pause_channel(delivery, error, at, unsure=unsure)
                return False

    async def _send(self, delivery: Delivery, posted_id: str | None) -> str:
        """Edit the posted message to its newest version, or post it if there is none."""
        channel, message, send_by = delivery.channel, delivery.message, _send_deadline(delivery)
        if posted_id is None:
            return await self.notifier.post(
                channel, message, key=delivery.key, thread_id=delivery.thread_id, send_by=send_by
            )
        match message:
            case AlertMessage() | NoticeMessage():
                await self.notifier.edit(channel, message, posted_id, send_by=send_by)
            case ThreadMessage():
                pass
            case _:
                assert_never(message)
        return posted_id

    async def _pause_channel(self, delivery: Delivery, error: DeliveryError, at: datetime, *, unsure: bool) -> None:
        """Pause the whole channel, or the whole workspace if Slack limits its posts. That doesn't count as a failure.

        A message that may have been posted waits longer, until it can be looked up; the others don't.
        """
        channel = delivery.channel
        wait = error.retry_after
        if wait is None:
            failures = self._failures[channel]
            name = f"{channel.team}:{channel.id}"
            wait = PROBLEM_RETRY * jitter(name, failures) if error.permanent else backoff(name, failures)
            if not failures:
                log.warning("channel %s is paused: %s", channel.id, error)
            self._failures[channel] += 1
        own_wait = _settle_wait(wait, delivery, unsure=unsure)
        await self.store.mark_failed(delivery, str(error), at + own_wait, counts=False, unsure=unsure)
        if error.retry_after is None or delivery.message_id is not None:  # Slack limits each method apart
            await self.store.pause_channel(channel, at + wait, str(error) if error.permanent else None)
        elif self.pacer.slow_down(channel.team, at + wait, at):
            log.warning("workspace %s is paused for %d s: %s", channel.team, wait.total_seconds(), error)
            await self.store.pause_workspace(channel.team, at + wait)

    async def _retry_later(
        self, delivery: Delivery, error: Exception, at: datetime, *, gone: bool = False, unsure: bool = False
    ) -> bool:
        """Back off with this message only; after the last attempt it is dead-lettered, which is returned."""
        problem = str(error) if isinstance(error, DeliveryError) else f"{type(error).__name__}: {error}"
        if delivery.attempts + 1 >= MAX_ATTEMPTS:
            _log_dead_letter(delivery, problem)
            await self.store.mark_dead(delivery, problem, at, unsure=unsure)
            return True
        if not delivery.attempts:
            log.warning("%s failed and will be retried: %s", delivery.message.log_name, problem)
        is_permanent = isinstance(error, DeliveryError) and error.permanent
        wait = MAX_BACKOFF if is_permanent else backoff(delivery.key, delivery.attempts)
        wait = _settle_wait(wait, delivery, unsure=unsure)
        await self.store.mark_failed(delivery, problem, at + wait, gone=gone, unsure=unsure)
        return False

    async def _repost(self, delivery: Delivery, error: MessageGoneError, at: datetime) -> bool:
        """Post a deleted message again. A thread reply waits until its alert's message has been checked."""
        match delivery.message:
            case AlertMessage() | NoticeMessage():
                await self.store.mark_failed(delivery, str(error), at, gone=True, counts=False)
                return False
            case ThreadMessage():
                return await self._retry_later(delivery, error, at, gone=True)
            case _:
                assert_never(delivery.message)

    async def _stop_editing(self, delivery: Delivery, error: MessageNotEditableError, at: datetime) -> bool:
        """Leave a message that can no longer be edited as it is; only the resolution is posted again."""
        if delivery.message.is_final:
            await self.store.mark_failed(delivery, str(error), at, gone=True, counts=False)
            return False
        name = delivery.message.log_name
        log.info("%s can no longer be edited; its thread and resolution are still posted: %s", name, error)
        await self.store.mark_dead(delivery, str(error), at)
        return True

    def _log_recovery(self, delivery: Delivery) -> None:
        if delivery.attempts:
            log.info("%s delivered after %d failures", delivery.message.log_name, delivery.attempts)
        if self._failures.pop(delivery.channel, 0):
            log.info("channel %s is no longer paused", delivery.channel.id)

    def _has_lease(self, delivery: Delivery) -> bool:
        """Return whether our lease outlasts the send."""
        return delivery.leased_until is None or self.clock.now() + SEND_BUDGET <= delivery.leased_until

    def _now(self, now: datetime) -> datetime:
        """Return the current time, but never before `now`, as the clock may be set back."""
        return max(now, self.clock.now())


def _outcome(error: DeliveryError, *, is_dead: bool, unsure: bool) -> AttemptOutcome:
    if is_dead:
        return AttemptOutcome.DEAD_LETTERED
    if unsure:
        return AttemptOutcome.UNSURE
    return AttemptOutcome.REFUSED if error.permanent else AttemptOutcome.RETRY


def _send_deadline(delivery: Delivery) -> datetime | None:
    """Return the latest time to send a message, so that it arrives before another process may look for it."""
    return None if delivery.leased_until is None else delivery.leased_until - SETTLE_TIME


def _is_unchanged(earlier: Delivery, later: Delivery) -> bool:
    """Return whether nothing was recorded as delivered between two reads of a message."""
    return (earlier.sent_version, earlier.message_id) == (later.sent_version, later.message_id)


def backoff(key: str, failures: int) -> timedelta:
    """Return an exponential backoff of at most five minutes, with jitter by key so that retries spread out."""
    doubled: timedelta = MIN_BACKOFF * 2 ** min(failures, 10)
    return min(doubled, MAX_BACKOFF) * jitter(key, failures)


def jitter(key: str, failures: int) -> float:
    """Return a factor from 0.75 to 1.25 that differs by key and attempt."""
    return 0.75 + zlib.crc32(f"{key}:{failures}".encode()) / 2**33


def _log_dead_letter(delivery: Delivery, problem: str) -> None:
    """Log that a message is dead-lettered, and what can be done about it."""
    match delivery.message:
        case AlertMessage():
            remedy = "it is retried when the alert changes, and its thread continues then"
        case ThreadMessage():
            remedy = "the thread skips this reply; /minerpulse history still has the alert"
        case NoticeMessage():
            remedy = "it is retried when the notice changes"
        case _:
            assert_never(delivery.message)
    log.error("%s is dead-lettered after %d attempts; %s: %s", delivery.message.log_name, MAX_ATTEMPTS, remedy, problem)


def _settle_wait(wait: timedelta, delivery: Delivery, *, unsure: bool) -> timedelta:
    """Return a wait after which a look-up is reliable, if the message may have been posted. An edit may be repeated."""
    return max(wait, SETTLE_TIME) if unsure and delivery.message_id is None else wait
