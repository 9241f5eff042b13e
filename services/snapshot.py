"""Snapshots: everything that is measured of a pair at one instant, with the prices that it rests on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from services.domain.episode import LegStamp
from services.domain.measure import Window, drawdown, measure
from services.domain.prices import moment
from services.domain.trust import FULL, Trust

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime
    from typing import TypeAlias

    from services.domain.align import Aligned
    from services.domain.measure import Drawdown, Measurement, NotMeasured
    from services.domain.prices import Quote

    Stamps: TypeAlias = tuple[LegStamp | None, LegStamp | None]


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
    etf: LegStamp | None
    crypto: LegStamp | None
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


def stamp_of(quote: Quote) -> LegStamp:
    """Take a trade as the price of a leg."""
    return LegStamp(symbol=quote.symbol, source=quote.source, price=quote.price, at=quote.at)


def close_stamps(aligned: Aligned) -> Stamps:
    """Give both prices of the last row."""
    return (
        _close_stamp(aligned, str(aligned.pair.etf), aligned.etf_source, float(aligned.etf[-1])),
        _close_stamp(aligned, str(aligned.pair.crypto), aligned.crypto_source, float(aligned.crypto[-1])),
    )


def _close_stamp(aligned: Aligned, symbol: str, source: str, price: float) -> LegStamp | None:
    if np.isnan(price):
        return None
    return LegStamp(symbol=symbol, source=source, price=price, at=moment(aligned.at[-1]))
