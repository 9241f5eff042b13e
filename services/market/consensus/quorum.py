"""Quorum: which sources' prices are accepted, and the consensus price."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from services.core.prices import Quote, validate_columns
from services.core.reason import Code, Reason
from services.core.statistics import row_medians
from services.core.trust import Trust, Verdict

CONFIRMED = "confirmed closes"  # the source name of our stored closes that two sources confirmed
RECENT_VOTES, MIN_OUTVOTED = 20, 3  # sessions
SETTLED_AFTER = 5  # sessions in which an outvoted source is the only one
MAX_TIME_APART = timedelta(seconds=90)  # between two last trades that are compared
PAIR = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementLimits:
    """The largest normal differences between sources, as fractions.

    Beyond `warn` the price is degraded; beyond `reject` it is accepted only with a majority.
    """

    warn: float
    reject: float


COIN_LIMITS = AgreementLimits(warn=0.005, reject=0.015)
"""Bitcoin. Since 2022, venues' daily closes were 0.37% apart on the worst 1% of days, and at most 1.0% apart."""
CLOSE_LIMITS = AgreementLimits(warn=0.003, reject=0.010)
"""Final closes of an ETF or share.

Two honest files of WGMI agree to the last digit on 440 sessions, so `warn` is far above rounding. Adjusted and plain
closes differ by distributions, at most 0.55%, which is degraded but not rejected. A snapshot taken before the close
(2026-08-03: 1.26% off) is rejected. So is a single-venue feed: it is more than 1% off on 78%, 52%, 13% and 2% of the
sessions of 2022, 2023, 2024 and 2025.
"""
TRADE_LIMITS = AgreementLimits(warn=0.010, reject=0.025)
"""Last trades of an ETF or share, up to 90 s apart.

In 90 s a share as volatile as WGMI moves by 0.14% at the median, 0.9% at the 99th percentile and 1.6% at most, in 2,367
intervals (five minutes of SMH, scaled). Its last trades are 0.31% apart between bid and ask.
"""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SourcePrices:
    """One source's prices.

    Attributes:
        keys: strictly ascending sessions (datetime64[D]) or bar openings (datetime64[s]).
        prices: finite and positive.
        volumes: NaN if unknown; a price with volume 0 is not a trade and is ignored.

    Raises ValueError if `keys` or `prices` violate this, or if the lengths differ.
    """

    source: str
    keys: NDArray[np.datetime64]
    prices: NDArray[np.float64]
    volumes: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        validate_columns(self.keys, self.prices)
        if self.volumes is not None and len(self.volumes) != len(self.keys):
            raise ValueError(f"{len(self.keys)} times but {len(self.volumes)} volumes")

    @property
    def traded_prices(self) -> NDArray[np.float64]:
        """The prices, NaN if the volume is 0."""
        return self.prices if self.volumes is None else np.where(self.volumes == 0, np.nan, self.prices)


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectedPrice:
    """A price that is not accepted, and the reason; it is ignored, never deleted."""

    key: np.datetime64
    source: str
    price: float
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ConsensusPrices:
    """The sources' consensus, one row for each key of any source.

    Attributes:
        prices: NaN if no source is accepted.
        witnesses: the number of accepted sources.
        dispersion: the highest accepted price over the lowest, minus one; 0 for one or none.
        rejected: ordered by key.
        outvoted: sources that recently differ from the confirmed closes, with the number of sessions.
        confirmed: rows in which two or more sources agree.
    """

    keys: NDArray[np.datetime64]
    prices: NDArray[np.float64]
    witnesses: NDArray[np.intp]
    dispersion: NDArray[np.float64]
    rejected: tuple[RejectedPrice, ...]
    outvoted: Mapping[str, int] = field(default_factory=dict)
    confirmed: NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsensusQuote:
    """The consensus of several sources' last trades; an unusable quote is for display only.

    `witnesses` is the number of fresh trades that agree with the quote.
    """

    quote: Quote | None
    trust: Trust
    witnesses: int = 0


