"""What a person sees if Slack refuses, limits or loses a message."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from tests.fakes.harness import CHANNEL, Harness
from tests.fakes.slack import RESPONSES, FakeSlack, Fault, Person, error_response

POST, EPHEMERAL = "chat.postMessage", "chat.postEphemeral"
OPENED, UPDATED, PUBLISHED = "views.open", "views.update", "views.publish"
LIMITED = Fault(status=429, body='{"ok": false, "error": "ratelimited"}', headers={"Retry-After": "3"})
BROKEN = Fault(status=503, body="<html>", content_type="text/html")
REVOKED = error_response("token_revoked")
TYPE_IT = "Without the form, type a command such as /minerpulse rule add 5d 15pp."


def closed(code: str) -> Fault:
    """Return the error of a response_url that accepts nothing more."""
    return Fault(status=404, body=json.dumps({"ok": False, "error": code}))


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param([closed("expired_url")], id="half an hour is over"),
        pytest.param([closed("used_url")], id="used five times"),
        pytest.param([LIMITED], id="429"),
        pytest.param([BROKEN], id="503"),
        pytest.param([Fault(drop=True)] * 2, id="a connection that is cut"),
    ],
)
async def test_a_reply_refused_by_its_response_url_is_sent_as_an_ephemeral_message(
    person: Person, slack: FakeSlack, caplog: pytest.LogCaptureFixture, faults: list[Fault]
) -> None:
    slack.fail(RESPONSES, *faults)
    await person.types("rules")
    slack.fail(RESPONSES, *faults)
    await person.presses("refresh", "board")

    rules, board = slack.arguments_of(EPHEMERAL)
    assert [("C1", "U1")] * 2 == [(one["channel"], one["user"]) for one in (rules, board)]
    assert rules["text"].startswith("No rules in this channel, so nothing is monitored.")
    assert "Spread over 1\u00a0session " in board["text"]
    assert re.search("rejected a reply|did not reach Slack", caplog.text)


async def test_an_ephemeral_message_has_a_plain_form(person: Person, slack: FakeSlack) -> None:
    slack.fail(RESPONSES, closed("expired_url"))
    slack.fail(EPHEMERAL, error_response("invalid_blocks"))
    await person.types("")
    (board,) = slack.arguments_of(EPHEMERAL)
    assert {"header", "section", "actions", "context"} == {block["type"] for block in board["blocks"]}


async def test_an_undeliverable_reply_is_logged(
    person: Person, slack: FakeSlack, caplog: pytest.LogCaptureFixture
) -> None:
    slack.fail(RESPONSES, closed("expired_url"))
    slack.fail(EPHEMERAL, error_response("channel_not_found"))
    await person.types("rules")
    assert [] == slack.arguments_of(EPHEMERAL)
    assert "reply not delivered: MinerPulse can't post in this channel" in caplog.text


async def test_a_failed_share_is_reported(person: Person, slack: FakeSlack) -> None:
    slack.fail(RESPONSES, closed("used_url"))
    await person.presses("share", "board")
    (message,) = slack.arguments_of(EPHEMERAL)
    assert "Slack didn't post this to the channel. Run the command again and press Share to Channel." == message["text"]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        pytest.param(
            error_response("expired_trigger_id"),
            "Slack lets an app open a form only within three seconds",
            id="too late",
        ),
        pytest.param(
            error_response("exchanged_trigger_id"), "Slack lets an app open a form only within three seconds", id="used"
        ),
        pytest.param(LIMITED, "Slack is rate-limiting MinerPulse. Try again in a minute.", id="429"),
        pytest.param(BROKEN, "HTTP 503. Try again in a minute.", id="503"),
        pytest.param(REVOKED, "reinstall MinerPulse", id="a revoked token"),
        pytest.param(error_response("invalid_arguments"), "Slack rejected the layout", id="its layout"),
    ],
)
async def test_a_form_that_does_not_open_shows_the_command_to_type(
    person: Person, slack: FakeSlack, fault: Fault, reason: str
) -> None:
    slack.fail(OPENED, fault, fault, fault)
    await person.types("rule add")
    await person.presses("add_rule", "rule")
    await person.presses("edit_rule", "3:1d 8pp above")

    typed, pressed, edit = (answer["text"].splitlines() for answer in slack.responses)
    assert reason in typed[0]
    assert TYPE_IT == typed[-1] == pressed[-1]
    assert "Without the form, type a command such as /minerpulse rule edit 3 1d 8pp above." == edit[-1]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        pytest.param(error_response("not_in_channel"), "type /invite @MinerPulse there", id="not_in_channel"),
        pytest.param(error_response("channel_not_found"), "type /invite @MinerPulse there", id="channel_not_found"),
        pytest.param(REVOKED, "reinstall MinerPulse", id="token_revoked"),
        pytest.param(
            LIMITED,
            "The rule is saved, but the channel wasn't notified: Slack is rate-limiting MinerPulse. "
            "You don't need to do anything.",
            id="429",
        ),
        pytest.param(
            BROKEN,
            "The rule is saved, but the channel wasn't notified: Slack may not have accepted the message: HTTP 503.",
            id="503",
        ),
    ],
)
async def test_a_rule_is_kept_if_its_announcement_fails(
    person: Person, slack: FakeSlack, harness: Harness, fault: Fault, reason: str
) -> None:
    slack.fail(POST, fault, fault)
    await person.types("rule add 1d 8pp")
    await person.types("rule remove 1")
    await person.types("rule add")
    await person.submits({**slack.views(OPENED)[-1], "id": "V1"}, {"threshold": "9"})

    typed, _, from_form = (answer["text"] for answer in slack.responses)
    assert typed.startswith("Rule 1 added: 1d 8pp.")
    assert from_form.startswith("Rule 2 added: 1d 9pp.")
    assert reason in typed
    assert reason in from_form
    assert ["1d 9pp"] == [str(rule.rule) for rule in await harness.commands.rules(CHANNEL)]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        pytest.param(LIMITED, "Slack is rate-limiting MinerPulse. Try again in a minute.", id="429"),
        pytest.param(BROKEN, "HTTP 503. Try again in a minute.", id="503"),
        pytest.param(REVOKED, "reinstall MinerPulse", id="token_revoked"),
    ],
)
async def test_a_failed_home_update_is_explained_in_a_modal(
    person: Person, slack: FakeSlack, caplog: pytest.LogCaptureFixture, fault: Fault, reason: str
) -> None:
    slack.fail(PUBLISHED, fault)
    await on_home(person, "refresh_home")
    assert reason in str(slack.views(OPENED)[-1]["blocks"])
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("code", ["invalid_blocks", "invalid_arguments"])
async def test_a_home_tab_with_a_rejected_layout_is_published_plain(
    person: Person, slack: FakeSlack, caplog: pytest.LogCaptureFixture, code: str
) -> None:
    slack.fail(PUBLISHED, error_response(code))
    await person.triggers_event({"type": "app_home_opened", "user": "U1", "channel": "D1", "tab": "home"})
    (view,) = slack.views(PUBLISHED)
    assert ["header", "section", "actions"] == [block["type"] for block in view["blocks"]]
    assert "In a channel, `/minerpulse` shows the market" in view["blocks"][1]["text"]["text"]
    assert code in caplog.text


async def test_a_home_tab_without_a_database_says_so(person: Person, slack: FakeSlack, harness: Harness) -> None:
    await harness.store.aclose()
    await person.triggers_event({"type": "app_home_opened", "user": "U1", "channel": "D1", "tab": "home"})
    assert "The database can't be reached" in slack.views(PUBLISHED)[-1]["blocks"][1]["text"]["text"]


async def on_home(person: Person, action_id: str) -> None:
    """Press a button on the Home tab, which has no channel and no response_url."""
    action: dict[str, Any] = {"type": "button", "action_id": action_id, "block_id": "b", "value": "home"}
    payload = {"team": {"id": "T1"}, "user": {"id": "U1"}, "trigger_id": "4.trigger"}
    view = {"type": "home", "id": "V1", "blocks": []}
    await person.sends_payload({"type": "block_actions", **payload, "view": view, "actions": [action]})


async def test_a_failed_welcome_is_logged_with_its_remedy(
    person: Person, slack: FakeSlack, caplog: pytest.LogCaptureFixture
) -> None:
    slack.fail(POST, error_response("not_in_channel"))
    await replace(person, user="UBOT").triggers_event(
        {"type": "member_joined_channel", "user": "UBOT", "channel": "C1"}
    )
    assert "type /invite @MinerPulse there" in caplog.text


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        pytest.param(
            error_response("expired_trigger_id"),
            "Slack lets an app open a form only within three seconds",
            id="too late",
        ),
        pytest.param(LIMITED, "Slack is rate-limiting MinerPulse. Try again in a minute.", id="429"),
        pytest.param(BROKEN, "HTTP 503. Try again in a minute.", id="503"),
    ],
)
async def test_a_shortcut_that_does_not_open_is_answered_by_direct_message(
    person: Person, slack: FakeSlack, fault: Fault, reason: str
) -> None:
    slack.fail(OPENED, fault)
    await shortcut(person)
    (sent,) = slack.arguments_of(POST)
    assert "U1" == sent["channel"]
    assert reason in sent["text"]


async def test_a_shortcut_that_cannot_be_answered_is_logged(
    person: Person, slack: FakeSlack, caplog: pytest.LogCaptureFixture
) -> None:
    slack.fail(OPENED, error_response("expired_trigger_id"))
    slack.fail(POST, error_response("messages_tab_disabled"))
    await shortcut(person)
    assert [] == slack.arguments_of(POST)
    assert "expired_trigger_id" in caplog.text
    assert "messages_tab_disabled" in caplog.text


async def shortcut(person: Person) -> None:
    payload = {"team": {"id": "T1"}, "user": {"id": "U1"}, "trigger_id": "9.trigger"}
    await person.sends_payload({"type": "shortcut", "callback_id": "board", **payload})
