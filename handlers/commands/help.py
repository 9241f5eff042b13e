"""/minerpulse help: every command, those of one topic, or one of them; from memory."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from functools import cache

from handlers.command import Command, Topic
from handlers.render.help import help_message, topic_help_message, unknown_topic_message, usage_message
from handlers.render.message import Message

NEAR = 0.6
_TOPICS = {topic.value: topic for topic in Topic}


def at_once(argument: str, commands: Sequence[Command]) -> Message:
    """Explain a topic or a command by its name, or by one that is nearly so; everything where there is neither."""
    asked = argument.lower()
    if not asked:
        return _everything(commands)
    named = {row.name: row for row in commands}
    near = difflib.get_close_matches(asked, [*_TOPICS, *named], n=1, cutoff=NEAR)
    if not near:
        return unknown_topic_message(asked, list(_TOPICS))
    if near[0] in _TOPICS:
        return _topic(_TOPICS[near[0]], commands)
    return usage_message([named[near[0]]], "You can type:")


@cache
def _everything(commands: Sequence[Command]) -> Message:
    """Explain the table; it does not change, so this is done once."""
    return help_message(commands)


@cache
def _topic(topic: Topic, commands: Sequence[Command]) -> Message:
    rows = [row for row in commands if row.topic is topic]
    return topic_help_message(topic.value, rows)
