"""`minerpulse why` on a database that another process wrote."""

import asyncio
import json
from pathlib import Path

import pytest

from bot.cli import run_cli
from services.alerting.alert import EntryKind, TimelineEntry
from services.alerting.records import AlertChange
from services.storage import SqlStore
from tests.fakes.alerts import AT, an_alert


@pytest.fixture(autouse=True)
def filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"sqlite:///{tmp_path}/why.db"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINERPULSE_DATABASE_URL", url)
    asyncio.run(fill_database(url))


async def fill_database(url: str) -> None:
    store = await SqlStore.open(url)
    fired = TimelineEntry(kind=EntryKind.FIRED, at=AT, reason="8.3 pp is past 8 pp", silent=True)
    await store.record([], [AlertChange(alert=an_alert(), revision=0, entries=(fired,))], AT)
    (delivery,) = await store.due(AT)
    await store.mark_attempting(delivery, AT)
    await store.mark_sent(delivery, "1700.1", AT)
    await store.aclose()


@pytest.mark.parametrize("arguments", [["why", "1"], ["why"]])
def test_the_audit_log_is_shown_as_in_slack(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code = run_cli(arguments)

    shown = " ".join(capsys.readouterr().out.split())
    assert 0 == code
    assert "Why alert 1: WGMI" in shown
    assert "fired: 8.3 pp is past 8 pp" in shown
    assert "The alert's message: stands in Slack" in shown


def test_the_document_has_every_attempt(capsys: pytest.CaptureFixture[str]) -> None:
    code = run_cli(["why", "1", "--json"])

    document = json.loads(capsys.readouterr().out)
    (posting,) = document["postings"]
    assert 0 == code
    assert (1, "fired") == (document["alert"]["id"], document["entries"][0]["kind"])
    assert {"facts", "course", "unseen_since"} <= document["alert"].keys()
    assert {"told", "record", "parted"} <= document["alert"]["facts"][0].keys()
    assert ("calls" in document["entries"][0], "stuck" in posting) == (True, True)
    assert [("sent", None)] == [(one["outcome"], one["problem"]) for one in posting["attempts"]]


def test_an_unknown_alert_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert 1 == run_cli(["why", "7"])
    assert "No alert 7 in this database." in capsys.readouterr().err
