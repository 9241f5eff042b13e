"""Identifiers of people, groups and channels."""

from dataclasses import dataclass
from typing import Self

ERASED_PERSON = "erased"  # stands for people whose data was erased; no member ID looks like it

FILE_PREFIX = "file:"  # of a rules file that acts in a person's place; no member ID begins so


class Person(str):
    """The ID of a person who acts, with the name that Slack sent along; compares and is stored as the ID alone."""

    __slots__ = ("name",)
    name: str

    def __new__(cls, id: str, name: str = "") -> Self:  # noqa: A002 -- what it is
        """Return the person with this ID and name."""
        person = super().__new__(cls, id)
        person.name = name
        return person


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """A person or a group to notify. `text` and `name` are opaque to the services.

    Attributes:
        text: Notifies them wherever it is shown.
        name: Names them without a notification.
        person: Their user ID as it appears in their own actions. None for a group, whose members are unknown here.
    """

    text: str
    name: str
    person: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A channel of a workspace; both IDs are opaque to the services."""

    team: str
    id: str
