"""Installations: where the app has been put, with its tokens sealed, and who is on the way to put it somewhere."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.core.installation import Installation
from services.storage import tables
from services.storage.engine import Database
from services.storage.purge import purge
from services.storage.repository import Repository, insert, insert_row, upsert
from services.storage.token_encryption import TokenCipher

LEASE = timedelta(minutes=1)  # longer than the call to Slack that renews a token can take
SKEW = timedelta(seconds=10)  # how far Slack's clock may be behind ours

_columns = tables.installations.c
_states = tables.oauth_states.c
_org_teams = tables.org_teams.c


class Installations(Repository):
    """Implements InstallationStore."""

    def __init__(self, database: Database, vault: TokenCipher) -> None:
        super().__init__(database)
        self._vault = vault

    async def save(self, installation: Installation) -> None:
        """Keep an installation, in place of the one that its home had."""
        async with self._database.write() as tx:
            await upsert(tx, tables.installations, [self._row(installation)])

    async def find(self, team: str | None, enterprise: str | None = None) -> Installation | None:
        """Load the installation that holds for a workspace: its own, or else that of its organization."""
        async with self._database.read() as tx:
            known = await tx.scalar(select(_org_teams.enterprise).where(_org_teams.team == team))
            homes = _columns.home.in_([home for home in (team, enterprise, known) if home])
            rows = (await tx.execute(select(tables.installations).where(homes))).all()
        found = min(rows, key=lambda row: row.home != team, default=None)
        if found is None:
            return None
        if team and found.home != team and known is None:
            await self._note_member(team, found.home)
        return self._read(found)

    async def expiring(self, before: datetime) -> list[str]:
        """List the homes whose tokens expire before then."""
        query = select(_columns.home).where(_columns.expires_at < before, _columns.refresh_token.is_not(None))
        async with self._database.read() as tx:
            return list(await tx.scalars(query.order_by(_columns.expires_at)))

    async def claim(self, home: str, at: datetime, *, before: datetime) -> Installation | None:
        """Claim the renewal of a token that expires before then, for a minute; None where another is at it, or was."""
        free = or_(_columns.rotating_until.is_(None), _columns.rotating_until <= at)
        ours = update(tables.installations).where(_columns.home == home, _columns.expires_at < before, free)
        async with self._database.write() as tx:
            claimed = ours.values(rotating_until=at + LEASE).returning(*tables.installations.c)
            row = (await tx.execute(claimed)).one_or_none()
        return None if row is None else self._read(row)

    async def leave(self, team: str | None, enterprise: str | None, at: datetime) -> list[str]:
        """Forget the installation of a workspace or an organization that ended `at`, with all data of its workspaces.

        Gives the workspaces; none where the app was installed anew since, or never.
        """
        homes = _columns.home.in_([home for home in (team, enterprise) if home])
        ended = select(_columns.home).where(homes, _columns.installed_at <= at + SKEW)
        async with self._database.write() as tx:
            home = min(await tx.scalars(ended), key=lambda home: home != team, default=None)
            if home is None:
                return []
            await tx.execute(delete(tables.installations).where(_columns.home == home))
            if home != enterprise:
                await purge(tx, home, at)
                return [home]
            return await _expel(tx, _org_teams.enterprise == home, at)

    async def expel(self, teams: Sequence[str], at: datetime) -> list[str]:
        """Forget workspaces that their organization lets the app into no more, with all their data; give which."""
        async with self._database.write() as tx:
            return await _expel(tx, _org_teams.team.in_(teams), at)

    async def begin(self, state: str, at: datetime, until: datetime) -> None:
        """Note that somebody is on the way to install the app, and forget those who have not arrived."""
        async with self._database.write() as tx:
            await tx.execute(delete(tables.oauth_states).where(_states.until <= at))
            await insert_row(tx, tables.oauth_states, {"state": _digest(state), "until": until})

    async def arrive(self, state: str, at: datetime) -> bool:
        """Tell whether somebody with this state was on the way, and is not too late; a state is good for once."""
        gone = delete(tables.oauth_states).where(_states.state == _digest(state)).returning(_states.until)
        async with self._database.write() as tx:
            until = await tx.scalar(gone)
        return until is not None and at < until

    async def reseal(self) -> int:
        """Seal every token with the first key; give how many installations there are."""
        async with self._database.write() as tx:
            rows = (await tx.execute(select(tables.installations).with_for_update())).all()
            for row in rows:
                tokens = {"bot_token": row.bot_token, "refresh_token": row.refresh_token}
                sealed = {name: token and self._vault.reseal(token) for name, token in tokens.items()}
                await tx.execute(update(tables.installations).where(_columns.home == row.home).values(sealed))
        return len(rows)

    async def _note_member(self, team: str, enterprise: str) -> None:
        """Note whose a workspace is, as messages to it name the workspace alone."""
        async with self._database.write() as tx:
            await _add_member(tx, team, enterprise)

    def _row(self, one: Installation) -> dict[str, Any]:
        return {
            "home": one.home,
            "enterprise": one.enterprise,
            "name": one.name,
            "bot_token": self._vault.seal(one.bot_token),
            "bot_user": one.bot_user,
            "scopes": ",".join(one.scopes),
            "installed_by": one.installed_by,
            "installed_at": one.installed_at,
            "refresh_token": one.refresh_token and self._vault.seal(one.refresh_token),
            "expires_at": one.expires_at,
            "rotating_until": None,
        }

    def _read(self, row: Row[Any]) -> Installation:
        return Installation(
            home=row.home,
            enterprise=row.enterprise,
            name=row.name,
            bot_token=self._vault.open(row.bot_token),
            bot_user=row.bot_user,
            scopes=tuple(row.scopes.split(",")),
            installed_by=row.installed_by,
            installed_at=row.installed_at,
            refresh_token=row.refresh_token and self._vault.open(row.refresh_token),
            expires_at=row.expires_at,
        )


async def _add_member(tx: AsyncConnection, team: str, enterprise: str) -> None:
    new = insert(tx, tables.org_teams).values(team=team, enterprise=enterprise)
    await tx.execute(new.on_conflict_do_update(index_elements=["team"], set_={"enterprise": enterprise}))


async def _expel(tx: AsyncConnection, which: ColumnElement[bool], at: datetime) -> list[str]:
    """Purge workspaces that were let in by their organizations; those with an installation of their own stay."""
    members = set(await tx.scalars(select(_org_teams.team).where(which)))
    members -= set(await tx.scalars(select(_columns.home).where(_columns.home.in_(members))))
    await tx.execute(delete(tables.org_teams).where(which))
    for team in members:
        await purge(tx, team, at)
    return sorted(members)


def _digest(state: str) -> str:
    """Keep no state as it is: who reads the table must not be able to use it."""
    return hashlib.sha256(state.encode()).hexdigest()
