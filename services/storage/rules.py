"""Rules and their states: each change of either moves the revision, in the same transaction."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, assert_never

from sqlalchemy import ColumnElement, Row, Select, exc, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerting.records import (
    AlertChange,
    ChannelRule,
    RuleAudit,
    RuleAuditKind,
    Rulebook,
    RuleChange,
    StateChange,
    UnreadableRule,
)
from services.core.errors import ConflictError, NotFoundError, RuleError
from services.core.identity import Channel
from services.rules.decide import RuleState
from services.rules.rule import Rule
from services.storage import tables
from services.storage.alert_writer import record_alert
from services.storage.codec import read_watch, write_state
from services.storage.engine import Database
from services.storage.repository import Repository, insert, rows_of
from services.storage.rule_audit import act_of, keep_acts

CHUNK = 1_000  # rules in one statement, or on one page
log = logging.getLogger(__name__)


class Rules(Repository):
    """Implements the rules of MonitorStore and CommandStore.

    In a list, a rule that cannot be read is left out, so that it keeps nobody from the others.
    """

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self._lost_rules: set[int] = set()

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
            read = {row.id: _read(row) async for page in rows.partitions(CHUNK) for row in page}
            removed = frozenset(await tx.scalars(gone)) if since else frozenset[int]()
        return Rulebook(
            revision=revision,
            watches=tuple(sorted(self._kept(read.values()), key=lambda one: one.id)),
            removed=removed,
            unreadable=frozenset(number for number, watch in read.items() if isinstance(watch, UnreadableRule)),
        )

    async def rules(self, channel: Channel) -> list[ChannelRule]:
        """Load a channel's rules by id."""
        async with self._database.read() as tx:
            return self._kept(await _watches(tx, *_of(channel)))

    async def add_rules(
        self, channel: Channel, rules: Sequence[Rule], by: str, at: datetime, *, alerts: Sequence[AlertChange] = ()
    ) -> list[ChannelRule]:
        """Add rules to a channel in one transaction; a rule that stands there already is returned as it is.

        The answer has one watch for each of `rules`, in that order. The `alerts` tell of those that are new.
        """
        texts = [str(rule) for rule in rules]
        async with self._database.write() as tx:
            known = await self._by_text(tx, channel)
            if new := [text for text in dict.fromkeys(texts) if text not in known]:
                await _add(tx, channel, new, by, at)
                known = await self._by_text(tx, channel)
                await keep_acts(tx, channel, [_added(known[text], by, at) for text in new])
                for alert in alerts:
                    await record_alert(tx, alert, at)
        return [known[text] for text in texts]

    async def rule(self, channel: Channel, rule_id: int) -> ChannelRule | UnreadableRule:
        """Load one rule of this channel, readable or not. Raises NotFoundError where there is none any more."""
        async with self._database.read() as tx:
            found = await _watches(tx, *_of(channel), tables.rules.c.id == rule_id)
        if not found:
            raise NotFoundError(f"No rule {rule_id} in this channel.")
        return found[0]

    async def lost_rules(self, channel: Channel) -> list[UnreadableRule]:
        """Load the rules of a channel that stand although they cannot be read."""
        async with self._database.read() as tx:
            return [watch for watch in await _watches(tx, *_of(channel)) if isinstance(watch, UnreadableRule)]

    async def _by_text(self, tx: AsyncConnection, channel: Channel) -> dict[str, ChannelRule]:
        return {str(watch.rule): watch for watch in self._kept(await _watches(tx, *_of(channel)))}

    def _kept(self, watches: Iterable[ChannelRule | UnreadableRule]) -> list[ChannelRule]:
        """Pick the rules that can be read; each of the others is logged once."""
        read = list(watches)
        lost = {watch.id for watch in read if isinstance(watch, UnreadableRule)}
        for number in sorted(lost - self._lost_rules):
            log.error("rule %d cannot be read and is not watched; restore its row from a backup, or remove it", number)
        self._lost_rules |= lost
        return [watch for watch in read if isinstance(watch, ChannelRule)]


