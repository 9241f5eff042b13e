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

from bot.streams import echo, note
from handlers.render.reasons import sentence
from services.core.prices import AI_PROXY
from services.core.reason import Reason
from services.core.statistics import finite_or_none
from services.core.text import quote
from services.market.measure import Window
from services.market.sources.files.cells import DateOrder
from services.market.sources.files.csv_table import MAX_FILE_BYTES
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
            self.fail(f"{quote(text)} isn't a valid date. Use YYYY-MM-DD, as in 2026-03-31.", param, ctx)
        if not EARLIEST <= day <= LATEST:
            self.fail(f"{text} isn't between {EARLIEST} and {LATEST}. Check the year.", param, ctx)
        return day


STDIN = STDOUT = Path("-")
SHARED_MEMORY = "/dev/shm"  # noqa: S108 -- a folder of ordinary files, unlike the rest of /dev
STDIN_READER = f"{__name__}.stdin"  # key in the context's notes


class InputFile(click.Path):
    """A file to read. `-` means standard input; it is copied to a temporary file, because files are read twice."""

    def __init__(self) -> None:
        super().__init__(exists=True, dir_okay=False, path_type=Path, allow_dash=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401 -- click's own
        """Return the path. Only one option can read standard input."""
        path = super().convert(value, param, ctx)
        if path != STDIN or ctx is None or ctx.resilient_parsing:
            return path
        if STDIN_READER in ctx.meta:
            self.fail(f"{ctx.meta[STDIN_READER]} already reads standard input. Name a file.", param, ctx)
        ctx.meta[STDIN_READER] = param.get_error_hint(ctx) if param else ""
        folder = tempfile.TemporaryDirectory(prefix="minerpulse-")
        ctx.find_root().call_on_close(folder.cleanup)  # closed even if the command's own options are wrong
        copy = Path(folder.name) / "stdin"
        copy.write_bytes(sys.stdin.buffer.read(MAX_FILE_BYTES + 1))
        return copy


FILE = InputFile()
DATES = f"{__name__}.dates"  # key in the context's notes
ETF_HELP = "ETF closes: a download in a supported format, or a CSV with Date and Close; - reads standard input."
AI_HELP = f"Closes of the AI proxy ({AI_PROXY}, or MINERPULSE_AI_PROXY), in any format that --etf accepts."
BTC_HELP = (
    "BTC bars, hourly or finer: a download in a supported format, or a CSV with opening time (UTC) and close; - reads "
    "standard input."
)


def _note_dates(ctx: click.Context, _param: click.Parameter, value: str | None) -> None:
    ctx.meta[DATES] = DateOrder(value) if value else None


def stated_date_order() -> DateOrder | None:
    """Return the order of dates that the command line states; None if it states none."""
    context = click.get_current_context(silent=True)
    return context.meta.get(DATES) if context else None


dates_option = click.option(
    "--dates",
    type=click.Choice([order.value for order in DateOrder]),
    callback=_note_dates,
    expose_value=False,
    help="Order of ambiguous dates such as 06/05/2026 in price files: month first (mdy) or day first (dmy).",
)


def etf_option(command: Command) -> Command:
    """Add the options for the ETF's file and the order of the dates in files."""
    return click.option("--etf", type=FILE, help=ETF_HELP)(dates_option(command))


btc_option = click.option("--btc", type=FILE, help=BTC_HELP)
ai_option = click.option("--ai", type=FILE, help=AI_HELP)
from_option = click.option(
    "--from", "first", type=DayOption(), help="First session; earlier sessions still count toward statistics."
)
to_option = click.option("--to", "last", type=DayOption(), help="Last session; later prices are ignored.")
window_argument = click.argument(
    "window", type=click.Choice([window.value for window in Window], case_sensitive=False), default=Window.YTD.value
)


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
            self.fail(f"“{path}” is a folder. Name a file in it.", param, ctx)
        if path.suffix.lower() not in self._suffixes and not is_special:
            dash = ", or - for standard output" if self._allow_stdout else ""
            self.fail(
                f"“{path}” doesn't end in {self._suffixes[0]}, but the output is {self._format_name}. "
                f"Name a file that ends in {self._suffixes[0]}{dash}.",
                param,
                ctx,
            )
        return path


PNG_FILE = OutputFile("PNG", [".png"])
HTML_FILE = OutputFile("HTML", [".html", ".htm"])


def output_options(default: str, file_type: OutputFile) -> Callable[[Command], Command]:
    """Return the decorator for the output file and `--force`; `resolve_output` combines them."""
    output = click.option(
        "-o",
        "--output",
        "path",
        type=file_type,
        help=f"File to write, replaced if it exists; - means standard output.  [default: {default}]",
    )
    force = click.option("--force", is_flag=True, help=f"Replace {default} if it exists and -o isn't given.")
    return lambda command: output(force(command))


def resolve_output(path: Path | None, default: str, *, force: bool) -> Path:
    """Return the file to write. Raises ClickException if the default file exists and may not be replaced."""
    if path is None and Path(default).exists() and not force:
        raise click.ClickException(f"{default} already exists. Name a file with -o, or replace it with --force.")
    return path or Path(default)


json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")


def print_document(document: object, *, err: bool = False) -> None:
    """Print one JSON document on stdout or stderr."""
    stream = sys.stderr if err else sys.stdout
    is_unicode = "utf" in (stream.encoding or "").lower()  # elsewhere a replaced character would change a value
    echo(json.dumps(to_json(document), ensure_ascii=not is_unicode, allow_nan=False), err=err)


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
        raise click.UsageError(f"{'--btc' if etf else '--etf'} is missing. Pass files for both legs, or for neither.")
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
        raise click.ClickException(f"Can't write {path}: {error.strerror}. Choose another path with -o.") from error
    note(f"Wrote {path} ({len(content):,} bytes).")


def _is_special(path: Path) -> bool:
    """Return whether a path is a device, a pipe or a socket, or leads to an open file, as /dev/stdout does."""
    absolute = path.absolute()
    in_devices = absolute.is_relative_to("/dev") and not absolute.is_relative_to(SHARED_MEMORY)
    return (path.exists() and not path.is_file()) or in_devices or absolute.is_relative_to("/proc")


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
