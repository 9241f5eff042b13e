"""A source that rejects its API key is named on the board to editors, until it accepts one."""

import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import httpx
import pytest

from handlers.render.board import board_message
from services.channels.commands import ChannelCommands
from services.channels.permissions import Permissions
from services.core.prices import WGMI_BTC, Pair, Symbol
from services.market.ports import EquitySource
from services.market.price_history import PriceHistory
from services.market.sources.http.client import HttpClient
from services.market.sources.vendors.tiingo import Tiingo
from services.market.sources.vendors.twelvedata import TwelveData
from services.rules.market_service import MarketService
from tests.fakes.blockkit import shown
from tests.fakes.harness import CHANNEL, Harness, open_harness

EDITOR, MEMBER = "U7", "U1"
KEY = "k-secret"


@dataclass
class Vendor:
    """A vendor whose answer a test changes."""

    status: int = 401
    body: dict[str, object] = field(default_factory=lambda: {"detail": "Invalid token."})

    def handle(self, _request: httpx.Request) -> httpx.Response:
        return httpx.Response(self.status, text=json.dumps(self.body))


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    async with open_harness() as harness:
        yield harness


def commands_with(harness: Harness, sources: Sequence[EquitySource], pair: Pair = WGMI_BTC) -> ChannelCommands:
    history = PriceHistory([harness.vendors.yahoo(), *sources], [harness.vendors.coinbase()], harness.store)
    return ChannelCommands(
        store=harness.store, market=MarketService(history), clock=harness.clock, nudge=lambda: None, pair=pair
    )


async def boards(harness: Harness, *sources: EquitySource) -> dict[str | None, str]:
    """Return the board as an editor, a member, and everyone in the channel sees it."""
    commands = commands_with(harness, sources)
    commands.permissions = Permissions(people=(EDITOR,))
    return {
        reader: shown(board_message(await commands.board(CHANNEL, reader), harness.clock.at))
        for reader in (EDITOR, MEMBER, None)
    }


@pytest.mark.parametrize("status", [401, 403])
async def test_editors_see_which_key_is_refused_and_where_to_set_it(harness: Harness, status: int) -> None:
    client = HttpClient(transport=httpx.MockTransport(Vendor(status=status).handle))

    seen = await boards(harness, Tiingo(client, harness.clock, KEY))

    line = "Tiingo rejects its API key, which may be wrong or expired. Your MinerPulse administrator can set a new one"
    assert [True, False, False] == [f"{line} in `MINERPULSE_TIINGO_KEY`." in text for text in seen.values()]
    assert KEY not in "".join(seen.values())


async def test_a_refusal_in_the_body_of_an_answer_counts(harness: Harness) -> None:
    body: dict[str, object] = {"status": "error", "code": 401, "message": "apikey is incorrect or expired"}
    client = HttpClient(transport=httpx.MockTransport(Vendor(status=200, body=body).handle))

    seen = await boards(harness, TwelveData(client, harness.clock, KEY))

    assert "Twelve Data rejects its API key" in seen[EDITOR]


@pytest.mark.parametrize("status", [404, 429, 500])
async def test_any_other_failure_is_not_about_the_key(harness: Harness, status: int) -> None:
    client = HttpClient(transport=httpx.MockTransport(Vendor(status=status).handle))

    assert "rejects its API key" not in (await boards(harness, Tiingo(client, harness.clock, KEY)))[EDITOR]


async def test_a_board_of_coins_names_the_key_that_a_rule_on_a_fund_needs(harness: Harness) -> None:
    """The vendor of shares is not asked about the pair of the board, only about that of the rule."""
    client = HttpClient(transport=httpx.MockTransport(Vendor().handle))
    coins = Pair(etf=Symbol("ETH"), crypto=Symbol("BTC"))
    commands = commands_with(harness, [Tiingo(client, harness.clock, KEY)], coins)
    commands.permissions = Permissions(people=(EDITOR,))
    await commands.add_rule(CHANNEL, "5d 15pp on WGMI/BTC", EDITOR)

    board = shown(board_message(await commands.board(CHANNEL, EDITOR), harness.clock.at))

    assert "Tiingo rejects its API key" in board
    assert "`MINERPULSE_TIINGO_KEY`" in board
