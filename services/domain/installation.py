"""An installation: where people have put the app, and with what it may speak there."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

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
