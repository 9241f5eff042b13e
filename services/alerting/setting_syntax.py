"""Settings as people type them: one word says which, the rest what; read here and written in the same form."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from typing import TypeAlias
from zoneinfo import ZoneInfo, available_timezones

from services.alerting.brief import SCHEDULED
from services.alerting.channel_settings import AskedBrief, ChannelSettings, QuietHours, Thread, While
from services.alerting.snooze import end_of, parse_span
from services.core.errors import ChannelSettingError
from services.core.identity import Channel, Mention
from services.core.sessions import MarketState
from services.core.text import unquoted
from services.rules.rule import print_duration

Addressee: TypeAlias = Mention | Channel


OFF, ON = "off", "on"
EDITORS, EVERYONE = "editors", "everyone"
MOST_EDITORS = 20
SHORTEST_REMINDER, SHORTEST_WAIT, LONGEST = timedelta(minutes=5), timedelta(minutes=1), timedelta(days=1)
WHO = "let Slack complete the name while you type it, or paste its ID"
_HOURS = re.compile(r"(\d{1,2})(?::(\d\d))?\s*(?:-|–|to)\s*(\d{1,2})(?::(\d\d))?", re.IGNORECASE)
_REVERSED = re.compile(r"GMT[+-]\d")  # Etc/GMT+1 is an hour behind Greenwich: nobody who types it means that
_LAST_HOUR, _LAST_MINUTE = 23, 59


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingInput:
    """What was typed behind a setting's word; `who` reads a name as the place where it was typed writes it."""

    text: str
    who: Callable[[str], Addressee | None]
    now: datetime

    @property
    def off(self) -> bool:
        """Whether the setting is to be taken back."""
        return self.text.lower() == OFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One thing that a channel can set: what is typed, how it is read, and how it is written."""

    word: str
    takes: str
    read: Callable[[SettingInput, ChannelSettings], ChannelSettings]
    write: Callable[[ChannelSettings, Callable[[Addressee], str]], str]

    @property
    def form(self) -> str:
        """What is typed behind /minerpulse channel."""
        return f"{self.word} {self.takes}"


def read_setting(typed: SettingInput, settings: ChannelSettings) -> tuple[Setting, ChannelSettings]:
    """Read one setting with its value; give which it is and the settings with it. Raises ChannelSettingError."""
    word, _, rest = typed.text.strip().partition(" ")
    setting = next((one for one in SETTINGS if one.word == word.lower()), None)
    if setting is None:
        words = ", ".join(one.word for one in SETTINGS)
        raise ChannelSettingError(f"There is no setting “{word}”; there are {words}.")
    if not unquoted(rest):
        raise ChannelSettingError(f"Say what: {setting.form}.")
    return setting, setting.read(replace(typed, text=unquoted(rest)), settings)


def write_settings(settings: ChannelSettings, name: Callable[[Addressee], str]) -> tuple[str, ...]:
    """Write every setting as it is typed; `name` writes people, groups and channels."""
    return tuple(f"{setting.word} {setting.write(settings, name)}" for setting in SETTINGS)


def read_mute(text: str, settings: ChannelSettings, market: MarketState, now: datetime) -> ChannelSettings:
    """Read for how long a channel is to be silent. Raises ChannelSettingError or MarketShutError."""
    words = text.lower().split()
    match words:
        case ["off"]:
            return replace(settings, muted_until=None, muted_while=None)
        case ["while", "shut" | "open" as state]:
            return replace(settings, muted_while=While(state))
    span = parse_span(text)
    if span is None:
        raise ChannelSettingError(
            "Mute for how long? As in 2h, until open, until close, while shut, while open, or off."
        )
    return replace(settings, muted_until=end_of(span, market, now))


def _read_mention(typed: SettingInput, settings: ChannelSettings) -> ChannelSettings:
    if typed.off and settings.remind_every is not None:
        raise ChannelSettingError("Reminders call that mention; type `remind off` first.")
    if typed.off:
        return replace(settings, mention=None)
    who = typed.who(typed.text)
    if not isinstance(who, Mention):
        raise ChannelSettingError(f"Cannot tell who “{typed.text}” is; {WHO}, or type `mention off`.")
    return replace(settings, mention=who)


def _write_mention(settings: ChannelSettings, name: Callable[[Addressee], str]) -> str:
    return OFF if settings.mention is None else name(settings.mention)


def _read_remind(typed: SettingInput, settings: ChannelSettings) -> ChannelSettings:
    if typed.off:
        return replace(settings, remind_every=None)
    if settings.mention is None:
        raise ChannelSettingError("Say first whom reminders call: `mention @WHO`.")
    return replace(settings, remind_every=_length(typed.text, SHORTEST_REMINDER, "remind 15m"))


def _write_remind(settings: ChannelSettings, _name: Callable[[Addressee], str]) -> str:
    return OFF if settings.remind_every is None else print_duration(settings.remind_every)


def _read_escalate(typed: SettingInput, settings: ChannelSettings) -> ChannelSettings:
    if typed.off:
        return replace(settings, escalate_after=None, escalate_to=None)
    after, name = _wait_and_name(typed.text)
    waits = _length(after, SHORTEST_WAIT, "escalate 30m @WHO")
    who = typed.who(name.strip())
    if who is None:
        raise ChannelSettingError(f"Cannot tell who “{name.strip()}” is; {WHO}: a person, a group or a #channel.")
    return replace(settings, escalate_after=waits, escalate_to=who)


def _wait_and_name(text: str) -> tuple[str, str]:
    """Part `30m @WHO`; a length may be of two words, as `30 min`."""
    after, _, name = text.partition(" ")
    unit, _, rest = name.partition(" ")
    return (f"{after} {unit}", rest) if parse_span(after) is None and parse_span(f"{after} {unit}") else (after, name)


def _write_escalate(settings: ChannelSettings, name: Callable[[Addressee], str]) -> str:
    if settings.escalate_after is None or settings.escalate_to is None:
        return OFF
    return f"{print_duration(settings.escalate_after)} {name(settings.escalate_to)}"


def _read_quiet(typed: SettingInput, settings: ChannelSettings) -> ChannelSettings:
    if typed.off:
        return replace(settings, quiet=None)
    found = _HOURS.fullmatch(typed.text)
    hours = [int(number or 0) for number in found.groups()] if found else []
    if not found or max(hours[0], hours[2]) > _LAST_HOUR or max(hours[1], hours[3]) > _LAST_MINUTE:
        raise ChannelSettingError(
            f"Cannot read the hours “{typed.text}”; write them as in 22:00-07:00, or type `quiet off`."
        )
    begin, end = time(hours[0], hours[1]), time(hours[2], hours[3])
    if begin == end:
        raise ChannelSettingError(
            "Quiet hours must end at another time than they begin; to stay silent, mute the channel."
        )
    return replace(settings, quiet=QuietHours(begin=begin, end=end))


def _write_quiet(settings: ChannelSettings, _name: Callable[[Addressee], str]) -> str:
    quiet = settings.quiet
    return OFF if quiet is None else f"{quiet.begin:%H:%M}-{quiet.end:%H:%M}"


def _read_zone(typed: SettingInput, settings: ChannelSettings) -> ChannelSettings:
    meant = typed.text.replace(" ", "_").lower()
    zones = [
        zone
        for zone in sorted(available_timezones())
        if meant in {zone.lower(), zone.lower().rpartition("/")[2]} and not _REVERSED.search(zone)
    ]
    if not zones:
        raise ChannelSettingError(
            f"There is no time zone “{typed.text}”; name it as in Europe/London or America/New_York."
        )
    exact = next((zone for zone in zones if zone.lower() == meant), zones[0])
    return replace(settings, zone=ZoneInfo(exact).key)


def _write_zone(settings: ChannelSettings, _name: Callable[[Addressee], str]) -> str:
    return settings.zone


def _read_thread(typed: SettingInput, settings: ChannelSettings) -> ChannelSettings:
    word = typed.text.lower()
    if word not in {thread.value for thread in Thread}:
        raise ChannelSettingError(
            f"A thread tells `all`, `steps` (what prices did) or `ends` (how it ended), not “{typed.text}”."
        )
    return replace(settings, thread=Thread(word))


def _write_thread(settings: ChannelSettings, _name: Callable[[Addressee], str]) -> str:
    return settings.thread.value


def _read_broadcast(typed: SettingInput, settings: ChannelSettings) -> ChannelSettings:
    return replace(settings, broadcast=_switch("broadcast", typed))


def _write_broadcast(settings: ChannelSettings, _name: Callable[[Addressee], str]) -> str:
    return ON if settings.broadcast else OFF


def _read_daily(typed: SettingInput, settings: ChannelSettings) -> ChannelSettings:
    return replace(settings, daily_since=(settings.daily_since or typed.now) if _switch("daily", typed) else None)


def _write_daily(settings: ChannelSettings, _name: Callable[[Addressee], str]) -> str:
    return OFF if settings.daily_since is None else ON


def _read_editors(typed: SettingInput, settings: ChannelSettings) -> ChannelSettings:
    names = typed.text.replace(",", " ").split()
    if [name.lower() for name in names] in ([EVERYONE], [OFF]):
        return replace(settings, editors=())
    people = tuple({person.person: person for person in (_editor(name, typed) for name in names)}.values())
    if len(people) > MOST_EDITORS:
        raise ChannelSettingError(f"At most {MOST_EDITORS} people can be named; for more, type `{EDITORS} {EVERYONE}`.")
    return replace(settings, editors=people)


def _editor(name: str, typed: SettingInput) -> Mention:
    who = typed.who(name)
    if not isinstance(who, Mention):
        raise ChannelSettingError(f"Cannot tell who “{name}” is; {WHO}, or type `{EDITORS} {EVERYONE}`.")
    if who.person is None:
        raise ChannelSettingError(
            f"{who.name} is a group, and MinerPulse may not see who is in it: name its people one by one, or type "
            f"`{EDITORS} {EVERYONE}`."
        )
    return who


def _write_editors(settings: ChannelSettings, name: Callable[[Addressee], str]) -> str:
    return " ".join(name(one) for one in settings.editors) or EVERYONE


def _read_brief(typed: SettingInput, settings: ChannelSettings) -> ChannelSettings:
    """Read which briefs are wanted; one that was asked for before stays so since then."""
    if typed.off:
        return replace(settings, briefs=())
    words = typed.text.lower().replace(",", " ").split()
    if not set(words) <= {one.value for one in SCHEDULED}:
        raise ChannelSettingError(f"“brief” is any of `open`, `close` and `weekly`, or `off`, not “{typed.text}”.")
    since = {one.occasion: one.since for one in settings.briefs}
    wanted = [one for one in SCHEDULED if one.value in words]
    return replace(settings, briefs=tuple(AskedBrief(occasion=one, since=since.get(one, typed.now)) for one in wanted))


def _write_brief(settings: ChannelSettings, _name: Callable[[Addressee], str]) -> str:
    return " ".join(one.occasion.value for one in settings.briefs) or OFF


def _switch(word: str, typed: SettingInput) -> bool:
    if typed.text.lower() not in {ON, OFF}:
        raise ChannelSettingError(f"“{word}” is `on` or `off`, not “{typed.text}”.")
    return not typed.off


def _length(text: str, shortest: timedelta, example: str) -> timedelta:
    span = parse_span(text)
    length = span if isinstance(span, timedelta) else None
    if length is None or not shortest <= length <= LONGEST:
        between = f"from {print_duration(shortest)} to {print_duration(LONGEST)}"
        raise ChannelSettingError(f"Cannot read the time “{text}”; it is {between}, as in `{example}`.")
    return length


SETTINGS = (
    Setting(word="mention", takes="@WHO | off", read=_read_mention, write=_write_mention),
    Setting(word="remind", takes="15m | off", read=_read_remind, write=_write_remind),
    Setting(word="escalate", takes="30m @WHO | 30m #CHANNEL | off", read=_read_escalate, write=_write_escalate),
    Setting(word="quiet", takes="22:00-07:00 | off", read=_read_quiet, write=_write_quiet),
    Setting(word="zone", takes="Europe/London", read=_read_zone, write=_write_zone),
    Setting(word="thread", takes="all | steps | ends", read=_read_thread, write=_write_thread),
    Setting(word="broadcast", takes="on | off", read=_read_broadcast, write=_write_broadcast),
    Setting(word="daily", takes="on | off", read=_read_daily, write=_write_daily),
    Setting(word=EDITORS, takes="@WHO @WHO | everyone", read=_read_editors, write=_write_editors),
    Setting(word="brief", takes="open close weekly | off", read=_read_brief, write=_write_brief),
)