def consensus_prices(
    sources: Sequence[SourcePrices], limits: AgreementLimits, confirmed: SourcePrices | None = None
) -> ConsensusPrices:
    """Find the accepted sources for each key; the consensus price is the median of theirs.

    1. Ignore prices with volume 0.
    2. Accept a single source, and all sources that are within `limits.reject` of each other.
    3. Of three or more that are not, accept those within `limits.reject` of the median if they are a majority.
    4. If no two sources agree, a price that was `confirmed` by two sources earlier is one more witness: it outvotes a
       single source that differs. A source that it often outvoted lately is ignored until it agrees with another one.
       If it is the only one for five sessions, and all its prices are wrong by one factor, as after a split that
       no source declares, those sessions' prices are accepted on the scale of the confirmed ones.

    The order of the sources does not matter.
    """
    if not sources:
        return _build_consensus(np.array([], dtype="datetime64[s]"), np.empty((0, 1)), ())
    keys = _union([source.keys for source in sources])
    prices = np.full((len(keys), len(sources)), np.nan, order="F")  # column-major: faster reductions
    for column, source in enumerate(sources):
        prices[np.searchsorted(keys, source.keys), column] = source.traded_prices
    names = [source.source for source in sources]
    untraded = [rejected for source in sources for rejected in _untraded_prices(source)]
    accepted = _accepted(prices, limits.reject)
    agreeing = accepted.sum(axis=1) >= PAIR
    outvoted: Mapping[str, int] = {}
    voted = np.zeros(len(keys), dtype=bool)
    if confirmed is not None and len(confirmed.keys):
        witness = np.full(len(keys), np.nan)
        known = np.isin(confirmed.keys, keys)
        witness[np.searchsorted(keys, confirmed.keys[known])] = confirmed.prices[known]
        if not _is_obsolete(prices, accepted, agreeing, witness, limits.reject):
            prices, accepted, voted, outvoted = _with_witness(
                prices, agreeing, accepted, witness, reject=limits.reject, names=names
            )
            names = [*names, CONFIRMED]
    accepted_prices = np.where(accepted, prices, np.nan)
    outliers = _rejected_prices(keys, prices, accepted_prices, names)
    rejected = tuple(sorted(untraded + outliers, key=lambda one: (one.key, one.source)))
    consensus = _build_consensus(keys, accepted_prices, rejected)
    witnesses = np.where(voted, np.maximum(consensus.witnesses, 1) + 1, consensus.witnesses)
    return replace(consensus, witnesses=witnesses, outvoted=outvoted, confirmed=agreeing)


def _is_obsolete(
    prices: NDArray[np.float64],
    accepted: NDArray[np.bool_],
    agreeing: NDArray[np.bool_],
    witness: NDArray[np.float64],
    reject: float,
) -> bool:
    """Return whether sources that agree contradict the confirmed closes: together they rewrote the history."""
    medians = row_medians(np.where(accepted, prices, np.nan)[agreeing])
    return int((np.abs(medians / witness[agreeing] - 1) > reject).sum()) >= MIN_OUTVOTED


def _with_witness(
    prices: NDArray[np.float64],
    agreeing: NDArray[np.bool_],
    accepted: NDArray[np.bool_],
    witness: NDArray[np.float64],
    *,
    reject: float,
    names: Sequence[str],
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_], Mapping[str, int]]:
    """Return the prices and the accepted ones with the witness as last column, its rows, and the outvoted sources."""
    known = np.isfinite(prices)
    near = known & (np.abs(prices / witness[:, None] - 1) <= reject)
    supported = near.any(axis=1)
    voted = np.isfinite(witness) & ~agreeing & (supported | (known.sum(axis=1) == 1))
    accepted = np.where(voted[:, None], near, accepted)
    outvoted = {}
    for column, name in enumerate(names):
        rows = np.flatnonzero(known[:, column] & np.isfinite(witness))[-RECENT_VOTES:]
        against = voted[rows] & ~near[rows, column]
        if against.sum() >= MIN_OUTVOTED and 2 * against.sum() > len(rows):
            outvoted[name] = int((voted & known[:, column] & ~near[:, column]).sum())
    if outvoted:
        trusted = np.array([name not in outvoted for name in names])
        undecided = ~agreeing & ~voted
        prices = _rescaled(prices, witness, voted, undecided, trusted=trusted, reject=reject)
        alone = ~(known & trusted).any(axis=1)
        accepted[undecided] = _accepted(prices[undecided], reject)
        converted = undecided & alone & accepted.any(axis=1)
        accepted[converted if converted.sum() < SETTLED_AFTER else undecided & alone & ~converted] = False
    stands_alone = voted & ~supported
    vote = np.where(stands_alone, witness, np.nan)[:, None]
    return np.hstack([prices, vote]), np.hstack([accepted, stands_alone[:, None]]), voted, outvoted


