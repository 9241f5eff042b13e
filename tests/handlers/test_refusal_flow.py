"""What a person sees where Slack refuses, limits or loses what the app tells them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from tests.fakes.floor import DESK, Floor
from tests.fakes.slack import RESPONSES, Fault, Person, SlackServer, refused

POST, EPHEMERAL = "chat.postMessage", "chat.postEphemeral"
OPENED, UPDATED, PUBLISHED = "views.open", "views.update", "views.publish"
LIMITED = Fault(status=429, body='{"ok": false, "error": "ratelimited"}', headers={"Retry-After": "3"})
BROKEN = Fault(status=503, body="<html>", content_type="text/html")
REVOKED = refused("token_revoked")
TYPE_IT = "Without the form: type `/minerpulse rule add 5d 15pp`, changed as you want it."


def closed(code: str) -> Fault:
    """A response_url that takes nothing any more."""
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
async def test_an_answer_that_its_address_does_not_take_comes_as_a_message_to_the_person(
    person: Person, slack: SlackServer, caplog: pytest.LogCaptureFixture, faults: list[Fault]
) -> None:
    slack.fail(RESPONSES, *faults)
    await person.types("rules")
    slack.fail(RESPONSES, *faults)
    await person.presses("refresh", "board")

    rules, board = slack.said(EPHEMERAL)
    assert [("C1", "U1")] * 2 == [(one["channel"], one["user"]) for one in (rules, board)]
    assert rules["text"].startswith("No rules in this channel yet.")
    assert "1d: WGMI" in board["text"]
    assert "did not" in caplog.text


async def test_a_message_to_the_person_alone_has_a_plain_form_too(person: Person, slack: SlackServer) -> None:
    slack.fail(RESPONSES, closed("expired_url"))
    slack.fail(EPHEMERAL, refused("invalid_blocks"))
    await person.types("")
    (board,) = slack.said(EPHEMERAL)
    assert {"section", "actions"} == {block["type"] for block in board["blocks"]}


async def test_where_neither_way_is_open_the_log_tells(
    person: Person, slack: SlackServer, caplog: pytest.LogCaptureFixture
) -> None:
    slack.fail(RESPONSES, closed("expired_url"))
    slack.fail(EPHEMERAL, refused("channel_not_found"))
    await person.types("rules")
    assert [] == slack.said(EPHEMERAL)
    assert "an answer reached nobody: MinerPulse cannot post in this channel" in caplog.text


async def test_what_was_not_shared_is_not_told_as_shared(person: Person, slack: SlackServer) -> None:
    slack.fail(RESPONSES, closed("used_url"))
    await person.presses("share", "board")
    (told,) = slack.said(EPHEMERAL)
    assert "Slack did not show this to the channel. Type /minerpulse and press Share there." == told["text"]


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        pytest.param(refused("expired_trigger_id"), "Slack opens a form within three seconds only", id="too late"),
        pytest.param(refused("exchanged_trigger_id"), "Slack opens a form within three seconds only", id="used"),
        pytest.param(LIMITED, "Slack asks to wait. Try again in a minute.", id="429"),
        pytest.param(BROKEN, "HTTP 503. Try again in a minute.", id="503"),
        pytest.param(REVOKED, "install MinerPulse again", id="a revoked token"),
        pytest.param(refused("invalid_arguments"), "Slack refuses the layout of this", id="its layout"),
    ],
)
async def test_a_form_that_does_not_open_says_what_to_type_instead(
    person: Person, slack: SlackServer, fault: Fault, why: str
) -> None:
    slack.fail(OPENED, fault, fault, fault)
    await person.types("rule add")
    await person.presses("add_rule", "rule")
    await person.presses("edit_rule", "3:1d 8pp above")

    typed, pressed, edit = (answer["text"].splitlines() for answer in slack.answers)
    assert why in typed[0]
    assert TYPE_IT == typed[-1] == pressed[-1]
    assert "Without the form: type `/minerpulse rule edit 3 1d 8pp above`, changed as you want it." == edit[-1]


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        pytest.param(refused("not_in_channel"), "type /invite @MinerPulse there", id="not_in_channel"),
        pytest.param(refused("channel_not_found"), "type /invite @MinerPulse there", id="channel_not_found"),
        pytest.param(REVOKED, "install MinerPulse again", id="token_revoked"),
        pytest.param(LIMITED, "Slack asks to wait. The rule stands, and nothing more is to be done.", id="429"),
        pytest.param(BROKEN, "HTTP 503. The rule stands, and nothing more is to be done.", id="503"),
    ],
)
async def test_a_rule_whose_announcement_does_not_arrive_stands_and_says_so(
    person: Person, slack: SlackServer, floor: Floor, fault: Fault, why: str
) -> None:
    slack.fail(POST, fault, fault)
    await person.types("rule add 1d 8pp")
    await person.types("rule remove 1")
    await person.types("rule add")
    await person.submits({**slack.shown(OPENED)[-1], "id": "V1"}, {"threshold": "9"})

    typed, _, by_form = (answer["text"] for answer in slack.answers)
    assert typed.startswith("Rule 1 `1d 8pp` is added")
    assert by_form.startswith("Rule 2 `1d 9pp` is added")
    assert why in typed
    assert why in by_form
    assert ["1d 9pp"] == [str(watch.rule) for watch in await floor.desk.rules(DESK)]


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        pytest.param(LIMITED, "Slack asks to wait. Try again in a minute.", id="429"),
        pytest.param(BROKEN, "HTTP 503. Try again in a minute.", id="503"),
        pytest.param(REVOKED, "install MinerPulse again", id="token_revoked"),
    ],
)
async def test_a_home_tab_that_stays_as_it_was_says_why_in_a_form(
    person: Person, slack: SlackServer, caplog: pytest.LogCaptureFixture, fault: Fault, why: str
) -> None:
    slack.fail(PUBLISHED, fault)
    await on_home(person, "refresh_home")
    assert why in str(slack.shown(OPENED)[-1]["blocks"])
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("code", ["invalid_blocks", "invalid_arguments"])
async def test_a_home_tab_whose_layout_is_refused_is_told_in_a_plain_one(
    person: Person, slack: SlackServer, caplog: pytest.LogCaptureFixture, code: str
) -> None:
    slack.fail(PUBLISHED, refused(code))
    await person.hears({"type": "app_home_opened", "user": "U1", "channel": "D1", "tab": "home"})
    (view,) = slack.shown(PUBLISHED)
    assert ["header", "section", "actions"] == [block["type"] for block in view["blocks"]]
    assert "In a channel, `/minerpulse` shows the market" in view["blocks"][1]["text"]["text"]
    assert code in caplog.text


async def test_a_home_tab_without_a_database_says_so(person: Person, slack: SlackServer, floor: Floor) -> None:
    await floor.store.aclose()
    await person.hears({"type": "app_home_opened", "user": "U1", "channel": "D1", "tab": "home"})
    assert "The database cannot be reached" in slack.shown(PUBLISHED)[-1]["blocks"][1]["text"]["text"]


async def on_home(person: Person, action_id: str) -> None:
    """Press a button on the Home tab, which belongs to no channel and has no response_url."""
    action: dict[str, Any] = {"type": "button", "action_id": action_id, "block_id": "b", "value": "home"}
    about = {"team": {"id": "T1"}, "user": {"id": "U1"}, "trigger_id": "4.trigger"}
    view = {"type": "home", "id": "V1", "blocks": []}
    await person.sends({"type": "block_actions", **about, "view": view, "actions": [action]})


async def test_a_welcome_that_cannot_be_posted_is_logged_with_what_to_do(
    person: Person, slack: SlackServer, caplog: pytest.LogCaptureFixture
) -> None:
    slack.fail(POST, refused("not_in_channel"))
    await replace(person, user="UBOT").hears({"type": "member_joined_channel", "user": "UBOT", "channel": "C1"})
    assert "type /invite @MinerPulse there" in caplog.text


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        pytest.param(refused("expired_trigger_id"), "Slack opens a form within three seconds only", id="too late"),
        pytest.param(LIMITED, "Slack asks to wait. Try again in a minute.", id="429"),
        pytest.param(BROKEN, "HTTP 503. Try again in a minute.", id="503"),
    ],
)
async def test_a_shortcut_whose_form_does_not_open_is_answered_by_a_message_to_the_person(
    person: Person, slack: SlackServer, fault: Fault, why: str
) -> None:
    slack.fail(OPENED, fault)
    await shortcut(person)
    (sent,) = slack.said(POST)
    assert "U1" == sent["channel"]
    assert why in sent["text"]


async def test_a_shortcut_of_which_nobody_can_be_told_is_logged(
    person: Person, slack: SlackServer, caplog: pytest.LogCaptureFixture
) -> None:
    slack.fail(OPENED, refused("expired_trigger_id"))
    slack.fail(POST, refused("messages_tab_disabled"))
    await shortcut(person)
    assert [] == slack.said(POST)
    assert "expired_trigger_id" in caplog.text
    assert "messages_tab_disabled" in caplog.text


async def shortcut(person: Person) -> None:
    about = {"team": {"id": "T1"}, "user": {"id": "U1"}, "trigger_id": "9.trigger"}
    await person.sends({"type": "shortcut", "callback_id": "board", **about})
