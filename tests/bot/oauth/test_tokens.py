"""What is known of workspaces in memory: for a minute, bounded, and never made up."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from bot.oauth.tokens import Tokens
from bot.scopes import GrantsOfTeams
from services.core.errors import DeliveryError
from services.core.installation import Installation
from tests.bot.oauth.conftest import Office
from tests.fakes.alerts import AT
from tests.fakes.clock import SetClock


class Counted:
    """Installations in the workspaces whose names begin with T, counting how often they are asked for."""

    def __init__(self) -> None:
        self.asked: list[str | None] = []
        self.reached, self.go = asyncio.Event(), asyncio.Event()
        self.go.set()
        self.scopes: tuple[str, ...] = ()

    async def find(self, team: str | None, _enterprise: str | None = None) -> Installation | None:
        self.asked.append(team)
        self.reached.set()
        await self.go.wait()
        if team is None or not team.startswith("T"):
            return None
        return Installation(
            home=team,
            enterprise=None,
            name=team,
            bot_token=f"xoxb-{team}",
            bot_user="UBOT",
            scopes=self.scopes,
            installed_by="U1",
            installed_at=AT,
        )


@pytest.fixture
def counted() -> Counted:
    return Counted()


@pytest.fixture
def tokens(counted: Counted) -> Tokens:
    return Tokens(store=counted, clock=SetClock(AT), most=2)  # type: ignore[arg-type]  # the part that is used


async def test_a_workspace_is_asked_for_once_a_minute(counted: Counted, tokens: Tokens) -> None:
    clock = SetClock(AT)
    tokens.clock = clock
    for seconds in (0, 59, 1):
        clock.advance(timedelta(seconds=seconds))
        await tokens.of("T1")

    assert ["T1", "T1"] == counted.asked


async def test_memory_is_bounded_and_what_was_not_used_for_longest_goes(counted: Counted, tokens: Tokens) -> None:
    for team in ("T1", "T2", "T1", "T3", "T1", "T2"):
        await tokens.of(team)

    assert (2, ["T1", "T2", "T3", "T2"]) == (len(tokens), counted.asked)


async def test_made_up_workspaces_push_nobody_out(counted: Counted, tokens: Tokens) -> None:
    await tokens.of("T1")
    for number in range(5):
        await tokens.of(f"X{number}")
    await tokens.of("T1")

    assert (1, 1) == (len(tokens), counted.asked.count("T1"))


async def test_what_has_changed_is_asked_for_anew(counted: Counted, tokens: Tokens) -> None:
    for _ in range(2):
        await tokens.of("T1")
        tokens.forget("T1")

    assert ["T1", "T1"] == counted.asked


async def test_first_requests_that_come_at_once_share_one_look(counted: Counted, tokens: Tokens) -> None:
    found = await asyncio.gather(*(tokens.of("T1") for _ in range(5)))

    assert (["T1"], {"xoxb-T1"}) == (counted.asked, {one.bot_token for one in found if one})


async def test_a_look_that_a_change_has_overtaken_is_not_kept(counted: Counted, tokens: Tokens) -> None:
    counted.go.clear()
    looking = asyncio.create_task(tokens.of("T1"))
    await counted.reached.wait()
    tokens.forget("T1")
    counted.go.set()
    await looking
    await tokens.of("T1")

    assert ["T1", "T1"] == counted.asked


async def test_a_workspace_without_the_app_has_no_client(office: Office) -> None:
    with pytest.raises(DeliveryError, match="not installed in this workspace any more: install it again") as raised:
        await office.installing.clients.of("T1")

    assert raised.value.surely_not_posted


async def test_a_workspace_grants_what_it_installed_the_app_with_and_a_stranger_nothing(
    counted: Counted, tokens: Tokens
) -> None:
    counted.scopes = ("commands", "files:write")
    grants = GrantsOfTeams(tokens)
    assert (("commands", "files:write"), ()) == (await grants.scopes("T1"), await grants.scopes("X1"))