def _rescaled(
    prices: NDArray[np.float64],
    witness: NDArray[np.float64],
    voted: NDArray[np.bool_],
    undecided: NDArray[np.bool_],
    *,
    trusted: NDArray[np.bool_],
    reject: float,
) -> NDArray[np.float64]:
    """Return the prices with those of outvoted sources in undecided rows on the scale of the confirmed closes.

    A source whose closes are all wrong by one factor is still a witness of the return. Other prices of outvoted
    sources become NaN.
    """
    rescaled = prices.copy(order="F")
    for column in np.flatnonzero(~trusted):
        ratios = (prices[:, column] / witness)[voted & np.isfinite(prices[:, column])][-RECENT_VOTES:]
        ratio = float(np.median(ratios))
        is_uniform = bool((np.abs(ratios / ratio - 1) <= reject).all())
        rescaled[undecided, column] /= ratio if is_uniform else np.nan
    return rescaled


def consensus_trade(
    quotes: Sequence[Quote], limits: AgreementLimits, now: datetime, *, max_age: timedelta
) -> ConsensusQuote:
    """Find the last trade that several sources agree on, as of the earliest of theirs.

    Trades older than `max_age` at `now` are stale. Fresh trades are compared only if at most 90 s older than the
    newest. A single source is accepted as DEGRADED.
    """
    if not quotes:
        return ConsensusQuote(quote=None, trust=Trust(verdict=Verdict.STALE, reasons=(Reason.of(Code.NO_LAST_TRADE),)))
    newest = max(quotes, key=lambda quote: quote.at)
    if newest.age(now) > max_age:
        return ConsensusQuote(quote=newest, trust=Trust(verdict=Verdict.STALE, reasons=(age_reason(newest, now),)))
    compared = [quote for quote in quotes if quote.age(now) <= max_age and newest.at - quote.at <= MAX_TIME_APART]
    if len(compared) == 1:
        reason = Reason.of(Code.TRADE_FROM_ONE_SOURCE, symbol=newest.symbol, source=newest.source)
        return ConsensusQuote(quote=newest, trust=Trust(verdict=Verdict.DEGRADED, reasons=(reason,)), witnesses=1)
    return _compare_trades(compared, newest, limits)


def _compare_trades(quotes: list[Quote], newest: Quote, limits: AgreementLimits) -> ConsensusQuote:
    prices = np.array([[quote.price for quote in quotes]])
    accepted = _accepted(prices, limits.reject)
    accepted_prices = np.where(accepted, prices, np.nan)
    rejected = _rejected_prices(
        np.array([0], dtype="datetime64[s]"), prices, accepted_prices, [quote.source for quote in quotes]
    )
    reasons = tuple(dict.fromkeys(price.reason for price in rejected))
    accepted_quotes = [quote for quote, is_accepted in zip(quotes, accepted[0].tolist(), strict=True) if is_accepted]
    if not accepted_quotes:
        return ConsensusQuote(quote=newest, trust=Trust(verdict=Verdict.SUSPECT, reasons=reasons))
    quote = Quote(
        symbol=newest.symbol,
        price=float(row_medians(accepted_prices)[0]),
        at=min(quote.at for quote in accepted_quotes),
        source=" and ".join(quote.source for quote in accepted_quotes),
    )
    trust = _dispersion_trust(accepted_quotes, limits).combined_with(Trust(reasons=reasons))
    return ConsensusQuote(quote=quote, trust=trust, witnesses=len(accepted_quotes))


def _dispersion_trust(quotes: list[Quote], limits: AgreementLimits) -> Trust:
    low, *_, high = sorted(quotes, key=lambda quote: (quote.price, quote.source))
    dispersion = high.price / low.price - 1
    if dispersion <= limits.warn:
        return Trust()
    reason = Reason.of(Code.TRADES_APART, low_source=low.source, high_source=high.source, apart=dispersion)
    return Trust(verdict=Verdict.DEGRADED, reasons=(reason,))


