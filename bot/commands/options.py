"""Options shared by several commands with their types, and the writing of documents and files."""

import errno
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

import click

from bot.streams import echo
from handlers.render.reasons import sentence
from services.core.prices import AI_PROXY
from services.core.reason import Reason
from services.core.statistics import finite_or_none
from services.core.text import quote
from services.market.measure import Window
from services.market.sources.files.sheet import EARLIEST, LATEST

Command = TypeVar("Command", bound="Callable[..., Any] | click.Command")


class DayOption(click.ParamType[date]):
    """A date such as 2026-03-31."""

    name = "date"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """Return the parsed date."""
        text = str(value)
        try:
            if not text.isascii():
                raise ValueError  # noqa: TRY301 -- strptime reads full-width digits, which price files may not have
            day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).date()
        except ValueError:
            self.fail(f"{quote(text)} is not a date; write it as in 2026-03-31.", param, ctx)
        if not EARLIEST <= day <= LATEST:
            self.fail(f"{text} is not between {EARLIEST} and {LATEST}; check the year.", param, ctx)
        return day


FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
ETF_HELP = "ETF closes: a CSV with Date and Close."
AI_HELP = f"Closes of the AI proxy, {AI_PROXY} or MINERPULSE_AI_PROXY: a CSV with Date and Close."
BTC_HELP = "Bitcoin bars: a CSV with opening time (UTC) and close, hourly or finer."

etf_option = click.option("--etf", type=FILE, help=ETF_HELP)
btc_option = click.option("--btc", type=FILE, help=BTC_HELP)
window_argument = click.argument(
    "window", type=click.Choice([window.value for window in Window], case_sensitive=False), default=Window.YTD.value
)


STDOUT = Path("-")


class OutputFile(click.ParamType[Path]):
    """A file to write, whose suffix is that of a format that the command can write; a device or pipe needs none."""

    name = "file"

    def __init__(self, format_name: str, suffixes: Sequence[str], *, allow_stdout: bool = True) -> None:
        self._format_name, self._suffixes, self._allow_stdout = format_name, suffixes, allow_stdout

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the path; `-` is stdout."""
        path = Path(str(value))
        if path == STDOUT and self._allow_stdout:
            return path
        try:
            is_folder, is_special = path.is_dir(), _is_special(path)
        except OSError as error:  # the name is too long
            self.fail(f"“{path.name[:50]}…”: {error.strerror}. Choose another path.", param, ctx)
        if is_folder:
            self.fail(f"“{path}” is a folder; name a file in it.", param, ctx)
        if path.suffix.lower() not in self._suffixes and not is_special:
            dash = ", or - for the standard output" if self._allow_stdout else ""
            self.fail(
                f"“{path}” does not end in {self._suffixes[0]}; this is written as {self._format_name}. "
                f"Name a file that ends in {self._suffixes[0]}{dash}.",
                param,
                ctx,
            )
        return path


PNG_FILE = OutputFile("PNG", [".png"])
HTML_FILE = OutputFile("HTML", [".html", ".htm"])


def output_option(default: str, file_type: OutputFile) -> Callable[[Command], Command]:
    """Return the option for the output file."""
    return click.option(
        "-o",
        "--output",
        "path",
        type=file_type,
        default=default,
        show_default=True,
        help="The file to write; - is the standard output.",
    )


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead.")


def print_document(document: object) -> None:
    """Print one JSON document on stdout."""
    is_unicode = "utf" in (sys.stdout.encoding or "").lower()  # elsewhere a replaced character would change a value
    echo(json.dumps(to_json(document), ensure_ascii=not is_unicode, allow_nan=False))


def to_json(value: object) -> object:
    """Return a value as JSON has it: times and dates in ISO 8601, reasons as sentences, null for NaN and infinity."""
    match value:
        case dict():
            return {name: to_json(item) for name, item in value.items()}
        case list() | tuple():
            return [to_json(item) for item in value]
        case Enum():
            return value.value
        case date():
            return value.isoformat()
        case Reason():
            return sentence(value)
        case _:
            return finite_or_none(value) if isinstance(value, float) else value


def require_both_files(etf: Path | None, btc: Path | None) -> tuple[Path, Path] | None:
    """Return the two files, or None without any. Raises UsageError if one is missing."""
    if etf and btc:
        return etf, btc
    if etf or btc:
        raise click.UsageError(f"{'--btc' if etf else '--etf'} is missing: both legs come from files, or neither.")
    return None


def write_output(path: Path, content: bytes) -> None:
    """Write a file, through symbolic links and at once; a device or a pipe is written to. Raises ClickException."""
    try:
        if path == STDOUT:
            sys.stdout.flush()
            sys.stdout.buffer.write(content)
            sys.stdout.buffer.flush()
            return
        if _is_special(path):
            path.write_bytes(content)
        else:
            target = Path(os.path.realpath(path))
            if target.is_symlink():  # links that lead to one another lead to no file
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))  # noqa: TRY301 -- named below
            _write_atomically(target, content)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise click.ClickException(f"Cannot write {path}: {error.strerror}. Choose another path with -o.") from error
    echo(f"{path}: {len(content):,} bytes.", err=True)


def _is_special(path: Path) -> bool:
    """Return whether a path is a device, a pipe or a socket, or leads to an open file, as /dev/stdout does."""
    return (path.exists() and not path.is_file()) or path.absolute().parts[1:2] in {("dev",), ("proc",)}


def _write_atomically(path: Path, content: bytes) -> None:
    """Write to a temporary file in the same folder, then rename it to `path`; mode and owner of a file there remain."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as temporary:
        try:
            temporary.write(content)
            temporary.flush()
            os.fsync(temporary.fileno())
            Path(temporary.name).chmod(0o666 & ~_umask())
            if path.exists():
                with suppress(PermissionError):
                    os.chown(temporary.name, path.stat().st_uid, path.stat().st_gid)
                shutil.copymode(path, temporary.name)
            Path(temporary.name).replace(path)
        except BaseException:
            Path(temporary.name).unlink(missing_ok=True)
            raise


def _umask() -> int:
    """Return the process's umask. It can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
