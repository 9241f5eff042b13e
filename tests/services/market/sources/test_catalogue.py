from dataclasses import fields
from datetime import date

import pytest

from services.core.errors import InvalidSettingsError
from services.core.prices import WGMI_BTC
from services.market.ports import CryptoSource, EquitySource, NetworkSource
from services.market.sources.catalogue import CRYPTO, EQUITY, NETWORK, SOURCES, Source, build_source
from services.market.sources.http.client import HttpClient
from tests.fakes.clock import SetClock
from tests.services.market.sources.conftest import RESPONSES, FakeServer, Reply

KEYS = {name: "k-1" for row in SOURCES for name in row.keys}


def build_all(row: Source, client: HttpClient, clock: SetClock) -> list[EquitySource | CryptoSource | NetworkSource]:
    sources: list[EquitySource | CryptoSource | NetworkSource] = []
    if row.equity:
        sources.append(build_source(EQUITY, row.name, client, clock, keys=KEYS))
    if row.crypto:
        sources.append(build_source(CRYPTO, row.name, client, clock, keys=KEYS))
    if row.network:
        sources.append(build_source(NETWORK, row.name, client, clock))
    return sources


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in SOURCES])
def test_each_row_builds_its_sources(row: Source, client: HttpClient, clock: SetClock) -> None:
    sources = build_all(row, client, clock)

    assert len(sources) == len(row.legs)
    assert {row.title} == {source.name for source in sources}
    assert {row.name == "simulated"} == {source.simulated for source in sources}


@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in SOURCES])
def test_each_row_is_complete(row: Source) -> None:
    texts = [getattr(row, field.name) for field in fields(row) if field.name in ("about", "delay", "limits", "terms")]

    assert all(text and not text.endswith(".") for text in texts)
    assert bool(row.base_url) == row.terms_url.startswith("https://")


def test_names_are_unique() -> None:
    assert len(SOURCES) == len({row.name for row in SOURCES})


def test_legs_are_described() -> None:
    serves = {row.name: row.serves for row in SOURCES}

    assert ("ETF", "bitcoin", "network") == (serves["yahoo"], serves["coinbase"], serves["mempool"])
    assert ("ETF and bitcoin", "ETF, bitcoin and network") == (serves["alpaca"], serves["simulated"])


async def test_the_base_url_can_be_replaced(client: HttpClient, server: FakeServer, clock: SetClock) -> None:
    server.respond_with(Reply(200, (RESPONSES / "coinbase_ticker.json").read_bytes()))
    source = build_source(CRYPTO, "coinbase", client, clock, base_url="http://127.0.0.1:9/")

    assert await source.quote(WGMI_BTC.crypto)

    assert str(server.requests[0].url) == "http://127.0.0.1:9/products/BTC-USD/ticker"


async def test_each_seed_has_its_own_market(client: HttpClient, clock: SetClock) -> None:
    first, again, other = (build_source(CRYPTO, "simulated", client, clock, seed=seed) for seed in (5, 5, 6))

    assert await first.quote(WGMI_BTC.crypto) == await again.quote(WGMI_BTC.crypto)
    assert await first.quote(WGMI_BTC.crypto) != await other.quote(WGMI_BTC.crypto)


def test_an_unknown_name_lists_the_choices(client: HttpClient, clock: SetClock) -> None:
    with pytest.raises(InvalidSettingsError, match=r"“stooq” isn't an ETF source; choose one of yahoo, .*simulated"):
        build_source(EQUITY, "stooq", client, clock)
    with pytest.raises(
        InvalidSettingsError, match=r"“yahoo” isn't a bitcoin source; choose one of .*coinbase, .*simulated"
    ):
        build_source(CRYPTO, "yahoo", client, clock)
    with pytest.raises(
        InvalidSettingsError, match="“kraken” isn't a bitcoin network source; choose one of mempool, block"
    ):
        build_source(NETWORK, "kraken", client, clock)


@pytest.mark.parametrize(
    ("key", "message"),
    [
        pytest.param("", "Tiingo needs a key: set tiingo_key, or choose another source", id="none"),
        pytest.param("  ", "Tiingo needs a key", id="blank"),
        pytest.param("hush\nhush", "tiingo_key doesn't look like a Tiingo key: copy it again", id="two-lines"),
        pytest.param("hush hush", "doesn't look like a", id="two-words"),
        pytest.param("hüsh", "doesn't look like a", id="a-letter-no-key-has"),
    ],
)
def test_an_invalid_key_is_rejected_without_quoting_it(
    client: HttpClient, clock: SetClock, key: str, message: str
) -> None:
    with pytest.raises(InvalidSettingsError, match=message) as caught:
        build_source(EQUITY, "tiingo", client, clock, keys={"tiingo_key": key})

    assert "hush" not in str(caught.value)


async def test_a_key_is_stripped(client: HttpClient, server: FakeServer, clock: SetClock) -> None:
    server.respond_with(Reply(200, b"[]"))

    tiingo = build_source(EQUITY, "tiingo", client, clock, keys={"tiingo_key": " hush\n"})
    await tiingo.prices(WGMI_BTC.etf, date(2026, 1, 2))

    assert "Token hush" == server.requests[0].headers["Authorization"]


async def test_alpacas_two_keys_are_sent_in_the_right_headers(
    client: HttpClient, server: FakeServer, clock: SetClock
) -> None:
    server.respond_with(Reply(200, b'{"trades": {}}'))
    keys = {"alpaca_secret_key": "secret", "alpaca_key_id": "id"}

    assert await build_source(CRYPTO, "alpaca", client, clock, keys=keys).quote(WGMI_BTC.crypto) is None

    headers = server.requests[0].headers
    assert ("id", "secret") == (headers["APCA-API-KEY-ID"], headers["APCA-API-SECRET-KEY"])
