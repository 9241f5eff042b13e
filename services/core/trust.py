"""Trust: what a price or a measurement may be used for, and what spoke against it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """How far a value can be believed, from best to worst."""

    OK = "ok"
    DEGRADED = "degraded"
    STALE = "stale"
    SUSPECT = "suspect"

    @property
    def usable(self) -> bool:
        """Whether rules may fire and resolve on it."""
        return self in {Verdict.OK, Verdict.DEGRADED}


_WORSE = {verdict: rank for rank, verdict in enumerate(Verdict)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """A verdict with its reasons: short sentences for traders, the first cause first."""

    verdict: Verdict = Verdict.OK
    reasons: tuple[str, ...] = ()

    def also(self, other: Trust) -> Trust:
        """Join two judgements: the worse verdict, and the reasons of both, each once."""
        return Trust(
            verdict=max(self.verdict, other.verdict, key=_WORSE.__getitem__),
            reasons=tuple(dict.fromkeys(self.reasons + other.reasons)),
        )


FULL = Trust()
