"""Channel settings, one row each: its word, its parser and formatter, which round-trip, and what it means.

To add a setting, add a row to SETTINGS, and a field with a default to `ChannelSettings` if it stores something new.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from typing import TypeAlias
from zoneinfo import ZoneInfo, available_timezones

from services.alerting.channel_settings import (
    SCHEDULED,
    BriefSubscription,
    ChannelSettings,
    MuteWhile,
    QuietHours,
    ThreadDetail,
)
from services.alerting.paging import PageRoute, Severity, is_sink_name
from services.alerting.snooze import parse_snooze, snooze_end
from services.core.errors import ChannelSettingError
from services.core.identity import Channel, Mention
from services.core.rows import by_key
from services.core.scan import DIGITS, WHITESPACE, Scanner
from services.core.sessions import MarketState
from services.core.text import strip_quotes
from services.rules.rule import print_duration

Addressee: TypeAlias = Mention | Channel


OFF, ON = "off", "on"
EDITORS, EVERYONE, ESCALATE, ACCEPT_ESCALATIONS = "editors", "everyone", "escalate", "accept-escalations"
MAX_EDITORS = 20
MAX_RULE_DIGITS = 10
MIN_REMINDER, MIN_ESCALATION_DELAY, MAX_DURATION = timedelta(minutes=5), timedelta(minutes=1), timedelta(days=1)
NAME_HINT = "Let Slack complete the name while you type it, or paste its ID"
_REVERSED = "GMT+", "GMT-"  # Etc/GMT+1 is an hour behind Greenwich, the opposite of what people mean by it
_NO_PLACES = "Factory", "localtime"  # no zone is set; whatever the server's zone is
_LAST_HOUR, _LAST_MINUTE = 23, 59


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingInput:
    """The text after a setting's key.

    Attributes:
        resolve: Looks up a person, group or channel by name, as the place it was typed in writes names.
    """

    text: str
    resolve: Callable[[str], Addressee | None]
    now: datetime

    @property
    def is_off(self) -> bool:
        """Whether the setting is turned off."""
        return self.text.lower() == OFF


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One channel setting. Editors change all of them.

    Attributes:
        word: What to type before the value.
        syntax: The forms of the value.
        meaning: What the setting does, after its value in the list of settings.
    """

    word: str
    syntax: str
    meaning: str
    parse: Callable[[SettingInput, ChannelSettings], ChannelSettings]
    format: Callable[[ChannelSettings, Callable[[Addressee], str]], str]

    @property
    def usage(self) -> str:
        """What to type after `/minerpulse channel`."""
        return f"{self.word} {self.syntax}"

    @property
    def default(self) -> str:
        """The value in a channel that has set nothing."""
        return self.format(ChannelSettings(), str)


def parse_setting(value: SettingInput, settings: ChannelSettings) -> tuple[Setting, ChannelSettings]:
    """Parse one setting with its value; return the setting and the changed settings. Raises ChannelSettingError."""
    word, _, rest = value.text.strip().partition(" ")
    setting = SETTINGS.get(word.lower())
    if setting is None:
        raise ChannelSettingError(f"Nothing was changed: “{word}” isn't a setting. Settings: {', '.join(SETTINGS)}.")
    if not strip_quotes(rest):
        raise ChannelSettingError(f"Nothing was changed: the value is missing. Type `{setting.usage}`.")
    return setting, setting.parse(replace(value, text=strip_quotes(rest)), settings)


def format_settings(settings: ChannelSettings, name: Callable[[Addressee], str]) -> tuple[str, ...]:
    """Format every setting as it is typed; `name` formats people, groups and channels."""
    return tuple(f"{setting.word} {setting.format(settings, name)}" for setting in SETTINGS.values())


def parse_mute(text: str, settings: ChannelSettings, market: MarketState, now: datetime) -> ChannelSettings:
    """Parse a mute. Raises ChannelSettingError or MarketClosedError."""
    words = text.lower().split()
    match words:
        case ["off"]:
            return replace(settings, muted_until=None, muted_while=None)
        case ["while", "closed" | "shut"]:
            return replace(settings, muted_while=MuteWhile.SHUT)
        case ["while", "open"]:
            return replace(settings, muted_while=MuteWhile.OPEN)
    end = parse_snooze(text)
    if end is None:
        raise ChannelSettingError(
            "Nothing was changed: for how long? Type `2h`, `until open`, `until close`, `while closed`, "
            "`while open` or `off`."
        )
    return replace(settings, muted_until=snooze_end(end, market, now))


