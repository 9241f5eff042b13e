"""Equity feeds: session closes and the last trade of ETFs and shares at one source."""

import asyncio
import logging
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from weakref import WeakValueDictionary

import numpy as np

from services.core.errors import SourceError, SourceFault
from services.core.prices import Closes, Quote, Symbol, to_datetime
from services.core.reason import Code, Reason
from services.core.sessions import Sessions
from services.market.consensus.corporate_actions import DeclaredActions, closes_before
from services.market.feeds.closes import (
    changed_closes,
    final_closes,
    finished_closes,
    has_missing_session,
    is_rebased,
    is_unrelated,
    lacks_openings,
    late_problem,
    merge_closes,
)
from services.market.feeds.freshness import (
    ANSWER_TTL,
    FaultLog,
    dropped_values,
    history_start,
    latest_quote,
    lookback_start,
    without_future,
)
from services.market.ports import EquityPrices, EquitySource, HistoryStore

REVISION_WINDOW = timedelta(days=7)  # vendors correct recent sessions overnight
CLOSE_RETRY = timedelta(minutes=10)  # for a close that a source without last trades has not published
RATE_WINDOW = timedelta(hours=1)  # vendors count calls per hour
CONFIRM_AFTER = timedelta(hours=1)
ACCEPT_UNRELATED_AFTER = timedelta(days=1)  # unrelated closes are accepted if the source keeps sending them this long
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class EquityFeed:
    """One source's data of an equity: final closes, the last trade, actions, and the problem of the last fetch.

    Attributes:
        asked_at: the last request; None before the first.
        answered_at: the last answer; None before the first.
        as_of: the time of that answer, by the earlier of the source's clock and ours.
        unrelated_since: since when the source's closes are unrelated to the known ones and ignored.
        dropped: the unusable values that the last answer lost.
        quoted_close: the source's own close, final or live, of the session of `quote`; None if it has none.
        fault: what the source says if the last fetch failed; None if it answered.
    """

    closes: Closes
    declared: DeclaredActions | None = None
    quote: Quote | None = None
    problem: Reason | str | None = None
    asked_at: datetime | None = None
    answered_at: datetime | None = None
    as_of: datetime | None = None
    unrelated_since: datetime | None = None
    dropped: Reason | None = None
    quoted_close: float | None = None
    fault: SourceFault | None = None


