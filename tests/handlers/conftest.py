import json
import os
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from handlers import listeners
from handlers.render.message import Message
from handlers.slack_notifier import SlackNotifier
from services.delivery.outbox import Outbox
from tests.fakes.blockkit import checked, view_problems
from tests.fakes.clock import SetClock
from tests.fakes.harness import Harness, open_harness
from tests.fakes.slack import TOKEN, FakeSlack, Person, bolt_app

Golden = Callable[[str, Message], None]
GoldenView = Callable[[str, dict[str, Any]], None]

GOLDEN = Path(__file__).parents[1] / "golden"
REGENERATE = "GOLDEN"  # set to `write` to regenerate the golden files


@pytest.fixture
def clock() -> SetClock:
    """10:40 in New York, in an open session."""
    return SetClock(datetime(2026, 11, 17, 15, 40, tzinfo=UTC))


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    """The real services, ten minutes before the open of Wednesday 4 March 2026, without rules."""
    async with open_harness() as harness:
        yield harness


@pytest.fixture
def client(slack: FakeSlack) -> AsyncWebClient:
    return AsyncWebClient(token=TOKEN, base_url=f"{slack.url}api/")


@pytest.fixture
def outbox(client: AsyncWebClient, harness: Harness) -> Outbox:
    return Outbox(store=harness.store, notifier=SlackNotifier(client, harness.clock), clock=harness.clock)


async def reply_to(person: Person, text: str) -> str:
    """Type /minerpulse and `text`; return everything that the last reply says."""
    await person.types(text)
    return str(person.server.responses[-1]["shown"])


@pytest.fixture
async def person(slack: FakeSlack, harness: Harness) -> AsyncIterator[Person]:
    """A person in the channel C1 of a running app, with one HTTP session as in production."""
    async with aiohttp.ClientSession() as session:
        client = AsyncWebClient(token=TOKEN, base_url=f"{slack.url}api/", session=session)
        app = bolt_app(client)
        yield Person(
            server=slack, app=app, tasks=listeners.register(app, harness.commands, harness.research, harness.clock)
        )


@pytest.fixture
def golden() -> Golden:
    """Compare a message with its golden file."""

    def compare(name: str, message: Message) -> None:
        _compare(name, checked({"text": message.text, "blocks": message.blocks}))

    return compare


@pytest.fixture
def golden_view() -> GoldenView:
    """Compare a modal or a Home tab with its golden file."""

    def compare(name: str, view: dict[str, Any]) -> None:
        assert [] == view_problems(view)
        _compare(name, view)

    return compare


def _compare(name: str, shown: dict[str, Any]) -> None:
    path = GOLDEN / f"{name}.json"
    if os.environ.get(REGENERATE) == "write":
        path.write_text(json.dumps(shown, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    assert json.loads(path.read_text(encoding="utf-8")) == shown
