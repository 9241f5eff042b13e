"""Snapshots: all measurements of a pair at one instant, with the prices that they use."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import reduce
from typing import TypeAlias

import numpy as np

from services.core.prices import PriceStamp, Quote, to_datetime
from services.core.reason import Code, Reason
from services.core.trust import TRUSTED, Trust
from services.market.align import Aligned
from services.market.consensus.closes import LegHistory
from services.market.measure import Drawdown, Measurement, NotMeasured, Window, anchors, drawdown, measure

Stamps: TypeAlias = tuple[PriceStamp | None, PriceStamp | None]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Snapshot:
    """All measurements at one instant: a session's close, or a live instant before it.

    Attributes:
        aligned: the prices that were measured.
        etf, crypto: None if the leg has no price at that instant; the measurements then have the reason.
        trust: how far both prices can be trusted; rules neither fire nor resolve on unusable prices.
        anchor_trust: the trust of the prices that windows start from; only windows with a reservation are present.
    """

    aligned: Aligned
    session: date
    at: datetime
    live: bool
    measurements: dict[Window, Measurement | NotMeasured]
    etf: PriceStamp | None
    crypto: PriceStamp | None
    etf_drawdown: Drawdown | None
    crypto_drawdown: Drawdown | None
    trust: Trust = TRUSTED
    anchor_trust: Mapping[Window, Trust] = field(default_factory=dict)

    def trust_over(self, window: Window | None) -> Trust:
        """Return the trust of a window's measurement: that of its prices at both ends."""
        return self.trust.combined_with(self.anchor_trust.get(window, TRUSTED)) if window else self.trust


def snapshot(
    aligned: Aligned,
    stamps: Stamps | None = None,
    *,
    trust: Trust = TRUSTED,
    anchor_trust: Mapping[Window, Trust] | None = None,
) -> Snapshot:
    """Measure the last row of `aligned` over every window."""
    etf, crypto = stamps or close_stamps(aligned)
    return Snapshot(
        aligned=aligned,
        session=aligned.sessions[-1].astype(object),
        at=to_datetime(aligned.at[-1]),
        live=aligned.live,
        measurements={window: measure(aligned, window) for window in Window},
        etf=etf,
        crypto=crypto,
        etf_drawdown=drawdown(aligned, aligned.etf),
        crypto_drawdown=drawdown(aligned, aligned.crypto, aligned.crypto_prior_high),
        trust=trust,
        anchor_trust=anchor_trust or {},
    )


def stamp_of(quote: Quote) -> PriceStamp:
    """Convert a trade to a price stamp."""
    return PriceStamp(symbol=quote.symbol, source=quote.source, price=quote.price, at=quote.at)


def close_stamps(aligned: Aligned) -> Stamps:
    """Return the price stamps of both legs in the last row."""
    return (
        _close_stamp(aligned, str(aligned.pair.etf), aligned.etf_source, float(aligned.etf[-1])),
        _close_stamp(aligned, str(aligned.pair.crypto), aligned.crypto_source, float(aligned.crypto[-1])),
    )


def _close_stamp(aligned: Aligned, symbol: str, source: str, price: float) -> PriceStamp | None:
    if np.isnan(price):
        return None
    return PriceStamp(symbol=symbol, source=source, price=price, at=to_datetime(aligned.at[-1]))


def trust_at(leg: LegHistory, aligned: Aligned, row: int = -1) -> Trust:
    """Return the trust of a leg's close at a row, by default the last."""
    return leg.history.trust(aligned.sessions[row] if leg.is_share else aligned.at[row])


def anchor_trust(aligned: Aligned, *legs: LegHistory) -> dict[Window, Trust]:
    """Return the trust of the closes that windows start from, for windows with both prices and a reservation.

    A window across a dividend or split without a known amount is suspect.
    """
    starts = {window: int(anchors(aligned, window)[-1]) for window in Window}
    known = {window: row for window, row in starts.items() if row >= 0 and aligned.complete[row]}
    trusts = {window: _combined(trust_at(leg, aligned, row) for leg in legs) for window, row in known.items()}
    last = aligned.sessions[-1].astype(object)
    across = {
        window: _combined(leg.history.trust_across(aligned.sessions[row].astype(object), last) for leg in legs)
        for window, row in known.items()
    }
    return {
        window: replace(
            trust,
            reasons=tuple(
                Reason.of(Code.WINDOW_BEGINS_WHERE, window=window, reason=reason) for reason in trust.reasons
            ),
        ).combined_with(across[window])
        for window, trust in trusts.items()
        if trust != TRUSTED or across[window] != TRUSTED
    }


def _combined(trusts: Iterable[Trust]) -> Trust:
    return reduce(Trust.combined_with, trusts, TRUSTED)
