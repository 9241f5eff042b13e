"""What an answer from history rests on, in small print."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers.render.limits import PROBLEMS_SHOWN
from handlers.render.market import data
from handlers.render.markup import reason

if TYPE_CHECKING:
    from services.answers import Basis


def basis(told: Basis, *sources: str) -> list[str]:
    """Name the sources, the verdict on the last prices, and what the sources failed at."""
    failed = [f"Problem: {reason(problem)}." for problem in told.problems[:PROBLEMS_SHOWN]]
    return [*sources, data(told.trust), *failed]
