"""Slack's limits on a message, in one table; what could pass them is cut before it is sent."""

from __future__ import annotations

FALLBACK_TEXT = 4_000
HEADER_TEXT = 150
SECTION_TEXT = 3_000
CONTEXT_TEXT = 2_000
RULES_SHOWN = 40  # on the board, inside one section
RULES_LISTED = 60  # in the list of rules, a section for every 15
RULES_A_SECTION = 15
CHART_TITLE = 50
CHART_LABEL = 20  # of a point or a line
CHART_POINTS = 20
ALT_TEXT = 2_000
FORM_TITLE = 24
OPTION_TEXT = 75
PROBLEMS_SHOWN = 4
LONGEST_REASON = 500  # that a person gives: the message of an alert has more to tell


def clip(text: str, limit: int) -> str:
    """Cut a text that is too long, and say so with an ellipsis."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
