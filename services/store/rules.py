"""Rules and their states: each change of either moves the revision, in the same transaction."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from services.domain.errors import ConflictError, NotFoundError
from services.store import tables
from services.store.codec import read_watch, write_state
from services.store.part import Part, insert, rows_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncConnection

    from services.domain.decide import RuleState
    from services.domain.episode import Channel
    from services.domain.rule import Rule
    from services.ports import StateChange, Watch

CHUNK = 1_000  # rules in one statement


class Rules(Part):
    """Implements the rules of MonitorStore and DeskStore."""

    async def revision(self) -> int:
        """Give a number that grows with every change of any rule or rule state."""
        async with self._database.read() as tx:
            revision: int = (await tx.execute(select(tables.rulebook.c.revision))).scalar_one()
        return revision

    async def watches(self) -> list[Watch]:
        """Load every rule of every channel with its state, by id."""
        async with self._database.read() as tx:
            return await _watches(tx)

    async def rules(self, channel: Channel) -> list[Watch]:
        """Load a channel's rules by id."""
        async with self._database.read() as tx:
            return await _watches(tx, *_of(channel))

    async def add_rules(self, channel: Channel, rules: Sequence[Rule], by: str, at: datetime) -> list[Watch]:
        """Add rules to a channel in one transaction; a rule that stands there already is returned as it is.

        The answer has one watch for each of `rules`, in that order.
        """
        texts = [str(rule) for rule in rules]
        async with self._database.write() as tx:
            known = await _by_text(tx, channel)
            if new := [text for text in dict.fromkeys(texts) if text not in known]:
                await _add(tx, channel, new, by, at)
                known = await _by_text(tx, channel)
        return [known[text] for text in texts]

    async def remove_rule(self, channel: Channel, rule_id: int, at: datetime) -> Watch:
        """Remove a rule of this channel, but not from the alerts that mention it. Raises NotFoundError."""
        async with self._database.write() as tx:
            found = await _watches(tx, *_of(channel), tables.rules.c.id == rule_id)
            if not found:
                raise NotFoundError(f"No rule {rule_id} in this channel.")
            await tx.execute(update(tables.rules).where(tables.rules.c.id == rule_id).values(removed_at=at))
            await _turn_page(tx)
        return found[0]


async def move_rules(tx: AsyncConnection, changes: Sequence[StateChange]) -> None:
    """Bring rules to their next states. Raises ConflictError where one is not in its `before`, or is gone.

    Rules that make the same move, as all do when prices stop, are moved together.
    """
    moves: dict[tuple[RuleState, RuleState], list[int]] = defaultdict(list)
    for change in changes:
        moves[change.before, change.after].append(change.rule_id)
    for (before, after), ids in moves.items():
        for start in range(0, len(ids), CHUNK):
            await _move(tx, ids[start : start + CHUNK], before, after)
    if changes:
        await _turn_page(tx)


async def _move(tx: AsyncConnection, ids: Sequence[int], before: RuleState, after: RuleState) -> None:
    columns = tables.rules.c
    unchanged = [columns[name] == value for name, value in write_state(before).items()]
    moved = await tx.execute(
        update(tables.rules).where(columns.id.in_(ids), tables.STANDING, *unchanged).values(write_state(after))
    )
    if moved.rowcount != len(ids):
        raise ConflictError("A rule has changed since it was read; read the rules again.")


async def _add(tx: AsyncConnection, channel: Channel, texts: Sequence[str], by: str, at: datetime) -> None:
    same = {"team": channel.team, "channel": channel.id, "created_by": by, "created_at": at}
    new = insert(tx, tables.rules)
    unless = new.on_conflict_do_nothing(index_elements=["team", "channel", "rule"], index_where=tables.STANDING)
    await tx.execute(unless, [{**same, "rule": text} for text in texts])
    await _turn_page(tx)


async def _by_text(tx: AsyncConnection, channel: Channel) -> dict[str, Watch]:
    return {str(watch.rule): watch for watch in await _watches(tx, *_of(channel))}


async def _watches(tx: AsyncConnection, *conditions: ColumnElement[bool]) -> list[Watch]:
    rows = await tx.execute(select(tables.rules).where(tables.STANDING, *conditions).order_by(tables.rules.c.id))
    return [read_watch(row) for row in rows]


async def _turn_page(tx: AsyncConnection) -> None:
    revision = tables.rulebook.c.revision
    await tx.execute(update(tables.rulebook).values({revision: revision + 1}))


def _of(channel: Channel) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return rows_of(tables.rules, channel)
