"""How far both legs are below their highs, on a basis that is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers.render import words
from handlers.render.basis import basis
from handlers.render.markup import simulated
from handlers.render.message import compose, header, note, section

if TYPE_CHECKING:
    from handlers.render.message import Message
    from services.answers import Depths
    from services.domain.underwater import Underwater

BASIS = (
    "Basis: session closes, bitcoin's at the very instant; a high within a day may have been higher. The high of a "
    "share counts its dividends, and is below what was traded then."
)


def drawdown(told: Depths) -> Message:
    """Render both drawdowns."""
    title = simulated(_title(told), when=told.basis.simulated)
    lines = [line for one in told.legs for line in _leg(one)]
    small = [BASIS, *basis(told.basis, f"As of the close of {words.full_day(told.session)}.")]
    return compose([header(title), section(*lines), note(*small)], [title, *lines, *small])


def _title(told: Depths) -> str:
    return "; ".join(
        f"{words.title(one.symbol)} {words.size(100 * one.now.depth)}% below its high"
        if one.now.depth
        else f"{words.title(one.symbol)} at its high"
        for one in told.legs
    )


def _leg(one: Underwater) -> list[str]:
    now, name = one.now, words.title(one.symbol)
    high = f"{words.price(now.high)} on {words.full_day(now.high_on)}"
    since, rare = (
        words.full_day(now.since),
        f"{words.share(one.rank)} of the sessions since {words.full_day(one.first)}",
    )
    deepest = f"{words.size(100 * one.deepest)}%, on {words.full_day(one.deepest_on)}"
    if not now.depth:
        return [f"*{name}* at its highest session close since {since}. The deepest since: {deepest}."]
    ago = words.sessions(one.sessions)
    return [
        f"*{name} {words.size(100 * now.depth)}%* below {high}, its highest session close since {since}; {ago} ago.",
        f"Deeper than on {rare}; the deepest: {deepest}.",
    ]
