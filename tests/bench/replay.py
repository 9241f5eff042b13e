"""Replay of four years of sessions, in this process and as a command."""

import csv
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import pandas as pd

from services.market.align import Aligned
from services.rules.grammar import parse_rule
from services.rules.replay import replay
from tests.bench.measurement import Measurement, median_ms
from tests.fakes.market import random_market

SESSIONS = 4 * 252
RUNS = 5


async def bench() -> list[Measurement]:
    """Measure one rule over four years, compared with pct_change in pandas and a loop over the spread."""
    market, rules = random_market(SESSIONS), [parse_rule("1d 8pp")]
    return [
        Measurement(
            name="replay, 4 years of sessions, one rule",
            measured=median_ms(lambda: replay(market, rules), 30),
            baseline=median_ms(lambda: _pandas_loop(market), 30),
            baseline_name="pandas and a bare loop",
            unit="ms",
            budget=20,
        )
    ]


async def bench_process() -> list[Measurement]:
    """Measure a cold `minerpulse replay` on four years of hourly bitcoin, compared with importing pandas."""
    with tempfile.TemporaryDirectory() as folder:
        etf, btc = _write_files(Path(folder))
        command: list[str | Path] = [
            Path(sys.executable).parent / "minerpulse",
            "replay",
            "--etf",
            etf,
            "--btc",
            btc,
            "--rule",
            "1d 8pp",
        ]
        ours, baseline = _paired_processes(command, [sys.executable, "-c", "import pandas"])
    return [
        Measurement(
            name="minerpulse replay, whole process",
            measured=ours,
            baseline=baseline,
            baseline_name="python -c 'import pandas'",
            unit="s",
            budget=2.5,
        )
    ]


def _pandas_loop(market: Aligned) -> int:
    spread = pd.Series(market.etf).pct_change() - pd.Series(market.crypto).pct_change()
    fired, episodes = False, 0
    for value in spread:
        if not fired and abs(value) >= 0.08:
            fired, episodes = True, episodes + 1
        elif fired and abs(value) < 0.048:
            fired = False
    return episodes


def _write_files(folder: Path) -> tuple[Path, Path]:
    market = random_market(SESSIONS)
    etf, btc = folder / "etf.csv", folder / "btc.csv"
    with etf.open("w") as file:
        rows = csv.writer(file)
        rows.writerow(["Date", "Close"])
        rows.writerows(zip(market.sessions.astype(str), market.etf, strict=True))
    hour = datetime(2022, 2, 1, tzinfo=UTC)
    with btc.open("w") as file:
        rows = csv.writer(file)
        rows.writerow(["date", "open", "high", "low", "close", "volume"])
        for step in range(SESSIONS * 24 * 7 // 5):
            price = 40_000 + step % 977
            rows.writerow([f"{hour:%Y-%m-%d %H:%M:%S}", price, price, price, price, 1])
            hour += timedelta(hours=1)
    return etf, btc


def _paired_processes(ours: list[str | Path], baseline: list[str | Path]) -> tuple[float, float]:
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(RUNS + 1):
        for command, recorded in ((ours, times[0]), (baseline, times[1])):
            start = time.perf_counter()
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)  # noqa: S603 -- our own program
            recorded.append(time.perf_counter() - start)
    return median(times[0][1:]), median(times[1][1:])
