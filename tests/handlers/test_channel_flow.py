from dataclasses import replace
from datetime import timedelta

import pytest

from handlers.addressees import parse_addressee
from services.channels.permissions import Permissions
from services.core.identity import Channel, Mention
from services.delivery.outbox import Outbox
from tests.fakes.harness import CHANNEL, OPEN, Harness
from tests.fakes.slack import FakeSlack, Person
from tests.handlers.conftest import reply_to


async def test_channel_settings_are_shown_and_changed(person: Person, harness: Harness) -> None:
    before = await reply_to(person, "channel")
    after = await reply_to(person, "channel mention <!subteam^S1|@oncall>")
    await reply_to(person, "channel remind 15m")

    assert "*mention off*" in before
    assert "*mention* is now *@oncall*." in after
    assert "mention @oncall, by <@U1>, " in after
    assert "*mention <!subteam^S1>*" in after
    settings = (await harness.store.channel(CHANNEL)).settings
    assert settings.mention is not None
    assert "@oncall" == settings.mention.name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("channel quiet off", "*quiet* is already off. Nothing was changed.", id="off"),
        pytest.param("channel MENTION off", "*mention* is already off. Nothing was changed.", id="in capitals"),
        pytest.param("channel thread all", "*thread* is already all. Nothing was changed.", id="a choice"),
        pytest.param("channel zone new york", "*zone* is already America/New_York. Nothing was changed.", id="a zone"),
        pytest.param("channel editors everyone", "*editors* is already everyone. Nothing was changed.", id="people"),
        pytest.param("mute off", "*mute* is already off. Nothing was changed.", id="a mute"),
    ],
)
async def test_a_setting_that_changes_nothing_says_so(
    person: Person, harness: Harness, text: str, expected: str
) -> None:
    await reply_to(person, "channel broadcast on")
    answer = await reply_to(person, text)

    assert expected == answer.splitlines()[1]
    assert "is now" not in answer
    assert 1 == (await harness.store.channel(CHANNEL)).revision


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("channel mention @oncall", "Let Slack complete the name", id="plain text"),
        pytest.param("channel escalate 30m <#C1|here>", "alerts are already posted here", id="to itself"),
        pytest.param("channel remind 15m", "reminders need a mention", id="nobody to remind"),
        pytest.param("channel quiet 9", "couldn't read the hours", id="no hours"),
        pytest.param("channel editors <@U1> <!subteam^S1|@oncall>", "@oncall is a group", id="a group as an editor"),
        pytest.param("channel editors <@U2>", "Add yourself to it", id="a list without whoever makes it"),
        pytest.param("mute for ever", "for how long", id="no length"),
        pytest.param("mute until close", "the market is closed", id="no close"),
    ],
)
async def test_an_invalid_setting_is_explained_and_changes_nothing(
    person: Person, harness: Harness, text: str, expected: str
) -> None:
    assert expected in await reply_to(person, text)
    assert 0 == (await harness.store.channel(CHANNEL)).revision


async def test_only_editors_change_rules_and_the_editor_list(person: Person, harness: Harness) -> None:
    editor, outsider = replace(person, user="U2"), replace(person, user="U3")
    listed = await reply_to(person, "channel editors <@U1|ann> <@U2|bob>")
    refused = "Nothing was changed. Only <@U1> or <@U2> can "

    assert "*editors* is now *<@U1> <@U2>*." in listed
    assert "*editors <@U1> <@U2>* – who can change rules, settings, mutes and this list" in listed
    for typed in ("channel editors everyone", "channel editors <@U3>", "rule add 1d 8pp", "rule edit 1 1d 9pp"):
        assert (await reply_to(outsider, typed)).startswith(refused)
    for typed in ("rule pause 1", "rule resume 1", "rule remove 1"):
        assert (await reply_to(outsider, typed)).startswith(refused)
    assert (await reply_to(outsider, "channel thread ends")).startswith(refused)
    await editor.types("rule add 1d 8pp")
    assert 1 == len(await harness.commands.rules(CHANNEL))
    assert "*editors everyone*" in await reply_to(editor, "channel editors everyone")
    await outsider.types("rule add 5d 15pp")
    assert 2 == len(await harness.commands.rules(CHANNEL))


async def test_buttons_require_the_same_permission(person: Person, slack: FakeSlack, harness: Harness) -> None:
    await person.types("channel editors <@U1|ann>")
    outsider = replace(person, user="U3")
    for press in ("start", "begin", "add_rule"):
        await outsider.presses(press, "board")
        assert slack.responses[-1]["text"] == (
            "Nothing was changed. Only <@U1> can add, edit, pause, resume or remove rules here."
        )
    assert [] == slack.views()
    assert [] == await harness.commands.rules(CHANNEL)


