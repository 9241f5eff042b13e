"""Mentions: whom a message calls."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """A person or a group that can be called; both parts are opaque to the services.

    `text` calls them wherever it is shown, `name` only names them. `person` is who that is when they act; None for a
    group, of which nobody here knows who is in it.
    """

    text: str
    name: str
    person: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """Where alerts go; both parts are opaque to the services."""

    team: str
    id: str
