"""What was left out of a history, and why."""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.domain.align import LeftOut

_DATED = re.compile(r";.*|\d{4}-\d\d-\d\d")  # what differs between sessions left out for the same reason


def left_out_lines(left_out: tuple[LeftOut, ...]) -> list[str]:
    """Summarise what was left out by leg and reason, with how many sessions and from when to when."""

    def key(out: LeftOut) -> tuple[str, str]:
        return out.leg.value, _DATED.sub("…", out.reason).removesuffix("…")

    lines = []
    for (leg, reason), group in groupby(sorted(left_out, key=key), key=key):
        days = sorted(out.session for out in group)
        span = f"{days[0]}" if len(days) == 1 else f"{days[0]} to {days[-1]}"
        lines.append(f"Left out, {leg}: {len(days)} session{'' if len(days) == 1 else 's'}, {span}: {reason}")
    return lines
