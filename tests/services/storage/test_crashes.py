import asyncio
import multiprocessing
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import date

import pytest
from sqlalchemy import Engine, event

from services.alerting.ports import AlertChange, StateChange
from services.market.consensus.corporate_actions import Action, ActionKind, DeclaredActions
from services.rules.decide import RuleState, Side
from services.rules.grammar import parse_rule
from services.storage import SqlStore
from tests.fakes.alerts import AT, CHANNEL, an_alert, an_entry
from tests.services.storage.conftest import Start, active_rules
from tests.services.storage.test_price_history import EVER, WGMI, closes

EX = date(2026, 11, 18)
CLOSES_BEFORE, CLOSES_AFTER = (closes({"2026-11-17": price}, source="yahoo") for price in (40.0, 4.0))
BEFORE = DeclaredActions(source="yahoo", since=date(2026, 1, 2))
AFTER = replace(BEFORE, actions=(Action(session=EX, kind=ActionKind.SPLIT, value=10.0),))


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def write_and_die(url: str, moment: str, write: Callable[[SqlStore], Awaitable[None]]) -> None:
    """Write to the store, and die right before or after the commit."""

    async def main() -> None:
        store = await SqlStore.open(url)
        if moment == "before":
            event.listen(Engine, "commit", die)
        await write(store)
        die()

    asyncio.run(main())


async def record(store: SqlStore) -> None:
    """Save an alert with a rule's state and a thread reply."""
    change = StateChange(rule_id=1, before=RuleState(), after=RuleState(firing=Side.ABOVE, fired_at=AT))
    await store.record([change], [AlertChange(alert=an_alert(), revision=0, entries=(an_entry(),))], AT)


async def replace_history(store: SqlStore) -> None:
    """Replace a history with its corporate actions."""
    await store.replace_closes(CLOSES_AFTER, AT, AFTER)


async def run_until_killed(url: str, moment: str, write: Callable[[SqlStore], Awaitable[None]]) -> None:
    """Run `write_and_die` in a process, forked from a server that has imported this module."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    process = context.Process(target=write_and_die, args=(url, moment, write))
    process.start()
    await asyncio.to_thread(process.join)
    assert -signal.SIGKILL == process.exitcode


@pytest.mark.parametrize(
    ("moment", "alerts"),
    [
        pytest.param("before", 0, id="before the commit nothing is there"),
        pytest.param("after", 1, id="after the commit everything is there"),
    ],
)
async def test_a_killed_process_saves_all_of_a_record_or_nothing(
    start: Start, migrated_url: str, moment: str, alerts: int
) -> None:
    store = await start()
    await store.add_rules(CHANNEL, [parse_rule("1d 8pp")], "U1", AT)

    await run_until_killed(migrated_url, moment, record)

    changed = [rule.state != RuleState() for rule in await active_rules(store)]
    assert ([bool(alerts)], alerts, alerts) == (changed, len(await store.open_alerts()), len(await store.due(AT)))


@pytest.mark.parametrize(
    ("moment", "prices", "declared"),
    [
        pytest.param("before", [40.0], BEFORE, id="before the commit the old history is there, without the split"),
        pytest.param("after", [4.0], AFTER, id="after the commit the new one is there, with it"),
    ],
)
async def test_a_killed_process_saves_closes_and_their_actions_together(
    start: Start, migrated_url: str, moment: str, prices: list[float], declared: DeclaredActions
) -> None:
    store = await start()
    await store.save_closes(CLOSES_BEFORE, AT, BEFORE)

    await run_until_killed(migrated_url, moment, replace_history)

    assert prices == (await store.load_closes(WGMI, "yahoo", EVER)).prices.tolist()
    assert declared == await store.load_declared(WGMI, "yahoo")
