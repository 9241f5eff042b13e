"""`minerpulse why` on a database that another process wrote."""

import asyncio
import json
from pathlib import Path

import pytest

from services.alerting.alert import EntryKind, TimelineEntry
from services.alerting.ports import AlertChange
from services.storage import SqlStore
from tests.bot.conftest import RunCli
from tests.fakes.alerts import AT, an_alert


@pytest.fixture(autouse=True)
def _filled(clean: Path) -> None:  # noqa: ARG001 -- for its effect
    asyncio.run(fill_database())


async def fill_database() -> None:
    store = await SqlStore.open("sqlite:///minerpulse.db")
    fired = TimelineEntry(kind=EntryKind.FIRED, at=AT, reason="8.3 pp is past 8 pp", silent=True)
    await store.record([], [AlertChange(alert=an_alert(), revision=0, entries=(fired,))], AT)
    (delivery,) = await store.due(AT)
    await store.mark_attempting(delivery, AT)
    await store.mark_sent(delivery, "1700.1", AT)
    await store.aclose()


@pytest.mark.parametrize("arguments", [["why", "1"], ["why"]])
def test_the_audit_log_is_shown_as_in_slack(minerpulse: RunCli, arguments: list[str]) -> None:
    result = minerpulse(*arguments)

    shown = " ".join(result.out.split())
    assert 0 == result.code
    assert shown.startswith("Audit log of alert #1 Inputs: WGMI ahead of BTC")
    assert "Fired: 8.3 pp is past 8 pp" in shown
    assert "Alert message: posted" in shown


def test_the_document_has_every_attempt(minerpulse: RunCli) -> None:
    result = minerpulse("why", "1", "--json")

    document = json.loads(result.out)
    (posting,) = document["postings"]
    assert 0 == result.code
    assert (1, "fired") == (document["alert"]["id"], document["entries"][0]["kind"])
    assert {"facts", "course", "unseen_since"} <= document["alert"].keys()
    assert {"told", "record", "parted"} <= document["alert"]["facts"][0].keys()
    assert ("calls" in document["entries"][0], "stuck" in posting) == (True, True)
    assert [("sent", None)] == [(one["outcome"], one["problem"]) for one in posting["attempts"]]


def test_an_unknown_alert_is_an_error(minerpulse: RunCli) -> None:
    result = minerpulse("why", "7")
    assert 1 == result.code
    assert "No alert 7 in this database." in result.err


def test_a_database_named_by_a_uri_is_not_created(
    minerpulse: RunCli, clean: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINERPULSE_DATABASE_URL", "sqlite:///file:typed.db?uri=true")
    result = minerpulse("why")
    assert (result.code, [*clean.glob("typed.db*")]) == (1, [])
    assert result.err.startswith("Can't use the database file:typed.db: unable to open database file.")
