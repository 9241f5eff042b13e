"""The course of an alert: a chart of how both legs came to where it saw them, and the gist of it in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers.render import words
from handlers.render.chart import furthest, native
from services.domain.curve import Curve

if TYPE_CHECKING:
    from handlers.render.message import Block
    from services.domain.course import Course
    from services.domain.episode import Alert


def course_chart(told: Alert) -> Block | None:
    """Draw both legs up to the prices of the alert; None where it keeps no course."""
    if told.course is None:
        return None
    return native(_curve(told, told.course), is_simulated=told.simulated)


def course_words(told: Alert) -> list[str]:
    """Say where the chart ends, and where in it the legs were furthest apart."""
    if told.course is None:
        return []
    end, span = told.course.points[-1], words.over(told.course.window, told.course.points[-1].session)
    legs = [(told.pair.etf, end.etf), (told.pair.crypto, end.crypto)]
    moves = ", ".join(f"{words.name(symbol)} {words.percent(moved)}" for symbol, moved in legs)
    return [f"{span[:1].upper()}{span[1:]}: {moves}; furthest apart {furthest(_curve(told, told.course))}."]


def _curve(told: Alert, course: Course) -> Curve:
    return Curve(pair=told.pair, window=course.window, points=course.points)
