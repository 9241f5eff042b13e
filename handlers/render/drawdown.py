"""The drawdown of both legs from their highs, as a message."""

from handlers.render import fmt
from handlers.render.market import basis_text, context_lines, data_quality
from handlers.render.markup import NBSP, mark_simulated, plain
from handlers.render.message import Message, compose, context, header, notification, section
from services.core.text import counted
from services.research.report import DrawdownSummary
from services.research.service import DrawdownResult

METHOD = (
    "A drawdown is the last close against the highest close; an intraday high may have been higher. The high of "
    "an ETF or stock is dividend-adjusted, so it can be below the price it traded at. ETFs and stocks are measured "
    "at session closes, BTC at daily closes (midnight UTC), or at the ETF's closes if daily ones aren't available."
)


def drawdown_message(result: DrawdownResult) -> Message:
    """Return both drawdowns."""
    title = mark_simulated(_title(result), when=result.provenance.simulated)
    basis = [_basis(leg) for leg in result.legs]
    close = f"{fmt.full_day(result.session)} close"
    frequencies = [f"{fmt.name(leg.symbol)} {_frequency(leg)}." for leg in result.legs if leg.current.depth]
    return compose(
        [
            header(title),
            *(section(*_leg_lines(leg)) for leg in result.legs),
            context(*context_lines(result.provenance, close, *basis)),
        ],
        notification(f"{title}.", *frequencies, f"{plain(data_quality(result.provenance.trust))}."),
    )


def _title(result: DrawdownResult) -> str:
    """Return both depths: `Drawdown: WGMI 23.1%, BTC 8.7%`."""
    depths = (
        f"{fmt.name(leg.symbol)} {fmt.unsigned(100 * leg.current.depth)}%"
        if leg.current.depth
        else f"{fmt.name(leg.symbol)} at its high"
        for leg in result.legs
    )
    return f"Drawdown: {', '.join(depths)}"


def _basis(leg: DrawdownSummary) -> str:
    closes = "daily closes" if leg.basis.daily else "session closes"
    return f"{fmt.name(leg.symbol)} {closes} {basis_text(leg.basis)}"


def _leg_lines(leg: DrawdownSummary) -> list[str]:
    current, name = leg.current, fmt.name(leg.symbol)
    deepest = f"Deepest: {fmt.unsigned(100 * leg.max_depth)}%, {fmt.full_day(leg.max_depth_on)}"
    if not current.depth:
        return [f"*{name}* at its high, {fmt.price(current.high)}", deepest]
    unit = "day" if leg.basis.daily else "session"
    frequency = _frequency(leg)
    ago = counted(leg.sessions_since_high, unit).replace(" ", NBSP)
    high = f"the high of {fmt.full_day(current.high_on)} ({fmt.price(current.high)})"
    return [
        f"*{name} {fmt.percent(-current.depth)}* from {high}, {ago} ago",
        f"{frequency[:1].upper()}{frequency[1:]}. {deepest}",
    ]


def _frequency(leg: DrawdownSummary) -> str:
    """Return on how many days the drawdown was less deep: `deeper than on 56% of the sessions since Aug 23, 2024`."""
    days = "days" if leg.basis.daily else "sessions"
    return f"deeper than on {fmt.whole_percent(leg.percentile)} of the {days} since {fmt.full_day(leg.first_session)}"
