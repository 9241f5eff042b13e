"""App installations: their encrypted tokens, and the deletion of a workspace's data."""

from __future__ import annotations

import logging
import os
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, Table, and_, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.core.errors import DatabaseUnavailableError, StorageError
from services.core.installation import Installation
from services.storage import tables
from services.storage.engine import Database
from services.storage.repository import Repository, upsert
from services.storage.rules import next_revision
from services.storage.token_spool import TokenSpool

LEASE = timedelta(minutes=5)  # longer than a renewal and its saving can take, with the database locked for a while
EVENT_RESOLUTION = timedelta(seconds=1)  # Slack cuts the time of an event to whole seconds

_columns = tables.installations.c
_org_teams = tables.org_teams.c

NO_MATCHING_KEY = (
    "A stored token can't be decrypted with any key in MINERPULSE_TOKEN_KEYS. Add the key that encrypted it."
)

GLOBAL_TABLES = frozenset(
    {
        "closes",
        "bars",
        "corporate_actions",
        "action_coverage",
        "revisions",
        "holdings",
        "source_records",
        "ticks",
        "feed_status",
        "metric_extremes",
        "rules_revision",
        "processed_keys",
        "database_identity",
    }
)
INSTALLATION_TABLES = frozenset({"installations", "org_teams"})
ERASED = ""
NOT_SPOOLED = "the new token of %s cannot be stored in %s (%s), and is lost if MinerPulse stops before it is saved"
UNREADABLE_SPOOL = (
    "the token in %s cannot be saved: %s. Fix that and restart MinerPulse, or reinstall the app and delete the file."
)
log = logging.getLogger(__name__)


