"""The line that says who changed what: it is saved with the change, or neither is."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, text

from handlers.commands import COMMANDS
from services.channels.permissions import Act
from services.core.identity import Channel
from services.storage import tables
from services.storage.installations import GLOBAL_TABLES
from tests.fakes.harness import CHANNEL, OPEN, OTHER_CHANNEL, Harness
from tests.fakes.slack import Person
from tests.fakes.store_snapshots import stored_rows

LATER = OPEN + timedelta(minutes=30)
SHARES_THAT_TRADE = "WGMI IREN"
CHANGES = {  # by command; alert 1 is open, past its clear level, and rule 3 is paused
    "rule add": "20d 30pp",
    "rule edit": "1 1d 9pp for 0s",
    "rule move": SHARES_THAT_TRADE,
    "rule pause": "2",
    "rule resume": "3",
    "rule remove": "2",
    "channel": "thread ends",
    "mute": "2h",
    "snooze": "1 25h",
    "resolve": "1",
}
CHANGING_ACTS = {Act.CHANGE_RULES, Act.CHANGE_SETTINGS, Act.MUTE, Act.SNOOZE_LONG, Act.RESOLVE_EARLY}
FAULT = "CREATE TRIGGER fault BEFORE INSERT ON notices BEGIN SELECT RAISE(ABORT, 'the process died here'); END"


async def execute(harness: Harness, statement: str) -> None:
    async with harness.store._database.write() as tx:  # noqa: SLF001 -- no method breaks a database
        await tx.execute(text(statement))


def rows_of(harness: Harness) -> dict[str, list[object]]:
    """Return every row of a workspace, with what is to be delivered; prices may be loaded meanwhile."""
    return stored_rows(harness.store, apart_from=GLOBAL_TABLES)


async def lines_of(harness: Harness) -> list[str]:
    async with harness.store._database.read() as tx:  # noqa: SLF001 -- as above
        kind = tables.notices.c.kind
        return list(await tx.scalars(select(tables.notices.c.content).where(kind == "change")))


@pytest.fixture
async def alert(harness: Harness) -> None:
    """An alert past its clear level in a channel with three rules, the last of them paused."""
    for rule in ("1d 8pp for 0s", "5d 90pp", "5d 15pp"):
        await harness.commands.add_rule(CHANNEL, rule, "U1")
    await harness.commands.pause_rule(CHANNEL, 3, "U1")
    await harness.ticks(LATER, [0.10])
    assert 1 == len(await harness.open_alerts(CHANNEL))


def test_every_command_that_changes_what_a_channel_hears_is_tried() -> None:
    assert set(CHANGES) >= {row.name for row in COMMANDS if row.act in CHANGING_ACTS}


@pytest.mark.usefixtures("alert")
@pytest.mark.parametrize("command", CHANGES)
async def test_a_change_and_its_line_are_saved_together_or_neither_is(
    person: Person, harness: Harness, command: str
) -> None:
    before, lines = rows_of(harness), await lines_of(harness)
    await execute(harness, FAULT)
    await person.types(f"{command} {CHANGES[command]}")
    broken = rows_of(harness)
    await execute(harness, "DROP TRIGGER fault")
    await person.types(f"{command} {CHANGES[command]}")

    assert before == broken
    assert before != rows_of(harness)
    assert 1 == len(await lines_of(harness)) - len(lines)


async def test_alerts_started_from_the_welcome_and_their_line_are_saved_together_or_neither_is(
    person: Person, harness: Harness
) -> None:
    await execute(harness, FAULT)
    await person.presses("begin", "channel")
    broken = await harness.commands.rules(CHANNEL)
    await execute(harness, "DROP TRIGGER fault")
    await person.presses("begin", "channel")
    await person.presses("begin", "channel")
    (line,) = await lines_of(harness)

    assert [] == broken
    assert 3 == len(await harness.commands.rules(CHANNEL))
    assert "1d 8pp, 5d 15pp, 20d 30pp" in line


@pytest.fixture
async def target(person: Person) -> Person:
    """A person in a channel that another one escalates to."""
    there = Person(server=person.server, app=person.app, tasks=person.tasks, channel=OTHER_CHANNEL.id)
    await there.types("channel accept-escalations on")
    await person.types(f"channel escalate 30m <#{OTHER_CHANNEL.id}|desk>")
    return there


@pytest.mark.parametrize("broken", [CHANNEL, OTHER_CHANNEL], ids=["source", "target"])
async def test_a_channel_refuses_escalations_with_the_end_of_each_and_all_lines_or_nothing_changes(
    target: Person, harness: Harness, broken: Channel
) -> None:
    before = rows_of(harness)
    await execute(harness, FAULT.replace("BEGIN", f"WHEN NEW.channel = '{broken.id}' BEGIN"))
    await target.types("channel accept-escalations off")
    unchanged = rows_of(harness)
    await execute(harness, "DROP TRIGGER fault")
    lines = await lines_of(harness)
    await target.types("channel accept-escalations off")

    assert before == unchanged
    assert (await harness.store.channel(CHANNEL)).settings.escalate_to is None
    assert not (await harness.store.channel(OTHER_CHANNEL)).settings.accept_escalations
    assert 2 == len(await lines_of(harness)) - len(lines)


async def test_a_channel_that_never_accepted_escalations_can_end_those_of_an_earlier_release(
    target: Person, harness: Harness
) -> None:
    stored = await harness.store.channel(OTHER_CHANNEL)
    earlier = replace(stored, settings=replace(stored.settings, accept_escalations=False))
    await harness.store.schedule_silence(earlier)
    await target.types("channel accept-escalations off")
    await target.types("channel accept-escalations off")
    set_off, repeated = [answer["text"].splitlines()[0] for answer in target.server.responses[-2:]]

    assert (await harness.store.channel(CHANNEL)).settings.escalate_to is None
    assert set_off.startswith("accept-escalations is now off.")
    assert "accept-escalations is already off. Nothing was changed. New alerts are posted here." == repeated
