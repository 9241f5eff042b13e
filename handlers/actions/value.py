"""What alert buttons carry: the alert's number, for a snooze with the span that was chosen."""

from __future__ import annotations

import re

from services.domain.errors import NotFoundError

OUT_OF_USE = "This button is no longer in use. Type /minerpulse to see what is open here."
_VALUE = re.compile(r"(?P<alert>\d{1,9})(?::(?P<span>[a-z0-9]+))?", re.ASCII)


def alert_id(value: str) -> int:
    """Read the alert's number. Raises NotFoundError where the button is from another time."""
    return alert_and_span(value)[0]


def alert_and_span(value: str) -> tuple[int, str]:
    """Read the alert's number and the span, which is empty where none was chosen. Raises NotFoundError."""
    match = _VALUE.fullmatch(value)
    if match is None:
        raise NotFoundError(OUT_OF_USE)
    return int(match["alert"]), match["span"] or ""
