"""A market view of an aligned market, without any source."""

from datetime import timedelta

from services.market.align import Aligned
from services.market.snapshot import snapshot
from services.rules.history_lookup import HistoryLookup
from services.rules.market_view import MarketView
from tests.fakes.market import CALENDAR


def a_view(market: Aligned) -> MarketView:
    """Return the market view one hour after the last close."""
    close = snapshot(market)
    now = close.at + timedelta(hours=1)
    return MarketView(
        pair=market.pair,
        now=now,
        market=CALENDAR.state_at(now),
        close=close,
        history=HistoryLookup(market),
        live=None,
        live_reason="the market is shut",
        etf=None,
        crypto=None,
        gap=None,
        left_out=market.exclusions,
        problems=(),
        simulated=False,
    )
