"""Consensus of several sources on one symbol's price history, its quarantined prices and its trust."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from services.core.prices import Bars, Closes, Quote, Symbol, to_datetime
from services.core.reason import Code, Reason
from services.core.sessions import Sessions
from services.core.statistics import row_medians
from services.core.trust import TRUSTED, Trust, Verdict
from services.market.consensus.corporate_actions import (
    Action,
    ActionKind,
    DeclaredActions,
    LastTrade,
    agree_dividends,
    agree_splits,
    dividend_factor_until,
    dividend_factors,
    split_adjusted,
)
from services.market.consensus.quarantine import COIN_QUARANTINE, quarantined_rows
from services.market.consensus.quorum import (
    CLOSE_LIMITS,
    COIN_LIMITS,
    CONFIRMED,
    AgreementLimits,
    ConsensusPrices,
    SourcePrices,
    consensus_prices,
)

COINS = frozenset(map(Symbol, ("BTC", "ETH", "LTC", "BCH", "XRP", "SOL", "DOGE")))  # any other symbol is a share


NO_CLOSES = Closes(
    symbol=Symbol(""), sessions=np.array([], dtype="datetime64[D]"), prices=np.array([], dtype=np.float64), source=""
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ConsensusHistory:
    """One symbol's price history as its sources agree on it: session closes of a share, or hourly bars of a coin.

    Attributes:
        prices: the accepted prices. A share's are adjusted for the dividends and splits in `actions`: returns are total
            returns, and the last close is as traded.
        quarantined: the reason for each price that is not accepted, by session or by the instant at which a bar ends.
        agreed, sources: adjusted for splits only.
        requires_witness: a price needs a second source to be fully trusted.
        problems: the declared actions that are not applied, and the sources whose closes are outvoted.
        unsettled: actions that are declared without a usable amount; returns across them are suspect.
        confirmed: a share's closes that two or more sources confirmed at any time; empty for a coin.
        confirmed_bars: a coin's bars of that kind; None for a share.
    """

    symbol: Symbol
    prices: Closes | Bars
    quarantined: Mapping[np.datetime64, Reason]
    agreed: ConsensusPrices
    sources: Sequence[SourcePrices]
    limits: AgreementLimits
    requires_witness: bool
    actions: tuple[Action, ...] = ()
    problems: tuple[Reason, ...] = ()
    unsettled: tuple[Action, ...] = ()
    confirmed: Closes = NO_CLOSES
    confirmed_bars: Bars | None = None

    @property
    def last_close(self) -> float | None:
        """A share's last accepted close; None if there is none, and for a coin."""
        closes = self.prices
        return float(closes.prices[-1]) if isinstance(closes, Closes) and len(closes) else None

    def dividend_factor(self, session: date) -> float:
        """Return the factor that removes the dividends from the last close to `session`."""
        return dividend_factor_until(self.prices, self.actions, session) if isinstance(self.prices, Closes) else 1.0

    def rebased_to(self, session: date) -> ConsensusPrices:
        """Return the consensus adjusted for dividends up to `session`, to compare with a price of it."""
        agreed = _without_dividends(self.symbol, self.agreed, self.actions)
        return replace(agreed, prices=agreed.prices * self.dividend_factor(session))

    def dividend_note(self, session: date) -> Trust:
        """Return a note if `session` is the ex-date of a dividend; the verdict stays OK."""
        dividends = [
            action for action in self.actions if action.kind is ActionKind.DIVIDEND and action.session == session
        ]
        return Trust(reasons=tuple(_dividend_reason(self.symbol, action) for action in dividends))

    def trust_across(self, first: date, last: date) -> Trust:
        """Return SUSPECT if an action without a known amount lies after `first` and not after `last`."""
        reasons = tuple(
            Reason.of(Code.ACTION_AMOUNT_UNKNOWN, symbol=self.symbol, session=action.session, kind=action.kind)
            for action in self.unsettled
            if first < action.session <= last
        )
        return Trust(verdict=Verdict.SUSPECT, reasons=reasons) if reasons else TRUSTED

    def trust(self, key: np.datetime64) -> Trust:
        """Return the trust of a session's close; for bars, that of the last bar that ended by the instant."""
        row = self._row(key)
        if not self.requires_witness or row is None:
            return TRUSTED
        key = self.agreed.keys[row]
        sources = self.sources_of(key)
        if self.agreed.witnesses[row] == 1:
            reason = Reason.of(Code.CLOSE_FROM_ONE_SOURCE, symbol=self.symbol, sources=sources)
            return Trust(verdict=Verdict.DEGRADED, reasons=(reason,))
        dispersion = float(self.agreed.dispersion[row])
        if dispersion > self.limits.warn:
            reason = Reason.of(Code.CLOSES_APART, symbol=self.symbol, sources=sources, apart=dispersion)
            return Trust(verdict=Verdict.DEGRADED, reasons=(reason,))
        return TRUSTED

    def _row(self, key: np.datetime64) -> int | None:
        """Return the row of a session's price; None if it has none."""
        keys = self.agreed.keys
        if isinstance(self.prices, Bars):
            row = int(np.searchsorted(keys + np.timedelta64(self.prices.interval), key, side="right")) - 1
            return row if row >= 0 else None
        row = int(np.searchsorted(keys, key))
        return row if row < len(keys) and keys[row] == key else None

    def sources_of(self, key: np.datetime64) -> list[str]:
        """Return the names of the sources that agree with the accepted price."""
        price = self.agreed.prices[np.searchsorted(self.agreed.keys, key)]
        agreeing = [
            prices.source for prices in self.sources if abs(_price_at(prices, key) / price - 1) <= self.limits.reject
        ]
        return agreeing or [CONFIRMED]


