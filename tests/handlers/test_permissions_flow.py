"""Every command, button, menu, form and shortcut, used by everyone who may and everyone who may not."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from handlers.actions import ACTIONS
from handlers.background import INTERNAL_ERROR
from handlers.commands import COMMANDS
from handlers.commands.parse import parse_command
from handlers.listeners import MODALS, SHORTCUTS, is_outsider
from services.channels.permissions import PERMISSIONS, Act, Permission, Permissions
from services.delivery.outbox import Outbox
from tests.fakes.harness import CHANNEL, CLOSE, OPEN, OTHER_CHANNEL, Harness
from tests.fakes.slack import FakeSlack, Person, error_response
from tests.fakes.store_snapshots import stored_rows
from tests.handlers.conftest import reply_to

LATER = OPEN + timedelta(minutes=30)
POST = "chat.postMessage"
ESCALATION_ENDED = (
    "Escalation to <#C2> was turned off, as that channel no longer accepts escalations; to escalate elsewhere, "
    "type /minerpulse channel escalate 30m @WHO (or #CHANNEL). Changed by <@U1>."
)
ONLY_EDITORS = "Nothing was changed. Only <@U1> can "
NOT_OUTSIDERS = "Nothing was changed. People from another organization can't "
ARGUMENTS = {  # of commands that need one; alert 1 is open inside its clear level
    "rule add": "5d 15pp",
    "rule edit": "1 1d 9pp for 0s keep 1h",
    "rule move": "WGMI IREN",
    "rule pause": "1",
    "rule resume": "1",
    "rule remove": "1",
    "ack": "1",
    "unack": "1",
    "snooze": "1 2h",
    "resolve": "1",
    "channel": "thread ends",
    "mute": "2h",
    "backtest": "5d 15pp",
    "tune": "1d 10/year",
}
VALUES = {  # of buttons and menus; the others send the number of the alert
    "add_rule": "rule",
    "begin": "channel",
    "edit_rule": "1:1d 8pp for 0s keep 1h",
    "edit_new_rule": "5d 15pp",
    "help_topic": "rules",
    "run_command": "rules",
    "run_command_2": "board",
    "run_command_3": "history",
    "refresh": "board",
    "home_next": "1",
    "home_previous": "0",
    "refresh_home": "home",
    "share": "board",
    "explain_window": "20d",
    "miners_window": "20d",
    "snooze": "1:1h",
    "start": "board",
    "use_rule": "an old version|1d 9pp|1d 10/year",
    **dict.fromkeys(("undo_add", "undo_edit", "undo_remove", "remove_rule"), "1:1d 8pp for 0s keep 1h"),
}
FORGED = (
    "",
    "0",
    "2",
    "999999999",
    "1:30d",
    "1:until open",
    "1:",
    ":1h",
    "-1",
    "1|1d 9pp|x",
    "\N{ARABIC-INDIC DIGIT ONE}",
    "x" * 2_000,
)

Use = Callable[[Person], Awaitable[object]]


def _typed(text: str) -> Use:
    return lambda person: person.types(text)


def _pressed(action_id: str) -> Use:
    return lambda person: person.presses(action_id, VALUES.get(action_id, "1"))


def _chosen(action_id: str, value: str) -> Use:
    return lambda person: person.chooses(action_id, value)


COMMAND_USES = {
    f"/minerpulse {row.name}": (
        row.act_of(ARGUMENTS.get(row.name, "")),
        _typed(f"{row.name} {ARGUMENTS.get(row.name, '')}"),
    )
    for row in COMMANDS
    if row.run is not None
}
BUTTON_USES = {f"button {name}": (row.act, _pressed(name)) for name, row in ACTIONS.items()} | {
    f"option {option} of {name}": (chosen.act, _chosen(name, f"{option}:1"))
    for name, row in ACTIONS.items()
    for option, chosen in row.options.items()
}
BUTTON_USES |= {"button share of a study": (Act.SHARE, lambda person: person.presses("share", "drawdown:"))}


def rows_of(harness: Harness) -> dict[str, list[object]]:
    """Return every row that a person's act can change."""
    return stored_rows(harness.store, apart_from={"deliveries", "notices"})


