"""Judge: what several sources tell of one symbol's past, as one; what is held back, how far to trust the rest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
from numpy.typing import NDArray

from services.core.prices import Bars, Closes, Symbol
from services.core.sessions import Sessions
from services.core.statistics import medians
from services.core.trust import FULL, Trust, Verdict
from services.market.consensus.corporate_actions import (
    Action,
    Declared,
    Kind,
    Traded,
    carry,
    factors,
    in_shares_of_today,
)
from services.market.consensus.declared_actions import agree_dividends, agree_splits
from services.market.consensus.quarantine import COIN as COIN_CAUTION
from services.market.consensus.quarantine import held_back
from services.market.consensus.quorum import CLOSES, COIN, Column, ConsensusPrices, Limits, consensus_price


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ConsensusHistory:
    """One symbol's past as its sources agree on it: session closes of a share, hourly bars of a coin.

    `prices` of a share are adjusted for the dividends and splits in `actions`, so that its returns are total returns
    and its last close is as traded; `agreed` and `columns` are adjusted for splits alone. `problems` tells which
    declared actions are left out. `held` has what nobody, or nobody else, stands behind, with the reason, by session or
    by the instant at which a bar ends. `witnessed` tells that a price ought to have a second source.
    """

    symbol: Symbol
    prices: Closes | Bars
    held: Mapping[np.datetime64, str]
    agreed: ConsensusPrices
    columns: Sequence[Column]
    limits: Limits
    witnessed: bool
    actions: tuple[Action, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def last_close(self) -> float | None:
        """The last close of a share that is believed; None where there is none, and of a coin."""
        closes = self.prices
        return float(closes.prices[-1]) if isinstance(closes, Closes) and len(closes) else None

    def carry(self, session: date) -> float:
        """Give the factor that makes the past fit to be held against a price of a session: dividends since are out."""
        return carry(self.prices, self.actions, session) if isinstance(self.prices, Closes) else 1.0

    def before(self, session: date) -> ConsensusPrices:
        """Give what the sources agree on, fit to be held against a price of a later session."""
        agreed = _without_dividends(self.symbol, self.agreed, self.actions)
        return replace(agreed, prices=agreed.prices * self.carry(session))

    def noted(self, session: date) -> Trust:
        """Say where a session is the ex-date of a dividend, which nothing speaks against."""
        paid = [one for one in self.actions if one.kind is Kind.DIVIDEND and one.session == session]
        return Trust(reasons=tuple(_paid(self.symbol, one) for one in paid))

    def trust(self, key: np.datetime64) -> Trust:
        """Tell how far the close of a session can be trusted; of bars, that of the last one ended by an instant."""
        row = self._row(key)
        if not self.witnessed or row is None:
            return FULL
        key = self.agreed.keys[row]
        names = " and ".join(self.behind(key))
        if self.agreed.witnesses[row] == 1:
            return Trust(verdict=Verdict.DEGRADED, reasons=(f"{self.symbol}'s close is from {names} alone",))
        apart = float(self.agreed.spread[row])
        if apart > self.limits.warn:
            return Trust(verdict=Verdict.DEGRADED, reasons=(f"{names} are {apart:.1%} apart on {self.symbol}'s close",))
        return FULL

    def _row(self, key: np.datetime64) -> int | None:
        """Find the row that a session's price was read from; None where it has none."""
        keys = self.agreed.keys
        if isinstance(self.prices, Bars):
            row = int(np.searchsorted(keys + np.timedelta64(self.prices.interval), key, side="right")) - 1
            return row if row >= 0 else None
        row = int(np.searchsorted(keys, key))
        return row if row < len(keys) and keys[row] == key else None

    def behind(self, key: np.datetime64) -> list[str]:
        """Name the sources that stand behind a price."""
        price = self.agreed.prices[np.searchsorted(self.agreed.keys, key)]
        return [one.source for one in self.columns if abs(_price(one, key) / price - 1) <= self.limits.reject]


def consensus_closes(
    symbol: Symbol,
    told: Sequence[Closes],
    sessions: Sessions,
    *,
    witnessed: bool,
    declared: Sequence[Declared] = (),
    traded: Traded | None = None,
) -> ConsensusHistory:
    """Hold the session closes of a share at several sources against each other, and those of one against its past.

    1. Bring each source's closes into the shares of today, by the splits that are declared; `traded`, the session and
       price of a last trade, tells whether a split of that session is in them.
    2. Let the sources agree on closes, and on dividends.
    3. Hold back what one source has alone and neither a split nor a dividend explains, and adjust what is believed.

    What is held stays with its source; once a second one agrees, or declares the split, it is let go by itself.
    """
    splits = agree_splits(symbol, declared)
    shared = in_shares_of_today(told, splits.actions, traded)
    columns = [Column(source=one.source, keys=one.sessions, prices=one.prices, volumes=one.volumes) for one in shared]
    agreed = consensus_price(columns, CLOSES)
    dividends = agree_dividends(_closes(symbol, agreed, np.isfinite(agreed.prices)), declared, splits.actions)
    actions = splits.actions + dividends.actions
    held = _disputed(agreed)
    if witnessed:
        paid = _without_dividends(symbol, agreed, actions)
        lonely = held_back(paid, np.searchsorted(sessions.days, agreed.keys))
        held |= {agreed.keys[row]: reason for row, reason in lonely.items()}
    believed = _believed(agreed, held)
    plain, inside = _closes(symbol, agreed, believed), agreed_inside(shared, agreed)[believed]
    judged = ConsensusHistory(
        symbol=symbol,
        prices=replace(plain, prices=plain.prices * factors(plain, actions), inside=inside),
        held=held,
        agreed=agreed,
        columns=columns,
        limits=CLOSES,
        witnessed=witnessed,
        actions=actions,
        problems=splits.problems + dividends.problems,
    )
    return _named(judged)