def consensus_closes(
    symbol: Symbol,
    closes_by_source: Sequence[Closes],
    sessions: Sessions,
    *,
    requires_witness: bool,
    declared: Sequence[DeclaredActions] = (),
    last_trade: LastTrade | None = None,
    confirmed: Closes | None = None,
) -> ConsensusHistory:
    """Compute the consensus of a share's session closes at several sources.

    1. Adjust each source's closes for the declared splits. `last_trade`, its session and price, shows whether a split
       of that session is already in them.
    2. Find the prices that the sources agree on, and the dividends. Closes that two sources `confirmed` earlier are a
       witness against a single source, as one that rewrites its history.
    3. Quarantine single-source closes that look like errors and that no split or dividend explains. Adjust the rest.

    Quarantined closes stay stored with their source. They are released once a second source agrees or declares the
    split.
    """
    splits = agree_splits(symbol, declared)
    known = [*closes_by_source] if confirmed is None else [*closes_by_source, confirmed]
    adjusted = split_adjusted(known, splits.actions, last_trade)
    witness = adjusted.pop() if confirmed is not None else None
    sources = [_source_prices(closes) for closes in adjusted]
    agreed = consensus_prices(sources, CLOSE_LIMITS, _source_prices(witness) if witness is not None else None)
    dividends = agree_dividends(_closes(symbol, agreed, np.isfinite(agreed.prices)), declared, splits.actions)
    actions = splits.actions + dividends.actions
    quarantined = _disputes(agreed)
    if requires_witness:
        without_dividends = _without_dividends(symbol, agreed, actions)
        suspicious = quarantined_rows(without_dividends, np.searchsorted(sessions.days, agreed.keys))
        quarantined |= {agreed.keys[row]: reason for row, reason in suspicious.items()}
    accepted = _accepted_rows(agreed, quarantined)
    traded, open_to_close = _closes(symbol, agreed, accepted), consensus_open_to_close(adjusted, agreed)[accepted]
    history = ConsensusHistory(
        symbol=symbol,
        prices=replace(traded, prices=traded.prices * dividend_factors(traded, actions), open_to_close=open_to_close),
        quarantined=quarantined,
        agreed=agreed,
        sources=sources,
        limits=CLOSE_LIMITS,
        requires_witness=requires_witness,
        actions=actions,
        problems=splits.problems + dividends.problems,
        unsettled=splits.unsettled + dividends.unsettled,
        confirmed=_confirmed_closes(symbol, agreed, witness),
    )
    history = _with_source(history)
    return replace(history, problems=history.problems + _outvoted_problems(history))


