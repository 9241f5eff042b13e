from collections import Counter
from dataclasses import replace
from datetime import timedelta

from services.alerting.alert import DRILL
from services.alerting.ports import RuleAuditKind, RuleChange, StateChange, StatusCounts
from services.market.metrics import DIVERGENCE
from services.rules.decide import NODATA_GRACE, RuleState, RuleStatus, Side
from services.rules.grammar import parse_rule
from services.storage import SqlStore
from tests.fakes.alerts import AT, CHANNEL, an_alert
from tests.services.storage.conftest import post_alert

NOW, EARLIER = AT + NODATA_GRACE, AT - timedelta(seconds=1)
STATES = [
    RuleState(),
    RuleState(nodata_since=AT),
    RuleState(breach=Side.ABOVE, breach_at=AT, breach_seen_at=AT),
    RuleState(firing=Side.ABOVE, fired_at=AT),
    RuleState(firing=Side.BELOW, fired_at=AT, clear_at=AT, clear_seen_at=AT),
    RuleState(firing=Side.ABOVE, fired_at=AT, nodata_since=EARLIER),
    RuleState(nodata_since=EARLIER, error_since=EARLIER),
]


async def test_rules_are_counted_by_the_status_that_people_see(store: SqlStore) -> None:
    rules = [parse_rule(f"1d {number}pp") for number in range(8, 8 + len(STATES) + 1)]
    *added, paused = await store.add_rules(CHANNEL, rules, "U1", AT)
    changes = [
        StateChange(rule_id=rule.id, before=rule.state, after=state, edition=rule.edition)
        for rule, state in zip(added, STATES, strict=True)
    ]
    pause = RuleChange(kind=RuleAuditKind.PAUSED, channel_rule=paused, by="U1", rule=paused.rule, state=paused.state)
    await store.record(changes, [], AT)
    await store.record([], [], AT, rules=[pause])

    counts = await store.status_counts(NOW)

    assert set(RuleStatus) == {state.status(NOW) for state in STATES}
    assert Counter(state.status(NOW) for state in STATES) == counts.rules
    assert 1 == counts.paused_rules


async def test_open_alerts_are_counted_by_subject_without_test_alerts(store: SqlStore) -> None:
    await post_alert(store)
    await post_alert(store, an_alert(closed_at=AT, side=Side.BELOW))
    await post_alert(store, replace(an_alert(), subject=DRILL))

    empty = dict.fromkeys(RuleStatus, 0)
    assert StatusCounts(
        rules=empty, paused_rules=0, alerts={DIVERGENCE: 1}, installations=0
    ) == await store.status_counts(NOW)
