"""A row of small bars, for a trend in one line of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

BARS, NONE = "▁▂▃▄▅▆▇█", "·"


def spark(values: Sequence[float | None]) -> str:
    """Draw one bar for each value, from the smallest to the largest, and a dot where there is none.

    Where none differ, all have the lowest bar.
    """
    known = [value for value in values if value is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    span = high - low or 1.0
    return "".join(NONE if one is None else BARS[int((one - low) / span * (len(BARS) - 1) + 0.5)] for one in values)
