"""An installation of the app in a workspace or an organization, and the store of installations."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

RENEW_BEFORE_EXPIRY = timedelta(minutes=120)  # a token is valid for twelve hours


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """The app in one workspace, or in all workspaces of an organization.

    Attributes:
        home: ID of the workspace, or of the `enterprise` if the installation covers all of its workspaces.
        refresh_token: None if the token does not expire, as is `expires_at`.
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
    """Installations and their tokens. Every method raises DatabaseUnavailableError."""

    async def save(self, installation: Installation) -> None:
        """Save an installation; it replaces the one with the same `home`. What waited for it is due at once."""
        ...

    async def find(self, team: str | None, enterprise: str | None = None) -> Installation | None:
        """Return the installation for a workspace: its own, or else that of its organization."""
        ...

    async def find_expiring(self, before: datetime) -> list[str]:
        """Return the homes whose tokens expire before `before`."""
        ...

    async def claim_renewal(self, home: str, at: datetime, *, before: datetime) -> Installation | None:
        """Claim the renewal of a token that expires before `before`, for five minutes.

        Returns None if another process has claimed it or already renewed the token.
        """
        ...

    async def release_renewal(self, claimed: Installation) -> None:
        """End a claim without a new token, so that any process can try again."""
        ...

    async def save_renewal(self, claimed: Installation, renewed: Installation, at: datetime) -> bool:
        """Save the new token of a claimed installation; return whether it still exists as it was claimed.

        Until it is saved, the token is in an encrypted file that outlives the process, if a file can be written.
        """
        ...

    async def recover_renewals(self, at: datetime) -> list[str]:
        """Save the new tokens that earlier processes left in files; return the homes of those that still applied."""
        ...

    def unsaved_renewal(self, home: str) -> str | None:
        """Return the file with a new token that the database does not have; None if there is none."""
        ...

    async def uninstall(self, team: str | None, enterprise: str | None, at: datetime) -> list[str]:
        """Delete the installation that an event names and that ended `at`, with all data of its workspaces.

        An event that names a workspace ends that workspace's own installation only; its organization's ends with an
        event that names no workspace. Returns the workspaces; empty if the app was installed again since, or never.
        """
        ...

    async def revoke(self, teams: Sequence[str], at: datetime) -> list[str]:
        """Delete workspaces to which their organization ended access `at`, with all their data; return them.

        Nothing is deleted if the organization installed the app again since.
        """
        ...
