from collections.abc import AsyncIterator
from datetime import timedelta

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from handlers.send_deadline import DeadlineConnector, send_before
from services.core.errors import SendDeadlineError
from tests.fakes.clock import SetClock
from tests.fakes.slack import TOKEN, FakeSlack

SECOND = timedelta(seconds=1)


@pytest.fixture
async def client(slack: FakeSlack, clock: SetClock) -> AsyncIterator[AsyncWebClient]:
    async with aiohttp.ClientSession(connector=DeadlineConnector(clock)) as session:
        yield AsyncWebClient(token=TOKEN, base_url=f"{slack.url}api/", session=session)


@pytest.mark.parametrize("connected", [False, True], ids=["over a new connection", "over one that stands"])
async def test_a_late_request_sends_no_byte(
    client: AsyncWebClient, slack: FakeSlack, clock: SetClock, *, connected: bool
) -> None:
    if connected:
        await client.auth_test()
    before, deadline = len(slack.calls), clock.now()
    clock.advance(SECOND)

    with send_before(deadline), pytest.raises(SendDeadlineError):
        await client.auth_test()

    assert before == len(slack.calls)


async def test_a_timely_request_is_sent_and_the_deadline_ends_with_it(
    client: AsyncWebClient, slack: FakeSlack, clock: SetClock
) -> None:
    with send_before(clock.now()):
        await client.auth_test()
    clock.advance(SECOND)
    await client.auth_test()

    assert 2 == len(slack.calls)
