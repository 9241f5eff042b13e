"""Dividends and splits of a share: how sources agree on them, and session closes adjusted for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import Enum
from math import isfinite, log, prod
from statistics import median

import numpy as np
from numpy.typing import NDArray

from services.core.prices import Closes, Symbol
from services.core.reason import Code, Reason

MAX_DIVIDEND = 0.25  # of the price; a larger dividend is treated as an error
MAX_SPLIT_RATIO = 1_000
MIN_DETECTABLE_SPLIT = 0.15  # a finer split looks like a day's move: closes are assumed to be adjusted for it

UNUSABLE = 0.0  # the value of an action that a source declares without a usable amount

LastTrade = tuple[date, float]


class ActionKind(Enum):
    """The kind of a corporate action."""

    DIVIDEND = "dividend"
    SPLIT = "split"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One dividend or split, effective from the opening of `session`, its ex-date.

    `value` is a dividend in US dollars per share, in the shares of that day, or a split's new shares per old share
    (below 1 for a reverse split). It is as declared and may be invalid, or UNUSABLE.
    """

    session: date
    kind: ActionKind
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclaredActions:
    """All actions that one source declares for one share from the day `since` on, oldest first."""

    source: str
    since: date
    actions: tuple[Action, ...] = ()

    def updated(self, fresh: DeclaredActions) -> DeclaredActions:
        """Replace the days that a newer answer covers; actions that it no longer declares are dropped."""
        older = tuple(action for action in self.actions if action.session < fresh.since)
        return replace(fresh, since=min(self.since, fresh.since), actions=older + fresh.actions)


def is_ratio(value: float) -> bool:
    """Return whether a number can be a split ratio."""
    return isfinite(value) and 1 / MAX_SPLIT_RATIO <= value <= MAX_SPLIT_RATIO and value != 1


def dividend_factors(closes: Closes, actions: Sequence[Action]) -> NDArray[np.float64]:
    """Return, for each split-adjusted close, the factor that removes the later dividends.

    Closes before a dividend are multiplied by one minus its fraction of the close before it, as if it were reinvested
    then.
    Source: CRSP, factors to adjust prices; Yahoo's adjusted closes.
    """
    factor = np.ones(len(closes))
    for action in actions:
        ex_row = closes_before(closes, action.session)
        if action.kind is ActionKind.DIVIDEND and ex_row < len(closes):
            factor[:ex_row] *= 1 - (dividend_fraction(closes, action, actions) or 0.0)
    return factor


def dividend_factor_until(closes: Closes, actions: Sequence[Action], until: date) -> float:
    """Return the factor for dividends after the last close, for comparison with a price of the session `until`."""
    pending = (
        action
        for action in actions
        if action.kind is ActionKind.DIVIDEND and closes_before(closes, action.session) == len(closes)
    )
    return prod(
        1 - (dividend_fraction(closes, action, actions) or 0.0) for action in pending if action.session <= until
    )


def dividend_fraction(closes: Closes, dividend: Action, actions: Sequence[Action]) -> float | None:
    """Return a dividend as a fraction of the close before it; None if there is no such close, or if it is implausible.

    The closes are split-adjusted, so the dividend is divided by the splits after its day.
    """
    ex_row = closes_before(closes, dividend.session)
    if not ex_row:
        return None
    ratio = prod(
        action.value for action in actions if action.kind is ActionKind.SPLIT and action.session > dividend.session
    )
    fraction = dividend.value / ratio / float(closes.prices[ex_row - 1])
    return fraction if 0 < fraction <= MAX_DIVIDEND else None


def closes_before(closes: Closes, session: date) -> int:
    """Return the number of closes before a session."""
    return int(np.searchsorted(closes.sessions, np.datetime64(session, "D")))