class InstallationRepository(Repository):
    """The `InstallationStore` implementation."""

    def __init__(self, database: Database, cipher: TokenCipher) -> None:
        super().__init__(database)
        self._cipher = cipher
        self._spool = TokenSpool(prefix=database.spool_prefix, encrypt=cipher.encrypt, decrypt=cipher.decrypt)
        self._unreadable: set[str] = set()

    async def save(self, installation: Installation) -> None:
        """Save an installation; replace the previous one of its home. What waited for it is due at once."""
        async with self._database.write() as tx:
            await upsert(tx, tables.installations, [self._row_of(installation)])
            await _wake(tx, installation.home, installation.installed_at)

    async def find(self, team: str | None, enterprise: str | None = None) -> Installation | None:
        """Load the installation for a workspace: its own, or else that of its organization."""
        async with self._database.read() as tx:
            known = await tx.scalar(select(_org_teams.enterprise).where(_org_teams.team == team))
            homes = _columns.home.in_([home for home in (team, enterprise, known) if home])
            rows = (await tx.execute(select(tables.installations).where(homes))).all()
        found = min(rows, key=lambda row: row.home != team, default=None)
        if found is None:
            return None
        if team and found.home != team and known is None:
            await self._record_member(team, found.home)
        return self._read(found)

    async def find_expiring(self, before: datetime) -> list[str]:
        """Return the homes whose tokens expire before then."""
        query = select(_columns.home).where(_columns.expires_at < before, _columns.refresh_token.is_not(None))
        async with self._database.read() as tx:
            return list(await tx.scalars(query.order_by(_columns.expires_at)))

    async def claim_renewal(self, home: str, at: datetime, *, before: datetime) -> Installation | None:
        """Lease the renewal of a token that expires before then, for five minutes.

        Returns None if another process has the lease, or has renewed the token.
        """
        free = or_(_columns.rotating_until.is_(None), _columns.rotating_until <= at)
        renewable = update(tables.installations).where(_columns.home == home, _columns.expires_at < before, free)
        async with self._database.write() as tx:
            claimed = renewable.values(rotating_until=at + LEASE).returning(*tables.installations.c)
            row = (await tx.execute(claimed)).one_or_none()
        return None if row is None else self._read(row)

    async def release_renewal(self, claimed: Installation) -> None:
        """End the lease of a renewal without a new token."""
        async with self._database.write() as tx:
            await tx.execute(update(tables.installations).where(*_as_claimed(claimed)).values(rotating_until=None))

    async def save_renewal(self, claimed: Installation, renewed: Installation, at: datetime) -> bool:
        """Save a renewed token `at` a time, unless the app was installed again or removed since it was claimed.

        What waited for an expired token is due at once. Until it is saved, the pair is in an encrypted file.
        """
        problem: OSError | None = None
        try:
            self._spool.write(claimed, renewed)
        except OSError as error:
            problem = error
        try:
            is_saved = await self._save_renewal(claimed, renewed, at)
        except StorageError:
            if problem is not None:
                log.error(NOT_SPOOLED, renewed.home, self._spool.path_of(renewed.home), problem.strerror)  # noqa: TRY400 -- the sentence is enough
            raise
        with suppress(OSError):  # the next process finds that it is saved
            self._spool.remove(renewed.home)
        return is_saved

    async def _save_renewal(self, claimed: Installation, renewed: Installation, at: datetime) -> bool:
        async with self._database.write() as tx:
            saving = update(tables.installations).where(*_as_claimed(claimed)).values(self._row_of(renewed))
            if (await tx.execute(saving)).rowcount != 1:
                return False
            if claimed.expires_at is not None and claimed.expires_at <= at:
                await _wake(tx, renewed.home, at)
            return True

    async def recover_renewals(self, at: datetime) -> list[str]:
        """Save the renewed tokens that a process left in files when it ended; return their homes.

        A file that cannot be read is logged once and stays. One whose installation was replaced or removed is deleted.
        """
        recovered = []
        for path in self._spool.files():
            try:
                claimed, renewed = self._spool.read(path)
            except (DatabaseUnavailableError, OSError, ValueError) as error:
                if path.name not in self._unreadable:
                    log.error(UNREADABLE_SPOOL, path, str(error).rstrip("."))  # noqa: TRY400 -- the sentence is enough
                self._unreadable.add(path.name)
                continue
            if await self._save_renewal(claimed, renewed, at):
                recovered.append(renewed.home)
            with suppress(OSError):
                self._spool.remove(renewed.home)
        return recovered

    def unsaved_renewal(self, home: str) -> str | None:
        """Return the file with a renewed token that the database does not have; None if there is none."""
        path = self._spool.path_of(home)
        return str(path) if path is not None and path.exists() else None

    async def uninstall(self, team: str | None, enterprise: str | None, at: datetime) -> list[str]:
        """Delete the installation that an event names and that ended `at`, with all data of its workspaces.

        An event that names a workspace ends its own installation only. Returns the workspaces; none if the app was
        reinstalled since, or was never installed.
        """
        home = team or enterprise
        ended = delete(tables.installations).where(_columns.home == home, _ended_by(at)).returning(_columns.home)
        async with self._database.write() as tx:
            if home is None or await tx.scalar(ended) is None:
                return []
            if home != enterprise:
                await purge_workspace(tx, home, at)
                return [home]
            return await _purge_workspaces(tx, _org_teams.enterprise == home, at)

    async def revoke(self, teams: Sequence[str], at: datetime) -> list[str]:
        """Delete the data of workspaces whose organization revoked the app `at`; return those workspaces."""
        ended = select(_columns.home).where(_ended_by(at))
        async with self._database.write() as tx:
            return await _purge_workspaces(tx, and_(_org_teams.team.in_(teams), _org_teams.enterprise.in_(ended)), at)

    async def reencrypt_tokens(self) -> int:
        """Encrypt every token with the first key, also in files; return the number of installations."""
        for path in self._spool.files():
            with suppress(OSError, ValueError):
                self._spool.write(*self._spool.read(path))
        async with self._database.write() as tx:
            rows = (await tx.execute(select(tables.installations).with_for_update())).all()
            for row in rows:
                tokens = {"bot_token": row.bot_token, "refresh_token": row.refresh_token}
                encrypted = {name: token and self._cipher.reencrypt(token) for name, token in tokens.items()}
                await tx.execute(update(tables.installations).where(_columns.home == row.home).values(encrypted))
        return len(rows)

    async def _record_member(self, team: str, enterprise: str) -> None:
        """Save the organization of a workspace, as later requests name the workspace alone."""
        async with self._database.write() as tx:
            await upsert(tx, tables.org_teams, [{"team": team, "enterprise": enterprise}])

    def _row_of(self, installation: Installation) -> dict[str, Any]:
        return {
            "home": installation.home,
            "enterprise": installation.enterprise,
            "name": installation.name,
            "bot_token": self._cipher.encrypt(installation.bot_token),
            "bot_user": installation.bot_user,
            "scopes": ",".join(installation.scopes),
            "installed_by": installation.installed_by,
            "installed_at": installation.installed_at,
            "refresh_token": installation.refresh_token and self._cipher.encrypt(installation.refresh_token),
            "expires_at": installation.expires_at,
            "rotating_until": None,
        }

    def _read(self, row: Row[Any]) -> Installation:
        return Installation(
            home=row.home,
            enterprise=row.enterprise,
            name=row.name,
            bot_token=self._cipher.decrypt(row.bot_token),
            bot_user=row.bot_user,
            scopes=tuple(row.scopes.split(",")),
            installed_by=row.installed_by,
            installed_at=row.installed_at,
            refresh_token=row.refresh_token and self._cipher.decrypt(row.refresh_token),
            expires_at=row.expires_at,
        )


