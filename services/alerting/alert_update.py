"""One open alert on its way to its next revision, with the timeline entries that it gains."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

from services.alerting.alert import (
    Alert,
    EntryKind,
    HitEnd,
    RuleHit,
    TimelineEntry,
    Widening,
    close,
    open_hit,
    recheck,
    with_chart,
    with_hit,
    with_observation,
    with_opening,
    with_pair,
    with_rule,
    without_rule,
)
from services.alerting.alert_news import (
    due_repeat,
    is_recovering,
    mark_reported,
    retraction,
    visible_correction,
    worsening,
)
from services.alerting.ports import AlertChange
from services.core.prices import Pair
from services.core.reason import Code, Reason, each_of
from services.rules.decide import Observation
from services.rules.grammar import parse_rule
from services.rules.history_lookup import HistoryLookup
from services.rules.market_view import MarketView
from services.rules.rule import Rule

REFRESH_EVERY = timedelta(minutes=15)


@dataclass(slots=True)
class AlertUpdate:
    """An open alert while it is changed.

    Attributes:
        published: The alert as its message shows it, None for a new one.
        at: Time of the update.
        retractions: Why rules of the alert would not have fired.
    """

    alert: Alert
    revision: int
    published: Alert | None
    at: datetime
    entries: list[TimelineEntry] = field(default_factory=list)
    retractions: list[Reason] = field(default_factory=list)

    @property
    def active(self) -> list[RuleHit]:
        """The hits of the rules that keep the alert open."""
        return [hit for hit in self.alert.hits if hit.active]

    @property
    def is_snoozed(self) -> bool:
        """Whether the thread gets nothing now except the resolution."""
        return self.alert.is_snoozed(self.at)

    def to_change(self, history: HistoryLookup | None = None) -> AlertChange | None:
        """Return what to save; None if nothing justifies an edit of the message.

        These justify an edit: an entry, a new peak, a close that replaces a live price, a changed rule, a rule that
        starts or
        stops recovering, simulated prices that replace real ones, and prices 15 minutes newer than the message's. The
        chart is
        drawn from `history` for such an edit and never causes one. Without a history it does not change.
        """
        if self.published is not None and not self.entries and not _needs_edit(self.published, self.alert):
            return None
        alert = self.alert if history is None else with_chart(self.alert, history)
        return AlertChange(alert=alert, revision=self.revision, entries=tuple(self.entries))

    def note_fired(self, reason: Reason) -> None:
        """Add the opening to the timeline; in the thread it is the first reply, with the context."""
        self._note(EntryKind.FIRED, reason)

    def join(self, hit: RuleHit, reason: Reason) -> None:
        """Add a rule to the alert. Rules that fire with the alert are part of its first message."""
        self.alert = replace(with_rule(self.alert, hit), reason=reason)
        if self.published is None:
            self.alert = with_opening(self.alert)
        self._note(EntryKind.JOINED, reason, silent=self.published is None or self.is_snoozed)

    def leave(
        self,
        rule_id: int,
        reason: Reason,
        *,
        at: datetime | None = None,
        by: str | None = None,
        kind: EntryKind = EntryKind.LEFT,
        ended: HitEnd,
    ) -> None:
        """Remove a rule, and close the alert after the last one as of `at`, the time of the prices."""
        self.alert = without_rule(self.alert, rule_id, ended, by)
        self._close_or_note(reason, at=at or self.at, by=by, kind=kind)

    def resolve(self, rule: Rule, rule_id: int, observation: Observation, view: MarketView, reason: Reason) -> None:
        """Remove a rule that has cleared, with its last value."""
        self._observe(rule, rule_id, observation, view)
        self.leave(rule_id, reason, at=max(observation.at, self.alert.opened_at), ended=HitEnd.CLEARED)

    def refresh(self, view: MarketView) -> None:
        """Update the values of the active rules."""
        for hit in self.active:
            rule = parse_rule(hit.rule)
            observation = view.observe(rule)
            if observation.value is not None and view.measurement(rule) is not None:
                self._observe(rule, hit.rule_id, observation, view)

    def apply_edited_rule(self, hit: RuleHit, rule: Rule, view: MarketView) -> None:
        """Apply an edited rule once it can be measured.

        If its metric and window are the same, its values stay; otherwise they are reset.
        """
        observation, measurement = view.observe(rule), view.measurement(rule)
        if _measure_the_same(parse_rule(hit.rule), rule):
            self.alert = with_hit(self.alert, replace(hit, rule=str(rule)))
        elif observation.value is not None and measurement is not None:
            fresh = open_hit(
                hit.rule_id, rule, observation.value, at=observation.at, measurement=measurement, now=self.at
            )
            self.alert = with_hit(self.alert, fresh)

    def note_edit(self, rule_id: int, before: Rule, after: Rule, by: str) -> None:
        """Add a person's edit of a rule to the timeline; `apply_edited_rule` measures it later."""
        if _measure_the_same(before, after):
            hits = [hit for hit in self.alert.hits if hit.rule_id == rule_id]
            self.alert = with_hit(self.alert, replace(hits[0], rule=str(after)))
        edited = Reason.of(Code.RULE_EDITED, before=before, after=after)
        self._note(EntryKind.EDITED, edited, by=by, silent=self.is_snoozed)

    def move(self, pair: Pair, reason: Reason, by: str) -> None:
        """Move the alert to another pair, as a person has moved its rules."""
        self.alert = with_pair(self.alert, pair, self.at)
        self._note(EntryKind.EDITED, reason, by=by, silent=self.is_snoozed)

    def note_channel_change(self, change: Reason, by: str) -> None:
        """Add a person's change in the channel that concerns no rule of this alert."""
        self._note(EntryKind.CHANGED, change, by=by, silent=self.is_snoozed)

    def correct(self, view: MarketView) -> list[int]:
        """Report corrected closes; return the ids of the rules that would not have fired."""
        corrected, retracted, side = [], [], self.alert.side
        for hit in self.active:
            rule = parse_rule(hit.rule)
            after, corrections = recheck(hit, side, partial(view.reading_at, rule))
            observation = view.observe(rule)
            if reason := retraction(hit, after, side, corrections, observation.value):
                after = replace(after, active=False, retracted=True)
                self.alert = _restamp(self.alert, rule, observation, view)
                self.retractions.append(reason)
                retracted.append(hit.rule_id)
            elif reason := visible_correction(hit, after, side, corrections):
                after = mark_reported(after, self.at)
                corrected.append(reason)
            self.alert = with_hit(self.alert, after)
        if corrected:
            self._note(EntryKind.CORRECTED, each_of(corrected), silent=self.is_snoozed)
        return retracted

    def apply_retractions(self) -> None:
        """Report the rules that would not have fired, after other rules have joined."""
        if self.retractions:
            self._close_or_note(each_of(self.retractions), at=self.at, closing_kind=EntryKind.RETRACTED)

    def report_progress(self) -> None:
        """Report a worsening, or a repeat that is due. While snoozed, nothing; it is reported after the snooze."""
        if self.is_snoozed:
            return
        self._report_worsening()
        if self.alert.acknowledged is None:
            self._report_repeats()

    def _report_worsening(self) -> None:
        """Report how far the peaks have grown, unless a rule that joined in this update reports it.

        Peaks saved by an older version without a report count as reported now.
        """
        worsened = {hit.rule_id: worsening(hit, self.alert.side) for hit in self.active}
        for hit in self.active:
            if worsened[hit.rule_id] and hit.last_reported is not None:
                widened = Widening(by=abs(hit.peak - hit.last_reported.peak), at=self.at)
                self.alert = with_hit(self.alert, replace(hit, widened=widened))
        self._mark_reported(hit for hit in self.active if worsened[hit.rule_id] or hit.last_reported is None)
        if news := [reason for reason in worsened.values() if reason is not None]:
            joined = any(entry.kind is EntryKind.JOINED for entry in self.entries)
            self._note(EntryKind.WORSENED, each_of(news), silent=joined)

    def _report_repeats(self) -> None:
        due = {hit.rule_id: due_repeat(hit, self.alert.side, self.at) for hit in self.active}
        self._mark_reported(hit for hit in self.active if due[hit.rule_id] is not None)
        if repeats := [reason for reason in due.values() if reason is not None]:
            self._note(EntryKind.REPEATED, each_of(repeats))

    def _mark_reported(self, hits: Iterator[RuleHit]) -> None:
        for hit in list(hits):
            self.alert = with_hit(self.alert, mark_reported(hit, self.at))

    def _observe(self, rule: Rule, rule_id: int, observation: Observation, view: MarketView) -> None:
        measurement = view.measurement(rule)
        if measurement is not None and observation.value is not None:
            self.alert = with_observation(self.alert, rule_id, observation.value, observation.at, measurement)
        self.alert = _restamp(self.alert, rule, observation, view)

    def _close_or_note(
        self,
        reason: Reason | str,
        *,
        at: datetime,
        by: str | None = None,
        kind: EntryKind = EntryKind.LEFT,
        closing_kind: EntryKind = EntryKind.RESOLVED,
    ) -> None:
        """Add the departure of a rule to the timeline or, if it was the last one, close the alert."""
        if self.active:
            self._note(kind, reason, by=by, silent=self.is_snoozed)
        else:
            self.alert = close(self.alert, at, reason, by)
            self._note(closing_kind, reason, by=by)

    def _note(self, kind: EntryKind, reason: Reason | str, *, by: str | None = None, silent: bool = False) -> None:
        self.entries.append(TimelineEntry(kind=kind, at=self.at, reason=reason, by=by, silent=silent))


def _measure_the_same(before: Rule, after: Rule) -> bool:
    return (before.metric, before.window) == (after.metric, after.window)


def _restamp(alert: Alert, rule: Rule, observation: Observation, view: MarketView) -> Alert:
    """Return the alert with newer prices. A rule at close may have older prices than the other rules of its alert.

    An alert that has shown simulated prices stays marked as simulated.
    """
    alert = replace(alert, simulated=alert.simulated or view.simulated)
    if observation.value is None or observation.at < alert.as_of <= view.now:  # ahead of now: the clock was set back
        return alert
    etf, crypto = view.price_stamps(rule)
    return replace(alert, as_of=observation.at, etf=etf, crypto=crypto, trust=view.trust_for(rule))


def _needs_edit(published: Alert, alert: Alert) -> bool:
    return _visible_state(published) != _visible_state(alert) or alert.as_of - published.as_of >= REFRESH_EVERY


def _visible_state(alert: Alert) -> tuple[bool, list[tuple[str, float, bool, bool]]]:
    hits = [(hit.rule, hit.peak, hit.measurement.live, is_recovering(hit, alert.side)) for hit in alert.hits]
    return alert.simulated, hits
