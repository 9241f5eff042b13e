"""A channel in the terminal: prints messages, edits and replies with their New York time."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel
from rich.text import Text

from bot.fake_slack.workspace import EventKind, MessageEvent, PostedMessage
from bot.terminal import render_message, render_mrkdwn
from handlers.render import fmt
from services.core.clock import Clock

NEW, ONLY_YOU = "new message", "only you see this"


@dataclass(slots=True, kw_only=True)
class Screen:
    """Prints message events. Of each message's edits, only the first in a day and the end of its alert are printed."""

    console: Console
    clock: Clock
    _last_printed: dict[str, tuple[str, str | None]] = field(default_factory=dict)

    def print_line(self, line: str, style: str = "dim") -> None:
        """Print a line of the rehearsal itself."""
        self.console.print(Text(line, style=style))

    def print_event(self, event: MessageEvent) -> None:
        """Print a message event."""
        match event.kind:
            case EventKind.POSTED:
                self._print_panel(event.message, NEW)
            case EventKind.EPHEMERAL:
                self._print_panel(event.message, ONLY_YOU)
            case EventKind.EDITED:
                self._print_edit(event.message)
            case EventKind.REPLIED:
                self._print_summary("in its thread", render_mrkdwn(event.message.text))
            case EventKind.DELETED:
                self._print_summary("deleted", render_mrkdwn(_first_line(event.message)))

    def _print_panel(self, message: PostedMessage, heading: str) -> None:
        title = f"{format_time(self.clock.now())} · {heading}{alert_label(message)}"
        self._is_new(message)
        rendered = render_message(message.text, message.blocks)
        style = "cyan" if message.visible_to else "yellow"
        self.console.print(Panel(rendered, title=Text(title), title_align="left", border_style=style))

    def _print_edit(self, message: PostedMessage) -> None:
        if message.visible_to:
            self._print_panel(message, ONLY_YOU)
        elif self._is_new(message):
            self._print_summary(f"edited{alert_label(message)}", render_mrkdwn(_first_line(message)))

    def _is_new(self, message: PostedMessage) -> bool:
        state = f"{self.clock.now().astimezone(fmt.NEW_YORK):%Y-%m-%d}", open_alert_id(message)
        previous = self._last_printed.get(message.ts)
        self._last_printed[message.ts] = state
        return previous != state

    def _print_summary(self, label: str, text: Text) -> None:
        line = Text.assemble((f"{format_time(self.clock.now())} · {label}: ", "dim"), text)
        self.console.print(Padding(line, (0, 0, 0, 2)))


def format_time(at: datetime) -> str:
    """Return date, year and time in New York."""
    return f"{at.astimezone(fmt.NEW_YORK):%a %d %b %Y %H:%M}"


def alert_label(message: PostedMessage) -> str:
    """Return the alert number of a message, from its buttons."""
    number = open_alert_id(message)
    return f", alert {number}" if number else ""


def open_alert_id(message: PostedMessage) -> str | None:
    """Return the number of a message's open alert; None if it has no Snooze menu."""
    snooze = find_control(message, "snooze")
    return snooze["options"][0]["value"].partition(":")[0] if snooze else None


def find_control(message: PostedMessage, action_id: str) -> dict[str, Any] | None:
    """Return a button or a menu of a message."""
    elements = [element for block in message.blocks if block["type"] == "actions" for element in block["elements"]]
    return next((element for element in elements if element["action_id"] == action_id), None)


def _first_line(message: PostedMessage) -> str:
    return message.text.partition("\n")[0]
