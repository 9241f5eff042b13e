"""Parted: what the ETF's return that a rule fired on came with: bitcoin, AI, or neither."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date  # noqa: TC003 -- parts are stored by reading these types at run time
from typing import TYPE_CHECKING

import numpy as np

from services.domain.attribution import Attribution, Legs, Part, attribute
from services.domain.measure import Window  # noqa: TC001 -- as above
from services.domain.prices import Symbol  # noqa: TC001 -- as above

if TYPE_CHECKING:
    from services.domain.align import Aligned
    from services.domain.prices import Closes


@dataclass(frozen=True, slots=True, kw_only=True)
class Parted:
    """The ETF's return over `window` up to an instant of `session`, in parts that add up to it; fractions.

    `ai` came with the `proxy`, whose prices are from `source`; `rest` came with neither leg.
    """

    window: Window
    session: date
    etf_return: float
    crypto: Part
    ai: Part
    rest: Part
    proxy: Symbol
    source: str


def parted(rows: Aligned, window: Window, proxy: Closes, last: float | None = None) -> Parted | None:
    """Part the ETF's return over the window that ends with the last row; None where that cannot be done.

    `last` is the proxy's price in a live row, which no close of it belongs to. Each day's betas come from the sessions
    before it, as in an explanation.
    """
    if not len(proxy):
        return None
    legs = Legs.of(rows, proxy)
    if rows.live:
        now = np.nan if last is None else last
        legs = replace(legs, proxy_prices=np.append(legs.proxy_prices[:-1], now))
    found = attribute(legs, window)
    if not isinstance(found, Attribution):
        return None
    return Parted(
        window=window,
        session=found.session,
        etf_return=found.etf_return,
        crypto=found.crypto,
        ai=found.proxy,
        rest=found.residual,
        proxy=proxy.symbol,
        source=proxy.source,
    )
