"""What an answer from history rests on, in small print."""

from __future__ import annotations

import re
from itertools import groupby

from handlers.render.limits import PROBLEMS_SHOWN
from handlers.render.market import data
from handlers.render.markup import reason
from services.market.align import LeftOut
from services.research.results import Provenance


def basis(told: Provenance, *sources: str) -> list[str]:
    """Name the sources, the verdict on the last prices, and what the sources failed at."""
    failed = [f"Problem: {reason(problem)}." for problem in told.problems[:PROBLEMS_SHOWN]]
    return [*sources, data(told.trust), *failed]


_DATED = re.compile(r";.*|\d{4}-\d\d-\d\d")  # what differs between sessions left out for the same reason


def left_out_lines(left_out: tuple[LeftOut, ...]) -> list[str]:
    """Summarise what was left out by leg and reason, with how many sessions and from when to when."""

    def key(out: LeftOut) -> tuple[str, str]:
        return out.leg.value, _DATED.sub("…", out.reason).removesuffix("…")

    lines = []
    for (leg, why), group in groupby(sorted(left_out, key=key), key=key):
        days = sorted(out.session for out in group)
        span = f"{days[0]}" if len(days) == 1 else f"{days[0]} to {days[-1]}"
        lines.append(f"Left out, {leg}: {len(days)} session{'' if len(days) == 1 else 's'}, {span}: {why}")
    return lines
