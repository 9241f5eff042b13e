"""What an alert's move came with when it fired: bitcoin, AI, or neither."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers.render import words
from handlers.render.markup import escape

if TYPE_CHECKING:
    from services.domain.attribution import Part
    from services.domain.episode import Alert


def parted(told: Alert) -> list[str]:
    """Write the parts of the ETF's return that the leading rule fired on; nothing where they are unknown."""
    found = told.lead.parted
    if found is None:
        return []
    moved = (
        f"{words.title(told.pair.etf)}'s {words.percent(found.etf_return)} {words.over(found.window, found.session)}"
    )
    parts = [
        f"{words.name(told.pair.crypto)} {_part(found.crypto)}",
        f"AI {_part(found.ai)} by {escape(found.proxy)} from {escape(found.source)}",
        f"the rest {_part(found.rest)}",
    ]
    return [f"Of {moved} when it fired: {', '.join(parts)}."]


def _part(part: Part) -> str:
    return f"{words.pp(part.amount)} ± {words.size(100 * part.error)}"
