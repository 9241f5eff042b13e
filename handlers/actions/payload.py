"""What buttons carry: an alert's number, for a snooze with the span; a rule's, with its text; or a wish."""

from __future__ import annotations

import re

from services.alerting.snooze import SnoozeUntil
from services.core.errors import NotFoundError, RuleError
from services.rules.grammar import parse_rule

OUT_OF_USE = "This button is no longer in use. Type /minerpulse to see what is open here."
_NUMBER = re.compile(r"\d{1,9}", re.ASCII)
_SPANS = {span.value: span for span in SnoozeUntil}


def alert_id(value: str) -> int:
    """Read the alert's number. Raises NotFoundError where the button is from another time."""
    if not _NUMBER.fullmatch(value):
        raise NotFoundError(OUT_OF_USE)
    return int(value)


def alert_and_span(value: str) -> tuple[int, SnoozeUntil]:
    """Read the alert's number and the span that was chosen. Raises NotFoundError."""
    number, _, span = value.partition(":")
    if span not in _SPANS:
        raise NotFoundError(OUT_OF_USE)
    return alert_id(number), _SPANS[span]


def wish_and_mark(value: str) -> tuple[str, str, str]:
    """Read the mark of the rules that a preview was made on, the rule that it found, and for what wish.

    Raises NotFoundError.
    """
    match value.split("|"):
        case [mark, text, wish]:
            return mark, text, wish
        case _:
            raise NotFoundError(OUT_OF_USE)


def rule_and_text(value: str) -> tuple[int, str]:
    """Read the rule's number, and how it read when the message was made. Raises NotFoundError."""
    number, _, text = value.partition(":")
    try:
        parse_rule(text)
    except RuleError as error:
        raise NotFoundError(OUT_OF_USE) from error
    return alert_id(number), text
