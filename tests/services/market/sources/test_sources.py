from __future__ import annotations

from dataclasses import fields
from datetime import date

import pytest

from services.core.errors import ConfigurationError
from services.core.prices import WGMI_BTC
from services.market.ports import CryptoSource, EquitySource, NetworkSource
from services.market.sources.catalogue import SOURCES, Source, build_crypto, build_equity, build_network
from services.market.sources.http.client import HttpClient
from tests.fakes.clock import SetClock
from tests.services.market.sources.conftest import RESPONSES, Line, Reply

KEYS = {name: "k-1" for row in SOURCES for name in row.keys}


def built(row: Source, client: HttpClient, clock: SetClock) -> list[EquitySource | CryptoSource | NetworkSource]:
    made: list[EquitySource | CryptoSource | NetworkSource] = []
    if row.equity:
        made.append(build_equity(row.name, client, clock, keys=KEYS))
    if row.crypto:
        made.append(build_crypto(row.name, client, clock, keys=KEYS))
    if row.network:
        made.append(build_network(row.name, client, clock))
    return made


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in SOURCES])
def test_each_row_makes_what_it_says(row: Source, client: HttpClient, clock: SetClock) -> None:
    sources = built(row, client, clock)

    assert len(sources) == len(row.legs)
    assert {row.title} == {source.name for source in sources}
    assert {row.name == "simulated"} == {source.simulated for source in sources}


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in SOURCES])
def test_each_row_is_filled_in(row: Source) -> None:
    texts = [getattr(row, field.name) for field in fields(row) if field.name in ("about", "delay", "limits", "terms")]

    assert all(text and not text.endswith(".") for text in texts)
    assert bool(row.base_url) == row.terms_url.startswith("https://")


def test_names_are_unique() -> None:
    assert len(SOURCES) == len({row.name for row in SOURCES})


def test_legs_are_told_in_words() -> None:
    serves = {row.name: row.serves for row in SOURCES}

    assert ("ETF", "bitcoin", "network") == (serves["yahoo"], serves["coinbase"], serves["mempool"])
    assert ("ETF and bitcoin", "ETF, bitcoin and network") == (serves["alpaca"], serves["simulated"])


async def test_a_source_can_be_pointed_at_another_address(client: HttpClient, line: Line, clock: SetClock) -> None:
    line.answers(Reply(200, (RESPONSES / "coinbase_ticker.json").read_bytes()))
    source = build_crypto("coinbase", client, clock, base_url="http://127.0.0.1:9/")

    assert await source.quote(WGMI_BTC.crypto)

    assert str(line.requests[0].url) == "http://127.0.0.1:9/products/BTC-USD/ticker"


async def test_a_seed_draws_its_own_market(client: HttpClient, clock: SetClock) -> None:
    first, again, other = (build_crypto("simulated", client, clock, seed=seed) for seed in (5, 5, 6))

    assert await first.quote(WGMI_BTC.crypto) == await again.quote(WGMI_BTC.crypto)
    assert await first.quote(WGMI_BTC.crypto) != await other.quote(WGMI_BTC.crypto)


def test_an_unknown_name_is_told_with_the_choice(client: HttpClient, clock: SetClock) -> None:
    with pytest.raises(ConfigurationError, match=r"“stooq” is not an ETF source; choose yahoo or .*simulated"):
        build_equity("stooq", client, clock)
    with pytest.raises(ConfigurationError, match=r"“yahoo” is not a bitcoin source; choose .*coinbase or .*simulated"):
        build_crypto("yahoo", client, clock)
    with pytest.raises(
        ConfigurationError, match="“kraken” is not a source of the bitcoin network; choose mempool or block"
    ):
        build_network("kraken", client, clock)


@pytest.mark.parametrize(
    ("key", "words"),
    [
        pytest.param("", "Tiingo wants a key: set tiingo_key, or choose another source", id="none"),
        pytest.param("  ", "Tiingo wants a key", id="blank"),
        pytest.param("hush\nhush", "tiingo_key does not look like a key of Tiingo: copy it again", id="two-lines"),
        pytest.param("hush hush", "does not look like a key", id="two-words"),
        pytest.param("hüsh", "does not look like a key", id="a-letter-no-key-has"),
    ],
)
def test_a_key_that_cannot_be_sent_is_told_and_not_quoted(
    client: HttpClient, clock: SetClock, key: str, words: str
) -> None:
    with pytest.raises(ConfigurationError, match=words) as caught:
        build_equity("tiingo", client, clock, keys={"tiingo_key": key})

    assert "hush" not in str(caught.value)


async def test_a_key_is_sent_without_the_space_around_it(client: HttpClient, line: Line, clock: SetClock) -> None:
    line.answers(Reply(200, b"[]"))

    await build_equity("tiingo", client, clock, keys={"tiingo_key": " hush\n"}).prices(WGMI_BTC.etf, date(2026, 1, 2))

    assert "Token hush" == line.requests[0].headers["Authorization"]


async def test_alpacas_two_keys_go_where_they_belong(client: HttpClient, line: Line, clock: SetClock) -> None:
    line.answers(Reply(200, b'{"trades": {}}'))
    keys = {"alpaca_secret_key": "secret", "alpaca_key_id": "id"}

    assert await build_crypto("alpaca", client, clock, keys=keys).quote(WGMI_BTC.crypto) is None

    headers = line.requests[0].headers
    assert ("id", "secret") == (headers["APCA-API-KEY-ID"], headers["APCA-API-SECRET-KEY"])
