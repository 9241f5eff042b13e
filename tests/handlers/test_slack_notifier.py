import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from handlers.render.alert import alert_message
from handlers.slack_notifier import ChartSupport, SlackConnector, SlackNotifier, send_before
from services.alerting.alert import EntryKind
from services.core.errors import (
    DeliveryError,
    MessageGoneError,
    MessageNotEditableError,
    MessageRefusedError,
    SendDeadlineError,
)
from services.core.identity import Channel
from services.delivery.ports import AlertMessage, ThreadMessage
from tests.fakes.alerts import CHANNEL, an_alert, an_alert_chart, an_entry
from tests.fakes.clock import SetClock
from tests.fakes.slack import TOKEN, FakeSlack, Fault, error_response

POST, UPDATE = "chat.postMessage", "chat.update"
SECOND = timedelta(seconds=1)
CHARTED = ThreadMessage(alert=an_alert(id=12, chart=an_alert_chart()), entry=an_entry())  # its first reply


@pytest.fixture
def notifier(client: AsyncWebClient, clock: SetClock) -> SlackNotifier:
    return SlackNotifier(client, clock)


async def test_a_post_carries_its_key_and_unfurls_nothing(notifier: SlackNotifier, slack: FakeSlack) -> None:
    ts = await notifier.post(CHANNEL, AlertMessage(alert=an_alert(id=12)), key="alert-12")
    (sent,) = slack.arguments_of(POST)
    assert "1700000000.000001" == ts
    assert "C1" == sent["channel"]
    assert {"event_type": "minerpulse_alert", "event_payload": {"key": "alert-12"}} == sent["metadata"]
    assert [False, False] == [sent["unfurl_links"], sent["unfurl_media"]]
    assert "thread_ts" not in sent


async def test_an_edit_addresses_its_message(notifier: SlackNotifier, slack: FakeSlack) -> None:
    await notifier.edit(CHANNEL, AlertMessage(alert=an_alert(id=12)), "1700000000.000042")
    (sent,) = slack.arguments_of(UPDATE)
    assert ["C1", "1700000000.000042"] == [sent["channel"], sent["ts"]]
    assert sent["shown"].startswith("Firing: WGMI 8.3 pp ahead of BTC over 1 session (alert 12).")


async def test_a_reply_stays_in_its_thread(notifier: SlackNotifier, slack: FakeSlack) -> None:
    entry = an_entry(kind=EntryKind.ACKNOWLEDGED, by="U2")
    thread_message = ThreadMessage(alert=an_alert(id=12), entry=entry)
    await notifier.post(CHANNEL, thread_message, key="entry-3", thread_id="1700000000.000042")
    (sent,) = slack.arguments_of(POST)
    assert "1700000000.000042" == sent["thread_ts"]
    assert {"key": "entry-3"} == sent["metadata"]["event_payload"]
    assert "reply_broadcast" not in sent


async def test_a_rate_limit_means_not_posted(notifier: SlackNotifier, slack: FakeSlack) -> None:
    slack.fail(POST, Fault(status=429, body='{"ok": false, "error": "ratelimited"}', headers={"Retry-After": "30"}))
    error = await failure(notifier)
    assert (False, True, timedelta(seconds=30)) == (error.permanent, error.surely_not_posted, error.retry_after)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(status=429, headers={"Retry-After": "soon"}), id="a wait that is no number"),
        pytest.param(Fault(status=429), id="no wait at all"),
        pytest.param(error_response("ratelimited"), id="said in words"),
    ],
)
async def test_a_rate_limit_without_a_valid_wait_leaves_it_to_the_outbox(
    notifier: SlackNotifier, slack: FakeSlack, fault: Fault
) -> None:
    slack.fail(POST, fault)
    error = await failure(notifier)
    assert (False, True, None) == (error.permanent, error.surely_not_posted, error.retry_after)


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(Fault(status=500, body="{}"), id="500"),
        pytest.param(Fault(status=503, body="<html>", content_type="text/html"), id="503 in HTML"),
        pytest.param(Fault(status=502, body="Bad gateway", content_type="text/plain"), id="502 in plain text"),
        pytest.param(Fault(body="{broken"), id="broken JSON"),
        pytest.param(error_response("internal_error"), id="internal error"),
        pytest.param(error_response("fatal_error"), id="fatal error"),
        pytest.param(error_response("never_heard_of_it"), id="a new error"),
        pytest.param(Fault(drop=True), id="a connection cut before"),
        pytest.param(Fault(drop=True, accepted=True), id="a connection cut after"),
    ],
)
async def test_an_unclear_response_means_possibly_posted(
    notifier: SlackNotifier, slack: FakeSlack, fault: Fault
) -> None:
    slack.fail(POST, fault)
    error = await failure(notifier)
    assert (False, False) == (error.permanent, error.surely_not_posted)


async def test_the_client_does_not_retry_a_post(notifier: SlackNotifier, slack: FakeSlack) -> None:
    slack.fail(POST, Fault(drop=True, accepted=True))
    await failure(notifier)
    assert 1 == len(slack.calls)


