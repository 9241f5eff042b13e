"""Write the tables of the documentation from the code: `python -m docs.tables`; with `--check`, only compare them.

A table stands between `<!-- NAME: … -->` and `<!-- /NAME -->` of its page.
"""

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import click

from bot.cli import cli
from bot.documents.schemas import keys_table
from bot.exports import ACTS, ALERTS, DELIVERIES, Column
from bot.manifest import SCOPES
from bot.metric_families import FAMILIES, PREFIX
from bot.settings import Settings, variable_name
from handlers.commands import COMMANDS
from services.alerting.setting_syntax import SETTINGS
from services.channels.permissions import PERMISSIONS
from services.market.metrics import METRICS, Metric
from services.market.sources.catalogue import SOURCES
from services.market.sources.files.formats import FORMATS, Adjustment, Layout, PriceFormat

PAGES = Path(__file__).parent
HELP_WIDTH = 100


class Table(NamedTuple):
    """A generated part of a page: the page, the name in its markers, and what builds it."""

    page: str
    name: str
    build: Callable[[], str]


def commands_table() -> str:
    """Return the subcommands of /minerpulse."""
    rows = [(f"`{command.usage}`", command.summary, f"`{command.example}`") for command in COMMANDS]
    return markdown_table(("Command", "What it does", "Example"), rows)


def channel_settings_table() -> str:
    """Return the settings of a channel."""
    rows = [(f"`{setting.usage}`", f"`{setting.default}`", setting.meaning) for setting in SETTINGS.values()]
    return markdown_table(("Setting", "Default", "What it does"), rows)


