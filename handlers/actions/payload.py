"""Button values: an alert id, an alert id and snooze choice, a rule id and text, or a tuning offer."""

import re

from services.alerting.snooze import SnoozeUntil
from services.core.errors import NotFoundError, RuleError
from services.rules.grammar import parse_rule

STALE_BUTTON = "This button is no longer in use. Type /minerpulse to see what is open here."
_NUMBER = re.compile(r"\d{1,9}", re.ASCII)
_SNOOZE_CHOICES = {choice.value: choice for choice in SnoozeUntil}


def parse_alert_id(value: str) -> int:
    """Parse an alert id. Raises NotFoundError if the button is from an older version."""
    if not _NUMBER.fullmatch(value):
        raise NotFoundError(STALE_BUTTON)
    return int(value)


def parse_snooze(value: str) -> tuple[int, SnoozeUntil]:
    """Parse an alert id and the snooze choice. Raises NotFoundError."""
    id_text, _, choice = value.partition(":")
    if choice not in _SNOOZE_CHOICES:
        raise NotFoundError(STALE_BUTTON)
    return parse_alert_id(id_text), _SNOOZE_CHOICES[choice]


def parse_use_rule(value: str) -> tuple[str, str, str]:
    """Parse the version of the rules that a preview was made on, the rule it found, and the target rate.

    Raises NotFoundError.
    """
    match value.split("|"):
        case [version, text, rate]:
            return version, text, rate
        case _:
            raise NotFoundError(STALE_BUTTON)


def parse_rule_reference(value: str) -> tuple[int, str]:
    """Parse a rule id and the rule's text at the time of the message. Raises NotFoundError."""
    id_text, _, text = value.partition(":")
    try:
        parse_rule(text)
    except RuleError as error:
        raise NotFoundError(STALE_BUTTON) from error
    return parse_alert_id(id_text), text
