"""Records: how earlier episodes of a rule went, found once for each rule and session, for the alerts that begin."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from services.domain.errors import NoHistoryError, ReplayError
from services.domain.precedent import Record, record
from services.market import align_legs
from services.mining import Mining
from services.together import together

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    import numpy as np

    from services.domain.align import Aligned
    from services.domain.prices import Pair
    from services.domain.rule import Rule
    from services.history import History

Records = dict["Rule", Record]
log = logging.getLogger(__name__)


@dataclass(slots=True)
class RecordKeeper:
    """The records of rules up to the last close, kept until the next session closes."""

    history: History
    mining: Mining = field(default_factory=lambda: Mining([]))
    _session: np.datetime64 | None = None
    _kept: dict[Rule, Record | None] = field(default_factory=dict)

    async def of(self, rules: Iterable[Rule], now: datetime) -> Records:
        """Find the records of some rules; one that has none, or whose prices are not there, is left out."""
        sessions = self.history.sessions(now)
        last = sessions.days[sessions.last_closed(now)]
        if last != self._session:
            self._session, self._kept = last, {}
        for rule in rules:
            asked = _at_closes(rule)
            if asked not in self._kept:
                self._kept[asked] = await self._found(asked, now)
        known = {rule: self._kept[_at_closes(rule)] for rule in rules}
        return {rule: found for rule, found in known.items() if found is not None}

    async def _found(self, rule: Rule, now: datetime) -> Record | None:
        """Replay a rule in a thread; an alert without its record is better than no alert."""
        try:
            aligned = await self.mining.beside(await self._aligned(rule.pair, now), rule.metric, now)
            return await asyncio.to_thread(record, aligned, rule)
        except (NoHistoryError, ReplayError) as error:
            log.info("no record of %s: %s", rule, error)
            return None

    async def _aligned(self, pair: Pair, now: datetime) -> Aligned:
        etf, crypto = await together(self.history.leg(pair.etf, now), self.history.leg(pair.crypto, now))
        return align_legs(pair, etf, crypto, self.history.sessions(now), now)


def _at_closes(rule: Rule) -> Rule:
    """Make rules that a replay cannot tell apart the same: it decides at closes, with no hold."""
    return replace(rule, hold=timedelta(0), at_close=True)