def consensus_bars(
    symbol: Symbol, bars_by_source: Sequence[Bars], *, requires_witness: bool, confirmed: Bars | None = None
) -> ConsensusHistory:
    """Compute the consensus of a coin's bars at several sources; all bars have the same length.

    A single-venue bar that moves far beyond its usual hour is quarantined until a second venue agrees. Bars that two
    venues `confirmed` earlier are a witness against a single venue.
    """
    sources = [_bar_prices(bars) for bars in bars_by_source]
    agreed = consensus_prices(sources, COIN_LIMITS, _bar_prices(confirmed) if confirmed is not None else None)
    quarantined, interval = _disputes(agreed), bars_by_source[0].interval
    if requires_witness:
        positions = (agreed.keys - agreed.keys[:1]) // np.timedelta64(interval)
        suspicious = quarantined_rows(agreed, positions.astype(np.intp), COIN_QUARANTINE)
        quarantined |= {agreed.keys[row]: reason for row, reason in suspicious.items()}
    accepted = _accepted_rows(agreed, quarantined)
    bars = Bars(
        symbol=symbol,
        interval=interval,
        opened_at=agreed.keys[accepted],
        closes=agreed.prices[accepted],
        source="",
    )
    history = ConsensusHistory(
        symbol=symbol,
        prices=bars,
        quarantined={opened_at + np.timedelta64(interval): reason for opened_at, reason in quarantined.items()},
        agreed=agreed,
        sources=sources,
        limits=COIN_LIMITS,
        requires_witness=requires_witness,
        confirmed_bars=_confirmed_bars(bars, agreed, confirmed),
    )
    history = _with_source(history)
    return replace(history, problems=_outvoted_problems(history))


def _bar_prices(bars: Bars) -> SourcePrices:
    return SourcePrices(source=bars.source, keys=bars.opened_at, prices=bars.closes)


def _confirmed_bars(form: Bars, agreed: ConsensusPrices, known: Bars | None) -> Bars:
    """Return the known confirmed bars, with those that two or more venues agree on now."""
    rows = agreed.confirmed if agreed.confirmed is not None else np.zeros(len(agreed.keys), dtype=bool)
    now = replace(form, opened_at=agreed.keys[rows], closes=agreed.prices[rows], source=CONFIRMED)
    if known is None or not len(known):
        return now
    differs = changed_rows(known, now, COIN_LIMITS.reject)
    return merge_bars(known, replace(now, opened_at=now.opened_at[differs], closes=now.closes[differs]))


def changed_rows(known: Bars, fresh: Bars, tolerance: float = 0.0) -> NDArray[np.bool_]:
    """Return the rows of the fresh bars that are new, or whose price differs by more than a fraction."""
    _common, fresh_rows, known_rows = np.intersect1d(fresh.opened_at, known.opened_at, return_indices=True)
    differs = np.ones(len(fresh), dtype=bool)
    differs[fresh_rows] = np.abs(fresh.closes[fresh_rows] / known.closes[known_rows] - 1) > tolerance
    return differs


def merge_bars(known: Bars, fresh: Bars) -> Bars:
    """Merge fresh bars into the known ones; a fresh bar replaces the known one of its time."""
    keep = ~np.isin(known.opened_at, fresh.opened_at)
    opened_at = np.concatenate([known.opened_at[keep], fresh.opened_at])
    order = np.argsort(opened_at)
    return replace(fresh, opened_at=opened_at[order], closes=np.concatenate([known.closes[keep], fresh.closes])[order])


def corroborate(trust: Trust, prices: NDArray[np.float64], days: NDArray[np.datetime64], fund: Closes) -> Trust:
    """Check a coin's single-venue last close against a fund that holds the coin.

    `prices` are the coin's prices at each session's close, `days` their sessions. If either has no price at one of the
    last two closes, `trust` is unchanged. Otherwise their moves of the last session must agree, or the close is
    suspect.
    """
    fund_closes = dict(zip(fund.sessions.tolist(), fund.prices.tolist(), strict=True))
    closes = [fund_closes.get(day, np.nan) for day in days[-2:].tolist()]
    if len(closes) < 2 or not np.isfinite([*closes, *prices[-2:]]).all():  # noqa: PLR2004 -- a move has two ends
        return trust
    coin_return, fund_return = float(prices[-1] / prices[-2] - 1), closes[1] / closes[0] - 1
    if abs(coin_return - fund_return) <= COIN_LIMITS.reject:
        return TRUSTED
    reason = Reason.of(Code.MOVED_UNLIKE_FUND, moved=coin_return, fund=fund.symbol, fund_moved=fund_return)
    return trust.combined_with(Trust(verdict=Verdict.SUSPECT, reasons=(reason,)))


def _source_prices(closes: Closes) -> SourcePrices:
    return SourcePrices(source=closes.source, keys=closes.sessions, prices=closes.prices, volumes=closes.volumes)


