"""`minerpulse keys` draws keys, and seals what is stored with the newest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from services.core.errors import StoreError
from services.core.installation import Installation
from services.storage import SqlStore, new_key
from tests.bot.conftest import Ran
from tests.fakes.alerts import AT

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
    store = await SqlStore.open(URL)
    await store.installations([key]).save(ACME)
    await store.aclose()


async def find(key: str) -> Installation | None:
    store = await SqlStore.open(URL)
    try:
        return await store.installations([key]).find("T1")
    finally:
        await store.aclose()


def test_a_new_key_can_be_used_and_is_never_the_same(minerpulse: Callable[..., Ran]) -> None:
    first, second = [minerpulse("keys", "new").out.strip() for _ in range(2)]
    asyncio.run(save(first))

    assert ACME == asyncio.run(find(first))
    assert first != second


def test_after_a_rotation_the_old_key_opens_nothing_and_the_new_one_all(
    minerpulse: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    old, new = new_key(), new_key()
    asyncio.run(save(old))
    for name, value in (("SLACK_CLIENT_ID", "1.2"), ("SLACK_CLIENT_SECRET", "a"), ("SLACK_SIGNING_SECRET", "b")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MINERPULSE_TOKEN_KEYS", f"{new},{old}")

    ran = minerpulse("keys", "rotate")

    assert (0, "1 installation sealed with the first key.\n", "") == ran
    assert ACME == asyncio.run(find(new))
    with pytest.raises(StoreError, match="opens with none of the keys"):
        asyncio.run(find(old))


def test_without_keys_there_is_nothing_to_rotate(minerpulse: Callable[..., Ran]) -> None:
    ran = minerpulse("keys", "rotate")
    assert (2, "") == (ran.code, ran.out)
    assert "MINERPULSE_TOKEN_KEYS is not set; put a new key before the old one" in ran.err
