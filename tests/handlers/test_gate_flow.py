"""Limits: commands per person and channel, one study per person, rules per channel and workspace."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from dataclasses import replace
from datetime import timedelta

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from handlers import listeners
from handlers.commands import COMMANDS
from handlers.gate import STUDY_RUNNING, Gate
from handlers.request import Request
from services.alerting.ports import RuleCaps
from services.channels.permissions import Act
from services.core.errors import RuleLimitError, TooManyRequestsError
from tests.fakes.harness import CHANNEL, Harness
from tests.fakes.slack import TOKEN, FakeSlack, Person, bolt_app
from tests.handlers.conftest import reply_to
from tests.handlers.test_mention_flow import APP, answer_to

TOO_FAST = "You can send 3 commands a minute in a channel. Nothing was done; try again in 20 s."


@pytest.fixture
async def limited(slack: FakeSlack, harness: Harness) -> AsyncIterator[Person]:
    """A person who may send three commands a minute."""
    async with aiohttp.ClientSession() as session:
        client = AsyncWebClient(token=TOKEN, base_url=f"{slack.url}api/", session=session)
        app = bolt_app(client)
        gate = Gate(commands_per_minute=3)
        tasks = listeners.register(app, harness.commands, harness.research, harness.clock, gate=gate)
        yield Person(server=slack, app=app, tasks=tasks)


async def test_a_person_who_sends_too_many_commands_is_asked_to_wait(
    limited: Person, slack: FakeSlack, harness: Harness
) -> None:
    answers = [await reply_to(limited, "rule add 5d 15pp") for _ in range(4)]
    await limited.presses("start", "board")

    assert [False, False, False, True] == [TOO_FAST in answer for answer in answers]
    assert TOO_FAST == slack.responses[-1]["text"]
    assert 1 == len(await harness.commands.rules(CHANNEL))


async def test_mentions_count_as_commands(limited: Person) -> None:
    answers = [await answer_to(limited, f"{APP} {text}") for text in ("rules", "help", "rules", "rules")]

    assert [False, False, False, True] == [TOO_FAST in answer for answer in answers]
    assert TOO_FAST in await reply_to(limited, "rules")


async def test_the_limit_is_per_person_and_channel_and_recovers_with_time(limited: Person, harness: Harness) -> None:
    for _ in range(3):
        await limited.types("rules")

    assert TOO_FAST not in await reply_to(replace(limited, user="U2"), "rules")
    assert TOO_FAST not in await reply_to(replace(limited, channel="C2"), "rules")
    harness.clock.at += timedelta(seconds=19)
    assert "try again in 1 s" in await reply_to(limited, "rules")
    harness.clock.at += timedelta(seconds=1)
    assert TOO_FAST not in await reply_to(limited, "rules")
    assert TOO_FAST in await reply_to(limited, "rules")
    harness.clock.at -= timedelta(hours=1)  # the clock is set back
    assert TOO_FAST in await reply_to(limited, "rules")
    harness.clock.at += timedelta(hours=2)
    assert [False] * 3 + [True] == [TOO_FAST in await reply_to(limited, "rules") for _ in range(4)]


async def test_help_and_typos_cost_nothing(limited: Person) -> None:
    for typed in ["help", "rulse"] * 5:
        assert "commands a minute" not in str((await limited.types(typed)).body)
    assert TOO_FAST not in await reply_to(limited, "rules")


async def test_a_person_runs_one_study_at_a_time(harness: Harness, client: AsyncWebClient) -> None:
    gate, release, started = Gate(), asyncio.Event(), asyncio.Event()

    async def study() -> str:
        started.set()
        await release.wait()
        return "done"

    def run(user: str, *, is_study: bool = True) -> Coroutine[None, None, str]:
        request = Request(
            channel=CHANNEL,
            user_id=user,
            value="",
            commands=harness.commands,
            research=harness.research,
            clock=harness.clock,
            client=client,
        )
        return gate.run(request, Act.READ, study, is_study=is_study)

    first = asyncio.create_task(run("U1"))
    await started.wait()
    with pytest.raises(TooManyRequestsError, match=STUDY_RUNNING):
        await run("U1")
    others = [asyncio.create_task(run("U2")), asyncio.create_task(run("U1", is_study=False))]
    release.set()

    assert ["done"] * 3 == await asyncio.gather(first, *others)
    assert "done" == await run("U1")


async def test_a_study_that_fails_is_over(person: Person) -> None:
    for _ in range(2):
        assert "still running" not in await reply_to(person, "backtest 1d 8pp on ZZZZ/BTC")


def test_the_commands_that_measure_years_of_history_are_studies() -> None:
    assert ["explain", "backtest", "tune", "drawdown", "miners"] == [row.name for row in COMMANDS if row.is_study]


async def test_a_channel_has_a_limit_of_rules(person: Person, harness: Harness) -> None:
    harness.commands.caps = RuleCaps(channel=2)
    for rule in ("1d 8pp", "5d 15pp"):
        await person.types(f"rule add {rule}")
    full = "Nothing was added: the channel limit is 2 rules. Remove one that you don't need: `/minerpulse rules`"

    assert full in await reply_to(person, "rule add 20d 30pp")
    assert "Not added: rule 2 is already" in await reply_to(person, "rule add 5d 15pp")
    assert 2 == len(await harness.commands.rules(CHANNEL))
    await person.types("rule remove 1")
    assert full not in await reply_to(person, "rule add 20d 30pp")


async def test_the_default_rules_count_and_are_added_together_or_not_at_all(person: Person, harness: Harness) -> None:
    harness.commands.caps = RuleCaps(channel=2)

    await person.presses("begin", "channel")

    assert "the channel limit is 2 rules" in person.server.responses[-1]["text"]
    assert [] == await harness.commands.rules(CHANNEL)


async def test_a_workspace_has_a_limit_of_rules(person: Person, harness: Harness) -> None:
    harness.commands.caps = RuleCaps(workspace=2)
    for channel in ("C1", "C2"):
        await replace(person, channel=channel).types("rule add 1d 8pp")

    refused = await reply_to(replace(person, channel="C3"), "rule add 1d 8pp")
    assert (
        "Nothing was added: the workspace limit is 2 rules. Remove some in any channel, or ask your MinerPulse "
        "administrator for more."
    ) in refused
    elsewhere = replace(person, team="T2", own_team="T2")
    assert "Nothing was added" not in await reply_to(elsewhere, "rule add 1d 8pp")


async def test_rules_that_are_added_at_the_same_time_stay_within_the_limit(harness: Harness) -> None:
    harness.commands.caps = RuleCaps(channel=3)
    rules = [f"1d {number}pp" for number in range(5, 15)]

    added = await asyncio.gather(
        *(harness.commands.add_rule(CHANNEL, rule, "U1") for rule in rules), return_exceptions=True
    )

    assert 7 == sum(isinstance(one, RuleLimitError) for one in added)
    assert 3 == len(await harness.commands.rules(CHANNEL))