async def test_a_response_timeout_means_possibly_posted(
    slack: FakeSlack, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    slack.fail(POST, Fault(hang=True))
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=600)) as session:
        client = AsyncWebClient(token=TOKEN, base_url=f"{slack.url}api/", session=session)
        failing = asyncio.create_task(failure(SlackNotifier(client, clock)))
        await slack.received(1)
        loop = asyncio.get_running_loop()
        shown = loop.time
        monkeypatch.setattr(loop, "time", lambda: shown() + 700)
        error = await failing
    assert (False, False) == (error.permanent, error.surely_not_posted)


async def test_a_refused_connection_means_not_posted(
    clock: SetClock, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    client = AsyncWebClient(token=TOKEN, base_url=f"http://127.0.0.1:{unused_tcp_port}/api/")
    error = await failure(SlackNotifier(client, clock))
    assert (False, True) == (error.permanent, error.surely_not_posted)


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        pytest.param("channel_not_found", "/invite @MinerPulse", id="channel_not_found"),
        pytest.param("not_in_channel", "/invite @MinerPulse", id="not_in_channel"),
        pytest.param("is_archived", "unarchive it", id="is_archived"),
        pytest.param("account_inactive", "reinstall MinerPulse", id="account_inactive"),
        pytest.param("token_revoked", "reinstall MinerPulse", id="token_revoked"),
        pytest.param("invalid_auth", "reinstall MinerPulse", id="invalid_auth"),
        pytest.param("missing_scope", "`commands` and `chat:write`", id="missing_scope"),
        pytest.param("restricted_action", "ask a workspace admin", id="restricted_action"),
    ],
)
async def test_a_permanent_error_says_what_to_do(
    notifier: SlackNotifier, slack: FakeSlack, code: str, remedy: str
) -> None:
    slack.fail(POST, error_response(code))
    error = await failure(notifier)
    assert (True, True) == (error.permanent, error.surely_not_posted)
    assert remedy in str(error)
    assert code in str(error)


async def test_a_closed_edit_window_is_reported(notifier: SlackNotifier, slack: FakeSlack) -> None:
    slack.fail(UPDATE, error_response("edit_window_closed"))
    with pytest.raises(MessageNotEditableError, match="edit_window_closed"):
        await notifier.edit(CHANNEL, AlertMessage(alert=an_alert(id=12)), "1700000000.000042")


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(error_response("is_archived"), id="the channel"),
        pytest.param(error_response("restricted_action"), id="the channel's rules"),
        pytest.param(error_response("token_revoked"), id="the token"),
        pytest.param(error_response("ratelimited"), id="the rate"),
        pytest.param(error_response("internal_error"), id="Slack"),
        pytest.param(Fault(status=503, body='{"ok": false, "error": "never_heard_of_it"}'), id="Slack, in its own way"),
        pytest.param(Fault(status=403, body="<html>", content_type="text/html"), id="something on the way"),
    ],
)
async def test_a_channel_wide_error_is_not_blamed_on_the_message(
    notifier: SlackNotifier, slack: FakeSlack, fault: Fault
) -> None:
    slack.fail(POST, fault)
    assert not isinstance(await failure(notifier), MessageRefusedError | MessageGoneError | MessageNotEditableError)


@pytest.mark.parametrize(
    ("code", "permanent"),
    [
        pytest.param("msg_too_long", True, id="its layout"),
        pytest.param("restricted_action_non_threadable_channel", True, id="its kind"),
        pytest.param("never_heard_of_it", False, id="for a reason not known"),
    ],
)
async def test_a_refused_message_reports_the_code(
    notifier: SlackNotifier, slack: FakeSlack, code: str, *, permanent: bool
) -> None:
    slack.fail(POST, error_response(code))
    error = await failure(notifier)
    assert (MessageRefusedError, permanent) == (type(error), error.permanent)
    assert code in str(error)


@pytest.mark.parametrize(
    ("retry_after", "wait"),
    [
        pytest.param("0", timedelta(seconds=1), id="no time"),
        pytest.param("3600", timedelta(hours=1), id="an hour"),
        pytest.param("31536000", timedelta(hours=1), id="a year"),
        pytest.param("9" * 20, timedelta(hours=1), id="longer than any clock counts"),
    ],
)
async def test_a_wait_is_between_a_second_and_an_hour(
    notifier: SlackNotifier, slack: FakeSlack, retry_after: str, wait: timedelta
) -> None:
    slack.fail(POST, Fault(status=429, headers={"Retry-After": retry_after}))
    assert wait == (await failure(notifier)).retry_after


@pytest.mark.parametrize("code", ["message_not_found", "cant_update_message"])
async def test_an_uneditable_message_is_gone(notifier: SlackNotifier, slack: FakeSlack, code: str) -> None:
    slack.fail(UPDATE, error_response(code))
    with pytest.raises(MessageGoneError, match=code):
        await notifier.edit(CHANNEL, AlertMessage(alert=an_alert(id=12)), "1700000000.000042")


