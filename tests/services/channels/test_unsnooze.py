from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from handlers.addressees import parse_addressee
from services.alerting.alert import EntryKind
from services.alerting.setting_syntax import Addressee
from services.core.errors import NotAllowedError, NotFoundError
from services.core.reason import Code
from tests.fakes.harness import CHANNEL, OPEN, Harness, open_harness
from tests.fakes.reasons import reason
from tests.services.channels.test_maintenance import round_at

MINUTE = timedelta(minutes=1)
BEGIN = OPEN + 30 * MINUTE


def resolve_name(text: str) -> Addressee | None:
    return parse_addressee(text, CHANNEL.team)


@pytest.fixture
async def harness() -> AsyncIterator[Harness]:
    """A channel with reminders, and an alert that is snoozed for two hours."""
    async with open_harness() as harness:
        await harness.commands.add_rule(CHANNEL, "1d 8pp for 0s", "U1")
        for setting in ("mention <@U7>", "remind 15m"):
            await harness.commands.settings.set(CHANNEL, setting, "U1", resolve_name)
        await round_at(harness, BEGIN, 0.09)
        await harness.commands.snooze(CHANNEL, 1, "U1", timedelta(hours=2))
        await round_at(harness, BEGIN + MINUTE)
        yield harness


async def test_the_end_of_a_snooze_is_posted_and_reminders_count_from_it(harness: Harness) -> None:
    await round_at(harness, BEGIN + 40 * MINUTE, 0.09)
    outcome = await harness.commands.unsnooze(CHANNEL, 1, "U2")
    posts = {minute: await round_at(harness, BEGIN + minute * MINUTE, 0.09) for minute in (41, 54, 55)}

    entries = (await harness.commands.audit(CHANNEL, 1)).entries
    assert (True, False) == (outcome.changed, outcome.alert.is_snoozed(BEGIN + 40 * MINUTE))
    assert "unsnoozed in C1" in posts[41]
    assert [[], False, True] == [posts[54], "reminded in C1" in posts[41], "reminded in C1" in posts[55]]
    assert [(EntryKind.UNSNOOZED, "U2", reason(Code.UNSNOOZED))] == [
        (entry.kind, entry.by, entry.reason) for entry in entries if entry.kind is EntryKind.UNSNOOZED
    ]


async def test_worsenings_are_posted_again_after_a_snooze_ends(harness: Harness) -> None:
    await harness.commands.unsnooze(CHANNEL, 1, "U1")

    assert "worsened in C1" in await round_at(harness, BEGIN + 5 * MINUTE, 0.2)


async def test_there_is_nothing_to_end_without_a_snooze(harness: Harness) -> None:
    first = await harness.commands.unsnooze(CHANNEL, 1, "U1")
    again = await harness.commands.unsnooze(CHANNEL, 1, "U1")
    await harness.commands.snooze(CHANNEL, 1, "U1", timedelta(hours=1))
    await harness.commands.resolve(CHANNEL, 1, "U1", "")
    closed = await harness.commands.unsnooze(CHANNEL, 1, "U1")

    assert [True, False, False] == [first.changed, again.changed, closed.changed]
    with pytest.raises(NotFoundError):
        await harness.commands.unsnooze(CHANNEL, 9, "U1")


async def test_who_may_snooze_may_end_a_snooze_even_a_long_one_by_an_editor(harness: Harness) -> None:
    await harness.commands.settings.set(CHANNEL, "editors <@U1>", "U1", resolve_name)
    await harness.commands.snooze(CHANNEL, 1, "U1", timedelta(days=3))
    with pytest.raises(NotAllowedError):
        await harness.commands.snooze(CHANNEL, 1, "U2", timedelta(days=3))

    assert (await harness.commands.unsnooze(CHANNEL, 1, "U2")).changed
