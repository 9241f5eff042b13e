"""People: in which channels of a workspace one of them has done something."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select, union

from services.domain.episode import Channel
from services.store import tables
from services.store.part import Part

if TYPE_CHECKING:
    from sqlalchemy import Select


class People(Part):
    """Implements what DeskStore knows of people."""

    async def channels_of(self, team: str, person: str) -> list[Channel]:
        """List the channels of a workspace in which a person has changed a rule or acted on an alert, by their id."""
        query = union(_added(team, person), _changed(team, person), _acted(team, person)).order_by("channel")
        async with self._database.read() as tx:
            return [Channel(team=team, id=row.channel) for row in await tx.execute(query)]


def _added(team: str, person: str) -> Select[tuple[str]]:
    rules = tables.rules.c
    return select(rules.channel).where(rules.team == team, rules.created_by == person)


def _changed(team: str, person: str) -> Select[tuple[str]]:
    acts = tables.acts.c
    return select(acts.channel).where(acts.team == team, acts.by == person)


def _acted(team: str, person: str) -> Select[tuple[str]]:
    """Search the timelines, which are JSON: few lines name a person, and only a Home tab asks."""
    alerts, entries = tables.alerts.c, tables.entries.c
    acted = entries.entry.contains(f'"by":"{person}"', autoescape=True)
    return select(alerts.channel).join(tables.entries, entries.alert_id == alerts.id).where(alerts.team == team, acted)