def split_adjusted(
    closes_by_source: Sequence[Closes], splits: Sequence[Action], last_trade: LastTrade | None = None
) -> list[Closes]:
    """Adjust each source's closes for splits, unless the source has already done so.

    A source has not if its close on the ex-date moved more like the split's ratio than like 1, in logarithms. Until
    that close exists, `last_trade` (session and price) of that day or later decides. Until there is such a trade, the
    other sources decide if only some are adjusted. Adjusted closes do not jump, so nothing is adjusted twice.
    """
    adjusted = [*closes_by_source]
    for split in sorted(splits, key=lambda split: split.session, reverse=True):
        if abs(split.value - 1) >= MIN_DETECTABLE_SPLIT:
            adjusted = _adjust_for_split(adjusted, split, last_trade)
    return adjusted


def needs_trade_for_split(closes_by_source: Sequence[Closes], declared: Sequence[DeclaredActions]) -> bool:
    """Return whether a split is declared for a day that some source has no close of yet."""
    splits = [action.session for one in declared for action in one.actions if action.kind is ActionKind.SPLIT]
    return any(
        len(closes) and closes_before(closes, session) == len(closes)
        for closes in closes_by_source
        for session in splits
    )


def _adjust_for_split(closes_by_source: Sequence[Closes], split: Action, last_trade: LastTrade | None) -> list[Closes]:
    rows = [closes_before(closes, split.session) for closes in closes_by_source]
    known = [float(closes.prices[row - 1]) for closes, row in zip(closes_by_source, rows, strict=True) if row]
    others = (min if split.value > 1 else max)(known, default=1.0)
    after = last_trade[1] if last_trade and last_trade[0] >= split.session else others
    return [_adjust_if_raw(closes, row, split, after) for closes, row in zip(closes_by_source, rows, strict=True)]


def _adjust_if_raw(closes: Closes, row: int, split: Action, after: float) -> Closes:
    """Divide the closes before `row` by the split's ratio, unless they are adjusted already.

    They are not if the price falls or rises by about the ratio at `row`, or at `after` if `row` has no close yet.
    """
    if not row:
        return closes
    jump = log(closes.prices[row - 1] / (closes.prices[row] if row < len(closes) else after))
    if abs(jump - log(split.value)) >= abs(jump):
        return closes
    ratio = np.where(np.arange(len(closes)) < row, split.value, 1.0)
    return replace(closes, prices=closes.prices / ratio)


