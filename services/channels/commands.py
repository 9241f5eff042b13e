"""Commands on one channel: board, acknowledgements, snoozes, history, briefs and charts."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from services.alerting.alert import ActorStamp, Alert, EntryKind, TimelineEntry, Votes, close
from services.alerting.channel_settings import Occasion
from services.alerting.notice import Brief, CoverageReport
from services.alerting.ports import AlertAudit, AlertChange, ChannelRule
from services.alerting.quiet_hours import Silence
from services.alerting.snooze import SnoozeUntil, snooze_end
from services.channels.briefs import BriefBuilder
from services.channels.charts import ChartRequest, ChartResult, build_chart
from services.channels.coverage import build_coverage
from services.channels.home import ChannelSummary, channels_of_user
from services.channels.rule_commands import RuleCommands
from services.channels.settings import SettingCommands
from services.channels.source_status import SourceStatus, source_status
from services.core.concurrency import retry_on_conflict
from services.core.errors import NoHistoryError
from services.core.identity import Channel
from services.core.reason import Code, Reason
from services.delivery.ports import DeliveryProblem
from services.market.measure import Window
from services.research.service import RulePreview, preview_rule
from services.rules.grammar import parse_rule
from services.rules.market_view import MarketView
from services.rules.rule import Rule

HISTORY_LENGTH = 10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Board:
    """The market as one channel sees it.

    Attributes:
        alerts: Open alerts of the channel.
        rules: Rules of the channel.
        delivery_problems: What stops messages of its workspace from arriving.
        silence: Why nothing new is posted in the channel now; None if it is not silent.
    """

    view: MarketView
    alerts: tuple[Alert, ...]
    rules: tuple[ChannelRule, ...]
    delivery_problems: tuple[DeliveryProblem, ...] = ()
    silence: Silence | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Overview:
    """The market and one person's channels; `view` is None, with the `problem`, if there are no prices yet."""

    view: MarketView | None
    problem: Reason | str
    channels: tuple[ChannelSummary, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertOutcome:
    """An alert after a person's action; `changed` is False if there was nothing to do."""

    alert: Alert
    changed: bool


@dataclass(slots=True)
class ChannelCommands(RuleCommands):
    """Commands of people in a channel; each change is stored before the answer, then delivered."""

    interval: timedelta = timedelta(minutes=1)

    async def board(self, channel: Channel) -> Board:
        """Measure the market now, with the channel's open alerts and rules.

        Raises NoHistoryError if there are no prices yet.
        """
        view = await self.market.view(self.pair, self.clock.now())
        stored_alerts = await self.store.open_alerts(channel)
        return Board(
            view=view,
            alerts=tuple(stored_alert.alert for stored_alert in stored_alerts),
            rules=tuple(await self.store.rules(channel)),
            delivery_problems=tuple(await self.store.delivery_problems(channel.team)),
            silence=await self.settings.silence(channel),
        )

    async def coverage(self, channel: Channel) -> CoverageReport:
        """Build the coverage report of the open session, or of the last one."""
        return await build_coverage(self.store, self.market, channel, self.clock.now(), self.interval)

    async def brief(self, channel: Channel) -> Brief:
        """Build a brief as of now: moves, unusual values, alerts, and what comes next."""
        return await BriefBuilder(self.store, self.market, self.pair).build(channel, Occasion.NOW, self.clock.now())

    @property
    def settings(self) -> SettingCommands:
        """Commands that change a channel's settings."""
        return SettingCommands(
            store=self.store,
            history=self.market.history,
            clock=self.clock,
            nudge=self.nudge,
            permissions=self.permissions,
        )

    async def view(self) -> MarketView:
        """Measure the board's pair now. Raises NoHistoryError if there are no prices yet."""
        return await self.market.view(self.pair, self.clock.now())

    async def overview(self, team: str, person: str) -> Overview:
        """Build a person's overview across channels; without prices it has the reason instead of a view."""
        view: MarketView | None = None
        problem: Reason | str = ""
        try:
            view = await self.view()
        except NoHistoryError as error:
            problem = error.reason
        return Overview(view=view, problem=problem, channels=await channels_of_user(self.store, team, person))

    async def source_status(self) -> SourceStatus:
        """Return the status of each source of the board's pair."""
        return await source_status(self.market, self.pair, self.clock.now())

    async def preview(self, text: str) -> RulePreview:
        """Return how often a rule would have fired in the last two years.

        Raises RuleError, and NoHistoryError if there are no prices yet.
        """
        return await preview_rule(self.market, parse_rule(text, self.pair), self.pair, self.clock.now())

    async def chart(self, channel: Channel, window: Window, rule: Rule | None = None) -> ChartResult:
        """Chart both legs of the rule's pair, or of the board's pair without a rule. Raises NoHistoryError."""
        request = ChartRequest(rule.pair if rule else self.pair, window, rule)
        return await build_chart(self.market, self.store, channel, request, self.clock.now())

    async def acknowledge(self, channel: Channel, alert_id: int, by: str) -> AlertOutcome:
        """Acknowledge an open alert; the first acknowledgement wins. Raises NotFoundError."""
        now = self.clock.now()

        def change(alert: Alert) -> tuple[Alert, TimelineEntry] | None:
            if alert.closed_at or alert.acknowledged:
                return None
            entry = TimelineEntry(kind=EntryKind.ACKNOWLEDGED, at=now, by=by, reason=Reason.of(Code.SEEN))
            return replace(alert, acknowledged=ActorStamp(by=by, at=now)), entry

        return await self._change_alert(channel, alert_id, change, now)

    async def unacknowledge(self, channel: Channel, alert_id: int, by: str) -> AlertOutcome:
        """Remove the acknowledgement of an open alert, whoever set it. Raises NotFoundError."""
        now = self.clock.now()

        def change(alert: Alert) -> tuple[Alert, TimelineEntry] | None:
            if alert.closed_at or not alert.acknowledged:
                return None
            entry = TimelineEntry(kind=EntryKind.UNACKNOWLEDGED, at=now, by=by, reason=Reason.of(Code.UNSEEN))
            return replace(alert, acknowledged=None, unacknowledged_since=now, escalated_at=None), entry

        return await self._change_alert(channel, alert_id, change, now)

    async def resolve(self, channel: Channel, alert_id: int, by: str, reason: str) -> AlertOutcome:
        """Resolve an open alert by hand; the reason may be empty. Raises NotFoundError.

        Its rules stay past their thresholds: each fires again only after it has cleared.
        """
        now = self.clock.now()
        ended = Reason.of(Code.ENDED_BY_HAND, note=reason)

        def change(alert: Alert) -> tuple[Alert, TimelineEntry] | None:
            if alert.closed_at:
                return None
            return close(alert, now, ended), TimelineEntry(kind=EntryKind.RESOLVED, at=now, by=by, reason=ended)

        return await self._change_alert(channel, alert_id, change, now)

    async def snooze(self, channel: Channel, alert_id: int, by: str, span: SnoozeUntil | timedelta) -> AlertOutcome:
        """Snooze an open alert's thread; its resolution is still posted.

        Raises NotFoundError, and MarketClosedError if there is no close to wait for.
        """
        now = self.clock.now()
        until = snooze_end(span, self.market.history.sessions(now).state_at(now), now)

        def change(alert: Alert) -> tuple[Alert, TimelineEntry] | None:
            if alert.closed_at:
                return None
            entry = TimelineEntry(kind=EntryKind.SNOOZED, at=now, by=by, until=until, reason=Reason.of(Code.SNOOZED))
            return replace(alert, snoozed=ActorStamp(by=by, at=now, until=until)), entry

        return await self._change_alert(channel, alert_id, change, now)

    async def history(self, channel: Channel) -> list[Alert]:
        """Return a channel's last alerts, newest first."""
        return await self.store.history(channel, HISTORY_LENGTH)

    async def vote(self, channel: Channel, alert_id: int, by: str, *, noise: bool) -> Votes:
        """Save a person's vote on an alert, noise or useful; the last vote counts. Raises NotFoundError."""
        return await self.store.vote(channel, alert_id, by, self.clock.now(), noise=noise)

    async def votes(self, channel: Channel) -> dict[int, Votes]:
        """Return the votes on each alert of a channel, by alert id."""
        return await self.store.votes(channel)

    async def alert(self, channel: Channel, alert_id: int) -> Alert:
        """Return one alert of this channel, open or closed. Raises NotFoundError."""
        return (await self.store.alert(channel, alert_id)).alert

    async def open_alerts(self, channel: Channel) -> list[Alert]:
        """Return a channel's open alerts, oldest first."""
        return [stored.alert for stored in await self.store.open_alerts(channel)]

    async def audit(self, channel: Channel, alert_id: int | None) -> AlertAudit:
        """Return the audit log of one alert of this channel, or of its newest one. Raises NotFoundError."""
        return await self.store.alert_audit(channel, alert_id)

    async def _change_alert(
        self,
        channel: Channel,
        alert_id: int,
        change: Callable[[Alert], tuple[Alert, TimelineEntry] | None],
        now: datetime,
    ) -> AlertOutcome:
        async def amend() -> AlertOutcome:
            stored = await self.store.alert(channel, alert_id)
            changed = change(stored.alert)
            if changed is None:
                return AlertOutcome(alert=stored.alert, changed=False)
            alert, entry = changed
            await self.store.record([], [AlertChange(alert=alert, revision=stored.revision, entries=(entry,))], now)
            return AlertOutcome(alert=alert, changed=True)

        outcome = await retry_on_conflict(amend)
        if outcome.changed:
            self.nudge()
        return outcome
