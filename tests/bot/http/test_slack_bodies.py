"""Signed bodies that are not what they should be, through the web app and the real listeners."""

import copy
import json
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from bot.bolt_app import build_bolt
from bot.http.app import SLACK_PATH, build_web
from bot.http.slack_requests import SlackRequests
from handlers import listeners
from handlers.background import BackgroundTasks
from handlers.rule_form import FormContext
from tests.bot.http.conftest import FORM, healthy
from tests.fakes.harness import open_harness
from tests.fakes.slack import SECRET, TOKEN, FakeSlack, command_form, signed_headers

JSON = "application/json"
JUNK: tuple[Any, ...] = (None, "x", "\x00", "\ud800", 5, -1, True, [], [None], {}, {"id": 5}, ["x"], 10**30)
ODD_EVENTS: tuple[Any, ...] = (None, [], "x", {}, {"type": None})
METADATA = FormContext(channel="C1", response_url="").to_json()
FIELD = {"draft_threshold": {"type": "plain_text_input", "value": "8pp"}}
VIEW = {
    "id": "V1",
    "type": "modal",
    "hash": "h",
    "callback_id": "rule_editor",
    "private_metadata": METADATA,
    "state": {
        "values": {
            "threshold": FIELD,
            "metric": {"draft_metric": {"type": "static_select", "selected_option": {"value": "spread"}}},
            "at_close": {"draft_at_close": {"type": "checkboxes", "selected_options": [{"value": "at close"}]}},
        }
    },
    "blocks": [{"type": "input", "block_id": "metric", "element": {"initial_option": {"value": "spread"}}}],
}
WHO: dict[str, Any] = {"team": {"id": "T1"}, "user": {"id": "U1", "team_id": "T1"}}
PRESS = {"type": "block_actions", **WHO, "channel": {"id": "C1"}, "trigger_id": "t", "response_url": ""}
EVENT = {
    "type": "event_callback",
    "team_id": "T1",
    "event_id": "Ev1",
    "event_time": 1_790_000_000,
    "authorizations": [{"team_id": "T1", "user_id": "U0", "is_bot": True, "is_enterprise_install": False}],
}
PAYLOADS: dict[str, dict[str, Any]] = {
    "a press": {**PRESS, "actions": [{"type": "button", "action_id": "acknowledge", "block_id": "b", "value": "12"}]},
    "a choice": {**PRESS, "actions": [{"action_id": "snooze", "selected_option": {"value": "12:1h"}}]},
    "a draft": {**PRESS, "view": VIEW, "actions": [{"action_id": "draft_threshold", "block_id": "threshold"}]},
    "a form": {"type": "view_submission", **WHO, "view": VIEW},
    "a shortcut": {"type": "shortcut", **WHO, "callback_id": "board", "trigger_id": "t"},
}
EVENTS: dict[str, dict[str, Any]] = {
    "home": {**EVENT, "event": {"type": "app_home_opened", "user": "U1", "tab": "home", "channel": "D1"}},
    "joined": {**EVENT, "event": {"type": "member_joined_channel", "user": "U0", "channel": "C1"}},
    "mention": {**EVENT, "event": {"type": "app_mention", "user": "U1", "text": "<@U0> rules", "channel": "C1"}},
    "left": {**EVENT, "event": {"type": "channel_left", "channel": "C1", "actor_id": "U1"}},
}


@pytest.fixture
async def web(slack: FakeSlack) -> AsyncIterator[tuple[httpx.AsyncClient, BackgroundTasks]]:
    async with open_harness() as harness:
        bolt = build_bolt(AsyncWebClient(token=TOKEN, base_url=f"{slack.url}api/"), SECRET)
        background = listeners.register(bolt, harness.commands, harness.research, harness.clock)
        app = build_web(SlackRequests(bolt=bolt, signing_secret=SECRET), healthy)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as client:
            yield client, background
            await background.drain()


Web = tuple[httpx.AsyncClient, BackgroundTasks]


async def send(web: Web, body: str, content_type: str, path: str = SLACK_PATH) -> httpx.Response:
    response = await web[0].post(path, content=body, headers=signed_headers(body, content_type))
    await web[1].drain()
    return response


