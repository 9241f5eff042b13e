"""/minerpulse help: every command, those of one topic, or one of them; from memory."""

from __future__ import annotations

import difflib
from functools import cache
from typing import TYPE_CHECKING

from handlers import render
from handlers.command import Topic

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handlers.command import Command
    from handlers.render import Message

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
        return render.no_topic(asked, list(_TOPICS))
    if near[0] in _TOPICS:
        return _topic(_TOPICS[near[0]], commands)
    return render.usage([named[near[0]]], "You can type:")


@cache
def _everything(commands: Sequence[Command]) -> Message:
    """Explain the table; it does not change, so this is done once."""
    return render.help_on(commands)


@cache
def _topic(topic: Topic, commands: Sequence[Command]) -> Message:
    rows = [row for row in commands if row.topic is topic]
    return render.help_about(topic.value, rows)
