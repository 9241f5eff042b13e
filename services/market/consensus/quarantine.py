"""Quarantine: hold back a price that only one source has and that looks like a fault, until a second one agrees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.core.statistics import before_each, robust_z
from services.market.consensus.quorum import ConsensusPrices

TOO_MANY_SIGMAS = 6.0  # flags no true day of WGMI's; Source: Hampel, 1974
AT_LEAST = 60  # returns that must be known before one can be called unusual
SPLIT_AT_LEAST = 0.15
SPLIT_WITHIN = 0.015
BEYOND_ANY_DAY = 5.0  # times, or a fifth: with its day's move a 10:1 split is at no round ratio, but still out there
CONFIRMING = 2  # the sessions that must stand by a new level before a source that is alone may go on

# New shares for old ones. Finer ratios (4:3, 5:4) are not here: they are rarer than such days, as 2025-01-27 was, when
# WGMI moved by -20.8% and IREN, HUT and CIFR by -24%.
_SPLITS = [(new, 1) for new in (2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 40, 50, 100)] + [(3, 2), (5, 2)]
_SPLITS += [(old, new) for new, old in _SPLITS]
_SPLIT_RATIOS = np.array([old / new for new, old in _SPLITS])


@dataclass(frozen=True, slots=True, kw_only=True)
class Caution:
    """What makes a lone price suspicious: a spike of more than `spike_at_least` (a fraction) a step, or a split.

    A step is from one price to the next in its time: a session, or an `hour`.
    """

    spike_at_least: float
    splits: bool
    step: str
    usual: str


SHARE = Caution(spike_at_least=0.10, splits=True, step="session", usual="day")
"""A shell that hardly moved must be able to begin, as CIFR did in 2021."""
COIN = Caution(spike_at_least=0.05, splits=False, step="hour", usual="hour")
"""Hours move with fatter tails than days: beyond 5% and six sigmas are 13 true ones of bitcoin from 2022 to 2026."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Path:
    """The rows that have a price and are not held, in order; `alone` tells which of them have one witness."""

    caution: Caution
    rows: NDArray[np.intp]
    prices: NDArray[np.float64]
    positions: NDArray[np.intp]
    alone: NDArray[np.bool_]

    @property
    def ratios(self) -> NDArray[np.float64]:
        """Each price over the one before it; NaN for the first."""
        ratios: NDArray[np.float64] = self.prices[1:] / self.prices[:-1]
        return np.append(np.nan, ratios)[: len(self.rows)]

    @property
    def steps(self) -> NDArray[np.intp]:
        """How many sessions or hours each return is over; 1 for the first, and after a price that was of no session."""
        return np.maximum(np.diff(self.positions, prepend=self.positions[:1] - 1), 1)

    def without(self, index: int) -> _Path:
        kept = np.arange(len(self.rows)) != index
        return _Path(
            caution=self.caution,
            rows=self.rows[kept],
            prices=self.prices[kept],
            positions=self.positions[kept],
            alone=self.alone[kept],
        )


def held_back(agreed: ConsensusPrices, positions: NDArray[np.intp], caution: Caution = SHARE) -> dict[int, str]:
    """Give the rows of `agreed` that are held until a second source agrees, each with its reason.

    `positions` is each key's index in the session calendar, or its hour: the return over a missing one is a longer
    one. Only rows with one witness are ever held, where the return from the last accepted price

    1. is further than 6 robust sigmas from the median of the up to 252 accepted returns before it (60 at least, all
       scaled to one step by the square root of their length) and by more than 10% a session, or 5% an hour, or
    2. is one of at least 15% that a split would explain, of a share.

    A spike (1) that no split explains is released where the two prices after it stand by the new level, as a source
    that is alone must be able to go on; then all three are accepted.
    """
    known = np.flatnonzero(np.isfinite(agreed.prices))
    return _held(
        _Path(
            caution=caution,
            rows=known,
            prices=agreed.prices[known],
            positions=positions[known],
            alone=agreed.witnesses[known] == 1,
        )
    )


