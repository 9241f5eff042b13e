"""Consensus of several sources on the dividends and splits that they declare for a share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from statistics import median

from services.core.prices import Closes, Symbol
from services.core.reason import Code, Reason
from services.market.consensus.corporate_actions import (
    Action,
    ActionKind,
    DeclaredActions,
    closes_before,
    dividend_fraction,
    is_ratio,
)

MAX_APART = 0.10  # sources further apart do not agree
MAX_SINGLE_SOURCE = 0.10  # of the price; a larger dividend needs a second source
SAME_EVENT = timedelta(days=4)  # sources may be a session apart on a date, and a weekend between


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreedActions:
    """The actions to apply, oldest first, and why the others are not applied."""

    actions: tuple[Action, ...] = ()
    problems: tuple[Reason, ...] = ()


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
        return replace(self.declarations[0][1], session=session, value=median(agreeing))

    def where(self, predicate: Callable[[Action], bool]) -> _Event:
        return _Event(declarations=tuple(one for one in self.declarations if predicate(one[1])))

    def without(self, others: _Event) -> _Event:
        return _Event(declarations=tuple(one for one in self.declarations if one not in others.declarations))

    @property
    def first(self) -> Action:
        return self.declarations[0][1]

    @property
    def amounts(self) -> list[tuple[str, float]]:
        """The amount that each source declares."""
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

    events = [
        event
        for event in _group_by_event(declared, ActionKind.DIVIDEND)
        if closes_before(closes, event.declarations[0][1].session)
    ]
    return _agree(
        closes.symbol,
        events,
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
    near = action.session - event.declarations[0][1].session <= SAME_EVENT
    return near and all(source != known for known, _action in event.declarations)


def _agree(
    symbol: Symbol, events: Sequence[_Event], is_valid: Callable[[Action], bool], is_small: Callable[[Action], bool]
) -> AgreedActions:
    actions, problems = list[Action](), list[Reason]()
    for event in events:
        valid = event.where(is_valid)
        invalid = event.without(valid)
        if invalid.declarations:
            problems.append(
                Reason.of(
                    Code.ACTION_INVALID,
                    symbol=symbol,
                    session=invalid.first.session,
                    kind=invalid.first.kind,
                    declared=invalid.amounts,
                )
            )
        if not valid.declarations:
            continue
        action = valid.action
        if action is None:
            problems.append(
                Reason.of(
                    Code.ACTION_DISPUTED,
                    symbol=symbol,
                    session=valid.first.session,
                    kind=valid.first.kind,
                    declared=valid.amounts,
                )
            )
        elif len(valid.declarations) == 1 and not is_small(action):
            problems.append(
                Reason.of(
                    Code.ACTION_UNCONFIRMED,
                    symbol=symbol,
                    session=valid.first.session,
                    kind=valid.first.kind,
                    declared=valid.amounts,
                )
            )
        else:
            actions.append(action)
    return AgreedActions(actions=tuple(actions), problems=tuple(problems))
