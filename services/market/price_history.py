"""History: each leg of every pair as all of its sources together tell it, and how far that can be trusted."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import ceil

from services.core.errors import SourceError
from services.core.prices import Bars, Quote, Symbol, moment
from services.core.sessions import Sessions, sessions_around
from services.core.trust import FULL, Trust, Verdict
from services.market.consensus.closes import ConsensusHistory, consensus_bars, consensus_closes
from services.market.consensus.corporate_actions import Traded, awaits_close
from services.market.consensus.quarantine import COIN as COIN_CAUTION
from services.market.consensus.quarantine import spike, unexplained_split
from services.market.consensus.quorum import COIN, TRADES, ConsensusQuote, Limits, consensus_trade
from services.market.feeds.crypto import CoinFeed, CoinFeeds
from services.market.feeds.equities import EquityFeed, EquityFeeds
from services.market.feeds.freshness import BEGINNING, LIVE_AT_MOST
from services.market.feeds.report import SourceReport, report
from services.market.ports import CryptoSource, EquitySource, HistoryStore

MINUTE = timedelta(minutes=1)
OF_THAT_INSTANT = timedelta(minutes=2)  # a minute's bar ends on the whole minute
COINS = frozenset(map(Symbol, ("BTC", "ETH", "LTC", "BCH", "XRP", "SOL", "DOGE")))  # any other symbol is a share
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Leg:
    """One symbol as its sources agree on it: its past, and its last trade with how far that can be trusted.

    `answers` tells that a source which knows last trades has just given an answer.
    """

    past: ConsensusHistory
    quote: Quote | None
    quoted: Trust
    answers: bool
    problems: tuple[str, ...]

    @property
    def is_share(self) -> bool:
        """Whether this is an ETF or a share, which trades in New York's sessions only."""
        return self.past.symbol not in COINS


