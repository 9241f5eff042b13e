from __future__ import annotations

import asyncio
import signal
import sys
from typing import TYPE_CHECKING

import pytest

from services.domain.decide import RuleState
from services.domain.rule import parse_rule
from tests.fakes.alerts import AT, DESK
from tests.services.store.conftest import standing

if TYPE_CHECKING:
    from tests.services.store.conftest import Start

# Records an alert with a rule's state and a line of its thread, and dies as the transaction is about to be committed,
# or right after.
DYING = """
import asyncio, os, signal, sys
from sqlalchemy import Engine, event
from services.domain.decide import RuleState, Side
from services.ports import AlertChange, StateChange
from services.store import SqlStore
from tests.fakes.alerts import AT, an_alert, an_entry

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

async def main(url, moment):
    store = await SqlStore.open(url)
    if moment == "before":
        event.listen(Engine, "commit", die)
    move = StateChange(rule_id=1, before=RuleState(), after=RuleState(firing=Side.ABOVE, fired_at=AT))
    await store.record([move], [AlertChange(alert=an_alert(), revision=0, entries=(an_entry(),))], AT)
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
async def test_a_killed_process_leaves_all_of_a_record_or_nothing(
    start: Start, durable_url: str, moment: str, alerts: int
) -> None:
    store = await start()
    await store.add_rules(DESK, [parse_rule("1d 8pp")], "U1", AT)

    dying = await asyncio.create_subprocess_exec(sys.executable, "-c", DYING, durable_url, moment)
    assert -signal.SIGKILL == await dying.wait()

    moved = [watch.state != RuleState() for watch in await standing(store)]
    assert ([bool(alerts)], alerts, alerts) == (moved, len(await store.open_alerts()), len(await store.due(AT)))
