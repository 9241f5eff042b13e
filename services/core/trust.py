"""Data quality: how far a price or a measurement can be used, and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from services.core.reason import Reason


class Verdict(Enum):
    """Data quality, from best to worst."""

    OK = "ok"
    DEGRADED = "degraded"
    STALE = "stale"
    SUSPECT = "suspect"

    @property
    def usable(self) -> bool:
        """Whether rules may fire and resolve on the value."""
        return self in {Verdict.OK, Verdict.DEGRADED}


_SEVERITY = {verdict: rank for rank, verdict in enumerate(Verdict)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """A verdict with its reasons, the first cause first; a vendor's problem and a stored reason may be words."""

    verdict: Verdict = Verdict.OK
    reasons: tuple[Reason | str, ...] = ()

    def combined_with(self, other: Trust) -> Trust:
        """Return the worse verdict, with the reasons of both without duplicates."""
        return Trust(
            verdict=max(self.verdict, other.verdict, key=_SEVERITY.__getitem__),
            reasons=tuple(dict.fromkeys(self.reasons + other.reasons)),
        )


TRUSTED = Trust()
