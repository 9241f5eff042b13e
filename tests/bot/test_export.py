"""`minerpulse export` writes tables that other programs read."""

import asyncio
import csv
import io
import json
import sys
from collections.abc import Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bot.exports import ACTS, ALERTS, DELIVERIES, Column
from services.alerting.alert import EntryKind, close
from services.core.reason import Code, Reason
from services.rules.grammar import parse_rule
from services.storage import SqlStore
from tests.bot.conftest import RunCli
from tests.fakes.alerts import AT, CHANNEL, an_alert, an_entry
from tests.services.storage.conftest import post_alert

COLUMNS: dict[str, Sequence[Column[Any]]] = {"alerts": ALERTS, "deliveries": DELIVERIES, "actions": ACTS}
FORMULA = "=HYPERLINK(0)"


@pytest.fixture(autouse=True)
def _filled(clean: Path) -> None:  # noqa: ARG001 -- for its effect
    asyncio.run(fill())


async def fill() -> None:
    async with aclosing(await SqlStore.open("sqlite:///minerpulse.db")) as store:
        await store.add_rules(CHANNEL, [parse_rule("1d 8pp")], "U1", AT)
        ended = close(an_alert(), AT, Reason.of(Code.ENDED_BY_HAND, note="rebalanced"), by="U2")
        resolved = an_entry(kind=EntryKind.RESOLVED, by="U2", reason=FORMULA)
        await post_alert(store, ended, an_entry(), resolved)
        await post_alert(store)
        (first, *_) = await store.due(AT)
        await store.mark_attempting(first, AT)
        await store.mark_sent(first, "1763394000.000100", AT)
        await store.vote(CHANNEL, 1, "U3", AT, noise=True)


def read_csv(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_alerts_have_one_row_each_with_votes_peak_and_sinks(minerpulse: RunCli) -> None:
    result = minerpulse("export", "alerts")
    first, second = read_csv(result.out)

    assert (0, "") == (result.code, result.err)
    assert ("1", "T1", "C1", "WGMI/BTC", "above") == tuple(
        first[name] for name in ("id", "team", "channel", "pair", "side")
    )
    assert ("2026-11-17T15:40:00+00:00", "U2", "0", "1", "slack") == tuple(
        first[name] for name in ("closed_at", "closed_by", "useful_votes", "noise_votes", "sinks")
    )
    assert "rebalanced" in first["end_reason"]
    assert pytest.approx(an_alert().peak.value) == float(first["peak"])
    assert ("", "", "") == tuple(second[name] for name in ("closed_at", "end_reason", "sinks"))


def test_deliveries_have_their_state_and_attempts(minerpulse: RunCli) -> None:
    rows = read_csv(minerpulse("export", "deliveries").out)

    assert [("alert", "delivered", "1"), ("reply", "waiting", "0")] == [
        (row["kind"], row["state"], row["attempts"]) for row in rows[:2]
    ]
    assert "1763394000.000100" == rows[0]["message_id"]
    assert {"slack"} == {row["sink"] for row in rows}


def test_acts_name_who_did_what(minerpulse: RunCli) -> None:
    rows = read_csv(minerpulse("export", "actions").out)

    assert [("U1", "added"), ("U2", "resolved"), ("U3", "voted_noise")] == sorted(
        (row["by"], row["action"]) for row in rows
    )
    assert "1d 8pp" == next(row["after"] for row in rows if row["action"] == "added")


def test_a_text_that_a_spreadsheet_would_run_is_escaped_in_csv_only(minerpulse: RunCli) -> None:
    (in_csv,) = (row["reason"] for row in read_csv(minerpulse("export", "actions").out) if row["action"] == "resolved")
    lines = map(json.loads, minerpulse("export", "actions", "--format", "jsonl").out.splitlines())
    (in_json,) = (row["reason"] for row in lines if row["action"] == "resolved")

    assert (f"'{FORMULA}", FORMULA) == (in_csv, in_json)


@pytest.mark.parametrize("what", COLUMNS)
def test_every_format_has_the_same_rows_and_columns(minerpulse: RunCli, clean: Path, what: str) -> None:
    names = [column.name for column in COLUMNS[what]]
    in_csv = read_csv(minerpulse("export", what).out)
    in_json = [json.loads(line) for line in minerpulse("export", what, "--format", "jsonl").out.splitlines()]
    minerpulse("export", what, "--format", "parquet", "-o", "table.parquet")
    parquet = pd.read_parquet(clean / "table.parquet")

    assert names == list(in_csv[0]) == list(in_json[0]) == list(parquet.columns)
    assert len(in_csv) == len(in_json) == len(parquet) > 1
    times = parquet.select_dtypes("datetimetz")
    assert datetime(2026, 11, 17, 15, 40, tzinfo=UTC) in times.iloc[0].tolist()


def test_only_what_is_newer_than_a_day_is_exported_if_one_is_given(minerpulse: RunCli) -> None:
    for what, columns in COLUMNS.items():
        (header, *rows) = minerpulse("export", what, "--since", "2026-11-18").out.splitlines()
        assert ([column.name for column in columns], []) == (header.split(","), rows)
        assert minerpulse("export", what, "--since", "2026-11-17").out == minerpulse("export", what).out


def test_an_empty_table_is_a_valid_file_in_every_format(minerpulse: RunCli, clean: Path) -> None:
    assert "" == minerpulse("export", "actions", "--since", "2026-11-18", "--format", "jsonl").out
    minerpulse("export", "actions", "--since", "2026-11-18", "--format", "parquet", "-o", "table.parquet")

    assert 0 == len(pd.read_parquet(clean / "table.parquet"))


def test_without_pyarrow_parquet_says_what_to_install(
    minerpulse: RunCli, clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    result = minerpulse("export", "alerts", "--format", "parquet", "-o", "table.parquet")

    assert (1, "") == (result.code, result.out)
    assert "pip install 'minerpulse[parquet]'" in result.err
    assert not (clean / "table.parquet").exists()


def test_without_a_database_nothing_is_written(minerpulse: RunCli, clean: Path) -> None:
    (clean / "minerpulse.db").unlink()
    result = minerpulse("export", "alerts", "-o", "alerts.csv")

    assert (1, "") == (result.code, result.out)
    assert "There is no database" in result.err
    assert not (clean / "alerts.csv").exists()
