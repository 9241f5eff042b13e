"""Options shared by several commands with their types, and the writing of documents and files."""

import json
import os
import tempfile
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from handlers.render.reasons import sentence
from services.core.prices import AI_PROXY
from services.core.reason import Reason
from services.market.measure import Window

Command = TypeVar("Command", bound="Callable[..., Any] | click.Command")


class DayOption(click.ParamType[date]):
    """A date such as 2026-03-31."""

    name = "date"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """Return the parsed date."""
        try:
            return datetime.strptime(str(value), "%Y-%m-%d").replace(tzinfo=UTC).date()
        except ValueError:
            self.fail(f"“{value}” is not a date; write it as in 2026-03-31.", param, ctx)


FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
ETF_HELP = "ETF closes: a CSV with Date and Close."
AI_HELP = f"Closes of the AI proxy, {AI_PROXY} or MINERPULSE_AI_PROXY: a CSV with Date and Close."
BTC_HELP = "Bitcoin bars: a CSV with opening time (UTC) and close, hourly or finer."

etf_option = click.option("--etf", type=FILE, help=ETF_HELP)
btc_option = click.option("--btc", type=FILE, help=BTC_HELP)
window_argument = click.argument(
    "window", type=click.Choice([window.value for window in Window], case_sensitive=False), default=Window.YTD.value
)


def output_option(default: str) -> Callable[[Command], Command]:
    """Return the option for the output file."""
    path_type = click.Path(dir_okay=False, path_type=Path)
    return click.option(
        "-o", "--output", "path", type=path_type, default=default, show_default=True, help="The file to write."
    )


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of tables.")


def print_document(document: object) -> None:
    """Print one JSON document on stdout, with times and dates in ISO 8601, and reasons as sentences."""
    click.echo(json.dumps(document, ensure_ascii=False, default=_printed))


def _printed(value: date | Reason) -> str:
    return sentence(value) if isinstance(value, Reason) else value.isoformat()


def require_both_files(etf: Path | None, btc: Path | None) -> tuple[Path, Path] | None:
    """Return the two files, or None without any. Raises UsageError if one is missing."""
    if etf and btc:
        return etf, btc
    if etf or btc:
        raise click.UsageError(f"{'--btc' if etf else '--etf'} is missing: both legs come from files, or neither.")
    return None


def write_atomically(path: Path, content: bytes) -> None:
    """Write to a temporary file in the same folder, then rename it to `path`. Raises ClickException."""
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as temporary:
            try:
                temporary.write(content)
                temporary.flush()
                os.fsync(temporary.fileno())
                Path(temporary.name).chmod(0o666 & ~_umask())
                Path(temporary.name).replace(path)
            except BaseException:
                Path(temporary.name).unlink(missing_ok=True)
                raise
    except OSError as error:
        raise click.ClickException(f"Cannot write {path}: {error.strerror}. Choose another place with -o.") from error
    click.echo(f"{path}: {len(content):,} bytes.", err=True)


def _umask() -> int:
    """Return the process's umask. It can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
