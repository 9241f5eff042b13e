"""Output on the terminal: without control characters, and in any encoding with similar characters."""

import codecs
import io
import logging
import os
import sys
import unicodedata

import click

from services.core.text import escape_control

_PAIRS = (
    "−- –- —- …... “\" ”\" \u2018' \u2019' •* ·. →-> ←<- ↑^ ↓v ≥>= ≤<= ×x ÷/ ±+/- \u03c3sigma βbeta ▾v ▲^ ▼v "
    "▁_ ▂. ▃, ▄: ▅- ▆= ▇+ █# ─- │|"
)
SIMILAR = {pair[0]: pair[1:] for pair in _PAIRS.split()}


def echo(text: str, *, err: bool = False, color: str | None = None) -> None:
    """Print a text on stdout or stderr, in bold if it has a color. Control characters are printed as escape sequences.

    In JSON, these are JSON's own escape sequences. NO_COLOR leaves the text bold.
    """
    shown_color = None if os.environ.get("NO_COLOR") else color
    stream = sys.stderr if err else sys.stdout  # without one, click would write UTF-8 to an ASCII stream
    click.secho(escape_control(text), file=stream, fg=shown_color, bold=color is not None or None)


def note(text: str, *, color: str | None = None) -> None:
    """Print a note or a warning on stderr; with `--quiet`, print nothing."""
    context = click.get_current_context(silent=True)
    if context is None or not context.find_root().params.get("quiet"):
        echo(text, err=True, color=color)


class PlainFormatter(logging.Formatter):
    """Formats a record as its message, and a traceback if it has one, without control characters."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text."""
        return escape_control(super().format(record))


def prepare_streams() -> None:
    """Make stdout and stderr print similar characters instead of failing, as with PYTHONIOENCODING=ascii."""
    codecs.register_error("similar", _similar)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="similar")


def _similar(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError), "only output uses this"  # noqa: S101
    return "".join(map(_similar_character, error.object[error.start : error.end])), error.end


def _similar_character(character: str) -> str:
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return SIMILAR.get(character) or plain or "?"