def consensus_bars(symbol: Symbol, told: Sequence[Bars], *, witnessed: bool) -> ConsensusHistory:
    """Hold the bars of a coin at several sources against each other, and those of one against its past.

    All have one length. What one venue has alone and moves far beyond its usual hour is held until a second one agrees.
    """
    columns = [Column(source=one.source, keys=one.opened_at, prices=one.closes) for one in told]
    agreed = consensus_price(columns, COIN)
    held, interval = _disputed(agreed), told[0].interval
    if witnessed:
        positions = (agreed.keys - agreed.keys[:1]) // np.timedelta64(interval)
        lonely = held_back(agreed, positions.astype(np.intp), COIN_CAUTION)
        held |= {agreed.keys[row]: reason for row, reason in lonely.items()}
    believed = _believed(agreed, held)
    bars = Bars(
        symbol=symbol,
        interval=interval,
        opened_at=agreed.keys[believed],
        closes=agreed.prices[believed],
        source="",
    )
    judged = ConsensusHistory(
        symbol=symbol,
        prices=bars,
        held={opened_at + np.timedelta64(interval): reason for opened_at, reason in held.items()},
        agreed=agreed,
        columns=columns,
        limits=COIN,
        witnessed=witnessed,
    )
    return _named(judged)


def corroborated(alone: Trust, prices: NDArray[np.float64], days: NDArray[np.datetime64], fund: Closes) -> Trust:
    """Let a fund that holds a coin speak for the last close of that coin, which one venue alone has.

    `prices` are the coin's at each session's close, `days` their sessions. The fund says nothing where either has no
    price at one of the last two closes; else their moves of the last session agree, or the close is suspect.
    """
    known = dict(zip(fund.sessions.tolist(), fund.prices.tolist(), strict=True))
    held = [known.get(day, np.nan) for day in days[-2:].tolist()]
    if len(held) < 2 or not np.isfinite([*held, *prices[-2:]]).all():  # noqa: PLR2004 -- a move has two ends
        return alone
    coin, share = float(prices[-1] / prices[-2] - 1), held[1] / held[0] - 1
    if abs(coin - share) <= COIN.reject:
        return FULL
    apart = f"moved by {coin:+.1%} at one venue, while {fund.symbol}, which holds it, moved by {share:+.1%}"
    return alone.also(Trust(verdict=Verdict.SUSPECT, reasons=(apart,)))


def _closes(symbol: Symbol, agreed: ConsensusPrices, rows: NDArray[np.bool_]) -> Closes:
    return Closes(symbol=symbol, sessions=agreed.keys[rows], prices=agreed.prices[rows], source="")


def _without_dividends(symbol: Symbol, agreed: ConsensusPrices, actions: Sequence[Action]) -> ConsensusPrices:
    known = np.isfinite(agreed.prices)
    prices = agreed.prices.copy()
    prices[known] *= factors(_closes(symbol, agreed, known), actions)
    return replace(agreed, prices=prices)


def _paid(symbol: Symbol, dividend: Action) -> str:
    amount = f"{dividend.value:.6g} USD a share"
    return f"{symbol} went ex-dividend on {dividend.session}: {amount}, included in its returns"


def _disputed(agreed: ConsensusPrices) -> dict[np.datetime64, str]:
    """Tell why nobody is believed, where that is so; a doubt beside a majority holds nothing back."""
    nobody = set(agreed.keys[np.isnan(agreed.prices)].tolist())
    return {doubt.key: doubt.reason for doubt in agreed.doubts if doubt.key.astype(object) in nobody}


def _believed(agreed: ConsensusPrices, held: Mapping[np.datetime64, str]) -> NDArray[np.bool_]:
    left_out = np.array(list(held), dtype=agreed.keys.dtype)
    return np.isfinite(agreed.prices) & ~np.isin(agreed.keys, left_out)


def _named(judged: ConsensusHistory) -> ConsensusHistory:
    """Name the sources of the last price; those before it may have others."""
    keys = judged.prices.sessions if isinstance(judged.prices, Closes) else judged.prices.opened_at
    source = " and ".join(judged.behind(keys[-1])) if len(keys) else ""
    return replace(judged, prices=replace(judged.prices, source=source))


def _price(column: Column, key: np.datetime64) -> float:
    row = int(np.searchsorted(column.keys, key))
    return float(column.prices[row]) if row < len(column.keys) and column.keys[row] == key else np.nan


def since_opening(prices: NDArray[np.float64], openings: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give each session's return from its opening to its close, in the shares of one day.

    NaN where an opening is not a finite number above zero.
    """
    returns: NDArray[np.float64] = prices / np.where(np.isfinite(openings) & (openings > 0), openings, np.nan) - 1
    return returns


def agreed_inside(told: Sequence[Closes], agreed: ConsensusPrices) -> NDArray[np.float64]:
    """Give for each key of `agreed` the return from that session's opening to its close.

    It is the median of those sources that know the opening and whose close is believed; NaN where there is none, and
    where they are further apart than closes may be. All closes are in the shares of one day.
    """
    rows = np.full((len(agreed.keys), len(told)), np.nan)
    for column, closes in enumerate(told):
        at = np.searchsorted(agreed.keys, closes.sessions)
        stands = np.abs(closes.prices / agreed.prices[at] - 1) <= CLOSES.reject
        rows[at, column] = np.where(stands & (closes.known_volumes != 0), closes.known_inside, np.nan)
    found = medians(rows)
    told_apart = np.ptp(np.where(np.isfinite(rows), rows, found[:, np.newaxis]), axis=1)
    return np.where(told_apart <= CLOSES.reject, found, np.nan)
