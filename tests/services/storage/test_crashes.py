from __future__ import annotations

import asyncio
import signal
import sys
from dataclasses import replace
from datetime import date

import pytest

from services.market.consensus.corporate_actions import Action, ActionKind, DeclaredActions
from services.rules.decide import RuleState
from services.rules.grammar import parse_rule
from tests.fakes.alerts import AT, CHANNEL
from tests.services.storage.conftest import Start, active_rules
from tests.services.storage.test_price_history import EVER, WGMI, closes

EX = date(2026, 11, 18)
CLOSES_BEFORE, CLOSES_AFTER = (closes({"2026-11-17": price}, source="yahoo") for price in (40.0, 4.0))
BEFORE = DeclaredActions(source="yahoo", since=date(2026, 1, 2))
AFTER = replace(BEFORE, actions=(Action(session=EX, kind=ActionKind.SPLIT, value=10.0),))

# Saves an alert with a rule's state and a thread reply, and dies right before or after the commit.
RECORD_AND_DIE = """
import asyncio, os, signal, sys
from sqlalchemy import Engine, event
from services.rules.decide import RuleState, Side
from services.alerting.records import AlertChange, StateChange
from services.storage import SqlStore
from tests.fakes.alerts import AT, an_alert, an_entry

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

async def main(url, moment):
    store = await SqlStore.open(url)
    if moment == "before":
        event.listen(Engine, "commit", die)
    change = StateChange(rule_id=1, before=RuleState(), after=RuleState(firing=Side.ABOVE, fired_at=AT))
    await store.record([change], [AlertChange(alert=an_alert(), revision=0, entries=(an_entry(),))], AT)
    die()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("moment", "alerts"),
    [
        pytest.param("before", 0, id="before the commit nothing is there"),
        pytest.param("after", 1, id="after the commit everything is there"),
    ],
)
async def test_a_killed_process_saves_all_of_a_record_or_nothing(
    start: Start, durable_url: str, moment: str, alerts: int
) -> None:
    store = await start()
    await store.add_rules(CHANNEL, [parse_rule("1d 8pp")], "U1", AT)

    process = await asyncio.create_subprocess_exec(sys.executable, "-c", RECORD_AND_DIE, durable_url, moment)
    assert -signal.SIGKILL == await process.wait()

    changed = [rule.state != RuleState() for rule in await active_rules(store)]
    assert ([bool(alerts)], alerts, alerts) == (changed, len(await store.open_alerts()), len(await store.due(AT)))


# Replaces a history with its corporate actions, and dies right before or after the commit.
REPLACE_AND_DIE = """
import asyncio, os, signal, sys
from sqlalchemy import Engine, event
from services.storage import SqlStore
from tests.services.storage.test_crashes import AFTER, AT, CLOSES_AFTER

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

async def main(url, moment):
    store = await SqlStore.open(url)
    if moment == "before":
        event.listen(Engine, "commit", die)
    await store.replace_closes(CLOSES_AFTER, AT, AFTER)
    die()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("moment", "prices", "declared"),
    [
        pytest.param("before", [40.0], BEFORE, id="before the commit the old history is there, without the split"),
        pytest.param("after", [4.0], AFTER, id="after the commit the new one is there, with it"),
    ],
)
async def test_a_killed_process_saves_closes_and_their_actions_together(
    start: Start, durable_url: str, moment: str, prices: list[float], declared: DeclaredActions
) -> None:
    store = await start()
    await store.save_closes(CLOSES_BEFORE, AT, BEFORE)

    process = await asyncio.create_subprocess_exec(sys.executable, "-c", REPLACE_AND_DIE, durable_url, moment)
    assert -signal.SIGKILL == await process.wait()

    assert prices == (await store.load_closes(WGMI, "yahoo", EVER)).prices.tolist()
    assert declared == await store.load_declared(WGMI, "yahoo")
