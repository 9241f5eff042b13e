"""Ticks: the first process to claim one runs it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete

from services.store.part import Part, insert
from services.store.tables import ticks

if TYPE_CHECKING:
    from datetime import datetime

    from services.domain.prices import Pair

KEPT = timedelta(days=30)


class Ticks(Part):
    """Implements the claims of MonitorStore."""

    async def claim_tick(self, pair: Pair, boundary: datetime) -> bool:
        """Claim one tick of one pair; False where it has been claimed before. The pair's old ticks are forgotten."""
        async with self._database.write() as tx:
            claim = insert(tx, ticks).values(pair=str(pair), boundary=boundary).on_conflict_do_nothing()
            claimed = (await tx.execute(claim, execution_options={"preserve_rowcount": True})).rowcount == 1
            await tx.execute(delete(ticks).where(ticks.c.pair == str(pair), ticks.c.boundary < boundary - KEPT))
        return claimed