def _parse_mention(value: SettingInput, settings: ChannelSettings) -> ChannelSettings:
    if value.is_off and settings.remind_every is not None:
        raise ChannelSettingError("Nothing was changed: reminders use this mention. Type `remind off` first.")
    if value.is_off:
        return replace(settings, mention=None)
    target = value.resolve(value.text)
    if not isinstance(target, Mention):
        raise ChannelSettingError(
            f"Nothing was changed: couldn't find “{value.text}”. {NAME_HINT}, or type `mention off`."
        )
    return replace(settings, mention=target)


def _format_mention(settings: ChannelSettings, name: Callable[[Addressee], str]) -> str:
    return OFF if settings.mention is None else name(settings.mention)


def _parse_remind(value: SettingInput, settings: ChannelSettings) -> ChannelSettings:
    if value.is_off:
        return replace(settings, remind_every=None)
    if settings.mention is None:
        raise ChannelSettingError("Nothing was changed: reminders need a mention. First type `mention @WHO`.")
    return replace(settings, remind_every=_parse_duration(value.text, MIN_REMINDER, "remind 15m"))


def _format_remind(settings: ChannelSettings, _name: Callable[[Addressee], str]) -> str:
    return OFF if settings.remind_every is None else print_duration(settings.remind_every)


def _parse_escalate(value: SettingInput, settings: ChannelSettings) -> ChannelSettings:
    if value.is_off:
        return replace(settings, escalate_after=None, escalate_to=None)
    text, name = _split_delay(value.text)
    delay = _parse_duration(text, MIN_ESCALATION_DELAY, "escalate 30m @WHO")
    target = value.resolve(name.strip())
    if target is None:
        raise ChannelSettingError(
            f"Nothing was changed: couldn't find “{name.strip()}”. {NAME_HINT}. Name a person, a group or a #channel."
        )
    return replace(settings, escalate_after=delay, escalate_to=target)


def _split_delay(text: str) -> tuple[str, str]:
    """Split `30m @WHO` into delay and name; the delay may be two words, as in `30 min`."""
    delay, _, name = text.partition(" ")
    unit, _, rest = name.partition(" ")
    two_words = f"{delay} {unit}"
    return (two_words, rest) if parse_snooze(delay) is None and parse_snooze(two_words) else (delay, name)


def _format_escalate(settings: ChannelSettings, name: Callable[[Addressee], str]) -> str:
    if settings.escalate_after is None or settings.escalate_to is None:
        return OFF
    return f"{print_duration(settings.escalate_after)} {name(settings.escalate_to)}"


def _parse_quiet(value: SettingInput, settings: ChannelSettings) -> ChannelSettings:
    if value.is_off:
        return replace(settings, quiet=None)
    scanner = Scanner(value.text.lower())
    begin = _parse_clock(scanner)
    scanner.run(WHITESPACE)
    dash = scanner.skip("-", "–", "to")
    scanner.run(WHITESPACE)
    end = _parse_clock(scanner)
    if begin is None or end is None or not dash or not scanner.is_done:
        raise ChannelSettingError(
            f"Nothing was changed: couldn't read the hours “{value.text}”. Type them as in `22:00-07:00`, "
            "or `quiet off`."
        )
    if begin == end:
        raise ChannelSettingError(
            "Nothing was changed: quiet hours can't begin and end at the same time. To post nothing, mute the channel."
        )
    return replace(settings, quiet=QuietHours(begin=begin, end=end))


def _parse_clock(scanner: Scanner) -> time | None:
    """Take a time of day, such as `7` or `07:30`; return None if there is none."""
    hour = scanner.run(DIGITS, 2)
    minute = scanner.run(DIGITS, 2) if scanner.skip(":") else "00"
    if not hour or len(minute) != len("00") or int(hour) > _LAST_HOUR or int(minute) > _LAST_MINUTE:
        return None
    return time(int(hour), int(minute))


def _format_quiet(settings: ChannelSettings, _name: Callable[[Addressee], str]) -> str:
    quiet = settings.quiet
    return OFF if quiet is None else f"{quiet.begin:%H:%M}-{quiet.end:%H:%M}"


def _parse_zone(value: SettingInput, settings: ChannelSettings) -> ChannelSettings:
    wanted = value.text.replace(" ", "_").lower()
    matches = [
        zone
        for zone in sorted(available_timezones().difference(_NO_PLACES))
        if wanted in {zone.lower(), zone.lower().rpartition("/")[2]} and not any(part in zone for part in _REVERSED)
    ]
    if not matches:
        raise ChannelSettingError(
            f"Nothing was changed: couldn't find the time zone “{value.text}”. Type one such as `Europe/London`."
        )
    exact = next((zone for zone in matches if zone.lower() == wanted), matches[0])
    return replace(settings, zone=ZoneInfo(exact).key)


def _format_zone(settings: ChannelSettings, _name: Callable[[Addressee], str]) -> str:
    return settings.zone


