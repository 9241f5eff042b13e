"""Charts in messages: where Slack takes them, as was found out workspace by workspace."""

from __future__ import annotations

from datetime import datetime, timedelta

RESTS = timedelta(days=1)  # Slack gives new blocks to one workspace after another


class Charts:
    """Remembers for a day which workspaces refuse charts, so that their messages are not refused each time.

    A restart forgets it. Where nobody is shown charts, `shown` is False.
    """

    def __init__(self) -> None:
        self.shown = True
        self._refused: dict[str, datetime] = {}

    def fit(self, team: str, now: datetime) -> bool:
        """Tell whether a workspace may take a chart."""
        refused_at = self._refused.get(team)
        return self.shown and (refused_at is None or now - refused_at >= RESTS)

    def refuse(self, team: str, now: datetime) -> None:
        """Note that a workspace has refused a message for its chart alone."""
        self._refused[team] = now
