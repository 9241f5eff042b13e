"""How a channel is set, each setting as it is typed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from handlers.render import fmt
from handlers.render.markup import escape, person, place, reason
from handlers.render.message import Message, compose, note, section
from services.alerting.ports import SettingChange
from services.alerting.setting_syntax import SETTINGS, Addressee, write_settings
from services.channels.settings import ChannelView
from services.core.identity import Channel, Mention
from services.delivery.ports import DeliveryProblem

_NAMED = re.compile(r"<(@|#|!)[^<>\s]+>")
_LABEL = re.compile(r"\|[^>]*>")
MEANINGS = {
    "mention": "called once by each new alert",
    "remind": "calls it again, in the thread, while nobody has acknowledged",
    "escalate": "calls someone else, once, after that time without an acknowledgement",
    "quiet": "no new message in these hours; a digest follows",
    "zone": "whose clock the quiet hours follow",
    "thread": "how much the thread of an alert tells",
    "broadcast": "lines that tell of worsening appear in the channel too",
    "daily": "proof at each close that MinerPulse watched",
    "editors": "who may change the rules here, and this list",
    "brief": "what moved, what is unusual and what to watch, half an hour before the open, at the close, each week",
}


def channel_message(told: ChannelView, *, just_set: bool = False) -> Message:
    """Render how a channel is set; `just_set` tells that a person has just changed something, or tried to."""
    opening = _opening(told, just_set=just_set)
    written = write_settings(replace(told.settings, editors=_people(told.editors)), _named)
    lines = [f"• *{line}*: {MEANINGS[setting.word]}" for setting, line in zip(SETTINGS, written, strict=True)]
    silence, changes = _silence(told), [_change(one) for one in told.changes]
    how = "Change one with `/minerpulse channel remind 15m`; silence all with `/minerpulse mute 2h`."
    return compose(
        [section(opening, silence), section(*lines), note(*changes), note(how)],
        [opening, silence, *lines, *changes, how],
    )


def _people(editors: Sequence[str]) -> tuple[Mention, ...]:
    return tuple(Mention(text=person(one), name=one, person=one) for one in editors)


def _opening(told: ChannelView, *, just_set: bool) -> str:
    if just_set and told.changes:
        last = told.changes[0]
        return f"Set: *{_shown(last.what)}*, by {person(last.by)}, {fmt.moment_utc(last.at)}."
    return "How this channel is set:"


def _silence(told: ChannelView) -> str:
    muted = told.settings.muted_while
    always = f" It is muted while the market is {muted.value}." if muted else ""
    if told.silence is None:
        return f"New messages are told here now.{always}"
    until = fmt.moment_utc(told.silence.until)
    return f"Silent until {until}: {told.silence.why}. Posted alerts are still edited; a digest follows.{always}"


def _change(one: SettingChange) -> str:
    return f"{_shown(one.what)}, by {person(one.by)}, {fmt.moment(one.at)}"


def _shown(what: str) -> str:
    """Show what was typed: names of people and channels as Slack shows them, everything else as text."""
    return " ".join(_LABEL.sub(">", word) if _NAMED.fullmatch(word) else escape(word) for word in what.split())


def _named(who: Addressee) -> str:
    match who:
        case Mention():
            return who.text
        case Channel():
            return place(who)
        case _:
            assert_never(who)


SHOWN = 5


def delivery_problem_lines(told: Sequence[DeliveryProblem]) -> list[str]:
    """Tell of each channel what does not arrive there; nothing where all does."""
    lines = [_trouble(one) for one in told[:SHOWN]]
    more = len(told) - SHOWN
    return [*lines, *([f"{more} more like these: `minerpulse doctor` lists them."] if more > 0 else [])]


def _trouble(one: DeliveryProblem) -> str:
    number = f"{one.messages} message{'' if one.messages == 1 else 's'}"
    what = "given up" if one.given_up else "waiting to be delivered"
    since = fmt.moment_utc(one.since)
    return f"*Not delivered* in {place(one.channel)}: {number} {what} since {since}. {reason(one.problem)}."
