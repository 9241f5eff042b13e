from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from services.alerting.channel_settings import ChannelSettings, MuteWhile, QuietHours
from services.alerting.quiet_hours import Mute, SilenceCause, mute_of, next_silence_at, silence_at
from services.core.reason import Code
from services.core.sessions import Sessions
from tests.fakes.reasons import reason

MUTED_AT = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)

SESSIONS = Sessions(date(2026, 1, 1), date(2027, 12, 31))
NIGHT = ChannelSettings(quiet=QuietHours(begin=time(22), end=time(7)), zone="Europe/London")
LUNCH = ChannelSettings(quiet=QuietHours(begin=time(12), end=time(13)), zone="UTC")


def quiet(hours: str, zone: str) -> ChannelSettings:
    begin, end = map(time.fromisoformat, hours.split("-"))
    return ChannelSettings(quiet=QuietHours(begin=begin, end=end), zone=zone)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "until"),
    [
        pytest.param("2026-11-17 21:59:59", None, id="a second before"),
        pytest.param("2026-11-17 22:00", "2026-11-18 07:00", id="at the beginning"),
        pytest.param("2026-11-18 03:00", "2026-11-18 07:00", id="after midnight"),
        pytest.param("2026-11-18 07:00", None, id="at the end"),
        pytest.param("2026-07-01 21:00", "2026-07-02 06:00", id="in summer an hour earlier by UTC"),
        pytest.param("2026-03-28 23:00", "2026-03-29 06:00", id="the night that is an hour shorter"),
        pytest.param("2026-10-24 21:30", "2026-10-25 07:00", id="the night that is an hour longer"),
    ],
)
def test_quiet_hours_follow_the_channels_time_zone(at: str, until: str | None) -> None:
    silence = silence_at(NIGHT, utc(at), SESSIONS)

    assert (until and utc(until)) == (silence and silence.until)


@pytest.mark.parametrize(
    ("hours", "at", "until"),
    [
        pytest.param("00:00-01:30", "2026-11-01 05:29", "2026-11-01 05:30", id="the first 01:29"),
        pytest.param("00:00-01:30", "2026-11-01 05:45", None, id="the first 01:45"),
        pytest.param("00:00-01:30", "2026-11-01 06:00", "2026-11-01 06:30", id="the second 01:00"),
        pytest.param("22:00-02:30", "2026-03-08 06:59", "2026-03-08 07:00", id="an end that is skipped"),
        pytest.param("22:00-02:30", "2026-03-08 03:30", "2026-03-08 07:00", id="the evening before"),
        pytest.param("22:00-02:30", "2026-03-08 07:00", None, id="03:00 EDT"),
        pytest.param("02:30-07:00", "2026-03-08 06:59:59", None, id="before a begin that is skipped"),
        pytest.param("02:30-07:00", "2026-03-08 07:00", "2026-03-08 11:00", id="a begin that is skipped"),
    ],
)
def test_quiet_hours_follow_the_wall_clock_when_it_changes(hours: str, at: str, until: str | None) -> None:
    silence = silence_at(quiet(hours, "America/New_York"), utc(at), SESSIONS)

    assert (until and utc(until)) == (silence and silence.until)


CHANGES = (
    ("America/New_York", "2026-03-08"),  # 02:00 to 03:00
    ("America/New_York", "2026-11-01"),  # 02:00 to 01:00
    ("Australia/Lord_Howe", "2026-10-04"),  # 02:00 to 02:30
    ("Australia/Lord_Howe", "2026-04-05"),  # 02:00 to 01:30
    ("America/Havana", "2026-03-08"),  # 00:00 to 01:00
    ("America/Havana", "2026-11-01"),  # 01:00 to 00:00
    ("Asia/Beirut", "2026-03-29"),  # 00:00 to 01:00
    ("Asia/Beirut", "2026-10-25"),  # 00:00 to 23:00 on the day before
    ("Asia/Kolkata", "2026-03-08"),  # +05:30, no change
)
HOURS = ("22:00-02:30", "02:30-07:00", "23:30-00:30", "00:00-00:15", "01:45-02:15", "00:30-23:30")


