"""What people ask for: the board, rules, acknowledgements, snoozes and history of one channel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from services.briefs import Briefing
from services.channels import Channels
from services.charting import Charted, Wanted, charted
from services.domain.brief import Occasion
from services.domain.episode import Entry, EntryKind, Mark, close
from services.domain.errors import NoHistoryError
from services.domain.grammar import parse_rule
from services.domain.snooze import end_of
from services.places import places
from services.ports import AlertChange
from services.proof import prove
from services.provenance import provenance
from services.rules import RuleDesk, insist
from services.trial import tried

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from services.domain.brief import Brief
    from services.domain.episode import Alert, Channel
    from services.domain.measure import Window
    from services.domain.noise import Votes
    from services.domain.notice import Daily
    from services.domain.rule import Rule
    from services.domain.silence import Silence
    from services.domain.snooze import Span
    from services.market import MarketView
    from services.places import Place
    from services.ports import Receipt, Trouble, Watch
    from services.provenance import Provenance
    from services.trial import Trial

HISTORY_LENGTH = 10
BY_HAND = "ended by hand"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Board:
    """The market as one channel sees it: the view, its open alerts and its rules.

    `troubles` are what keeps messages of its workspace from arriving, and `silence` why nothing new is told here now.
    """

    view: MarketView
    alerts: tuple[Alert, ...]
    watches: tuple[Watch, ...]
    troubles: tuple[Trouble, ...] = ()
    silence: Silence | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Overview:
    """The market and one person's channels; `view` is None, with the `problem`, before any prices."""

    view: MarketView | None
    problem: str
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """An alert after a person's action; `changed` is False where there was nothing left to do."""

    alert: Alert
    changed: bool


@dataclass(slots=True)
class Desk(RuleDesk):
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

    async def proof(self, channel: Channel) -> Daily:
        """Prove what was looked at in the session that is open, or in the last one."""
        return await prove(self.store, self.market, channel, self.clock.now(), self.every)

    async def brief(self, channel: Channel) -> Brief:
        """Put together what moved, what is unusual, what became of alerts and what to watch, as of now."""
        return await Briefing(self.store, self.market, self.pair).brief(channel, Occasion.NOW, self.clock.now())

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
        return Overview(view=view, problem=problem, places=await places(self.store, team, person))

    async def provenance(self) -> Provenance:
        """Tell how each source of the board's pair stands."""
        return await provenance(self.market, self.pair, self.clock.now())

    async def trial(self, text: str) -> Trial:
        """Tell how often a rule would have fired of late. Raises RuleError, and NoHistoryError without any prices."""
        return await tried(self.market, parse_rule(text, self.pair), self.pair, self.clock.now())

    async def chart(self, channel: Channel, window: Window, rule: Rule | None = None) -> Charted:
        """Draw both legs of a rule's pair, of the board's without one, over a window. Raises NoHistoryError."""
        wanted = Wanted(rule.pair if rule else self.pair, window, rule)
        return await charted(self.market, self.store, channel, wanted, self.clock.now())

    async def acknowledge(self, channel: Channel, alert_id: int, by: str) -> Outcome:
        """Mark an open alert as seen by a person; the first one stands. Raises NotFoundError."""
        now = self.clock.now()

        def change(alert: Alert) -> tuple[Alert, Entry] | None:
            if alert.closed_at or alert.acknowledged:
                return None
            entry = Entry(kind=EntryKind.ACKNOWLEDGED, at=now, by=by, reason="a person has seen it")
            return replace(alert, acknowledged=Mark(by=by, at=now)), entry

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

    async def snooze(self, channel: Channel, alert_id: int, by: str, span: Span | timedelta) -> Outcome:
        """Keep an open alert's thread silent for a while; its end is still told.

        Raises NotFoundError, and MarketShutError where there is no close to wait for.
        """
        now = self.clock.now()
        until = end_of(span, self.market.history.sessions(now).state(now), now)

        def change(alert: Alert) -> tuple[Alert, Entry] | None:
            if alert.closed_at:
                return None
            entry = Entry(kind=EntryKind.SNOOZED, at=now, by=by, until=until, reason="a person asked for silence")
            return replace(alert, snoozed=Mark(by=by, at=now, until=until)), entry

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

    async def receipt(self, channel: Channel, alert_id: int | None) -> Receipt:
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

        outcome = await insist(amend)
        if outcome.changed:
            self.nudge()
        return outcome
