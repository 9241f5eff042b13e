"""Corporate actions: dividends and splits of a share, and session closes adjusted for them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import Enum
from math import isfinite, log, prod

import numpy as np
from numpy.typing import NDArray

from services.core.prices import Closes

MAX_DIVIDEND = 0.25  # of the price; a larger dividend is treated as an error
MAX_SPLIT_RATIO = 1_000
MIN_DETECTABLE_SPLIT = 0.15  # a finer split looks like a day's move: closes are assumed to be adjusted for it

LastTrade = tuple[date, float]


class ActionKind(Enum):
    """The kind of a corporate action."""

    DIVIDEND = "dividend"
    SPLIT = "split"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One dividend or split, effective from the opening of `session`, its ex-date.

    `value` is a dividend in US dollars per share, in the shares of that day, or a split's new shares per old share
    (below 1 for a reverse split). It is as declared and may be invalid.
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
