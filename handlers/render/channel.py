"""The settings of a channel, each in the syntax in which it is typed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import assert_never

from handlers.render import fmt
from handlers.render.board import mute_line
from handlers.render.markup import channel_link, code, escape, escape_typed, user_mention
from handlers.render.message import Message, compose, context, header, notification, section, text_message
from handlers.render.reasons import Text, sentence
from services.alerting.paging import PageRoute
from services.alerting.ports import SettingChange
from services.alerting.setting_syntax import SETTINGS, Addressee, format_settings
from services.channels.settings import ChannelView
from services.core.identity import Channel, Mention

TITLE = "Channel settings"
MUTE = "mute"


def channel_message(view: ChannelView, typed: str = "") -> Message:
    """Return a channel's settings, after what the `typed` setting changed."""
    settings = format_settings(replace(view.settings, editors=_editor_mentions(view.editors)), addressee_link)
    lines = [f"*{line}* – {row.meaning}" for row, line in zip(SETTINGS.values(), settings, strict=True)]
    result, spoken = _result(view, typed), format_settings(view.settings, addressee_name)
    posting = [line for line in _posting_lines(view) if line != result]
    changes = [_change_line(change) for change in view.changes]
    hint = "Change one, for example `/minerpulse channel remind 15m`. Mute this channel with `/minerpulse mute 2h`."
    return compose(
        [
            None if result else header(TITLE),
            section(result),
            section(*posting),
            section(*lines),
            context(*(["*Latest changes*", *changes] if changes else [])),
            context(hint),
        ],
        notification(result or f"{TITLE}: {', '.join(spoken)}.", *posting),
    )


def _editor_mentions(editors: Sequence[str]) -> tuple[Mention, ...]:
    return tuple(Mention(text=user_mention(editor), name=editor, person=editor) for editor in editors)


def _result(view: ChannelView, typed: str) -> str:
    """Return what the typed setting changed, or that it changed nothing; empty if none was typed."""
    if not typed:
        return ""
    word, _, rest = typed.partition(" ")
    setting = SETTINGS.get(word.lower())
    if not view.changed:
        value = setting.format(view.settings, addressee_name) if setting else escape_typed(rest)
        return f"*{escape_typed(word.lower())}* is already {value}. Nothing was changed."
    if word.lower() == MUTE:
        return "This channel is no longer muted." if view.mute is None else mute_line(view.mute)
    shown = replace(view.settings, editors=_editor_mentions(view.editors))
    value = setting.format(shown, addressee_name) if setting else escape_typed(rest)
    return f"*{escape_typed(word.lower())}* is now *{value}*."


def _posting_lines(view: ChannelView) -> list[str]:
    """Return whether new messages are posted now, and who muted the channel until when."""
    muted = [mute_line(view.mute)] if view.mute else []
    if view.silence is None:
        return ["New alerts are posted here.", *muted]
    until = f":zzz: No new messages until {fmt.instant(view.silence.until)}: {sentence(view.silence.reason)}."
    return [f"{until} Posted alerts are still updated, and a digest follows.", *muted]


def _change_line(change: SettingChange) -> str:
    return f"{_escaped_setting(change.summary)}, by {user_mention(change.by)}, {fmt.instant(change.at)}"


def _escaped_setting(summary: Text) -> str:
    """Return typed text safe to show: links to users and channels without labels, the rest escaped."""
    return escape_typed(sentence(summary))


def addressee_name(addressee: Addressee) -> str:
    """Return a person or a channel as Slack shows them, and a group by its name, which notifies no one."""
    if isinstance(addressee, Mention) and addressee.person is None:
        return escape_typed(addressee.name)
    return addressee_link(addressee)


def addressee_link(addressee: Addressee) -> str:
    """Return a person, group or channel as Slack shows them."""
    match addressee:
        case Mention():
            return addressee.text
        case Channel():
            return channel_link(addressee.id)
        case _:
            assert_never(addressee)


def sinks_message(routes: Sequence[PageRoute], names: Mapping[str, str]) -> Message:
    """Return the sinks that a channel can page, and which ones it does."""
    if not names:
        return text_message("No sinks are defined. Ask your MinerPulse administrator to define one.")
    paged = {route.sink for route in routes}
    lines = [
        f"{code(name)} ({escape(kind)}){' – paged by this channel' if name in paged else ''}"
        for name, kind in names.items()
    ]
    return text_message("*Sinks*", *lines, "To page one, type `/minerpulse channel page NAME`.")


def page_tested_message(sink: str, reference: str) -> Message:
    """Return that a test page was accepted, with the sink's reference."""
    return text_message(f"{code(sink)} accepted a test page and its resolution. Reference: {code(reference)}")
