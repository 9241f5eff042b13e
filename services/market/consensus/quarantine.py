"""Quarantine single-source prices that look like errors, until a second source agrees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.core.reason import Code, Reason
from services.core.statistics import robust_z, trailing_windows
from services.market.consensus.quorum import ConsensusPrices

MAX_SIGMAS = 6.0  # flags none of WGMI's true days; Source: Hampel, 1974
MIN_RETURNS = 60  # known returns that a spike test needs
MIN_SPLIT_MOVE = 0.15
SPLIT_TOLERANCE = 0.015
EXTREME_RATIO = 5.0  # 5× or 1/5: a 10:1 split plus the day's move is not at a round ratio, but is still beyond this
CONFIRMING_STEPS = 2  # sessions that must confirm a new level before a single source is accepted again

# New shares per old share. Finer ratios (4:3, 5:4) are excluded: they are rarer than true days of that size, such as
# 2025-01-27, when WGMI moved by -20.8% and IREN, HUT and CIFR by -24%.
_SPLITS = [(new, 1) for new in (2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 40, 50, 100)] + [(3, 2), (5, 2)]
_SPLITS += [(old, new) for new, old in _SPLITS]
_SPLIT_RATIOS = np.array([old / new for new, old in _SPLITS])


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineLimits:
    """The limits that make a single-source price suspicious.

    Attributes:
        min_spike: a larger move per step (a fraction) can be a spike.
        splits: a move that looks like a split is suspicious.
        step: the name of the time between two prices: "session" or "hour".
        period: the name of the usual period, in the reason.
    """

    min_spike: float
    splits: bool
    step: str
    period: str


SHARE_QUARANTINE = QuarantineLimits(min_spike=0.10, splits=True, step="session", period="day")
"""A shell company that hardly moved must be able to start moving, as CIFR did in 2021."""
COIN_QUARANTINE = QuarantineLimits(min_spike=0.05, splits=False, step="hour", period="hour")
"""Hours have fatter tails than days: 13 true hours of bitcoin from 2022 to 2026 are beyond 5% and six sigmas."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _PriceSeries:
    """The rows that have a price and are not quarantined, in order; `single_source` marks those with one witness."""

    limits: QuarantineLimits
    rows: NDArray[np.intp]
    prices: NDArray[np.float64]
    positions: NDArray[np.intp]
    single_source: NDArray[np.bool_]

    @property
    def ratios(self) -> NDArray[np.float64]:
        """Each price over the one before it; NaN for the first."""
        ratios: NDArray[np.float64] = self.prices[1:] / self.prices[:-1]
        return np.append(np.nan, ratios)[: len(self.rows)]

    @property
    def steps(self) -> NDArray[np.intp]:
        """The number of sessions or hours of each return; at least 1, also for two keys of one session."""
        return np.maximum(np.diff(self.positions, prepend=self.positions[:1] - 1), 1)

    def without(self, index: int) -> _PriceSeries:
        keep = np.arange(len(self.rows)) != index
        return _PriceSeries(
            limits=self.limits,
            rows=self.rows[keep],
            prices=self.prices[keep],
            positions=self.positions[keep],
            single_source=self.single_source[keep],
        )


def quarantined_rows(
    agreed: ConsensusPrices, positions: NDArray[np.intp], limits: QuarantineLimits = SHARE_QUARANTINE
) -> dict[int, Reason]:
    """Return the rows of `agreed` to quarantine until a second source agrees, each with its reason.

    `positions` is each key's index in the session calendar, or its hour; a return across a gap has several steps. Only
    rows with one witness are quarantined, if the return from the last accepted price

    1. is further than 6 robust sigmas from the median of the up to 252 accepted returns before it (at least 60, scaled
       to one step by the square root of their length) and more than 10% per session, or 5% per hour, or
    2. is at least 15% and looks like a split, for a share.

    A spike (1) that does not look like a split is released if the next two prices confirm the new level, so that a
    single source can continue; then all three are accepted.
    """
    known = np.flatnonzero(np.isfinite(agreed.prices))
    return _quarantined(
        _PriceSeries(
            limits=limits,
            rows=known,
            prices=agreed.prices[known],
            positions=positions[known],
            single_source=agreed.witnesses[known] == 1,
        )
    )


