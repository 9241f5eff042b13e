"""A channel in the terminal: every message, edit and answer as it happens, under the date that it happens on."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel
from rich.text import Text

from bot.fake_slack.workspace import Change, Kind, Message
from bot.terminal import mrkdwn, show_message
from handlers.render import fmt
from services.core.clock import Clock

HEADINGS = {Kind.POSTED: "new message", Kind.WHISPERED: "only you see this"}


@dataclass(slots=True, kw_only=True)
class Screen:
    """Prints changes; edits in one line, of each message the first in a day and the one that ends its alert."""

    console: Console
    clock: Clock
    _shown: dict[str, tuple[str, str | None]] = field(default_factory=dict)

    def say(self, line: str, style: str = "dim") -> None:
        """Print a line of the rehearsal's own."""
        self.console.print(Text(line, style=style))

    def tell(self, change: Change) -> None:
        """Print one change."""
        match change.kind:
            case Kind.POSTED | Kind.WHISPERED:
                self._panel(change.message, HEADINGS[change.kind])
            case Kind.EDITED:
                self._edit(change.message)
            case Kind.REPLIED:
                self._line("in its thread", mrkdwn(change.message.text))
            case Kind.DELETED:
                self._line("deleted", mrkdwn(_title(change.message)))

    def _panel(self, message: Message, heading: str) -> None:
        title = f"{when(self.clock.now())} · {heading}{named(message)}"
        self._is_news(message)
        shown = show_message(message.text, message.blocks)
        style = "cyan" if message.only_for else "yellow"
        self.console.print(Panel(shown, title=Text(title), title_align="left", border_style=style))

    def _edit(self, message: Message) -> None:
        if message.only_for:
            self._panel(message, HEADINGS[Kind.WHISPERED])
        elif self._is_news(message):
            self._line(f"edited{named(message)}", mrkdwn(_title(message)))

    def _is_news(self, message: Message) -> bool:
        now = f"{self.clock.now().astimezone(fmt.NEW_YORK):%Y-%m-%d}", alert_of(message)
        before = self._shown.get(message.ts)
        self._shown[message.ts] = now
        return before != now

    def _line(self, what: str, text: Text) -> None:
        line = Text.assemble((f"{when(self.clock.now())} · {what}: ", "dim"), text)
        self.console.print(Padding(line, (0, 0, 0, 2)))


def when(at: datetime) -> str:
    """Write the date, with its year, and the hour in New York."""
    return f"{at.astimezone(fmt.NEW_YORK):%a %d %b %Y %H:%M}"


def named(message: Message) -> str:
    """Name the alert that a message tells of by its number, as its buttons carry it."""
    number = alert_of(message)
    return f", alert {number}" if number else ""


def alert_of(message: Message) -> str | None:
    """Find the number of the open alert that a message tells of; None where it has no button to acknowledge it."""
    snooze = control(message, "snooze")
    return snooze["options"][0]["value"].partition(":")[0] if snooze else None


def control(message: Message, action_id: str) -> dict[str, Any] | None:
    """Find a button or a menu of a message."""
    elements = [one for block in message.blocks if block["type"] == "actions" for one in block["elements"]]
    return next((one for one in elements if one["action_id"] == action_id), None)


def _title(message: Message) -> str:
    return message.text.partition("\n")[0]
