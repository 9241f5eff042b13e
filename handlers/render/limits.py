"""Slack's limits and the app's text budgets, mostly in characters, and helpers that apply them."""

from collections.abc import Sequence

FALLBACK_TEXT = 4_000
HEADER_TEXT = 150
SECTION_TEXT = 3_000
CONTEXT_TEXT = 2_000
LIST_TEXT = 6_000  # of a long list; keeps its message well below Slack's 12,000 for all blocks
LIST_FALLBACK = 2_800  # of the same list in the fallback text, which also holds other lines
SHORT_LIST_TEXT = 1_200  # of one of several lists in a message
OPTIONS = 60  # of a select menu; Slack allows 100
OPTIONS_TEXT = 4_000  # of all its options together
OPTION_VALUE = 150
CHART_TITLE = 50
CHART_LABEL = 20  # of a point or a series
CHART_POINTS = 20
ALT_TEXT = 2_000
FORM_TITLE = 24
OPTION_TEXT = 75
PROBLEMS_SHOWN = 4
PROBLEM_TEXT = 300  # of a source's error
REASON_TEXT = 500  # of a user's reason, so that the alert's message keeps room for the rest


def clip(text: str, limit: int) -> str:
    """Return the text, shortened to `limit` characters with an ellipsis if it is longer."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def fit_lines(lines: Sequence[str], max_chars: int, noun: str = "") -> list[str]:
    """Return the first lines that fit into `max_chars`, then how many more `noun` there are."""
    used = 0
    for index, line in enumerate(lines):
        used += len(line) + 1
        if used > max_chars:
            return [*lines[:index], f"… and {len(lines) - index} more{noun}"]
    return list(lines)


def fit_newest_lines(lines: Sequence[str], max_chars: int, noun: str) -> list[str]:
    """Return the last lines that fit, in their order, after how many earlier `noun` there are."""
    return fit_lines(lines[::-1], max_chars, noun)[::-1]
