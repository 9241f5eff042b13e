"""The watchlist: every rule of every channel in memory, laid out so that a tick touches only those that may change."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from services.domain.decide import Observation
from services.domain.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from services.domain.measure import Metric, Window
    from services.domain.prices import Pair
    from services.domain.rule import Rule
    from services.market import MarketView
    from services.ports import MonitorStore, Watch


@dataclass(frozen=True, slots=True, eq=False)
class PairWatches:
    """The rules on one pair; `looks` are the different things they look at, a rule of each kind standing for all."""

    watches: list[Watch]
    looks: list[Rule]
    screen: Screen
    by_id: dict[int, Watch]

    def observed(self, view: MarketView) -> list[tuple[Watch, Observation]]:
        """Observe each thing once, and give the rules that may change with what they see."""
        seen = [view.observe(rule) for rule in self.looks]
        values = np.array([np.nan if one.value is None else one.value for one in seen])
        return [
            (self.watches[index], seen[self.screen.column[index]]) for index in self.screen.may_change(values).tolist()
        ]

    def unobserved(self, now: datetime, reason: str) -> list[tuple[Watch, Observation]]:
        """Give the rules that must learn that there is nothing to see."""
        nothing = Observation(at=now, value=None, reason=reason)
        dark = self.screen.may_change(np.full(len(self.looks), np.nan))
        return [(self.watches[index], nothing) for index in dark.tolist()]

    def rule_of(self, rule_id: int) -> Rule | None:
        """Find a rule by its number; None where it was removed."""
        watch = self.by_id.get(rule_id)
        return watch.rule if watch else None


@dataclass(slots=True)
class Watchlist:
    """The store's rules as of its last revision."""

    store: MonitorStore
    _revision: int | None = None
    _pairs: dict[Pair, PairWatches] = field(default_factory=dict)

    async def pairs(self) -> dict[Pair, PairWatches]:
        """Give the rules by pair, read anew only where any has changed."""
        revision = await self.store.revision()
        if revision != self._revision:
            watches = await self.store.watches()
            self._pairs = {pair: lay_out(own) for pair, own in _by_pair(watches).items()}
            self._revision = revision
        return self._pairs


def lay_out(watches: list[Watch]) -> PairWatches:
    """Arrange the rules of one pair for screening."""
    looks: dict[tuple[Metric, Window | None, bool], int] = {}
    rules: list[Rule] = []
    columns: list[int] = []
    for watch in watches:
        look = (watch.rule.metric, watch.rule.window, watch.rule.at_close)
        if look not in looks:
            looks[look] = len(rules)
            rules.append(watch.rule)
        columns.append(looks[look])
    return PairWatches(
        watches=watches,
        looks=rules,
        screen=Screen.of([watch.rule for watch in watches], [watch.state for watch in watches], columns),
        by_id={watch.id: watch for watch in watches},
    )


def _by_pair(watches: Iterable[Watch]) -> dict[Pair, list[Watch]]:
    pairs: dict[Pair, list[Watch]] = {}
    for watch in watches:
        pairs.setdefault(watch.rule.pair, []).append(watch)
    return pairs
