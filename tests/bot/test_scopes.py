from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.scopes import KNOWN_FOR, GrantsOfToken
from services.core.errors import DeliveryError
from tests.fakes.clock import SetClock
from tests.fakes.slack import TOKEN, Fault, SlackServer, refused, serving

AUTH = "auth.test"


def answering(scopes: str) -> Fault:
    return Fault(body=json.dumps({"ok": True}), headers={"x-oauth-scopes": scopes})


@pytest.fixture
async def slack() -> AsyncIterator[SlackServer]:
    async with serving() as server:
        yield server


@pytest.fixture
def clock() -> SetClock:
    return SetClock(datetime(2026, 3, 4, 15, tzinfo=UTC))


@pytest.fixture
def grants(slack: SlackServer, clock: SetClock) -> GrantsOfToken:
    return GrantsOfToken(AsyncWebClient(token=TOKEN, base_url=f"{slack.url}api/"), clock)


async def test_the_scopes_of_the_token_are_asked_once(slack: SlackServer, grants: GrantsOfToken) -> None:
    slack.fail(AUTH, answering("commands, chat:write,files:write"))
    assert {"commands", "chat:write", "files:write"} == await grants.scopes("T1") == await grants.scopes("T1")
    assert 1 == len(slack.calls)


async def test_a_scope_that_is_added_later_is_noticed(
    slack: SlackServer, grants: GrantsOfToken, clock: SetClock
) -> None:
    slack.fail(AUTH, answering("commands"), answering("commands,files:write"))
    assert "files:write" not in await grants.scopes("T1")
    clock.advance(KNOWN_FOR + timedelta(seconds=1))
    assert "files:write" in await grants.scopes("T1")


async def test_a_token_that_is_refused_says_so(slack: SlackServer, grants: GrantsOfToken) -> None:
    slack.fail(AUTH, refused("token_revoked"))
    with pytest.raises(DeliveryError, match="token_revoked"):
        await grants.scopes("T1")
