"""Ticks: the first process to claim one does it; what is not done within a minute may be taken over."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerting.tick_log import Claim, Job, Tick, TickResult
from services.core.errors import LeaseLostError
from services.storage.repository import Repository, insert
from services.storage.tables import ticks
from services.storage.tick_log import note_look

KEPT = timedelta(days=30)
LEASE = timedelta(minutes=1)


class Ticks(Repository):
    """Implements the claims of MonitorStore."""

    async def claim_tick(self, job: Job, boundary: datetime, at: datetime) -> Claim:
        """Claim one round of a job, also where whoever did has not done it in time; its old ticks are forgotten."""
        new = {"job": str(job), "boundary": boundary, "claimed_at": at, "done": False}
        overdue = ~ticks.c.done & (ticks.c.claimed_at <= at - LEASE)
        async with self._database.write() as tx:
            await tx.execute(delete(ticks).where(ticks.c.job == str(job), ticks.c.boundary < boundary - KEPT))
            claim = insert(tx, ticks).values(new)
            takeover = claim.on_conflict_do_update(
                index_elements=["job", "boundary"], set_={"claimed_at": at}, where=overdue
            )
            if (await tx.execute(takeover.returning(ticks.c.job))).first():
                return Claim.OURS
            done = (await tx.execute(select(ticks.c.done).where(*_of(job, boundary)))).scalar_one()
        return Claim.DONE if done else Claim.TAKEN

    async def finish_tick(self, tick: Tick, look: TickResult | None = None) -> None:
        """Note that a round is done, where nobody has taken it over, together with what it saw of its pair."""
        ours = (*_of(tick.job, tick.boundary), ticks.c.claimed_at == tick.claimed_at)
        done = update(ticks).where(*ours).values(done=True, verdict=look and look.verdict)
        async with self._database.write() as tx:
            if (await tx.execute(done)).rowcount and look is not None:
                await note_look(tx, look)

    async def release_tick(self, job: Job, boundary: datetime, at: datetime) -> None:
        """Give back a claim that was made at `at`, where nobody has taken it over."""
        ours = (*_of(job, boundary), ticks.c.claimed_at == at, ~ticks.c.done)
        async with self._database.write() as tx:
            await tx.execute(delete(ticks).where(*ours))


async def hold_tick(tx: AsyncConnection, tick: Tick) -> None:
    """Make sure that a tick is ours and the job's last, and let nobody take it over before the transaction ends.

    Raises LeaseLostError.
    """
    last = select(ticks).where(ticks.c.job == str(tick.job)).order_by(ticks.c.boundary.desc()).limit(1)
    row = (await tx.execute(last.with_for_update())).one_or_none()
    if row is None or (row.boundary, row.claimed_at) != (tick.boundary, tick.claimed_at):
        raise LeaseLostError(f"The tick of {tick.boundary:%H:%M:%S} UTC on {tick.job} came too late.")


def _of(job: Job, boundary: datetime) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return ticks.c.job == str(job), ticks.c.boundary == boundary
