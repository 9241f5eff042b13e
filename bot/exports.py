"""The columns of `minerpulse export`, and the formats that it writes."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Generic, TypeVar

from handlers.render.reasons import sentence
from services.core.errors import ConfigurationError
from services.core.reason import Reason
from services.core.rows import complete
from services.storage.exports import ExportedAct, ExportedAlert, ExportedDelivery

VERSION = 1  # of the columns; raised if one is renamed, removed or changes its meaning
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would run
NO_PARQUET = "Parquet needs pyarrow. Install it with `pip install 'minerpulse[parquet]'`, or choose csv or jsonl."
Value = str | int | float | bool | datetime | None
Row = TypeVar("Row")


class Format(Enum):
    """The format of an export."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


class MissingPackageError(ConfigurationError):
    """A package that only this format needs isn't installed."""


@dataclass(frozen=True, slots=True)
class Column(Generic[Row]):
    """A column: its name, what it means, and its value in a row."""

    name: str
    meaning: str
    value: Callable[[Row], object]


ALERTS: Sequence[Column[ExportedAlert]] = (
    Column("id", "number of the alert", lambda row: row.alert.id),
    Column("team", "Slack ID of the workspace", lambda row: row.alert.channel.team),
    Column("channel", "Slack ID of the channel", lambda row: row.alert.channel.id),
    Column("pair", "such as WGMI/BTC", lambda row: row.alert.pair),
    Column("subject", "what diverged; `drill` for a test alert", lambda row: row.alert.subject),
    Column("side", "above or below", lambda row: row.alert.side),
    Column("rules", "rules that fired, separated by `; `", lambda row: "; ".join(hit.rule for hit in row.alert.hits)),
    Column("opened_at", "UTC", lambda row: row.alert.opened_at),
    Column("closed_at", "UTC; empty while it is open", lambda row: row.alert.closed_at),
    Column("retracted", "whether a price correction retracted it", lambda row: row.alert.retracted),
    Column(
        "peak", "largest value, in the unit of `peak_rule`: a fraction for pp and %", lambda row: row.alert.peak.value
    ),
    Column("peak_rule", "rule that opened it", lambda row: row.alert.peak.rule),
    Column(
        "end_reason", "sentence; empty while it is open", lambda row: row.alert.reason if row.alert.closed_at else None
    ),
    Column("closed_by", "Slack ID of the person who resolved it; empty if it cleared", lambda row: row.alert.closed_by),
    Column(
        "acknowledged_by",
        "Slack ID; empty if it isn't acknowledged",
        lambda row: row.alert.acknowledged and row.alert.acknowledged.by,
    ),
    Column("acknowledged_at", "UTC", lambda row: row.alert.acknowledged and row.alert.acknowledged.at),
    Column("useful_votes", "people who marked it useful", lambda row: row.votes.useful),
    Column("noise_votes", "people who marked it as noise", lambda row: row.votes.noise),
    Column("verdict", "data quality at the alert's last price update", lambda row: row.alert.trust.verdict),
    Column("simulated", "whether its prices are simulated", lambda row: row.alert.simulated),
    Column(
        "sinks",
        "where it was delivered, separated by `; `",
        lambda row: "; ".join(row.sinks),
    ),
    Column("permalink", "link to its Slack message", lambda row: row.alert.permalink or None),
)
DELIVERIES: Sequence[Column[ExportedDelivery]] = (
    Column("sink", "slack, or the name of the sink", lambda row: row.sink),
    Column("kind", "alert, reply, notice or page", lambda row: row.kind),
    Column("key", "ID that is unique within its sink", lambda row: row.key),
    Column("team", "Slack ID of the workspace", lambda row: row.team),
    Column("channel", "Slack ID of the channel", lambda row: row.channel),
    Column("alert_id", "number of the alert; empty for a notice", lambda row: row.alert_id),
    Column("state", "delivered, waiting or dead_lettered", lambda row: row.state),
    Column("since", "UTC: when it last had to be sent or updated", lambda row: row.since),
    Column("first_attempt_at", "UTC; empty for a page", lambda row: row.first_attempt_at),
    Column("last_attempt_at", "UTC; empty for a page", lambda row: row.last_attempt_at),
    Column("attempts", "attempts on record; for a page, failures in a row", lambda row: row.attempts),
    Column("dead_at", "UTC: when it was dead-lettered", lambda row: row.dead_at),
    Column("message_id", "ID of the message in its sink", lambda row: row.message_id),
    Column("problem", "sentence; empty if there is none", lambda row: row.problem),
)
ACTS: Sequence[Column[ExportedAct]] = (
    Column("at", "UTC", lambda row: row.at),
    Column("team", "Slack ID of the workspace", lambda row: row.team),
    Column("channel", "Slack ID of the channel", lambda row: row.channel),
    Column("by", "Slack ID of the person", lambda row: row.by),
    Column("action", "such as added, acknowledged, resolved, setting_changed, voted_noise", lambda row: row.act),
    Column("alert_id", "number of the alert", lambda row: row.alert_id),
    Column("rule_id", "number of the rule", lambda row: row.rule_id),
    Column("before", "old rule", lambda row: row.before),
    Column("after", "new rule, or the changed setting", lambda row: row.after),
    Column("reason", "sentence in the alert's timeline", lambda row: row.reason),
)


def table_rows(columns: Sequence[Column[Row]], rows: Iterable[Row]) -> list[dict[str, Value]]:
    """Return rows as tables have them: reasons as sentences, enums by value."""
    return [{column.name: _value(column.value(row)) for column in columns} for row in rows]


def write_table(names: Sequence[str], rows: Sequence[dict[str, Value]], file_format: Format) -> bytes:
    """Return a table as a file of this format. Raises MissingPackageError."""
    return WRITERS[file_format](names, rows)


def _value(value: object) -> Value:
    match value:
        case Reason():
            return str(sentence(value))
        case Enum():
            return str(value.value)
        case datetime():
            return value.astimezone(UTC)
        case None | bool() | int() | float():
            return value
        case _:
            return str(value)


def _csv(names: Sequence[str], rows: Sequence[dict[str, Value]]) -> bytes:
    """Return a CSV (RFC 4180); a text that a spreadsheet would take for a formula begins with an apostrophe."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(names)
    writer.writerows([_cell(row[name]) for name in names] for row in rows)
    return text.getvalue().encode()


def _cell(value: Value) -> Value:
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, datetime) else value


def _json_lines(_names: Sequence[str], rows: Sequence[dict[str, Value]]) -> bytes:
    lines = (json.dumps(row, ensure_ascii=False, default=lambda at: at.isoformat()) for row in rows)
    return "".join(f"{line}\n" for line in lines).encode()


def _parquet(names: Sequence[str], rows: Sequence[dict[str, Value]]) -> bytes:
    import pandas as pd  # noqa: PLC0415 -- 0.3 s that the other formats don't need

    table, content = pd.DataFrame(rows, columns=list(names)).convert_dtypes(), io.BytesIO()
    try:
        table.to_parquet(content, index=False, engine="pyarrow")
    except ImportError as error:
        raise MissingPackageError(NO_PARQUET) from error
    return content.getvalue()


WRITERS: Mapping[Format, Callable[[Sequence[str], Sequence[dict[str, Value]]], bytes]] = complete(
    "WRITERS", Format, {Format.CSV: _csv, Format.JSONL: _json_lines, Format.PARQUET: _parquet}
)
