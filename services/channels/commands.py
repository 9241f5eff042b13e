"""What people ask for: the board, rules, acknowledgements, snoozes and history of one channel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.alerting.alert import ActorStamp, Alert, Entry, EntryKind, close
from services.alerting.brief import Brief, Occasion
from services.alerting.feedback import Votes
from services.alerting.notice import CoverageReport
from services.alerting.quiet_hours import Silence
from services.alerting.records import AlertAudit, AlertChange, ChannelRule
from services.alerting.snooze import SnoozeUntil, end_of
from services.channels.briefs import BriefBuilder
from services.channels.charts import ChartRequest, ChartResult, build_chart
from services.channels.coverage import build_coverage
from services.channels.home import ChannelSummary, channels_of_user
from services.channels.rule_commands import RuleCommands, retry_on_conflict
from services.channels.settings import Channels
from services.channels.source_status import SourceStatus, source_status
from services.core.errors import NoHistoryError
from services.core.identity import Channel
from services.delivery.ports import DeliveryProblem
from services.market.measure import Window
from services.research.preview import RulePreview, preview_rule
from services.rules.grammar import parse_rule
from services.rules.market_service import MarketView
from services.rules.rule import Rule

HISTORY_LENGTH = 10
BY_HAND = "ended by hand"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Board:
    """The market as one channel sees it: the view, its open alerts and its rules.

    `troubles` are what keeps messages of its workspace from arriving, and `silence` why nothing new is told here now.
    """

    view: MarketView
    alerts: tuple[Alert, ...]
    watches: tuple[ChannelRule, ...]
    troubles: tuple[DeliveryProblem, ...] = ()
    silence: Silence | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Overview:
    """The market and one person's channels; `view` is None, with the `problem`, before any prices."""

    view: MarketView | None
    problem: str
    places: tuple[ChannelSummary, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """An alert after a person's action; `changed` is False where there was nothing left to do."""

    alert: Alert
    changed: bool


@dataclass(slots=True)
class ChannelCommands(RuleCommands):
    """The commands of people; whatever they change is stored before they are answered, then delivered."""

    every: timedelta = timedelta(minutes=1)

    async def board(self, channel: Channel) -> Board:
        """Measure the market now, with what is open in the channel. Raises NoHistoryError before any prices."""
        view = await self.market.view(self.pair, self.clock.now())
        stored = await self.store.open_alerts(channel)
        return Board(
            view=view,
            alerts=tuple(one.alert for one in stored),
            watches=tuple(await self.store.rules(channel)),
            troubles=tuple(await self.store.troubles(channel.team)),
            silence=await self.channels.silence(channel),
        )

    async def proof(self, channel: Channel) -> CoverageReport:
        """Prove what was looked at in the session that is open, or in the last one."""
        return await build_coverage(self.store, self.market, channel, self.clock.now(), self.every)

    async def brief(self, channel: Channel) -> Brief:
        """Put together what moved, what is unusual, what became of alerts and what to watch, as of now."""
        return await BriefBuilder(self.store, self.market, self.pair).brief(channel, Occasion.NOW, self.clock.now())

    @property
    def channels(self) -> Channels:
        """The settings of channels."""
        return Channels(
            store=self.store,
            history=self.market.history,
            clock=self.clock,
            nudge=self.nudge,
            editors=self.editors,
        )

    async def view(self) -> MarketView:
        """Measure the board's pair now. Raises NoHistoryError before any prices."""
        return await self.market.view(self.pair, self.clock.now())

    async def overview(self, team: str, person: str) -> Overview:
        """Put together what one person sees outside any channel; without any prices, with the reason in their place."""
        view, problem = None, ""
        try:
            view = await self.view()
        except NoHistoryError as error:
            problem = str(error)
        return Overview(view=view, problem=problem, places=await channels_of_user(self.store, team, person))

    async def provenance(self) -> SourceStatus:
        """Tell how each source of the board's pair stands."""
        return await source_status(self.market, self.pair, self.clock.now())

    async def trial(self, text: str) -> RulePreview:
        """Tell how often a rule would have fired of late. Raises RuleError, and NoHistoryError without any prices."""
        return await preview_rule(self.market, parse_rule(text, self.pair), self.pair, self.clock.now())

    async def chart(self, channel: Channel, window: Window, rule: Rule | None = None) -> ChartResult:
        """Draw both legs of a rule's pair, of the board's without one, over a window. Raises NoHistoryError."""
        wanted = ChartRequest(rule.pair if rule else self.pair, window, rule)
        return await build_chart(self.market, self.store, channel, wanted, self.clock.now())

    async def acknowledge(self, channel: Channel, alert_id: int, by: str) -> Outcome:
        """Mark an open alert as seen by a person; the first one stands. Raises NotFoundError."""
        now = self.clock.now()

        def change(alert: Alert) -> tuple[Alert, Entry] | None:
            if alert.closed_at or alert.acknowledged:
                return None
            entry = Entry(kind=EntryKind.ACKNOWLEDGED, at=now, by=by, reason="a person has seen it")
            return replace(alert, acknowledged=ActorStamp(by=by, at=now)), entry

        return await self._amend(channel, alert_id, change, now)

    async def unacknowledge(self, channel: Channel, alert_id: int, by: str) -> Outcome:
        """Take the mark off an open alert again, whoever has set it. Raises NotFoundError."""
        now = self.clock.now()

        def change(alert: Alert) -> tuple[Alert, Entry] | None:
            if alert.closed_at or not alert.acknowledged:
                return None
            entry = Entry(kind=EntryKind.UNACKNOWLEDGED, at=now, by=by, reason="nobody sees to it")
            return replace(alert, acknowledged=None, unseen_since=now, escalated_at=None), entry

        return await self._amend(channel, alert_id, change, now)

    async def resolve(self, channel: Channel, alert_id: int, by: str, reason: str) -> Outcome:
        """End an open alert by hand, for a reason that may be empty. Raises NotFoundError.

        Its rules stay as they are, past their thresholds: each fires again only once it has cleared.
        """
        now = self.clock.now()
        why = f"{BY_HAND}: {reason}" if reason else BY_HAND

        def change(alert: Alert) -> tuple[Alert, Entry] | None:
            if alert.closed_at:
                return None
            told = f"{why}; a rule of it fires again once it has cleared"
            return close(alert, now, told), Entry(kind=EntryKind.RESOLVED, at=now, by=by, reason=told)

        return await self._amend(channel, alert_id, change, now)

    async def snooze(self, channel: Channel, alert_id: int, by: str, span: SnoozeUntil | timedelta) -> Outcome:
        """Keep an open alert's thread silent for a while; its end is still told.

        Raises NotFoundError, and MarketShutError where there is no close to wait for.
        """
        now = self.clock.now()
        until = end_of(span, self.market.history.sessions(now).state(now), now)

        def change(alert: Alert) -> tuple[Alert, Entry] | None:
            if alert.closed_at:
                return None
            entry = Entry(kind=EntryKind.SNOOZED, at=now, by=by, until=until, reason="a person asked for silence")
            return replace(alert, snoozed=ActorStamp(by=by, at=now, until=until)), entry

        return await self._amend(channel, alert_id, change, now)

    async def history(self, channel: Channel) -> list[Alert]:
        """List a channel's last alerts, newest first."""
        return await self.store.history(channel, HISTORY_LENGTH)

    async def vote(self, channel: Channel, alert_id: int, by: str, *, noise: bool) -> Votes:
        """Keep what a person says of an alert: noise, or useful; the last word counts. Raises NotFoundError."""
        return await self.store.vote(channel, alert_id, by, self.clock.now(), noise=noise)

    async def votes(self, channel: Channel) -> dict[int, Votes]:
        """Count what people said of the alerts of a channel."""
        return await self.store.votes(channel)

    async def alert(self, channel: Channel, alert_id: int) -> Alert:
        """Give one alert of this channel, open or closed. Raises NotFoundError."""
        return (await self.store.alert(channel, alert_id)).alert

    async def open_alerts(self, channel: Channel) -> list[Alert]:
        """List a channel's open alerts, oldest first."""
        return [stored.alert for stored in await self.store.open_alerts(channel)]

    async def receipt(self, channel: Channel, alert_id: int | None) -> AlertAudit:
        """Give all that is known of one alert of this channel, or of its newest. Raises NotFoundError."""
        return await self.store.receipt(channel, alert_id)

    async def _amend(
        self,
        channel: Channel,
        alert_id: int,
        change: Callable[[Alert], tuple[Alert, Entry] | None],
        now: datetime,
    ) -> Outcome:
        async def amend() -> Outcome:
            stored = await self.store.alert(channel, alert_id)
            changed = change(stored.alert)
            if changed is None:
                return Outcome(alert=stored.alert, changed=False)
            alert, entry = changed
            await self.store.record([], [AlertChange(alert=alert, revision=stored.revision, entries=(entry,))], now)
            return Outcome(alert=alert, changed=True)

        outcome = await retry_on_conflict(amend)
        if outcome.changed:
            self.nudge()
        return outcome