async def move_rules(tx: AsyncConnection, changes: Sequence[StateChange]) -> None:
    """Bring rules to their next states. Raises ConflictError where one is not in its `before`, or is gone.

    Rules that make the same move, as all do when prices stop, are moved together.
    """
    moves: dict[tuple[RuleState, RuleState, int], list[int]] = defaultdict(list)
    for change in changes:
        moves[change.before, change.after, change.edition].append(change.rule_id)
    page = await turn_page(tx) if changes else 0
    for (before, after, edition), ids in moves.items():
        known = {**write_state(before), "edition": edition}
        for start in range(0, len(ids), CHUNK):
            await _change(tx, ids[start : start + CHUNK], known, {**write_state(after), "revision": page})


async def change_rules(tx: AsyncConnection, changes: Sequence[RuleChange], at: datetime) -> None:
    """Do to rules what people did, and keep who did it; alerts that mention them stay as they are.

    Raises ConflictError as above, and where a rule would stand in its channel twice.
    """
    page = await turn_page(tx) if changes else 0
    for change in changes:
        watch = change.watch
        known = {**write_state(watch.state), "edition": watch.edition} if isinstance(watch, ChannelRule) else {}
        edition = tables.rules.c.edition + 1
        values = {**_changed(change, at), "edition": edition, "revision": page}
        try:
            await _change(tx, [watch.id], known, values, *_of(watch.channel))
        except exc.IntegrityError as error:
            raise ConflictError("That rule stands in the channel already; read the rules again.") from error
        await keep_acts(tx, watch.channel, [act_of(change, at)])


def _changed(change: RuleChange, at: datetime) -> dict[str, Any]:
    """Name the columns that a person's change of a rule sets, with their values."""
    match change.kind:
        case RuleAuditKind.REMOVED:
            return {"removed_at": at}
        case RuleAuditKind.PAUSED:
            return {**write_state(change.state), "paused_at": at}
        case RuleAuditKind.RESUMED:
            return {**write_state(change.state), "paused_at": None}
        case RuleAuditKind.EDITED:
            return {**write_state(change.state), "rule": str(change.rule)}
        case RuleAuditKind.ADDED:
            raise ValueError("a rule is added by add_rules")
        case _:
            assert_never(change.kind)


async def _change(
    tx: AsyncConnection,
    ids: Sequence[int],
    known: dict[str, Any],
    values: dict[str, Any],
    *conditions: ColumnElement[bool],
) -> None:
    """Change rules whose columns are as `known`; of one that cannot be read nothing is, and no tick moves it."""
    columns = tables.rules.c
    unchanged = [columns[name] == value for name, value in known.items()]
    changed = await tx.execute(
        update(tables.rules).where(columns.id.in_(ids), tables.STANDING, *unchanged, *conditions).values(values)
    )
    if changed.rowcount != len(ids):
        raise ConflictError("A rule has changed since it was read; read the rules again.")


async def _add(tx: AsyncConnection, channel: Channel, texts: Sequence[str], by: str, at: datetime) -> None:
    page = await turn_page(tx)
    same = {"team": channel.team, "channel": channel.id, "created_by": by, "created_at": at, "revision": page}
    new = insert(tx, tables.rules)
    unless = new.on_conflict_do_nothing(index_elements=["team", "channel", "rule"], index_where=tables.STANDING)
    await tx.execute(unless, [{**same, "rule": text} for text in texts])


async def _watches(tx: AsyncConnection, *conditions: ColumnElement[bool]) -> list[ChannelRule | UnreadableRule]:
    return [_read(row) for row in await tx.execute(_standing(*conditions))]


def _added(watch: ChannelRule, by: str, at: datetime) -> RuleAudit:
    return RuleAudit(kind=RuleAuditKind.ADDED, rule_id=watch.id, by=by, at=at, before=None, after=str(watch.rule))


def _read(row: Row[Any]) -> ChannelRule | UnreadableRule:
    try:
        return read_watch(row)
    except (RuleError, ValueError):
        return UnreadableRule(id=row.id, channel=Channel(team=row.team, id=row.channel), rule=row.rule)


def _standing(*conditions: ColumnElement[bool]) -> Select[Any]:
    return select(tables.rules).where(tables.STANDING, *conditions).order_by(tables.rules.c.id)


async def turn_page(tx: AsyncConnection) -> int:
    """Move the rulebook on by one; whoever changes rules waits here for the others, so that pages come in order."""
    revision = tables.rulebook.c.revision
    turned = await tx.execute(update(tables.rulebook).values({revision: revision + 1}).returning(revision))
    page: int = turned.scalar_one()
    return page


def _of(channel: Channel) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return rows_of(tables.rules, channel)
