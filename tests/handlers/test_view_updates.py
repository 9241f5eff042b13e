import asyncio
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from handlers.render.form_fields import result_modal
from handlers.render.message import text_message
from handlers.view_updates import MAX_OPEN_VIEWS, ViewUpdates
from tests.fakes.slack import FakeSlack


def view(text: str) -> dict[str, Any]:
    return result_modal(text_message(text))


async def make_view(text: str, event: asyncio.Event | None = None) -> dict[str, Any]:
    """Return a view, at once or after an event."""
    if event is not None:
        await event.wait()
    return view(text)


async def test_an_outdated_result_is_not_shown(client: AsyncWebClient, slack: FakeSlack) -> None:
    view_updates, ready = ViewUpdates(), asyncio.Event()
    old = asyncio.create_task(view_updates.update(client, "V1", "h", make_view("old", ready)))
    await asyncio.wait({old}, timeout=0)
    await view_updates.update(client, "V1", "h", make_view("new"))
    ready.set()
    await old
    assert [view("new")] == slack.views()


async def test_views_do_not_block_each_other(client: AsyncWebClient, slack: FakeSlack) -> None:
    view_updates, ready = ViewUpdates(), asyncio.Event()
    waiting = asyncio.create_task(view_updates.update(client, "V1", "h", make_view("mine", ready)))
    await view_updates.update(client, "V2", "h", make_view("yours"))
    ready.set()
    await waiting
    assert [view("yours"), view("mine")] == slack.views()


async def test_the_least_recently_used_views_are_dropped(client: AsyncWebClient, slack: FakeSlack) -> None:
    view_updates, ready = ViewUpdates(), asyncio.Event()
    pending = [
        asyncio.create_task(view_updates.update(client, f"V{number}", "h", make_view("abandoned", ready)))
        for number in range(MAX_OPEN_VIEWS + 5)
    ]
    await asyncio.wait(pending, timeout=0)
    assert MAX_OPEN_VIEWS == len(view_updates._views)  # noqa: SLF001
    await view_updates.update(client, "V0", "h", make_view("still shown"))
    assert [view("still shown")] == slack.views()
    for task in pending:
        task.cancel()