def _confirmed_closes(symbol: Symbol, agreed: ConsensusPrices, known: Closes | None) -> Closes:
    """Return the known confirmed closes, with those that two or more sources agree on now.

    A known close stays as it is unless these sources contradict it.
    """
    rows = agreed.confirmed if agreed.confirmed is not None else np.zeros(len(agreed.keys), dtype=bool)
    now = replace(_closes(symbol, agreed, rows), source=CONFIRMED)
    if known is None or not len(known):
        return now
    _common, now_rows, known_rows = np.intersect1d(now.sessions, known.sessions, return_indices=True)
    differs = np.ones(len(now), dtype=bool)
    differs[now_rows] = np.abs(now.prices[now_rows] / known.prices[known_rows] - 1) > CLOSE_LIMITS.reject
    fresh = now.select(differs)
    kept = known.select(~np.isin(known.sessions, fresh.sessions))
    sessions = np.concatenate([kept.sessions, fresh.sessions])
    order = np.argsort(sessions)
    return replace(now, sessions=sessions[order], prices=np.concatenate([kept.prices, fresh.prices])[order])


def _outvoted_problems(history: ConsensusHistory) -> tuple[Reason, ...]:
    """Return a problem for each source that the confirmed closes outvote.

    The problem of the only source left is the factor between its closes and the confirmed ones.
    """
    agreed = history.agreed
    if len(agreed.outvoted) == 1 and len(agreed.keys) and np.isfinite(agreed.prices[-1]):
        [source] = [one for one in history.sources if one.source in agreed.outvoted]
        ratio = _price_at(source, agreed.keys[-1]) / float(agreed.prices[-1])
        if history.sources_of(agreed.keys[-1]) == [CONFIRMED] and agreed.witnesses[-1] == 1:
            return (Reason.of(Code.SCALE_UNCONFIRMED, source=source.source, symbol=history.symbol, ratio=ratio),)
    known = agreed.keys[np.isfinite(agreed.prices)]
    witnesses = [] if not len(known) else [name for name in history.sources_of(known[-1]) if name != CONFIRMED]
    if isinstance(history.prices, Bars):
        return tuple(
            Reason.of(Code.VENUE_OUTVOTED, source=source, symbol=history.symbol, hours=hours, witnesses=witnesses)
            for source, hours in agreed.outvoted.items()
        )
    return tuple(
        Reason.of(Code.SOURCE_OUTVOTED, source=source, symbol=history.symbol, sessions=sessions, witnesses=witnesses)
        for source, sessions in agreed.outvoted.items()
    )


def _closes(symbol: Symbol, agreed: ConsensusPrices, rows: NDArray[np.bool_]) -> Closes:
    return Closes(symbol=symbol, sessions=agreed.keys[rows], prices=agreed.prices[rows], source="")


def _without_dividends(symbol: Symbol, agreed: ConsensusPrices, actions: Sequence[Action]) -> ConsensusPrices:
    known = np.isfinite(agreed.prices)
    prices = agreed.prices.copy()
    prices[known] *= dividend_factors(_closes(symbol, agreed, known), actions)
    return replace(agreed, prices=prices)


def _dividend_reason(symbol: Symbol, dividend: Action) -> Reason:
    return Reason.of(Code.EX_DIVIDEND, symbol=symbol, session=dividend.session, amount_usd=dividend.value)


def _disputes(agreed: ConsensusPrices) -> dict[np.datetime64, Reason]:
    """Return the reasons for keys without an accepted price; a price rejected by a majority is not a dispute."""
    undecided = set(agreed.keys[np.isnan(agreed.prices)].tolist())
    return {rejected.key: rejected.reason for rejected in agreed.rejected if rejected.key.astype(object) in undecided}


def _accepted_rows(agreed: ConsensusPrices, quarantined: Mapping[np.datetime64, Reason]) -> NDArray[np.bool_]:
    excluded = np.array(list(quarantined), dtype=agreed.keys.dtype)
    return np.isfinite(agreed.prices) & ~np.isin(agreed.keys, excluded)


def _with_source(history: ConsensusHistory) -> ConsensusHistory:
    """Set the source to the sources of the last price; earlier prices may have others."""
    keys = history.prices.sessions if isinstance(history.prices, Closes) else history.prices.opened_at
    source = " and ".join(history.sources_of(keys[-1])) if len(keys) else ""
    return replace(history, prices=replace(history.prices, source=source))


