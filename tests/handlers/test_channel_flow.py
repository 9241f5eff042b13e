from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from handlers.notifier import SlackNotifier
from services.channels.permissions import RulePermissions
from services.delivery.outbox import Outbox
from tests.fakes.floor import DESK, OPEN, Floor
from tests.fakes.slack import TOKEN, Person, SlackServer


async def told(person: Person, text: str) -> str:
    await person.types(text)
    return str(person.server.answers[-1]["text"])


async def test_a_channel_shows_and_changes_how_it_is_set(person: Person, floor: Floor) -> None:
    before = await told(person, "channel")
    after = await told(person, "channel mention <!subteam^S1|@oncall>")
    await told(person, "channel remind 15m")

    assert "*mention off*" in before
    assert after.startswith("Set: *mention <!subteam^S1>*, by <@U1>, ")
    assert "*mention <!subteam^S1>*" in after
    settings = (await floor.store.channel(DESK)).settings
    assert settings.mention is not None
    assert "@oncall" == settings.mention.name


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param("channel mention @oncall", "let Slack complete the name", id="plain text"),
        pytest.param("channel escalate 30m <#C1|here>", "Alerts are told here already", id="to itself"),
        pytest.param("channel remind 15m", "Say first whom reminders call", id="nobody to remind"),
        pytest.param("channel quiet 9", "Cannot read the hours", id="no hours"),
        pytest.param("channel editors <@U1> <!subteam^S1|@oncall>", "@oncall is a group", id="a group as an editor"),
        pytest.param("channel editors <@U2>", "name yourself, too", id="a list without whoever makes it"),
        pytest.param("mute for ever", "Mute for how long", id="no length"),
        pytest.param("mute until close", "The market is shut", id="no close"),
    ],
)
async def test_what_cannot_be_set_says_why_and_sets_nothing(
    person: Person, floor: Floor, text: str, complaint: str
) -> None:
    assert complaint in await told(person, text)
    assert 0 == (await floor.store.channel(DESK)).revision


async def test_those_on_the_list_alone_change_rules_and_the_list(person: Person, floor: Floor) -> None:
    bob, eve = replace(person, user="U2"), replace(person, user="U3")
    listed = await told(person, "channel editors <@U1|ann> <@U2|bob>")
    refused = "Nothing was changed: rules are changed here by <@U1>, <@U2> only; ask one of them."

    assert listed.startswith("Set: *editors <@U1> <@U2>*, by <@U1>, ")
    assert "*editors <@U1> <@U2>*: who may change the rules here, and this list" in listed
    for typed in ("channel editors everyone", "channel editors <@U3>", "rule add 1d 8pp", "rule edit 1 1d 9pp"):
        assert refused == await told(eve, typed)
    for typed in ("rule pause 1", "rule resume 1", "rule remove 1"):
        assert refused == await told(eve, typed)
    assert (await told(eve, "channel thread ends")).startswith("Set: *thread ends*")
    await bob.types("rule add 1d 8pp")
    assert 1 == len(await floor.desk.rules(DESK))
    assert "*editors everyone*" in await told(bob, "channel editors everyone")
    await eve.types("rule add 5d 15pp")
    assert 2 == len(await floor.desk.rules(DESK))


async def test_the_buttons_ask_the_same_list(person: Person, slack: SlackServer, floor: Floor) -> None:
    await person.types("channel editors <@U1|ann>")
    eve = replace(person, user="U3")
    for press in ("start", "begin"):
        await eve.presses(press, "board")
        assert "rules are changed here by <@U1> only; ask one of them." in slack.answers[-1]["text"]
    await eve.presses("add_rule", "rule")
    assert "outcome" == slack.shown()[-1]["callback_id"]
    assert "by <@U1> only; ask one of them." in slack.shown()[-1]["blocks"][0]["text"]["text"]
    assert [] == await floor.desk.rules(DESK)


async def test_who_may_everywhere_is_told_with_the_list(person: Person, floor: Floor) -> None:
    floor.desk.editors = RulePermissions(people=("U9",))

    assert "*editors <@U9>*" in await told(person, "channel")
    assert "rules are changed here by <@U9> only" in await told(person, "channel editors <@U1>")
    assert "*editors <@U1> <@U9>*" in await told(replace(person, user="U9"), "channel editors <@U1|ann>")


async def test_a_mute_is_told_with_its_end_and_on_the_board(person: Person) -> None:
    muted = await told(person, "mute 2h")
    board = await told(person, "board")

    assert "Silent until Wed 4 Mar 11:20 New York (16:20 UTC): muted." in muted
    assert "Silent until Wed 4 Mar 11:20 New York (16:20 UTC): muted. A digest follows then." in board


async def test_the_proof_of_silence_is_there_for_everyone(person: Person, floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp", "U1")

    text = await told(person, "digest")

    assert text.startswith("Watched Tue 3 Mar: no alerts from 1 rule\nWGMI/BTC: 0 of 390 ticks done")


async def test_what_is_set_is_told_in_the_thread_of_an_open_alert_and_calls_no_group(
    person: Person, slack: SlackServer, floor: Floor
) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp for 0s", "U1")
    await floor.tick(OPEN + timedelta(minutes=30), 0.10)

    for typed in (
        "channel editors <@U1|ann> <@U2|bob>",
        "channel editors <@U1|ann> <@U2|bob>",
        "channel mention <!subteam^S1|@oncall>",
        "channel escalate 30m <#C9|secret>",
        "channel thread ends",
        "channel thread all",
        "mute 2h",
        "mute off",
    ):
        await person.types(typed)
    client = AsyncWebClient(token=TOKEN, base_url=f"{slack.url}api/")
    notifier = SlackNotifier(client, floor.clock)
    await Outbox(store=floor.store, notifier=notifier, clock=floor.clock).deliver(floor.clock.now())

    assert [
        "Changed in this channel: editors <@U1> <@U2> was set by <@U1>.",
        "Changed in this channel: mention @oncall was set by <@U1>.",
        "Changed in this channel: escalate 30m <#C9> was set by <@U1>.",
        "Changed in this channel: thread ends was set by <@U1>.",
    ] == [post["text"] for post in slack.said("chat.postMessage") if "thread_ts" in post]
