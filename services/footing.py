"""Footing: how far the closes that a measurement stands on can be trusted."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING

from services.domain.measure import Window, anchors
from services.domain.trust import FULL, Trust

if TYPE_CHECKING:
    from collections.abc import Iterable

    from services.domain.align import Aligned
    from services.history import Leg


def trust_at(leg: Leg, aligned: Aligned, row: int = -1) -> Trust:
    """Tell how far a leg's close can be trusted at a row, the last where none is given."""
    return leg.past.trust(aligned.sessions[row] if leg.is_share else aligned.at[row])


def origins(rows: Aligned, *legs: Leg) -> dict[Window, Trust]:
    """Tell what is to be said of some legs' closes that windows start from, where both are known."""
    starts = {window: int(anchors(rows, window)[-1]) for window in Window}
    known = {window: row for window, row in starts.items() if row >= 0 and rows.complete[row]}
    found = {window: _together(trust_at(leg, rows, row) for leg in legs) for window, row in known.items()}
    return {
        window: replace(trust, reasons=tuple(f"{window.value} begins where {reason}" for reason in trust.reasons))
        for window, trust in found.items()
        if trust != FULL
    }


def _together(trusts: Iterable[Trust]) -> Trust:
    return reduce(Trust.also, trusts, FULL)