@dataclass(slots=True)
class PriceHistory:
    """The legs of every pair, each asked for once however many pairs share it.

    Sources stand in order of preference. `witnessed` tells that a price ought to have a second source; those of files
    and of a simulated market have none to be had.
    """

    equities: Sequence[EquitySource]
    cryptos: Sequence[CryptoSource]
    store: HistoryStore
    witnessed: bool = True
    _shares: list[EquityFeeds] = field(init=False)
    _coins: list[CoinFeeds] = field(init=False)
    _judged: dict[Symbol, tuple[list[object], ConsensusHistory]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._shares = [EquityFeeds(source, self.store) for source in self.equities]
        self._coins = [CoinFeeds(source, self.store) for source in self.cryptos]

    @property
    def simulated(self) -> bool:
        """Whether any source is simulated."""
        return any(one.simulated for one in self.equities) or any(one.simulated for one in self.cryptos)

    def sessions(self, now: datetime) -> Sessions:
        """Build the calendar that the history of `now` needs."""
        return sessions_around(now.date(), since=BEGINNING)

    async def leg(self, symbol: Symbol, now: datetime) -> Leg:
        """Bring one symbol up to date at every source, side by side, and hold what they say against each other."""
        return await (self._coin(symbol, now) if symbol in COINS else self._share(symbol, now))

    def reports(self, symbol: Symbol, now: datetime) -> tuple[SourceReport, ...]:
        """Tell how each source of a symbol stands, from what it told last; nobody is asked."""
        feeds: Sequence[CoinFeeds | EquityFeeds] = self._coins if symbol in COINS else self._shares
        return tuple(report(one.source, one.told(symbol), now) for one in feeds)

    async def at(self, symbol: Symbol, at: datetime) -> ConsensusQuote | None:
        """Find a coin's price at a recent instant, from the last minute bars complete by then.

        None for a share, and where nobody traded. Raises SourceError where no source answers.
        """
        if symbol not in COINS:
            return None
        asked = (source.bars(symbol, MINUTE, at - 10 * MINUTE, at) for source in self.cryptos)
        answers = [_or_raise(one) for one in await asyncio.gather(*asked, return_exceptions=True)]
        minutes = [one for one in answers if isinstance(one, Bars)]
        failures = [one for one in answers if isinstance(one, SourceError)]
        if not minutes:
            raise failures[0]
        known = [(bars.source, found) for bars in minutes if (found := bars.last_complete(at))]
        quotes = [
            Quote(symbol=symbol, price=price, at=ended_at, source=source)
            for source, (price, ended_at) in known
            if at - ended_at <= OF_THAT_INSTANT
        ]
        if not quotes:
            return None
        _seen, past = self._judged.get(symbol, (None, None))
        told = self._told(quotes, COIN, at)
        return replace(told, trust=told.trust.also(self._leapt(past, told))) if past else told

    async def _share(self, symbol: Symbol, now: datetime) -> Leg:
        sessions = self.sessions(now)
        feeds = await asyncio.gather(*(feeds.read(symbol, now, sessions) for feeds in self._shares))
        closes = [feed.closes for feed in feeds]
        declared = [feed.declared for feed in feeds if feed.declared]
        told = self._told([feed.quote for feed in feeds if feed.quote], TRADES, now)
        traded = _traded(told, sessions) if awaits_close(closes, declared) else None

        def judge() -> ConsensusHistory:
            return consensus_closes(
                symbol, closes, sessions, witnessed=self.witnessed, declared=declared, traded=traded
            )

        past = self._remember(symbol, [*closes, *declared, traded], judge)
        return _leg(past, replace(told, trust=told.trust.also(self._odd(past, told, sessions))), feeds)

    async def _coin(self, symbol: Symbol, now: datetime) -> Leg:
        feeds = await asyncio.gather(*(feeds.read(symbol, now) for feeds in self._coins))
        bars = [feed.bars for feed in feeds]
        past = self._remember(symbol, bars, lambda: consensus_bars(symbol, bars, witnessed=self.witnessed))
        told = self._told([feed.quote for feed in feeds if feed.quote], COIN, now)
        return _leg(past, replace(told, trust=told.trust.also(self._leapt(past, told))), feeds)

    def _told(self, quotes: Sequence[Quote], limits: Limits, now: datetime) -> ConsensusQuote:
        told = consensus_trade(quotes, limits, now, at_most=LIVE_AT_MOST)
        lonely = not self.witnessed and told.trust.verdict is Verdict.DEGRADED
        return replace(told, trust=FULL) if lonely else told

    def _odd(self, past: ConsensusHistory, told: ConsensusQuote, sessions: Sessions) -> Trust:
        """Suspect a last trade far from anything before that one source tells, or that several tell as after a split.

        Closes are adjusted for a split that is declared, so that a trade in the new shares is near them.
        """
        if not self.witnessed or told.quote is None or not told.witnesses:
            return FULL
        session, reason = sessions.state(told.quote.at).session, None
        if told.witnesses == 1:
            reason = spike(past.before(session), told.quote.price)
        elif past.last_close is not None:
            reason = unexplained_split(past.last_close * past.carry(session), told.quote.price)
        return FULL if reason is None else Trust(verdict=Verdict.SUSPECT, reasons=(reason,))

    def _leapt(self, past: ConsensusHistory, told: ConsensusQuote) -> Trust:
        """Suspect a coin's last trade far from the hours before it, which one venue alone tells."""
        bars = past.prices
        if (
            not self.witnessed
            or told.quote is None
            or told.witnesses != 1
            or not isinstance(bars, Bars)
            or not len(bars)
        ):
            return FULL
        hours = max(1, ceil((told.quote.at - moment(bars.ended_at[-1])) / bars.interval))
        reason = spike(past.agreed, told.quote.price, COIN_CAUTION, steps=hours)
        return FULL if reason is None else Trust(verdict=Verdict.SUSPECT, reasons=(f"{past.symbol} {reason}",))

    def _remember(
        self, symbol: Symbol, told: Sequence[object], judge: Callable[[], ConsensusHistory]
    ) -> ConsensusHistory:
        """Judge anew only where a source has told something new."""
        seen, judged = self._judged.get(symbol, (list[object](), None))
        if judged is None or seen != [*told]:
            before, judged = judged, judge()
            _tell(before, judged)
            if len(judged.agreed.keys):
                self._judged[symbol] = [*told], judged
        return judged


def _traded(told: ConsensusQuote, sessions: Sessions) -> Traded | None:
    """Give the session and the price of a last trade that can be relied on."""
    if told.quote is None or not told.trust.verdict.usable:
        return None
    return sessions.state(told.quote.at).session, told.quote.price


def _tell(before: ConsensusHistory | None, after: ConsensusHistory) -> None:
    """Log what is held from now on, and what is let go; at the first look only that something is.

    A declared action that is left out is logged once.
    """
    for problem in after.problems:
        if before is None or problem not in before.problems:
            log.warning("%s", problem)
    if before is None:
        if after.held:
            count = "1 price" if len(after.held) == 1 else f"{len(after.held)} prices"
            log.warning("%s of %s held: sources dispute it, or one has it alone", count, after.symbol)
        return
    for key in sorted(after.held.keys() - before.held.keys()):
        log.warning("the price of %s at %s is held: %s", after.symbol, key, after.held[key])
    for key in sorted(before.held.keys() - after.held.keys()):
        log.info("the price of %s at %s is held no longer", after.symbol, key)


def _leg(past: ConsensusHistory, told: ConsensusQuote, feeds: Sequence[EquityFeed | CoinFeed]) -> Leg:
    return Leg(
        past=past,
        quote=told.quote,
        quoted=told.trust,
        answers=any(feed.problem is None and feed.quote is not None for feed in feeds),
        problems=tuple(feed.problem for feed in feeds if feed.problem),
    )


def _or_raise(answer: Bars | BaseException) -> Bars | SourceError:
    if isinstance(answer, BaseException) and not isinstance(answer, SourceError):
        raise answer
    return answer
