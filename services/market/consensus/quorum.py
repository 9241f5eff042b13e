"""Quorum: which of several sources' prices are believed, and the one price that they come to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from services.core.prices import Quote, check_columns
from services.core.statistics import medians
from services.core.trust import Trust, Verdict

TOGETHER = timedelta(seconds=90)  # how far apart in time two last trades may be and still be compared
PAIR = 2
CENTS_MATTER_BELOW = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How far apart (fractions) honest sources may be.

    Beyond `warn` it is told; beyond `reject` nobody is believed without a majority.
    """

    warn: float
    reject: float


COIN = Limits(warn=0.005, reject=0.015)
"""Bitcoin: since 2022, venues' daily closes are 0.37% apart on the worst day in a hundred, 1.0% on the very worst."""
CLOSES = Limits(warn=0.003, reject=0.010)
"""Final closes of an ETF or share.

Two honest files of WGMI agree to the last digit on 440 sessions, so even `warn` is far from rounding. Adjusted and
plain closes differ by its distributions, at most 0.55%, which is told but not rejected. A snapshot taken before the
close (2026-08-03: 1.26% off) is rejected, and so is a feed of one venue only: it errs by more than 1% on 78%, 52%, 13%
and 2% of the sessions of 2022, 2023, 2024 and 2025.
"""
TRADES = Limits(warn=0.010, reject=0.025)
"""Last trades of an ETF or share, up to 90 s apart.

In that time a share as restless as WGMI moves by 0.14% at the median, 0.9% one time in a hundred and 1.6% on the very
worst of 2,367 stretches (five minutes of SMH, scaled), and its last trades are 0.31% apart between bid and ask.
"""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Column:
    """One source's prices.

    `keys` are strictly ascending: sessions (datetime64[D]) or bars' openings (datetime64[s]). `prices` are finite and
    positive. `volumes` are NaN where unknown; where a volume is 0 nobody traded, and such a price is no price. Raises
    ValueError where that does not hold.
    """

    source: str
    keys: NDArray[np.datetime64]
    prices: NDArray[np.float64]
    volumes: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        check_columns(self.keys, self.prices)
        if self.volumes is not None and len(self.volumes) != len(self.keys):
            raise ValueError(f"{len(self.keys)} times but {len(self.volumes)} volumes")

    @property
    def traded(self) -> NDArray[np.float64]:
        """The prices, NaN where nobody traded."""
        return self.prices if self.volumes is None else np.where(self.volumes == 0, np.nan, self.prices)


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedPrice:
    """A price that is not believed, and why; it is never deleted, only left out."""

    key: np.datetime64
    source: str
    price: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ConsensusPrices:
    """What the sources come to, one row for each key that any of them has.

    `prices` is NaN where nobody is believed; `witnesses` is how many sources stand behind each price; `spread` is
    the highest over the lowest of the believed, less one: 0 where one or none is. `doubts` are ordered by key.
    """

    keys: NDArray[np.datetime64]
    prices: NDArray[np.float64]
    witnesses: NDArray[np.intp]
    spread: NDArray[np.float64]
    doubts: tuple[RejectedPrice, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsensusQuote:
    """What the last trades of several sources come to; a quote that is not usable is there to be shown.

    `witnesses` is how many fresh ones stand behind the quote.
    """

    quote: Quote | None
    trust: Trust
    witnesses: int = 0


def consensus_price(columns: Sequence[Column], limits: Limits) -> ConsensusPrices:
    """Find, for each key, which sources are believed; the price is the median of theirs.

    1. Leave out prices at which nobody traded.
    2. Believe a source that is alone, and all of those that are within `limits.reject` of each other.
    3. Of three or more that are not, believe those within `limits.reject` of the median if they are a majority.

    The order of the columns does not matter.
    """
    if not columns:
        return _settled(np.array([], dtype="datetime64[s]"), np.empty((0, 1)), ())
    keys = _union([column.keys for column in columns])
    prices = np.full((len(keys), len(columns)), np.nan, order="F")  # the few columns are reduced far faster so
    for number, column in enumerate(columns):
        prices[np.searchsorted(keys, column.keys), number] = column.traded
    idle = [doubt for column in columns for doubt in _idle(column)]
    believed = _believed(prices, limits.reject)
    agreed = np.where(believed, prices, np.nan)
    doubted = _doubted(keys, prices, agreed, [column.source for column in columns])
    return _settled(keys, agreed, tuple(sorted(idle + doubted, key=lambda doubt: (doubt.key, doubt.source))))


def consensus_trade(quotes: Sequence[Quote], limits: Limits, now: datetime, *, at_most: timedelta) -> ConsensusQuote:
    """Find the last trade that several sources agree on, as of the earliest of theirs.

    Trades older than `at_most` at `now` are stale, and of the fresh ones only those at most 90 s older than the newest
    are compared. A source that is alone is believed, and said to be alone.
    """
    if not quotes:
        return ConsensusQuote(quote=None, trust=Trust(verdict=Verdict.STALE, reasons=("no last trade",)))
    newest = max(quotes, key=lambda quote: quote.at)
    if newest.age(now) > at_most:
        return ConsensusQuote(quote=newest, trust=Trust(verdict=Verdict.STALE, reasons=(_old(newest, now),)))
    compared = [q for q in quotes if q.age(now) <= at_most and newest.at - q.at <= TOGETHER]
    if len(compared) == 1:
        lonely = f"{newest.symbol}'s last trade is from {newest.source} alone"
        return ConsensusQuote(quote=newest, trust=Trust(verdict=Verdict.DEGRADED, reasons=(lonely,)), witnesses=1)
    return _compared(compared, newest, limits)


def _compared(quotes: list[Quote], newest: Quote, limits: Limits) -> ConsensusQuote:
    prices = np.array([[quote.price for quote in quotes]])
    believed = _believed(prices, limits.reject)
    agreed = np.where(believed, prices, np.nan)
    doubts = _doubted(np.array([0], dtype="datetime64[s]"), prices, agreed, [quote.source for quote in quotes])
    reasons = tuple(dict.fromkeys(doubt.reason for doubt in doubts))
    voices = [quote for quote, yes in zip(quotes, believed[0].tolist(), strict=True) if yes]
    if not voices:
        return ConsensusQuote(quote=newest, trust=Trust(verdict=Verdict.SUSPECT, reasons=reasons))
    quote = Quote(
        symbol=newest.symbol,
        price=float(medians(agreed)[0]),
        at=min(voice.at for voice in voices),
        source=" and ".join(voice.source for voice in voices),
    )
    trust = _spread_trust(voices, limits).also(Trust(reasons=reasons))
    return ConsensusQuote(quote=quote, trust=trust, witnesses=len(voices))


def _spread_trust(voices: list[Quote], limits: Limits) -> Trust:
    low, *_, high = sorted(voices, key=lambda quote: (quote.price, quote.source))
    apart = high.price / low.price - 1
    if apart <= limits.warn:
        return Trust()
    return Trust(verdict=Verdict.DEGRADED, reasons=(f"{low.source} and {high.source} are {apart:.1%} apart",))


def _old(quote: Quote, now: datetime) -> str:
    minutes = int(quote.age(now).total_seconds() // 60)
    return f"the last {quote.symbol} trade at {quote.source} is {minutes} min old"


def _union(keys: list[NDArray[np.datetime64]]) -> NDArray[np.datetime64]:
    if len(keys) == 1:
        return keys[0]
    every = np.sort(np.concatenate(keys), kind="stable")  # which merges what is in order already
    repeated = np.flatnonzero(every[1:] == every[:-1])
    union: NDArray[np.datetime64] = np.delete(every, repeated)
    return union


def _believed(prices: NDArray[np.float64], reject: float) -> NDArray[np.bool_]:
    """Tell who is believed: `prices` has a row for each key and a column for each source, NaN where it has none."""
    known: NDArray[np.bool_] = np.isfinite(prices)
    parted = np.flatnonzero(_apart(prices) > reject)
    known[parted] = _near_the_median(prices[parted], reject)
    return known


def _near_the_median(prices: NDArray[np.float64], reject: float) -> NDArray[np.bool_]:
    near = np.abs(prices / medians(prices)[:, None] - 1) <= reject
    known = np.isfinite(prices).sum(axis=1)
    majority = (known > PAIR) & (2 * near.sum(axis=1) > known)
    believed: NDArray[np.bool_] = near & majority[:, None]
    return believed


def _apart(prices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take each row's highest price over its lowest, less one; NaN where it has none."""
    apart: NDArray[np.float64] = np.fmax.reduce(prices, axis=1) / np.fmin.reduce(prices, axis=1) - 1
    return apart


def _settled(
    keys: NDArray[np.datetime64], agreed: NDArray[np.float64], doubts: tuple[RejectedPrice, ...]
) -> ConsensusPrices:
    return ConsensusPrices(
        keys=keys,
        prices=medians(agreed) if agreed.shape[1] > 1 else agreed[:, 0],
        witnesses=np.isfinite(agreed).sum(axis=1),
        spread=np.nan_to_num(_apart(agreed), nan=0.0),
        doubts=doubts,
    )


def _idle(column: Column) -> list[RejectedPrice]:
    return [
        RejectedPrice(
            key=column.keys[row],
            source=column.source,
            price=float(column.prices[row]),
            reason="no volume: nobody traded",
        )
        for row in np.flatnonzero(np.isnan(column.traded)).tolist()
    ]


def _doubted(
    keys: NDArray[np.datetime64], prices: NDArray[np.float64], agreed: NDArray[np.float64], sources: Sequence[str]
) -> list[RejectedPrice]:
    left_out = np.isfinite(prices) & np.isnan(agreed)
    rows = np.flatnonzero(left_out.any(axis=1))
    columns = (keys[rows], prices[rows].tolist(), left_out[rows].tolist(), medians(agreed[rows]).tolist())
    return [
        doubt
        for key, row, out, settled in zip(*columns, strict=True)
        for doubt in _row_doubts(key, list(zip(sources, row, out, strict=True)), settled)
    ]


def _row_doubts(key: np.datetime64, row: list[tuple[str, float, bool]], settled: float) -> list[RejectedPrice]:
    told = [(price, source) for source, price, _out in row if isfinite(price)]
    dispute = "" if isfinite(settled) else _dispute(sorted(told))
    return [
        RejectedPrice(key=key, source=source, price=price, reason=dispute or _off(source, price, settled))
        for source, price, out in row
        if out
    ]


def _off(source: str, price: float, settled: float) -> str:
    return f"{source} has {_dollars(price)}, {abs(price / settled - 1):.1%} off the others"


def _dispute(told: list[tuple[float, str]]) -> str:
    (low, lowest), *between, (high, highest) = told
    middle = "".join(f", {source} {_dollars(price)}" for price, source in between)
    return (
        f"{lowest} has {_dollars(low)}{middle} and {highest} {_dollars(high)}, "
        f"{'up to ' if between else ''}{high / low - 1:.1%} apart"
    )


def _dollars(price: float) -> str:
    return f"{price:,.0f}" if price >= CENTS_MATTER_BELOW else f"{price:,.2f}"