def _price_at(prices: SourcePrices, key: np.datetime64) -> float:
    row = int(np.searchsorted(prices.keys, key))
    return float(prices.prices[row]) if row < len(prices.keys) and prices.keys[row] == key else np.nan


def open_to_close_returns(prices: NDArray[np.float64], openings: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return each session's return from its opening to its close; both are in the same shares.

    NaN if an opening is not a finite positive number.
    """
    returns: NDArray[np.float64] = prices / np.where(np.isfinite(openings) & (openings > 0), openings, np.nan) - 1
    return returns


def consensus_open_to_close(closes_by_source: Sequence[Closes], agreed: ConsensusPrices) -> NDArray[np.float64]:
    """Return the open-to-close return of each session in `agreed`.

    It is the median of the sources that know the opening and whose close is accepted. It is NaN if there is none, or if
    they differ by more than closes may. All closes are in the same shares.
    """
    rows = np.full((len(agreed.keys), len(closes_by_source)), np.nan)
    for column, closes in enumerate(closes_by_source):
        at = np.searchsorted(agreed.keys, closes.sessions)
        agrees = np.abs(closes.prices / agreed.prices[at] - 1) <= CLOSE_LIMITS.reject
        rows[at, column] = np.where(agrees & (closes.known_volumes != 0), closes.known_open_to_close, np.nan)
    median = row_medians(rows)
    dispersion = np.ptp(np.where(np.isfinite(rows), rows, median[:, np.newaxis]), axis=1)
    return np.where(dispersion <= CLOSE_LIMITS.reject, median, np.nan)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LegHistory:
    """The consensus of one symbol's sources: its price history and its last trade.

    Attributes:
        quote_trust: how far the last trade can be trusted.
        answering: at least one source that provides last trades answered the latest request.
        problems: the current problem of each failing source.
        daily: a coin's daily bars by UTC day, which begin before its hourly ones; None if there are none.
        loading: older prices of a coin are still being loaded.
    """

    history: ConsensusHistory
    quote: Quote | None
    quote_trust: Trust
    answering: bool
    problems: tuple[Reason | str, ...]
    daily: Bars | None = None
    loading: bool = False

    @property
    def is_share(self) -> bool:
        """Whether this is an ETF or a share, which trades only in New York sessions."""
        return self.history.symbol not in COINS


PUBLISHED_AFTER = timedelta(hours=12)  # after a close; every answering source has it by then
MIN_WITNESSES = 2


def no_trade_sessions(
    history: ConsensusHistory, last: Quote | None, sessions: Sessions, now: datetime, *, answering: bool
) -> dict[np.datetime64, Reason]:
    """Return the finished sessions on which no source has a trade in a share, each with the reason.

    1. Sessions since the `last` trade, if every source is `answering`.
    2. Earlier sessions that two or more sources should have and do not. A gap at one source alone may be its own.

    A volume of 0 is not a trade. The reason says only that New York may have been closed.
    """
    keys = history.agreed.keys
    first, end = int(np.searchsorted(sessions.days, keys[0])), sessions.last_closed(now) + 1
    accepted = keys[np.isfinite(history.agreed.prices)]
    rows = [first + row for row in np.flatnonzero(~np.isin(sessions.days[first:end], accepted)).tolist()]
    reason = Reason.of(Code.NO_TRADE_ANYWHERE, symbol=history.symbol)
    found = {}
    for row in rows:
        day, since = sessions.days[row], now - to_datetime(sessions.closes_at[row])
        untraded = last is not None and last.at < to_datetime(sessions.opens_at[row])
        if any(_has_trade(column, day) for column in history.sources):
            continue
        if (answering and untraded) or _is_missing_at_witnesses(
            history, day, answering=answering and since > PUBLISHED_AFTER
        ):
            found[day] = reason
    return found


def _has_trade(prices: SourcePrices, day: np.datetime64) -> bool:
    """Return whether a source has a trade on a day."""
    return bool(np.any(np.isfinite(prices.traded_prices[prices.keys == day])))


def _is_missing_at_witnesses(history: ConsensusHistory, day: np.datetime64, *, answering: bool) -> bool:
    """Return whether enough sources cover a session: they have a later close, or are `answering` long after it."""
    covering = [prices for prices in history.sources if len(prices.keys) and prices.keys[0] < day]
    return sum(answering or bool(prices.keys[-1] > day) for prices in covering) >= MIN_WITNESSES
