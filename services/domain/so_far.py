"""So far: what of an open session's move came with bitcoin and with AI, by the betas of the close before it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime  # noqa: TC003 -- written as JSON by reading these types at run time
from typing import TYPE_CHECKING

import numpy as np

from services.domain.attribution import CRYPTO, LOOKBACK, PROXY, Part, fitted

if TYPE_CHECKING:
    from services.domain.attribution import Legs


@dataclass(frozen=True, slots=True, kw_only=True)
class SoFar:
    """The ETF's return from the close of `anchor` to its last trade, in parts that add up to it.

    All three prices belong to the instant `at`, the proxy's within five minutes. It is no part of any window that ends
    with a close.
    """

    anchor: date
    at: datetime
    etf_return: float
    crypto_return: float
    proxy_return: float
    crypto: Part
    proxy: Part
    residual: Part


def so_far(legs: Legs, at: datetime, *, etf: float, crypto: float, proxy: float) -> SoFar | None:
    """Part a move since the last row of `legs`, given each leg's return since then, as fractions.

    The betas are from the 126 sessions that end with that row; None where it lacks a price, or they cannot be had.
    """
    if not legs.complete[-1:].any():
        return None
    fits = fitted(legs, LOOKBACK)
    if not fits.made[-1]:
        return None
    moved = np.array([0.0, crypto, proxy])
    parts, errors = fits.coefficients[-1] * moved, fits.errors[-1] * np.abs(moved)
    both = float(fits.noise[-1] * np.sqrt(moved @ fits.inverse[-1] @ moved))
    return SoFar(
        anchor=legs.aligned.sessions[-1].astype(object),
        at=at,
        etf_return=etf,
        crypto_return=crypto,
        proxy_return=proxy,
        crypto=Part(amount=float(parts[CRYPTO]), error=float(errors[CRYPTO])),
        proxy=Part(amount=float(parts[PROXY]), error=float(errors[PROXY])),
        residual=Part(amount=float(etf - parts[CRYPTO] - parts[PROXY]), error=both),
    )
