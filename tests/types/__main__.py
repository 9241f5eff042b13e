"""`make types`: writes every golden message, and every call of a recorded conversation, as TypeScript for `tsc`."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
from slack_bolt.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from handlers import listeners
from handlers.notifier import SlackNotifier
from services.delivery.outbox import Outbox
from tests.fakes.harness import OPEN, open_harness
from tests.fakes.slack import RESPONSES, SECRET, TOKEN, Call, Person, slack_server

HERE = Path(__file__).parent
GOLDEN = HERE.parent / "golden"
WRITTEN = HERE / "build" / "payloads.ts"
HEAD = """import type { AnyBlock, HomeView, ModalView } from "@slack/types";
import type { ChatPostMessageArguments, ChatUpdateArguments } from "@slack/web-api";

type Message = { text: string; blocks?: AnyBlock[] };
"""
VIEWS = {"home": "HomeView", "modal": "ModalView"}
ARGUMENTS = {"chat.postMessage": "ChatPostMessageArguments", "chat.update": "ChatUpdateArguments"}
ANYWHERE = "team_id"  # which Bolt has slack_sdk send with every call, for tokens of whole organizations
UNTYPED = frozenset({"data_visualization"})  # blocks that Slack has and @slack/types has not yet
TYPED = ("help", "", "rules", "rule add 5d 12pp above", "rule add", "history", "why", "rule remove 1", "nonsense")


def main() -> None:
    """Write the file; whatever is in the way of a proxy would be asked for Slack on this machine."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        os.environ.pop(name, None)
    WRITTEN.parent.mkdir(exist_ok=True)
    lines = [*goldens(), *recorded(asyncio.run(conversation()))]
    WRITTEN.write_text("\n".join([HEAD, *lines, ""]), encoding="utf-8")
    print(f"{len(lines)} messages and calls are held against Slack's own types.")  # noqa: T201 -- a script


def goldens() -> Iterator[str]:
    """Write every golden file, be it a message, a modal or the Home tab."""
    for path in sorted(GOLDEN.glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        kind = VIEWS.get(document.get("type"), "Message")
        yield f"export const golden_{path.stem}: {kind} = {_literal(document)};"


def recorded(calls: list[Call]) -> Iterator[str]:
    """Write every call that shows something; its message once more by itself, as web-api takes anything for a block."""
    for number, call in enumerate(calls):
        if call.method in ARGUMENTS:
            given = {name: value for name, value in call.arguments.items() if name != ANYWHERE}
            yield f"export const call_{number}: {ARGUMENTS[call.method]} = {_literal(given)};"
        if call.method in {*ARGUMENTS, RESPONSES}:
            yield f"export const message_{number}: Message = {_literal(call.message)};"


async def conversation() -> list[Call]:
    """Let a person type and press what there is, while an alert fires and ends."""
    async with slack_server() as slack, open_harness() as harness, aiohttp.ClientSession() as session:
        client = AsyncWebClient(token=TOKEN, base_url=f"{slack.url}api/", session=session)
        app = AsyncApp(client=client, signing_secret=SECRET, process_before_response=True)
        person = Person(
            server=slack, app=app, tasks=listeners.register(app, harness.commands, harness.research, harness.clock)
        )
        outbox = Outbox(store=harness.store, notifier=SlackNotifier(client, harness.clock), clock=harness.clock)
        await person.presses("start", "board")
        at = await harness.ticks(OPEN + timedelta(minutes=5), [0.09, 0.10])
        await outbox.deliver(at)
        for action, value in (("acknowledge", "1"), ("unacknowledge", "1"), ("resolve", "1")):
            await person.presses(action, value)
            await outbox.deliver(harness.clock.now())
        await person.chooses("snooze", "1:1h")
        for text in TYPED:
            await person.types(text)
        await outbox.deliver(harness.clock.now())
        if slack.malformed:
            raise AssertionError(slack.malformed)
        return slack.accepted


def _literal(value: Any) -> str:  # noqa: ANN401 -- any JSON
    return json.dumps(_known(value), ensure_ascii=False)


def _known(value: Any) -> Any:  # noqa: ANN401 -- any JSON
    """Leave out blocks that the types do not know; the strict reader of the tests knows them."""
    if isinstance(value, dict):
        return {key: _known(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_known(one) for one in value if not (isinstance(one, dict) and one.get("type") in UNTYPED)]
    return value


if __name__ == "__main__":
    main()
