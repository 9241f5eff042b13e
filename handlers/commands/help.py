"""/minerpulse help: all commands, those of one topic, or one of them; no I/O."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from functools import cache

from handlers.command import Command, Topic
from handlers.render.help import help_message, topic_help_message, unknown_topic_message, usage_message
from handlers.render.message import Message

MIN_SIMILARITY = 0.6
_TOPICS = {topic.value: topic for topic in Topic}


def show_help(argument: str, commands: Sequence[Command]) -> Message:
    """Return help on the topic or command that matches best; all commands if the argument is empty."""
    typed = argument.lower()
    if not typed:
        return _full_help(commands)
    by_name = {row.name: row for row in commands}
    matches = difflib.get_close_matches(typed, [*_TOPICS, *by_name], n=1, cutoff=MIN_SIMILARITY)
    if not matches:
        return unknown_topic_message(typed, list(_TOPICS))
    if matches[0] in _TOPICS:
        return _topic_help(_TOPICS[matches[0]], commands)
    return usage_message([by_name[matches[0]]], "You can type:")


@cache
def _full_help(commands: Sequence[Command]) -> Message:
    """Return help on all commands; cached because the table doesn't change."""
    return help_message(commands)


@cache
def _topic_help(topic: Topic, commands: Sequence[Command]) -> Message:
    rows = [row for row in commands if row.topic is topic]
    return topic_help_message(topic.value, rows)
