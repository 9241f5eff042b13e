"""A process freezes during its work, and resumes after another process has taken over."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from services.alerting.ports import AlertChange, StateChange
from services.alerting.tick_log import Claim, Tick
from services.core.errors import LeaseLostError
from services.core.prices import WGMI_BTC
from services.delivery.ports import Delivery
from services.rules.decide import RuleState, Side
from services.rules.grammar import parse_rule
from services.storage import SqlStore
from services.storage.outbox import LEASE
from tests.fakes.alerts import AT, CHANNEL, an_alert, an_entry
from tests.services.storage.conftest import active_rules, post_alert

HOUR = timedelta(hours=1)
MINE = Tick(job=WGMI_BTC, boundary=AT, claimed_at=AT)


async def lease(store: SqlStore, at: timedelta) -> Delivery:
    (delivery,) = await store.due(AT + at)
    leased = await store.mark_attempting(delivery, AT + at)
    assert leased is not None
    return leased


@pytest.mark.parametrize("late", ["sent", "failed", "gone", "dead"])
async def test_it_does_not_overwrite_an_outcome_of_the_new_owner(store: SqlStore, late: str) -> None:
    await post_alert(store, an_alert(), an_entry())
    frozen = await lease(store, timedelta(0))
    await store.mark_sent(await lease(store, LEASE), "the other's", AT + LEASE)
    before = await store.alert_audit(CHANNEL, 1)

    match late:
        case "sent":
            await store.mark_sent(frozen, "its own", AT + 2 * LEASE)
        case "failed" | "gone":
            await store.mark_failed(frozen, "500", AT + 2 * LEASE, gone=late == "gone", unsure=True)
        case _:
            await store.mark_dead(frozen, "msg_too_long", AT + 2 * LEASE)

    assert before == await store.alert_audit(CHANNEL, 1)


async def test_it_does_not_end_the_attempt_of_the_new_owner(store: SqlStore) -> None:
    await post_alert(store)
    frozen = await lease(store, timedelta(0))
    other = await lease(store, LEASE)

    await store.mark_failed(frozen, "no answer", AT + LEASE, unsure=True)
    meanwhile = await store.due(AT + LEASE + LEASE / 2)
    await store.mark_sent(other, "1.2", AT + 2 * LEASE)

    assert ([], []) == (meanwhile, await store.due(AT + HOUR))


async def test_it_does_not_finish_the_tick_of_the_new_owner(store: SqlStore) -> None:
    await store.claim_tick(WGMI_BTC, AT, AT)
    await store.claim_tick(WGMI_BTC, AT, AT + LEASE)

    await store.finish_tick(MINE)

    assert Claim.OURS is await store.claim_tick(WGMI_BTC, AT, AT + 2 * LEASE)


@pytest.mark.parametrize("boundary", [AT, AT + LEASE], ids=["the same tick", "a later one"])
async def test_it_saves_nothing_after_the_new_owner_claimed_a_tick(store: SqlStore, boundary: datetime) -> None:
    await store.add_rules(CHANNEL, [parse_rule("1d 8pp")], "U1", AT)
    await store.claim_tick(WGMI_BTC, AT, AT)
    await store.claim_tick(WGMI_BTC, boundary, AT + LEASE)
    change = StateChange(rule_id=1, before=RuleState(), after=RuleState(firing=Side.ABOVE, fired_at=AT))

    with pytest.raises(LeaseLostError, match="The tick of 15:40:00 UTC on WGMI/BTC came too late"):
        await store.record([change], [AlertChange(alert=an_alert(), revision=0)], AT, tick=MINE)
    saved = [rule.state for rule in await active_rules(store)], await store.open_alerts()
    await store.record([change], [], AT, tick=replace(MINE, boundary=boundary, claimed_at=AT + LEASE))

    assert ([RuleState()], []) == saved
    assert [change.after] == [rule.state for rule in await active_rules(store)]