def _parse_thread(value: SettingInput, settings: ChannelSettings) -> ChannelSettings:
    word = value.text.lower()
    if word not in {thread.value for thread in ThreadDetail}:
        raise ChannelSettingError(
            f"Nothing was changed: a thread shows `all`, `steps` (what prices did) or `ends` (how it ended), "
            f"not “{value.text}”."
        )
    return replace(settings, thread=ThreadDetail(word))


def _format_thread(settings: ChannelSettings, _name: Callable[[Addressee], str]) -> str:
    return settings.thread.value


def _parse_broadcast(value: SettingInput, settings: ChannelSettings) -> ChannelSettings:
    return replace(settings, broadcast=_parse_switch("broadcast", value))


def _format_broadcast(settings: ChannelSettings, _name: Callable[[Addressee], str]) -> str:
    return ON if settings.broadcast else OFF


def _parse_daily(value: SettingInput, settings: ChannelSettings) -> ChannelSettings:
    return replace(settings, daily_since=(settings.daily_since or value.now) if _parse_switch("daily", value) else None)


def _format_daily(settings: ChannelSettings, _name: Callable[[Addressee], str]) -> str:
    return OFF if settings.daily_since is None else ON


def _parse_editors(value: SettingInput, settings: ChannelSettings) -> ChannelSettings:
    names = value.text.replace(",", " ").split()
    if [name.lower() for name in names] in ([EVERYONE], [OFF]):
        return replace(settings, editors=())
    people = tuple({person.person: person for person in (_parse_editor(name, value) for name in names)}.values())
    if len(people) > MAX_EDITORS:
        raise ChannelSettingError(
            f"Nothing was changed: the limit is {MAX_EDITORS} editors. For more, type `{EDITORS} {EVERYONE}`."
        )
    return replace(settings, editors=people)


def _parse_editor(name: str, value: SettingInput) -> Mention:
    target = value.resolve(name)
    if not isinstance(target, Mention):
        raise ChannelSettingError(
            f"Nothing was changed: couldn't find “{name}”. {NAME_HINT}, or type `{EDITORS} {EVERYONE}`."
        )
    if target.person is None:
        raise ChannelSettingError(
            f"Nothing was changed: {target.name} is a group, whose members are unknown here. Name each person, "
            f"or type `{EDITORS} {EVERYONE}`."
        )
    return target


def _format_editors(settings: ChannelSettings, name: Callable[[Addressee], str]) -> str:
    return " ".join(name(one) for one in settings.editors) or EVERYONE


def _parse_brief(value: SettingInput, settings: ChannelSettings) -> ChannelSettings:
    """Parse the briefs that are turned on; those that were on before keep their start."""
    if value.is_off:
        return replace(settings, briefs=())
    words = value.text.lower().replace(",", " ").split()
    if not set(words) <= {one.value for one in SCHEDULED}:
        raise ChannelSettingError(
            f"Nothing was changed: briefs are `open`, `close`, `weekly` or `off`, not “{value.text}”."
        )
    since = {one.occasion: one.since for one in settings.briefs}
    selected = [one for one in SCHEDULED if one.value in words]
    return replace(
        settings, briefs=tuple(BriefSubscription(occasion=one, since=since.get(one, value.now)) for one in selected)
    )


def _format_brief(settings: ChannelSettings, _name: Callable[[Addressee], str]) -> str:
    return " ".join(one.occasion.value for one in settings.briefs) or OFF


def _parse_accept_escalations(value: SettingInput, settings: ChannelSettings) -> ChannelSettings:
    return replace(settings, accept_escalations=_parse_switch(ACCEPT_ESCALATIONS, value))


def _format_accept_escalations(settings: ChannelSettings, _name: Callable[[Addressee], str]) -> str:
    return ON if settings.accept_escalations else OFF


def _parse_switch(key: str, value: SettingInput) -> bool:
    if value.text.lower() not in {ON, OFF}:
        raise ChannelSettingError(f"Nothing was changed: “{key}” is `on` or `off`, not “{value.text}”.")
    return not value.is_off


def _parse_duration(text: str, minimum: timedelta, example: str) -> timedelta:
    parsed = parse_snooze(text)
    duration = parsed if isinstance(parsed, timedelta) else None
    if duration is None or not minimum <= duration <= MAX_DURATION:
        between = f"a time from {print_duration(minimum)} to {print_duration(MAX_DURATION)}"
        raise ChannelSettingError(
            f"Nothing was changed: couldn't read the time “{text}”. Use {between}, for example `{example}`."
        )
    return duration


PAGE, TEST, LIST = "page", "test", "list"
PAGE_SYNTAX = "SINK [for RULE] [severity critical] [always] | off SINK"
MAX_PAGES = 10


