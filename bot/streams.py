"""Output in any encoding: a similar character is printed where the encoding lacks one."""

import codecs
import io
import sys
import unicodedata

_PAIRS = (
    "−- –- —- …... “\" ”\" \u2018' \u2019' •* ·. →-> ←<- ↑^ ↓v ≥>= ≤<= ×x ±+/- \u03c3sigma βbeta ▾v ▲^ ▼v "
    "▁_ ▂. ▃, ▄: ▅- ▆= ▇+ █# ─- │|"
)
SIMILAR = {pair[0]: pair[1:] for pair in _PAIRS.split()}


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