def settings_table() -> str:
    """Return the environment variables."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = env_value(field.get_default(call_default_factory=True))
        rows.append((f"`{variable_name(name)}`", f"`{default}`" if default else "", field.description or ""))
    return markdown_table(("Variable", "Default", "Meaning"), rows)


def metrics_table() -> str:
    """Return the metrics that a rule can watch."""
    rows = [(f"`{metric.name}`", _meaning(metric), metric.unit.syntax, _windows(metric)) for metric in METRICS.values()]
    return markdown_table(("Metric", "What it measures", "Threshold", "Windows"), rows)


def sources_table() -> str:
    """Return the data sources."""
    head = ("Name", "Source", "For", "What", "Key", "Delay", "Limits", "Terms")
    rows = [
        (
            f"`{row.name}`",
            row.title,
            row.serves,
            row.about,
            ", ".join(f"`{key}`" for key in row.key_variables) or "no",
            row.delay,
            row.limits,
            f"{row.terms} ([terms]({row.terms_url}))",
        )
        for row in SOURCES
        if row.base_url
    ]
    return markdown_table(head, rows)


def price_formats_table() -> str:
    """Return the formats of price files."""
    rows = [(row.title, _first_lines(row), row.times.value, _closes(row)) for row in FORMATS]
    return markdown_table(("Format", "Columns", "Times", "Prices that are read"), rows)


def _first_lines(row: PriceFormat) -> str:
    match row.layout:
        case Layout.NONE:
            return f"{len(row.names)} columns without names"
        case Layout.TITLE:
            return f"an address, then `{row.columns}`"
        case Layout.TICKERS:
            return f"`{row.columns}`, then a line of tickers and a line that begins with `Date` or `Datetime`"
        case Layout.HEADER:
            return f"`{row.columns}`{', …' * row.extra}"


def _closes(row: PriceFormat) -> str:
    adjusted = row.adjusted and f"`{row.spelling(row.adjusted)}`"
    if adjusted and row.adjusted not in row.names:
        adjusted += " if the file has it, else"
    column = "" if row.adjusted in row.names else f"`{row.spelling(row.close)}`"
    detail = "" if row.adjustment is Adjustment.NOT_NEEDED else f": {row.adjustment.value}"
    return f"{' '.join(filter(None, (adjusted, column)))}{detail}"


def scopes_table() -> str:
    """Return the Slack scopes that the app asks for."""
    return markdown_table(("Scope", "What for"), [(f"`{scope}`", reason) for scope, reason in SCOPES.items()])


def permissions_table() -> str:
    """Return who may do what in a channel."""
    rows = [(act.value, permission.value) for act, permission in PERMISSIONS.items()]
    return markdown_table(("Action", "Who can do it"), rows)


def metric_families_table() -> str:
    """Return the metrics that Prometheus can scrape."""
    rows = [
        (f"`{PREFIX}{one.name}`", one.kind.value, " ".join(f"`{label}`" for label in one.labels) or "none", one.help)
        for one in FAMILIES
    ]
    return markdown_table(("Metric", "Type", "Labels", "Meaning"), rows)


def columns_table(columns: Sequence[Column[Any]]) -> str:
    """Return the columns of an exported table."""
    return markdown_table(("Column", "Meaning"), [(f"`{column.name}`", column.meaning) for column in columns])


def cli_reference() -> str:
    """Return each command of the terminal with its help."""
    return "\n\n".join(_command_help(cli, "minerpulse"))


def env_value(default: object) -> str:
    """Return the default of a setting as it is written in .env."""
    match default:
        case None | {}:
            return ""
        case tuple():
            return ",".join(map(str, default))
        case Enum():
            return str(default.value)
        case bool():
            return str(default).lower()
        case _:
            return str(default)


def _meaning(metric: Metric) -> str:
    return metric.label.rpartition(": ")[2]


def _windows(metric: Metric) -> str:
    retired = metric.retired.windows if metric.retired else ()
    return " ".join(f"`{window.value}`" for window in metric.windows if window not in retired) or "none"


def _command_help(command: click.Command, name: str, parent: click.Context | None = None) -> list[str]:
    """Return a command's help, then that of its subcommands."""
    context = click.Context(
        command, info_name=name, parent=parent, **{**command.context_settings, "terminal_width": HELP_WIDTH}
    )
    section = f"## {context.command_path}\n\n```text\n{command.get_help(context)}\n```"
    names = command.list_commands(context) if isinstance(command, click.Group) else []
    inner = [(one, command.get_command(context, one)) for one in names if isinstance(command, click.Group)]
    return [section, *(help_ for one, sub in inner if sub for help_ in _command_help(sub, one, context))]


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; a `|` in a cell is escaped."""
    lines = [tuple(cell.replace("|", "\\|") for cell in row) for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *lines))


def written(table: Table, text: str) -> str:
    """Return the text of a page with the table as the code has it. Raises ValueError without markers of the table."""
    section = re.compile(rf"(<!-- {table.name}:[^\n]*-->\n).*?(<!-- /{table.name} -->)", re.DOTALL)
    if not section.search(text):
        raise ValueError(f"{table.page} has no markers of the table {table.name}.")
    return section.sub(lambda match: f"{match[1]}\n{table.build()}\n\n{match[2]}", text)


def outdated(tables: Iterable[Table], *, write: bool, pages: Path = PAGES) -> list[str]:
    """Return the tables that differ from the code, as PAGE#NAME; with `write`, correct them."""
    found = []
    for table in tables:
        path = pages / table.page
        text = path.read_text(encoding="utf-8")
        new = written(table, text)
        if new != text:
            found.append(f"{table.page}#{table.name}")
            if write:
                path.write_text(new, encoding="utf-8")
    return found


TABLES = (
    Table("reference/commands.md", "commands", commands_table),
    Table("reference/channel-settings.md", "channel settings", channel_settings_table),
    Table("reference/settings.md", "settings", settings_table),
    Table("reference/rules.md", "metrics", metrics_table),
    Table("reference/sources.md", "sources", sources_table),
    Table("reference/price-files.md", "formats", price_formats_table),
    Table("reference/slack.md", "scopes", scopes_table),
    Table("reference/permissions.md", "permissions", permissions_table),
    Table("reference/terminal.md", "terminal", cli_reference),
    Table("how-to/monitor.md", "metric families", metric_families_table),
    Table("reference/json.md", "keys", keys_table),
    Table("reference/exports.md", "alerts", partial(columns_table, ALERTS)),
    Table("reference/exports.md", "deliveries", partial(columns_table, DELIVERIES)),
    Table("reference/exports.md", "actions", partial(columns_table, ACTS)),
)


if __name__ == "__main__":
    is_check = sys.argv[1:] == ["--check"]
    differing = outdated(TABLES, write=not is_check)
    if differing and is_check:
        sys.exit(f"Outdated: {', '.join(differing)}. Run `make tables`.")
