"""Ticks: the first process to claim one does it; what is not done within a minute may be taken over."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete, select, update

from services.domain.errors import OvertakenError
from services.ports import Claim
from services.store.part import Part, insert
from services.store.tables import ticks

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import ColumnElement
    from sqlalchemy.ext.asyncio import AsyncConnection

    from services.domain.prices import Pair
    from services.ports import Tick

KEPT = timedelta(days=30)
LEASE = timedelta(minutes=1)


class Ticks(Part):
    """Implements the claims of MonitorStore."""

    async def claim_tick(self, pair: Pair, boundary: datetime, at: datetime) -> Claim:
        """Claim one tick of one pair, also where whoever did has not done it in time; its old ticks are forgotten."""
        new = {"pair": str(pair), "boundary": boundary, "claimed_at": at, "done": False}
        overdue = ~ticks.c.done & (ticks.c.claimed_at <= at - LEASE)
        async with self._database.write() as tx:
            await tx.execute(delete(ticks).where(ticks.c.pair == str(pair), ticks.c.boundary < boundary - KEPT))
            claim = insert(tx, ticks).values(new)
            takeover = claim.on_conflict_do_update(
                index_elements=["pair", "boundary"], set_={"claimed_at": at}, where=overdue
            )
            if (await tx.execute(takeover.returning(ticks.c.pair))).first():
                return Claim.OURS
            done = (await tx.execute(select(ticks.c.done).where(*_of(pair, boundary)))).scalar_one()
        return Claim.DONE if done else Claim.TAKEN

    async def finish_tick(self, tick: Tick) -> None:
        """Note that a tick is done, where nobody has taken it over."""
        ours = (*_of(tick.pair, tick.boundary), ticks.c.claimed_at == tick.claimed_at)
        async with self._database.write() as tx:
            await tx.execute(update(ticks).where(*ours).values(done=True))

    async def release_tick(self, pair: Pair, boundary: datetime, at: datetime) -> None:
        """Give back a claim that was made at `at`, where nobody has taken it over."""
        ours = (*_of(pair, boundary), ticks.c.claimed_at == at, ~ticks.c.done)
        async with self._database.write() as tx:
            await tx.execute(delete(ticks).where(*ours))


async def hold_tick(tx: AsyncConnection, tick: Tick) -> None:
    """Make sure that a tick is ours and the pair's last, and let nobody take it over before the transaction ends.

    Raises OvertakenError.
    """
    last = select(ticks).where(ticks.c.pair == str(tick.pair)).order_by(ticks.c.boundary.desc()).limit(1)
    row = (await tx.execute(last.with_for_update())).one_or_none()
    if row is None or (row.boundary, row.claimed_at) != (tick.boundary, tick.claimed_at):
        raise OvertakenError(f"The tick of {tick.boundary:%H:%M:%S} UTC on {tick.pair} came too late.")


def _of(pair: Pair, boundary: datetime) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return ticks.c.pair == str(pair), ticks.c.boundary == boundary
