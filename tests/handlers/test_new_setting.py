"""A channel setting added at runtime: no other module has to know of it."""

from dataclasses import replace
from datetime import time

import pytest

from services.alerting.channel_settings import ChannelSettings, QuietHours
from services.alerting.setting_syntax import SETTINGS, Setting, SettingInput
from services.core.errors import ChannelSettingError
from services.storage import codec
from tests.fakes.harness import CHANNEL, Harness
from tests.fakes.slack import Person
from tests.handlers.conftest import reply_to

NIGHT_HOURS = QuietHours(begin=time(22), end=time(6))


def parse_night(value: SettingInput, settings: ChannelSettings) -> ChannelSettings:
    if value.text not in {"on", "off"}:
        raise ChannelSettingError(f"“night” is `on` or `off`, not “{value.text}”.")
    return replace(settings, quiet=None if value.is_off else NIGHT_HOURS)


NIGHT = Setting(
    word="night",
    syntax="on | off",
    parse=parse_night,
    format=lambda settings, _name: "on" if settings.quiet == NIGHT_HOURS else "off",
    meaning="quiet from 22:00 to 06:00",
)


@pytest.fixture(autouse=True)
def _night(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SETTINGS, NIGHT.word, NIGHT)


async def test_it_is_listed_with_its_meaning(person: Person) -> None:
    assert "*night off* – quiet from 22:00 to 06:00" in (await reply_to(person, "channel")).splitlines()
    assert ", brief, night." in await reply_to(person, "channel colour red")
    assert "the value is missing. Type `night on | off`." in await reply_to(person, "channel night")


async def test_it_is_changed_stored_and_shown(person: Person, harness: Harness) -> None:
    changed = await reply_to(person, "channel NIGHT on")
    stored = (await harness.store.channel(CHANNEL)).settings
    assert "*night* is now *on*." in changed
    assert "NIGHT on, by <@U1>, " in changed
    assert {"*night on* – quiet from 22:00 to 06:00"} <= set(changed.splitlines())
    assert NIGHT_HOURS == stored.quiet
    assert stored == codec.read_settings(codec.write_settings(stored))
    assert "*night off*" in await reply_to(person, "channel night off")


async def test_an_invalid_value_changes_nothing(person: Person, harness: Harness) -> None:
    assert "“night” is `on` or `off`, not “maybe”." in await reply_to(person, "channel night maybe")
    assert 0 == (await harness.store.channel(CHANNEL)).revision


async def test_only_editors_change_it(person: Person) -> None:
    await person.types("channel editors <@U1|ann>")
    assert "Only <@U1> can change the settings" in await reply_to(replace(person, user="U3"), "channel night on")
    assert "*night* is now *on*." in await reply_to(person, "channel night on")