def age_reason(quote: Quote, now: datetime) -> Reason:
    """Return that a trade is too old, with its age."""
    age_min = int(quote.age(now).total_seconds() // 60)
    return Reason.of(Code.TRADE_TOO_OLD, symbol=quote.symbol, source=quote.source, age_min=age_min)


def _union(keys: list[NDArray[np.datetime64]]) -> NDArray[np.datetime64]:
    if len(keys) == 1:
        return keys[0]
    every = np.sort(np.concatenate(keys), kind="stable")  # fast on runs that are already in order
    repeated = np.flatnonzero(every[1:] == every[:-1])
    union: NDArray[np.datetime64] = np.delete(every, repeated)
    return union


def _accepted(prices: NDArray[np.float64], reject: float) -> NDArray[np.bool_]:
    """Return which prices are accepted: a row for each key, a column for each source, NaN if a source has none."""
    known: NDArray[np.bool_] = np.isfinite(prices)
    disputed = np.flatnonzero(_dispersion(prices) > reject)
    known[disputed] = _near_median(prices[disputed], reject)
    return known


def _near_median(prices: NDArray[np.float64], reject: float) -> NDArray[np.bool_]:
    is_near = np.abs(prices / row_medians(prices)[:, None] - 1) <= reject
    known = np.isfinite(prices).sum(axis=1)
    majority = (known > PAIR) & (2 * is_near.sum(axis=1) > known)
    accepted: NDArray[np.bool_] = is_near & majority[:, None]
    return accepted


def _dispersion(prices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each row's highest price over its lowest, minus one; NaN if it has none."""
    dispersion: NDArray[np.float64] = np.fmax.reduce(prices, axis=1) / np.fmin.reduce(prices, axis=1) - 1
    return dispersion


def _build_consensus(
    keys: NDArray[np.datetime64], agreed: NDArray[np.float64], rejected: tuple[RejectedPrice, ...]
) -> ConsensusPrices:
    return ConsensusPrices(
        keys=keys,
        prices=row_medians(agreed) if agreed.shape[1] > 1 else agreed[:, 0],
        witnesses=np.isfinite(agreed).sum(axis=1),
        dispersion=np.nan_to_num(_dispersion(agreed), nan=0.0),
        rejected=rejected,
    )


def _untraded_prices(source: SourcePrices) -> list[RejectedPrice]:
    return [
        RejectedPrice(
            key=source.keys[row],
            source=source.source,
            price=float(source.prices[row]),
            reason=Reason.of(Code.NO_VOLUME),
        )
        for row in np.flatnonzero(np.isnan(source.traded_prices)).tolist()
    ]


def _rejected_prices(
    keys: NDArray[np.datetime64], prices: NDArray[np.float64], agreed: NDArray[np.float64], sources: Sequence[str]
) -> list[RejectedPrice]:
    excluded = np.isfinite(prices) & np.isnan(agreed)
    rows = np.flatnonzero(excluded.any(axis=1))
    columns = (keys[rows], prices[rows].tolist(), excluded[rows].tolist(), row_medians(agreed[rows]).tolist())
    return [
        rejected
        for key, row, is_rejected, consensus in zip(*columns, strict=True)
        for rejected in _rejected_in_row(key, list(zip(sources, row, is_rejected, strict=True)), consensus)
    ]


def _rejected_in_row(key: np.datetime64, row: list[tuple[str, float, bool]], consensus: float) -> list[RejectedPrice]:
    known = sorted((price, source) for source, price, _is_rejected in row if isfinite(price))
    dispute = Reason.of(Code.PRICES_DISPUTED, prices=[(source, price) for price, source in known])
    return [
        RejectedPrice(
            key=key,
            source=source,
            price=price,
            reason=_outlier(source, price, consensus) if isfinite(consensus) else dispute,
        )
        for source, price, is_rejected in row
        if is_rejected
    ]


def _outlier(source: str, price: float, consensus: float) -> Reason:
    return Reason.of(Code.PRICE_OUTLIER, source=source, price=price, off=abs(price / consensus - 1))
