"""Explain: why the ETF and bitcoin parted, from prices alone, and how much the answer hangs on how it was found."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date  # noqa: TC003 -- written as JSON by reading these types at run time
from typing import TYPE_CHECKING

import numpy as np

from services.domain.attribution import LOOKBACK, Attribution, attribute, fitted
from services.domain.errors import NoHistoryError
from services.domain.hours import split_hours
from services.domain.measure import BETA_SESSIONS, NotMeasured, anchors
from services.domain.pivot import gauge

if TYPE_CHECKING:
    from services.domain.attribution import Legs
    from services.domain.hours import Hours
    from services.domain.measure import Window
    from services.domain.pivot import Gauge
    from services.domain.prices import Bars, Closes, Pair, Symbol
    from services.domain.sessions import Sessions


@dataclass(frozen=True, slots=True, kw_only=True)
class Later:
    """How many sessions, up to `last`, come after what is explained, and whose prices some of them lack."""

    sessions: int
    last: date
    lacking: tuple[Symbol, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The ETF's return over a window, in parts, up to the last session on which all three prices are known.

    `shorter` is the same with betas from 60 sessions, `hours` when the legs moved; each is None where the history does
    not have it, as is `gauge`. `later` is None where no session is later.
    """

    pair: Pair
    proxy: Symbol
    sources: tuple[str, str, str]
    attribution: Attribution
    shorter: Attribution | None
    gauge: Gauge | None
    hours: Hours | None
    later: Later | None = None


def explain(legs: Legs, window: Window, etf: Bars | Closes, crypto: Bars | Closes, sessions: Sessions) -> Explanation:
    """Explain the window that ends with the last row that has all three prices. Raises NoHistoryError with the reason.

    `etf` and `crypto` are the prices that the legs were aligned from.
    """
    known = legs.until_complete()
    if not len(known.aligned):
        raise NoHistoryError(f"{legs.aligned.pair} and {legs.proxy} have no session in common.")
    fits = fitted(known, LOOKBACK)
    found = attribute(known, window, lookback=LOOKBACK, fits=fits)
    if isinstance(found, NotMeasured):
        raise NoHistoryError(f"{window.value} cannot be explained: {found.reason}.", remedy="")
    shorter = attribute(known, window, lookback=BETA_SESSIONS)
    return Explanation(
        pair=legs.aligned.pair,
        proxy=legs.proxy,
        sources=(legs.aligned.etf_source, legs.aligned.crypto_source, legs.proxy_source),
        attribution=found,
        shorter=None if isinstance(shorter, NotMeasured) else shorter,
        gauge=gauge(known, fits),
        hours=split_hours(known.aligned, etf, crypto, sessions, int(anchors(known.aligned, window)[-1])),
        later=_later(legs, len(known.aligned)),
    )


def _later(legs: Legs, first: int) -> Later | None:
    """Tell of the sessions from a row on, which lack a price each; None where there is none."""
    days = legs.aligned.sessions[first:]
    if not len(days):
        return None
    names = (legs.aligned.pair.etf, legs.aligned.pair.crypto, legs.proxy)
    prices = zip(names, legs.columns[:, first:], strict=True)
    lacking = tuple(name for name, column in prices if np.isnan(column).any())
    return Later(sessions=len(days), last=days[-1].item(), lacking=lacking)
