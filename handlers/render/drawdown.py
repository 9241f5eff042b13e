"""How far both legs are below their highs, on a basis that is named."""

from __future__ import annotations

from handlers.render import fmt
from handlers.render.footers import basis
from handlers.render.markup import simulated
from handlers.render.message import Message, compose, header, note, section
from services.research.drawdown import Underwater
from services.research.results import DrawdownResult

BASIS = (
    "Basis: session closes, bitcoin's at the very instant; a high within a day may have been higher. The high of a "
    "share counts its dividends, and is below what was traded then."
)


def drawdown_message(told: DrawdownResult) -> Message:
    """Render both drawdowns."""
    title = simulated(_title(told), when=told.basis.simulated)
    lines = [line for one in told.legs for line in _leg(one)]
    small = [BASIS, *basis(told.basis, f"As of the close of {fmt.full_day(told.session)}.")]
    return compose([header(title), section(*lines), note(*small)], [title, *lines, *small])


def _title(told: DrawdownResult) -> str:
    return "; ".join(
        f"{fmt.title(one.symbol)} {fmt.size(100 * one.now.depth)}% below its high"
        if one.now.depth
        else f"{fmt.title(one.symbol)} at its high"
        for one in told.legs
    )


def _leg(one: Underwater) -> list[str]:
    now, name = one.now, fmt.title(one.symbol)
    high = f"{fmt.price(now.high)} on {fmt.full_day(now.high_on)}"
    since, rare = (
        fmt.full_day(now.since),
        f"{fmt.share(one.rank)} of the sessions since {fmt.full_day(one.first)}",
    )
    deepest = f"{fmt.size(100 * one.deepest)}%, on {fmt.full_day(one.deepest_on)}"
    if not now.depth:
        return [f"*{name}* at its highest session close since {since}. The deepest since: {deepest}."]
    ago = fmt.sessions(one.sessions)
    return [
        f"*{name} {fmt.size(100 * now.depth)}%* below {high}, its highest session close since {since}; {ago} ago.",
        f"Deeper than on {rare}; the deepest: {deepest}.",
    ]
