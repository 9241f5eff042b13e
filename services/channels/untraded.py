"""Notices about a share that no longer trades: it may have been renamed, halted or delisted."""

from dataclasses import replace
from datetime import datetime

import numpy as np

from services.alerting.notice import Notice, Untraded
from services.alerting.rule_index import RuleIndex
from services.channels.ports import ChannelStore
from services.core.errors import NoHistoryError, SourceFault
from services.core.identity import Channel
from services.core.prices import Pair, PriceStamp, Symbol, to_datetime64
from services.market.align import Aligned
from services.market.consensus.closes import COINS
from services.market.snapshot import close_stamps, stamp_of
from services.rules.market_service import MarketService

SESSIONS_WITHOUT_TRADE = 2


async def send_untraded_notices(
    store: ChannelStore, rule_index: RuleIndex, market: MarketService, now: datetime
) -> int:
    """Post one notice per share and channel after two sessions without a trade; return the number of notices.

    Its last trade identifies it, so a repeat posts nothing new.
    """
    pairs = {pair: index.rules for pair, index in (await rule_index.pairs()).items()}
    notices = []
    for symbol in sorted({symbol for pair in pairs for symbol in (pair.etf, pair.crypto) if symbol not in COINS}):
        watched = [pair for pair in pairs if symbol in (pair.etf, pair.crypto)]
        found = await _untraded(market, watched[0], symbol, now)
        if found is not None:
            rules = [rule for pair in watched for rule in pairs[pair]]
            channels = dict.fromkeys(rule.channel for rule in rules)
            notices += [
                _notice(channel, found, [rule.id for rule in rules if rule.channel == channel], now)
                for channel in channels
            ]
    return await store.add_notices(notices, now) if notices else 0


async def _untraded(market: MarketService, pair: Pair, symbol: Symbol, now: datetime) -> Untraded | None:
    """Return a share's last trade if two finished sessions have none since; None while a source fails otherwise.

    A source that doesn't know the symbol any more has no trade either.
    """
    try:
        view = await market.view(pair, now)
    except NoHistoryError:
        return None
    health = market.history.source_health(symbol, now)
    if any(one.fault not in {None, SourceFault.UNKNOWN_SYMBOL} for one in health):
        return None
    trades = [stamp_of(one.quote) for one in health if one.quote]
    last = max([*trades, *_last_close(view.history.closes, symbol)], key=lambda stamp: stamp.at, default=None)
    sessions = market.history.sessions(now)
    if last is None or view.simulated:
        return None
    first, end = np.searchsorted(sessions.opens_at, to_datetime64(last.at), side="right"), sessions.last_closed(now) + 1
    if end - first < SESSIONS_WITHOUT_TRADE:
        return None
    unknown = tuple(one.name for one in health if one.fault is SourceFault.UNKNOWN_SYMBOL)
    return Untraded(symbol=symbol, sessions=int(end - first), last=last, unknown_at=unknown)


def _last_close(closes: Aligned, symbol: Symbol) -> list[PriceStamp]:
    """Return the last known close of a share, with its time; a restart forgets the last trade, but not the close."""
    is_etf = symbol == closes.pair.etf
    known = np.flatnonzero(np.isfinite(closes.etf if is_etf else closes.crypto))
    if not len(known):
        return []
    stamp = close_stamps(closes.head(int(known[-1]) + 1))[0 if is_etf else 1]
    return [] if stamp is None else [stamp]


def _notice(channel: Channel, found: Untraded, rules: list[int], now: datetime) -> Notice:
    content = replace(found, rules=tuple(sorted(rules)))
    name = f"untraded:{found.symbol}:{found.last.at.isoformat()}"
    return Notice(id=0, channel=channel, name=name, content=content, opened_at=now, closed_at=now)
