"""Snapshots: everything that is measured of a pair at one instant, with the prices that it rests on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import reduce
from typing import TypeAlias

import numpy as np

from services.core.prices import PriceStamp, Quote, moment
from services.core.trust import FULL, Trust
from services.market.align import Aligned
from services.market.measure import Drawdown, Measurement, NotMeasured, Window, anchors, drawdown, measure
from services.market.price_history import Leg

Stamps: TypeAlias = tuple[PriceStamp | None, PriceStamp | None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Snapshot:
    """Everything measured at one instant: a session's close, or a moment before it.

    `rows` is what it was measured on. The stamps are None where the leg has no price at that instant; the measurements
    then say why. `trust` is how far both prices can be relied on; rules neither fire nor resolve on what is not usable.
    `origins` tells the same of the prices that windows start from, where there is anything to tell.
    """

    rows: Aligned
    session: date
    at: datetime
    live: bool
    measurements: dict[Window, Measurement | NotMeasured]
    etf: PriceStamp | None
    crypto: PriceStamp | None
    etf_drawdown: Drawdown | None
    crypto_drawdown: Drawdown | None
    trust: Trust = FULL
    origins: Mapping[Window, Trust] = field(default_factory=dict)

    def over(self, window: Window | None) -> Trust:
        """Tell how far what is measured over a window can be relied on: its prices at either end."""
        return self.trust.also(self.origins.get(window, FULL)) if window else self.trust


def snapshot(
    aligned: Aligned,
    stamps: Stamps | None = None,
    *,
    trust: Trust = FULL,
    origins: Mapping[Window, Trust] | None = None,
) -> Snapshot:
    """Measure the last row of `aligned` over every window."""
    etf, crypto = stamps or close_stamps(aligned)
    return Snapshot(
        rows=aligned,
        session=aligned.sessions[-1].astype(object),
        at=moment(aligned.at[-1]),
        live=aligned.live,
        measurements={window: measure(aligned, window) for window in Window},
        etf=etf,
        crypto=crypto,
        etf_drawdown=drawdown(aligned, aligned.etf),
        crypto_drawdown=drawdown(aligned, aligned.crypto, aligned.crypto_past),
        trust=trust,
        origins=origins or {},
    )


def stamp_of(quote: Quote) -> PriceStamp:
    """Take a trade as the price of a leg."""
    return PriceStamp(symbol=quote.symbol, source=quote.source, price=quote.price, at=quote.at)


def close_stamps(aligned: Aligned) -> Stamps:
    """Give both prices of the last row."""
    return (
        _close_stamp(aligned, str(aligned.pair.etf), aligned.etf_source, float(aligned.etf[-1])),
        _close_stamp(aligned, str(aligned.pair.crypto), aligned.crypto_source, float(aligned.crypto[-1])),
    )


def _close_stamp(aligned: Aligned, symbol: str, source: str, price: float) -> PriceStamp | None:
    if np.isnan(price):
        return None
    return PriceStamp(symbol=symbol, source=source, price=price, at=moment(aligned.at[-1]))


def trust_at(leg: Leg, aligned: Aligned, row: int = -1) -> Trust:
    """Tell how far a leg's close can be trusted at a row, the last where none is given."""
    return leg.past.trust(aligned.sessions[row] if leg.is_share else aligned.at[row])


def origins(rows: Aligned, *legs: Leg) -> dict[Window, Trust]:
    """Tell what is to be said of some legs' closes that windows start from, where both are known."""
    starts = {window: int(anchors(rows, window)[-1]) for window in Window}
    known = {window: row for window, row in starts.items() if row >= 0 and rows.complete[row]}
    found = {window: _together(trust_at(leg, rows, row) for leg in legs) for window, row in known.items()}
    return {
        window: replace(trust, reasons=tuple(f"{window.value} begins where {reason}" for reason in trust.reasons))
        for window, trust in found.items()
        if trust != FULL
    }


def _together(trusts: Iterable[Trust]) -> Trust:
    return reduce(Trust.also, trusts, FULL)
