from datetime import date

import pytest
from sqlalchemy.exc import IntegrityError

from services.core.prices import Symbol
from services.market.holdings import Holding, HoldingKind, Holdings
from services.storage import SqlStore
from tests.services.storage.conftest import Start

WGMI, BITQ = Symbol("WGMI"), Symbol("BITQ")
MONDAY, TUESDAY = date(2026, 7, 6), date(2026, 7, 7)
IREN = Holding(ticker="IREN", weight=0.15, exchange="US", name="IREN Ltd", shares=1_000.5, market_value=0.1 + 0.2)
HUT = Holding(ticker="HUT", weight=0.08, exchange="CN")
CASH = Holding(ticker="Cash&Other", weight=-0.005, kind=HoldingKind.CASH, name="Cash & Other")
SWAP = Holding(ticker="", weight=0.02, kind=HoldingKind.OTHER, name="Receivable")


def of(day: date, *positions: Holding, fund: Symbol = WGMI, source: str = "july.csv") -> Holdings:
    return Holdings(fund=fund, as_of=day, source=source, positions=positions)


async def test_holdings_are_loaded_as_they_were_saved_in_their_order(store: SqlStore) -> None:
    saved = of(TUESDAY, SWAP, IREN, HUT, CASH)

    assert [] == await store.save_holdings([saved])
    assert [saved] == await store.load_holdings(WGMI)


async def test_every_day_is_loaded_oldest_first(store: SqlStore) -> None:
    await store.save_holdings([of(TUESDAY, IREN)])
    await store.save_holdings([of(MONDAY, HUT), of(date(1969, 12, 31), CASH)])

    days = [holdings.as_of for holdings in await store.load_holdings(WGMI)]

    assert [date(1969, 12, 31), MONDAY, TUESDAY] == days


async def test_a_day_saved_again_is_replaced_as_a_whole_and_returned(store: SqlStore) -> None:
    await store.save_holdings([of(MONDAY, IREN), of(TUESDAY, IREN, HUT, CASH)])
    corrected = of(TUESDAY, HUT, source="corrected.csv")

    assert [TUESDAY] == await store.save_holdings([corrected])
    assert [of(MONDAY, IREN), corrected] == await store.load_holdings(WGMI)


async def test_funds_are_separate(store: SqlStore) -> None:
    await store.save_holdings([of(TUESDAY, IREN)])

    assert [] == await store.save_holdings([of(TUESDAY, HUT, fund=BITQ)])
    assert [of(TUESDAY, IREN)] == await store.load_holdings(WGMI)


async def test_a_fund_that_was_never_saved_has_none(store: SqlStore) -> None:
    assert [] == await store.load_holdings(WGMI)


async def test_a_failed_save_leaves_the_stored_holdings_unchanged(store: SqlStore) -> None:
    before = of(MONDAY, IREN)
    await store.save_holdings([before])
    invalid = of(TUESDAY, HUT)
    object.__setattr__(invalid, "source", None)

    with pytest.raises(IntegrityError):
        await store.save_holdings([of(MONDAY, HUT), invalid])

    assert [before] == await store.load_holdings(WGMI)


async def test_holdings_survive_a_restart(start: Start) -> None:
    await (await start()).save_holdings([of(TUESDAY, IREN)])

    assert [of(TUESDAY, IREN)] == await (await start()).load_holdings(WGMI)
