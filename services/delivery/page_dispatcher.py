"""Delivery of pages: what is due, one attempt, and the handling of its outcome."""

import asyncio
import logging
import time
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from services.alerting.notice import Notice, PageFailed
from services.alerting.paging import Stage
from services.core.errors import DeliveryError, MessageRefusedError
from services.delivery.dispatcher import backoff
from services.delivery.loop import DeliveryLoop
from services.delivery.pages import PageDelivery, PageStore, Sink, SinkDirectory
from services.delivery.ports import AttemptOutcome, DeliveryMeter

ATTEMPT_TIMEOUT = timedelta(seconds=30)  # of one call; a lease is longer
HOLD = timedelta(minutes=1)  # of a sink that accepts nothing until a person acts
SINK_GONE = "The sink is no longer defined, so the alert can't be resolved there. Resolve it there manually."
log = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class PageDispatcher(DeliveryLoop):
    """Makes each sink show what the store says about an alert.

    A page is one row per alert and sink for its whole life, so the sink gets the newest state and no event is lost.
    A page is never opened once it may have been ended; an end whose answer was lost is sent again. What could not be
    opened within 6 hours is dead-lettered, and so is an end after 24 hours; the channel gets a notice.
    """

    what = "delivery of pages"

    store: PageStore
    sinks: SinkDirectory
    meter: DeliveryMeter | None = None
    _running: dict[int, asyncio.Task[None]] = field(default_factory=dict)

    async def deliver(self) -> int:
        """Deliver everything that is due now; return how many attempts were made."""
        made = 0
        while due := await self.store.due_pages(self.clock.now()):
            await asyncio.gather(*map(self.deliver_one, due))
            made += len(due)
        return made

    async def _start_round(self) -> None:
        # A lane that hangs delays no other, so a round doesn't wait for its attempts.
        for delivery in await self.store.due_pages(self.clock.now(), tuple(self._running)):
            task = asyncio.create_task(self._run_one(delivery), name=f"page {delivery.id}")
            self._running[delivery.id] = task

    async def _run_one(self, delivery: PageDelivery) -> None:
        try:
            await self.deliver_one(delivery)
        except Exception:
            log.exception("page for alert %d to %s was not recorded", delivery.alert.id, delivery.sink)
        finally:
            del self._running[delivery.id]
            self.nudge()

    async def run(self) -> None:
        """Deliver pages as they become due, until stopped, and wait for the last attempts."""
        await DeliveryLoop.run(self)  # super() fails in a class with slots
        await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def time_until_due(self) -> timedelta:
        """Return the time until a page is due, at most `max_sleep`; what runs wakes the loop when it ends."""
        due_at = None if self._running else await self.store.next_page_due_at()
        return self.until(due_at, self.clock.now())

    async def deliver_one(self, delivery: PageDelivery) -> None:
        """Try to make the sink show a page; record the attempt before it, and its outcome after it."""
        found = await self.sinks.find(delivery.channel.team, delivery.sink, delivery.config or None)
        config, sink = found or (delivery.config, None)
        leased = await self.store.lease_page(replace(delivery, config=config), self.clock.now())
        if leased is not None:
            await self._attempt(leased, sink)

    async def _attempt(self, page: PageDelivery, sink: Sink | None) -> None:
        if page.stage is Stage.ENDED and page.sent_stage is None and not page.maybe_sent:
            await self.store.page_sent(page, "", self.clock.now(), note="the alert closed before the page was sent")
            return
        if page.is_too_late(self.clock.now()):
            await self._give_up(page, "too late to deliver", maybe_sent=page.maybe_sent)
            return
        if sink is None:
            await self._give_up(page, SINK_GONE, maybe_sent=page.maybe_sent)
            return
        if not _is_wanted(page, sink):
            await self.store.page_sent(page, "", self.clock.now(), note="the sink doesn't need this update")
            return
        await self._show(page, sink)

    async def _show(self, page: PageDelivery, sink: Sink) -> None:
        started_s, outcome = time.perf_counter(), AttemptOutcome.RETRY
        try:
            async with asyncio.timeout(ATTEMPT_TIMEOUT.total_seconds()):
                reference = await sink.show(page.page)
        except TimeoutError:
            outcome = AttemptOutcome.UNSURE
            await self._retry(page, "The sink didn't respond in time.", None, maybe_sent=True)
        except MessageRefusedError as error:
            outcome = AttemptOutcome.DEAD_LETTERED
            await self._give_up(page, error.problem, maybe_sent=page.maybe_sent)
        except DeliveryError as error:
            outcome = await self._handle_error(page, error)
        except Exception as error:  # a page that cannot be written must not stop the others
            log.exception(
                "page for alert %d to %s cannot be rendered; report this traceback as a bug", page.alert.id, page.sink
            )
            await self._retry(page, f"{type(error).__name__}: {error}", None, maybe_sent=page.maybe_sent)
        else:
            outcome = AttemptOutcome.SENT
            await self.store.page_sent(page, reference, self.clock.now())
        if self.meter is not None:
            latency = self.clock.now() - page.since if outcome is AttemptOutcome.SENT and page.page.is_first else None
            self.meter.count_attempt(sink.kind, outcome, time.perf_counter() - started_s, latency)

    async def _handle_error(self, page: PageDelivery, error: DeliveryError) -> AttemptOutcome:
        """Retry later, and hold the sink if a person must fix it."""
        maybe_sent = page.maybe_sent or not error.surely_not_posted
        if error.permanent:
            await self.store.hold_sink(page.channel.team, page.sink, self.clock.now() + HOLD, error.problem)
        await self._retry(page, error.problem, error.retry_after, maybe_sent=maybe_sent)
        if error.permanent:
            return AttemptOutcome.REFUSED
        return AttemptOutcome.RETRY if error.surely_not_posted else AttemptOutcome.UNSURE

    async def _retry(self, page: PageDelivery, problem: str, wait: timedelta | None, *, maybe_sent: bool) -> None:
        if not page.attempts:
            log.warning("page for alert %d to %s failed and will be retried: %s", page.alert.id, page.sink, problem)
        retry_at = self.clock.now() + (wait or backoff(f"{page.sink}:{page.alert.id}", page.attempts))
        await self.store.page_failed(page, problem, retry_at, maybe_sent=maybe_sent)

    async def _give_up(self, page: PageDelivery, problem: str, *, maybe_sent: bool) -> None:
        log.error("page for alert %d to %s is dead-lettered: %s", page.alert.id, page.sink, problem)
        now = self.clock.now()
        await self.store.page_dead(page, problem, now, _notice(page, problem, now), maybe_sent=maybe_sent)


def _is_wanted(page: PageDelivery, sink: Sink) -> bool:
    """Return whether a sink needs a call: it shows the stage, and the stage is new, or it shows every change."""
    if page.stage not in sink.stages:
        return False
    return sink.shows_changes or page.stage is not page.sent_stage


def _notice(page: PageDelivery, problem: str, now: datetime) -> Notice:
    content = PageFailed(alert=page.alert, sink=page.sink, problem=problem, ended=page.stage is Stage.ENDED)
    name = f"page:{page.alert.id}:{page.sink}:{'end' if content.ended else 'open'}"
    return Notice(id=0, channel=page.channel, name=name, content=content, opened_at=now, closed_at=now)
