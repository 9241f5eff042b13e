"""Price history of each leg: the consensus of all its sources, and how far it can be trusted."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from math import ceil
from math import log as ln

from services.core.concurrency import gather_all
from services.core.errors import SourceError
from services.core.prices import Bars, Closes, Pair, Quote, Symbol, to_datetime
from services.core.reason import Code, Reason
from services.core.sessions import Sessions, sessions_around
from services.core.trust import TRUSTED, Trust, Verdict
from services.market.consensus.closes import (
    COINS,
    ConsensusHistory,
    LegHistory,
    changed_rows,
    consensus_bars,
    consensus_closes,
)
from services.market.consensus.corporate_actions import LastTrade, needs_trade_for_split
from services.market.consensus.quarantine import COIN_QUARANTINE, spike_reason, unexplained_split_reason
from services.market.consensus.quorum import (
    COIN_LIMITS,
    CONFIRMED,
    TRADE_LIMITS,
    AgreementLimits,
    ConsensusQuote,
    consensus_trade,
)
from services.market.feeds.closes import changed_closes, finished_closes
from services.market.feeds.crypto import DAY, HOUR, CoinFeed, CoinFeeds, midnight
from services.market.feeds.equities import EquityFeed, EquityFeeds
from services.market.feeds.freshness import HISTORY_START, HOURS_START, MAX_LIVE_AGE
from services.market.feeds.report import SourceHealth, source_health
from services.market.ports import CryptoSource, EquitySource, HasKey, HistoryStore, ReservesCalls

MINUTE = timedelta(minutes=1)
MAX_MINUTE_BAR_AGE = timedelta(minutes=2)  # minute bars end on the whole minute
MAX_UNWATCHED = 64  # symbols
WATCHED_TTL = timedelta(minutes=1)
MIN_DECISIVE_SCALE = ln(2)  # no day's move reaches it
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class OlderBars:
    """Bars of a coin that one venue still has to load, since an instant."""

    feeds: CoinFeeds
    symbol: Symbol
    interval: timedelta
    since: datetime


@dataclass(slots=True)
class PriceHistory:
    """The legs of all pairs; pairs that share a leg share its requests.

    Attributes:
        equities, cryptos: sources in order of preference.
        requires_witness: a price needs a second source to be fully trusted; False for files and simulated markets.
        loads_all: the first answer loads everything that the sources have, as with files; otherwise older bars of coins
            follow, see `Backfill`.
        update_watched: calls `watch` with what is watched now; called before a question about another symbol, at most
            once a minute, as rules may be added by other processes.
    """

    equities: Sequence[EquitySource]
    cryptos: Sequence[CryptoSource]
    store: HistoryStore
    requires_witness: bool = True
    loads_all: bool = False
    update_watched: Callable[[], Awaitable[object]] | None = None
    _updated_at: datetime | None = None
    _equity_feeds: list[EquityFeeds] = field(init=False)
    _crypto_feeds: list[CoinFeeds] = field(init=False)
    _consensus: dict[Symbol, tuple[list[object], ConsensusHistory]] = field(default_factory=dict)
    _confirmed: dict[Symbol, Closes] = field(default_factory=dict)
    _confirmed_bars: dict[Symbol, Bars] = field(default_factory=dict)
    _used: OrderedDict[Symbol, None] = field(default_factory=OrderedDict)
    _watched: frozenset[Symbol] = frozenset()
    _daily: dict[Symbol, tuple[list[Bars], Bars]] = field(default_factory=dict)
    _wanted_since: dict[Symbol, date] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._equity_feeds = [EquityFeeds(source, self.store) for source in self.equities]
        self._crypto_feeds = [CoinFeeds(source, self.store, loads_all=self.loads_all) for source in self.cryptos]

    @property
    def simulated(self) -> bool:
        """Whether any source is simulated."""
        return any(source.simulated for source in self.equities) or any(source.simulated for source in self.cryptos)

    def sessions(self, now: datetime) -> Sessions:
        """Build the calendar that the history up to `now` needs."""
        return sessions_around(now.date(), since=HISTORY_START)

    def watch(self, symbols: Collection[Symbol]) -> None:
        """Reserve three quarters of each vendor's quota for these symbols, and keep them in memory."""
        if self._watched == symbols:
            return
        self._watched = frozenset(symbols)
        for feeds in self._equity_feeds:
            feeds.watched = self._watched
        for source in (*self.equities, *self.cryptos):
            if isinstance(source, ReservesCalls):
                source.reserve_calls_for(self._watched)

    async def leg(self, symbol: Symbol, now: datetime) -> LegHistory:
        """Update one symbol at every source concurrently, and return the consensus.

        Of the symbols that nothing watches, only the 64 used last stay in memory; the store has all.
        """
        if symbol not in self._watched:
            await self._update_watched(now)
        self._used[symbol] = None
        self._used.move_to_end(symbol)
        for unused in [one for one in self._used if one not in self._watched][:-MAX_UNWATCHED]:
            self._forget(unused)
        return await (self._crypto_leg(symbol, now) if symbol in COINS else self._equity_leg(symbol, now))

    async def pair(self, pair: Pair, now: datetime) -> tuple[LegHistory, LegHistory]:
        """Update both legs of a pair. The coin's history is wanted from the ETF's first session on; see `Backfill`."""
        etf, crypto = await gather_all(self.leg(pair.etf, now), self.leg(pair.crypto, now))
        closes = etf.history.prices
        if not crypto.is_share and isinstance(closes, Closes) and len(closes):
            first = closes.sessions[0].item()
            self._wanted_since[pair.crypto] = min(first, self._wanted_since.get(pair.crypto, first))
            crypto = replace(crypto, loading=self.is_loading(pair.crypto, now))
        return etf, crypto

    def wanted_older(self, now: datetime) -> list[OlderBars]:
        """Return what older bars each venue still has to load: daily ones, then hourly ones since the wanted day."""
        return [
            older
            for feeds in self._crypto_feeds
            for symbol, first in self._wanted_since.items()
            for older in (
                OlderBars(feeds=feeds, symbol=symbol, interval=DAY, since=midnight(HISTORY_START)),
                OlderBars(feeds=feeds, symbol=symbol, interval=HOUR, since=midnight(max(first, HOURS_START))),
            )
            if feeds.has_older(symbol, older.interval, older.since, now)
        ]

    def is_loading(self, symbol: Symbol, now: datetime) -> bool:
        """Return whether older prices of a symbol are still to be loaded."""
        return any(older.symbol == symbol for older in self.wanted_older(now))

    async def _update_watched(self, now: datetime) -> None:
        if self.update_watched is None or (self._updated_at is not None and abs(now - self._updated_at) < WATCHED_TTL):
            return
        await self.update_watched()
        self._updated_at = now

    def _forget(self, symbol: Symbol) -> None:
        """Drop a symbol's data from memory."""
        del self._used[symbol]
        self._consensus.pop(symbol, None)
        self._confirmed.pop(symbol, None)
        self._confirmed_bars.pop(symbol, None)
        self._daily.pop(symbol, None)
        self._wanted_since.pop(symbol, None)
        for equity_feeds in self._equity_feeds:
            equity_feeds.forget(symbol)
        for crypto_feeds in self._crypto_feeds:
            crypto_feeds.forget(symbol)

    @property
    def refused_keys(self) -> frozenset[str]:
        """The names of all sources, of any symbol, that refuse their API key as of their last answers."""
        sources: tuple[EquitySource | CryptoSource, ...] = (*self.equities, *self.cryptos)
        return frozenset(one.name for one in sources if isinstance(one, HasKey) and one.key_refused)

    def quarantined(self) -> dict[Symbol, int]:
        """Count the quarantined prices of each watched symbol."""
        return {
            symbol: len(consensus.quarantined)
            for symbol, (_, consensus) in self._consensus.items()
            if symbol in self._watched
        }

    def source_health(self, symbol: Symbol, now: datetime) -> tuple[SourceHealth, ...]:
        """Return the health of each source of a symbol from its latest answer; makes no requests."""
        feeds: Sequence[CoinFeeds | EquityFeeds] = self._crypto_feeds if symbol in COINS else self._equity_feeds
        loading = {older.feeds.source.name for older in self.wanted_older(now) if older.symbol == symbol}
        return tuple(
            source_health(feed.source, feed.latest(symbol), now, loading=feed.source.name in loading) for feed in feeds
        )

    async def quote_at(self, symbol: Symbol, at: datetime) -> ConsensusQuote | None:
        """Return a coin's price at a recent instant, from the last minute bars complete by then.

        Returns None for a share, and if no venue had a trade. Raises SourceError if no source answers.
        """
        if symbol not in COINS:
            return None
        requests = (source.bars(symbol, MINUTE, at - 10 * MINUTE, at) for source in self.cryptos)
        answers = [_or_raise(answer) for answer in await asyncio.gather(*requests, return_exceptions=True)]
        bars_by_source = [answer for answer in answers if isinstance(answer, Bars)]
        failures = [answer for answer in answers if isinstance(answer, SourceError)]
        if not bars_by_source:
            raise failures[0]
        closes = [(bars.source, close) for bars in bars_by_source if (close := bars.last_complete(at))]
        quotes = [
            Quote(symbol=symbol, price=price, at=ended_at, source=source)
            for source, (price, ended_at) in closes
            if at - ended_at <= MAX_MINUTE_BAR_AGE
        ]
        if not quotes:
            return None
        _inputs, history = self._consensus.get(symbol, (None, None))
        consensus = self._consensus_quote(quotes, COIN_LIMITS, at)
        return (
            replace(consensus, trust=consensus.trust.combined_with(self._crypto_trade_trust(history, consensus)))
            if history
            else consensus
        )

    async def _equity_leg(self, symbol: Symbol, now: datetime) -> LegHistory:
        sessions = self.sessions(now)
        confirmed = await self._confirmed_closes(symbol, sessions, now)
        feeds = await asyncio.gather(*(feeds.read(symbol, now, sessions) for feeds in self._equity_feeds))
        closes = [feed.closes for feed in feeds]
        declared = [feed.declared for feed in feeds if feed.declared]
        consensus = self._consensus_quote([feed.quote for feed in feeds if feed.quote], TRADE_LIMITS, now)
        last_trade = _last_trade(consensus, sessions) if needs_trade_for_split(closes, declared) else None

        def compute() -> ConsensusHistory:
            return consensus_closes(
                symbol,
                closes,
                sessions,
                requires_witness=self.requires_witness,
                declared=declared,
                last_trade=last_trade,
                confirmed=confirmed,
            )

        history = self._cached_consensus(symbol, [*closes, *declared, last_trade], compute)
        if confirmed is not None:
            await self._save_confirmed(history.confirmed, now)
        if history.agreed.outvoted:
            consensus = self._without_outvoted_quotes(feeds, history, now)
        return _build_leg(
            history,
            replace(
                consensus, trust=consensus.trust.combined_with(self._equity_trade_trust(history, consensus, sessions))
            ),
            feeds,
        )

    async def _confirmed_closes(self, symbol: Symbol, sessions: Sessions, now: datetime) -> Closes | None:
        """Return the closes of a share that two sources confirmed before; None if no witness is needed.

        They are loaded before any source is asked. If none were ever saved, the sources' stored closes have them.
        Those of a session that is not over were saved while a clock was ahead; they are deleted.
        """
        if not self.requires_witness:
            return None
        known = self._confirmed.get(symbol)
        if known is None:
            known = await self.store.load_closes(symbol, CONFIRMED, HISTORY_START)
            if not len(known):
                known = await self._confirmed_in_store(symbol, sessions)
                await self._save_confirmed(known, now)
        finished = finished_closes(known, sessions, now)
        if len(finished) < len(known):
            await self.store.replace_closes(finished, now)
        self._confirmed[symbol] = finished
        return finished

    async def _confirmed_in_store(self, symbol: Symbol, sessions: Sessions) -> Closes:
        stored = [await feeds.stored(symbol) for feeds in self._equity_feeds]
        declared = [feed.declared for feed in stored if feed.declared]
        return consensus_closes(
            symbol, [feed.closes for feed in stored], sessions, requires_witness=True, declared=declared
        ).confirmed

    async def _save_confirmed(self, confirmed: Closes, now: datetime) -> None:
        """Save the closes that two sources have confirmed since the last call."""
        known = self._confirmed.get(confirmed.symbol)
        changed = confirmed if known is None else changed_closes(known, confirmed)
        if len(changed):
            await self.store.save_closes(changed, now)
        self._confirmed[confirmed.symbol] = confirmed

    def _without_outvoted_quotes(
        self, feeds: Sequence[EquityFeed], history: ConsensusHistory, now: datetime
    ) -> ConsensusQuote:
        """Return the consensus of the last trades that are not on the scale of outvoted closes.

        If there is none, the trade is suspect: if the closes of its source are wrong by 1.1, it is unknown whether the
        trade is.
        """
        quotes = [feed.quote for feed in feeds if feed.quote]
        outvoted = history.agreed.outvoted
        usable = [
            feed.quote
            for feed in feeds
            if feed.quote and (feed.closes.source not in outvoted or _is_on_accepted_scale(feed, history))
        ]
        if usable or not quotes:
            return self._consensus_quote(usable, TRADE_LIMITS, now)
        consensus = self._consensus_quote(quotes, TRADE_LIMITS, now)
        if consensus.quote is None:
            return consensus
        reason = Reason.of(Code.TRADE_OF_OUTVOTED_SOURCE, symbol=history.symbol, source=consensus.quote.source)
        return replace(
            consensus, trust=consensus.trust.combined_with(Trust(verdict=Verdict.SUSPECT, reasons=(reason,)))
        )

    async def _confirmed_coin_bars(self, symbol: Symbol) -> Bars | None:
        """Return the hourly bars that two venues confirmed before; None if no witness is needed.

        If none were ever saved, the venues' stored bars have them.
        """
        if not self.requires_witness:
            return None
        if symbol not in self._confirmed_bars:
            since = midnight(HISTORY_START)
            known = await self.store.load_bars(symbol, CONFIRMED, HOUR, since)
            if not len(known) and self.cryptos:
                stored = [await self.store.load_bars(symbol, source.name, HOUR, since) for source in self.cryptos]
                known = consensus_bars(symbol, stored, requires_witness=True).confirmed_bars or known
                await self.store.save_bars(known)
            self._confirmed_bars[symbol] = known
        return self._confirmed_bars[symbol]

    async def _save_confirmed_bars(self, confirmed: Bars) -> None:
        """Save the bars that two venues have confirmed since the last call."""
        known = self._confirmed_bars[confirmed.symbol]
        if known is confirmed:
            return
        rows = changed_rows(known, confirmed)
        if rows.any():
            fresh = replace(confirmed, opened_at=confirmed.opened_at[rows], closes=confirmed.closes[rows])
            await self.store.save_bars(fresh)
        self._confirmed_bars[confirmed.symbol] = confirmed

    async def _crypto_leg(self, symbol: Symbol, now: datetime) -> LegHistory:
        confirmed = await self._confirmed_coin_bars(symbol)
        feeds = await asyncio.gather(*(feeds.read(symbol, now) for feeds in self._crypto_feeds))
        bars = [feed.bars for feed in feeds]

        def compute() -> ConsensusHistory:
            return consensus_bars(symbol, bars, requires_witness=self.requires_witness, confirmed=confirmed)

        history = self._cached_consensus(symbol, bars, compute)
        if confirmed is not None and history.confirmed_bars is not None:
            await self._save_confirmed_bars(history.confirmed_bars)
        trusted = [feed for feed in feeds if feed.bars.source not in history.agreed.outvoted]
        consensus = self._consensus_quote([feed.quote for feed in trusted if feed.quote], COIN_LIMITS, now)
        leg = _build_leg(
            history,
            replace(consensus, trust=consensus.trust.combined_with(self._crypto_trade_trust(history, consensus))),
            feeds,
        )
        return replace(leg, daily=self._daily_bars(symbol, feeds), loading=self.is_loading(symbol, now))

    def _daily_bars(self, symbol: Symbol, feeds: Sequence[CoinFeed]) -> Bars | None:
        """Return the daily bars that the venues agree on; None if no venue has any."""
        bars = [feed.daily for feed in feeds if feed.daily is not None and len(feed.daily)]
        if not bars:
            return None
        known, agreed = self._daily.get(symbol, (list[Bars](), None))
        if agreed is None or len(known) != len(bars) or any(a is not b for a, b in zip(known, bars, strict=True)):
            prices = consensus_bars(symbol, bars, requires_witness=self.requires_witness).prices
            agreed = prices if isinstance(prices, Bars) else bars[0]
            self._daily[symbol] = bars, agreed
        return agreed

    def _consensus_quote(self, quotes: Sequence[Quote], limits: AgreementLimits, now: datetime) -> ConsensusQuote:
        consensus = consensus_trade(quotes, limits, now, max_age=MAX_LIVE_AGE)
        waived = not self.requires_witness and consensus.trust.verdict is Verdict.DEGRADED
        return replace(consensus, trust=TRUSTED) if waived else consensus

    def _equity_trade_trust(self, history: ConsensusHistory, consensus: ConsensusQuote, sessions: Sessions) -> Trust:
        """Return SUSPECT if a share's last trade does not fit its closes.

        A single-source trade is suspect if it is far from the earlier prices. A trade that several sources agree on is
        suspect only if it looks like an undeclared split. Closes are already adjusted for declared splits.
        """
        if not self.requires_witness or consensus.quote is None or not consensus.witnesses:
            return TRUSTED
        session, reason = sessions.state_at(consensus.quote.at).session, None
        if consensus.witnesses == 1:
            reason = spike_reason(history.rebased_to(session), consensus.quote.price)
        elif history.last_close is not None:
            reason = unexplained_split_reason(
                history.last_close * history.dividend_factor(session), consensus.quote.price
            )
        return TRUSTED if reason is None else Trust(verdict=Verdict.SUSPECT, reasons=(reason,))

    def _crypto_trade_trust(self, history: ConsensusHistory, consensus: ConsensusQuote) -> Trust:
        """Return SUSPECT if a coin's single-source last trade is far from the hours before it."""
        bars = history.prices
        if (
            not self.requires_witness
            or consensus.quote is None
            or consensus.witnesses != 1
            or not isinstance(bars, Bars)
            or not len(bars)
        ):
            return TRUSTED
        hours = max(1, ceil((consensus.quote.at - to_datetime(bars.ended_at[-1])) / bars.interval))
        reason = spike_reason(history.agreed, consensus.quote.price, COIN_QUARANTINE, steps=hours)
        if reason is None:
            return TRUSTED
        of_symbol = Reason.of(Code.OF_SYMBOL, symbol=history.symbol, reason=reason)
        return Trust(verdict=Verdict.SUSPECT, reasons=(of_symbol,))

    def _cached_consensus(
        self, symbol: Symbol, inputs: Sequence[object], compute: Callable[[], ConsensusHistory]
    ) -> ConsensusHistory:
        """Recompute the consensus only if a source has new data."""
        known_inputs, history = self._consensus.get(symbol, (list[object](), None))
        if history is None or known_inputs != [*inputs]:
            previous, history = history, compute()
            _log_quarantine_changes(previous, history)
            if len(history.agreed.keys):
                self._consensus[symbol] = [*inputs], history
        return history


