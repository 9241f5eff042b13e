"""How to use the command, from the rows of its table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from handlers.render.markup import code
from handlers.render.message import compose, header, note, say, section

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handlers.commands.command import Command
    from handlers.render.message import Message

GRAMMAR = (
    "A rule is a window, a threshold and, if you like, more: `1d 8pp`, `5d 15pp above clear 10pp`, `1d z3.5`, "
    "`20d residual 10pp for 10m`, `gap 5%`, `drawdown 60%`, `1d 8pp at close`."
)


def help_on(commands: Sequence[Command]) -> Message:
    """Explain every command, and the grammar of rules."""
    title = "MinerPulse: when bitcoin miners stop moving with bitcoin"
    lines = [_line(command) for command in commands]
    return compose([header(title), section(*lines), note(GRAMMAR)], [title, *lines, GRAMMAR])


def usage(commands: Sequence[Command], *opening: str) -> Message:
    """Show how to type one or a few commands."""
    return say(*opening, *(f"{_line(command)} As in {code(command.example)}" for command in commands))


def _line(command: Command) -> str:
    return f"{code(command.usage)}: {command.summary}"
