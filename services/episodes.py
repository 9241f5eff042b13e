"""Fold what rules decided into the open alerts of their channels: one for each channel, pair, subject and direction."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from services.domain.episode import Alert, Entry, EntryKind, Subject, close, join, leave, put, see
from services.domain.fact import first_seen, recalled
from services.domain.rule import parse_rule
from services.domain.telling import corrected, is_recovering, repeated, retracted, tell, worsened
from services.ports import AlertChange

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from services.domain.decide import Observation, Side
    from services.domain.episode import Channel
    from services.domain.fact import Fact
    from services.domain.precedent import Record
    from services.domain.prices import Pair
    from services.domain.rule import Rule
    from services.market import MarketView
    from services.ports import StoredAlert, Watch

REFRESH_EVERY = timedelta(minutes=15)
Key = tuple["Channel", "Pair", Subject, "Side"]


@dataclass(slots=True)
class Draft:
    """An open alert on its way to its next revision; `told` is what its message says now, None for a new one.

    `retractions` say which of its rules would not have fired.
    """

    alert: Alert
    revision: int
    told: Alert | None
    entries: list[Entry] = field(default_factory=list)
    retractions: list[str] = field(default_factory=list)

    def change(self) -> AlertChange | None:
        """Give what is to be recorded; None where nothing is worth an edit of the message.

        Worth it are an entry, a new peak, a close in the place of a live price, a rule that was changed, or that begins
        or ceases to recover, simulated prices in the place of real ones, and prices 15 minutes newer than those in the
        message.
        """
        if self.told is not None and not self.entries and not _worth_telling(self.told, self.alert):
            return None
        return AlertChange(alert=self.alert, revision=self.revision, entries=tuple(self.entries))


@dataclass(slots=True)
class OpenEpisodes:
    """The open alerts at the moment `at`, while the decisions of one tick are folded in.

    `records` has, for the rules that fire, how their earlier episodes went.
    """

    at: datetime
    _drafts: dict[Key, Draft] = field(default_factory=dict)
    records: Mapping[Rule, Record] = field(default_factory=dict)

    @classmethod
    def of(cls, stored: Iterable[StoredAlert], at: datetime) -> OpenEpisodes:
        """Start from what the store holds."""
        drafts = {
            (one.alert.channel, one.alert.pair, one.alert.subject, one.alert.side): Draft(
                one.alert, one.revision, one.alert
            )
            for one in stored
        }
        return cls(at, drafts)

    def fire(self, watch: Watch, side: Side, observation: Observation, view: MarketView, reason: str) -> None:
        """Open an alert for a rule that fires, or let it join the one that is open."""
        measurement = view.legs(watch.rule)
        if measurement is None or observation.value is None:
            raise ValueError(f"rule {watch.id} fired on nothing: {observation.reason}")
        fact = first_seen(
            watch.id,
            watch.rule,
            observation.value,
            at=observation.at,
            measurement=measurement,
            now=self.at,
            record=self.records.get(watch.rule),
        )
        draft = self._drafts.get(_key(watch, side))
        if draft is None:
            etf, crypto = view.stamps(watch.rule)
            alert = Alert(
                id=0,
                channel=watch.channel,
                pair=watch.rule.pair,
                subject=Subject.of(watch.rule.metric),
                side=side,
                opened_at=observation.at,
                as_of=observation.at,
                facts=(fact,),
                etf=etf,
                crypto=crypto,
                simulated=view.simulated,
                trust=view.trust(watch.rule),
                reason=reason,
                unseen_since=self.at,
            )
            draft = self._drafts[_key(watch, side)] = Draft(alert, 0, None)
            draft.entries.append(self._entry(EntryKind.FIRED, reason, silent=True))
        else:
            draft.alert = replace(join(draft.alert, fact), reason=f"{watch.rule}: {reason}")
            silent = draft.told is None or self._quiet(draft)  # rules that fire together are told together
            draft.entries.append(self._entry(EntryKind.JOINED, f"{watch.rule}: {reason}", silent=silent))

    def resolve(self, watch: Watch, side: Side, observation: Observation, view: MarketView, reason: str) -> None:
        """Let a rule leave its alert, and close the alert after the last one."""
        draft = self._drafts.get(_key(watch, side))
        if draft is None:
            return
        alert = _restamp(draft.alert, watch.rule, observation, view)
        measurement = view.legs(watch.rule)
        if measurement is not None and observation.value is not None:
            alert = see(alert, watch.id, observation.value, observation.at, measurement)
        draft.alert = leave(alert, watch.id)
        self._close_or_note(draft, f"{watch.rule}: {reason}", at=max(observation.at, alert.opened_at))

    def adopt(self, rule_of: Callable[[int], Rule | None], view: MarketView) -> None:
        """Follow rules that people have changed by what they say now, once that can be measured."""
        for draft, fact in self._active():
            rule = rule_of(fact.rule_id)
            if rule is not None and str(rule) != fact.rule:
                draft.alert = put(draft.alert, self._adopted(fact, rule, view))

    def correct(self, view: MarketView) -> frozenset[int]:
        """Tell, before anything is decided on it, where a close that was told has another value now.

        Gives the numbers of the rules that would not have fired: they leave, and `settle` then ends what they alone
        kept open.
        """
        return frozenset(number for draft in self._drafts.values() for number in self._correct(draft, view))

    def settle(self) -> None:
        """Tell of the rules that would not have fired, once others have joined."""
        for draft in self._drafts.values():
            if draft.retractions:
                self._close_or_note(draft, ", ".join(draft.retractions), at=self.at, end=EntryKind.RETRACTED)

    def refresh(self, view: MarketView) -> None:
        """Bring the facts of the open alerts up to date, and tell where they worsened or are to be repeated."""
        for draft, fact in self._active():
            rule = parse_rule(fact.rule)
            observation, measurement = view.observe(rule), view.legs(rule)
            if observation.value is not None and measurement is not None:
                seen = see(draft.alert, fact.rule_id, observation.value, observation.at, measurement)
                draft.alert = _restamp(seen, rule, observation, view)
        for draft in self._drafts.values():
            if self._quiet(draft):
                continue  # what has worsened meanwhile is told once the snooze is over
            self._tell_worsening(draft)
            if draft.alert.acknowledged is None:
                self._tell_again(draft)

    def prune(self, stands: Callable[[int], bool]) -> None:
        """Drop the rules that are not there any more."""
        for _, fact in self._active():
            if not stands(fact.rule_id):
                self.drop(fact.rule_id, by=None)

    def drop(
        self,
        rule_id: int,
        by: str | None,
        reason: str = "the rule was removed",
        *,
        note: EntryKind = EntryKind.LEFT,
    ) -> None:
        """Take a rule out of every open alert that it keeps open; where another does so too, a `note` tells of it."""
        for draft in self._kept_open_by(rule_id):
            draft.alert = leave(draft.alert, rule_id)
            self._close_or_note(draft, reason, at=self.at, by=by, note=note)

    def edit(self, rule_id: int, before: Rule, after: Rule, by: str) -> None:
        """Let a rule that is changed keep its alert open; what is measured anew waits for `adopt`."""
        for draft in self._kept_open_by(rule_id):
            if (before.metric, before.window) == (after.metric, after.window):
                facts = [fact for fact in draft.alert.facts if fact.rule_id == rule_id]
                draft.alert = put(draft.alert, replace(facts[0], rule=str(after)))
            changed = f"{before} is now {after}"
            draft.entries.append(self._entry(EntryKind.EDITED, changed, by=by, silent=self._quiet(draft)))

    def changes(self) -> list[AlertChange]:
        """Give everything that is to be recorded."""
        return [change for draft in self._drafts.values() if (change := draft.change()) is not None]

    def _active(self) -> list[tuple[Draft, Fact]]:
        return [(draft, fact) for draft in self._drafts.values() for fact in draft.alert.facts if fact.active]

    def _kept_open_by(self, rule_id: int) -> list[Draft]:
        return [draft for draft, fact in self._active() if fact.rule_id == rule_id]

    def _adopted(self, fact: Fact, rule: Rule, view: MarketView) -> Fact:
        """Begin to follow a changed rule anew; one that looks at the same as before keeps what it has seen."""
        before = parse_rule(fact.rule)
        if (before.metric, before.window) == (rule.metric, rule.window):
            return replace(fact, rule=str(rule))
        observation, measurement = view.observe(rule), view.legs(rule)
        if observation.value is None or measurement is None:
            return fact
        return first_seen(
            fact.rule_id, rule, observation.value, at=observation.at, measurement=measurement, now=self.at
        )

    def _correct(self, draft: Draft, view: MarketView) -> list[int]:
        told, gone, side = [], [], draft.alert.side
        for fact in [fact for fact in draft.alert.facts if fact.active]:
            rule = parse_rule(fact.rule)
            after, corrections = recalled(fact, side, partial(view.recall, rule))
            observation = view.observe(rule)
            if why := retracted(fact, after, side, corrections, observation.value):
                after = replace(after, active=False, retracted=True)
                draft.alert = _restamp(draft.alert, rule, observation, view)
                draft.retractions.append(why)
                gone.append(fact.rule_id)
            elif text := corrected(fact, after, side, corrections):
                after = tell(after, self.at)
                told.append(text)
            draft.alert = put(draft.alert, after)
        if told:
            draft.entries.append(self._entry(EntryKind.CORRECTED, ", ".join(told), silent=self._quiet(draft)))
        return gone

    def _tell_worsening(self, draft: Draft) -> None:
        """Tell how far the peaks have grown, where no other rule that fired tells it already.

        The peaks of an alert that an older version has recorded count as told from now on.
        """
        news = list[str]()
        for fact in [fact for fact in draft.alert.facts if fact.active]:
            text = worsened(fact, draft.alert.side)
            if text is not None or fact.told is None:
                draft.alert = put(draft.alert, tell(fact, self.at))
            news += [text] if text else []
        if news:
            joined = any(entry.kind is EntryKind.JOINED for entry in draft.entries)
            draft.entries.append(self._entry(EntryKind.WORSENED, ", ".join(news), silent=joined))

    def _tell_again(self, draft: Draft) -> None:
        due = []
        for fact in [fact for fact in draft.alert.facts if fact.active]:
            if text := repeated(fact, draft.alert.side, self.at):
                draft.alert = put(draft.alert, tell(fact, self.at))
                due.append(text)
        if due:
            draft.entries.append(self._entry(EntryKind.REPEATED, ", ".join(due)))

    def _close_or_note(
        self,
        draft: Draft,
        reason: str,
        *,
        at: datetime,
        by: str | None = None,
        note: EntryKind = EntryKind.LEFT,
        end: EntryKind = EntryKind.RESOLVED,
    ) -> None:
        """Tell that a rule has left or, after the last one, close the alert as of `at`, the instant of the prices."""
        if any(fact.active for fact in draft.alert.facts):
            draft.entries.append(self._entry(note, reason, by=by, silent=self._quiet(draft)))
        else:
            draft.alert = close(draft.alert, at, reason)
            draft.entries.append(self._entry(end, reason, by=by))

    def _quiet(self, draft: Draft) -> bool:
        return draft.alert.is_snoozed(self.at)

    def _entry(self, kind: EntryKind, reason: str, *, by: str | None = None, silent: bool = False) -> Entry:
        return Entry(kind=kind, at=self.at, reason=reason, by=by, silent=silent)


def _key(watch: Watch, side: Side) -> Key:
    return watch.channel, watch.rule.pair, Subject.of(watch.rule.metric), side


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
