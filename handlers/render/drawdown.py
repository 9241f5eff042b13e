"""The drawdown of both legs from their highs, with its basis."""

from __future__ import annotations

from handlers.render import fmt
from handlers.render.footers import provenance_lines
from handlers.render.markup import mark_simulated
from handlers.render.message import Message, compose, context, header, section
from services.research.drawdown import DrawdownSummary
from services.research.results import DrawdownResult

METHOD = (
    "Basis: session closes, bitcoin's at the very instant; a high within a day may have been higher. The high of a "
    "share counts its dividends, and is below what was traded then."
)


def drawdown_message(result: DrawdownResult) -> Message:
    """Return both drawdowns."""
    title = mark_simulated(_title(result), when=result.provenance.simulated)
    lines = [line for leg in result.legs for line in _leg_lines(leg)]
    notes = [METHOD, *provenance_lines(result.provenance, f"As of the close of {fmt.full_day(result.session)}.")]
    return compose([header(title), section(*lines), context(*notes)], [title, *lines, *notes])


def _title(result: DrawdownResult) -> str:
    return "; ".join(
        f"{fmt.title(leg.symbol)} {fmt.unsigned(100 * leg.current.depth)}% below its high"
        if leg.current.depth
        else f"{fmt.title(leg.symbol)} at its high"
        for leg in result.legs
    )


def _leg_lines(leg: DrawdownSummary) -> list[str]:
    current, name = leg.current, fmt.title(leg.symbol)
    high = f"{fmt.price(current.high)} on {fmt.full_day(current.high_on)}"
    since, frequency = (
        fmt.full_day(current.since),
        f"{fmt.whole_percent(leg.percentile)} of the sessions since {fmt.full_day(leg.first_session)}",
    )
    deepest = f"{fmt.unsigned(100 * leg.max_depth)}%, on {fmt.full_day(leg.max_depth_on)}"
    if not current.depth:
        return [f"*{name}* at its highest session close since {since}. The deepest since: {deepest}."]
    depth, ago = fmt.unsigned(100 * current.depth), fmt.sessions(leg.sessions_since_high)
    return [
        f"*{name} {depth}%* below {high}, its highest session close since {since}; {ago} ago.",
        f"Deeper than on {frequency}; the deepest: {deepest}.",
    ]
