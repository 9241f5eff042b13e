"""The stand-in answers a Slack client as Slack would."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from bot.fake_slack.server import serving
from bot.fake_slack.workspace import Change, Kind, Workspace

AT = datetime(2026, 11, 17, 15, 40, tzinfo=UTC)
BLOCKS = [{"type": "section", "text": {"type": "mrkdwn", "text": "hello"}}]


@pytest.fixture
def changes() -> list[Change]:
    return []


@pytest.fixture
async def slack(changes: list[Change]) -> AsyncIterator[Workspace]:
    async with serving(Workspace(now=lambda: AT, tell=changes.append)) as workspace:
        yield workspace


@pytest.fixture
async def client(slack: Workspace) -> AsyncIterator[AsyncWebClient]:
    async with aiohttp.ClientSession() as session:
        yield AsyncWebClient(token=slack.token, base_url=slack.url, session=session)


async def test_it_listens_at_the_loopback_address_only(slack: Workspace) -> None:
    assert slack.url.startswith("http://127.0.0.1:")


async def test_auth_test_names_the_bot_and_its_scopes(client: AsyncWebClient) -> None:
    answer = await client.auth_test()
    assert (answer["team_id"], answer["bot_id"]) == ("T1", "BBOT")
    assert answer.headers["x-oauth-scopes"] == "commands,chat:write"


@pytest.mark.parametrize(
    ("token", "error"),
    [pytest.param("xoxb-other", "invalid_auth", id="wrong"), pytest.param(None, "not_authed", id="none")],
)
async def test_a_token_that_is_not_the_bots_is_refused(slack: Workspace, token: str | None, error: str) -> None:
    client = AsyncWebClient(token=token, base_url=slack.url)
    with pytest.raises(SlackApiError) as refused:
        await client.auth_test()
    assert refused.value.response["error"] == error


async def test_a_posted_message_stands_in_its_channel(
    client: AsyncWebClient, slack: Workspace, changes: list[Change]
) -> None:
    answer = await client.chat_postMessage(
        channel="C1", text="hello", blocks=BLOCKS, metadata={"event_type": "alert", "event_payload": {"key": "k"}}
    )
    [message] = slack.messages("C1")
    assert (message.ts, message.text, message.blocks) == (answer["ts"], "hello", BLOCKS)
    assert message.metadata == {"event_type": "alert", "event_payload": {"key": "k"}}
    assert [change.kind for change in changes] == [Kind.POSTED]


async def test_message_times_follow_the_clock_that_it_was_given(client: AsyncWebClient) -> None:
    first, second = [(await client.chat_postMessage(channel="C1", text="hello"))["ts"] for _ in range(2)]
    assert first.split(".")[0] == str(int(AT.timestamp()))
    assert first < second


async def test_an_update_changes_the_message_in_place(
    client: AsyncWebClient, slack: Workspace, changes: list[Change]
) -> None:
    ts = (await client.chat_postMessage(channel="C1", text="before"))["ts"]
    await client.chat_update(channel="C1", ts=ts, text="after")
    assert [(message.ts, message.text) for message in slack.messages("C1")] == [(ts, "after")]
    assert [change.kind for change in changes] == [Kind.POSTED, Kind.EDITED]


async def test_a_reply_stands_in_the_thread(client: AsyncWebClient, slack: Workspace, changes: list[Change]) -> None:
    ts = (await client.chat_postMessage(channel="C1", text="alert"))["ts"]
    await client.chat_postMessage(channel="C1", text="resolved", thread_ts=ts)
    assert [message.text for message in slack.thread("C1", ts)] == ["resolved"]
    assert changes[-1].kind is Kind.REPLIED


async def test_an_ephemeral_message_is_for_one_person(client: AsyncWebClient, slack: Workspace) -> None:
    await client.chat_postEphemeral(channel="C1", user="U1", text="for you")
    assert [message.only_for for message in slack.messages("C1")] == ["U1"]


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
async def test_what_slack_would_refuse_is_refused_in_its_words(
    client: AsyncWebClient, slack: Workspace, method: str, arguments: dict[str, Any], error: str
) -> None:
    with pytest.raises(SlackApiError) as refused:
        await client.api_call(method, json=arguments)
    assert refused.value.response["error"] == error
    assert slack.messages("C1") == []


async def test_an_ephemeral_message_cannot_be_updated(client: AsyncWebClient) -> None:
    ts = (await client.chat_postEphemeral(channel="C1", user="U1", text="for you"))["message_ts"]
    with pytest.raises(SlackApiError, match="message_not_found"):
        await client.chat_update(channel="C1", ts=ts, text="x")


async def test_arguments_may_come_as_a_form(client: AsyncWebClient, slack: Workspace) -> None:
    await client.api_call("chat.postMessage", data={"channel": "C1", "blocks": json.dumps(BLOCKS)})
    assert [message.blocks for message in slack.messages("C1")] == [BLOCKS]


async def test_a_body_that_is_no_json_is_answered_not_raised(slack: Workspace) -> None:
    headers = {"content-type": "application/json", "authorization": f"Bearer {slack.token}"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{slack.url}chat.postMessage", data="{", headers=headers) as answer,
    ):
        assert (await answer.json())["error"] == "invalid_arguments"


@pytest.mark.parametrize(
    ("response_type", "only_for"),
    [
        pytest.param(None, "U1", id="ephemeral-by-default"),
        pytest.param("in_channel", None, id="for-everyone"),
    ],
)
async def test_a_command_is_answered_through_its_response_url(
    slack: Workspace, response_type: str | None, only_for: str | None
) -> None:
    hook = AsyncWebhookClient(slack.response_url("C1", "U1"))
    answer = await hook.send(text="hi", response_type=response_type)
    assert answer.status_code == 200
    assert [(message.text, message.only_for) for message in slack.messages("C1")] == [("hi", only_for)]


async def test_a_click_is_answered_in_place_of_its_message(client: AsyncWebClient, slack: Workspace) -> None:
    ts = (await client.chat_postMessage(channel="C1", text="before"))["ts"]
    await AsyncWebhookClient(slack.response_url("C1", "U1", ts)).send(text="after", replace_original=True)
    assert [(message.ts, message.text) for message in slack.messages("C1")] == [(ts, "after")]


async def test_a_click_may_be_answered_beside_its_message(client: AsyncWebClient, slack: Workspace) -> None:
    ts = (await client.chat_postMessage(channel="C1", text="alert"))["ts"]
    await AsyncWebhookClient(slack.response_url("C1", "U1", ts)).send(text="noted", replace_original=False)
    assert [message.text for message in slack.messages("C1")] == ["alert", "noted"]


async def test_a_click_may_delete_its_message(client: AsyncWebClient, slack: Workspace, changes: list[Change]) -> None:
    ts = (await client.chat_postMessage(channel="C1", text="alert"))["ts"]
    await AsyncWebhookClient(slack.response_url("C1", "U1", ts)).send(delete_original=True)
    assert slack.messages("C1") == []
    assert changes[-1].kind is Kind.DELETED


async def test_a_response_url_is_good_for_five_answers(slack: Workspace) -> None:
    hook = AsyncWebhookClient(slack.response_url("C1", "U1"))
    assert [(await hook.send(text="hi")).status_code for _ in range(6)] == [200] * 5 + [404]


async def test_an_empty_answer_and_a_made_up_response_url_are_refused(slack: Workspace) -> None:
    assert (await AsyncWebhookClient(slack.response_url("C1", "U1")).send(text="")).status_code == 404
    assert (await AsyncWebhookClient(f"{slack.origin}/response/999").send(text="hi")).status_code == 404


async def test_after_the_end_nothing_listens_any_more() -> None:
    async with serving(Workspace(now=lambda: AT)) as workspace:
        url = workspace.url
    with pytest.raises(aiohttp.ClientConnectorError):
        await AsyncWebClient(token="xoxb-standin", base_url=url).auth_test()