def spike(agreed: ConsensusPrices, price: float, caution: Caution = SHARE, *, steps: int = 1) -> str | None:
    """Judge one newer price, which one source alone has, so many steps after the last row; None: nothing against it.

    The rows are taken for consecutive, and those that are held do not count.
    """
    rows = np.append(np.flatnonzero(np.isfinite(agreed.prices)), len(agreed.prices))
    positions = rows + np.append(np.zeros(len(rows) - 1, dtype=np.intp), steps - 1)
    prices, witnesses = np.append(agreed.prices, price), np.append(agreed.witnesses, 1)
    alone = witnesses[rows] == 1
    held = _held(_Path(caution=caution, rows=rows, prices=prices[rows], positions=positions, alone=alone))
    return held.get(len(agreed.prices))


def unexplained_split(before: float, price: float) -> str | None:
    """Judge a price that several sources tell, after the last close `before`; None: nothing against it.

    A move that a split would make and no declared one explains is nobody's fault, but the closes may be in old shares;
    so they may where a share moved as it never does, by a split and its day's move together. News can make it too: the
    next close tells, as do a declaration and a history that is rewritten.
    """
    rows = np.arange(2)
    path = _Path(caution=SHARE, rows=rows, prices=np.array([before, price]), positions=rows, alone=rows < 0)
    if 1 / BEYOND_ANY_DAY < price / before < BEYOND_ANY_DAY and not _is_split(path, rows[1:])[0]:
        return None
    return f"{_moved(path, 1)}, and no such split is declared; the next close will tell"


def _held(path: _Path) -> dict[int, str]:
    held = dict[int, str]()
    start = 0
    while (index := _next_suspect(path, start)) is not None:
        if _released(path, index):
            start = index + 1
            continue
        held[int(path.rows[index])] = _reason(path, index)
        path, start = path.without(index), index
    return held


def _next_suspect(path: _Path, start: int) -> int | None:
    """Find the first suspicious row from `start` on: few rows moved far enough, and those are looked at in turn."""
    moved = np.abs(path.ratios - 1)
    far = (moved >= SPLIT_AT_LEAST) | (moved > path.caution.spike_at_least * np.sqrt(path.steps))
    candidates = np.flatnonzero(far & path.alone)
    candidates = candidates[candidates >= start]
    begin, size = 0, 1
    while begin < len(candidates):
        some = candidates[begin : begin + size]
        found = some[_is_spike(path, some) | _is_split(path, some)]
        if len(found):
            return int(found[0])
        begin, size = begin + size, 4 * size  # soon found, or soon through
    return None


def _is_spike(path: _Path, at: NDArray[np.intp]) -> NDArray[np.bool_]:
    usual = (path.ratios - 1) / np.sqrt(path.steps)
    sigmas = robust_z(usual[at], before_each(usual)[at], at_least=AT_LEAST)
    unusual: NDArray[np.bool_] = (np.abs(sigmas) > TOO_MANY_SIGMAS) & (np.abs(usual[at]) > path.caution.spike_at_least)
    return unusual


def _is_split(path: _Path, at: NDArray[np.intp]) -> NDArray[np.bool_]:
    ratios = path.ratios[at]
    near = np.abs(ratios[:, None] / _SPLIT_RATIOS - 1) <= SPLIT_WITHIN
    explained: NDArray[np.bool_] = near.any(axis=1) & (np.abs(ratios - 1) >= SPLIT_AT_LEAST)
    return explained & path.caution.splits


def _released(path: _Path, index: int) -> bool:
    after = np.arange(index + 1, index + 1 + CONFIRMING)
    if after[-1] >= len(path.rows) or _is_split(path, np.array([index]))[0]:
        return False
    return not (_is_spike(path, after) | _is_split(path, after)).any()


def _reason(path: _Path, index: int) -> str:
    return f"{_moved(path, index)}, and no second source says so"


def _moved(path: _Path, index: int) -> str:
    ratio, steps = float(path.ratios[index]), int(path.steps[index])
    moved = f"moved by {ratio - 1:+,.1%}".replace("-", "−")
    over = f" in {steps} {path.caution.step}s" if steps > 1 else ""
    if _is_split(path, np.array([index]))[0]:
        new, old = _SPLITS[int(np.argmin(np.abs(ratio / _SPLIT_RATIOS - 1)))]
        return f"{moved}{over}, as a {new}:{old} split would make it"
    return f"{moved}{over}, far beyond its usual {path.caution.usual}"
