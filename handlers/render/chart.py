"""A chart of both legs since a window's start, and the same in words for those who cannot see it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers.render import words
from handlers.render.curve import curve_picture
from handlers.render.limits import CHART_POINTS, CHART_TITLE, clip
from handlers.render.market import data
from handlers.render.markup import reason, simulated
from handlers.render.message import compose, header, line_chart, note, say, section
from services.domain.curve import thinned
from services.domain.measure import NotMeasured

if TYPE_CHECKING:
    from datetime import datetime

    from handlers.render.message import Block, Message
    from handlers.render.picture import Picture
    from services.charting import Charted
    from services.domain.curve import Curve, Point


def chart(told: Charted, now: datetime) -> Message:
    """Draw a curve, or say why there is none."""
    drawn, view = told.curve, told.view
    if isinstance(drawn, NotMeasured):
        why = f"No chart of {view.pair.etf} {words.over(drawn.window)}: {reason(drawn.reason)}."
        return say(simulated(why, when=view.simulated))
    end = drawn.points[-1]
    title = simulated(_title(drawn, end), when=view.simulated)
    moves = _moves(drawn, end)
    apart = f"Furthest apart here: {furthest(drawn)}."
    prices = [_as_of(end, now), data(view.current.trust)]
    return compose(
        [header(title), native(drawn, is_simulated=view.simulated), section(*moves, apart), note(*prices)],
        [title, *moves, apart, *prices],
    )


def chart_picture(told: Charted) -> Picture | None:
    """Draw the same in full, a point for each session; None where it cannot be drawn.

    It names the time of its prices and not their age, which a picture would go on telling.
    """
    drawn, view = told.curve, told.view
    if isinstance(drawn, NotMeasured):
        return None
    end = drawn.points[-1]
    foot = [_as_of(end), data(view.current.trust)]
    return curve_picture(drawn, simulated(_title(drawn, end), when=view.simulated), foot, simulated=view.simulated)


def native(drawn: Curve, *, is_simulated: bool) -> Block:
    """Draw both legs of a curve in Slack's own chart, 20 points at most."""
    etf, crypto = words.title(drawn.pair.etf), words.title(drawn.pair.crypto)
    title = f"{etf} and {words.name(drawn.pair.crypto)} {_over(drawn)}, in %"
    points = thinned(drawn.points, CHART_POINTS)
    labels = [_label(point) for point in points]
    series = {
        etf: [round(100 * point.etf, 1) for point in points],
        crypto: [round(100 * point.crypto, 1) for point in points],
    }
    return line_chart(clip(simulated(title, when=is_simulated), CHART_TITLE), labels, series, across="Session")


def _label(point: Point) -> str:
    """Name a point so that no two of a year have the same name."""
    if point.live:
        return f"{words.short_day(point.session)} {words.clock(point.at)}"
    return words.short_day(point.session)


def _title(drawn: Curve, end: Point) -> str:
    day = "" if end.live else f" to the close of {words.day(end.session)}"
    return f"{drawn.pair.etf} {words.stands(drawn.pair, end.etf - end.crypto)} {_over(drawn)}{day}"


def _over(drawn: Curve) -> str:
    first, end = drawn.points[0].session, drawn.points[-1].session
    return words.over(drawn.window, end) if drawn.window else f"since {words.full_day(first)}"


def _moves(drawn: Curve, end: Point) -> list[str]:
    return [
        f"Since the close of {words.full_day(drawn.points[0].session)}:",
        f"{words.title(drawn.pair.etf)} *{words.percent(end.etf)}*",
        f"{words.title(drawn.pair.crypto)} *{words.percent(end.crypto)}*",
        f"Spread *{words.pp(end.etf - end.crypto)}*",
    ]


def furthest(drawn: Curve) -> str:
    """Tell where the two were furthest apart among what is drawn."""
    known = [point for point in drawn.points if point.complete]
    most = max(known, key=lambda point: abs(point.etf - point.crypto))
    return f"{words.pp(most.etf - most.crypto)}, {words.day(most.session)}"


def _as_of(end: Point, now: datetime | None = None) -> str:
    if end.live:
        age = f", {words.duration(now - end.at)} old" if now else ""
        return f"Live, both legs at {words.hour(end.at)}{age}."
    return f"Session closes; bitcoin at the ETF's own close. Last: {words.moment(end.at)}."
