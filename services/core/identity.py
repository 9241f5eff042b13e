"""Identifiers of people, groups and channels."""

from dataclasses import dataclass

ERASED_PERSON = "erased"  # stands for people whose data was erased; no member ID looks like it


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
