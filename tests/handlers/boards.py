"""Boards to render: real sessions up to Tuesday 17 November 2026, 10:40 in New York."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

import numpy as np

from services.alerting.alert import Alert
from services.alerting.ports import ChannelRule
from services.channels.commands import Board
from services.core.identity import Channel
from services.core.prices import PriceStamp, Quote, Symbol
from services.core.reason import Code, Reason
from services.market.align import Aligned, Exclusion
from services.market.gap import OffHours, predict_gap
from services.market.snapshot import snapshot
from services.rules.decide import RuleState
from services.rules.grammar import parse_rule
from services.rules.history_lookup import HistoryLookup
from services.rules.market_view import MarketView
from tests.fakes.market import CALENDAR, aligned_market

OPEN_AT = datetime(2026, 11, 17, 15, 40, tzinfo=UTC)
SHUT_AT = datetime(2026, 11, 17, 1, 30, tzinfo=UTC)  # Monday evening in New York
HALF_DAY_AT = datetime(2026, 11, 27, 15, 40, tzinfo=UTC)
LAST_CLOSE = date(2026, 11, 16)
SESSIONS = 560


@lru_cache
def closes(sessions: int = SESSIONS) -> Aligned:
    """Return both legs up to the close of Monday 16 November 2026: bitcoin at 92,208, the ETF at 40.03."""
    rng = np.random.default_rng(11)
    crypto = rng.normal(0, 0.025, SESSIONS)
    etf = 1.3 * crypto + rng.normal(0, 0.02, SESSIONS)
    btc_path, etf_path = np.exp(np.cumsum(crypto)), np.exp(np.cumsum(etf))
    last = CALENDAR.index_of(np.datetime64(LAST_CLOSE)) or 0
    market = aligned_market(
        (40.03 * etf_path / etf_path[-1])[-sessions:].tolist(),
        (92_208.0 * btc_path / btc_path[-1])[-sessions:].tolist(),
        first=str(CALENDAR.days[last - sessions + 1]),
    )
    return replace(market, etf_source="Yahoo", crypto_source="Coinbase")


def open_view(
    *,
    etf: float = 41.27,
    crypto: float = 87_412.5,
    now: datetime = OPEN_AT,
    market: Aligned | None = None,
    problems: Sequence[str] = (),
    left_out: Sequence[Exclusion] = (),
    simulated: bool = False,
) -> MarketView:
    """Return the market in an open session, with trades of both legs in the last minutes."""
    market = market or closes()
    state = CALENDAR.state_at(now)
    rows = market.before(state.session).with_live(state.session, now - timedelta(minutes=1), etf=etf, crypto=crypto)
    quotes = (
        Quote(symbol=Symbol("WGMI"), price=etf, at=now - timedelta(minutes=1), source="Yahoo"),
        Quote(symbol=Symbol("BTC"), price=crypto, at=now - timedelta(seconds=20), source="Coinbase"),
    )
    stamps = tuple(PriceStamp(symbol=one.symbol, source=one.source, price=one.price, at=one.at) for one in quotes)
    return MarketView(
        pair=market.pair,
        now=now,
        market=state,
        close=snapshot(market),
        history=HistoryLookup(market),
        live=snapshot(rows, (stamps[0], stamps[1])),
        live_reason="",
        etf=quotes[0],
        crypto=quotes[1],
        gap=None,
        left_out=tuple(left_out),
        problems=tuple(problems),
        simulated=simulated,
    )


def off_hours() -> OffHours:
    """Return 60 closures with a beta of about 1.2."""
    rng = np.random.default_rng(4)
    crypto = rng.normal(0, 0.02, 60)
    return OffHours(crypto=crypto, etf=1.2 * crypto + rng.normal(0, 0.012, 60), hourly_variance=0.0045**2)


def shut_view(*, crypto: float = 94_050.0, now: datetime = SHUT_AT) -> MarketView:
    """Return the market after Monday's close, with a later bitcoin price."""
    view = open_view(now=OPEN_AT)
    quote = Quote(symbol=Symbol("BTC"), price=crypto, at=now - timedelta(seconds=20), source="Coinbase")
    return replace(
        view,
        now=now,
        market=CALENDAR.state_at(now),
        live=None,
        live_reason=Reason.of(Code.MARKET_CLOSED, session=LAST_CLOSE.isoformat()),
        crypto=quote,
        gap=predict_gap(closes(), off_hours(), quote.price, quote.at, CALENDAR.state_at(now).next_open_at),
    )


def a_channel_rule(
    text: str = "1d 8pp",
    *,
    id: int = 1,  # noqa: A002 -- the field's own name
    state: RuleState | None = None,
    created_at: datetime = OPEN_AT,
) -> ChannelRule:
    """Return a rule of the channel."""
    return ChannelRule(
        id=id,
        channel=Channel(team="T1", id="C1"),
        rule=parse_rule(text),
        state=state or RuleState(),
        created_by="U1",
        created_at=created_at,
    )


def a_board(view: MarketView, *, alerts: Sequence[Alert] = (), rules: Sequence[ChannelRule] = ()) -> Board:
    """Return the board of one channel."""
    return Board(view=view, alerts=tuple(alerts), rules=tuple(rules))
