from collections.abc import Callable
from datetime import date, datetime, timedelta

import pytest

from services.alerting.channel_settings import ChannelSettings, MuteWhile
from services.alerting.setting_syntax import (
    SETTINGS,
    Addressee,
    Setting,
    SettingInput,
    format_settings,
    parse_mute,
    parse_setting,
)
from services.core.errors import ChannelSettingError, MarketClosedError
from services.core.identity import Channel, Mention
from services.core.sessions import Sessions
from tests.fakes.alerts import AT

ONCALL, BOSS = Mention(text="<!subteam^S1>", name="@oncall"), Channel(team="T1", id="C9")
ANN, BOB = (
    Mention(text=f"<@U{number}>", name=name, person=f"U{number}") for number, name in ((1, "@ann"), (2, "@bob"))
)
NAMES: dict[str, Addressee] = {"@oncall": ONCALL, "#boss": BOSS, "@ann": ANN, "@bob": BOB}
MARKET = Sessions(date(2026, 1, 1), date(2027, 12, 31))
WITH_REMINDERS = ChannelSettings(mention=ONCALL, remind_every=timedelta(minutes=15))


def parsed(text: str, settings: ChannelSettings | None = None) -> ChannelSettings:
    return parse_setting(SettingInput(text=text, resolve=NAMES.get, now=AT), settings or ChannelSettings())[1]


def formatted(settings: ChannelSettings) -> tuple[str, ...]:
    return format_settings(settings, {who: name for name, who in NAMES.items()}.__getitem__)


@pytest.mark.parametrize(
    "text",
    [
        "mention @oncall",
        "escalate 30m @oncall",
        "escalate 2h #boss",
        "escalate off",
        "quiet 22:00-07:00",
        "quiet off",
        "zone Europe/London",
        "thread all",
        "thread steps",
        "thread ends",
        "broadcast on",
        "broadcast off",
        "daily on",
        "daily off",
        "editors @ann @bob",
        "editors everyone",
        "accept-escalations on",
        "accept-escalations off",
        "brief open close weekly",
        "brief weekly",
        "brief off",
        "mention off",
        "remind off",
    ],
)
def test_formatted_settings_parse_to_the_same_settings(text: str) -> None:
    settings = parsed(text)

    assert text in formatted(settings)
    again = settings
    for line in formatted(settings):
        again = parsed(line, again)
    assert settings == again


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param("QUIET 7 to 9:30", "quiet 07:00-09:30", id="hours without minutes"),
        pytest.param("QUIET 22:00 TO 07:00", "quiet 22:00-07:00", id="capital letters"),
        pytest.param("quiet “22:00-07:00”", "quiet 22:00-07:00", id="quotes around the value"),
        pytest.param("escalate 30 min @oncall", "escalate 30m @oncall", id="a duration of two words"),
        pytest.param("zone london", "zone Europe/London", id="a city alone"),
        pytest.param("zone new york", "zone America/New_York", id="a city of two words"),
        pytest.param("remind 90m", "remind 90m", id="a reminder"),
        pytest.param("editors @bob, @ann @bob", "editors @bob @ann", id="a person named twice"),
        pytest.param("editors off", "editors everyone", id="a list that is turned off"),
    ],
)
def test_settings_are_parsed_as_people_type_them(text: str, line: str) -> None:
    assert line in formatted(parsed(text, WITH_REMINDERS))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("colour red", "“colour” isn't a setting. Settings: mention, remind", id="no such setting"),
        pytest.param("quiet", r"the value is missing. Type `quiet 22:00-07:00 \| off`", id="no value"),
        pytest.param("mention @nobody", "couldn't find “@nobody”. Let Slack", id="unknown person"),
        pytest.param("mention #boss", "couldn't find “#boss”. Let Slack", id="a channel as a mention"),
        pytest.param("mention off", "reminders use this mention", id="a mention that reminders need"),
        pytest.param("remind 1m", "Use a time from 5m to 24h, for example `remind 15m`", id="too often"),
        pytest.param("remind until close", "couldn't read the time “until close”", id="no duration"),
        pytest.param("escalate 30m", "couldn't find “”. Let Slack", id="nobody to escalate to"),
        pytest.param("escalate soon @oncall", "couldn't read the time “soon”", id="no time"),
        pytest.param("quiet 25:00-07:00", "couldn't read the hours “25:00-07:00”", id="no such hour"),
        pytest.param("quiet 22:00-07:75", "couldn't read the hours", id="no such minute"),
        pytest.param("zone GMT+1", "couldn't find the time zone “GMT.1”", id="which Etc has an hour behind Greenwich"),
        pytest.param("quiet late", "couldn't read the hours “late”", id="no hours"),
        pytest.param("quiet 7-7", "can't begin and end at the same time", id="empty hours"),
        pytest.param("zone localtime", "couldn't find the time zone “localtime”", id="that of the server"),
        pytest.param("zone Factory", "couldn't find the time zone “Factory”", id="no zone"),
        pytest.param("zone Mars", "couldn't find the time zone “Mars”", id="no such zone"),
        pytest.param("thread some", "not “some”", id="no such thread"),
        pytest.param("daily maybe", "“daily” is `on` or `off`", id="no switch"),
        pytest.param("editors @ann @nobody", "couldn't find “@nobody”. Let Slack", id="an unknown editor"),
        pytest.param("editors #boss", "couldn't find “#boss”. Let Slack", id="a channel as an editor"),
        pytest.param("editors @ann @oncall", "@oncall is a group.*Name each person", id="a group as an editor"),
    ],
)
def test_an_invalid_setting_is_refused_with_a_valid_form(text: str, message: str) -> None:
    with pytest.raises(ChannelSettingError, match=message):
        parsed(text, WITH_REMINDERS)


