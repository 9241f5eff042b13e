from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakes.floor import DESK

if TYPE_CHECKING:
    from tests.fakes.floor import Floor
    from tests.fakes.slack import Person


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
        pytest.param("mute for ever", "Mute for how long", id="no length"),
        pytest.param("mute until close", "The market is shut", id="no close"),
    ],
)
async def test_what_cannot_be_set_says_why_and_sets_nothing(
    person: Person, floor: Floor, text: str, complaint: str
) -> None:
    assert complaint in await told(person, text)
    assert 0 == (await floor.store.channel(DESK)).revision


async def test_a_mute_is_told_with_its_end_and_on_the_board(person: Person) -> None:
    muted = await told(person, "mute 2h")
    board = await told(person, "board")

    assert "Silent until Wed 4 Mar 11:20 New York (16:20 UTC): muted." in muted
    assert "Silent until Wed 4 Mar 11:20 New York (16:20 UTC): muted. A digest follows then." in board


async def test_the_proof_of_silence_is_there_for_everyone(person: Person, floor: Floor) -> None:
    await floor.desk.add_rule(DESK, "1d 8pp", "U1")

    text = await told(person, "digest")

    assert text.startswith("Watched Tue 3 Mar: no alerts from 1 rule\nWGMI/BTC: 0 of 390 ticks done")
