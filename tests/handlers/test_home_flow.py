"""The Home tab, the board by shortcut, and what happens where the app is added to a channel or taken out of one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from services.alerting.notice import Notice, Outage
from services.core.identity import Channel
from services.core.prices import WGMI_BTC
from services.delivery.ports import AlertMessage
from tests.fakes.floor import CLOSE, DESK, OPEN, Floor
from tests.fakes.slack import Person, SlackServer, refused

POST, PUBLISHED, OPENED = "chat.postMessage", "views.publish", "views.open"
LATER = OPEN + timedelta(minutes=30)
SECRET_ROOM = Channel(team="T1", id="C2")


def told(view: dict[str, Any]) -> str:
    """Every word of a view."""
    parts = [block.get("text", {}).get("text", "") for block in view["blocks"]]
    small = [one["text"] for block in view["blocks"] if block["type"] == "context" for one in block["elements"]]
    return "\n".join([*parts, *small])


async def opens_home(person: Person) -> None:
    await person.hears({"type": "app_home_opened", "user": person.user, "channel": "D1", "tab": "home"})


async def test_home_shows_the_market_and_first_steps_to_a_newcomer(
    person: Person, slack: SlackServer, floor: Floor
) -> None:
    floor.clock.at, floor.vendors.etf_last = LATER, (21.7, LATER)
    await opens_home(person)
    (call,), (view,) = slack.said(PUBLISHED), slack.shown(PUBLISHED)
    assert "U1" == call["user_id"]
    assert told(view).startswith("WGMI is 8.5 pp above bitcoin today\n")
    assert "1d: WGMI +8.5%, bitcoin" in told(view)
    assert "Data ok." in told(view)
    assert "*First steps*" in told(view)


async def test_home_lists_the_channels_where_a_person_acted_with_what_is_open_there(
    person: Person, slack: SlackServer, floor: Floor
) -> None:
    await person.types("rule add 1d 8pp")
    await floor.ticks(LATER, [0.09, 0.10])
    await opens_home(person)
    (view,) = slack.shown(PUBLISHED)
    assert "*<#C1>*\nOpen alert 1: WGMI 10.0 pp above bitcoin over 1 day" in told(view)
    assert "nobody sees to it yet" in told(view)
    assert "Rules: `1d 8pp` (1)." in told(view)
    assert "First steps" not in told(view)


async def test_home_tells_of_open_alerts_first_and_counts_the_channels_that_it_leaves_out(
    person: Person, slack: SlackServer, floor: Floor
) -> None:
    channels = [Channel(team="T1", id=f"C{number:02}") for number in range(24)]
    for channel in channels:
        await floor.desk.add_rule(channel, "1d 50pp", "U1")
    for channel in channels[:12]:
        await floor.desk.leave(channel, "U1")
    await floor.desk.add_rule(channels[-1], "1d 8pp for 0s", "U1")
    await floor.tick(LATER, 0.1)
    await opens_home(person)
    (view,) = slack.shown(PUBLISHED)
    assert told(view).index("<#C23>*\nOpen alert") < told(view).index("<#C12>")
    assert "<#C11>" not in told(view)
    assert "<#C20>*\nNo alert is open.\nRules: `1d 50pp`" in told(view)
    assert "… and 2 more channels" in told(view)


async def test_whoever_acknowledges_an_alert_finds_its_channel_there(
    person: Person, slack: SlackServer, floor: Floor
) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U9")
    await floor.tick(LATER, 0.1)
    await person.presses("acknowledge", "1")
    await opens_home(person)
    assert "acknowledged by <@U1>" in told(slack.shown(PUBLISHED)[-1])


async def test_home_tells_nothing_of_a_channel_where_others_acted(
    person: Person, slack: SlackServer, floor: Floor
) -> None:
    await floor.desk.add_rule(SECRET_ROOM, "1d 8pp for 0s", "U9")
    await floor.desk.add_rule(Channel(team="T2", id="C3"), "5d 9pp", "U1")  # of the same name in another workspace
    await floor.tick(LATER, 0.1)
    await opens_home(person)
    view = told(slack.shown(PUBLISHED)[-1])
    assert [] == [secret for secret in ("C2", "C3", "Open alert", "5d 9pp") if secret in view]


async def test_home_is_brought_up_to_date_by_its_button(person: Person, slack: SlackServer, floor: Floor) -> None:
    await opens_home(person)
    floor.clock.at, floor.vendors.etf_last = LATER, (21.7, LATER)
    await person.presses("refresh_home", "home")
    before, after = (told(view).splitlines()[0] for view in slack.shown(PUBLISHED))
    assert before != after == "WGMI is 8.5 pp above bitcoin today"


async def test_another_tab_is_none_of_our_business(person: Person, slack: SlackServer) -> None:
    await person.hears({"type": "app_home_opened", "user": "U1", "channel": "D1", "tab": "messages"})
    assert [] == slack.said(PUBLISHED)


async def test_a_home_that_slack_refuses_is_logged(
    person: Person, slack: SlackServer, caplog: pytest.LogCaptureFixture
) -> None:
    slack.fail(PUBLISHED, refused("not_enabled"))
    await opens_home(person)
    assert "not_enabled" in caplog.text


async def test_the_shortcut_opens_at_once_and_shows_the_board_then(
    person: Person, slack: SlackServer, floor: Floor
) -> None:
    floor.clock.at, floor.vendors.etf_last = LATER, (21.7, LATER)
    about = {"team": {"id": "T1"}, "user": {"id": "U1"}, "trigger_id": "9.trigger"}
    await person.sends({"type": "shortcut", "callback_id": "board", **about})
    (first,), (then,) = slack.shown(OPENED), slack.shown()
    assert "9.trigger" == slack.said(OPENED)[0]["trigger_id"]
    assert "Fetching prices …" == told(first)
    assert told(then).startswith("WGMI is 8.5 pp above bitcoin today\n")


async def test_a_channel_that_the_app_was_added_to_is_welcomed_and_can_begin(
    person: Person, slack: SlackServer, floor: Floor
) -> None:
    await person.hears({"type": "member_joined_channel", "user": "UBOT", "channel": "C1", "team": "T1"})
    (welcome,) = slack.said(POST)
    await person.presses("begin", "channel")
    (started,) = slack.answers
    await person.presses("begin", "channel")
    assert "C1" == welcome["channel"]
    assert "Nothing is watched here yet." in welcome["text"]
    assert started["replace_original"] is True
    assert "Rules: `1d 8pp`, `5d 15pp`, `20d 30pp`. Started by <@U1>." in started["text"]
    assert 3 == len(await floor.desk.rules(DESK))
    assert slack.answers[-1]["text"].startswith("Alerts come here already.")


async def test_a_channel_that_has_rules_is_told_which(person: Person, slack: SlackServer, floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "5d 15pp above", "U1")
    await person.hears({"type": "member_joined_channel", "user": "UBOT", "channel": "C1", "team": "T1"})
    assert "These rules stand here: `5d 15pp above`." in slack.said(POST)[0]["text"]


async def test_other_people_join_channels_unnoticed(person: Person, slack: SlackServer) -> None:
    await person.hears({"type": "member_joined_channel", "user": "U5", "channel": "C1", "team": "T1"})
    assert [] == slack.said(POST)


@pytest.mark.parametrize("kind", ["channel_left", "group_left", "channel_deleted", "group_deleted"])
async def test_leaving_a_channel_ends_what_was_watched_there_and_nowhere_else(
    person: Person, slack: SlackServer, floor: Floor, caplog: pytest.LogCaptureFixture, kind: str
) -> None:
    for channel in (DESK, SECRET_ROOM):
        await floor.desk.add_rule(channel, "1d 8pp for 0s", "U1")
    await floor.desk.add_rule(DESK, "5d 15pp", "U1")
    await floor.tick(LATER, 0.1)
    await person.hears({"type": kind, "channel": "C1", "actor_id": "U1"})
    await person.hears({"type": kind, "channel": "C1", "actor_id": "U1"})
    assert ([], 1) == (await floor.desk.rules(DESK), len(await floor.desk.rules(SECRET_ROOM)))
    assert ([], 1) == (await floor.open_alerts(DESK), len(await floor.open_alerts(SECRET_ROOM)))
    assert 1 == caplog.text.count(f"{kind}: 2 rules of channel C1 are removed: 1d 8pp for 0s; 5d 15pp")
    assert [] == slack.answers


async def test_nothing_is_watched_in_a_channel_that_was_left(person: Person, slack: SlackServer, floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
    await person.hears({"type": "channel_left", "channel": "C1", "actor_id": "U1"})
    await floor.tick(LATER, 0.1)
    assert [] == await floor.open_alerts(DESK)
    assert [] == slack.said(POST)


async def test_what_waits_for_a_channel_that_was_left_is_told_no_more(
    person: Person, slack: SlackServer, floor: Floor
) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
    for text in ("channel brief close", "channel daily on", "channel zone Europe/London", "mute until close"):
        await person.types(text)
    await floor.tick(LATER, 0.1)
    await person.hears({"type": "channel_left", "channel": "C1", "actor_id": "U1"})
    floor.clock.at = CLOSE + timedelta(hours=2)
    await floor.upkeep.tick(floor.clock.at)
    assert [] == await floor.store.due(floor.clock.at)
    assert [] == await floor.store.troubles("T1")
    await person.types("channel")
    assert "New messages are told here now." in slack.answers[-1]["text"]
    assert "*brief off*" in slack.answers[-1]["text"]
    assert "*zone Europe/London*" in slack.answers[-1]["text"]
    assert "all but zone, thread and editors was taken back" in slack.answers[-1]["text"]
    await person.types("why 1")
    assert "The alert's message: never told, as MinerPulse was taken out" in slack.answers[-1]["text"]


async def test_an_alert_that_stood_in_a_channel_that_was_left_tells_its_end_once_the_app_is_back(
    person: Person, floor: Floor
) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
    await floor.tick(LATER, 0.1)
    await floor.told()
    await person.hears({"type": "channel_left", "channel": "C1", "actor_id": "U1"})
    assert [] == await floor.store.due(LATER)
    await person.hears({"type": "member_joined_channel", "user": "UBOT", "channel": "C1", "team": "T1"})
    (late,) = await floor.store.due(LATER)
    assert isinstance(late.told, AlertMessage)
    assert late.told.alert.closed_at is not None
    assert late.message_id is not None


async def test_an_outage_is_not_followed_in_a_channel_that_was_left(person: Person, floor: Floor) -> None:
    told = Outage(pair=WGMI_BTC, since=OPEN, reason="no source answers", prices=())
    notice = Notice(id=0, channel=DESK, name="outage", content=told, opened_at=OPEN)
    await floor.store.add_notices([notice], OPEN)
    await person.hears({"type": "channel_left", "channel": "C1", "actor_id": "U1"})
    assert [] == await floor.store.open_notices(Outage)
    assert [] == await floor.store.due(LATER)
