"""The settings of a channel, each in the syntax in which it is typed."""

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from handlers.render import fmt
from handlers.render.board import mute_line
from handlers.render.markup import channel_link, escape_typed, user_mention
from handlers.render.message import Message, compose, context, section
from handlers.render.reasons import Text, sentence
from services.alerting.ports import SettingChange
from services.alerting.setting_syntax import SETTINGS, Addressee, format_settings
from services.channels.settings import ChannelView
from services.core.identity import Channel, Mention


def channel_message(view: ChannelView, typed: str = "") -> Message:
    """Return a channel's settings, after what the `typed` setting changed."""
    first_line = _first_line(view, typed)
    settings = format_settings(replace(view.settings, editors=_editor_mentions(view.editors)), _addressee_link)
    lines = [f"• *{line}*: {row.meaning}" for row, line in zip(SETTINGS.values(), settings, strict=True)]
    mute_line, changes = _mute_line(view), [_change_line(change) for change in view.changes]
    hint = "Change one with `/minerpulse channel remind 15m`; mute all with `/minerpulse mute 2h`."
    return compose(
        [section(first_line, mute_line), section(*lines), context(*changes), context(hint)],
        [first_line, mute_line, *lines, *changes, hint],
    )


def _editor_mentions(editors: Sequence[str]) -> tuple[Mention, ...]:
    return tuple(Mention(text=user_mention(editor), name=editor, person=editor) for editor in editors)


def _first_line(view: ChannelView, typed: str) -> str:
    if typed and not view.changed:
        word, _, rest = typed.partition(" ")
        setting = SETTINGS.get(word.lower())
        value = setting.format(view.settings, _addressee_link) if setting else escape_typed(rest)
        return f"*{escape_typed(word.lower())}* is already {value}; nothing changed."
    if typed and view.changes:
        last = view.changes[0]
        return (
            f"Set: *{_escaped_setting(sentence(last.summary))}*, by {user_mention(last.by)}, {fmt.moment_utc(last.at)}."
        )
    return "Settings of this channel:"


def _mute_line(view: ChannelView) -> str:
    muted_note = f" {mute_line(view.mute)}" if view.mute else ""
    if view.silence is None:
        return f"New messages are posted here now.{muted_note}"
    until = fmt.moment_utc(view.silence.until)
    why = sentence(view.silence.reason)
    return f"Silent until {until}: {why}. Posted alerts are still updated; a digest follows.{muted_note}"


def _change_line(change: SettingChange) -> str:
    return f"{_escaped_setting(change.summary)}, by {user_mention(change.by)}, {fmt.moment(change.at)}"


def _escaped_setting(summary: Text) -> str:
    """Return typed text safe to show: links to users and channels without labels, the rest escaped."""
    return escape_typed(sentence(summary))


def _addressee_link(addressee: Addressee) -> str:
    match addressee:
        case Mention():
            return addressee.text
        case Channel():
            return channel_link(addressee.id)
        case _:
            assert_never(addressee)
