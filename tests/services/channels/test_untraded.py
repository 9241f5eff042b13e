"""One notice about a share that no longer trades, and none while its sources only fail."""

from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path

import httpx
import pytest

from handlers.render import fmt
from handlers.render.notices import notice_message
from services.delivery.ports import NoticeMessage
from services.market.price_history import PriceHistory
from tests.fakes.blockkit import shown
from tests.fakes.clock import SetClock
from tests.fakes.harness import CHANNEL, CLOSE, OTHER_CHANNEL, TODAY, Harness, open_harness

DAY = timedelta(days=1)
AFTER_TWO = CLOSE + DAY + timedelta(hours=2)
LAST_TRADE = fmt.instant(CLOSE - DAY)
UNKNOWN = {"chart": {"result": None, "error": {"code": "Not Found", "description": "No data found"}}}


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    async with open_harness() as harness:
        for channel in (CHANNEL, OTHER_CHANNEL):
            await harness.commands.add_rule(channel, "1d 8pp for 0s", "U1")
        await harness.commands.add_rule(CHANNEL, "5d 15pp", "U1")
        yield harness


async def notices_of_rounds(harness: Harness) -> list[str]:
    """Run maintenance after the first and the second session without a trade, and once more; return the notices."""
    for at in (CLOSE + timedelta(hours=2), AFTER_TWO, AFTER_TWO + timedelta(minutes=1)):
        await harness.tick(at)
        await harness.maintenance.tick(at)
    texts = []
    while due := await harness.store.due(harness.clock.at):
        for delivery in due:
            if isinstance(delivery.message, NoticeMessage):
                texts.append(shown(notice_message(delivery.message.notice)))
            await harness.store.mark_sent(delivery, f"{delivery.id}", harness.clock.at)
    return [text for text in texts if "hasn't traded" in text]


async def test_after_two_sessions_without_a_trade_each_channel_gets_one_notice(harness: Harness) -> None:
    harness.vendors.no_trade_sessions = {TODAY, TODAY + DAY}

    first, second = sorted(await notices_of_rounds(harness), key=len, reverse=True)

    assert first.splitlines() == [
        "WGMI hasn't traded for 2 sessions. Rules 1, 3 are on hold.",
        "*WGMI hasn't traded for 2 sessions*",
        "*Cause:* It may have been renamed, halted or delisted.",
        "*Effect:* Rules 1, 3 are on hold. Open alerts stay open.",
        (
            "*What to do:* To move the rules to another symbol, type `/minerpulse rule move WGMI NEW`. "
            "Open alerts and votes move with them."
        ),
        f"Last trade: $20.00 (Yahoo), {LAST_TRADE}",
    ]
    assert "Rule 2 is on hold. Open alerts stay open." in second


async def test_a_source_that_no_longer_knows_the_symbol_is_named(harness: Harness) -> None:
    harness.vendors.faults["yahoo"] = [httpx.Response(404, json=UNKNOWN) for _ in range(20)]

    notices = await notices_of_rounds(harness)

    assert [True, True] == ["Yahoo no longer lists it." in text for text in notices]


@pytest.mark.parametrize("no_trades", [{TODAY}, {TODAY, date(2026, 3, 6)}])
async def test_one_session_without_a_trade_is_no_news(harness: Harness, no_trades: set[date]) -> None:
    harness.vendors.no_trade_sessions = no_trades

    assert [] == await notices_of_rounds(harness)


async def test_an_outage_of_the_sources_is_no_halt(harness: Harness) -> None:
    harness.vendors.faults["yahoo"] = [httpx.Response(503) for _ in range(20)]

    assert [] == await notices_of_rounds(harness)


async def test_a_simulated_market_is_never_renamed_halted_or_delisted(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    harness.vendors.no_trade_sessions = {TODAY, TODAY + DAY}
    monkeypatch.setattr(PriceHistory, "simulated", property(lambda _history: True))

    assert [] == await notices_of_rounds(harness)


async def test_after_a_restart_the_last_close_stands_for_the_last_trade(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'restarted.db'}"
    async with open_harness(url) as before:
        await before.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    async with open_harness(url, SetClock(AFTER_TWO), warm=False) as after:
        after.vendors.faults["yahoo"] = [httpx.Response(404, json=UNKNOWN) for _ in range(20)]

        (notice,) = await notices_of_rounds(after)

    assert f"Last trade: $20.00 (Yahoo), {LAST_TRADE}" in notice.splitlines()
