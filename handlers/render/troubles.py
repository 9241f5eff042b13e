"""Troubles: messages that do not arrive, why, and what a person can do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers.render import words
from handlers.render.markup import place, reason

if TYPE_CHECKING:
    from collections.abc import Sequence

    from services.ports import Trouble

SHOWN = 5


def troubles(told: Sequence[Trouble]) -> list[str]:
    """Tell of each channel what does not arrive there; nothing where all does."""
    lines = [_trouble(one) for one in told[:SHOWN]]
    more = len(told) - SHOWN
    return [*lines, *([f"{more} more like these: `minerpulse doctor` lists them."] if more > 0 else [])]


def _trouble(one: Trouble) -> str:
    number = f"{one.messages} message{'' if one.messages == 1 else 's'}"
    what = "given up" if one.given_up else "waiting to be delivered"
    since = words.moment_utc(one.since)
    return f"*Not delivered* in {place(one.channel)}: {number} {what} since {since}. {reason(one.problem)}."
