"""Workspaces are strictly apart: the numbers of another one let nobody see it or change anything in it."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from services.desk import Desk
from services.domain.episode import Channel
from services.domain.errors import ConflictError, NotFoundError
from services.domain.rule import parse_rule
from services.domain.snooze import Span
from services.ports import AlertChange, LostWatch, StoredAlert
from services.store import SqlStore, tables
from services.store.purge import SHARED
from tests.fakes.alerts import an_alert, an_entry, removal
from tests.fakes.floor import DESK, OPEN, Floor, trading_floor

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from services.ports import Watch

AWAY = Channel(team="T2", id=DESK.id)  # Slack's ids of channels may be the same in two workspaces
HOUR = timedelta(hours=1)
OVER_ALL = {
    "aclose": "closes the database",
    "alerted_pairs": "the clockwork's: pairs, without whose they are",
    "backlog": "the health's: counts",
    "claim_tick": "the clockwork's: ticks are nobody's",
    "due": "delivery's: each message names its channel",
    "finish_tick": "as claim_tick",
    "load_bars": "prices are nobody's",
    "load_closes": "prices are nobody's",
    "load_declared": "prices are nobody's",
    "load_holdings": "holdings are nobody's",
    "mark_attempting": "delivery's: of what is due",
    "mark_dead": "delivery's: of what is due",
    "mark_failed": "delivery's: of what is due",
    "mark_sent": "delivery's: of what is due",
    "next_due_at": "delivery's: a time",
    "open": "opens the database",
    "release_tick": "as claim_tick",
    "replace_closes": "prices are nobody's",
    "revisions": "prices are nobody's",
    "rulebook": "the clockwork's: each rule names its channel",
    "save_bars": "prices are nobody's",
    "save_closes": "prices are nobody's",
    "save_holdings": "holdings are nobody's",
    "tried_since": "delivery's: of what is due",
}  # methods of the store that take no channel, and why they may


@dataclass(frozen=True, slots=True, kw_only=True)
class Theirs:
    """A rule and an open alert of the workspace T1, before services that somebody in T2 reaches."""

    floor: Floor
    watch: Watch
    stored: StoredAlert

    @property
    def alert(self) -> int:
        return self.stored.alert.id

    @property
    def store(self) -> SqlStore:
        return self.floor.store

    async def rows(self) -> list[str]:
        """Every row that is theirs, as it stands."""
        owned = [table for table in tables.metadata.sorted_tables if table.name not in SHARED]
        async with self.store._database.read() as tx:  # noqa: SLF001 -- what no method tells
            found = [str(row) for table in owned for row in await tx.execute(select(table))]
        return [row for row in found if "'T2'" not in row]


BY_DESK: dict[str, Callable[[Theirs], Awaitable[object]]] = {
    "acknowledge": lambda their: their.floor.desk.acknowledge(AWAY, their.alert, "U2"),
    "add_rule": lambda their: their.floor.desk.add_rule(AWAY, "1d 8pp", "U2"),
    "board": lambda their: their.floor.desk.board(AWAY),
    "history": lambda their: their.floor.desk.history(AWAY),
    "open_alerts": lambda their: their.floor.desk.open_alerts(AWAY),
    "receipt": lambda their: their.floor.desk.receipt(AWAY, their.alert),
    "remove_rule": lambda their: their.floor.desk.remove_rule(AWAY, their.watch.id, "U2"),
    "resolve": lambda their: their.floor.desk.resolve(AWAY, their.alert, "U2", ""),
    "rules": lambda their: their.floor.desk.rules(AWAY),
    "snooze": lambda their: their.floor.desk.snooze(AWAY, their.alert, "U2", Span.HOUR),
    "start": lambda their: their.floor.desk.start(AWAY, "U2"),
    "unacknowledge": lambda their: their.floor.desk.unacknowledge(AWAY, their.alert, "U2"),
}
BY_STORE: dict[str, Callable[[Theirs], Awaitable[object]]] = {
    "add_rules": lambda their: their.store.add_rules(AWAY, [parse_rule("1d 8pp")], "U2", OPEN),
    "alert": lambda their: their.store.alert(AWAY, their.alert),
    "history": lambda their: their.store.history(AWAY, 10),
    "hold": lambda their: their.store.hold(AWAY, OPEN + HOUR),
    "open_alerts": lambda their: their.store.open_alerts(AWAY),
    "receipt": lambda their: their.store.receipt(AWAY, None),
    "record": lambda their: their.store.record([], [_taken_over(their.stored)], OPEN),
    "rule": lambda their: their.store.rule(AWAY, their.watch.id),
    "rules": lambda their: their.store.rules(AWAY),
}
FORGED: dict[str, Callable[[Theirs], Awaitable[object]]] = {
    "record a removal": lambda their: their.store.record(
        [], [], OPEN, rules=[removal(replace(their.watch, channel=AWAY))]
    ),
    "record the removal of a lost rule": lambda their: their.store.record(
        [], [], OPEN, rules=[removal(LostWatch(id=their.watch.id, channel=AWAY, rule=""))]
    ),
}
CROSSINGS = {
    **{f"desk.{name}": crossing for name, crossing in BY_DESK.items()},
    **{f"store.{name}": crossing for name, crossing in (BY_STORE | FORGED).items()},
}


def _taken_over(stored: StoredAlert) -> AlertChange:
    return AlertChange(alert=replace(stored.alert, channel=AWAY), revision=stored.revision, entries=(an_entry(),))


@pytest.fixture
async def theirs() -> AsyncIterator[Theirs]:
    async with trading_floor() as floor:
        (watch,) = await floor.store.add_rules(DESK, [parse_rule("1d 8pp")], "U1", OPEN)
        await floor.store.record([], [AlertChange(alert=an_alert(), revision=0, entries=(an_entry(),))], OPEN)
        (stored,) = await floor.store.open_alerts(DESK)
        yield Theirs(floor=floor, watch=watch, stored=stored)


@pytest.mark.parametrize("crossing", CROSSINGS)
async def test_nobody_sees_or_changes_what_is_another_workspaces(theirs: Theirs, crossing: str) -> None:
    before = await theirs.rows()

    try:
        seen = repr(await CROSSINGS[crossing](theirs))
    except (NotFoundError, ConflictError) as error:
        seen = repr(error)

    assert before == await theirs.rows()
    assert [sign for sign in ("'T1'", "'U1'") if sign in seen] == []


def _public(kind: type) -> set[str]:
    members = inspect.getmembers(kind, inspect.isroutine)
    return {name for name, one in members if not name.startswith("_") and inspect.iscoroutinefunction(one)}


def test_every_method_is_tried() -> None:
    assert _public(Desk) == BY_DESK.keys()
    assert _public(SqlStore) == BY_STORE.keys() | OVER_ALL.keys()
