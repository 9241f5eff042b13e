"""Real prices through the real services: the posted alerts match a replay."""

from datetime import date
from pathlib import Path

import pytest

from bot.price_files import align_files, read_price_files
from bot.rehearsal.script import script_from_files
from bot.rehearsal.stage import open_rehearsal
from bot.settings import Settings
from services.rules.decide import Change
from services.rules.grammar import parse_rule
from services.rules.replay import replay
from tests.bot.conftest import RunCli

DATA = Path(__file__).parents[3] / "shared/data"
ETF, BTC = DATA / "equities/WGMI.csv", DATA / "btc/btcusdt_binance_1h.csv"
FIRST, LAST = date(2025, 8, 1), date(2025, 12, 31)

pytestmark = pytest.mark.skipif(not ETF.exists(), reason="needs the vendors' real prices beside this repository")


@pytest.mark.usefixtures("clean")
@pytest.mark.parametrize("command", [["pulse"], ["chart", "20d", "-o", "spread.png"], ["tune", "5d", "2/month"]])
def test_sessions_without_a_bitcoin_price_are_named(minerpulse: RunCli, command: list[str]) -> None:
    answer = " ".join(minerpulse(*command, "--etf", ETF, "--btc", BTC).out.split())

    assert "77 sessions (Apr 14, 2026 to Aug 3, 2026) have no BTC price: no BTC bar ended" in answer


async def test_posted_alerts_match_the_replay() -> None:
    expected = replay(align_files(read_price_files(ETF, BTC)), [parse_rule("1d 8pp")], first=FIRST, last=LAST)
    script = script_from_files(ETF, BTC, FIRST, LAST)

    async with open_rehearsal(Settings(), script, lambda _change: None) as rehearsal:
        rehearsal.clock.at = script.sessions[0][0]
        await rehearsal.app.commands.add_rule(rehearsal.channel, "1d 8pp", "YOU")
        for (at,) in script.sessions:
            await rehearsal.step(at)
        alerts = await rehearsal.app.store.history(rehearsal.channel, limit=1000)
        roots = [message for message in rehearsal.messages() if message.metadata and not message.thread_ts]

    (rule_replay,) = expected.rules
    opened = [(step.session, step.side) for step in rule_replay.steps if step.change is Change.FIRING]
    ended = [step.session for step in rule_replay.steps if step.change is Change.RESOLVED]
    posted = sorted(alerts, key=lambda alert: alert.opened_at)
    assert len(opened) == 9
    assert opened == [(alert.opened_at.date(), alert.side) for alert in posted]
    assert ended == [alert.closed_at.date() for alert in posted if alert.closed_at]
    assert [message.metadata for message in roots] != []
    assert len(opened) == len(roots)
    assert all("Resolved" in message.text for message in roots[: len(ended)])
