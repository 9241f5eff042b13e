"""Configurations of sinks, with encrypted options and secrets."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import select, update

from services.core.clock import Clock
from services.delivery.sinks.config import SinkConfig
from services.storage import tables
from services.storage.engine import Database
from services.storage.installations import TokenCipher
from services.storage.repository import Repository, insert

_sinks = tables.sinks.c


class SinkRepository(Repository):
    """Implements SinkConfigs. Options are encrypted like the tokens of workspaces."""

    def __init__(self, database: Database, cipher: TokenCipher, clock: Clock) -> None:
        super().__init__(database)
        self._cipher, self._clock = cipher, clock

    async def find_sink(self, team: str, name: str, config: str | None) -> SinkConfig | None:
        """Return a configuration; see SinkConfigs. Raises InvalidSettingsError if no key decrypts it."""
        which = (_sinks.removed_at.is_(None),) if config is None else (_sinks.config == config,)
        query = select(tables.sinks).where(_sinks.team == team, _sinks.name == name, *which)
        async with self._database.read() as tx:
            row = (await tx.execute(query.order_by(_sinks.at.desc()).limit(1))).first()
        return None if row is None else SinkConfig.from_json(row.name, row.type, self._cipher.decrypt(row.options))

    async def sink_types(self, team: str) -> Mapping[str, str]:
        """Return the type of each current sink of a workspace by name."""
        query = select(_sinks.name, _sinks.type).where(_sinks.team == team, _sinks.removed_at.is_(None))
        async with self._database.read() as tx:
            return {row.name: row.type for row in await tx.execute(query.order_by(_sinks.name))}

    async def save_sink(self, team: str, config: SinkConfig) -> None:
        """Store a configuration as the current one of its name; see SinkConfigs."""
        now = self._clock.now()
        row = {
            "team": team,
            "name": config.name,
            "config": config.version,
            "type": config.type,
            "options": self._cipher.encrypt(config.to_json()),
            "at": now,
            "removed_at": None,
        }
        others = (_sinks.team == team, _sinks.name == config.name, _sinks.config != config.version)
        async with self._database.write() as tx:
            await tx.execute(update(tables.sinks).where(*others, _sinks.removed_at.is_(None)).values(removed_at=now))
            new = insert(tx, tables.sinks).values(row)
            await tx.execute(
                new.on_conflict_do_update(
                    index_elements=["team", "name", "config"], set_={"removed_at": None, "options": row["options"]}
                )
            )
            holds = tables.sink_holds.c
            ours = (holds.sink == config.name, *((holds.team == team,) if team else ()))
            await tx.execute(tables.sink_holds.delete().where(*ours))

    async def reencrypt_options(self) -> int:
        """Encrypt the options of every configuration with the first key; return the number of configurations."""
        async with self._database.write() as tx:
            rows = (await tx.execute(select(tables.sinks).with_for_update())).all()
            for row in rows:
                of_row = (_sinks.team == row.team, _sinks.name == row.name, _sinks.config == row.config)
                encrypted = self._cipher.reencrypt(row.options)
                await tx.execute(update(tables.sinks).where(*of_row).values(options=encrypted))
        return len(rows)

    async def remove_sink(self, team: str, name: str) -> bool:
        """Remove a sink; its configuration stays, to end what it opened. Return whether there was one."""
        now: datetime = self._clock.now()
        current = (_sinks.team == team, _sinks.name == name, _sinks.removed_at.is_(None))
        async with self._database.write() as tx:
            return bool((await tx.execute(update(tables.sinks).where(*current).values(removed_at=now))).rowcount)
