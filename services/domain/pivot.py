"""The pivot gauge: how the ETF's betas to bitcoin and to the AI proxy have changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date  # noqa: TC003 -- written as JSON by reading these types at run time
from typing import TYPE_CHECKING

import numpy as np

from services.domain.attribution import CRYPTO, LOOKBACK, PROXY, fitted

if TYPE_CHECKING:
    from services.domain.attribution import Legs
    from services.domain.regress import Fits

THEN = 504  # sessions, two years, that the present is held against
POINTS = 24  # of the path, a month apart in two years


@dataclass(frozen=True, slots=True, kw_only=True)
class Beta:
    """An estimated beta with its standard error."""

    value: float
    error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Both betas from the 126 sessions that end on `session`, and the share of the variance that they explain."""

    session: date
    crypto: Beta
    proxy: Beta
    r2: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauge:
    """The betas two years ago, or when they could first be estimated, and now; `path` is what lies between, evenly."""

    then: Reading
    now: Reading
    path: tuple[Reading, ...]


def gauge(legs: Legs, fits: Fits | None = None) -> Gauge | None:
    """Read the betas over the last two years up to the last row; None where they cannot be estimated there.

    `fits` are those of `fitted`, where they have been made already.
    """
    fits = fits or fitted(legs, LOOKBACK)
    last = len(fits.noise) - 1
    made = np.flatnonzero(fits.made[max(0, last - THEN) :]) + max(0, last - THEN)
    if not len(made) or made[-1] != last:
        return None
    chosen = made[np.linspace(0, len(made) - 1, min(POINTS + 1, len(made))).round().astype(int)]
    path = tuple(_reading(legs, fits, row) for row in chosen.tolist())
    return Gauge(then=path[0], now=path[-1], path=path)


def _reading(legs: Legs, fits: Fits, row: int) -> Reading:
    return Reading(
        session=legs.aligned.sessions[row].astype(object),
        crypto=Beta(value=float(fits.coefficients[row, CRYPTO]), error=float(fits.errors[row, CRYPTO])),
        proxy=Beta(value=float(fits.coefficients[row, PROXY]), error=float(fits.errors[row, PROXY])),
        r2=float(fits.r2[row]),
    )
