"""A draft: one open alert on its way to its next revision, and what its thread is to hear of that."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial

from services.alerting.alert import (
    Alert,
    Entry,
    EntryKind,
    close,
    with_chart,
    with_hit,
    with_observation,
    with_rule,
    without_rule,
)
from services.alerting.alert_news import corrected, is_recovering, repeated, report_changes, retracted, worsened
from services.alerting.records import AlertChange
from services.alerting.rule_hit import RuleHit, open_hit, recheck
from services.rules.decide import Observation
from services.rules.grammar import parse_rule
from services.rules.history_lookup import HistoryLookup
from services.rules.market_service import MarketView
from services.rules.rule import Rule

REFRESH_EVERY = timedelta(minutes=15)


@dataclass(slots=True)
class AlertUpdate:
    """An open alert as it changes at the moment `at`; `told` is what its message says now, None for a new one.

    `retractions` say which of its rules would not have fired.
    """

    alert: Alert
    revision: int
    told: Alert | None
    at: datetime
    entries: list[Entry] = field(default_factory=list)
    retractions: list[str] = field(default_factory=list)

    @property
    def active(self) -> list[RuleHit]:
        """The rules that keep it open, by what they saw."""
        return [fact for fact in self.alert.facts if fact.active]

    @property
    def quiet(self) -> bool:
        """Whether its thread is to hear nothing now but its end."""
        return self.alert.is_snoozed(self.at)

    def change(self, past: HistoryLookup | None = None) -> AlertChange | None:
        """Give what is to be recorded; None where nothing is worth an edit of the message.

        Worth it are an entry, a new peak, a close in the place of a live price, a rule that was changed, or that begins
        or ceases to recover, simulated prices in the place of real ones, and prices 15 minutes newer than those in the
        message. That alone decides: what its chart shows is drawn from the `past` for such an edit, and never asks for
        one. Without a past the chart stays as it is.
        """
        if self.told is not None and not self.entries and not _worth_telling(self.told, self.alert):
            return None
        alert = self.alert if past is None else with_chart(self.alert, past)
        return AlertChange(alert=alert, revision=self.revision, entries=tuple(self.entries))

    def fired(self, reason: str) -> None:
        """Note that it has opened; its own message tells that."""
        self._note(EntryKind.FIRED, reason, silent=True)

    def join(self, fact: RuleHit, reason: str) -> None:
        """Let one more rule keep it open; rules that fire together are told together."""
        self.alert = replace(with_rule(self.alert, fact), reason=reason)
        self._note(EntryKind.JOINED, reason, silent=self.told is None or self.quiet)

    def leave(
        self,
        rule_id: int,
        reason: str,
        *,
        at: datetime | None = None,
        by: str | None = None,
        note: EntryKind = EntryKind.LEFT,
    ) -> None:
        """Let a rule go, and close the alert after the last one as of `at`, the instant of the prices."""
        self.alert = without_rule(self.alert, rule_id)
        self._close_or_note(reason, at=at or self.at, by=by, note=note)

    def resolve(self, rule: Rule, rule_id: int, observation: Observation, view: MarketView, reason: str) -> None:
        """Let a rule that has cleared go, with what it saw last."""
        self._see(rule, rule_id, observation, view)
        self.leave(rule_id, reason, at=max(observation.at, self.alert.opened_at))

    def refresh(self, view: MarketView) -> None:
        """Bring what its rules see up to date."""
        for fact in self.active:
            rule = parse_rule(fact.rule)
            observation = view.observe(rule)
            if observation.value is not None and view.legs(rule) is not None:
                self._see(rule, fact.rule_id, observation, view)

    def adopt(self, fact: RuleHit, rule: Rule, view: MarketView) -> None:
        """Follow a rule that was changed by what it says now, once that can be measured.

        One that looks at the same as before keeps what it has seen; another begins anew.
        """
        observation, measurement = view.observe(rule), view.legs(rule)
        if _looks_at_the_same(parse_rule(fact.rule), rule):
            self.alert = with_hit(self.alert, replace(fact, rule=str(rule)))
        elif observation.value is not None and measurement is not None:
            seen = partial(open_hit, fact.rule_id, rule, observation.value)
            self.alert = with_hit(self.alert, seen(at=observation.at, measurement=measurement, now=self.at))

    def edit(self, rule_id: int, before: Rule, after: Rule, by: str) -> None:
        """Note that a person has changed a rule; what is measured anew waits for `adopt`."""
        if _looks_at_the_same(before, after):
            facts = [fact for fact in self.alert.facts if fact.rule_id == rule_id]
            self.alert = with_hit(self.alert, replace(facts[0], rule=str(after)))
        self._note(EntryKind.EDITED, f"{before} is now {after}", by=by, silent=self.quiet)

    def mention(self, what: str, by: str) -> None:
        """Note what a person has changed in the channel beside this alert."""
        self._note(EntryKind.CHANGED, what, by=by, silent=self.quiet)

    def correct(self, view: MarketView) -> list[int]:
        """Tell where a close that was told has another value now; give the rules that would not have fired."""
        told, gone, side = [], [], self.alert.side
        for fact in self.active:
            rule = parse_rule(fact.rule)
            after, corrections = recheck(fact, side, partial(view.recall, rule))
            observation = view.observe(rule)
            if why := retracted(fact, after, side, corrections, observation.value):
                after = replace(after, active=False, retracted=True)
                self.alert = _restamp(self.alert, rule, observation, view)
                self.retractions.append(why)
                gone.append(fact.rule_id)
            elif text := corrected(fact, after, side, corrections):
                after = report_changes(after, self.at)
                told.append(text)
            self.alert = with_hit(self.alert, after)
        if told:
            self._note(EntryKind.CORRECTED, ", ".join(told), silent=self.quiet)
        return gone

    def settle(self) -> None:
        """Tell of the rules that would not have fired, once others have joined."""
        if self.retractions:
            self._close_or_note(", ".join(self.retractions), at=self.at, end=EntryKind.RETRACTED)

    def tell_news(self) -> None:
        """Tell where it has worsened, or is to be repeated; in a snooze nothing, which is told once that is over."""
        if self.quiet:
            return
        self._tell_worsening()
        if self.alert.acknowledged is None:
            self._tell_again()

    def _tell_worsening(self) -> None:
        """Tell how far the peaks have grown, where no other rule that fired tells it already.

        The peaks of an alert that an older version has recorded count as told from now on.
        """
        told = {fact.rule_id: worsened(fact, self.alert.side) for fact in self.active}
        self._mark_told(fact for fact in self.active if told[fact.rule_id] is not None or fact.told is None)
        if news := [text for text in told.values() if text is not None]:
            joined = any(entry.kind is EntryKind.JOINED for entry in self.entries)
            self._note(EntryKind.WORSENED, ", ".join(news), silent=joined)

    def _tell_again(self) -> None:
        due = {fact.rule_id: repeated(fact, self.alert.side, self.at) for fact in self.active}
        self._mark_told(fact for fact in self.active if due[fact.rule_id] is not None)
        if texts := [text for text in due.values() if text is not None]:
            self._note(EntryKind.REPEATED, ", ".join(texts))

    def _mark_told(self, facts: Iterator[RuleHit]) -> None:
        for fact in list(facts):
            self.alert = with_hit(self.alert, report_changes(fact, self.at))

    def _see(self, rule: Rule, rule_id: int, observation: Observation, view: MarketView) -> None:
        measurement = view.legs(rule)
        if measurement is not None and observation.value is not None:
            self.alert = with_observation(self.alert, rule_id, observation.value, observation.at, measurement)
        self.alert = _restamp(self.alert, rule, observation, view)

    def _close_or_note(
        self,
        reason: str,
        *,
        at: datetime,
        by: str | None = None,
        note: EntryKind = EntryKind.LEFT,
        end: EntryKind = EntryKind.RESOLVED,
    ) -> None:
        """Tell that a rule has left or, after the last one, close the alert."""
        if self.active:
            self._note(note, reason, by=by, silent=self.quiet)
        else:
            self.alert = close(self.alert, at, reason)
            self._note(end, reason, by=by)

    def _note(self, kind: EntryKind, reason: str, *, by: str | None = None, silent: bool = False) -> None:
        self.entries.append(Entry(kind=kind, at=self.at, reason=reason, by=by, silent=silent))


def _looks_at_the_same(before: Rule, after: Rule) -> bool:
    return (before.metric, before.window) == (after.metric, after.window)


def _restamp(alert: Alert, rule: Rule, observation: Observation, view: MarketView) -> Alert:
    """Take over newer prices; a rule at close may look further back than the others of its alert.

    An alert that has shown simulated prices once says so to its end.
    """
    alert = replace(alert, simulated=alert.simulated or view.simulated)
    if observation.value is None or observation.at < alert.as_of:
        return alert
    etf, crypto = view.stamps(rule)
    return replace(alert, as_of=observation.at, etf=etf, crypto=crypto, trust=view.trust(rule))


def _worth_telling(told: Alert, alert: Alert) -> bool:
    return _marks(told) != _marks(alert) or alert.as_of - told.as_of >= REFRESH_EVERY


def _marks(alert: Alert) -> tuple[bool, list[tuple[str, float, bool, bool]]]:
    facts = [(fact.rule, fact.peak, fact.measurement.live, is_recovering(fact, alert.side)) for fact in alert.facts]
    return alert.simulated, facts