MAX_APART = 0.10  # sources further apart do not agree
MAX_SINGLE_SOURCE = 0.10  # of the price; a larger dividend needs a second source
SAME_EVENT = timedelta(days=4)  # sources may be a session apart on a date, and a weekend between


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreedActions:
    """The actions to apply, oldest first, and why the others are not applied.

    `unsettled` are those that are declared without a usable amount by the only sources that declare them: returns
    across them are unknown.
    """

    actions: tuple[Action, ...] = ()
    problems: tuple[Reason, ...] = ()
    unsettled: tuple[Action, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Event:
    """One action as several sources declare it; each source occurs once."""

    declarations: tuple[tuple[str, Action], ...]

    @property
    def action(self) -> Action | None:
        """The consensus action; None if the sources do not agree.

        They agree if a majority is within a tenth of each other; the amount is the median of these. The day is the one
        that most sources declare, else the first.
        """
        days = Counter(action.session for _source, action in self.declarations)
        values = [action.value for _source, action in self.declarations]
        agreeing = max(
            ([value for value in values if low <= value <= (1 + MAX_APART) * low] for low in values), key=len
        )
        if 2 * len(agreeing) <= len(values):
            return None
        session = min(days, key=lambda day: (-days[day], day))
        return replace(self.first, session=session, value=median(agreeing))

    def where(self, predicate: Callable[[Action], bool]) -> _Event:
        return _Event(declarations=tuple(one for one in self.declarations if predicate(one[1])))

    def without(self, others: _Event) -> _Event:
        return _Event(declarations=tuple(one for one in self.declarations if one not in others.declarations))

    @property
    def first(self) -> Action:
        return self.declarations[0][1]

    @property
    def values(self) -> list[tuple[str, float]]:
        return [(source, action.value) for source, action in self.declarations]


def agree_splits(symbol: Symbol, declared: Sequence[DeclaredActions]) -> AgreedActions:
    """Return the splits that the declaring sources agree on.

    One source is enough, because closes are adjusted only if their own jump agrees. A split is not applied if its ratio
    is invalid, or if sources differ by more than a tenth without a majority.
    """
    return _agree(
        symbol, _group_by_event(declared, ActionKind.SPLIT), lambda action: is_ratio(action.value), lambda _action: True
    )


def agree_dividends(closes: Closes, declared: Sequence[DeclaredActions], splits: Sequence[Action]) -> AgreedActions:
    """Return the dividends that the declaring sources agree on; the amount is the median.

    The closes are split-adjusted. One source is enough up to a tenth of the price. A dividend is not applied if it is
    negative, not a number or more than a quarter of the price, or if sources differ by more than a tenth without a
    majority. A dividend with an ex-date before the second close changes no return and is ignored.
    """

    def fraction(action: Action) -> float | None:
        return dividend_fraction(closes, action, splits)

    events = _group_by_event(declared, ActionKind.DIVIDEND)
    return _agree(
        closes.symbol,
        [event for event in events if closes_before(closes, event.first.session)],
        lambda action: fraction(action) is not None,
        lambda action: (fraction(action) or 0.0) <= MAX_SINGLE_SOURCE,
    )


def _group_by_event(declared: Sequence[DeclaredActions], kind: ActionKind) -> list[_Event]:
    """Group the actions that different sources declare for about the same day."""
    declarations = [(one.source, action) for one in declared for action in one.actions if action.kind is kind]
    events = list[_Event]()
    for source, action in sorted(declarations, key=lambda declaration: declaration[1].session):
        if events and _is_same_event(events[-1], source, action):
            events[-1] = _Event(declarations=(*events[-1].declarations, (source, action)))
        else:
            events.append(_Event(declarations=((source, action),)))
    return events


def _is_same_event(event: _Event, source: str, action: Action) -> bool:
    near = action.session - event.first.session <= SAME_EVENT
    return near and all(source != known for known, _action in event.declarations)


def _agree(
    symbol: Symbol, events: Sequence[_Event], is_valid: Callable[[Action], bool], is_small: Callable[[Action], bool]
) -> AgreedActions:
    actions, problems, unsettled = list[Action](), list[Reason](), list[Action]()
    for event in events:
        valid, unusable = event.where(is_valid), event.where(lambda action: action.value == UNUSABLE)
        if unusable.declarations and not valid.declarations:
            unsettled.append(unusable.first)
            problems.append(_unusable_reason(symbol, unusable))
        invalid = event.without(valid).without(unusable)
        if invalid.declarations:
            first = invalid.first
            problems.append(
                Reason.of(
                    Code.ACTION_INVALID, symbol=symbol, session=first.session, kind=first.kind, declared=invalid.values
                )
            )
        if not valid.declarations:
            continue
        action = valid.action
        if action is None:
            first = valid.first
            problems.append(
                Reason.of(
                    Code.ACTION_DISPUTED, symbol=symbol, session=first.session, kind=first.kind, declared=valid.values
                )
            )
        elif len(valid.declarations) == 1 and not is_small(action):
            first = valid.first
            problems.append(
                Reason.of(
                    Code.ACTION_UNCONFIRMED,
                    symbol=symbol,
                    session=first.session,
                    kind=first.kind,
                    declared=valid.values,
                )
            )
        else:
            actions.append(action)
    return AgreedActions(actions=tuple(actions), problems=tuple(problems), unsettled=tuple(unsettled))


def _unusable_reason(symbol: Symbol, event: _Event) -> Reason:
    first = event.first
    return Reason.of(
        Code.ACTION_UNUSABLE,
        symbol=symbol,
        session=first.session,
        kind=first.kind,
        source=" and ".join(source for source, _action in event.declarations),
    )