def _ended_by(at: datetime) -> ColumnElement[bool]:
    """Select installations that an event of this time can end: those made before it, not after."""
    return _columns.installed_at < at + EVENT_RESOLUTION


def _as_claimed(claimed: Installation) -> tuple[ColumnElement[bool], ...]:
    """Select an installation if it has neither been replaced nor renewed since it was claimed."""
    return (
        _columns.home == claimed.home,
        _columns.installed_at == claimed.installed_at,
        _columns.expires_at == claimed.expires_at,
    )


async def _wake(tx: AsyncConnection, home: str, at: datetime) -> None:
    """Make due what waits in the workspaces of an installation; a running attempt keeps its lease."""
    members = select(_org_teams.team).where(_org_teams.enterprise == home)
    backoff, deliveries = tables.channel_backoff.c, tables.deliveries.c
    await tx.execute(delete(tables.channel_backoff).where(or_(backoff.team == home, backoff.team.in_(members))))
    waiting = and_(deliveries.sent_version < deliveries.version, ~deliveries.attempting, deliveries.next_at > at)
    ours = or_(deliveries.team == home, deliveries.team.in_(members))
    await tx.execute(update(tables.deliveries).where(ours, waiting).values(next_at=at))


async def _purge_workspaces(tx: AsyncConnection, which: ColumnElement[bool], at: datetime) -> list[str]:
    """Purge workspaces of organizations; those with an installation of their own are left alone."""
    members = set(await tx.scalars(select(_org_teams.team).where(which)))
    members -= set(await tx.scalars(select(_columns.home).where(_columns.home.in_(members))))
    await tx.execute(delete(tables.org_teams).where(which))
    for team in members:
        await purge_workspace(tx, team, at)
    return sorted(members)


async def purge_workspace(tx: AsyncConnection, team: str, at: datetime) -> None:
    """Delete all rows of a workspace, in the order of their foreign keys.

    Its rules' ids stay, without their owner, so that processes which evaluate these rules see that they were removed.
    """
    for table in reversed(tables.metadata.sorted_tables):
        if table is not tables.rules and table.name not in GLOBAL_TABLES | INSTALLATION_TABLES:
            await tx.execute(delete(table).where(_owned_by(table, team)))
    erased = {"team": ERASED, "channel": ERASED, "created_by": ERASED, "removed_at": at}
    await tx.execute(
        update(tables.rules).where(tables.rules.c.team == team).values(**erased, revision=await next_revision(tx))
    )


def _owned_by(table: Table, team: str) -> ColumnElement[bool]:
    """Select the rows of a workspace: by their own column, or by that of the rows they reference."""
    if "team" in table.c:
        return table.c.team == team
    (key, parent), *_ = [(key.parent, key.column) for column in table.c for key in column.foreign_keys]
    return key.in_(select(parent).where(_owned_by(parent.table, team)))


class TokenCipher:
    """Encrypts with the first of its keys and decrypts with any. Keys are Fernet keys: 32 bytes in base64."""

    def __init__(self, keys: Sequence[str]) -> None:
        from cryptography.fernet import Fernet, InvalidToken, MultiFernet  # noqa: PLC0415 -- an app without keys doesn't need its 7 MB

        self._keys, self._no_key_matches = MultiFernet([Fernet(key) for key in keys]), InvalidToken

    def encrypt(self, text: str) -> str:
        """Return a text encrypted."""
        return self._keys.encrypt(text.encode()).decode()

    def decrypt(self, encrypted: str) -> str:
        """Return a text decrypted. Raises DatabaseUnavailableError if no key matches."""
        try:
            return self._keys.decrypt(encrypted).decode()
        except self._no_key_matches as error:
            raise DatabaseUnavailableError(NO_MATCHING_KEY) from error

    def reencrypt(self, encrypted: str) -> str:
        """Encrypt with the first key what any of them decrypts. Raises DatabaseUnavailableError."""
        return self.encrypt(self.decrypt(encrypted))


def generate_key() -> str:
    """Return a new random key."""
    return urlsafe_b64encode(os.urandom(32)).decode()
