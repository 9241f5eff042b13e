"""The watchlist: every rule of every channel in memory, laid out so that a tick touches only those that may change."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np

from services.alerting.ports import MonitorStore
from services.alerting.records import ChannelRule
from services.core.prices import Pair
from services.market.measure import METRICS, Metric, Window
from services.rules.decide import Observation
from services.rules.market_service import MarketView
from services.rules.prefilter import RulePrefilter
from services.rules.rule import Rule


@dataclass(frozen=True, slots=True, eq=False)
class PairRules:
    """The rules on one pair, with the row of each by its number.

    `looks` are the different things that they look at, a rule of each kind standing for all. `unreadable` are the
    numbers of rules on whatever pair that stand although they cannot be watched.
    """

    watches: list[ChannelRule]
    looks: list[Rule]
    screen: RulePrefilter
    rows: dict[int, int]
    unreadable: frozenset[int] = frozenset()

    def observed(self, view: MarketView, also: Collection[int] = ()) -> list[tuple[ChannelRule, Observation]]:
        """Observe each thing once, and give the rules that may change, and those of `also`, with what they see."""
        seen = [view.observe(rule) for rule in self.looks]
        values = np.array([np.nan if one.value is None else one.value for one in seen])
        rows = self.screen.may_change(values).tolist()
        named = {self.rows[number] for number in also if number in self.rows}
        changing = [(self.watches[row], seen[self.screen.column[row]]) for row in [*named, *rows]]
        return list({watch.id: (watch, one) for watch, one in changing if watch.id in also or not one.waiting}.values())

    def unobserved(self, now: datetime, reason: str) -> list[tuple[ChannelRule, Observation]]:
        """Give the rules that must learn that there is nothing to see."""
        nothing = Observation(at=now, value=None, reason=reason, unknown=True)
        dark = self.screen.may_change(np.full(len(self.looks), np.nan), unknown=True)
        return [(self.watches[index], nothing) for index in dark.tolist()]

    @property
    def look_at_network(self) -> bool:
        """Whether any of them looks at the bitcoin network."""
        return any(METRICS[rule.metric].of_network for rule in self.looks)

    def stands(self, rule_id: int) -> bool:
        """Tell whether a rule with this number stands; one that cannot be read does."""
        return rule_id in self.rows or rule_id in self.unreadable

    def rule(self, rule_id: int) -> Rule | None:
        """Give the rule with this number; None where it is not among these."""
        row = self.rows.get(rule_id)
        return None if row is None else self.watches[row].rule

    def put(self, watch: ChannelRule) -> bool:
        """Take over the state of a rule in place; False where it is not among these, or looks at something else now."""
        row = self.rows.get(watch.id)
        if row is None or watch.paused_at is not None or self.watches[row].rule != watch.rule:
            return False
        self.watches[row] = watch
        self.screen.put(row, watch.rule, watch.state)
        return True


@dataclass(slots=True)
class RuleIndex:
    """The store's rules as of its last revision."""

    store: MonitorStore
    _revision: int = 0
    _pairs: dict[Pair, PairRules] = field(default_factory=dict)
    _unreadable: frozenset[int] = frozenset()
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def pairs(self) -> dict[Pair, PairRules]:
        """Give the rules by pair; only those that have changed are read."""
        async with self._lock:
            news = await self.store.rulebook(self._revision)
            changed = [watch for watch in news.watches if not self._put(watch)]
            added = _by_pair(watch for watch in changed if watch.paused_at is None)
            gone = news.removed | news.unreadable | {watch.id for watch in changed}
            for pair in {**self._pairs, **added}:
                await self._lay_out(pair, added.get(pair, []), gone)
            read = {watch.id for watch in news.watches}
            self._unreadable = (self._unreadable - news.removed - read) | news.unreadable
            self._revision = news.revision
        return self._pairs

    async def of(self, pair: Pair) -> PairRules:
        """Give the rules on one pair, of which there may be none."""
        watches = (await self.pairs()).get(pair) or build_index([])
        return replace(watches, unreadable=self._unreadable)

    def _put(self, watch: ChannelRule) -> bool:
        known = self._pairs.get(watch.rule.pair)
        return known is not None and known.put(watch)

    async def _lay_out(self, pair: Pair, added: list[ChannelRule], gone: frozenset[int]) -> None:
        """Arrange a pair anew where rules come or go, in a thread: many rules must not keep a person waiting."""
        known = self._pairs.get(pair) or build_index([])
        if not added and known.rows.keys().isdisjoint(gone):
            return
        kept = [watch for watch in known.watches if watch.id not in gone]
        laid_out = await asyncio.to_thread(build_index, [*kept, *added])
        if laid_out.watches:
            self._pairs[pair] = laid_out
        else:
            del self._pairs[pair]


def build_index(watches: list[ChannelRule]) -> PairRules:
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
    return PairRules(
        watches=watches,
        looks=rules,
        screen=RulePrefilter.of([watch.rule for watch in watches], [watch.state for watch in watches], columns),
        rows={watch.id: row for row, watch in enumerate(watches)},
    )


def _by_pair(watches: Iterable[ChannelRule]) -> dict[Pair, list[ChannelRule]]:
    pairs: dict[Pair, list[ChannelRule]] = {}
    for watch in watches:
        pairs.setdefault(watch.rule.pair, []).append(watch)
    return pairs
