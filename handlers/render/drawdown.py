"""The drawdown of both legs from their highs: the current one as a message, and its history as a picture."""

import math
from collections.abc import Sequence

from handlers.render import fmt
from handlers.render.market import basis_text, provenance_lines
from handlers.render.markup import mark_simulated
from handlers.render.message import Message, compose, context, header, section
from handlers.render.picture import ColorRole, Curve, Panel, Picture, alt_text
from services.core.text import counted
from services.research.report import DrawdownSummary, Report
from services.research.service import DrawdownResult

CLOSES_NOTE = "Session closes; bitcoin at the ETF's own close."
METHOD = (
    "{closes}; a high within a day may have been higher. The high of a share counts its dividends, and is below what "
    "was traded then."
)
DAILY = "Shares are measured at session closes, bitcoin at daily closes (midnight UTC)"
SESSIONS = "Both are measured at session closes, bitcoin at the ETF's own close"


def drawdown_message(result: DrawdownResult) -> Message:
    """Return both drawdowns."""
    title = mark_simulated(_title(result), when=result.provenance.simulated)
    lines = [line for leg in result.legs for line in _leg_lines(leg)]
    basis = [f"{fmt.title(leg.symbol)}: {basis_text(leg.basis)}." for leg in result.legs]
    as_of = f"As of the close of {fmt.full_day(result.session)}."
    method = METHOD.format(closes=DAILY if any(leg.basis.daily for leg in result.legs) else SESSIONS)
    notes = [method, *basis, *provenance_lines(result.provenance, as_of)]
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
    close, days = ("daily close", "days") if leg.basis.daily else ("session close", "sessions")
    high = f"{fmt.price(current.high)} on {fmt.full_day(current.high_on)}"
    since, frequency = (
        fmt.full_day(current.since),
        f"{fmt.whole_percent(leg.percentile)} of the {days} since {fmt.full_day(leg.first_session)}",
    )
    deepest = f"{fmt.unsigned(100 * leg.max_depth)}%, on {fmt.full_day(leg.max_depth_on)}"
    if not current.depth:
        return [f"*{name}* at its highest {close} since {since}. The deepest since: {deepest}."]
    depth, ago = fmt.unsigned(100 * current.depth), counted(leg.sessions_since_high, days.removesuffix("s"))
    return [
        f"*{name} {depth}%* below {high}, its highest {close} since {since}; {ago} ago.",
        f"Deeper than on {frequency}; the deepest: {deepest}.",
    ]


def drawdown_picture(report: Report, *, simulated: bool) -> Picture:
    """Return both drawdowns, downwards from the high."""
    etf, crypto = fmt.title(report.curve.pair.etf), fmt.title(report.curve.pair.crypto)
    legs = (
        _drawdown_curve(ColorRole.ETF, etf, report.drawdown_paths[0]),
        _drawdown_curve(ColorRole.CRYPTO, crypto, report.drawdown_paths[1]),
    )
    title = f"{etf} and {fmt.name(report.curve.pair.crypto)} below their highs"
    return Picture(
        title=title,
        days=tuple(point.session for point in report.curve.points),
        panels=(Panel(title="Below the high, %", subtitle="0 is the highest close so far", baseline=0.0, curves=legs),),
        footer=f"{CLOSES_NOTE} Highs count {_since_notes(report.drawdowns)}.",
        alt=alt_text(f"{title}.", *map(_drawdown_alt_text, legs)),
        simulated=simulated,
    )


def _since_notes(legs: Sequence[DrawdownSummary]) -> str:
    """Return since when each leg's highs count."""
    return (
        ", ".join(f"{fmt.name(leg.symbol)}'s since {fmt.full_day(leg.current.since)}" for leg in legs)
        or "from its start"
    )


def _drawdown_curve(role: ColorRole, name: str, depths: Sequence[float]) -> Curve:
    return Curve(role=role, values=tuple(-100 * depth for depth in depths), label=f"{name}\n{fmt.percent(-depths[-1])}")


def _drawdown_alt_text(curve: Curve) -> str:
    deepest = min(value for value in curve.values if math.isfinite(value))
    return f"{' '.join(curve.label.split())} at the end, {fmt.percent(deepest / 100)} at the deepest."
