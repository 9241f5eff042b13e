"""The Home tab, the board shortcut, and channels that the app is added to or removed from."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from services.alerting.notice import Notice, Outage
from services.alerting.ports import ChannelRule
from services.core.identity import Channel
from services.core.prices import WGMI_BTC
from services.delivery.ports import AlertMessage
from services.rules.grammar import parse_rule
from tests.fakes.harness import CHANNEL, CLOSE, OPEN, Harness
from tests.fakes.slack import MEMBERSHIPS, FakeSlack, Fault, Person, error_response
from tests.handlers.conftest import reply_to

POST, PUBLISHED, OPENED = "chat.postMessage", "views.publish", "views.open"
LATER = OPEN + timedelta(minutes=30)
OTHER_CHANNEL = Channel(team="T1", id="C2")


def view_text(view: dict[str, Any]) -> str:
    """Return all text of a view."""
    parts = [block.get("text", {}).get("text", "") for block in view["blocks"]]
    small = [one["text"] for block in view["blocks"] if block["type"] == "context" for one in block["elements"]]
    fields = [one["text"] for block in view["blocks"] for one in block.get("fields", ())]
    return "\n".join([*parts, *small, *fields]).replace("\u00a0", " ")


def accessory(view: dict[str, Any], action_id: str) -> dict[str, Any]:
    """Return the only accessory of a view with this action."""
    found = [block["accessory"] for block in view["blocks"] if "accessory" in block]
    (one,) = [element for element in found if element["action_id"].startswith(f"{action_id}:")]
    return dict(one)


async def presses_on_home(person: Person, element: dict[str, Any], value: str = "") -> None:
    """Press a button of the Home tab, or choose from its menu; such a press has no channel and no response_url."""
    action = {"type": element["type"], "action_id": element["action_id"], "block_id": "b"}
    chosen = {"selected_option": {"value": value}} if value else {"value": element["value"]}
    await person.sends_payload(
        {
            "type": "block_actions",
            "team": {"id": person.team},
            "user": {"id": person.user, "team_id": person.own_team or person.team},
            "trigger_id": "4.trigger",
            "view": {"id": "V1", "type": "home"},
            "container": {"type": "view", "view_id": "V1"},
            "actions": [{**action, **chosen}],
        }
    )


def button_values(view: dict[str, Any]) -> dict[str, str]:
    """Return the value of each button of a view by its action."""
    rows = [block["elements"] for block in view["blocks"] if block["type"] == "actions"]
    return {one["action_id"]: one["value"] for row in rows for one in row}


async def opens_home(person: Person) -> None:
    await person.triggers_event({"type": "app_home_opened", "user": person.user, "channel": "D1", "tab": "home"})


async def test_home_shows_the_market_and_first_steps_to_a_new_user(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    harness.clock.at, harness.vendors.etf_last = LATER, (21.7, LATER)
    await opens_home(person)
    (call,), (view,) = slack.arguments_of(PUBLISHED), slack.views(PUBLISHED)
    assert "U1" == call["user_id"]
    assert view_text(view).startswith("Market\n")
    assert "*1 session*  +8.5 pp" in view_text(view)
    assert "WGMI +8.5%, BTC" in view_text(view)
    assert "Data OK" in view_text(view)
    assert "*First steps*" in view_text(view)


async def test_home_lists_the_persons_channels_with_open_alerts(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    await person.types("rule add 1d 8pp")
    await harness.ticks(LATER, [0.09, 0.10])
    await opens_home(person)
    (view,) = slack.views(PUBLISHED)
    assert view_text(view).startswith(
        "1 open alert\n:red_circle: *#1* WGMI 10.0 pp ahead of BTC over 1 session\n"
        "<#C1> · not acknowledged · since <!date^"
    )
    assert "<#C1>  1 rule: `1d 8pp` :red_circle: Firing" in view_text(view)
    assert "First steps" not in view_text(view)


async def test_home_shows_open_alerts_first_and_the_rest_on_further_pages(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    channels = [Channel(team="T1", id=f"C{number:02}") for number in range(24)]
    slack.joined["U1"] = [channel.id for channel in channels]
    for channel in channels:
        await harness.commands.add_rule(channel, "1d 50pp", "U1")
    for channel in channels[:12]:
        await harness.commands.leave(channel, "U1")
    await harness.commands.add_rule(channels[-1], "1d 8pp for 0s", "U1")
    await harness.tick(LATER, 0.1)
    await opens_home(person)
    (view,) = slack.views(PUBLISHED)
    assert "1 open alert on this page" == view["blocks"][0]["text"]["text"]
    assert view_text(view).index("<#C23>  2 rules") < view_text(view).index("<#C12>  1 rule")
    assert "<#C11>" not in view_text(view)
    assert "<#C20>  1 rule: `1d 50pp` OK" in view_text(view)
    assert "Page 1 of 2. Channels with open alerts come first." in view_text(view)
    await person.presses("home_next", "1")
    await person.presses("refresh_home", "1")
    await person.presses("home_previous", "0")
    second, refreshed, first = slack.views(PUBLISHED)[1:]
    assert [False, True, True] == [channel in view_text(second) for channel in ("<#C20>", "<#C21>", "<#C22>")]
    assert (button_values(second), view_text(second)) == (button_values(refreshed), view_text(refreshed))
    assert {"refresh_home": "home", "home_next": "1"} == button_values(view) == button_values(first)
    assert {"refresh_home": "1", "home_previous": "0"} == button_values(second)


@pytest.mark.parametrize("page", ["9", "-1", "1e3", "99999999999", "x"])
async def test_a_page_that_does_not_exist_shows_an_existing_one(person: Person, slack: FakeSlack, page: str) -> None:
    await person.types("rule add 1d 8pp")
    await person.presses("home_next", page)
    assert "<#C1>  1 rule: `1d 8pp`" in view_text(slack.views(PUBLISHED)[-1])


async def test_home_reads_only_the_channels_of_its_page(
    person: Person, slack: FakeSlack, harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    channels = [Channel(team="T1", id=f"C{number:03}") for number in range(150)]
    slack.joined["U1"] = [channel.id for channel in channels]
    for channel in channels:
        await harness.store.add_rules(channel, [parse_rule("1d 50pp")], "U1", LATER)
    read, rules = list[str](), harness.store.rules

    async def counted(channel: Channel) -> list[ChannelRule]:
        read.append(channel.id)
        return await rules(channel)

    monkeypatch.setattr(harness.store, "rules", counted)
    await person.presses("home_next", "14")
    assert [f"C{number}" for number in range(140, 150)] == read
    assert "Page 15 of 15" in view_text(slack.views(PUBLISHED)[-1])


async def test_home_lists_channels_where_the_person_acknowledged(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U9")
    await harness.tick(LATER, 0.1)
    await person.presses("acknowledge", "1")
    await opens_home(person)
    assert "acknowledged by <@U1>" in view_text(slack.views(PUBLISHED)[-1])


async def test_home_omits_channels_where_only_others_acted(person: Person, slack: FakeSlack, harness: Harness) -> None:
    await harness.commands.add_rule(OTHER_CHANNEL, "1d 8pp for 0s", "U9")
    await harness.commands.add_rule(Channel(team="T2", id="C3"), "5d 9pp", "U1")  # same id in another workspace
    await harness.tick(LATER, 0.1)
    await opens_home(person)
    view = view_text(slack.views(PUBLISHED)[-1])
    assert [] == [secret for secret in ("C2", "C3", "open alert", "5d 9pp") if secret in view]


async def test_the_refresh_button_updates_home(person: Person, slack: FakeSlack, harness: Harness) -> None:
    await opens_home(person)
    harness.clock.at, harness.vendors.etf_last = LATER, (21.7, LATER)
    await person.presses("refresh_home", "home")
    before, after = ("+8.5 pp" in view_text(view) for view in slack.views(PUBLISHED))
    assert (before, after) == (False, True)


async def opens_tab(person: Person, tab: str) -> None:
    await person.triggers_event({"type": "app_home_opened", "user": person.user, "channel": "D1", "tab": tab})


async def test_other_tabs_are_ignored(person: Person, slack: FakeSlack) -> None:
    await opens_tab(person, "about")
    assert [] == slack.arguments_of(PUBLISHED)
    assert [] == slack.arguments_of(POST)


async def test_the_messages_tab_says_once_how_to_ask(person: Person, slack: FakeSlack) -> None:
    slack.fail(POST, error_response("messages_tab_disabled"))
    for _ in range(3):
        await opens_tab(person, "messages")
    await opens_tab(replace(person, user="U2"), "messages")
    assert ["D1", "D1"] == [post["channel"] for post in slack.arguments_of(POST)]
    assert "type /minerpulse" in slack.arguments_of(POST)[0]["text"]
    assert [] == slack.arguments_of(PUBLISHED)


async def fires(harness: Harness, channel: Channel = CHANNEL) -> None:
    await harness.commands.add_rule(channel, "1d 8pp for 0s", "U1")
    await harness.tick(LATER, 0.1)


async def test_an_alert_is_acknowledged_on_home(person: Person, slack: FakeSlack, harness: Harness) -> None:
    await fires(harness)
    await opens_home(person)
    acknowledge = accessory(slack.views(PUBLISHED)[-1], "home_acknowledge")
    assert ("Acknowledge", "Acknowledge alert 1") == (
        acknowledge["text"]["text"],
        acknowledge["accessibility_label"],
    )
    await presses_on_home(person, acknowledge)

    (alert,) = await harness.open_alerts(CHANNEL)
    assert "U1" == (alert.acknowledged and alert.acknowledged.by)
    refreshed = slack.views(PUBLISHED)[-1]
    assert ":eyes: *#1* WGMI" in view_text(refreshed)
    assert "<#C1> · acknowledged by <@U1> · since" in view_text(refreshed)
    assert "home_acknowledge" not in str(refreshed)


async def test_a_snoozed_alert_shows_until_when(person: Person, slack: FakeSlack, harness: Harness) -> None:
    await fires(harness)
    await harness.commands.snooze(CHANNEL, 1, "U1", timedelta(hours=1))
    await opens_home(person)
    view = slack.views(PUBLISHED)[-1]
    assert ":zzz: *#1* WGMI" in view_text(view)
    assert "· snoozed until <!date^" in view_text(view)
    assert "C1:1:0" == accessory(view, "home_acknowledge")["value"]


async def test_an_alert_number_links_to_its_message(person: Person, slack: FakeSlack, harness: Harness) -> None:
    await fires(harness)
    await harness.deliver_all()
    (posted,) = await harness.store.messages_without_permalink((), 1)
    await harness.store.save_permalink(posted, "https://desk.slack.com/archives/C1/p1")
    await opens_home(person)
    assert "*<https://desk.slack.com/archives/C1/p1|#1>* WGMI" in view_text(slack.views(PUBLISHED)[-1])


@pytest.mark.parametrize(
    ("joined", "value", "expected"),
    [
        pytest.param(["C2"], "C1:1:0", "You aren't a member of that channel", id="left the channel"),
        pytest.param(["C1", "C2"], "C2:1:0", "No alert 1 in this channel", id="of another channel"),
        pytest.param(["C1"], "C1", "This button is out of date", id="an old button"),
        pytest.param(None, "C1:1:0", "Couldn't check which channels you are in", id="unknown"),
    ],
)
async def test_only_members_acknowledge_on_home(
    person: Person, slack: FakeSlack, harness: Harness, joined: list[str] | None, value: str, expected: str
) -> None:
    await fires(harness)
    if joined is None:
        slack.fail(MEMBERSHIPS, error_response("missing_scope"))
    else:
        slack.joined["U1"] = joined
    await presses_on_home(person, {"type": "button", "action_id": "home_acknowledge", "value": value})

    assert expected in view_text(slack.views(OPENED)[-1])
    assert [None] == [alert.acknowledged for alert in await harness.open_alerts()]


async def test_people_of_another_organization_do_not_acknowledge_on_home(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    await fires(harness)
    guest = replace(person, own_team="T9")
    await presses_on_home(guest, {"type": "button", "action_id": "home_acknowledge", "value": "C1:1:0"})

    assert "another organization" in view_text(slack.views(OPENED)[-1])
    assert [None] == [alert.acknowledged for alert in await harness.open_alerts()]


async def test_the_menu_of_a_channel_works_in_that_channel(person: Person, slack: FakeSlack, harness: Harness) -> None:
    await harness.commands.add_rule(OTHER_CHANNEL, "5d 15pp", "U1")
    await opens_home(person)
    menu = accessory(slack.views(PUBLISHED)[-1], "home_channel")
    values = [option["value"] for option in menu["options"]]
    assert ["rules:C2", "add:C2", "settings:C2", "mute:C2"] == values
    for value in values:
        await presses_on_home(person, menu, value)

    rules, editor, settings, muted = slack.views(OPENED)
    assert "5d 15pp" in view_text(rules)
    assert [] == [block for block in rules["blocks"] if block["type"] == "actions" or "accessory" in block]
    assert '"channel": "C2"' in editor["private_metadata"].replace('":"', '": "')
    assert "quiet" in view_text(settings)
    assert "uted by" in view_text(muted)
    assert (True, True) == (
        await harness.commands.settings.silence(OTHER_CHANNEL) is not None,
        await harness.commands.settings.silence(CHANNEL) is None,
    )


@pytest.mark.parametrize("value", ["rules:C9", "mute:C9", "other:C2"])
async def test_the_menu_of_a_channel_is_for_its_members(
    person: Person, slack: FakeSlack, harness: Harness, value: str
) -> None:
    await presses_on_home(person, {"type": "overflow", "action_id": "home_channel"}, value)

    (shown,) = slack.views(OPENED)
    assert "nothing was changed" in view_text(shown) or "out of date" in view_text(shown)
    assert await harness.commands.settings.silence(Channel(team="T1", id="C9")) is None


async def test_a_rejected_home_tab_is_logged(
    person: Person, slack: FakeSlack, caplog: pytest.LogCaptureFixture
) -> None:
    slack.fail(PUBLISHED, error_response("not_enabled"))
    await opens_home(person)
    assert "not_enabled" in caplog.text


async def test_the_shortcut_opens_a_loading_view_then_the_board(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    harness.clock.at, harness.vendors.etf_last = LATER, (21.7, LATER)
    payload = {"team": {"id": "T1"}, "user": {"id": "U1"}, "trigger_id": "9.trigger"}
    await person.sends_payload({"type": "shortcut", "callback_id": "board", **payload})
    (loading,), (board,) = slack.views(OPENED), slack.views()
    assert "9.trigger" == slack.arguments_of(OPENED)[0]["trigger_id"]
    assert "Fetching prices…" == view_text(loading)
    assert view_text(board).startswith("Market\n")
    assert "*1 session*  +8.5 pp" in view_text(board)
    assert "*252 sessions*  " in view_text(board)


async def test_a_channel_that_the_app_joins_is_welcomed_and_can_start_alerts(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    await person.triggers_event({"type": "member_joined_channel", "user": "UBOT", "channel": "C1", "team": "T1"})
    (welcome,) = slack.arguments_of(POST)
    await person.presses("begin", "channel")
    (started,) = slack.responses
    await person.presses("begin", "channel")
    assert "C1" == welcome["channel"]
    assert "No rules here yet" in welcome["text"]
    assert started["replace_original"] is True
    assert "Started by <@U1>" in started["shown"]
    assert 3 == len(await harness.commands.rules(CHANNEL))
    assert slack.responses[-1]["text"].startswith("Nothing was changed: this channel already has rules.")


async def test_the_welcome_lists_existing_rules(person: Person, slack: FakeSlack, harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "5d 15pp above", "U1")
    await person.triggers_event({"type": "member_joined_channel", "user": "UBOT", "channel": "C1", "team": "T1"})
    assert "Rules: 5d 15pp above." in slack.arguments_of(POST)[0]["text"]


async def test_other_members_joining_are_ignored(person: Person, slack: FakeSlack) -> None:
    await person.triggers_event({"type": "member_joined_channel", "user": "U5", "channel": "C1", "team": "T1"})
    assert [] == slack.arguments_of(POST)


@pytest.mark.parametrize("kind", ["channel_left", "group_left", "channel_deleted", "group_deleted"])
async def test_leaving_a_channel_removes_only_its_own_rules_and_alerts(
    person: Person, slack: FakeSlack, harness: Harness, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    for channel in (CHANNEL, OTHER_CHANNEL):
        await harness.commands.add_rule(channel, "1d 8pp for 0s", "U1")
    await harness.commands.add_rule(CHANNEL, "5d 15pp", "U1")
    await harness.tick(LATER, 0.1)
    await person.triggers_event({"type": kind, "channel": "C1", "actor_id": "U1"})
    await person.triggers_event({"type": kind, "channel": "C1", "actor_id": "U1"})
    assert ([], 1) == (
        await harness.commands.rules(CHANNEL),
        len(await harness.commands.rules(OTHER_CHANNEL)),
    )
    assert ([], 1) == (await harness.open_alerts(CHANNEL), len(await harness.open_alerts(OTHER_CHANNEL)))
    assert 1 == caplog.text.count(f"{kind} event; removed 2 rules from channel C1: 1d 8pp for 0s; 5d 15pp")
    assert [] == slack.responses


async def test_no_alert_opens_in_a_channel_that_was_left(person: Person, slack: FakeSlack, harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await person.triggers_event({"type": "channel_left", "channel": "C1", "actor_id": "U1"})
    await harness.tick(LATER, 0.1)
    assert [] == await harness.open_alerts(CHANNEL)
    assert [] == slack.arguments_of(POST)


async def test_pending_messages_of_a_channel_that_was_left_are_cancelled(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    for text in ("channel brief close", "channel daily on", "channel zone Europe/London", "mute until close"):
        await person.types(text)
    await harness.tick(LATER, 0.1)
    await person.triggers_event({"type": "channel_left", "channel": "C1", "actor_id": "U1"})
    harness.clock.at = CLOSE + timedelta(hours=2)
    await harness.maintenance.tick(harness.clock.at)
    assert [] == await harness.store.due(harness.clock.at)
    assert [] == await harness.store.delivery_problems("T1")
    assert "New alerts are posted here." in await reply_to(person, "channel")
    assert "*brief off*" in slack.responses[-1]["shown"]
    assert "*zone Europe/London*" in slack.responses[-1]["shown"]
    assert "all settings but zone, thread and editors were reset" in slack.responses[-1]["shown"]
    assert "Alert message: not sent: MinerPulse was removed" in await reply_to(person, "why 1")


async def test_an_alert_posted_before_the_app_left_is_updated_when_it_returns(person: Person, harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.tick(LATER, 0.1)
    await harness.deliver_all()
    await person.triggers_event({"type": "channel_left", "channel": "C1", "actor_id": "U1"})
    assert [] == await harness.store.due(LATER)
    await person.triggers_event({"type": "member_joined_channel", "user": "UBOT", "channel": "C1", "team": "T1"})
    (delivery,) = await harness.store.due(LATER)
    assert isinstance(delivery.message, AlertMessage)
    assert delivery.message.alert.closed_at is not None
    assert delivery.message_id is not None


async def test_an_outage_notice_is_closed_in_a_channel_that_was_left(person: Person, harness: Harness) -> None:
    view_text = Outage(pair=WGMI_BTC, since=OPEN, reason="no source answers", prices=())
    notice = Notice(id=0, channel=CHANNEL, name="outage", content=view_text, opened_at=OPEN)
    await harness.store.add_notices([notice], OPEN)
    await person.triggers_event({"type": "channel_left", "channel": "C1", "actor_id": "U1"})
    assert [] == await harness.store.open_notices(Outage)
    assert [] == await harness.store.due(LATER)


async def test_home_shows_a_channel_to_its_present_members_only(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    await person.types("rule add 1d 8pp")
    await replace(person, channel="C2").types("rule add 5d 15pp")
    await opens_home(person)
    slack.joined["U1"] = ["C2"]
    await opens_home(person)
    harness.clock.at += timedelta(minutes=5)
    await opens_home(person)
    cached, asked_again = slack.views(PUBLISHED)[-2:]
    assert "<#C1>" in view_text(cached)
    assert ["<#C1>" not in view_text(asked_again), "<#C2>" in view_text(asked_again)] == [True, True]
    assert ["U1", "U1"] == [call["user"] for call in slack.arguments_of(MEMBERSHIPS)]


async def test_leaving_a_channel_removes_it_from_home_at_once(person: Person, slack: FakeSlack) -> None:
    await person.types("rule add 1d 8pp")
    await opens_home(person)
    slack.joined["U1"] = []
    await person.triggers_event({"type": "member_left_channel", "user": "U1", "channel": "C1", "team": "T1"})
    await person.triggers_event({"type": "member_left_channel", "user": "U5", "channel": "C1", "team": "T1"})
    before, after = slack.views(PUBLISHED)
    assert ("<#C1>" in view_text(before), "<#C1>" in view_text(after)) == (True, False)


@pytest.mark.parametrize(
    "fault", [error_response("missing_scope"), error_response("ratelimited", status=429), Fault(status=500)]
)
async def test_home_hides_all_channels_if_memberships_are_unknown(
    person: Person, slack: FakeSlack, fault: Fault
) -> None:
    await person.types("rule add 1d 8pp")
    slack.fail(MEMBERSHIPS, fault)
    await opens_home(person)
    await opens_home(person)
    hidden, shown = (view_text(view) for view in slack.views(PUBLISHED))
    assert "Your channels aren't shown, because Slack didn't return them." in hidden
    assert ("<#C1>" in hidden, "<#C1>" in shown) == (False, True)


async def test_memberships_are_read_page_by_page(person: Person, slack: FakeSlack) -> None:
    slack.page, slack.joined["U1"] = 2, ["C7", "C8", "C9", "C1"]
    await person.types("rule add 1d 8pp")
    await opens_home(person)
    assert "<#C1>" in view_text(slack.views(PUBLISHED)[-1])