@pytest.mark.parametrize("code", ["invalid_blocks", "msg_blocks_too_long"])
async def test_rejected_blocks_are_sent_again_in_plain_form(
    notifier: SlackNotifier, slack: FakeSlack, clock: SetClock, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    slack.fail(POST, error_response(code))
    await notifier.post(CHANNEL, AlertMessage(alert=an_alert(id=12)), key="alert-12")
    (sent,) = slack.arguments_of(POST)
    assert ["section", "actions"] == [block["type"] for block in sent["blocks"]]
    assert alert_message(an_alert(id=12), clock.now()).full_text == sent["blocks"][0]["text"]["text"]
    assert "alert-12" == sent["metadata"]["event_payload"]["key"]
    assert "sending it in plain form" in caplog.text


async def test_a_rejected_chart_is_omitted_in_that_workspace_for_a_day(
    notifier: SlackNotifier, slack: FakeSlack, clock: SetClock, caplog: pytest.LogCaptureFixture
) -> None:
    message = CHARTED
    other_workspace = Channel(team="T2", id="C2")
    slack.fail(POST, error_response("invalid_blocks"))

    ts = await notifier.post(CHANNEL, message, key="alert-12")
    await notifier.edit(CHANNEL, message, ts)
    await notifier.post(other_workspace, message, key="alert-13")
    clock.advance(timedelta(days=1))
    await notifier.edit(CHANNEL, message, ts)

    assert "sending it without its chart" in caplog.text
    assert [POST, POST, UPDATE, POST, UPDATE] == [call.method for call in slack.calls]
    assert [False, False, True, True] == [is_charted(call.arguments) for call in slack.accepted]
    assert ["header", "section", "context"] == sorted(
        {block["type"] for block in slack.accepted[0].arguments["blocks"]}, key=["header", "section", "context"].index
    )


async def test_a_chart_is_not_blamed_if_the_message_is_rejected_without_it(
    notifier: SlackNotifier, slack: FakeSlack
) -> None:
    message = CHARTED
    slack.fail(POST, error_response("invalid_attachments"), error_response("invalid_blocks"))

    ts = await notifier.post(CHANNEL, message, key="alert-12")
    await notifier.edit(CHANNEL, message, ts)

    assert 4 == len(slack.calls)
    assert ["section"] == [block["type"] for block in slack.accepted[0].arguments["blocks"]]
    assert is_charted(slack.accepted[1].arguments)


async def test_no_chart_is_sent_if_charts_are_disabled(
    client: AsyncWebClient, slack: FakeSlack, clock: SetClock
) -> None:
    charts = ChartSupport()
    charts.enabled = False
    notifier = SlackNotifier(client, clock, charts)

    await notifier.post(CHANNEL, CHARTED, key="entry-1")

    assert [False] == [is_charted(call.arguments) for call in slack.calls]


async def test_blocks_rejected_twice_are_a_permanent_error(notifier: SlackNotifier, slack: FakeSlack) -> None:
    slack.fail(POST, error_response("invalid_blocks"), error_response("invalid_blocks"))
    error = await failure(notifier)
    assert (True, True, 2) == (error.permanent, error.surely_not_posted, len(slack.calls))


async def test_a_plain_form_with_a_server_error_is_retried_later(notifier: SlackNotifier, slack: FakeSlack) -> None:
    slack.fail(POST, error_response("invalid_blocks"), Fault(status=500, body="{}"))
    error = await failure(notifier)
    assert (False, False) == (error.permanent, error.surely_not_posted)


async def test_the_shared_client_keeps_its_retry_handlers(client: AsyncWebClient, notifier: SlackNotifier) -> None:
    before = list(client.retry_handlers)
    await notifier.post(CHANNEL, AlertMessage(alert=an_alert(id=12)), key="alert-12")
    assert before == client.retry_handlers


def is_charted(message: dict[str, Any]) -> bool:
    return "data_visualization" in [block["type"] for block in message["blocks"]]


async def failure(notifier: SlackNotifier) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        await notifier.post(CHANNEL, AlertMessage(alert=an_alert(id=12)), key="alert-12")
    return caught.value


@pytest.fixture
async def deadline_client(slack: FakeSlack, clock: SetClock) -> AsyncIterator[AsyncWebClient]:
    async with aiohttp.ClientSession(connector=SlackConnector(clock)) as session:
        yield AsyncWebClient(token=TOKEN, base_url=f"{slack.url}api/", session=session)


@pytest.mark.parametrize("connected", [False, True], ids=["over a new connection", "over one that stands"])
async def test_a_late_request_sends_no_byte(
    deadline_client: AsyncWebClient, slack: FakeSlack, clock: SetClock, *, connected: bool
) -> None:
    if connected:
        await deadline_client.auth_test()
    before, deadline = len(slack.calls), clock.now()
    clock.advance(SECOND)

    with send_before(deadline), pytest.raises(SendDeadlineError):
        await deadline_client.auth_test()

    assert before == len(slack.calls)


async def test_a_timely_request_is_sent_and_the_deadline_ends_with_it(
    deadline_client: AsyncWebClient, slack: FakeSlack, clock: SetClock
) -> None:
    with send_before(clock.now()):
        await deadline_client.auth_test()
    clock.advance(SECOND)
    await deadline_client.auth_test()

    assert 2 == len(slack.calls)
