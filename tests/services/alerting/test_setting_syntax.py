from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta

import pytest

from services.alerting.channel_settings import ChannelSettings, While
from services.alerting.setting_syntax import SETTINGS, Addressee, SettingInput, read_mute, read_setting, write_settings
from services.core.errors import ChannelSettingError, MarketShutError
from services.core.identity import Channel, Mention
from services.core.sessions import Sessions
from tests.fakes.alerts import AT

ONCALL, BOSS = Mention(text="<!subteam^S1>", name="@oncall"), Channel(team="T1", id="C9")
ANN, BOB = (
    Mention(text=f"<@U{number}>", name=name, person=f"U{number}") for number, name in ((1, "@ann"), (2, "@bob"))
)
NAMES: dict[str, Addressee] = {"@oncall": ONCALL, "#boss": BOSS, "@ann": ANN, "@bob": BOB}
MARKET = Sessions(date(2026, 1, 1), date(2027, 12, 31))
CALLING = ChannelSettings(mention=ONCALL, remind_every=timedelta(minutes=15))


def typed(text: str, settings: ChannelSettings | None = None) -> ChannelSettings:
    return read_setting(SettingInput(text=text, who=NAMES.get, now=AT), settings or ChannelSettings())[1]


def written(settings: ChannelSettings) -> tuple[str, ...]:
    return write_settings(settings, {who: name for name, who in NAMES.items()}.__getitem__)


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
        "brief open close weekly",
        "brief weekly",
        "brief off",
        "mention off",
        "remind off",
    ],
)
def test_what_is_written_reads_as_the_same(text: str) -> None:
    settings = typed(text)

    assert text in written(settings)
    again = settings
    for line in written(settings):
        again = typed(line, again)
    assert settings == again


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param("QUIET 7 to 9:30", "quiet 07:00-09:30", id="hours without minutes"),
        pytest.param("QUIET 22:00 TO 07:00", "quiet 22:00-07:00", id="capital letters"),
        pytest.param("quiet “22:00-07:00”", "quiet 22:00-07:00", id="quotes behind the word"),
        pytest.param("escalate 30 min @oncall", "escalate 30m @oncall", id="a length of two words"),
        pytest.param("zone london", "zone Europe/London", id="a city alone"),
        pytest.param("zone new york", "zone America/New_York", id="a city of two words"),
        pytest.param("remind 90m", "remind 90m", id="a reminder"),
        pytest.param("editors @bob, @ann @bob", "editors @bob @ann", id="a person who is named twice"),
        pytest.param("editors off", "editors everyone", id="a list that is taken back"),
    ],
)
def test_what_people_type_is_understood(text: str, line: str) -> None:
    assert line in written(typed(text, CALLING))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param("colour red", "There is no setting “colour”; there are mention, remind", id="no such setting"),
        pytest.param("quiet", r"Say what: quiet 22:00-07:00 \| off", id="nothing behind it"),
        pytest.param("mention @nobody", "Cannot tell who “@nobody” is", id="nobody known"),
        pytest.param("mention #boss", "Cannot tell who “#boss” is", id="a channel cannot be called"),
        pytest.param("mention off", "Reminders call that mention", id="a mention that is needed"),
        pytest.param("remind 1m", "it is from 5m to 24h, as in `remind 15m`", id="too often"),
        pytest.param("remind until close", "Cannot read the time “until close”", id="no length"),
        pytest.param("escalate 30m", "Cannot tell who “” is", id="nobody to escalate to"),
        pytest.param("escalate soon @oncall", "Cannot read the time “soon”", id="no time"),
        pytest.param("quiet 25:00-07:00", "Cannot read the hours “25:00-07:00”", id="no such hour"),
        pytest.param("quiet 22:00-07:75", "Cannot read the hours", id="no such minute"),
        pytest.param("zone GMT+1", "There is no time zone “GMT.1”", id="which Etc has an hour behind Greenwich"),
        pytest.param("quiet late", "Cannot read the hours “late”", id="no hours"),
        pytest.param("quiet 7-7", "must end at another time", id="hours without length"),
        pytest.param("zone Mars", "There is no time zone “Mars”", id="no such zone"),
        pytest.param("thread some", "not “some”", id="no such thread"),
        pytest.param("daily maybe", "“daily” is `on` or `off`", id="no switch"),
        pytest.param("editors @ann @nobody", "Cannot tell who “@nobody” is", id="an editor nobody knows"),
        pytest.param("editors #boss", "Cannot tell who “#boss” is", id="a channel as an editor"),
        pytest.param(
            "editors @ann @oncall", "@oncall is a group.*name its people one by one", id="a group as an editor"
        ),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_would_be(text: str, complaint: str) -> None:
    with pytest.raises(ChannelSettingError, match=complaint):
        typed(text, CALLING)


def test_reminders_need_someone_to_call() -> None:
    with pytest.raises(ChannelSettingError, match="Say first whom reminders call"):
        typed("remind 15m")


def test_a_daily_line_that_is_on_stays_as_it_was() -> None:
    since = AT - timedelta(days=3)

    assert since == typed("daily on", ChannelSettings(daily_since=since)).daily_since
    assert AT == typed("daily on").daily_since


def test_a_list_of_editors_ends_somewhere() -> None:
    many = " ".join(f"U{number}" for number in range(21))

    def who(name: str) -> Mention:
        return Mention(text=name, name=name, person=name)

    with pytest.raises(ChannelSettingError, match="At most 20 people"):
        read_setting(SettingInput(text=f"editors {many}", who=who, now=AT), ChannelSettings())


def test_every_setting_says_what_it_takes() -> None:
    assert len(SETTINGS) == len({setting.form for setting in SETTINGS})


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        pytest.param("2h", ChannelSettings(muted_until=AT + timedelta(hours=2)), id="a length"),
        pytest.param("until close", ChannelSettings(muted_until=AT.replace(hour=21, minute=0)), id="until the close"),
        pytest.param("while shut", ChannelSettings(muted_while=While.SHUT), id="while shut"),
        pytest.param("While OPEN", ChannelSettings(muted_while=While.OPEN), id="while open"),
    ],
)
def test_a_mute_is_read_and_ended(text: str, settings: ChannelSettings) -> None:
    muted = read_mute(text, ChannelSettings(), MARKET.state(AT), AT)

    assert settings == muted
    assert ChannelSettings() == read_mute("off", muted, MARKET.state(AT), AT)


def test_a_mute_without_an_end_that_can_be_told_is_refused() -> None:
    evening = AT.replace(hour=23)

    with pytest.raises(ChannelSettingError, match="Mute for how long"):
        read_mute("for ever", ChannelSettings(), MARKET.state(AT), AT)
    with pytest.raises(MarketShutError):
        read_mute("until close", ChannelSettings(), MARKET.state(evening), evening)


def test_a_brief_that_was_asked_for_before_stays_so_since_then() -> None:
    later = replace_now(AT + timedelta(hours=1))
    settings = later("brief close, open", typed("brief close"))

    assert [("open", AT + timedelta(hours=1)), ("close", AT)] == [
        (one.occasion.value, one.since) for one in settings.briefs
    ]
    with pytest.raises(ChannelSettingError, match="any of `open`, `close` and `weekly`, or `off`, not “at noon”"):
        typed("brief at noon")


def replace_now(now: datetime) -> Callable[[str, ChannelSettings], ChannelSettings]:
    return lambda text, settings: read_setting(SettingInput(text=text, who=NAMES.get, now=now), settings)[1]
