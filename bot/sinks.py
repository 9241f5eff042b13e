"""Sinks of this installation: the operator's file, the stored ones of workspaces, and the words of pages."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from bot.documents.alert import alert_document
from bot.settings import Settings
from handlers.render.page import page_body, page_details, page_summary
from services.core.clock import Clock
from services.core.errors import InvalidSinkError
from services.delivery.ports import Backlog
from services.delivery.sinks.config import ENV, FILE, PageWords, SinkConfig, SinkTools, parse_sinks_file
from services.delivery.sinks.directory import SinkBook
from services.storage import SqlStore

WORDS = PageWords(summary=page_summary, details=page_details, body=page_body, document=alert_document)
OTHERS_READ = stat.S_IROTH | stat.S_IWOTH


def build_sinks(settings: Settings, store: SqlStore, clock: Clock) -> SinkBook:
    """Build the sinks of this installation. Raises InvalidSinkError."""
    keys = [key.get_secret_value() for key in settings.token_keys]
    stored = store.sinks(keys, clock) if keys else None
    return SinkBook(tools=SinkTools(clock=clock, words=WORDS), file=read_sinks_file(settings.sinks_file), stored=stored)


def read_sinks_file(path: Path | None) -> dict[str, SinkConfig]:
    """Read the operator's sinks; none without a file. Raises InvalidSinkError."""
    if path is None:
        return {}
    try:
        text = path.read_text(encoding="utf-8")
        mode = path.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSinkError("", f"The sinks file {path} can't be read: {error}.") from error
    if mode & OTHERS_READ:
        raise InvalidSinkError("", f"The sinks file {path} is open to everyone. Run `chmod o-rwx {path}`.")
    return parse_sinks_file(text, read_secret)


def read_secret(reference: str) -> str:
    """Return the secret that `env:NAME` or `file:PATH` refers to. Raises InvalidSinkError."""
    if reference.startswith(ENV):
        name = reference.removeprefix(ENV)
        secret = os.environ.get(name, "")
        if not secret:
            raise InvalidSinkError("", f"A sink's secret is in the variable {name}, which isn't set.")
        return secret
    path = reference.removeprefix(FILE)
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSinkError("", f"A sink's secret is in {path}, which can't be read: {error}.") from error


def by_kind(backlogs: Mapping[str, Backlog], kinds: Mapping[str, str]) -> dict[str, Backlog]:
    """Return the undelivered pages of each type of sink; a sink that isn't in `kinds` is left out."""
    merged: dict[str, Backlog] = {}
    for name, backlog in backlogs.items():
        if name in kinds:
            other = merged.get(kinds[name], Backlog(waiting=0, dead_lettered=0, oldest_age=None))
            ages = [age for age in (backlog.oldest_age, other.oldest_age) if age is not None]
            merged[kinds[name]] = Backlog(
                waiting=backlog.waiting + other.waiting,
                dead_lettered=backlog.dead_lettered + other.dead_lettered,
                oldest_age=max(ages, default=None),
            )
    return merged
