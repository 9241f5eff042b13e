"""How earlier episodes of an alert's rule went, in two sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers.render import words
from handlers.render.markup import code
from services.domain.precedent import RECENT

if TYPE_CHECKING:
    from services.domain.episode import Alert
    from services.domain.precedent import Record
    from services.domain.prices import Pair


def record(told: Alert) -> list[str]:
    """Tell the record of the rule that leads an alert; nothing where none is known."""
    found = told.lead.record
    if found is None:
        return []
    rule, span = code(told.lead.rule), _span(found)
    turned = found.lasts is not None and found.lasts is not told.side
    number = found.episodes + turned + 1
    which = f"The {'first' if number == 1 else words.ordinal(number)} episode of {rule} in {span}, decided at closes."
    if found.median_length is None:
        return [which]
    known, alone = " that had ended" if turned else "", found.episodes == 1
    before = f"one before{known} lasted" if alone else f"{found.episodes} before{known} had a median length of"
    lasted = f"The {before} {words.sessions(found.median_length)}"
    return [which, f"{lasted}: {endings(told.pair, found.closings)}." if found.closings else f"{lasted}."]


def endings(pair: Pair, closings: tuple[int, int, int]) -> str:
    """Count how episodes ended."""
    crypto, etf, aged = closings
    return (
        f"{words.name(pair.crypto)} caught up in {crypto}, {words.title(pair.etf)} came back in {etf}, "
        f"in {aged} neither: the move left the window"
    )


def _span(found: Record) -> str:
    return "2 years" if found.sessions >= RECENT else words.sessions(found.sessions)
