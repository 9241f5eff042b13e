"""`minerpulse keys` generates keys, and re-encrypts stored tokens with the newest."""

import asyncio
from contextlib import aclosing

import pytest

from bot.clock import SystemClock
from services.core.errors import DatabaseUnavailableError
from services.core.installation import Installation
from services.delivery.sinks.config import SinkConfig
from services.storage import SqlStore, generate_key
from tests.bot.conftest import RunCli
from tests.fakes.alerts import AT

DESK = SinkConfig(name="desk", type="pagerduty", options={}, secret="R0123456789ABCDEF0123456789ABCDE")
URL = "sqlite:///minerpulse.db"
ACME = Installation(
    home="T1",
    enterprise=None,
    name="Acme",
    bot_token="xoxb-acme",
    bot_user="UBOT",
    scopes=("commands",),
    installed_by="U1",
    installed_at=AT,
)


async def save(key: str) -> None:
    async with aclosing(await SqlStore.open(URL)) as store:
        await store.installations([key]).save(ACME)


async def find(key: str) -> Installation | None:
    async with aclosing(await SqlStore.open(URL)) as store:
        return await store.installations([key]).find("T1")


async def save_sink(key: str) -> None:
    async with aclosing(await SqlStore.open(URL)) as store:
        await store.sinks([key], SystemClock()).save_sink("T1", DESK)


async def find_sink(key: str) -> SinkConfig | None:
    async with aclosing(await SqlStore.open(URL)) as store:
        return await store.sinks([key], SystemClock()).find_sink("T1", DESK.name, None)


def test_each_new_key_is_valid_and_unique(minerpulse: RunCli) -> None:
    first, second = [minerpulse("keys", "new").out.strip() for _ in range(2)]
    asyncio.run(save(first))

    assert ACME == asyncio.run(find(first))
    assert first != second


def test_after_a_rotation_only_the_new_key_decrypts(minerpulse: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = generate_key(), generate_key()
    asyncio.run(save(old))
    asyncio.run(save_sink(old))
    for name, value in (("SLACK_CLIENT_ID", "1.2"), ("SLACK_CLIENT_SECRET", "a"), ("SLACK_SIGNING_SECRET", "b")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MINERPULSE_TOKEN_KEYS", f"{new},{old}")

    result = minerpulse("keys", "rotate")

    assert (0, "Encrypted 1 installation and 1 sink configuration with the first key.\n", "") == result
    assert (ACME, DESK) == (asyncio.run(find(new)), asyncio.run(find_sink(new)))
    for read in (find, find_sink):
        with pytest.raises(DatabaseUnavailableError, match="can't be decrypted with any key"):
            asyncio.run(read(old))


def test_rotating_without_keys_is_an_error(minerpulse: RunCli) -> None:
    result = minerpulse("keys", "rotate")
    assert (2, "") == (result.code, result.out)
    assert "MINERPULSE_TOKEN_KEYS isn't set. Put the new key before the old one" in result.err
