"""The fake Slack responds like Slack."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.fake_slack.server import serve_workspace
from bot.fake_slack.workspace import EventKind, MessageEvent, Workspace

AT = datetime(2026, 11, 17, 15, 40, tzinfo=UTC)
BLOCKS = [{"type": "section", "text": {"type": "mrkdwn", "text": "hello"}}]


@pytest.fixture
def events() -> list[MessageEvent]:
    return []


@pytest.fixture
async def workspace(events: list[MessageEvent]) -> AsyncIterator[Workspace]:
    async with serve_workspace(Workspace(now=lambda: AT, on_event=events.append)) as workspace:
        yield workspace


@pytest.fixture
async def client(workspace: Workspace) -> AsyncIterator[AsyncWebClient]:
    async with aiohttp.ClientSession() as session:
        yield AsyncWebClient(token=workspace.token, base_url=workspace.url, session=session)


async def test_the_server_listens_on_loopback_only(workspace: Workspace) -> None:
    assert workspace.url.startswith("http://127.0.0.1:")


async def test_auth_test_names_the_bot_and_its_scopes(client: AsyncWebClient) -> None:
    response = await client.auth_test()
    assert (response["team_id"], response["bot_id"]) == ("T1", "BBOT")
    assert response.headers["x-oauth-scopes"] == "commands,chat:write"


@pytest.mark.parametrize(
    ("token", "error"),
    [pytest.param("xoxb-other", "invalid_auth", id="wrong"), pytest.param(None, "not_authed", id="none")],
)
async def test_an_unknown_token_is_rejected(workspace: Workspace, token: str | None, error: str) -> None:
    client = AsyncWebClient(token=token, base_url=workspace.url)
    with pytest.raises(SlackApiError) as raised:
        await client.auth_test()
    assert raised.value.response["error"] == error


async def test_a_posted_message_appears_in_its_channel(
    client: AsyncWebClient, workspace: Workspace, events: list[MessageEvent]
) -> None:
    response = await client.chat_postMessage(
        channel="C1", text="hello", blocks=BLOCKS, metadata={"event_type": "alert", "event_payload": {"key": "k"}}
    )
    [message] = workspace.messages("C1")
    assert (message.ts, message.text, message.blocks) == (response["ts"], "hello", BLOCKS)
    assert message.metadata == {"event_type": "alert", "event_payload": {"key": "k"}}
    assert [event.kind for event in events] == [EventKind.POSTED]


async def test_message_timestamps_follow_the_clock(client: AsyncWebClient) -> None:
    first, second = [(await client.chat_postMessage(channel="C1", text="hello"))["ts"] for _ in range(2)]
    assert first.split(".")[0] == str(int(AT.timestamp()))
    assert first < second


async def test_an_update_changes_the_message_in_place(
    client: AsyncWebClient, workspace: Workspace, events: list[MessageEvent]
) -> None:
    ts = (await client.chat_postMessage(channel="C1", text="before"))["ts"]
    await client.chat_update(channel="C1", ts=ts, text="after")
    assert [(message.ts, message.text) for message in workspace.messages("C1")] == [(ts, "after")]
    assert [event.kind for event in events] == [EventKind.POSTED, EventKind.EDITED]


async def test_a_reply_appears_in_the_thread(
    client: AsyncWebClient, workspace: Workspace, events: list[MessageEvent]
) -> None:
    ts = (await client.chat_postMessage(channel="C1", text="alert"))["ts"]
    await client.chat_postMessage(channel="C1", text="resolved", thread_ts=ts)
    assert [message.text for message in workspace.thread("C1", ts)] == ["resolved"]
    assert events[-1].kind is EventKind.REPLIED


async def test_an_ephemeral_message_is_visible_to_one_user(client: AsyncWebClient, workspace: Workspace) -> None:
    await client.chat_postEphemeral(channel="C1", user="U1", text="for you")
    assert [message.visible_to for message in workspace.messages("C1")] == ["U1"]


@pytest.mark.parametrize(
    ("method", "arguments", "error"),
    [
        pytest.param("chat.postMessage", {"channel": "C9", "text": "x"}, "channel_not_found", id="no-such-channel"),
        pytest.param("chat.postMessage", {"text": "x"}, "invalid_arguments", id="no-channel"),
        pytest.param("chat.postMessage", {"channel": "C1"}, "no_text", id="nothing-to-say"),
        pytest.param("chat.postMessage", {"channel": "C1", "text": "x" * 40_001}, "msg_too_long", id="too-long"),
        pytest.param("chat.postMessage", {"channel": "C1", "blocks": [{}]}, "invalid_blocks", id="typeless-block"),
        pytest.param("chat.postMessage", {"channel": "C1", "blocks": BLOCKS * 51}, "invalid_blocks", id="51-blocks"),
        pytest.param("chat.postMessage", {"channel": "C1", "blocks": "["}, "invalid_arguments", id="broken-json"),
        pytest.param(
            "chat.postMessage",
            {"channel": "C1", "text": "x", "thread_ts": "1.0"},
            "cannot_reply_to_message",
            id="thread",
        ),
        pytest.param("chat.update", {"channel": "C1", "ts": "1.0", "text": "x"}, "message_not_found", id="update-none"),
        pytest.param(
            "chat.update", {"channel": "C9", "ts": "1.0", "text": "x"}, "channel_not_found", id="update-where"
        ),
        pytest.param("chat.postEphemeral", {"channel": "C1", "text": "x"}, "invalid_arguments", id="for-nobody"),
        pytest.param("conversations.history", {"channel": "C1"}, "missing_scope", id="unscoped"),
        pytest.param("chat.shout", {}, "unknown_method", id="unknown"),
    ],
)
async def test_invalid_calls_return_slacks_error_code(
    client: AsyncWebClient, workspace: Workspace, method: str, arguments: dict[str, Any], error: str
) -> None:
    with pytest.raises(SlackApiError) as raised:
        await client.api_call(method, json=arguments)
    assert raised.value.response["error"] == error
    assert workspace.messages("C1") == []


async def test_an_ephemeral_message_cannot_be_updated(client: AsyncWebClient) -> None:
    ts = (await client.chat_postEphemeral(channel="C1", user="U1", text="for you"))["message_ts"]
    with pytest.raises(SlackApiError, match="message_not_found"):
        await client.chat_update(channel="C1", ts=ts, text="x")


async def test_arguments_can_be_form_encoded(client: AsyncWebClient, workspace: Workspace) -> None:
    await client.api_call("chat.postMessage", data={"channel": "C1", "blocks": json.dumps(BLOCKS)})
    assert [message.blocks for message in workspace.messages("C1")] == [BLOCKS]


async def test_invalid_json_returns_an_error_response(workspace: Workspace) -> None:
    headers = {"content-type": "application/json", "authorization": f"Bearer {workspace.token}"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{workspace.url}chat.postMessage", data="{", headers=headers) as response,
    ):
        assert (await response.json())["error"] == "invalid_arguments"


@pytest.mark.parametrize(
    ("response_type", "only_for"),
    [
        pytest.param(None, "U1", id="ephemeral-by-default"),
        pytest.param("in_channel", None, id="for-everyone"),
    ],
)
async def test_a_command_reply_uses_its_response_url(
    workspace: Workspace, response_type: str | None, only_for: str | None
) -> None:
    webhook = AsyncWebhookClient(workspace.response_url("C1", "U1"))
    response = await webhook.send(text="hi", response_type=response_type)
    assert response.status_code == 200
    assert [(message.text, message.visible_to) for message in workspace.messages("C1")] == [("hi", only_for)]


async def test_a_click_reply_can_replace_the_message(client: AsyncWebClient, workspace: Workspace) -> None:
    ts = (await client.chat_postMessage(channel="C1", text="before"))["ts"]
    await AsyncWebhookClient(workspace.response_url("C1", "U1", ts)).send(text="after", replace_original=True)
    assert [(message.ts, message.text) for message in workspace.messages("C1")] == [(ts, "after")]


async def test_a_click_reply_can_post_a_new_message(client: AsyncWebClient, workspace: Workspace) -> None:
    ts = (await client.chat_postMessage(channel="C1", text="alert"))["ts"]
    await AsyncWebhookClient(workspace.response_url("C1", "U1", ts)).send(text="noted", replace_original=False)
    assert [message.text for message in workspace.messages("C1")] == ["alert", "noted"]


async def test_a_click_reply_can_delete_the_message(
    client: AsyncWebClient, workspace: Workspace, events: list[MessageEvent]
) -> None:
    ts = (await client.chat_postMessage(channel="C1", text="alert"))["ts"]
    await AsyncWebhookClient(workspace.response_url("C1", "U1", ts)).send(delete_original=True)
    assert workspace.messages("C1") == []
    assert events[-1].kind is EventKind.DELETED


async def test_a_response_url_accepts_five_replies(workspace: Workspace) -> None:
    webhook = AsyncWebhookClient(workspace.response_url("C1", "U1"))
    assert [(await webhook.send(text="hi")).status_code for _ in range(6)] == [200] * 5 + [404]


async def test_an_empty_reply_and_an_unknown_response_url_are_rejected(workspace: Workspace) -> None:
    assert (await AsyncWebhookClient(workspace.response_url("C1", "U1")).send(text="")).status_code == 404
    assert (await AsyncWebhookClient(f"{workspace.origin}/response/999").send(text="hi")).status_code == 404


async def test_the_server_stops_listening_at_the_end_of_the_block() -> None:
    async with serve_workspace(Workspace(now=lambda: AT)) as workspace:
        url = workspace.url
    with pytest.raises(aiohttp.ClientConnectorError):
        await AsyncWebClient(token="xoxb-standin", base_url=url).auth_test()
