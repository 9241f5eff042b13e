from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np

from services.core.prices import Closes, Symbol
from services.core.reason import Code, Reason
from services.market.consensus.closes import consensus_closes
from services.market.consensus.no_trade_sessions import no_trade_sessions
from tests.fakes.market import CALENDAR, etf_closes, session_days
from tests.fakes.reasons import reason

WGMI = Symbol("WGMI")
DAYS = session_days("2026-01-05", 30)
GAP = DAYS[10]
NOW = datetime(2026, 2, 18, 0, tzinfo=UTC)
REASON = reason(Code.NO_TRADE_ANYWHERE, symbol="WGMI")


def closes(source: str, without: date | None = None) -> Closes:
    return etf_closes({day: 20.0 for day in DAYS if day != without}, source)


def found_sessions(*closes_by_source: Closes) -> dict[np.datetime64, Reason]:
    return no_trade_sessions(
        consensus_closes(WGMI, closes_by_source, CALENDAR, requires_witness=True), None, CALENDAR, NOW, answering=False
    )


def test_a_gap_at_two_sources_is_a_session_without_a_trade() -> None:
    assert {np.datetime64(GAP): REASON} == found_sessions(closes("Yahoo", GAP), closes("Nasdaq", GAP))


def test_a_gap_at_one_source_is_not_a_session_without_a_trade() -> None:
    short = etf_closes({day: 20.0 for day in DAYS if day > GAP}, "Nasdaq")
    empty = replace(short, sessions=short.sessions[:0], prices=short.prices[:0])

    assert {} == found_sessions(closes("Yahoo", GAP))
    assert {} == found_sessions(closes("Yahoo", GAP), closes("Nasdaq"))
    assert {} == found_sessions(closes("Yahoo", GAP), short)
    assert {} == found_sessions(closes("Yahoo", GAP), empty)


def test_a_close_without_volume_is_not_a_trade() -> None:
    whole = closes("Yahoo")
    idle = replace(whole, volumes=np.where(whole.sessions == np.datetime64(GAP), 0.0, 1_000.0))

    assert {np.datetime64(GAP): REASON} == found_sessions(idle, closes("Nasdaq", GAP))


def test_disputed_closes_are_trades() -> None:
    other = closes("Nasdaq")
    other = replace(other, prices=np.where(other.sessions == np.datetime64(GAP), 25.0, 20.0))

    assert {} == found_sessions(closes("Yahoo"), other)