@pytest.fixture
async def alert(person: Person, harness: Harness) -> int:
    """An open alert inside its clear level, in a channel whose only editor is U1."""
    await person.types("channel editors <@U1|ann>")
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s keep 1h", "U1")
    await harness.ticks(LATER, [0.10, 0.03])
    (alert,) = await harness.open_alerts(CHANNEL)
    return alert.id


def answer_to(slack: FakeSlack, before: int) -> str:
    """Return what was answered since then, apart from views."""
    return "\n".join(str(answer["text"]) for answer in slack.responses[before:])


async def is_refused(slack: FakeSlack, harness: Harness, use: Use, person: Person, refusal: str) -> bool:
    """Use something; return whether it was refused, and check that a refusal changes nothing."""
    before, answers = rows_of(harness), len(slack.responses)
    await use(person)
    text = answer_to(slack, answers)
    assert INTERNAL_ERROR not in text
    if not text.startswith(refusal):
        return False
    assert before == rows_of(harness)
    return True


@pytest.mark.usefixtures("alert")
@pytest.mark.parametrize("name", [*COMMAND_USES, *BUTTON_USES])
async def test_whoever_lacks_the_permission_changes_nothing(
    person: Person, slack: FakeSlack, harness: Harness, name: str
) -> None:
    act, use = (COMMAND_USES | BUTTON_USES)[name]
    member, outsider = replace(person, user="U3"), replace(person, user="U4", own_team="T9")
    expected = PERMISSIONS[act]

    assert (expected is Permission.EDITOR) == await is_refused(slack, harness, use, member, ONLY_EDITORS)
    if name in BUTTON_USES:
        refused = await is_refused(slack, harness, use, outsider, NOT_OUTSIDERS)
        assert (expected is not Permission.ANYONE) == refused
    assert not await is_refused(slack, harness, use, person, "Nothing was changed. ")


