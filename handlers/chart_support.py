"""Which workspaces accept chart blocks, learned from Slack's refusals."""

from __future__ import annotations

from datetime import datetime, timedelta

RETRY_AFTER = timedelta(days=1)  # Slack rolls new blocks out workspace by workspace


class ChartSupport:
    """Remembers in memory, for a day, which workspaces refuse charts, so that messages aren't refused each time.

    `enabled` is False if charts are switched off for all workspaces.
    """

    def __init__(self) -> None:
        self.enabled = True
        self._refused: dict[str, datetime] = {}

    def supports(self, team: str, now: datetime) -> bool:
        """Return whether to try a chart in a workspace."""
        refused_at = self._refused.get(team)
        return self.enabled and (refused_at is None or now - refused_at >= RETRY_AFTER)

    def mark_refused(self, team: str, now: datetime) -> None:
        """Record that a workspace refused a message only because of its chart."""
        self._refused[team] = now
