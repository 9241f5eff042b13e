from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from sqlalchemy import false

from services.alerting.notice import Digest, Notice
from services.channels import settings as channel_settings
from services.delivery.dispatcher import Dispatcher
from services.delivery.ports import Delivery, DueKey
from services.market import price_history
from services.rules.prefilter import RulePrefilter
from services.storage import SqlStore, alerts, outbox, outbox_queries
from tests.simulate.fault_injection import CHANNEL_WRITES, CLAIMS, WRITES
from tests.simulate.plan import CHANNELS, MINUTE, Action, FaultPeriod, Plan, SourceFault, draw_plan
from tests.simulate.run import run
from tests.simulate.write_checks import OBSERVED

SEEDS = range(6)
MAX_SEEDS = 20  # a sabotage must cause a violation within so many seeds


@pytest.mark.parametrize("seed", SEEDS)
def test_no_invariant_is_violated(seed: int) -> None:
    result = run(seed)

    assert () == result.violations, "\n".join(result.log.lines(40))


def test_a_seed_always_has_the_same_events() -> None:
    first, again = run(7), run(7)

    assert first.log.lines() == again.log.lines()


def test_every_method_with_faults_or_checks_is_a_method_of_the_store() -> None:
    names = WRITES | CHANNEL_WRITES | CLAIMS | OBSERVED

    assert [] == [name for name in sorted(names) if not hasattr(SqlStore, name)]


def skip_lookup(monkeypatch: pytest.MonkeyPatch) -> None:
    async def look_up(_dispatcher: Dispatcher, _delivery: Delivery, _now: datetime) -> tuple[str | None, bool]:
        return None, False

    monkeypatch.setattr(Dispatcher, "_look_up", look_up)


def forget_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    real = SqlStore.load_due

    async def load_due(store: SqlStore, keys: Sequence[DueKey], now: datetime) -> list[Delivery]:
        return [replace(one, attempting=False) for one in await real(store, keys, now)]

    async def mark(store: SqlStore, delivery: Delivery, at: datetime) -> Delivery | None:
        leased = await marked(store, delivery, at) or await marked(store, replace(delivery, attempting=True), at)
        return leased and replace(leased, attempting=False)

    marked = SqlStore.mark_attempting
    monkeypatch.setattr(SqlStore, "load_due", load_due)
    monkeypatch.setattr(SqlStore, "mark_attempting", mark)


def forget_new_versions(monkeypatch: pytest.MonkeyPatch) -> None:
    async def do_nothing(*_arguments: object) -> None:
        pass

    monkeypatch.setattr(alerts, "bump_alert_versions", do_nothing)


def accept_spikes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(price_history, "spike_reason", lambda _past, _price: None)


def miss_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    real = RulePrefilter.may_change

    def may_change(*arguments: Any, **keywords: Any) -> np.typing.NDArray[np.intp]:  # noqa: ANN401 -- any arguments
        return real(*arguments, **keywords)[1:]

    monkeypatch.setattr(RulePrefilter, "may_change", may_change)


def post_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    first = outbox_queries.first_of_each_channel(outbox_queries.WAITING)
    monkeypatch.setattr(outbox_queries, "NEXT_DUE_AT", outbox_queries.next_due_at(outbox_queries.WAITING))
    monkeypatch.setattr(outbox_queries, "FIRST_OF_EACH_CHANNEL", first)
    monkeypatch.setattr(outbox_queries, "STILL_DUE", outbox_queries.still_due(outbox_queries.BODIES))
    monkeypatch.setattr(outbox, "_is_quiet", lambda _at: false())


def drop_an_alert_from_digests(monkeypatch: pytest.MonkeyPatch) -> None:
    real = channel_settings._digest  # noqa: SLF001 -- a sabotage

    def digest(*arguments: Any, **keywords: Any) -> Notice | None:  # noqa: ANN401 -- any arguments
        result = real(*arguments, **keywords)
        if result is None or not isinstance(result.content, Digest):
            return result
        return replace(result, content=replace(result.content, alerts=result.content.alerts[1:]))

    monkeypatch.setattr(channel_settings, "_digest", digest)


def harder_plan(seed: int) -> Plan:
    """Return a seed's plan with more crashes, lost responses, a wrong single source, and quiet periods."""
    plan = draw_plan(seed)
    periods = [
        FaultPeriod(what=what, who=who, begin=plan.begin + 12 * MINUTE, end=plan.begin + 25 * MINUTE)
        for what, who in ((SourceFault.TENFOLD, "Alpha"), (SourceFault.OUT, "Beta"))
    ]
    mutes = tuple((plan.tick_times[1] + MINUTE, Action.MUTE, channel) for channel in CHANNELS)
    plan = replace(plan, actions=tuple(sorted((*plan.actions, *mutes), key=lambda act: act[0])), unmutes=True)
    return replace(
        plan, fault_periods=tuple(periods), crashes=frozenset(range(40, 800, 30)), slack_fault_rate=0.3, readable=True
    )


@pytest.mark.parametrize(
    ("sabotage", "violation", "first_seed"),
    [
        pytest.param(skip_lookup, "one post per key", 0, id="a lost response is not looked up"),
        pytest.param(forget_attempts, "one post per key", 0, id="an interrupted attempt is forgotten"),
        pytest.param(forget_new_versions, "Slack shows what the store has", 0, id="a new version is forgotten"),
        pytest.param(accept_spikes, "no transition on a wrong price", 0, id="a single-source spike is accepted"),
        pytest.param(post_in_silence, "no new message is posted in a quiet period", 0, id="a mute is ignored"),
        pytest.param(
            drop_an_alert_from_digests,
            "a digest names every alert of its quiet period",
            4,
            id="a digest forgets an alert",
        ),
        pytest.param(miss_rules, "live equals replay", 0, id="the prefilter misses rules"),
    ],
)
def test_a_sabotage_is_detected(
    monkeypatch: pytest.MonkeyPatch, sabotage: Callable[[pytest.MonkeyPatch], None], violation: str, first_seed: int
) -> None:
    sabotage(monkeypatch)

    seeds = (*range(first_seed, MAX_SEEDS), *range(first_seed))  # the first is likely to be enough
    violations = (one for seed in seeds for one in run(seed, harder_plan(seed)).violations)

    assert any(one.startswith(violation) for one in violations)