@pytest.mark.usefixtures("alert")
async def test_a_listed_person_of_another_organization_is_an_editor(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    await person.types("channel editors <@U1|ann> <@U4|guest>")
    guest = replace(person, user="U4", own_team="T9")

    for _, use in BUTTON_USES.values():
        assert not await is_refused(slack, harness, use, guest, "Nothing was changed. ")


async def test_without_a_list_members_are_editors_and_other_organizations_are_not(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.ticks(LATER, [0.10])
    outsider, member = replace(person, user="U4", own_team="T9"), replace(person, user="U3")

    for act, use in BUTTON_USES.values():
        refused = await is_refused(slack, harness, use, outsider, NOT_OUTSIDERS)
        assert (PERMISSIONS[act] is not Permission.ANYONE) == refused
    for _, use in (COMMAND_USES | BUTTON_USES).values():
        assert not await is_refused(slack, harness, use, member, "Nothing was changed. ")


@pytest.mark.usefixtures("alert")
@pytest.mark.parametrize("name", MODALS)
async def test_a_form_that_was_opened_before_is_checked_when_it_is_submitted(
    person: Person, slack: FakeSlack, harness: Harness, name: str
) -> None:
    await person.types("rule add 5d 15pp")
    await (person.presses("edit_rule", "2:5d 15pp") if name == "rule_editor" else person.chooses("more", "resolve:1"))
    view = {**slack.views("views.open")[-1], "id": "V1"}
    assert name == view["callback_id"]

    async def submit(by: Person) -> None:
        await by.submits(view, {"threshold": "33pp"})

    is_editors = PERMISSIONS[MODALS[name].act] is Permission.EDITOR
    assert await is_refused(slack, harness, submit, replace(person, user="U4", own_team="T9"), NOT_OUTSIDERS)
    assert is_editors == await is_refused(slack, harness, submit, replace(person, user="U3"), ONLY_EDITORS)
    assert not await is_refused(slack, harness, submit, person, "Nothing was changed. ")


@pytest.mark.parametrize("callback_id", SHORTCUTS)
async def test_shortcuts_have_no_channel_and_only_read(callback_id: str) -> None:
    assert Permission.ANYONE is PERMISSIONS[SHORTCUTS[callback_id].act]


async def tuned_rule(person: Person, slack: FakeSlack) -> str:
    """Return the value of the button that uses a tuned rule, which would work for an editor."""
    await person.types("tune 1d 10/year")
    elements = [element for block in slack.responses[-1]["blocks"] for element in block.get("elements", ())]
    (value,) = [element["value"] for element in elements if element.get("action_id") == "use_rule"]
    return str(value)


@pytest.mark.usefixtures("alert")
async def test_forged_values_of_old_messages_change_nothing_for_others(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    await harness.commands.add_rule(OTHER_CHANNEL, "1d 8pp for 0s", "U1")
    await harness.tick(LATER + timedelta(minutes=10), 0.10)
    outsider = replace(person, user="U4", own_team="T9")
    tuned = await tuned_rule(person, slack)
    before = rows_of(harness)

    for value in ("1", "1:1h", tuned, *FORGED):
        for action_id, row in ACTIONS.items():
            await outsider.presses(action_id, value)
            for option in row.options:
                await outsider.chooses(action_id, f"{option}:{value}")
        await outsider.chooses("snooze", value)

    assert before == rows_of(harness)
    assert [] == [answer for answer in slack.responses if INTERNAL_ERROR in answer["text"]]


@pytest.mark.usefixtures("alert")
async def test_forged_values_give_members_no_more_than_members_may(
    person: Person, slack: FakeSlack, harness: Harness
) -> None:
    await harness.commands.add_rule(OTHER_CHANNEL, "1d 8pp for 0s", "U1")
    await harness.tick(LATER + timedelta(minutes=10), 0.10)
    member, editors_acts = (
        replace(person, user="U3"),
        [action_id for action_id, row in ACTIONS.items() if PERMISSIONS[row.act] is Permission.EDITOR],
    )
    tuned = await tuned_rule(person, slack)
    before = rows_of(harness)

    for value in ("1", tuned, *FORGED):
        for action_id in (*editors_acts, "resolve"):
            await member.presses(action_id, value)
        for option in ("edit", "pause", "resume", "remove"):
            await member.chooses("rule_menu", f"{option}:{value}")
        await member.chooses("snooze", value)

    assert before == rows_of(harness)


def test_every_act_has_a_permission_and_a_use() -> None:
    acts = {
        *(row.act for row in COMMANDS),
        *(row.act for row in ACTIONS.values()),
        *(row.act for row in MODALS.values()),
        *(row.act for row in SHORTCUTS.values()),
    }

    typed = [parse_command(f"{row.name} {ARGUMENTS.get(row.name, '')}", COMMANDS) for row in COMMANDS if row.run]
    assert [None] * len(typed) == [one.response for one in typed], "each command has what it needs to run"
    assert set(Act) == PERMISSIONS.keys()
    assert set(Act) - acts == {Act.SNOOZE_LONG, Act.RESOLVE_EARLY}  # depend on the alert


@pytest.mark.parametrize(
    ("typed", "length"),
    [
        pytest.param("snooze 1 24h", "24h", id="a day"),
        pytest.param("snooze 1 25h", "", id="more than a day"),
        pytest.param("snooze 1 30d", "", id="a month"),
    ],
)
async def test_snoozes_of_more_than_a_day_need_an_editor(
    person: Person, alert: int, harness: Harness, outbox: Outbox, slack: FakeSlack, typed: str, length: str
) -> None:
    refused = f"{ONLY_EDITORS}snooze an alert for more than 24 hours here."
    text = await reply_to(replace(person, user="U3"), typed)

    assert (f"Snoozed until Mar 5, 10:05 AM ET: alert #{alert}, WGMI" in text) == bool(length)
    assert (refused in text.splitlines()) == (not length)
    assert (await reply_to(person, typed)).startswith("Snoozed until ")
    await outbox.deliver(harness.clock.at)
    lines = [post["text"] for post in slack.arguments_of(POST) if " snoozed alert #1 until " in post["text"]]
    assert (0 if length else 1) == len(lines)


async def test_an_alert_past_its_clear_level_is_resolved_by_editors_only(
    person: Person, slack: FakeSlack, harness: Harness, outbox: Outbox, alert: int
) -> None:
    await harness.tick(LATER + timedelta(minutes=10), 0.06)
    member = replace(person, user="U3")
    refusal = f"{ONLY_EDITORS}resolve an alert that hasn't cleared here."

    assert refusal in (await reply_to(member, f"resolve {alert}")).splitlines()
    await member.presses("resolve", f"{alert}")
    assert refusal == slack.responses[-1]["text"]
    assert 1 == len(await harness.open_alerts(CHANNEL))
    assert (await reply_to(person, f"resolve {alert}")).startswith("Resolved: alert #1")
    await outbox.deliver(harness.clock.at)
    expected = "<@U1> resolved alert #1, which hadn't cleared."
    assert expected in [post["text"] for post in slack.arguments_of(POST)]


@pytest.mark.parametrize("typed", ["mute 30d", "channel quiet 00:00-23:59", "channel mention <!everyone>"])
async def test_silencing_and_mass_mentions_need_an_editor_and_are_posted_at_once(
    person: Person, slack: FakeSlack, harness: Harness, outbox: Outbox, typed: str
) -> None:
    await person.types("channel editors <@U1|ann>")
    refused = await reply_to(replace(person, user="U3"), typed)
    before = (await harness.store.channel(CHANNEL)).settings

    await person.types(typed)
    await outbox.deliver(harness.clock.at)

    assert refused.startswith(ONLY_EDITORS)
    assert (None, None, None) == (before.muted_until, before.quiet, before.mention)
    shown = typed.removeprefix("channel ").replace("<!everyone>", "@everyone")
    assert [
        "<@U1> changed a channel setting: editors <@U1>.",
        f"<@U1> changed a channel setting: {shown}.",
    ] == [post["text"] for post in slack.arguments_of(POST)]


async def test_each_change_of_rules_is_posted_in_one_line_and_a_repeat_is_not(
    person: Person, slack: FakeSlack, harness: Harness, outbox: Outbox
) -> None:
    for typed in (
        "rule add 1d 8pp",  # the first is announced at length
        "rule add 5d 15pp",
        "rule add 5d 15pp",
        "rule edit 2 5d 16pp",
        "rule pause 2",
        "rule pause 2",
        "rule resume 2",
        "rule remove 2",
        "mute off",
    ):
        await person.types(typed)
        await outbox.deliver(harness.clock.at)

    first, *lines = slack.arguments_of(POST)
    assert "Started by <@U1>" in first["shown"]
    assert [
        "<@U1> added the rule 5d 15pp.",
        "<@U1> changed 5d 15pp to 5d 16pp.",
        "<@U1> paused 5d 16pp.",
        "<@U1> resumed 5d 16pp.",
        "<@U1> removed the rule 5d 16pp.",
    ] == [line["text"] for line in lines]


async def test_a_change_line_is_posted_in_quiet_hours_and_nothing_else_is(
    person: Person, slack: FakeSlack, harness: Harness, outbox: Outbox
) -> None:
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await person.types("mute 2h")
    await harness.tick(LATER, 0.10)
    await person.types("rule add 5d 15pp")
    await outbox.deliver(harness.clock.at)

    assert [
        "<@U1> changed a channel setting: mute 2h.",
        "<@U1> added the rule 5d 15pp.",
    ] == [post["text"] for post in slack.arguments_of(POST)]


async def test_the_board_shows_who_muted_and_until_when(person: Person, harness: Harness) -> None:
    await replace(person, user="U2").types("mute 2h")
    until = "<!date^1772641200^{date_short_pretty} at {time}|Mar 4, 11:20 AM ET>"
    line = f":mute: Muted by <@U2> until {until}. `/minerpulse mute off` ends it."

    assert line in (await reply_to(person, "board")).splitlines()
    assert line in await reply_to(person, "channel")
    await person.types("mute while shut")
    harness.clock.at = CLOSE - timedelta(hours=1)
    assert "Muted by <@U1> while the market is closed." in await reply_to(person, "board")
    await person.types("mute off")
    assert "Muted" not in await reply_to(person, "board")


async def test_escalation_needs_the_consent_of_the_other_channel(
    person: Person, slack: FakeSlack, harness: Harness, outbox: Outbox
) -> None:
    there = replace(person, channel="C2")
    refused = await reply_to(person, "channel escalate 30m <#C2|desk>")
    await there.types("channel editors <@U1|ann>")
    assert (await reply_to(replace(there, user="U3"), "channel accept-escalations on")).startswith(ONLY_EDITORS)
    await there.types("channel accept-escalations on")
    accepted = await reply_to(person, "channel escalate 30m <#C2|desk>")
    await there.types("channel accept-escalations off")
    await outbox.deliver(harness.clock.at)

    assert (
        "that channel doesn't accept escalations. Ask an editor there to type `/minerpulse channel accept-e" in refused
    )
    assert accepted.startswith("escalate is now 30m <#C2>.")
    assert (await harness.store.channel(CHANNEL)).settings.escalate_to is None
    assert [
        "<@U1> changed a channel setting: escalate 30m <#C2>.",
        ESCALATION_ENDED,
    ] == [post["text"] for post in slack.arguments_of(POST) if post["channel"] == "C1"]


async def test_an_escalation_of_before_keeps_working_and_its_target_is_told_once(
    person: Person, slack: FakeSlack, harness: Harness, outbox: Outbox
) -> None:
    await person.types("channel broadcast on")
    stored = await harness.store.channel(CHANNEL)
    settings = replace(stored.settings, escalate_after=timedelta(minutes=30), escalate_to=OTHER_CHANNEL)
    await harness.store.schedule_silence(replace(stored, settings=settings))  # as an earlier release stored it
    await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
    await harness.tick(LATER, 0.10)
    for minutes in (1, 2, 31, 32):
        harness.clock.at = LATER + timedelta(minutes=minutes)
        await harness.maintenance.tick(harness.clock.at)
        await outbox.deliver(harness.clock.at)

    notice, escalation = [post["text"] for post in slack.arguments_of(POST) if post["channel"] == "C2"]
    assert notice == (
        "<#C1> escalates unacknowledged alerts to this channel. Escalations continue until someone types "
        "in this channel: /minerpulse channel accept-escalations off. To confirm that you want them: "
        "/minerpulse channel accept-escalations on."
    )
    assert escalation.startswith("Escalated: WGMI 10.0\u00a0pp ahead of BTC")
    assert (await reply_to(person, "channel escalate 45m <#C2|desk>")).startswith("escalate is now 45m <#C2>.")
    await replace(person, channel="C2").types("channel accept-escalations off")
    assert (await harness.store.channel(CHANNEL)).settings.escalate_after is None


async def test_undelivered_channels_are_named_in_themselves_and_to_editors_of_the_installation_only(
    person: Person, slack: FakeSlack, harness: Harness, outbox: Outbox
) -> None:
    harness.commands.permissions = Permissions(people=("U9",))
    await harness.commands.add_rule(OTHER_CHANNEL, "1d 8pp for 0s", "U9")
    await harness.tick(LATER, 0.10)
    slack.fail(POST, error_response("is_archived"))
    await outbox.deliver(harness.clock.at)
    operator = replace(person, user="U9")

    for typed in ("", "status 5d", "sources", "rules", "channel", "digest"):
        assert "C2" not in await reply_to(person, typed)
    await person.presses("refresh", "board")
    await operator.presses("share", "board")  # everyone in the channel reads it
    assert ["C2" in answer["text"] for answer in slack.responses[-2:]] == [False, False]
    for reader in (operator, replace(person, channel="C2")):
        assert ":warning: *Delivery retrying* in <#C2>: 2 messages since " in await reply_to(reader, "board")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param({"user_id": "U1", "team_id": "T1"}, False, id="a command"),
        pytest.param({"user": {"id": "U1"}, "team": {"id": "T1"}}, False, id="no workspace of the person"),
        pytest.param({"user": {"team_id": "T1"}, "team": {"id": "T1"}}, False, id="the same workspace"),
        pytest.param({"user": {"team_id": "T2"}, "team": {"id": "T1"}}, True, id="another workspace"),
        pytest.param(
            {"user": {"team_id": "E1"}, "team": {"id": "T1", "enterprise_id": "E1"}}, False, id="the same organization"
        ),
        pytest.param(
            {"user": {"team_id": "E2"}, "team": {"id": "T1", "enterprise_id": "E1"}}, True, id="another organization"
        ),
        pytest.param(
            {"user": {"team_id": "E2"}, "team": {"id": "T1"}, "enterprise": {"id": "E2"}},
            True,
            id="an organization of which the app's workspace is no part",
        ),
        pytest.param(
            {"user": {"team_id": "E1"}, "team": None, "enterprise": {"id": "E1"}, "is_enterprise_install": True},
            False,
            id="an installation for the whole organization",
        ),
    ],
)
def test_people_of_other_organizations_are_recognized(body: dict[str, object], *, expected: bool) -> None:
    assert expected == is_outsider(body, "T1")
