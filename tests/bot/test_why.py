"""`minerpulse why` on a database that another process filled."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from bot.cli import outcome
from services.alerting.alert import Entry, EntryKind
from services.alerting.records import AlertChange
from services.storage import SqlStore
from tests.fakes.alerts import AT, an_alert


@pytest.fixture(autouse=True)
def filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path}/why.db"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINERPULSE_DATABASE_URL", url)
    asyncio.run(fill(url))


async def fill(url: str) -> None:
    store = await SqlStore.open(url)
    fired = Entry(kind=EntryKind.FIRED, at=AT, reason="8.3 pp is past 8 pp", silent=True)
    await store.record([], [AlertChange(alert=an_alert(), revision=0, entries=(fired,))], AT)
    (delivery,) = await store.due(AT)
    await store.mark_attempting(delivery, AT)
    await store.mark_sent(delivery, "1700.1", AT)
    await store.aclose()


@pytest.mark.parametrize("arguments", [["why", "1"], ["why"]])
def test_the_receipt_is_shown_as_slack_shows_it(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code = outcome(arguments)

    shown = " ".join(capsys.readouterr().out.split())
    assert 0 == code
    assert "Why alert 1: WGMI" in shown
    assert "fired: 8.3 pp is past 8 pp" in shown
    assert "The alert's message: stands in Slack" in shown


def test_as_json_it_has_every_attempt(capsys: pytest.CaptureFixture[str]) -> None:
    code = outcome(["why", "1", "--json"])

    document = json.loads(capsys.readouterr().out)
    (posting,) = document["postings"]
    assert 0 == code
    assert (1, "fired") == (document["alert"]["id"], document["entries"][0]["kind"])
    assert [("sent", None)] == [(one["outcome"], one["problem"]) for one in posting["attempts"]]


def test_an_alert_that_is_not_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert 1 == outcome(["why", "7"])
    assert "No alert 7 in this database." in capsys.readouterr().err