def form_body(payload: object) -> str:
    return urlencode({"payload": json.dumps(payload)})


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        *((JSON, body) for body in ("[]", "null", '"x"', "5", "{}", "[" * 100_000, '{"type":"event_callback"}')),
        *((JSON, json.dumps({**EVENT, "event": event})) for event in ODD_EVENTS),
        (JSON, json.dumps({**EVENT, "event_id": "E" * 10_000, "event": {"type": "app_uninstalled"}})),
        *((FORM, f"payload={payload}") for payload in ("null", "[]", '"x"', "5", "{}", "")),
        (FORM, ""),
        (FORM, "a=b"),
        (FORM, form_body({**PRESS, "actions": []})),
        (FORM, urlencode(command_form("<@U1>" * 1_200))),
    ],
)
async def test_a_body_of_another_shape_is_rejected(
    web: Web, content_type: str, body: str, caplog: pytest.LogCaptureFixture
) -> None:
    response = await send(web, body, content_type)

    assert 400 == response.status_code
    assert [] == tracebacks(caplog)


@pytest.mark.parametrize("name", [*PAYLOADS, *EVENTS])
async def test_a_body_with_anything_in_place_of_a_field_is_never_an_error_of_ours(
    web: Web, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    original = {**PAYLOADS, **EVENTS}[name]
    encode, content_type = (json.dumps, JSON) if name in EVENTS else (form_body, FORM)
    await send(web, encode(original), content_type)
    assert [] == tracebacks(caplog), "of the body as Slack sends it"

    failures = []
    for path, body in changed_bodies(original):
        response = await send(web, encode(body), content_type)
        if response.status_code not in {200, 400, 404} or tracebacks(caplog):
            failures.append((path, response.status_code, tracebacks(caplog)))
        caplog.clear()

    assert [] == failures


@pytest.mark.parametrize(
    "metadata",
    [
        *("", "x", "null", "[]", "{}", '{"channel": "C1"}', '{"channel": 5, "rule": "x"}'),
        *(json.dumps({"channel": "C1", "answers_to": "", "rule": rule}) for rule in (10**40, 0, -1, 1.5)),
    ],
)
async def test_a_form_that_did_not_come_from_us_says_that_it_is_out_of_date(web: Web, metadata: str) -> None:
    view = {**VIEW, "private_metadata": metadata}
    response = await send(web, form_body({"type": "view_submission", **WHO, "view": view}), FORM)

    assert 200 == response.status_code
    assert "This form is out of date." in response.text


async def test_a_notice_of_held_back_events_is_logged_and_answered(web: Web, caplog: pytest.LogCaptureFixture) -> None:
    body = json.dumps({"type": "app_rate_limited", "team_id": "T1", "minute_rate_limited": 1_518_467_820})
    with caplog.at_level(logging.WARNING):
        response = await send(web, body, JSON)

    assert (200, "") == (response.status_code, response.text)
    assert ["Slack is rate-limiting events of workspace T1: more than 30,000 in an hour"] == caplog.messages


async def test_the_path_may_end_in_a_slash(web: Web) -> None:
    body = urlencode(command_form("help"))
    responses = [await send(web, body + suffix, FORM, SLACK_PATH + slash) for slash, suffix in (("", ""), ("/", "&"))]

    assert [200, 200] == [response.status_code for response in responses]
    assert responses[0].json() == responses[1].json()


def changed_bodies(body: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return the body with each of its parts replaced by each kind of junk."""
    for place in places(body):
        for junk in JUNK:
            changed = copy.deepcopy(body)
            container(changed, place)[place[-1]] = junk
            yield f"{place} = {junk!r}", changed


def places(body: object, before: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    items = body.items() if isinstance(body, dict) else enumerate(body) if isinstance(body, list) else ()
    for key, part in items:
        yield (*before, key)
        yield from places(part, (*before, key))


def container(body: Any, place: tuple[str | int, ...]) -> Any:  # noqa: ANN401 -- any JSON
    for key in place[:-1]:
        body = body[key]
    return body


def tracebacks(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [f"{record.getMessage()}: {record.exc_info}" for record in caplog.records if record.exc_info]