@dataclass(slots=True)
class EquityFeeds:
    """One source's equities. Stored closes are never dropped, so that an all-time high stays known.

    Questions about other symbols don't make the `watched` ones wait.
    """

    source: EquitySource
    store: HistoryStore
    watched: frozenset[Symbol] = frozenset()
    _known: dict[Symbol, EquityFeed] = field(default_factory=dict)
    _faults: FaultLog = field(default_factory=FaultLog)
    _locks: WeakValueDictionary[Symbol, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    async def read(self, symbol: Symbol, now: datetime, sessions: Sessions) -> EquityFeed:
        """Update one equity.

        1. On the first call, load the stored history.
        2. While the market is open, or the last close is not final yet, fetch the last sessions; and once more an hour
           after the close, to include late trades.
        3. Save the final closes. If a split has rewritten the history, fetch all of it again.

        A failing source keeps its known data and a problem. A symbol without any data is not remembered.
        """
        async with self._locks.setdefault(symbol, asyncio.Lock()):
            known = self._known.get(symbol)
            if known is None:
                known = await self.stored(symbol)
            known = _without_unfinished(known, now, sessions)
            if not self._is_rate_limited(known, now) and _is_fetch_due(known, now, sessions):
                known = replace(await self._fetch(symbol, known, now, sessions), asked_at=now)
            elif not sessions.state_at(now).is_open:
                known = _without_unfinished(await self._sync_from_store(known, now), now, sessions)
            if len(known.closes):
                self._known[symbol] = known
            return known

    def forget(self, symbol: Symbol) -> None:
        """Drop the data of a symbol from memory; the store keeps it."""
        self._known.pop(symbol, None)

    def latest(self, symbol: Symbol) -> EquityFeed | None:
        """Return the latest data of an equity without a request; None if there is none."""
        return self._known.get(symbol)

    def _is_rate_limited(self, known: EquityFeed, now: datetime) -> bool:
        """Return whether a source with a small quota was asked too recently.

        The quota is shared among the symbols requested in the last hour, but watched ones share it only with each
        other.
        """
        if not self.source.min_interval or known.asked_at is None:
            return False
        is_watched = known.closes.symbol in self.watched
        request_times = [
            feed.asked_at
            for symbol, feed in self._known.items()
            if feed.asked_at is not None and (symbol in self.watched or not is_watched)
        ]
        symbols = sum(abs(now - at) < RATE_WINDOW for at in request_times)
        return abs(now - known.asked_at) < self.source.min_interval * max(symbols, 1)

    async def _fetch(self, symbol: Symbol, known: EquityFeed, now: datetime, sessions: Sessions) -> EquityFeed:
        """Fetch the last sessions; if a split has rewritten the history, fetch all of it and replace the old closes.

        A source that was never asked for the whole history since the listing is asked for it, in one call. So is a
        source with a missing session or without any opening on the first fetch after a start: it may have published
        that since.
        """
        oldest, recent = (
            (lookback_start(now),) * 2 if self.source.simulated else (history_start(symbol), lookback_start(now))
        )
        was_asked_for_all = known.declared is not None and known.declared.since <= oldest
        is_incremental = (
            len(known.closes)
            and was_asked_for_all
            and not (known.asked_at is None and _is_incomplete(known.closes, sessions, recent))
        )
        first = max(oldest, known.closes.sessions[-1].astype(object) - REVISION_WINDOW) if is_incremental else oldest
        known_since = known.closes.sessions[0].astype(object) if len(known.closes) else oldest
        since = first if known.declared else min(oldest, known_since)
        try:
            answer = _drop_closes_before(await self.source.prices(symbol, since), first)
            unrelated = is_unrelated(known.closes, answer.closes)
            if unrelated and now - (known.unrelated_since or now) < ACCEPT_UNRELATED_AFTER:
                problem = self._faults.record(self.source.name, symbol, Reason.of(Code.CLOSES_UNRELATED))
                return replace(known, problem=problem, unrelated_since=known.unrelated_since or now)
            rebased = unrelated or is_rebased(known.closes, answer.closes)
            if rebased:
                since = min(oldest, known_since)
                answer = await self.source.prices(symbol, since)
        except SourceError as error:
            return replace(known, problem=str(error), fault=error.fault)
        as_of = min(now, answer.answered_at or now)
        delay = late_problem(answer.closes, sessions, now)
        last_quote = without_future(known.quote, now)
        if last_quote is not None and answer.quote is not None and answer.quote.at < last_quote.at:
            problem = self._faults.record(self.source.name, symbol, delay)  # the whole answer is from an older cache
            return replace(known, problem=problem, unrelated_since=None)
        final = final_closes(answer, sessions, as_of)
        declaration = DeclaredActions(source=self.source.name, since=since, actions=answer.actions)
        save = self._replace if rebased and len(final) else self._merge
        closes, declared = await save(known, final, declaration, now)
        quote, skew_problem = latest_quote(None if rebased else known.quote, answer.quote, now)
        problem = self._faults.record(self.source.name, symbol, skew_problem or delay)
        answered_at = known.answered_at if skew_problem else now
        return EquityFeed(
            closes=closes,
            declared=declared,
            quote=quote,
            problem=problem,
            answered_at=answered_at,
            as_of=known.as_of if skew_problem else as_of,
            dropped=dropped_values(self.source, symbol),
            quoted_close=_quoted_close(answer.closes, quote, sessions),
        )

    async def stored(self, symbol: Symbol) -> EquityFeed:
        """Load the stored closes and actions of an equity."""
        return EquityFeed(
            closes=await self.store.load_closes(symbol, self.source.name, history_start(symbol)),
            declared=await self.store.load_declared(symbol, self.source.name),
        )

    async def _sync_from_store(self, known: EquityFeed, now: datetime) -> EquityFeed:
        """Load changes that another process saved meanwhile, so that processes agree."""
        symbol, name = known.closes.symbol, self.source.name
        declared = await self.store.load_declared(symbol, name)
        stored = await self.store.load_closes(symbol, name, (now - 2 * REVISION_WINDOW).date())
        if is_rebased(known.closes, stored):
            return replace(
                known, closes=await self.store.load_closes(symbol, name, history_start(symbol)), declared=declared
            )
        changed = changed_closes(known.closes, stored)
        if declared != known.declared:
            known = replace(known, declared=declared)
        return replace(known, closes=merge_closes(known.closes, changed)) if len(changed) else known

    async def _replace(
        self, _known: EquityFeed, final: Closes, declared: DeclaredActions, now: datetime
    ) -> tuple[Closes, DeclaredActions]:
        log.info("%s replaced the history of %s, as sources do after a split", final.source, final.symbol)
        await self.store.replace_closes(final, now, declared)
        return final, declared

    async def _merge(
        self, known: EquityFeed, final: Closes, fresh: DeclaredActions, now: datetime
    ) -> tuple[Closes, DeclaredActions | None]:
        """Save changed closes and actions in one transaction; if nothing changed, return the known ones."""
        changed = changed_closes(known.closes, final)
        declared = known.declared.updated(fresh) if known.declared else fresh
        if not len(known.closes) and not len(changed):
            return known.closes, known.declared  # a symbol without any data is not remembered
        if not len(changed) and declared == known.declared:
            return known.closes, known.declared
        await self.store.save_closes(changed, now, fresh)
        if not len(known.closes):
            log.info(
                "%s (%s): %d closes from %s to %s",
                changed.source,
                changed.symbol,
                len(changed),
                *changed.sessions[[0, -1]],
            )
        return merge_closes(known.closes, changed) if len(changed) else known.closes, declared


def _quoted_close(closes: Closes, quote: Quote | None, sessions: Sessions) -> float | None:
    """Return the close of the session of a last trade; None if there is none."""
    if quote is None:
        return None
    row = closes_before(closes, session := sessions.state_at(quote.at).session)
    return float(closes.prices[row]) if row < len(closes) and closes.sessions[row] == np.datetime64(session) else None


def _without_unfinished(known: EquityFeed, now: datetime, sessions: Sessions) -> EquityFeed:
    """Drop closes of sessions that are not over, which were saved while a clock was ahead; they are fetched again."""
    finished = finished_closes(known.closes, sessions, now)
    return known if len(finished) == len(known.closes) else replace(known, closes=finished)


def _is_incomplete(known: Closes, sessions: Sessions, since: date) -> bool:
    return has_missing_session(known, sessions, since) or lacks_openings(known, since)


def _drop_closes_before(answer: EquityPrices, first: date) -> EquityPrices:
    """Drop closes before `first`, for which the stored ones stay valid; the declared actions are all kept."""
    return replace(answer, closes=answer.closes.select(answer.closes.sessions >= np.datetime64(first, "D")))


def _is_fetch_due(known: EquityFeed, now: datetime, sessions: Sessions) -> bool:
    """Return whether there may be new data: on every read in a session, then until the close is final and confirmed.

    A source without last trades has new data only after the close, and is asked less often.
    """
    if known.asked_at is None:
        return True
    if known.problem is None and abs(now - known.asked_at) < ANSWER_TTL:
        return False
    last = sessions.last_closed(now)
    is_missing = not len(known.closes) or bool(known.closes.sessions[-1] < sessions.days[last])
    if known.answered_at is not None and known.quote is None and known.answered_at == known.asked_at:
        return is_missing and abs(now - known.asked_at) >= CLOSE_RETRY
    if known.answered_at is None or is_missing or sessions.state_at(now).is_open:
        return True
    confirm_at = to_datetime(sessions.closes_at[last]) + CONFIRM_AFTER
    return known.as_of is None or known.as_of < confirm_at <= now