@pytest.mark.parametrize(("zone", "day"), CHANGES)
def test_each_minute_around_a_clock_change_is_quiet_if_the_wall_clock_says_so(zone: str, day: str) -> None:
    minute, begin = timedelta(minutes=1), utc(day) - timedelta(hours=14)
    minutes = [begin + number * minute for number in range(54 * 60)]
    shown = [f"{at.astimezone(ZoneInfo(zone)):%H:%M}" for at in minutes]
    for hours in HOURS:
        first, last = hours.split("-")
        expected = [first <= wall < last if first < last else wall >= first or wall < last for wall in shown]
        settings = quiet(hours, zone)

        ends = {at: one.until for at in minutes[: 28 * 60] if (one := silence_at(settings, at, SESSIONS))}
        starts = [next_silence_at(settings, at, SESSIONS) for at in minutes[: 28 * 60 : 7]]

        assert [at for at, is_quiet in zip(minutes[: 28 * 60], expected, strict=False) if is_quiet] == list(ends)
        following = dict(zip(minutes, expected, strict=True))
        assert all(not following[end] and following[end - minute] for end in ends.values())
        assert [next(at for at in minutes[number * 7 :] if following[at]) for number in range(len(starts))] == starts


@pytest.mark.parametrize(
    ("settings", "at", "until", "causes"),
    [
        pytest.param(
            ChannelSettings(muted_until=utc("2026-11-17 18:00")),
            "2026-11-17 15:00",
            "2026-11-17 18:00",
            (SilenceCause.MUTE,),
            id="until an instant",
        ),
        pytest.param(
            ChannelSettings(muted_while=MuteWhile.OPEN),
            "2026-11-27 15:00",
            "2026-11-27 18:00",
            (SilenceCause.OPEN,),
            id="while open, on a half-day",
        ),
        pytest.param(
            ChannelSettings(muted_while=MuteWhile.SHUT),
            "2026-11-25 21:00",
            "2026-11-27 14:30",
            (SilenceCause.SHUT,),
            id="while shut, over Thanksgiving",
        ),
        pytest.param(
            ChannelSettings(quiet=QuietHours(begin=time(22), end=time(7)), muted_until=utc("2026-11-18 03:30")),
            "2026-11-18 02:00",
            "2026-11-18 12:00",
            (SilenceCause.MUTE, SilenceCause.QUIET),
            id="a mute that runs into quiet hours",
        ),
    ],
)
def test_a_quiet_period_lasts_until_no_cause_applies(
    settings: ChannelSettings, at: str, until: str, causes: tuple[SilenceCause, ...]
) -> None:
    silence = silence_at(settings, utc(at), SESSIONS)

    assert silence is not None
    assert (utc(until), causes) == (silence.until, silence.causes)


def test_a_quiet_period_has_its_causes_in_words() -> None:
    silence = silence_at(ChannelSettings(muted_while=MuteWhile.SHUT), utc("2026-11-17 22:00"), SESSIONS)

    assert silence is not None
    assert reason(Code.SILENT, causes=("market_closed",)) == silence.reason


def test_an_endless_quiet_period_is_computed_up_to_a_limit() -> None:
    ever = ChannelSettings(quiet=QuietHours(begin=time(9), end=time(17)), muted_while=MuteWhile.SHUT)

    silence = silence_at(ever, utc("2026-11-17 15:00"), SESSIONS)

    assert silence is not None
    assert silence.until > utc("2026-11-17 15:00") + timedelta(days=3)


@pytest.mark.parametrize(
    ("settings", "at", "begins"),
    [
        pytest.param(ChannelSettings(), "2026-11-17 15:00", None, id="never"),
        pytest.param(NIGHT, "2026-11-17 15:00", "2026-11-17 22:00", id="tonight"),
        pytest.param(LUNCH, "2026-11-17 13:00", "2026-11-18 12:00", id="tomorrow"),
        pytest.param(NIGHT, "2026-11-17 23:00", "2026-11-17 23:00", id="now"),
        pytest.param(
            ChannelSettings(muted_while=MuteWhile.SHUT), "2026-11-27 15:00", "2026-11-27 18:00", id="at the close"
        ),
        pytest.param(
            ChannelSettings(muted_while=MuteWhile.OPEN), "2026-11-27 19:00", "2026-11-30 14:30", id="at the open"
        ),
    ],
)
def test_the_next_quiet_period_is_computed(settings: ChannelSettings, at: str, begins: str | None) -> None:
    assert (begins and utc(begins)) == next_silence_at(settings, utc(at), SESSIONS)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (ChannelSettings(), None),
        (ChannelSettings(muted_until=MUTED_AT), None),
        (
            ChannelSettings(muted_until=MUTED_AT + timedelta(hours=1), muted_by="U1"),
            Mute(until=MUTED_AT + timedelta(hours=1), state=None, by="U1"),
        ),
        (
            ChannelSettings(muted_while=MuteWhile.SHUT, muted_by="U1"),
            Mute(until=None, state=MuteWhile.SHUT, by="U1"),
        ),
    ],
)
def test_a_mute_that_is_not_over_has_its_end_and_who_set_it(settings: ChannelSettings, expected: Mute | None) -> None:
    assert expected == mute_of(settings, MUTED_AT)
