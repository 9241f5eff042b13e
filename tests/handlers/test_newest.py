from __future__ import annotations

import asyncio
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from handlers.render.message import text_message
from handlers.render.rule_form import result_modal
from handlers.view_updates import MOST_FORMS, ViewUpdates
from tests.fakes.slack import TOKEN, SlackServer


def view(words: str) -> dict[str, Any]:
    return result_modal(text_message(words))


async def made(words: str, once: asyncio.Event | None = None) -> dict[str, Any]:
    """A view that is ready at once, or once something has happened."""
    if once is not None:
        await once.wait()
    return view(words)


async def test_what_was_asked_for_earlier_and_is_ready_later_is_not_shown(slack: SlackServer) -> None:
    client, newest, ready = AsyncWebClient(token=TOKEN, base_url=f"{slack.url}api/"), ViewUpdates(), asyncio.Event()
    old = asyncio.create_task(newest.show(client, "V1", "h", made("old", ready)))
    await asyncio.wait({old}, timeout=0)
    await newest.show(client, "V1", "h", made("new"))
    ready.set()
    await old
    assert [view("new")] == slack.shown()


async def test_forms_do_not_hold_up_each_other(slack: SlackServer) -> None:
    client, newest, ready = AsyncWebClient(token=TOKEN, base_url=f"{slack.url}api/"), ViewUpdates(), asyncio.Event()
    waiting = asyncio.create_task(newest.show(client, "V1", "h", made("mine", ready)))
    await newest.show(client, "V2", "h", made("yours"))
    ready.set()
    await waiting
    assert [view("yours"), view("mine")] == slack.shown()


async def test_forms_that_were_open_long_ago_are_forgotten(slack: SlackServer) -> None:
    client, newest = AsyncWebClient(token=TOKEN, base_url=f"{slack.url}api/"), ViewUpdates()
    for number in range(MOST_FORMS + 5):
        newest._form(f"V{number}")  # noqa: SLF001 -- what a day of typing leaves behind
    await newest.show(client, "V0", "h", made("still shown"))
    assert MOST_FORMS == len(newest._forms)  # noqa: SLF001
    assert [view("still shown")] == slack.shown()
