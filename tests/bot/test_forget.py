"""`minerpulse forget` erases a person's data from the database."""

import asyncio
from pathlib import Path

import pytest

from services.rules.grammar import parse_rule
from services.storage import SqlStore
from tests.bot.conftest import RunCli
from tests.fakes.alerts import AT, CHANNEL


@pytest.fixture(autouse=True)
def _filled(clean: Path) -> None:  # noqa: ARG001 -- for its effect
    asyncio.run(fill_database())


async def fill_database() -> None:
    store = await SqlStore.open("sqlite:///minerpulse.db")
    await store.add_rules(CHANNEL, [parse_rule("1d 8pp")], "U0ANN", AT)
    await store.aclose()


def test_a_person_is_erased_and_what_is_not_erased_is_named(minerpulse: RunCli) -> None:
    first, second = minerpulse("forget", "U0ANN"), minerpulse("forget", "U0ANN")

    assert (0, 0) == (first.code, second.code)
    assert "Deleted the data of U0ANN from the database (rows: rule audit 1, rules 1)." in " ".join(first.out.split())
    assert "Messages in Slack, logs and backups may still contain the person's name or ID." in first.out
    assert "The database has no data about U0ANN." in second.out


@pytest.mark.parametrize("typed", ["@ann", "u0ann", "C0CHANNEL", "%"])
def test_what_is_no_member_id_is_refused(minerpulse: RunCli, typed: str) -> None:
    result = minerpulse("forget", typed)

    assert 2 == result.code
    assert "isn't a member ID. Copy it from the person's Slack profile" in " ".join(result.err.split())