def _parse_page(value: SettingInput, settings: ChannelSettings) -> ChannelSettings:
    """Parse a route such as `desk for 3 severity critical always`, which replaces an earlier one to the same sink."""
    words = value.text.lower().split()
    if words[0] == OFF:
        gone = set(words[1:])
        if gone and (unknown := gone - {route.sink for route in settings.pages}):
            raise ChannelSettingError(f"Nothing was changed: this channel doesn't page “{min(unknown)}”.")
        return replace(settings, pages=tuple(route for route in settings.pages if gone and route.sink not in gone))
    route = _page_options(PageRoute(sink=words[0]), words[1:])
    if not is_sink_name(route.sink):
        raise ChannelSettingError(f"“{route.sink}” isn't the name of a sink. `channel page list` shows their names.")
    others = tuple(one for one in settings.pages if one.sink != route.sink)
    if len(others) >= MAX_PAGES:
        raise ChannelSettingError(f"A channel pages at most {MAX_PAGES} sinks. Turn one off first.")
    return replace(settings, pages=(*others, route))


def _page_options(route: PageRoute, words: list[str]) -> PageRoute:
    match words:
        case []:
            return route
        case ["always", *rest]:
            return _page_options(replace(route, always=True), rest)
        case ["severity", level, *rest] if level in {one.value for one in Severity}:
            return _page_options(replace(route, severity=Severity(level)), rest)
        case ["for", number, *rest] if number.removeprefix("#").isdecimal() and len(number) <= MAX_RULE_DIGITS:
            return _page_options(replace(route, rule_id=int(number.removeprefix("#"))), rest)
        case ["severity", *_]:
            levels = ", ".join(one.value for one in Severity)
            raise ChannelSettingError(f"Which severity? Use {levels}, as in `page {route.sink} severity critical`.")
        case _:
            raise ChannelSettingError(f"Couldn't read “{words[0]}”. Use {PAGE_SYNTAX}.")


def _format_page(settings: ChannelSettings, _name: Callable[[Addressee], str]) -> str:
    return ", ".join(map(_print_route, settings.pages)) or OFF


def _print_route(route: PageRoute) -> str:
    rule = "" if route.rule_id is None else f" for {route.rule_id}"
    severity = "" if route.severity is Severity.ERROR else f" severity {route.severity.value}"
    return f"{route.sink}{rule}{severity}{' always' if route.always else ''}"


_ROWS = (
    Setting(
        word="mention",
        syntax="@WHO | off",
        parse=_parse_mention,
        format=_format_mention,
        meaning="who is mentioned in each new alert",
    ),
    Setting(
        word="remind",
        syntax="15m | off",
        parse=_parse_remind,
        format=_format_remind,
        meaning="how often the thread mentions them again until someone acknowledges the alert",
    ),
    Setting(
        word=ESCALATE,
        syntax="30m @WHO | 30m #CHANNEL | off",
        parse=_parse_escalate,
        format=_format_escalate,
        meaning="who else is notified, once, if no one acknowledges within this time",
    ),
    Setting(
        word=PAGE,
        syntax=PAGE_SYNTAX,
        parse=_parse_page,
        format=_format_page,
        meaning="sends pages to PagerDuty, a webhook or email; `page list` shows the sinks, `page test SINK` tests one",
    ),
    Setting(
        word="quiet",
        syntax="22:00-07:00 | off",
        parse=_parse_quiet,
        format=_format_quiet,
        meaning="hours without new messages; a digest follows",
    ),
    Setting(
        word="zone",
        syntax="Europe/London",
        parse=_parse_zone,
        format=_format_zone,
        meaning="time zone for quiet hours",
    ),
    Setting(
        word="thread",
        syntax="all | steps | ends",
        parse=_parse_thread,
        format=_format_thread,
        meaning="what is posted in an alert's thread: everything, what prices did, or how it ended",
    ),
    Setting(
        word="broadcast",
        syntax="on | off",
        parse=_parse_broadcast,
        format=_format_broadcast,
        meaning="whether thread replies about widening also appear in the channel",
    ),
    Setting(
        word="daily",
        syntax="on | off",
        parse=_parse_daily,
        format=_format_daily,
        meaning="whether a monitoring report is posted at each close",
    ),
    Setting(
        word=EDITORS,
        syntax="@WHO @WHO | everyone",
        parse=_parse_editors,
        format=_format_editors,
        meaning="who can change rules, settings, mutes and this list",
    ),
    Setting(
        word=ACCEPT_ESCALATIONS,
        syntax="on | off",
        parse=_parse_accept_escalations,
        format=_format_accept_escalations,
        meaning="whether other channels can escalate alerts to this one",
    ),
    Setting(
        word="brief",
        syntax="open close weekly | off",
        parse=_parse_brief,
        format=_format_brief,
        meaning="summaries of what moved: 30 min before the open, at the close, each week",
    ),
)
SETTINGS = by_key("SETTINGS", lambda setting: setting.word, _ROWS)
