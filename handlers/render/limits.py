"""Slack's limits on a message, in one table; what could pass them is cut before it is sent."""

from __future__ import annotations

from collections.abc import Sequence

FALLBACK_TEXT = 4_000
HEADER_TEXT = 150
SECTION_TEXT = 3_000
CONTEXT_TEXT = 2_000
LIST_TEXT = 6_000  # of a long list, so that its message stays well below the 12,000 of all blocks
LIST_FALLBACK = 2_800  # of the same in the fallback text, which has more to tell
SHARE_TEXT = 1_200  # of one of several lists in a message
OPTIONS = 60  # of a choice; Slack takes 100
OPTIONS_TEXT = 4_000  # of all its options together
OPTION_VALUE = 150
CHART_TITLE = 50
CHART_LABEL = 20  # of a point or a line
CHART_POINTS = 20
ALT_TEXT = 2_000
FORM_TITLE = 24
OPTION_TEXT = 75
PROBLEMS_SHOWN = 4
LONGEST_PROBLEM = 300  # of a source
LONGEST_REASON = 500  # that a person gives: the message of an alert has more to tell


def clip(text: str, limit: int) -> str:
    """Cut a text that is too long, and say so with an ellipsis."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def fitting(lines: Sequence[str], room: int, what: str = "") -> list[str]:
    """Keep the first lines that fit into `room` characters, and say how many more there are, of `what`."""
    taken = 0
    for at, line in enumerate(lines):
        taken += len(line) + 1
        if taken > room:
            return [*lines[:at], f"… and {len(lines) - at} more{what}"]
    return list(lines)


def newest_fitting(lines: Sequence[str], room: int, what: str) -> list[str]:
    """Do the same with the last lines, in their order."""
    return fitting(lines[::-1], room, what)[::-1]
