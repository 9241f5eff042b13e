"""A source that refuses its API key is named on the board to editors, until it accepts one."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import httpx
import pytest

from handlers.render.board import board_message
from services.channels.commands import ChannelCommands
from services.channels.permissions import Permissions
from services.market.price_history import PriceHistory
from services.market.sources.http.client import HttpClient
from services.market.sources.vendors.tiingo import Tiingo
from services.market.sources.vendors.twelvedata import TwelveData
from services.rules.market_service import MarketService
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


async def boards(harness: Harness, *sources: Tiingo | TwelveData) -> dict[str | None, str]:
    """Return the board as an editor, a member, and everyone in the channel sees it."""
    history = PriceHistory([harness.vendors.yahoo(), *sources], [harness.vendors.coinbase()], harness.store)
    commands = ChannelCommands(
        store=harness.store, market=MarketService(history), clock=harness.clock, nudge=lambda: None
    )
    commands.permissions = Permissions(people=(EDITOR,))
    return {
        reader: board_message(await commands.board(CHANNEL, reader), harness.clock.at).text
        for reader in (EDITOR, MEMBER, None)
    }


@pytest.mark.parametrize("status", [401, 403])
async def test_editors_see_which_key_is_refused_and_where_to_set_it(harness: Harness, status: int) -> None:
    client = HttpClient(transport=httpx.MockTransport(Vendor(status=status).handle))

    seen = await boards(harness, Tiingo(client, harness.clock, KEY))

    line = "*Source*: Tiingo refuses its API key; it may be wrong or expired. Whoever runs MinerPulse can set a new one"
    assert [True, False, False] == [f"{line} in `MINERPULSE_TIINGO_KEY`." in text for text in seen.values()]
    assert KEY not in "".join(seen.values())


async def test_a_refusal_in_the_body_of_an_answer_counts(harness: Harness) -> None:
    body: dict[str, object] = {"status": "error", "code": 401, "message": "apikey is incorrect or expired"}
    client = HttpClient(transport=httpx.MockTransport(Vendor(status=200, body=body).handle))

    seen = await boards(harness, TwelveData(client, harness.clock, KEY))

    assert "Twelve Data refuses its API key" in seen[EDITOR]


@pytest.mark.parametrize("status", [404, 429, 500])
async def test_any_other_failure_is_not_about_the_key(harness: Harness, status: int) -> None:
    client = HttpClient(transport=httpx.MockTransport(Vendor(status=status).handle))

    assert "refuses its API key" not in (await boards(harness, Tiingo(client, harness.clock, KEY)))[EDITOR]
