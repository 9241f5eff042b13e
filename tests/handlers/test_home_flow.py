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
    return "\n".join([*parts, *small])


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
    assert view_text(view).startswith("WGMI is 8.5 pp above bitcoin today\n")
    assert "1d: WGMI +8.5%, bitcoin" in view_text(view)
    assert "Data ok." in view_text(view)
    assert "*First steps*" in view_text(view)


async def test_home_lists_the_persons_channels_with_open_alerts(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    await person.types("rule add 1d 8pp")
    await harness.ticks(LATER, [0.09, 0.10])
    await opens_home(person)
    (view,) = slack.views(PUBLISHED)
    assert "*<#C1>*\nOpen alert 1: WGMI 10.0 pp above bitcoin over 1 day" in view_text(view)
    assert "not acknowledged yet" in view_text(view)
    assert "Rules: `1d 8pp` (1)." in view_text(view)
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
    assert view_text(view).index("<#C23>*\nOpen alert") < view_text(view).index("<#C12>")
    assert "<#C11>" not in view_text(view)
    assert "<#C20>*\nNo alert is open.\nRules: `1d 50pp`" in view_text(view)
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
    assert "Rules: `1d 8pp` (1)." in view_text(slack.views(PUBLISHED)[-1])


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
    assert [] == [secret for secret in ("C2", "C3", "Open alert", "5d 9pp") if secret in view]


async def test_the_refresh_button_updates_home(person: Person, slack: FakeSlack, harness: Harness) -> None:
    await opens_home(person)
    harness.clock.at, harness.vendors.etf_last = LATER, (21.7, LATER)
    await person.presses("refresh_home", "home")
    before, after = (view_text(view).splitlines()[0] for view in slack.views(PUBLISHED))
    assert before != after == "WGMI is 8.5 pp above bitcoin today"


async def test_other_tabs_are_ignored(person: Person, slack: FakeSlack) -> None:
    await person.triggers_event({"type": "app_home_opened", "user": "U1", "channel": "D1", "tab": "messages"})
    assert [] == slack.arguments_of(PUBLISHED)


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
    assert "Fetching prices …" == view_text(loading)
    assert view_text(board).startswith("WGMI is 8.5 pp above bitcoin today\n")


async def test_a_channel_that_the_app_joins_is_welcomed_and_can_start_alerts(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    await person.triggers_event({"type": "member_joined_channel", "user": "UBOT", "channel": "C1", "team": "T1"})
    (welcome,) = slack.arguments_of(POST)
    await person.presses("begin", "channel")
    (started,) = slack.responses
    await person.presses("begin", "channel")
    assert "C1" == welcome["channel"]
    assert "This channel has no rules yet." in welcome["text"]
    assert started["replace_original"] is True
    assert "Rules: `1d 8pp`, `5d 15pp`, `20d 30pp`. Started by <@U1>." in started["text"]
    assert 3 == len(await harness.commands.rules(CHANNEL))
    assert slack.responses[-1]["text"].startswith("Alerts come here already.")


async def test_the_welcome_lists_existing_rules(person: Person, slack: FakeSlack, harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "5d 15pp above", "U1")
    await person.triggers_event({"type": "member_joined_channel", "user": "UBOT", "channel": "C1", "team": "T1"})
    assert "Rules in this channel: `5d 15pp above`." in slack.arguments_of(POST)[0]["text"]


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
    assert 1 == caplog.text.count(f"{kind}: removed 2 rules of channel C1: 1d 8pp for 0s; 5d 15pp")
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
    assert "New messages are posted here now." in await reply_to(person, "channel")
    assert "*brief off*" in slack.responses[-1]["text"]
    assert "*zone Europe/London*" in slack.responses[-1]["text"]
    assert "all settings but zone, thread and editors were reset" in slack.responses[-1]["text"]
    assert "The alert's message: never sent, because MinerPulse was removed" in await reply_to(person, "why 1")


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
    assert "*<#C1>*" in view_text(cached)
    assert ["<#C1>" not in view_text(asked_again), "<#C2>" in view_text(asked_again)] == [True, True]
    assert ["U1", "U1"] == [call["user"] for call in slack.arguments_of(MEMBERSHIPS)]


async def test_leaving_a_channel_removes_it_from_home_at_once(person: Person, slack: FakeSlack) -> None:
    await person.types("rule add 1d 8pp")
    await opens_home(person)
    slack.joined["U1"] = []
    await person.triggers_event({"type": "member_left_channel", "user": "U1", "channel": "C1", "team": "T1"})
    await person.triggers_event({"type": "member_left_channel", "user": "U5", "channel": "C1", "team": "T1"})
    before, after = slack.views(PUBLISHED)
    assert ("*<#C1>*" in view_text(before), "<#C1>" in view_text(after)) == (True, False)


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
    assert "Your channels aren't shown, because Slack doesn't say which ones you are in." in hidden
    assert ("<#C1>" in hidden, "<#C1>" in shown) == (False, True)


async def test_memberships_are_read_page_by_page(person: Person, slack: FakeSlack) -> None:
    slack.page, slack.joined["U1"] = 2, ["C7", "C8", "C9", "C1"]
    await person.types("rule add 1d 8pp")
    await opens_home(person)
    assert "*<#C1>*" in view_text(slack.views(PUBLISHED)[-1])
