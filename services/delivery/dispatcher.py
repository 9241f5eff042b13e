"""Courier: one attempt to deliver one message, and what follows from how it went."""

from __future__ import annotations

import logging
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
from services.delivery.ports import AlertMessage, Delivery, NoticeMessage, Notifier, OutboxStore, ThreadMessage

FIRST_RETRY = timedelta(seconds=2)
LONGEST_RETRY = timedelta(minutes=5)
SETTLES = timedelta(seconds=15)  # what was under way to Slack when its answer was lost has arrived by then, or never
CALLS = timedelta(seconds=35)  # longer than the three calls that sending one message can take
# About an hour: what Slack refuses for the moment passes within it, and a mended version can be installed.
TRIES = 20
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """What Slack has accepted, and where it stands."""

    delivery: Delivery
    message_id: str


@dataclass(slots=True)
class Dispatcher:
    """Sends one message at a time and notes how it went, so that nothing is lost and little is repeated.

    - Slack cannot be reached, or refuses the channel or the token: the channel rests, as no other message would get
      through. It is tried again for as long as it takes: once that is mended, nothing has been lost.
    - Slack refuses this message, or it cannot be rendered: it waits by itself, and is given up after 20 tries. An
      alert or a notice is tried again once it changes; till then a thread that it has not opened waits for it.
    - The store cannot note what Slack has accepted: it is noted at the next attempt, without being sent again.
    - Its answer is lost, or a crash cuts the attempt off: it is looked up by its key before it is posted again. Where
      the app lacks the permission to read the channel it is posted again: at least once.
    - This process was frozen, or a look-up took long: what is not its own for long enough any more is not sent.
    - A message is gone: it is posted anew. A line whose thread is gone waits until its alert's message stands again.
    """

    store: OutboxStore
    notifier: Notifier
    clock: Clock
    _failures: Counter[Channel] = field(default_factory=Counter)  # in a row, of channels that take nothing
    _unnoted: dict[int, Accepted] = field(default_factory=dict)  # what the store failed to note, by delivery

    async def attempt(self, delivery: Delivery, now: datetime) -> bool:
        """Try to send a message that is due at `now`, and tell whether Slack has it.

        Not where another process tries it, or where its wording has changed since it was read.
        """
        leased = await self.store.mark_attempting(delivery, self._at(now))
        if leased is None:
            return False
        unnoted = self._unnoted.pop(leased.id, None)
        if unnoted is not None and _as_read(unnoted.delivery, leased):
            sent = replace(unnoted.delivery, leased_until=leased.leased_until)
            await self._note(replace(unnoted, delivery=sent), now)
            return True
        return await self._send_and_note(leased, now)

    async def _send_and_note(self, delivery: Delivery, now: datetime) -> bool:
        standing, unsure = delivery.message_id, delivery.attempting and delivery.message_id is None
        try:
            if unsure:
                standing, unsure = await self._look_up(delivery)
            if not self._is_ours(delivery):
                raise SendDeadlineError  # noqa: TRY301 -- the same as where the notifier finds it so
            message_id = await self._send(delivery, standing)
        except SendDeadlineError as error:
            log.warning("%s is left to the next attempt: this one took too long", delivery.told.name)
            await self.store.mark_failed(delivery, str(error), self._at(now), counts=False, unsure=unsure)
            return False
        except DeliveryError as error:
            await self._refused(delivery, error, self._at(now), unsure=unsure or not error.surely_not_posted)
            return False
        except Exception as error:  # a message that cannot be made must not hold up others
            if not delivery.attempts:
                log.exception("%s cannot be rendered; please report it", delivery.told.name)
            await self._pass_over(delivery, error, self._at(now), unsure=unsure)
            return False
        await self._note(Accepted(delivery=delivery, message_id=message_id), now)
        return True

    async def _look_up(self, delivery: Delivery) -> tuple[str | None, bool]:
        """Look where a message stands that may have been posted; True where that stays unknown."""
        since = await self.store.tried_since(delivery)
        try:
            found = await self.notifier.find(delivery.channel, delivery.key, since, delivery.thread_id)
        except MessageLookupDeniedError as error:
            log.warning("%s is sent again and may appear twice: %s", delivery.told.name, error)
            return None, True
        log.info("%s: %s", delivery.told.name, "it was there already" if found else "it was not there, sent again")
        return found, found is not None  # until it is noted where it stands, it is looked up again

    async def _note(self, accepted: Accepted, now: datetime) -> None:
        """Note what Slack has accepted; where that fails it is kept in mind, and not sent once more."""
        delivery = accepted.delivery
        self._unnoted[delivery.id] = accepted
        await self.store.mark_sent(delivery, accepted.message_id, self._at(now))
        del self._unnoted[delivery.id]
        self._tell_recovery(delivery)

    async def _refused(self, delivery: Delivery, error: DeliveryError, at: datetime, *, unsure: bool) -> None:
        match error:
            case MessageGoneError():
                await self._post_anew(delivery, error, at)
            case MessageNotEditableError():
                await self._leave(delivery, error, at)
            case MessageRefusedError():
                await self._pass_over(delivery, error, at, unsure=unsure)
            case _:
                await self._rest(delivery, error, at, unsure=unsure)

    async def _send(self, delivery: Delivery, standing: str | None) -> str:
        """Make the message that stands there say what it should, or post it where none stands."""
        channel, told, by = delivery.channel, delivery.told, _last_moment(delivery)
        if standing is None:
            return await self.notifier.post(channel, told, key=delivery.key, thread_id=delivery.thread_id, by=by)
        match told:
            case AlertMessage() | NoticeMessage():
                await self.notifier.edit(channel, told, standing, by=by)
            case ThreadMessage():
                pass
            case _:
                assert_never(told)
        return standing

    async def _rest(self, delivery: Delivery, error: DeliveryError, at: datetime, *, unsure: bool) -> None:
        """Let the whole channel rest; being asked to wait is no failure.

        A message that may be on its way waits longer, until it can be looked up: the others need not.
        """
        channel = delivery.channel
        wait = error.retry_after
        if wait is None:
            failures = self._failures[channel]
            wait = LONGEST_RETRY if error.permanent else backoff(f"{channel.team}:{channel.id}", failures)
            if not failures:
                log.warning("channel %s takes no messages for now: %s", channel.id, error)
            self._failures[channel] += 1
        settled = _settled(wait, delivery, unsure=unsure)
        await self.store.mark_failed(delivery, str(error), at + settled, counts=False, unsure=unsure)
        await self.store.hold(channel, at + wait, str(error) if error.permanent else None)

    async def _pass_over(
        self, delivery: Delivery, error: Exception, at: datetime, *, gone: bool = False, unsure: bool = False
    ) -> None:
        """Let this message wait by itself; after the last try it is given up."""
        problem = str(error) if isinstance(error, DeliveryError) else f"{type(error).__name__}: {error}"
        if delivery.attempts + 1 >= TRIES:
            _tell_end(delivery, problem)
            await self.store.mark_dead(delivery, problem, at, unsure=unsure)
            return
        if not delivery.attempts:
            log.warning("%s is not delivered yet: %s", delivery.told.name, problem)
        is_permanent = isinstance(error, DeliveryError) and error.permanent
        wait = LONGEST_RETRY if is_permanent else backoff(delivery.key, delivery.attempts)
        wait = _settled(wait, delivery, unsure=unsure)
        await self.store.mark_failed(delivery, problem, at + wait, gone=gone, unsure=unsure)

    async def _post_anew(self, delivery: Delivery, error: MessageGoneError, at: datetime) -> None:
        """Have a message posted anew that is gone; a line of a thread waits until its alert's message is seen to."""
        match delivery.told:
            case AlertMessage() | NoticeMessage():
                await self.store.mark_failed(delivery, str(error), at, gone=True, counts=False)
            case ThreadMessage():
                await self._pass_over(delivery, error, at, gone=True)
            case _:
                assert_never(delivery.told)

    async def _leave(self, delivery: Delivery, error: MessageNotEditableError, at: datetime) -> None:
        """Leave a message as it is that cannot be changed any more; only its end is posted anew."""
        if delivery.told.ended:
            await self.store.mark_failed(delivery, str(error), at, gone=True, counts=False)
            return
        log.info("%s is not edited, its thread and its end are told: %s", delivery.told.name, error)
        await self.store.mark_dead(delivery, str(error), at)

    def _tell_recovery(self, delivery: Delivery) -> None:
        if delivery.attempts:
            log.info("%s is delivered after %d failures", delivery.told.name, delivery.attempts)
        if self._failures.pop(delivery.channel, 0):
            log.info("channel %s takes messages again", delivery.channel.id)

    def _is_ours(self, delivery: Delivery) -> bool:
        """Tell whether no other process can take a message over before this one has sent it."""
        return delivery.leased_until is None or self.clock.now() + CALLS <= delivery.leased_until

    def _at(self, now: datetime) -> datetime:
        """Tell the time; a clock that is set back does not take it back before `now`."""
        return max(now, self.clock.now())


