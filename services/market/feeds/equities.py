"""Shares: the session closes and the last trade of ETFs and shares, as one source tells them."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from weakref import WeakValueDictionary

import numpy as np

from services.core.errors import SourceError
from services.core.prices import Closes, Quote, Symbol, moment
from services.core.sessions import Sessions
from services.market.consensus.corporate_actions import Declared
from services.market.feeds.closes import (
    final_closes,
    has_hole,
    is_foreign,
    is_rebased,
    lacks_openings,
    late_by,
    merged,
    news_of,
)
from services.market.feeds.freshness import BEGINNING, SHARED_FOR, Faults, newer, oldest_needed
from services.market.ports import EquityPrices, EquitySource, HistoryStore

REVISED = timedelta(days=7)  # vendors correct recent sessions overnight
PATIENCE = timedelta(minutes=10)  # between two calls for a close that a source without last trades does not have yet
BY_THE_HOUR = timedelta(hours=1)  # as vendors count calls
CONFIRMED_AFTER = timedelta(hours=1)
OF_ANOTHER = "sent closes unlike those before, as of another symbol, and no split explains them; they are left out"
STANDS = timedelta(days=1)  # how long a source must go on telling another past before it is believed
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityFeed:
    """What one source told of an equity: final closes, the last trade, actions, and why the last fetch failed.

    `asked_at` is when it was last asked, and `answered_at` when it last gave an answer; None before the first.
    `doubted_at` is since when its answers are of another past and left out.
    """

    closes: Closes
    declared: Declared | None = None
    quote: Quote | None = None
    problem: str | None = None
    asked_at: datetime | None = None
    answered_at: datetime | None = None
    doubted_at: datetime | None = None


@dataclass(slots=True)
class EquityFeeds:
    """One source's equities. What has been kept is never let go: an all-time high must not roll off."""

    source: EquitySource
    store: HistoryStore
    _known: dict[Symbol, EquityFeed] = field(default_factory=dict)
    _faults: Faults = field(default_factory=Faults)
    _locks: WeakValueDictionary[Symbol, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    async def read(self, symbol: Symbol, now: datetime, sessions: Sessions) -> EquityFeed:
        """Bring one equity up to date.

        1. At the first call, load what the store has.
        2. While the market is open, or the last close is not final yet, ask the source for the last sessions; and
           once more an hour after the close, when late trades are in.
        3. Keep the final closes, in the store too; fetch all of them anew where a split has rewritten the past.

        A source that fails leaves what is known, with its problem. A symbol of which nothing is known is forgotten.
        """
        async with self._locks.setdefault(symbol, asyncio.Lock()):
            known = self._known.get(symbol)
            if known is None:
                known = await self._load(symbol)
            if not self._is_spared(known, now) and _is_wanted(known, now, sessions):
                known = replace(await self._fetch(symbol, known, now, sessions), asked_at=now)
            elif not sessions.state(now).is_open:
                known = await self._share(known, now)
            if len(known.closes):
                self._known[symbol] = known
            return known

    def told(self, symbol: Symbol) -> EquityFeed | None:
        """Give what is known of an equity, without asking; None before anything was."""
        return self._known.get(symbol)

    def _is_spared(self, known: EquityFeed, now: datetime) -> bool:
        """Tell whether a source that allows few calls was asked lately.

        It shares them out among the symbols of the last hour: what was asked for once leaves the others theirs.
        """
        if not self.source.spacing or known.asked_at is None:
            return False
        asked = [one.asked_at for one in self._known.values() if one.asked_at is not None]
        shared = sum(abs(now - at) < BY_THE_HOUR for at in asked)
        return abs(now - known.asked_at) < self.source.spacing * max(shared, 1)

    async def _fetch(self, symbol: Symbol, known: EquityFeed, now: datetime, sessions: Sessions) -> EquityFeed:
        """Ask for the last sessions; where a split has rewritten the past, for all of them in place of the old ones.

        A source that was never asked what it declares is asked from as far back as its closes are known. At a start,
        one that lacks a session, or every opening, is asked for all of them too: what an answer left out once it may
        have by now.
        """
        whole = oldest_needed(now)
        is_whole = len(known.closes) and not (known.asked_at is None and _is_lacking(known.closes, sessions, whole))
        recent = max(whole, known.closes.sessions[-1].astype(object) - REVISED) if is_whole else whole
        beginning = known.closes.sessions[0].astype(object) if len(known.closes) else whole
        since = recent if known.declared else min(whole, beginning)
        try:
            answer = _since(await self.source.prices(symbol, since), recent)
            foreign = is_foreign(known.closes, answer.closes)
            if foreign and now - (known.doubted_at or now) < STANDS:
                problem = self._faults.note(self.source.name, symbol, OF_ANOTHER)
                return replace(known, problem=problem, doubted_at=known.doubted_at or now)
            rebased = foreign or is_rebased(known.closes, answer.closes)
            if rebased:
                since = min(whole, beginning)
                answer = await self.source.prices(symbol, since)
        except SourceError as error:
            return replace(known, problem=str(error))
        late = late_by(answer.closes, sessions, now)
        if known.quote is not None and answer.quote is not None and answer.quote.at < known.quote.at:
            problem = self._faults.note(self.source.name, symbol, late)  # out of an older cache, closes and all
            return replace(known, problem=problem, doubted_at=None)
        final = final_closes(answer, sessions, now)
        told = Declared(source=self.source.name, since=since, actions=answer.actions)
        keep = self._replace if rebased and len(final) else self._merge
        closes, declared = await keep(known, final, told, now)
        quote, early = newer(None if rebased else known.quote, answer.quote, now)
        problem = self._faults.note(self.source.name, symbol, early or late)
        answered_at = known.answered_at if early else now
        return EquityFeed(closes=closes, declared=declared, quote=quote, problem=problem, answered_at=answered_at)

    async def _load(self, symbol: Symbol) -> EquityFeed:
        return EquityFeed(
            closes=await self.store.load_closes(symbol, self.source.name, BEGINNING),
            declared=await self.store.load_declared(symbol, self.source.name),
        )

    async def _share(self, known: EquityFeed, now: datetime) -> EquityFeed:
        """Take over what another process has been told meanwhile, so that no two of them contradict each other."""
        symbol, name = known.closes.symbol, self.source.name
        declared = await self.store.load_declared(symbol, name)
        told = await self.store.load_closes(symbol, name, (now - 2 * REVISED).date())
        if is_rebased(known.closes, told):
            return replace(known, closes=await self.store.load_closes(symbol, name, BEGINNING), declared=declared)
        news = news_of(known.closes, told)
        if declared != known.declared:
            known = replace(known, declared=declared)
        return replace(known, closes=merged(known.closes, news)) if len(news) else known

    async def _replace(
        self, _known: EquityFeed, final: Closes, told: Declared, now: datetime
    ) -> tuple[Closes, Declared]:
        log.info("%s has rewritten the history of %s, as after a split", final.source, final.symbol)
        await self.store.replace_closes(final, now, told)
        return final, told

    async def _merge(
        self, known: EquityFeed, final: Closes, told: Declared, now: datetime
    ) -> tuple[Closes, Declared | None]:
        """Keep what is new, closes and actions in one step; where nothing is, leave both as they were."""
        news, declared = news_of(known.closes, final), known.declared.updated(told) if known.declared else told
        if not len(known.closes) and not len(news):
            return known.closes, known.declared  # a symbol of which nothing is known is forgotten
        if not len(news) and declared == known.declared:
            return known.closes, known.declared
        await self.store.save_closes(news, now, told)
        if not len(known.closes):
            log.info("%s on %s: %d closes from %s to %s", news.source, news.symbol, len(news), *news.sessions[[0, -1]])
        return merged(known.closes, news) if len(news) else known.closes, declared


def _is_lacking(known: Closes, sessions: Sessions, since: date) -> bool:
    return has_hole(known, sessions, since) or lacks_openings(known, since)


def _since(answer: EquityPrices, first: date) -> EquityPrices:
    """Leave out older closes, of which what is kept stands; what was declared with them is news."""
    return replace(answer, closes=answer.closes.where(answer.closes.sessions >= np.datetime64(first, "D")))


def _is_wanted(known: EquityFeed, now: datetime, sessions: Sessions) -> bool:
    """Tell whether there may be news: in a session at each look, after it until the close is final and confirmed.

    A source without last trades has news after the close only, and is asked for it with patience.
    """
    if known.asked_at is None:
        return True
    if known.problem is None and abs(now - known.asked_at) < SHARED_FOR:
        return False
    last = sessions.last_closed(now)
    missing = not len(known.closes) or bool(known.closes.sessions[-1] < sessions.days[last])
    if known.answered_at is not None and known.quote is None and known.answered_at == known.asked_at:
        return missing and now - known.asked_at >= PATIENCE
    if known.answered_at is None or missing or sessions.state(now).is_open:
        return True
    confirm_at = moment(sessions.closes_at[last]) + CONFIRMED_AFTER
    return known.answered_at < confirm_at <= now
