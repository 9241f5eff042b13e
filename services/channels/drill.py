"""Test alerts: a person opens one to check the set-up; it takes a real alert's path and resolves by itself."""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from services.alerting.alert import DRILL, NO_RULE, Alert, EntryKind, TimelineEntry, close, open_hit, with_opening
from services.alerting.channel_settings import ChannelSettings
from services.alerting.ports import AlertChange
from services.alerting.quiet_hours import Silence, silence_at
from services.channels.ports import ChannelStore
from services.core.concurrency import retry_on_conflict
from services.core.errors import ConflictError, NoHistoryError
from services.core.identity import Channel
from services.core.prices import Pair
from services.core.reason import Code, Reason
from services.market.measure import Measurement, NotMeasured, Window
from services.market.snapshot import Snapshot
from services.rules.decide import Side
from services.rules.grammar import parse_rule
from services.rules.market_service import MarketService
from services.rules.market_view import MarketView
from services.rules.rule import EXAMPLE

DRILL_LENGTH = timedelta(minutes=5)
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillStart:
    """The answer to a request for a test alert.

    Attributes:
        alert: The open test alert; None if the channel is silent and has none.
        is_new: Whether the request opened it.
        silence: Why nothing new is posted in the channel now; None if it is not silent.
    """

    alert: Alert | None
    is_new: bool
    settings: ChannelSettings
    silence: Silence | None


async def start_drill(
    store: ChannelStore, market: MarketService, channel: Channel, pair: Pair, *, by: str, now: datetime
) -> DrillStart:
    """Open a test alert in a channel, at most one at a time; none in a silent channel, which would not show it.

    It shows the current prices of the channel's first rule, or of `pair` without rules. Raises NoHistoryError.
    """

    async def start() -> DrillStart:
        settings = (await store.channel(channel)).settings
        silence = silence_at(settings, now, market.history.sessions(now))
        alert = await _open_drill(store, channel)
        is_new = alert is None and silence is None
        if is_new:
            rules = await store.rules(channel)
            new = _new_drill(channel, await market.view(rules[0].rule.pair if rules else pair, now), now)
            fired = TimelineEntry(kind=EntryKind.FIRED, at=now, reason=new.reason, by=by, silent=True)
            await store.record([], [AlertChange(alert=new, revision=0, entries=(fired,))], now)
            alert = await _open_drill(store, channel)
        return DrillStart(alert=alert, is_new=is_new, settings=settings, silence=silence)

    return await retry_on_conflict(start)


async def resolve_drills(store: ChannelStore, now: datetime) -> int:
    """Resolve the test alerts that have been open for five minutes; return how many.

    One that a person changes meanwhile is resolved in the next round.
    """
    resolved, reason = 0, Reason.of(Code.DRILL_ENDED)
    for stored in await store.open_alerts():
        if not stored.alert.is_drill or now - stored.alert.opened_at < DRILL_LENGTH:
            continue
        entry = TimelineEntry(kind=EntryKind.RESOLVED, at=now, reason=reason)
        change = AlertChange(alert=close(stored.alert, now, reason), revision=stored.revision, entries=(entry,))
        try:
            await store.record([], [change], now)
        except ConflictError as error:
            log.info("test alert %d has changed; retrying in the next round: %s", stored.alert.id, error)
            continue
        resolved += 1
    return resolved


async def _open_drill(store: ChannelStore, channel: Channel) -> Alert | None:
    return next((stored.alert for stored in await store.open_alerts(channel) if stored.alert.is_drill), None)


def _new_drill(channel: Channel, view: MarketView, now: datetime) -> Alert:
    """Return a test alert with the current prices, or those of the last close. Raises NoHistoryError without any."""
    measurement, snapshot = _measured(view)
    if snapshot.etf is None or snapshot.crypto is None:
        raise NoHistoryError(view.live_reason)
    rule = parse_rule(EXAMPLE, view.pair)
    alert = Alert(
        id=0,
        channel=channel,
        pair=view.pair,
        subject=DRILL,
        side=Side.ABOVE if measurement.spread >= 0 else Side.BELOW,
        opened_at=now,
        as_of=measurement.as_of,
        hits=(open_hit(NO_RULE, rule, measurement.spread, at=measurement.as_of, measurement=measurement, now=now),),
        etf=snapshot.etf,
        crypto=snapshot.crypto,
        simulated=view.simulated,
        trust=snapshot.trust_over(Window.D1),
        reason=Reason.of(Code.DRILL_STARTED),
        unacknowledged_since=now,
    )
    return with_opening(alert)


def _measured(view: MarketView) -> tuple[Measurement, Snapshot]:
    """Return the move over one session, now or else at the last close. Raises NoHistoryError if there is neither."""
    now, close = view.current.measurements[Window.D1], view.close.measurements[Window.D1]
    if not isinstance(now, NotMeasured):
        return now, view.current
    if isinstance(close, NotMeasured):
        raise NoHistoryError(close.reason)
    return close, view.close
