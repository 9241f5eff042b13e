"""Commands on one channel: board, acknowledgements, snoozes, history, briefs and charts."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256

from services.alerting.alert import ActorStamp, Alert, EntryKind, TimelineEntry, Votes, close
from services.alerting.channel_settings import Occasion
from services.alerting.notice import Brief, CoverageReport
from services.alerting.ports import AlertAudit, AlertChange, ChannelRule
from services.alerting.quiet_hours import Mute, Silence, mute_of
from services.alerting.snooze import SnoozeUntil, snooze_end
from services.channels.briefs import BriefBuilder
from services.channels.charts import ChartRequest, ChartResult, build_chart
from services.channels.coverage import build_coverage
from services.channels.drill import DrillStart, start_drill
from services.channels.home import ChannelSummary, channels_of_user
from services.channels.permissions import Act, act_of_resolve, act_of_snooze
from services.channels.rule_commands import RuleCommands, change_notice
from services.channels.settings import SettingCommands
from services.channels.source_status import RefusedKey, SourceStatus, refused_keys, source_status
from services.core.concurrency import retry_on_conflict
from services.core.errors import NoHistoryError
from services.core.identity import Channel
from services.core.prices import Pair
from services.core.reason import Code, Reason
from services.delivery.pages import SinkDirectory
from services.delivery.ports import DeliveryProblem
from services.market.measure import Window
from services.research.service import RulePreview, preview_rule
from services.rules.grammar import parse_rule
from services.rules.market_view import MarketView
from services.rules.rule import Rule

HISTORY_LENGTH = 10
RULES_MEASURED = 40  # as many as one message can list with a menu each

MESSAGES_HINT_TTL = timedelta(days=90)
ANNOUNCEMENT_TTL = timedelta(minutes=1)  # longer than a post and saving the rules take


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Board:
    """The market as one channel sees it.

    Attributes:
        alerts: Open alerts of the channel.
        rules: Rules of the channel.
        delivery_problems: What stops messages from arriving here; for editors of the whole installation, also in the
            other channels of the workspace, which others don't learn about.
        silence: Why nothing new is posted in the channel now; None if it is not silent.
        mute: The mute that a person set; None without one.
        refused_keys: For editors, sources that refuse their API key.
    """

    view: MarketView
    alerts: tuple[Alert, ...]
    rules: tuple[ChannelRule, ...]
    delivery_problems: tuple[DeliveryProblem, ...] = ()
    silence: Silence | None = None
    mute: Mute | None = None
    refused_keys: tuple[RefusedKey, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Overview:
    """The market and one person's channels; `view` is None, with the `problem`, if there are no prices yet.

    Attributes:
        channels: A page of the channels that the person is a member of; None if it is unknown which those are.
        page: The number of the page, from 0 to `page_count` - 1.
    """

    view: MarketView | None
    problem: Reason | str
    channels: tuple[ChannelSummary, ...] | None
    page: int = 0
    page_count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFigures:
    """The value of a rule's metric now, None if it can't be measured, and what the rule would have done before."""

    value: float | None
    preview: RulePreview


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertOutcome:
    """An alert after a person's action; `changed` is False if there was nothing to do."""

    alert: Alert
    changed: bool


def _line_of(act: Act, alert: Alert) -> Reason | None:
    """Return the line about what only editors may do with an alert; its own message and thread show the rest."""
    match act:
        case Act.SNOOZE_LONG:
            until = alert.snoozed and alert.snoozed.until
            return Reason.of(Code.ALERT_SNOOZED_LONG, number=alert.id, until=until)
        case Act.RESOLVE_EARLY:
            return Reason.of(Code.ALERT_RESOLVED_EARLY, number=alert.id)
        case _:
            return None


def _announcement(channel: Channel) -> str:
    return f"announcement:{channel.team}:{channel.id}"


def _messages_hint(team: str, person: str) -> str:
    return f"messages:{sha256(f'{team}:{person}'.encode()).hexdigest()}"  # so that the key names no person