def _last_moment(delivery: Delivery) -> datetime | None:
    """Tell when a message is sent at the latest, so that it has arrived before another process may look for it."""
    return None if delivery.leased_until is None else delivery.leased_until - SETTLES


def _as_read(one: Delivery, other: Delivery) -> bool:
    """Tell whether nothing has been noted as delivered between two readings of a message."""
    return (one.sent_version, one.message_id) == (other.sent_version, other.message_id)


def backoff(key: str, failures: int) -> timedelta:
    """Double the wait with each failure, to five minutes; spread by a key, so that retries do not march."""
    spread = 0.75 + zlib.crc32(f"{key}:{failures}".encode()) / 2**33
    doubled: timedelta = FIRST_RETRY * 2 ** min(failures, 10)
    return min(doubled, LONGEST_RETRY) * spread


def _tell_end(delivery: Delivery, problem: str) -> None:
    """Log that a message is given up, and what can be done about it."""
    match delivery.told:
        case AlertMessage():
            remedy = "it is tried again once the alert changes, and a thread that waits for it goes on then"
        case ThreadMessage():
            remedy = "that line of its thread is left out; /minerpulse history still has the alert"
        case NoticeMessage():
            remedy = "it is tried again once it has more to tell"
        case _:
            assert_never(delivery.told)
    log.error("%s is given up after %d tries, %s: %s", delivery.told.name, TRIES, remedy, problem)


def _settled(wait: timedelta, delivery: Delivery, *, unsure: bool) -> timedelta:
    """Wait long enough for a look-up to tell, where a message may be on its way; an edit may be made twice."""
    return max(wait, SETTLES) if unsure and delivery.message_id is None else wait
