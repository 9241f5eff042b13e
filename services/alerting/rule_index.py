"""All rules of all channels in memory, indexed so that a tick evaluates only those that may change."""

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np

from services.alerting.ports import ChannelRule, MonitorStore
from services.core.prices import Pair
from services.core.reason import Reason
from services.market.measure import Window
from services.market.metrics import Metric
from services.rules.decide import Observation
from services.rules.market_view import MarketView
from services.rules.prefilter import RulePrefilter
from services.rules.rule import Rule


@dataclass(frozen=True, slots=True, eq=False)
class PairRules:
    """The rules on one pair.

    Attributes:
        distinct_rules: One rule per distinct metric, window and `at close`.
        rows: Index in `rules` by rule id.
        unreadable: Ids of rules, on any pair, that exist but cannot be read.
    """

    rules: list[ChannelRule]
    distinct_rules: list[Rule]
    prefilter: RulePrefilter
    rows: dict[int, int]
    unreadable: frozenset[int] = frozenset()

    def observe(self, view: MarketView, include: Collection[int] = ()) -> list[tuple[ChannelRule, Observation]]:
        """Return the rules that may change, and those of `include`, each with its observation.

        Each metric is observed once.
        """
        observations = [view.observe(rule) for rule in self.distinct_rules]
        values = np.array([np.nan if one.value is None else one.value for one in observations])
        rows = self.prefilter.may_change(values, view.now).tolist()
        included = {self.rows[rule_id] for rule_id in include if rule_id in self.rows}
        found = [(self.rules[row], observations[self.prefilter.column[row]]) for row in [*included, *rows]]
        return list(
            {
                rule.id: (rule, observation)
                for rule, observation in found
                if rule.id in include or not observation.awaiting_trade
            }.values()
        )

    def observe_no_data(self, now: datetime, reason: Reason | str) -> list[tuple[ChannelRule, Observation]]:
        """Return the rules whose state changes because there is no data."""
        no_data = Observation(at=now, value=None, reason=reason, pair_unavailable=True)
        rows = self.prefilter.may_change(np.full(len(self.distinct_rules), np.nan), now, pair_unavailable=True)
        return [(self.rules[row], no_data) for row in rows.tolist()]

    @property
    def uses_network(self) -> bool:
        """Whether any of the rules uses the bitcoin network."""
        return any(rule.metric.needs_network for rule in self.distinct_rules)

    def exists(self, rule_id: int) -> bool:
        """Return whether a rule with this id exists, including rules that cannot be read."""
        return rule_id in self.rows or rule_id in self.unreadable

    def rule(self, rule_id: int) -> Rule | None:
        """Return the rule with this id, None if it isn't on this pair."""
        row = self.rows.get(rule_id)
        return None if row is None else self.rules[row].rule

    def update(self, channel_rule: ChannelRule) -> bool:
        """Update a rule's state in place; return False if the rule isn't here, is paused, or was edited."""
        row = self.rows.get(channel_rule.id)
        if row is None or channel_rule.paused_at is not None or self.rules[row].rule != channel_rule.rule:
            return False
        self.rules[row] = channel_rule
        self.prefilter.update(row, channel_rule.rule, channel_rule.state)
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
        """Return the rules by pair; loads only those that have changed."""
        async with self._lock:
            rulebook = await self.store.rulebook(self._revision)
            changed = [rule for rule in rulebook.rules if not self._update_in_place(rule)]
            added = _by_pair(rule for rule in changed if rule.paused_at is None)
            gone = rulebook.removed | rulebook.unreadable | {rule.id for rule in changed}
            for pair in {**self._pairs, **added}:
                await self._rebuild(pair, added.get(pair, []), gone)
            readable = {rule.id for rule in rulebook.rules}
            self._unreadable = (self._unreadable - rulebook.removed - readable) | rulebook.unreadable
            self._revision = rulebook.revision
        return self._pairs

    async def for_pair(self, pair: Pair) -> PairRules:
        """Return the rules on one pair, which may be none."""
        pair_rules = (await self.pairs()).get(pair) or build_index([])
        return replace(pair_rules, unreadable=self._unreadable)

    def _update_in_place(self, channel_rule: ChannelRule) -> bool:
        pair_rules = self._pairs.get(channel_rule.rule.pair)
        return pair_rules is not None and pair_rules.update(channel_rule)

    async def _rebuild(self, pair: Pair, added: list[ChannelRule], gone: frozenset[int]) -> None:
        """Rebuild a pair's index if rules come or go. It runs in a thread, so many rules don't block requests."""
        current = self._pairs.get(pair) or build_index([])
        if not added and current.rows.keys().isdisjoint(gone):
            return
        kept = [rule for rule in current.rules if rule.id not in gone]
        rebuilt = await asyncio.to_thread(build_index, [*kept, *added])
        if rebuilt.rules:
            self._pairs[pair] = rebuilt
        else:
            del self._pairs[pair]


def build_index(rules: list[ChannelRule]) -> PairRules:
    """Build the index of the rules of one pair."""
    column_of: dict[tuple[Metric, Window | None, bool], int] = {}
    distinct_rules: list[Rule] = []
    columns: list[int] = []
    for channel_rule in rules:
        key = (channel_rule.rule.metric, channel_rule.rule.window, channel_rule.rule.at_close)
        if key not in column_of:
            column_of[key] = len(distinct_rules)
            distinct_rules.append(channel_rule.rule)
        columns.append(column_of[key])
    return PairRules(
        rules=rules,
        distinct_rules=distinct_rules,
        prefilter=RulePrefilter.from_rules([one.rule for one in rules], [one.state for one in rules], columns),
        rows={rule.id: row for row, rule in enumerate(rules)},
    )


def _by_pair(rules: Iterable[ChannelRule]) -> dict[Pair, list[ChannelRule]]:
    pairs: dict[Pair, list[ChannelRule]] = {}
    for channel_rule in rules:
        pairs.setdefault(channel_rule.rule.pair, []).append(channel_rule)
    return pairs
