"""An installation: where people have put the app, and with what it may speak there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

ROTATED_BEFORE = timedelta(minutes=120)  # of the twelve hours that a token lasts


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """The app in one workspace, or in all workspaces of an organization.

    `home` is the workspace's id, or that of the `enterprise` where it holds for all. A token that does not expire has
    neither `refresh_token` nor `expires_at`.
    """

    home: str
    enterprise: str | None
    name: str
    bot_token: str = field(repr=False)
    bot_user: str
    scopes: tuple[str, ...]
    installed_by: str
    installed_at: datetime
    refresh_token: str | None = field(default=None, repr=False)
    expires_at: datetime | None = None


class InstallationStore(Protocol):
    """Where the app is installed, and what it may speak with there. Every method raises StoreError."""

    async def save(self, installation: Installation) -> None:
        """Keep an installation, in place of the one that its home had."""
        ...

    async def find(self, team: str | None, enterprise: str | None = None) -> Installation | None:
        """Load the installation that holds for a workspace: its own, or else that of its organization."""
        ...

    async def expiring(self, before: datetime) -> list[str]:
        """List the homes whose tokens expire before then."""
        ...

    async def claim(self, home: str, at: datetime, *, before: datetime) -> Installation | None:
        """Claim the renewal of a token that expires before then, for a minute; None where another is at it, or was."""
        ...

    async def leave(self, team: str | None, enterprise: str | None, at: datetime) -> list[str]:
        """Forget the installation of a workspace or an organization that ended `at`, with all data of its workspaces.

        Gives the workspaces; none where the app was installed anew since, or never.
        """
        ...

    async def expel(self, teams: Sequence[str], at: datetime) -> list[str]:
        """Forget workspaces that their organization lets the app into no more, with all their data; give which."""
        ...

    async def begin(self, state: str, at: datetime, until: datetime) -> None:
        """Note that somebody is on the way to install the app, and forget those who have not arrived."""
        ...

    async def arrive(self, state: str, at: datetime) -> bool:
        """Tell whether somebody with this state was on the way, and is not too late; a state is good for once."""
        ...