async def test_global_editors_are_shown_with_the_channel_editors(person: Person, harness: Harness) -> None:
    harness.commands.permissions = Permissions(people=("U9",))

    assert "*editors <@U9>*" in await reply_to(person, "channel")
    assert "Only <@U9> can change the settings, mentions and list of editors" in await reply_to(
        person, "channel editors <@U1>"
    )
    assert "*editors <@U1> <@U9>*" in await reply_to(replace(person, user="U9"), "channel editors <@U1|ann>")


async def test_a_mute_shows_its_end_also_on_the_board(person: Person) -> None:
    muted = await reply_to(person, "mute 2h")
    board = await reply_to(person, "board")

    assert ":zzz: No new messages until <!date^1772641200^{date_short_pretty} at {time}|Mar 4, 11:20 AM ET>" in muted
    assert 1 == muted.splitlines().count(next(line for line in muted.splitlines() if line.startswith(":mute: ")))
    assert ":zzz: Nothing is posted until <!date^1772641200^" in board


async def test_the_end_of_a_mute_says_that_alerts_are_posted_again(person: Person) -> None:
    await person.types("mute 2h")

    ended = await reply_to(person, "mute off")

    assert "This channel is no longer muted.\nNew alerts are posted here." in ended


async def test_the_monitoring_report_is_available_to_everyone(person: Person, harness: Harness) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp", "U1")

    text = await reply_to(person, "digest")

    assert text.startswith("Tue Mar 3: no alerts from 1 rule. WGMI/BTC: 0 of 390 checks ran.")


async def test_a_setting_change_is_posted_in_the_thread_without_mentioning_a_group(
    person: Person, slack: FakeSlack, harness: Harness, outbox: Outbox
) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.tick(OPEN + timedelta(minutes=30), 0.10)

    await replace(person, channel="C9").types("channel accept-escalations on")
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
    await outbox.deliver(harness.clock.now())

    assert [
        "Context for alert #1.",
        "<@U1> changed a channel setting: editors <@U1> <@U2>.",
        "<@U1> changed a channel setting: mention @oncall.",
        "<@U1> changed a channel setting: escalate 30m <#C9>.",
        "<@U1> changed a channel setting: thread ends.",
    ] == [
        post["text"].partition(" Widest ")[0] for post in slack.arguments_of("chat.postMessage") if "thread_ts" in post
    ]


@pytest.mark.parametrize(
    ("text", "text_shown", "name", "person"),
    [
        pytest.param("<@U1|miner>", "<@U1>", "@miner", "U1", id="a person"),
        pytest.param("<@W012AB>", "<@W012AB>", "<@W012AB>", "W012AB", id="a person without a name"),
        pytest.param("U012AB3CD", "<@U012AB3CD>", "<@U012AB3CD>", "U012AB3CD", id="the ID of a person"),
        pytest.param("<!subteam^S1|@oncall>", "<!subteam^S1>", "@oncall", None, id="a group"),
        pytest.param("<!subteam^S1>", "<!subteam^S1>", "<!subteam^S1>", None, id="a group without a name"),
        pytest.param("S012AB3CD", "<!subteam^S012AB3CD>", "<!subteam^S012AB3CD>", None, id="the ID of a group"),
        pytest.param("<!here|here>", "<!here>", "@here", None, id="everyone here, escaped"),
        pytest.param("<!channel>", "<!channel>", "@channel", None, id="the channel"),
        pytest.param("@Here", "<!here>", "@here", None, id="everyone here, with a capital"),
        pytest.param(" @here ", "<!here>", "@here", None, id="everyone here, as plain text"),
    ],
)
def test_mentions_are_parsed(text: str, text_shown: str, name: str, person: str | None) -> None:
    assert Mention(text=text_shown, name=name, person=person) == parse_addressee(text, "T1")


@pytest.mark.parametrize("text", ["<#C1|general>", "<#C1>", "C1"])
def test_a_channel_is_parsed_by_its_escaped_id(text: str) -> None:
    expected = None if text == "C1" else Channel(team="T1", id="C1")

    assert expected == parse_addressee(text, "T1")


@pytest.mark.parametrize("text", ["@oncall", "#general", "oncall", "", "<@U1> and more", "<https://example.com>"])
def test_plain_text_is_ambiguous(text: str) -> None:
    assert parse_addressee(text, "T1") is None
