"""Footer lines on the data behind a result."""

from __future__ import annotations

import re
from itertools import groupby

from handlers.render.limits import PROBLEMS_SHOWN
from handlers.render.market import data_quality_line
from handlers.render.markup import reason
from services.market.align import Exclusion
from services.research.results import Provenance


def provenance_lines(provenance: Provenance, *sources: str) -> list[str]:
    """Return the sources, the quality of the last prices, and the sources' problems."""
    failed = [f"Problem: {reason(problem)}." for problem in provenance.problems[:PROBLEMS_SHOWN]]
    return [*sources, data_quality_line(provenance.trust), *failed]


_VARYING = re.compile(r";.*|\d{4}-\d\d-\d\d")  # differs between sessions with the same reason


def left_out_lines(left_out: tuple[Exclusion, ...]) -> list[str]:
    """Return the omitted sessions grouped by leg and reason, with their number and period."""

    def key(omitted: Exclusion) -> tuple[str, str]:
        return omitted.leg.value, _VARYING.sub("…", omitted.reason).removesuffix("…")

    lines = []
    for (leg, why), group in groupby(sorted(left_out, key=key), key=key):
        days = sorted(omitted.session for omitted in group)
        span = f"{days[0]}" if len(days) == 1 else f"{days[0]} to {days[-1]}"
        lines.append(f"Left out, {leg}: {len(days)} session{'' if len(days) == 1 else 's'}, {span}: {why}")
    return lines
