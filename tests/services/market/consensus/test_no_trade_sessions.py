from dataclasses import replace
from datetime import UTC, date, datetime

import numpy as np

from services.core.prices import Closes, Symbol
from services.market.consensus.closes import consensus_closes
from services.market.consensus.no_trade_sessions import untraded
from tests.fakes.market import CALENDAR, etf_closes, session_days

WGMI = Symbol("WGMI")
DAYS = session_days("2026-01-05", 30)
HOLE = DAYS[10]
NOW = datetime(2026, 2, 18, 0, tzinfo=UTC)
WHY = "no WGMI trade from any source: New York may have been shut"


def closes(source: str, without: date | None = None) -> Closes:
    return etf_closes({day: 20.0 for day in DAYS if day != without}, source)


def found(*told: Closes) -> dict[np.datetime64, str]:
    return untraded(consensus_closes(WGMI, told, CALENDAR, witnessed=True), None, CALENDAR, NOW, answering=False)


def test_a_hole_that_two_sources_share_is_a_session_without_a_trade() -> None:
    assert {np.datetime64(HOLE): WHY} == found(closes("Yahoo", HOLE), closes("Nasdaq", HOLE))


def test_a_hole_at_one_source_may_be_its_own() -> None:
    short = etf_closes({day: 20.0 for day in DAYS if day > HOLE}, "Nasdaq")
    nothing = replace(short, sessions=short.sessions[:0], prices=short.prices[:0])

    assert {} == found(closes("Yahoo", HOLE))
    assert {} == found(closes("Yahoo", HOLE), closes("Nasdaq"))
    assert {} == found(closes("Yahoo", HOLE), short)
    assert {} == found(closes("Yahoo", HOLE), nothing)


def test_a_close_without_volume_is_no_trade() -> None:
    whole = closes("Yahoo")
    idle = replace(whole, volumes=np.where(whole.sessions == np.datetime64(HOLE), 0.0, 1_000.0))

    assert {np.datetime64(HOLE): WHY} == found(idle, closes("Nasdaq", HOLE))


def test_closes_that_contradict_each_other_are_trades() -> None:
    theirs = closes("Nasdaq")
    theirs = replace(theirs, prices=np.where(theirs.sessions == np.datetime64(HOLE), 25.0, 20.0))

    assert {} == found(closes("Yahoo"), theirs)
