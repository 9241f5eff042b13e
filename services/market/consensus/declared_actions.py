"""Declared: the dividends and splits that several sources declare of a share, as those that are applied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from statistics import median

from services.core.prices import Closes, Symbol
from services.market.consensus.corporate_actions import Action, Declared, Kind, before, is_ratio, plausible

APART = 0.10  # sources further apart do not tell of the same amount
SMALL = 0.10  # of the price; a larger dividend needs a second source
SAME_EVENT = timedelta(days=4)  # sources may be a session apart on a date, and a weekend between


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreedActions:
    """The actions to apply, oldest first, and in words those that are left out."""

    actions: tuple[Action, ...] = ()
    problems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Event:
    """What is one and the same action at several sources; each is there once."""

    voices: tuple[tuple[str, Action], ...]

    @property
    def action(self) -> Action | None:
        """The action on the day that most sources name, else the first; None where they do not agree.

        They agree where a majority is within a tenth of each other; the amount is the median of these.
        """
        days = Counter(one.session for _source, one in self.voices)
        values = [one.value for _source, one in self.voices]
        near = max(([one for one in values if low <= one <= (1 + APART) * low] for low in values), key=len)
        if 2 * len(near) <= len(values):
            return None
        session = min(days, key=lambda day: (-days[day], day))
        return replace(self.voices[0][1], session=session, value=median(near))

    def where(self, keep: Callable[[Action], bool]) -> _Event:
        return replace(self, voices=tuple(voice for voice in self.voices if keep(voice[1])))

    def but(self, others: _Event) -> _Event:
        return replace(self, voices=tuple(voice for voice in self.voices if voice not in others.voices))

    def told(self, symbol: Symbol) -> str:
        (_source, one), *_others = self.voices
        told = " and ".join(f"{_amount(action)} at {source}" for source, action in self.voices)
        return f"the {one.kind.value} of {symbol} on {one.session} is {told}"


def agree_splits(symbol: Symbol, declared: Sequence[Declared]) -> AgreedActions:
    """Hold the splits that sources declare against each other.

    One source is enough, as closes are adjusted only where their own jump agrees. Left out is what is no ratio, and
    what sources put more than a tenth apart, without a majority.
    """
    return _settled(symbol, _events(declared, Kind.SPLIT), lambda one: is_ratio(one.value), lambda _one: True)


def agree_dividends(closes: Closes, declared: Sequence[Declared], splits: Sequence[Action]) -> AgreedActions:
    """Hold the dividends that sources declare against each other and against the close before; the median counts.

    The closes are in shares of today. One source is enough up to a tenth of the price. Left out is what is negative, no
    number or more than a quarter of the price, and what sources put more than a tenth apart, without a majority. What
    goes ex before the second close changes no return, and is passed over.
    """

    def share(one: Action) -> float | None:
        return plausible(closes, one, splits)

    events = [event for event in _events(declared, Kind.DIVIDEND) if before(closes, event.voices[0][1].session)]
    return _settled(closes.symbol, events, lambda one: share(one) is not None, lambda one: (share(one) or 0.0) <= SMALL)


def _events(declared: Sequence[Declared], kind: Kind) -> list[_Event]:
    """Put together what different sources declare for about the same day."""
    told = [(one.source, action) for one in declared for action in one.actions if action.kind is kind]
    events = list[_Event]()
    for source, action in sorted(told, key=lambda voice: voice[1].session):
        if events and _is_same(events[-1], source, action):
            events[-1] = _Event(voices=(*events[-1].voices, (source, action)))
        else:
            events.append(_Event(voices=((source, action),)))
    return events


def _is_same(event: _Event, source: str, action: Action) -> bool:
    near = action.session - event.voices[0][1].session <= SAME_EVENT
    return near and all(source != known for known, _action in event.voices)


def _settled(
    symbol: Symbol, events: Sequence[_Event], is_sane: Callable[[Action], bool], is_small: Callable[[Action], bool]
) -> AgreedActions:
    actions, problems = list[Action](), list[str]()
    for event in events:
        sane = event.where(is_sane)
        if nonsense := event.but(sane).voices:
            problems.append(f"{_Event(voices=nonsense).told(symbol)}, which cannot be; it is left out")
        if not sane.voices:
            continue
        action = sane.action
        if action is None:
            problems.append(f"{sane.told(symbol)}; it is left out until they agree")
        elif len(sane.voices) == 1 and not is_small(action):
            problems.append(f"{sane.told(symbol)} alone; it is left out until a second source declares it")
        else:
            actions.append(action)
    return AgreedActions(actions=tuple(actions), problems=tuple(problems))


def _amount(action: Action) -> str:
    return f"{action.value:.6g} USD" if action.kind is Kind.DIVIDEND else f"{action.value:.6g} for 1"
