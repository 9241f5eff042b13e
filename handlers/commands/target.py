"""Which alert a command means: the one whose number was typed, else the only one that is open."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from handlers.render.topic import topic
from services.domain.errors import NotFoundError
from services.domain.typed import unquoted

if TYPE_CHECKING:
    from handlers.ask import Ask

_NUMBERED = re.compile(r"(?:#?(?P<number>\d{1,9})(?!\S)\s*)?(?P<rest>.*)", re.ASCII | re.DOTALL)


class Wish(NamedTuple):
    """The number that was typed, None where none was, and what stands behind it."""

    number: int | None
    rest: str


def wish(argument: str) -> Wish:
    """Take the number off the front of what was typed, and the quotes off the rest, as in `3 “5d 12pp”`."""
    found = _NUMBERED.fullmatch(argument)
    number = found["number"] if found else None
    return Wish(None if number is None else int(number), unquoted(found["rest"] if found else argument))


async def alert_meant(ask: Ask, number: int | None) -> int:
    """Give the alert's number. Raises NotFoundError where none or several are open and no number was typed."""
    if number is not None:
        return number
    match await ask.desk.open_alerts(ask.channel):
        case []:
            raise NotFoundError("No alert is open in this channel.")
        case [alone]:
            return alone.id
        case several:
            names = ", ".join(f"{alert.id} ({topic(alert)})" for alert in several)
            raise NotFoundError(f"Several alerts are open here; say which by its number: {names}.")
