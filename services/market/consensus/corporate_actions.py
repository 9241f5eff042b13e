"""Actions: dividends and splits of a share, and session closes adjusted for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import Enum
from math import isfinite, log, prod

import numpy as np
from numpy.typing import NDArray

from services.core.prices import Closes

LARGEST = 0.25  # of the price; a larger dividend is taken for a mistake
LARGEST_SPLIT = 1_000
TELLING = 0.15  # a finer split cannot be told from a day's move, so that closes are taken for adjusted to it

Traded = tuple[date, float]


class Kind(Enum):
    """What happens to a share."""

    DIVIDEND = "dividend"
    SPLIT = "split"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One dividend or split, in force from the opening of `session`, its ex-date.

    `value` is a dividend in US dollars a share, in the shares of that day, or the new shares for one old share, below 1
    in a reverse split. It is as it was declared, and may be nonsense.
    """

    session: date
    kind: Kind
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """What one source declares of one share: all that it knows of from the day `since` on, oldest first."""

    source: str
    since: date
    actions: tuple[Action, ...] = ()

    def updated(self, fresh: Declared) -> Declared:
        """Let a newer answer stand for the days that it covers; what it does not declare any more is let go."""
        kept = tuple(one for one in self.actions if one.session < fresh.since)
        return replace(fresh, since=min(self.since, fresh.since), actions=kept + fresh.actions)


def is_ratio(value: float) -> bool:
    """Tell whether a number can be a split's ratio."""
    return isfinite(value) and 1 / LARGEST_SPLIT <= value <= LARGEST_SPLIT and value != 1


def adjusted(closes: Closes, actions: Sequence[Action]) -> Closes:
    """Adjust closes for actions, so that the return over an ex-date is a total return.

    1. Bring those before a split into the shares of the last close, where their own jump tells that they are not yet.
    2. Multiply those before a dividend by one less its share of the close before it, as if it were reinvested then.

    The last close stays as traded, and what is in force after it changes nothing. Closes that somebody has adjusted for
    splits come out as they would without; those adjusted for dividends must not come in.
    Source: CRSP, factors to adjust prices; Yahoo's adjusted closes.
    """
    splits = [one for one in actions if one.kind is Kind.SPLIT]
    (shared,) = in_shares_of_today([closes], splits)
    return replace(shared, prices=shared.prices * factors(shared, actions))


def factors(closes: Closes, actions: Sequence[Action]) -> NDArray[np.float64]:
    """Give for each close the factor that takes the later dividends out; the closes are in shares of today."""
    factor = np.ones(len(closes))
    for one in actions:
        ex = before(closes, one.session)
        if one.kind is Kind.DIVIDEND and ex < len(closes):
            factor[:ex] *= 1 - (plausible(closes, one, actions) or 0.0)
    return factor


def carry(closes: Closes, actions: Sequence[Action], until: date) -> float:
    """Give the factor that makes the closes fit to be held against a price of the session `until`, after the last."""
    new = (one for one in actions if one.kind is Kind.DIVIDEND and before(closes, one.session) == len(closes))
    return prod(1 - (plausible(closes, one, actions) or 0.0) for one in new if one.session <= until)


def plausible(closes: Closes, dividend: Action, actions: Sequence[Action]) -> float | None:
    """Take a dividend as a share of the close before it; None where there is none, or no such dividend can be.

    The closes are in shares of today, so that the dividend is brought there by the splits after its day.
    """
    ex = before(closes, dividend.session)
    if not ex:
        return None
    ratio = prod(one.value for one in actions if one.kind is Kind.SPLIT and one.session > dividend.session)
    share = dividend.value / ratio / float(closes.prices[ex - 1])
    return share if 0 < share <= LARGEST else None


def before(closes: Closes, session: date) -> int:
    """Count the closes before a session."""
    return int(np.searchsorted(closes.sessions, np.datetime64(session, "D")))


def in_shares_of_today(told: Sequence[Closes], splits: Sequence[Action], traded: Traded | None = None) -> list[Closes]:
    """Bring the closes of each source into the shares of today, where the source has not done so itself.

    It has not where its close over the ex-date moves more like the split's ratio than like 1, by logarithms. Until that
    close is there, a trade of that day or later tells it: `traded`, its session and price; and until there is one, the
    other sources, if only some have done it. Closes that have been adjusted do not jump: nothing is adjusted twice.
    """
    shared = [*told]
    for split in sorted(splits, key=lambda one: one.session, reverse=True):
        if abs(split.value - 1) >= TELLING:
            shared = _shared(shared, split, traded)
    return shared


def awaits_close(told: Sequence[Closes], declared: Sequence[Declared]) -> bool:
    """Tell whether a split is declared for a day that some source has no close of yet, so that trades must tell."""
    splits = [action.session for one in declared for action in one.actions if action.kind is Kind.SPLIT]
    return any(len(closes) and before(closes, session) == len(closes) for closes in told for session in splits)


def _shared(told: Sequence[Closes], split: Action, traded: Traded | None) -> list[Closes]:
    rows = [before(closes, split.session) for closes in told]
    known = [float(closes.prices[row - 1]) for closes, row in zip(told, rows, strict=True) if row]
    others = (min if split.value > 1 else max)(known, default=1.0)
    after = traded[1] if traded and traded[0] >= split.session else others
    return [_once(closes, row, split, after) for closes, row in zip(told, rows, strict=True)]


def _once(closes: Closes, row: int, split: Action, after: float) -> Closes:
    """Divide the closes before `row` by the ratio, where the price of that row, else `after`, tells that nobody has."""
    if not row:
        return closes
    jump = log(closes.prices[row - 1] / (closes.prices[row] if row < len(closes) else after))
    if abs(jump - log(split.value)) >= abs(jump):
        return closes
    ratio = np.where(np.arange(len(closes)) < row, split.value, 1.0)
    return replace(closes, prices=closes.prices / ratio)
