from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import pytest
from sqlalchemy import false

from services.alerting.notice import Digest, Notice
from services.channels import quiet_hours
from services.delivery.dispatcher import Dispatcher
from services.delivery.ports import Delivery
from services.market import price_history
from services.rules.prefilter import RulePrefilter
from services.storage import SqlStore, alert_writer, outbox, outbox_queries
from tests.simulate.plan import CHANNELS, MINUTE, Act, Plan, Spell, Trouble, draw
from tests.simulate.run import run

SEEDS = range(6)
WITHIN = 20  # seeds in which each sabotage must have shown


@pytest.mark.parametrize("seed", SEEDS)
def test_every_promise_is_kept(seed: int) -> None:
    told = run(seed)

    assert () == told.broken, "\n".join(told.log.lines(40))


def test_a_seed_gives_the_same_events_each_time() -> None:
    first, again = run(7), run(7)

    assert first.log.lines() == again.log.lines()


def post_blindly(monkeypatch: pytest.MonkeyPatch) -> None:
    async def look_up(_courier: Dispatcher, _delivery: Delivery) -> tuple[str | None, bool]:
        return None, False

    monkeypatch.setattr(Dispatcher, "_look_up", look_up)


def forget_what_was_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    real = SqlStore.due

    async def due(store: SqlStore, now: datetime, limit: int = 100) -> list[Delivery]:
        return [replace(one, attempting=False) for one in await real(store, now, limit)]

    async def mark(store: SqlStore, delivery: Delivery, at: datetime) -> Delivery | None:
        leased = await marked(store, delivery, at) or await marked(store, replace(delivery, attempting=True), at)
        return leased and replace(leased, attempting=False)

    marked = SqlStore.mark_attempting
    monkeypatch.setattr(SqlStore, "due", due)
    monkeypatch.setattr(SqlStore, "mark_attempting", mark)


def forget_the_new_wording(monkeypatch: pytest.MonkeyPatch) -> None:
    async def tell_nothing(_tx: object, _at: datetime, **_what: int | None) -> None:
        pass

    monkeypatch.setattr(alert_writer, "bump_version", tell_nothing)


def believe_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(price_history, "spike_reason", lambda _past, _price: None)


def overlook_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    def may_change(screen: RulePrefilter, values: np.typing.NDArray[np.float64]) -> np.typing.NDArray[np.intp]:
        return np.flatnonzero(values[screen.column] >= screen.fires_above)

    monkeypatch.setattr(RulePrefilter, "may_change", may_change)


def speak_into_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "NEXT_DUE_AT", outbox_queries.next_due_at(outbox_queries.WAITING))
    monkeypatch.setattr(outbox, "FIRST_OF_EACH_CHANNEL", outbox_queries.first_of_each_channel(outbox_queries.WAITING))
    monkeypatch.setattr(outbox, "_is_silent", lambda _at: false())


def forget_an_alert(monkeypatch: pytest.MonkeyPatch) -> None:
    real = quiet_hours._digest  # noqa: SLF001 -- a sabotage reaches in

    def digest(*asked: Any, **more: Any) -> Notice | None:  # noqa: ANN401 -- whatever it takes
        told = real(*asked, **more)
        if told is None or not isinstance(told.content, Digest):
            return told
        return replace(told, content=replace(told.content, alerts=told.content.alerts[1:]))

    monkeypatch.setattr(quiet_hours, "_digest", digest)


def provoked(seed: int) -> Plan:
    """Take a seed's plan with more of what a sabotage shows in: deaths, lost answers, a lone liar, and silences."""
    plan = draw(seed)
    lies = [
        Spell(what=what, who=who, begin=plan.begin + 12 * MINUTE, end=plan.begin + 25 * MINUTE)
        for what, who in ((Trouble.TENFOLD, "Alpha"), (Trouble.OUT, "Beta"))
    ]
    mutes = tuple((plan.looks[1] + MINUTE, Act.MUTE, channel) for channel in CHANNELS)
    plan = replace(plan, acts=tuple(sorted((*plan.acts, *mutes), key=lambda act: act[0])), hears=True)
    return replace(plan, spells=tuple(lies), deaths=frozenset(range(40, 800, 30)), slack_faults=0.3, readable=True)


@pytest.mark.parametrize(
    ("sabotage", "promise"),
    [
        pytest.param(post_blindly, "one post for each key", id="a lost answer is not looked up"),
        pytest.param(forget_what_was_tried, "one post for each key", id="an attempt that was cut off is forgotten"),
        pytest.param(forget_the_new_wording, "Slack shows what the store says", id="a new wording is forgotten"),
        pytest.param(believe_anything, "no transition on a price that never was", id="a lone spike is believed"),
        pytest.param(speak_into_silence, "nothing new is posted into a silent channel", id="a mute keeps nothing back"),
        pytest.param(forget_an_alert, "a digest names every alert of its silence", id="a digest forgets an alert"),
        pytest.param(overlook_rules, "live equals replay", id="the screen overlooks rules"),
    ],
)
def test_a_core_that_breaks_a_promise_is_caught(
    monkeypatch: pytest.MonkeyPatch, sabotage: Callable[[pytest.MonkeyPatch], None], promise: str
) -> None:
    sabotage(monkeypatch)

    broken = (one for seed in range(WITHIN) for one in run(seed, provoked(seed)).broken)

    assert any(one.startswith(promise) for one in broken)
