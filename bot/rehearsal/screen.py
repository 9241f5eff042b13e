"""A channel in the terminal: prints messages, edits and replies with their New York time."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from bot.fake_slack.workspace import EventKind, MessageEvent, PostedMessage
from bot.terminal import render_message, render_mrkdwn
from handlers.render import fmt
from services.core.clock import Clock

NEW, ONLY_YOU = "new message", "only visible to you"


@dataclass(slots=True, kw_only=True)
class Screen:
    """Prints message events; of a message's edits, the first in a day, and each that changes its buttons."""

    console: Console
    clock: Clock
    _last_printed: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    _year: int = 0  # of the last printed event

    def print_line(self, line: str, style: str = "dim") -> None:
        """Print a line of the rehearsal itself."""
        self.console.print(Text(line, style=style))

    def print_rows(self, rows: Iterable[tuple[str, str]]) -> None:
        """Print names and their descriptions in two columns."""
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True)
        table.add_column()
        for name, description in rows:
            table.add_row(Text(name, style="bold"), Text(description))
        self.console.print(table)

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
                self._print_summary("thread reply", render_mrkdwn(event.message.text))
            case EventKind.DELETED:
                self._print_summary("deleted", _headline(event.message))

    def _print_panel(self, message: PostedMessage, heading: str) -> None:
        title = f"{self._time()} · {heading}{alert_label(message)}"
        self._is_new(message)
        rendered = render_message(message.text, message.blocks)
        style = "cyan" if message.visible_to else "yellow"
        self.console.print(Panel(rendered, title=Text(title), title_align="left", border_style=style))

    def _print_edit(self, message: PostedMessage) -> None:
        if message.visible_to:
            self._print_panel(message, ONLY_YOU)
        elif self._is_new(message):
            self._print_summary(f"edited{alert_label(message)}", _headline(message))

    def _is_new(self, message: PostedMessage) -> bool:
        day = f"{self.clock.now().astimezone(fmt.NEW_YORK):%Y-%m-%d}"
        state = day, [element["action_id"] for element in _controls(message)]
        previous = self._last_printed.get(message.ts)
        self._last_printed[message.ts] = state
        return previous != state

    def _print_summary(self, label: str, text: Text) -> None:
        line = Text.assemble((f"{self._time()} · {label}: ", "dim"), text)
        self.console.print(Padding(line, (0, 0, 0, 2)))

    def _time(self) -> str:
        """Return day and time in New York; the year only if it differs from the line before."""
        local = self.clock.now().astimezone(fmt.NEW_YORK)
        day, self._year = fmt.day_in(local, self._year), local.year
        return f"{day}, {fmt.plain_time(local)}"


def alert_label(message: PostedMessage) -> str:
    """Return the alert number of a message, from its buttons."""
    number = open_alert_id(message)
    return f", alert {number}" if number else ""


def open_alert_id(message: PostedMessage) -> str | None:
    """Return the number of a message's open alert; None if it can't be snoozed."""
    can_snooze = find_control(message, "snooze") or find_control(message, "unsnooze")
    details = find_control(message, "details")
    return details["value"] if details and can_snooze else None


def find_control(message: PostedMessage, action_id: str) -> dict[str, Any] | None:
    """Return a button or a menu of a message."""
    return next((element for element in _controls(message) if element["action_id"] == action_id), None)


def _controls(message: PostedMessage) -> list[dict[str, Any]]:
    return [element for block in message.blocks if block["type"] == "actions" for element in block["elements"]]


def _headline(message: PostedMessage) -> Text:
    """Return the header of a message, or its text if it has none."""
    headers = [block["text"]["text"] for block in message.blocks if block["type"] == "header"]
    return render_mrkdwn(headers[0] if headers else message.text)