def spike_reason(
    agreed: ConsensusPrices, price: float, limits: QuarantineLimits = SHARE_QUARANTINE, *, steps: int = 1
) -> Reason | None:
    """Return why a single-source price, `steps` after the last row, is suspicious; None if it is not.

    The rows count as consecutive, and quarantined rows are ignored.
    """
    rows = np.append(np.flatnonzero(np.isfinite(agreed.prices)), len(agreed.prices))
    positions = rows + np.append(np.zeros(len(rows) - 1, dtype=np.intp), steps - 1)
    prices, witnesses = np.append(agreed.prices, price), np.append(agreed.witnesses, 1)
    single_source = witnesses[rows] == 1
    quarantined = _quarantined(
        _PriceSeries(limits=limits, rows=rows, prices=prices[rows], positions=positions, single_source=single_source)
    )
    return quarantined.get(len(agreed.prices))


def unexplained_split_reason(before: float, price: float) -> Reason | None:
    """Return why a price that several sources report is suspicious after the last close `before`; None if it is not.

    If a move looks like an undeclared split, the closes may be in old shares. The same holds for a move beyond any
    day's, which a split and the day's move can make together. News can cause it too. The next close, a declaration or a
    rewritten history resolves it.
    """
    rows = np.arange(2)
    series = _PriceSeries(
        limits=SHARE_QUARANTINE, rows=rows, prices=np.array([before, price]), positions=rows, single_source=rows < 0
    )
    if 1 / EXTREME_RATIO < price / before < EXTREME_RATIO and not _is_split(series, rows[1:])[0]:
        return None
    return Reason.of(Code.SPLIT_UNDECLARED, move=_move(series, 1))


def _quarantined(series: _PriceSeries) -> dict[int, Reason]:
    quarantined = dict[int, Reason]()
    start = 0
    while (index := _next_suspect(series, start)) is not None:
        if _is_released(series, index):
            start = index + 1
            continue
        quarantined[int(series.rows[index])] = Reason.of(Code.MOVE_UNCONFIRMED, move=_move(series, index))
        series, start = series.without(index), index
    return quarantined


def _next_suspect(series: _PriceSeries, start: int) -> int | None:
    """Return the first suspicious row from `start` on.

    Only rows that moved far enough are tested, in growing batches.
    """
    moves = np.abs(series.ratios - 1)
    far = (moves >= MIN_SPLIT_MOVE) | (moves > series.limits.min_spike * np.sqrt(series.steps))
    candidates = np.flatnonzero(far & series.single_source)
    candidates = candidates[candidates >= start]
    start_index, size = 0, 1
    while start_index < len(candidates):
        batch = candidates[start_index : start_index + size]
        suspects = batch[_is_spike(series, batch) | _is_split(series, batch)]
        if len(suspects):
            return int(suspects[0])
        start_index, size = start_index + size, 4 * size
    return None


def _is_spike(series: _PriceSeries, at: NDArray[np.intp]) -> NDArray[np.bool_]:
    step_returns = (series.ratios - 1) / np.sqrt(series.steps)
    sigmas = robust_z(step_returns[at], trailing_windows(step_returns)[at], min_count=MIN_RETURNS)
    unusual: NDArray[np.bool_] = (np.abs(sigmas) > MAX_SIGMAS) & (np.abs(step_returns[at]) > series.limits.min_spike)
    return unusual


def _is_split(series: _PriceSeries, at: NDArray[np.intp]) -> NDArray[np.bool_]:
    ratios = series.ratios[at]
    near_ratio = np.abs(ratios[:, None] / _SPLIT_RATIOS - 1) <= SPLIT_TOLERANCE
    is_split: NDArray[np.bool_] = near_ratio.any(axis=1) & (np.abs(ratios - 1) >= MIN_SPLIT_MOVE)
    return is_split & series.limits.splits


def _is_released(series: _PriceSeries, index: int) -> bool:
    confirming = np.arange(index + 1, index + 1 + CONFIRMING_STEPS)
    if confirming[-1] >= len(series.rows) or _is_split(series, np.array([index]))[0]:
        return False
    return not (_is_spike(series, confirming) | _is_split(series, confirming)).any()


def _move(series: _PriceSeries, index: int) -> Reason:
    """Return the move to a row, as that of a split or as one far beyond the usual."""
    ratio, steps = float(series.ratios[index]), int(series.steps[index])
    if not _is_split(series, np.array([index]))[0]:
        return Reason.of(
            Code.MOVED_FAR, moved=ratio - 1, steps=steps, step=series.limits.step, period=series.limits.period
        )
    new, old = _SPLITS[int(np.argmin(np.abs(ratio / _SPLIT_RATIOS - 1)))]
    return Reason.of(Code.MOVED_LIKE_SPLIT, moved=ratio - 1, steps=steps, step=series.limits.step, new=new, old=old)