def test_reminders_need_a_mention() -> None:
    with pytest.raises(ChannelSettingError, match="reminders need a mention"):
        parsed("remind 15m")


def test_turning_on_the_daily_report_again_keeps_its_start() -> None:
    since = AT - timedelta(days=3)

    assert since == parsed("daily on", ChannelSettings(daily_since=since)).daily_since
    assert AT == parsed("daily on").daily_since


def test_the_number_of_editors_is_limited() -> None:
    many = " ".join(f"U{number}" for number in range(21))

    def who(name: str) -> Mention:
        return Mention(text=name, name=name, person=name)

    with pytest.raises(ChannelSettingError, match="the limit is 20 editors"):
        parse_setting(SettingInput(text=f"editors {many}", resolve=who, now=AT), ChannelSettings())


@pytest.mark.parametrize("setting", SETTINGS.values(), ids=lambda setting: setting.word)
def test_every_default_is_a_value_of_its_setting(setting: Setting) -> None:
    assert f"{setting.word} {setting.default}" in formatted(parsed(f"{setting.word} {setting.default}"))


def test_every_setting_has_its_own_usage() -> None:
    assert len(SETTINGS) == len({setting.usage for setting in SETTINGS.values()})


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        pytest.param("2h", ChannelSettings(muted_until=AT + timedelta(hours=2)), id="a duration"),
        pytest.param("until close", ChannelSettings(muted_until=AT.replace(hour=21, minute=0)), id="until the close"),
        pytest.param("while shut", ChannelSettings(muted_while=MuteWhile.SHUT), id="while shut"),
        pytest.param("While OPEN", ChannelSettings(muted_while=MuteWhile.OPEN), id="while open"),
    ],
)
def test_a_mute_is_parsed_and_turned_off(text: str, settings: ChannelSettings) -> None:
    muted = parse_mute(text, ChannelSettings(), MARKET.state_at(AT), AT)

    assert settings == muted
    assert ChannelSettings() == parse_mute("off", muted, MARKET.state_at(AT), AT)


def test_a_mute_without_a_known_end_is_refused() -> None:
    evening = AT.replace(hour=23)

    with pytest.raises(ChannelSettingError, match="for how long"):
        parse_mute("for ever", ChannelSettings(), MARKET.state_at(AT), AT)
    with pytest.raises(MarketClosedError):
        parse_mute("until close", ChannelSettings(), MARKET.state_at(evening), evening)


def test_a_brief_that_was_on_before_keeps_its_start() -> None:
    later = parser_at(AT + timedelta(hours=1))
    settings = later("brief close, open", parsed("brief close"))

    assert [("open", AT + timedelta(hours=1)), ("close", AT)] == [
        (one.occasion.value, one.since) for one in settings.briefs
    ]
    with pytest.raises(ChannelSettingError, match="briefs are `open`, `close`, `weekly` or `off`, not “at noon”"):
        parsed("brief at noon")


def parser_at(now: datetime) -> Callable[[str, ChannelSettings], ChannelSettings]:
    return lambda text, settings: parse_setting(SettingInput(text=text, resolve=NAMES.get, now=now), settings)[1]
