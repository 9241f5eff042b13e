"""What a trader gets to see in a channel, from the real services: replies to commands, forms and Home."""

import json
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any

import aiohttp
from slack_bolt import BoltResponse
from slack_sdk.web.async_client import AsyncWebClient

from handlers import listeners
from handlers.slack_notifier import SlackNotifier
from services.delivery.outbox import Outbox
from tests.fakes.harness import OPEN, open_harness
from tests.fakes.slack import RESPONSES, TOKEN, VIEWS, Call, FakeSlack, Person, bolt_app, slack_server

TYPED = {  # by the name of the surface
    "help": "help",
    "help_all": "help all",
    "help_topic": "help rule",
    "rules": "rules",
    "rule_added": "rule add 5d 12pp above",
    "rule_unusual": "rule add 1d 60pp",
    "rule_editor": "rule add",
    "rule_error": "rule add 8 bananas",
    "did_you_mean": "list rules",
    "board": "",
    "status": "status",
    "chart": "chart 20d",
    "history": "history",
    "why": "why",
    "sources": "sources",
    "settings": "channel",
    "backtest": "backtest 1d 8pp",
    "drawdown": "drawdown",
    "explain": "explain",
    "tune": "tune 5d 2/month",
    "brief": "brief",
    "digest": "digest",
    "no_such_alert": "why 99",
    "acknowledged": "ack",
    "snoozed": "snooze 1 1h",
    "muted": "mute 2h",
    "mute_ended": "mute off",
    "stop": "stop",
    "drill": "test",
}
CONTENT = ("text", "blocks", "type", "title", "submit", "close")
SHOWN = {"chat.postMessage", "chat.update", "chat.postEphemeral", RESPONSES, *VIEWS}


HOME = {"type": "app_home_opened", "user": "U1", "channel": "D1", "tab": "home"}


async def replies() -> dict[str, dict[str, Any]]:
    """Return the last message or form after each input, while an alert is open in a channel with the default rules."""
    async with slack_server() as slack, open_harness() as harness, aiohttp.ClientSession() as session:
        client = AsyncWebClient(token=TOKEN, base_url=f"{slack.url}api/", session=session)
        app = bolt_app(client)
        person = Person(
            server=slack, app=app, tasks=listeners.register(app, harness.commands, harness.research, harness.clock)
        )
        outbox = Outbox(store=harness.store, notifier=SlackNotifier(client, harness.clock), clock=harness.clock)
        await person.presses("start", "board")
        await outbox.deliver(await harness.ticks(OPEN + timedelta(minutes=5), [0.09, 0.10]))
        shown = {"reply_home": await _last(slack, person.triggers_event(HOME))}
        shown["reply_details"] = await _last(slack, person.presses("details", "1"))
        shown["reply_resolve"] = await _last(slack, person.chooses("more", "resolve:1"))
        for name, text in TYPED.items():
            shown[f"reply_{name}"] = await _last(slack, person.types(text))
        return {name: payload for name, payload in shown.items() if payload}


async def _last(slack: FakeSlack, action: Awaitable[BoltResponse]) -> dict[str, Any]:
    """Return the last message or view of an action, or else the answer in its acknowledgement."""
    before = len(slack.accepted)
    answer = (await action).body
    shown = [_content(call) for call in slack.accepted[before:] if call.method in SHOWN]
    last: dict[str, Any] = shown[-1] if shown else json.loads(answer) if answer else {}
    return {key: value for key, value in last.items() if key in CONTENT}


def _content(call: Call) -> dict[str, Any]:
    return call.view if call.method in VIEWS else call.message
