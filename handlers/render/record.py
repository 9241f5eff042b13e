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
    if not found.episodes or found.median_length is None:
        return [f"The first episode of {rule} in {span}, decided at closes."]
    which = f"The {words.ordinal(found.episodes + 1)} episode of {rule} in {span}, decided at closes."
    before = "The one before lasted" if found.episodes == 1 else f"The {found.episodes} before had a median length of"
    lasted = f"{before} {words.sessions(found.median_length)}"
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
