"""Editors: who may change rules; everyone, unless a list is set."""

from __future__ import annotations

from dataclasses import dataclass

from services.domain.errors import NotAllowedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Editors:
    """The people who may change rules, by what the place where they act calls them; everyone where none is named."""

    people: tuple[str, ...] = ()

    def check(self, by: str) -> None:
        """Raise NotAllowedError, which names who may, where this person may not."""
        if self.people and by not in self.people:
            raise NotAllowedError(self.people)


EVERYONE = Editors()