@dataclass(slots=True)
class ChannelCommands(RuleCommands):
    """Commands of people in a channel; each change is stored before the answer, then delivered."""

    interval: timedelta = timedelta(minutes=1)
    sinks: SinkDirectory | None = None

    async def board(self, channel: Channel, reader: str | None = None, pair: Pair | None = None) -> Board:
        """Measure the market of a pair now, by default the usual one, with the channel's open alerts and rules.

        Without a `reader` everyone in the channel reads it. Raises NoHistoryError if there are no prices yet.
        """
        now = self.clock.now()
        view = await self.market.view(pair or self.pair, now)
        stored_alerts = await self.store.open_alerts(channel)
        sees_all = reader is not None and self.permissions.is_installation_editor(reader)
        problems = await self.store.delivery_problems(channel.team)
        settings = (await self.store.channel(channel)).settings
        is_editor = reader is not None and self.permissions.allows(Act.CHANGE_SETTINGS, settings, reader)
        return Board(
            view=view,
            alerts=tuple(stored_alert.alert for stored_alert in stored_alerts),
            rules=tuple(await self.store.rules(channel)),
            delivery_problems=tuple(problem for problem in problems if sees_all or problem.channel == channel),
            silence=await self.settings.silence(channel),
            mute=mute_of(settings, now),
            refused_keys=refused_keys(self.market.history.refused_keys) if is_editor else (),
        )

    async def claim_announcement(self, channel: Channel) -> bool:
        """Return whether no process announces alerts in a channel; for a minute, it is this one that does."""
        return await self.store.claim_key(_announcement(channel), now=self.clock.now(), ttl=ANNOUNCEMENT_TTL)

    async def release_announcement(self, channel: Channel) -> None:
        """Release the claim of an announcement that failed, so that the next attempt can claim it."""
        await self.store.release_key(_announcement(channel))

    async def claim_messages_hint(self, team: str, person: str) -> bool:
        """Return whether this person has not been shown how to ask the app for 90 days; for the next 90, they have."""
        return await self.store.claim_key(_messages_hint(team, person), now=self.clock.now(), ttl=MESSAGES_HINT_TTL)

    async def release_messages_hint(self, team: str, person: str) -> None:
        """Release the claim of a hint that was not posted."""
        await self.store.release_key(_messages_hint(team, person))

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
            sinks=self.sinks,
        )

    async def view(self) -> MarketView:
        """Measure the board's pair now. Raises NoHistoryError if there are no prices yet."""
        return await self.market.view(self.pair, self.clock.now())

    async def overview(self, team: str, person: str, member_of: Collection[str] | None, page: int = 0) -> Overview:
        """Build a person's overview of the channels that they are a member of, by id; None hides all channels.

        Without prices it has the reason instead of a view.
        """
        view: MarketView | None = None
        problem: Reason | str = ""
        try:
            view = await self.view()
        except NoHistoryError as error:
            problem = error.reason
        if member_of is None:
            return Overview(view=view, problem=problem, channels=None)
        found = await channels_of_user(self.store, team, person, member_of, page)
        return Overview(
            view=view, problem=problem, channels=found.channels, page=found.page, page_count=found.page_count
        )

    async def has_acted_in(self, channel: Channel, person: str) -> bool:
        """Return whether a person has changed a rule or acted on an alert in a channel."""
        return channel in await self.store.channels_of(channel.team, person)

    async def source_status(self) -> SourceStatus:
        """Return the status of each source of the board's pair."""
        return await source_status(self.market, self.pair, self.clock.now())

    async def preview(self, text: str, saved: Rule | None = None) -> RulePreview:
        """Return how often a rule would have fired in two years, beside the `saved` rule that it would replace.

        Raises RuleError, and NoHistoryError if there are no prices yet.
        """
        return await preview_rule(self.market, parse_rule(text, self.pair), self.pair, self.clock.now(), saved)

    async def rule_figures(self, rules: Sequence[ChannelRule]) -> dict[int, RuleFigures]:
        """Return what is known of the first 40 rules without waiting for prices of a new pair, by id."""
        now, figures = self.clock.now(), dict[int, RuleFigures]()
        for one in rules[:RULES_MEASURED]:
            if not self.market.has_history(one.rule.pair):
                continue
            try:
                view = await self._view_for(one.rule, now)
                preview = await preview_rule(self.market, one.rule, self.pair, now)
            except NoHistoryError:
                continue
            figures[one.id] = RuleFigures(value=view.observe(one.rule).value, preview=preview)
        return figures

    async def _view_for(self, rule: Rule, now: datetime) -> MarketView:
        if rule.metric.needs_network:
            return await self.market.view_with_network(rule.pair, now)
        return await self.market.view(rule.pair, now)

    async def chart(
        self, channel: Channel, window: Window, rule: Rule | None = None, *, pair: Pair | None = None
    ) -> ChartResult:
        """Chart both legs of the rule's pair, or of `pair`, by default the usual one. Raises NoHistoryError."""
        request = ChartRequest(rule.pair if rule else pair or self.pair, window, rule)
        return await build_chart(self.market, self.store, channel, request, self.clock.now())

    async def acknowledge(self, channel: Channel, alert_id: int, by: str) -> AlertOutcome:
        """Acknowledge an open alert; the first acknowledgement wins. Raises NotFoundError."""
        now = self.clock.now()

        def change(alert: Alert) -> tuple[Alert, TimelineEntry] | None:
            if alert.closed_at or alert.acknowledged:
                return None
            entry = TimelineEntry(kind=EntryKind.ACKNOWLEDGED, at=now, by=by, reason=Reason.of(Code.SEEN))
            return replace(alert, acknowledged=ActorStamp(by=by, at=now)), entry

        return await self._change_alert(channel, alert_id, change, now, by=by, act_on=lambda _alert: Act.ACKNOWLEDGE)

    async def unacknowledge(self, channel: Channel, alert_id: int, by: str) -> AlertOutcome:
        """Remove the acknowledgement of an open alert, no matter who set it. Raises NotFoundError."""
        now = self.clock.now()

        def change(alert: Alert) -> tuple[Alert, TimelineEntry] | None:
            if alert.closed_at or not alert.acknowledged:
                return None
            entry = TimelineEntry(kind=EntryKind.UNACKNOWLEDGED, at=now, by=by, reason=Reason.of(Code.UNSEEN))
            return replace(alert, acknowledged=None, unacknowledged_since=now, escalated_at=None), entry

        return await self._change_alert(channel, alert_id, change, now, by=by, act_on=lambda _alert: Act.ACKNOWLEDGE)

    async def resolve(self, channel: Channel, alert_id: int, by: str, reason: str) -> AlertOutcome:
        """Resolve an open alert by hand; the reason may be empty. Raises NotFoundError or NotAllowedError.

        Its rules stay past their thresholds: each fires again only after it has cleared.
        """
        now = self.clock.now()
        ended = Reason.of(Code.ENDED_BY_HAND, note=reason)

        def change(alert: Alert) -> tuple[Alert, TimelineEntry] | None:
            if alert.closed_at:
                return None
            return close(alert, now, ended, by), TimelineEntry(kind=EntryKind.RESOLVED, at=now, by=by, reason=ended)

        return await self._change_alert(channel, alert_id, change, now, by=by, act_on=act_of_resolve)

    async def snooze(self, channel: Channel, alert_id: int, by: str, span: SnoozeUntil | timedelta) -> AlertOutcome:
        """Snooze an open alert's thread; its resolution is still posted.

        Raises NotFoundError, NotAllowedError, and MarketClosedError if there is no close to wait for.
        """
        now = self.clock.now()
        until = snooze_end(span, self.market.history.sessions(now).state_at(now), now)

        def change(alert: Alert) -> tuple[Alert, TimelineEntry] | None:
            if alert.closed_at:
                return None
            entry = TimelineEntry(kind=EntryKind.SNOOZED, at=now, by=by, until=until, reason=Reason.of(Code.SNOOZED))
            return replace(alert, snoozed=ActorStamp(by=by, at=now, until=until)), entry

        return await self._change_alert(
            channel, alert_id, change, now, by=by, act_on=lambda _alert: act_of_snooze(until - now)
        )

    async def unsnooze(self, channel: Channel, alert_id: int, by: str) -> AlertOutcome:
        """End the snooze of an open alert now, no matter who set it; reminders start to count. Raises NotFoundError."""
        now = self.clock.now()

        def change(alert: Alert) -> tuple[Alert, TimelineEntry] | None:
            if alert.closed_at or alert.snoozed is None or not alert.is_snoozed(now):
                return None
            entry = TimelineEntry(kind=EntryKind.UNSNOOZED, at=now, by=by, reason=Reason.of(Code.UNSNOOZED))
            return replace(alert, snoozed=replace(alert.snoozed, until=now)), entry

        return await self._change_alert(channel, alert_id, change, now, by=by, act_on=lambda _alert: Act.SNOOZE)

    async def start_drill(self, channel: Channel, by: str) -> DrillStart:
        """Post a test alert unless one is open or the channel is silent. Raises NotAllowedError or NoHistoryError."""
        await self.authorize(channel, Act.DRILL, by)
        started = await start_drill(self.store, self.market, channel, self.pair, by=by, now=self.clock.now())
        if started.is_new:
            self.nudge()
        return started

    async def history(self, channel: Channel) -> list[Alert]:
        """Return a channel's last alerts, newest first."""
        return await self.store.history(channel, HISTORY_LENGTH)

    async def vote(self, channel: Channel, alert_id: int, by: str, *, noise: bool) -> Votes:
        """Save a person's vote on an alert, noise or useful; the last vote counts.

        Raises NotFoundError or NotAllowedError.
        """
        await self.authorize(channel, Act.VOTE, by)
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
        *,
        by: str,
        act_on: Callable[[Alert], Act],
    ) -> AlertOutcome:
        """Change an alert if the person may. Raises NotFoundError or NotAllowedError."""

        async def amend() -> AlertOutcome:
            stored = await self.store.alert(channel, alert_id)
            changed = change(stored.alert)
            if changed is None:
                return AlertOutcome(alert=stored.alert, changed=False)
            act = act_on(stored.alert)
            await self.authorize(channel, act, by)
            alert, entry = changed
            change_of_alert = AlertChange(alert=alert, revision=stored.revision, entries=(entry,))
            notices = [change_notice(channel, by, line, now)] if (line := _line_of(act, alert)) else []
            await self.store.record([], [change_of_alert], now, notices=notices)
            return AlertOutcome(alert=alert, changed=True)

        outcome = await retry_on_conflict(amend)
        if outcome.changed:
            self.nudge()
        return outcome
