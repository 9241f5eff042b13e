from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from handlers.send_deadline import LastLookConnector, sent_by
from services.core.errors import SendDeadlineError
from tests.fakes.clock import SetClock
from tests.fakes.slack import TOKEN, SlackServer

SECOND = timedelta(seconds=1)


@pytest.fixture
async def client(slack: SlackServer, clock: SetClock) -> AsyncIterator[AsyncWebClient]:
    async with aiohttp.ClientSession(connector=LastLookConnector(clock)) as session:
        yield AsyncWebClient(token=TOKEN, base_url=f"{slack.url}api/", session=session)


@pytest.mark.parametrize("connected", [False, True], ids=["over a new connection", "over one that stands"])
async def test_what_is_late_sends_no_byte(
    client: AsyncWebClient, slack: SlackServer, clock: SetClock, *, connected: bool
) -> None:
    if connected:
        await client.auth_test()
    before, moment = len(slack.calls), clock.now()
    clock.advance(SECOND)

    with sent_by(moment), pytest.raises(SendDeadlineError):
        await client.auth_test()

    assert before == len(slack.calls)


async def test_what_is_in_time_is_sent_and_nothing_is_late_afterwards(
    client: AsyncWebClient, slack: SlackServer, clock: SetClock
) -> None:
    with sent_by(clock.now()):
        await client.auth_test()
    clock.advance(SECOND)
    await client.auth_test()

    assert 2 == len(slack.calls)
