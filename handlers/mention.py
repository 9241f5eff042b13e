"""Mentions of the app in a channel: which ones are answered, and the command that they contain."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from handlers.commands import COMMANDS
from handlers.commands.parse import ParsedCommand, parse_command
from handlers.render.markup import Reference, split_references

# Of messages that are not answered: of apps, of Slack itself (as a joined channel), and of edits that add a mention.
_IGNORED = ("bot_id", "subtype", "edited")
_NO_TEXT = " \t\n\r.,:;!?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """A command that was typed after the app's name, and the thread that it was typed in; empty outside threads."""

    command: ParsedCommand
    thread_ts: str


def read_mention(body: Mapping[str, Any]) -> Mention | None:
    """Return what a message asks the app; None if it is not a new message of a person.

    The command is what follows the app's name; without anything after it, what comes before if that is a command, else
    the board.
    """
    event = body["event"]
    if not event.get("user") or any(event.get(key) for key in _IGNORED):
        return None
    command = _parse(str(event.get("text") or ""), app_user_ids(body))
    return Mention(command=command, thread_ts=str(event.get("thread_ts") or ""))


def app_user_ids(body: Mapping[str, Any]) -> set[str]:
    """Return the app's own user ids, from the event's authorizations."""
    authorizations = body.get("authorizations") or ()
    return {str(authorization["user_id"]) for authorization in authorizations if authorization.get("is_bot")}


def _parse(text: str, app_ids: Collection[str]) -> ParsedCommand:
    parts = list(split_references(text))
    named = [at for at, part in enumerate(parts) if _is_app(part, app_ids)]
    if not named:
        return parse_command(text, COMMANDS)
    before, after = parts[: named[0]], parts[named[0] :]
    if _has_text(after[1:]):
        return parse_command(_join(after), COMMANDS)
    command = parse_command(_join(before), COMMANDS)
    return command if command.command is not None else parse_command("", COMMANDS)


def _is_app(part: str | Reference, app_ids: Collection[str]) -> bool:
    return isinstance(part, Reference) and part.kind == "@" and part.id in app_ids


def _has_text(parts: Collection[str | Reference]) -> bool:
    return bool(_join(parts).strip(_NO_TEXT))


def _join(parts: Collection[str | Reference]) -> str:
    return "".join(map(str, parts))
