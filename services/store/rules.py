"""Rules and their states: each change of either moves the revision, in the same transaction."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update

from services.domain.errors import ConflictError, NotFoundError
from services.ports import Rulebook
from services.store import tables
from services.store.codec import read_watch, write_state
from services.store.part import Part, insert, rows_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.ext.asyncio import AsyncConnection

    from services.domain.decide import RuleState
    from services.domain.episode import Channel
    from services.domain.rule import Rule
    from services.ports import StateChange, Watch

CHUNK = 1_000  # rules in one statement, or on one page


class Rules(Part):
    """Implements the rules of MonitorStore and DeskStore."""

    async def rulebook(self, since: int = 0) -> Rulebook:
        """Load the rules of every channel that have changed after a revision; every one that stands after 0.

        Very many are read page by page, so that whatever else is going on may go on in between.
        """
        changed = tables.rules.c.revision > since
        gone = select(tables.rules.c.id).where(changed, tables.rules.c.removed_at.is_not(None))
        async with self._database.read() as tx:
            revision: int = (await tx.execute(select(tables.rulebook.c.revision))).scalar_one()
            if revision == since:
                return Rulebook(revision=revision)
            rows = await tx.stream(_standing(changed).order_by(None))  # in order, it would pass over the index
            watches = [read_watch(row) async for page in rows.partitions(CHUNK) for row in page]
            removed = frozenset(await tx.scalars(gone)) if since else frozenset[int]()
        return Rulebook(revision=revision, watches=tuple(sorted(watches, key=lambda one: one.id)), removed=removed)

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

    async def rule(self, channel: Channel, rule_id: int) -> Watch:
        """Load one rule of this channel. Raises NotFoundError where there is none, or it was removed."""
        async with self._database.read() as tx:
            found = await _watches(tx, *_of(channel), tables.rules.c.id == rule_id)
        if not found:
            raise NotFoundError(f"No rule {rule_id} in this channel.")
        return found[0]


async def move_rules(tx: AsyncConnection, changes: Sequence[StateChange]) -> None:
    """Bring rules to their next states. Raises ConflictError where one is not in its `before`, or is gone.

    Rules that make the same move, as all do when prices stop, are moved together.
    """
    moves: dict[tuple[RuleState, RuleState], list[int]] = defaultdict(list)
    for change in changes:
        moves[change.before, change.after].append(change.rule_id)
    page = await _turn_page(tx) if changes else 0
    for (before, after), ids in moves.items():
        for start in range(0, len(ids), CHUNK):
            await _change(tx, ids[start : start + CHUNK], before, {**write_state(after), "revision": page})


async def remove_rules(tx: AsyncConnection, watches: Sequence[Watch], at: datetime) -> None:
    """Remove rules as they were read, but not from the alerts that mention them. Raises ConflictError as above."""
    page = await _turn_page(tx) if watches else 0
    for watch in watches:
        await _change(tx, [watch.id], watch.state, {"removed_at": at, "revision": page})


async def _change(tx: AsyncConnection, ids: Sequence[int], before: RuleState, values: dict[str, Any]) -> None:
    columns = tables.rules.c
    unchanged = [columns[name] == value for name, value in write_state(before).items()]
    changed = await tx.execute(
        update(tables.rules).where(columns.id.in_(ids), tables.STANDING, *unchanged).values(values)
    )
    if changed.rowcount != len(ids):
        raise ConflictError("A rule has changed since it was read; read the rules again.")


async def _add(tx: AsyncConnection, channel: Channel, texts: Sequence[str], by: str, at: datetime) -> None:
    page = await _turn_page(tx)
    same = {"team": channel.team, "channel": channel.id, "created_by": by, "created_at": at, "revision": page}
    new = insert(tx, tables.rules)
    unless = new.on_conflict_do_nothing(index_elements=["team", "channel", "rule"], index_where=tables.STANDING)
    await tx.execute(unless, [{**same, "rule": text} for text in texts])


async def _by_text(tx: AsyncConnection, channel: Channel) -> dict[str, Watch]:
    return {str(watch.rule): watch for watch in await _watches(tx, *_of(channel))}


async def _watches(tx: AsyncConnection, *conditions: ColumnElement[bool]) -> list[Watch]:
    return [read_watch(row) for row in await tx.execute(_standing(*conditions))]


def _standing(*conditions: ColumnElement[bool]) -> Select[Any]:
    return select(tables.rules).where(tables.STANDING, *conditions).order_by(tables.rules.c.id)


async def _turn_page(tx: AsyncConnection) -> int:
    """Move the rulebook on by one; whoever changes rules waits here for the others, so that pages come in order."""
    revision = tables.rulebook.c.revision
    turned = await tx.execute(update(tables.rulebook).values({revision: revision + 1}).returning(revision))
    page: int = turned.scalar_one()
    return page


def _of(channel: Channel) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return rows_of(tables.rules, channel)