def _is_on_accepted_scale(feed: EquityFeed, history: ConsensusHistory) -> bool:
    """Return whether the last trade of an outvoted source is surely on the scale of the accepted closes.

    It is if the scales are further apart than any day's move and the trade is nearer to the accepted one, or if it
    differs from the source's own price of the same session.
    """
    quote, own = feed.quote, feed.closes
    if quote is None or history.last_close is None or not len(own):
        return False
    if feed.quoted_close is not None and abs(quote.price / feed.quoted_close - 1) > TRADE_LIMITS.reject:
        return True
    scale = ln(own.prices[-1] / history.last_close)
    return abs(scale) >= MIN_DECISIVE_SCALE and abs(ln(quote.price / history.last_close)) < abs(scale) / 2


def _last_trade(consensus: ConsensusQuote, sessions: Sessions) -> LastTrade | None:
    """Return the session and the price of a usable last trade."""
    if consensus.quote is None or not consensus.trust.verdict.usable:
        return None
    return sessions.state_at(consensus.quote.at).session, consensus.quote.price


def _log_quarantine_changes(previous: ConsensusHistory | None, current: ConsensusHistory) -> None:
    """Log newly quarantined and released prices; on the first call, log only their count.

    Each declared action that is not applied is logged once.
    """
    for problem in current.problems:
        if previous is None or problem not in previous.problems:
            log.warning("%s", problem)
    if previous is None:
        if current.quarantined:
            count = "1 price" if len(current.quarantined) == 1 else f"{len(current.quarantined)} prices"
            log.warning("%s of %s quarantined: sources disagree, or only one has a price", count, current.symbol)
        return
    for key in sorted(current.quarantined.keys() - previous.quarantined.keys()):
        log.warning("price of %s at %s quarantined: %s", current.symbol, key, current.quarantined[key])
    for key in sorted(previous.quarantined.keys() - current.quarantined.keys()):
        log.info("price of %s at %s released from quarantine", current.symbol, key)


def _build_leg(
    history: ConsensusHistory, consensus: ConsensusQuote, feeds: Sequence[EquityFeed | CoinFeed]
) -> LegHistory:
    return LegHistory(
        history=history,
        quote=consensus.quote,
        quote_trust=consensus.trust,
        answering=any(feed.problem is None and feed.quote is not None for feed in feeds),
        problems=tuple(problem for feed in feeds for problem in (feed.problem, feed.dropped) if problem),
    )


def _or_raise(answer: Bars | BaseException) -> Bars | SourceError:
    if isinstance(answer, BaseException) and not isinstance(answer, SourceError):
        raise answer
    return answer
