"""Claims of ticks: the first process to claim one runs it; another may take it over after a minute."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.alerting.tick_log import Claim, Job, Tick, TickResult
from services.core.errors import LeaseLostError
from services.storage.repository import Repository, insert
from services.storage.tables import ticks
from services.storage.tick_log import record_tick_result

RETENTION = timedelta(days=30)
LEASE = timedelta(minutes=1)


class TickRepository(Repository):
    """The tick methods of MonitorStore."""

    async def claim_tick(self, job: Job, boundary: datetime, at: datetime) -> Claim:
        """Claim one round of a job, also if its owner has not finished it in time; delete the job's old ticks."""
        new = {"job": str(job), "boundary": boundary, "claimed_at": at, "done": False}
        overdue = ~ticks.c.done & (ticks.c.claimed_at <= at - LEASE)
        async with self._database.write() as tx:
            await tx.execute(delete(ticks).where(ticks.c.job == str(job), ticks.c.boundary < boundary - RETENTION))
            claim = insert(tx, ticks).values(new)
            takeover = claim.on_conflict_do_update(
                index_elements=["job", "boundary"], set_={"claimed_at": at}, where=overdue
            )
            if (await tx.execute(takeover.returning(ticks.c.job))).first():
                return Claim.OURS
            done = (await tx.execute(select(ticks.c.done).where(*_tick_key(job, boundary)))).scalar_one()
        return Claim.DONE if done else Claim.TAKEN

    async def finish_tick(self, tick: Tick, result: TickResult | None = None) -> None:
        """Mark a tick as done, unless another process took it over, and save its result."""
        ours = (*_tick_key(tick.job, tick.boundary), ticks.c.claimed_at == tick.claimed_at)
        done = update(ticks).where(*ours).values(done=True, verdict=result and result.verdict)
        async with self._database.write() as tx:
            if (await tx.execute(done)).rowcount and result is not None:
                await record_tick_result(tx, result)

    async def release_tick(self, job: Job, boundary: datetime, at: datetime) -> None:
        """Release a claim that was made at `at`, unless another process took it over."""
        ours = (*_tick_key(job, boundary), ticks.c.claimed_at == at, ~ticks.c.done)
        async with self._database.write() as tx:
            await tx.execute(delete(ticks).where(*ours))


async def lock_tick(tx: AsyncConnection, tick: Tick) -> None:
    """Check that a tick is ours and the job's last, and keep others from taking it over until the transaction ends.

    Raises LeaseLostError.
    """
    last = select(ticks).where(ticks.c.job == str(tick.job)).order_by(ticks.c.boundary.desc()).limit(1)
    row = (await tx.execute(last.with_for_update())).one_or_none()
    if row is None or (row.boundary, row.claimed_at) != (tick.boundary, tick.claimed_at):
        raise LeaseLostError(f"The tick of {tick.boundary:%H:%M:%S} UTC on {tick.job} came too late.")


def _tick_key(job: Job, boundary: datetime) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return ticks.c.job == str(job), ticks.c.boundary == boundary
