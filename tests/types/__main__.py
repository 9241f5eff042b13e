"""Write golden messages, the calls of a recorded conversation and the dashboard as TypeScript: `make types`."""

import asyncio
import json
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from handlers import listeners
from handlers.slack_notifier import SlackNotifier
from services.delivery.outbox import Outbox
from tests.fakes.harness import OPEN, open_harness
from tests.fakes.slack import RESPONSES, TOKEN, Call, Person, bolt_app, slack_server

HERE = Path(__file__).parent
GOLDEN = HERE.parent / "golden"
OUTPUT = HERE / "build" / "payloads.ts"
DASHBOARD = HERE.parents[1] / "deploy" / "grafana" / "minerpulse.json"
DASHBOARD_OUTPUT = HERE / "build" / "dashboard.ts"
DASHBOARD_HEAD = 'import type { Plain } from "../plain.js";\nimport type { Dashboard } from "@grafana/schema";\n'
HEAD = """import type { AnyBlock, HomeView, ModalView } from "@slack/types";
import type { ChatPostMessageArguments, ChatUpdateArguments } from "@slack/web-api";

type Message = { text: string; blocks?: AnyBlock[] };
"""
VIEWS = {"home": "HomeView", "modal": "ModalView"}
ARGUMENTS = {"chat.postMessage": "ChatPostMessageArguments", "chat.update": "ChatUpdateArguments"}
IGNORED = {"team_id", "shown"}  # Bolt sends the first with every call; the fake server adds the second for tests
UNTYPED = frozenset({"data_visualization"})  # blocks that @slack/types doesn't have yet
COMMANDS = ("help", "", "rules", "rule add 5d 12pp above", "rule add", "history", "why", "rule remove 1", "nonsense")


def main() -> None:
    """Write the file; proxies are unset, because Slack is on this machine."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        os.environ.pop(name, None)
    OUTPUT.parent.mkdir(exist_ok=True)
    lines = [*golden_lines(), *call_lines(asyncio.run(conversation()))]
    OUTPUT.write_text("\n".join([HEAD, *lines, ""]), encoding="utf-8")
    dashboard = DASHBOARD.read_text(encoding="utf-8")
    DASHBOARD_OUTPUT.write_text(f"{DASHBOARD_HEAD}export const dashboard: Plain<Dashboard> = {dashboard};\n", "utf-8")
    print(f"{len(lines)} messages and calls are checked against Slack's types, and a dashboard against Grafana's.")  # noqa: T201 -- a script


def golden_lines() -> Iterator[str]:
    """Yield a line for every golden file: a message, a modal or the Home tab."""
    for path in sorted(GOLDEN.glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        kind = VIEWS.get(document.get("type"), "Message")
        yield f"export const golden_{path.stem}: {kind} = {_literal(document)};"


def call_lines(calls: list[Call]) -> Iterator[str]:
    """Yield lines for every call with a message, and for the message alone, because web-api accepts any block."""
    for number, call in enumerate(calls):
        if call.method in ARGUMENTS:
            arguments = {name: value for name, value in call.arguments.items() if name not in IGNORED}
            yield f"export const call_{number}: {ARGUMENTS[call.method]} = {_literal(arguments)};"
        if call.method in {*ARGUMENTS, RESPONSES}:
            yield f"export const message_{number}: Message = {_literal(call.message)};"


async def conversation() -> list[Call]:
    """Return the calls while a person uses all commands and buttons, and an alert fires and is resolved."""
    async with slack_server() as slack, open_harness() as harness, aiohttp.ClientSession() as session:
        client = AsyncWebClient(token=TOKEN, base_url=f"{slack.url}api/", session=session)
        app = bolt_app(client)
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
        for text in COMMANDS:
            await person.types(text)
        await outbox.deliver(harness.clock.now())
        if slack.malformed:
            raise AssertionError(slack.malformed)
        return slack.accepted


def _literal(value: Any) -> str:  # noqa: ANN401 -- any JSON
    return json.dumps(_without_untyped(value), ensure_ascii=False)


def _without_untyped(value: Any) -> Any:  # noqa: ANN401 -- any JSON
    """Drop blocks that the types don't have; tests/fakes/blockkit checks them."""
    if isinstance(value, dict):
        return {key: _without_untyped(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_untyped(one) for one in value if not (isinstance(one, dict) and one.get("type") in UNTYPED)]
    return value


if __name__ == "__main__":
    main()
