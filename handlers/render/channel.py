"""The settings of a channel, each in the syntax in which it is typed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from handlers.render import fmt
from handlers.render.markup import channel_link, escape, reason, user_mention
from handlers.render.message import Message, compose, context, section
from services.alerting.ports import SettingChange
from services.alerting.setting_syntax import SETTINGS, Addressee, format_settings
from services.channels.settings import ChannelView
from services.core.identity import Channel, Mention
from services.delivery.ports import DeliveryProblem

_MENTION = re.compile(r"<(@|#|!)[^<>\s]+>")
_LABEL = re.compile(r"\|[^>]*>")
SETTING_DESCRIPTIONS = {
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


def channel_message(view: ChannelView, *, just_set: bool = False) -> Message:
    """Return a channel's settings; `just_set` puts the latest change first."""
    first_line = _first_line(view, just_set=just_set)
    settings = format_settings(replace(view.settings, editors=_editor_mentions(view.editors)), _addressee_link)
    lines = [
        f"• *{line}*: {SETTING_DESCRIPTIONS[setting.key]}" for setting, line in zip(SETTINGS, settings, strict=True)
    ]
    mute_line, changes = _mute_line(view), [_change_line(change) for change in view.changes]
    hint = "Change one with `/minerpulse channel remind 15m`; silence all with `/minerpulse mute 2h`."
    return compose(
        [section(first_line, mute_line), section(*lines), context(*changes), context(hint)],
        [first_line, mute_line, *lines, *changes, hint],
    )


def _editor_mentions(editors: Sequence[str]) -> tuple[Mention, ...]:
    return tuple(Mention(text=user_mention(editor), name=editor, person=editor) for editor in editors)


def _first_line(view: ChannelView, *, just_set: bool) -> str:
    if just_set and view.changes:
        last = view.changes[0]
        return f"Set: *{_escaped_setting(last.summary)}*, by {user_mention(last.by)}, {fmt.moment_utc(last.at)}."
    return "How this channel is set:"


def _mute_line(view: ChannelView) -> str:
    muted = view.settings.muted_while
    muted_note = f" It is muted while the market is {muted.value}." if muted else ""
    if view.silence is None:
        return f"New messages are told here now.{muted_note}"
    until = fmt.moment_utc(view.silence.until)
    return f"Silent until {until}: {view.silence.reason}. Posted alerts are still edited; a digest follows.{muted_note}"


def _change_line(change: SettingChange) -> str:
    return f"{_escaped_setting(change.summary)}, by {user_mention(change.by)}, {fmt.moment(change.at)}"


def _escaped_setting(text: str) -> str:
    """Return typed text safe to show: links to users and channels without labels, the rest escaped."""
    return " ".join(_LABEL.sub(">", word) if _MENTION.fullmatch(word) else escape(word) for word in text.split())


def _addressee_link(addressee: Addressee) -> str:
    match addressee:
        case Mention():
            return addressee.text
        case Channel():
            return channel_link(addressee.id)
        case _:
            assert_never(addressee)


DELIVERY_PROBLEMS_SHOWN = 5


def delivery_problem_lines(problems: Sequence[DeliveryProblem]) -> list[str]:
    """Return one line per channel with undelivered messages; nothing if all is delivered."""
    lines = [_delivery_problem_line(problem) for problem in problems[:DELIVERY_PROBLEMS_SHOWN]]
    hidden = len(problems) - DELIVERY_PROBLEMS_SHOWN
    return [*lines, *([f"{hidden} more like these: `minerpulse doctor` lists them."] if hidden > 0 else [])]


def _delivery_problem_line(problem: DeliveryProblem) -> str:
    count = f"{problem.messages} message{'' if problem.messages == 1 else 's'}"
    state = "given up" if problem.dead_lettered else "waiting to be delivered"
    channel, since = channel_link(problem.channel.id), fmt.moment_utc(problem.since)
    return f"*Not delivered* in {channel}: {count} {state} since {since}. {reason(problem.problem)}."
