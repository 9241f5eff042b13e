"""`minerpulse rules check --online` asks Slack, the price sources and the database."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from cryptography.fernet import Fernet

from services.core.installation import Installation
from services.storage import SqlStore
from tests.bot.conftest import MINERPULSE, CliResult, RunCli
from tests.fakes.clock import SetClock
from tests.fakes.slack import AUTH, BOT_USER, INFO, MEMBERSHIPS, TOKEN, FakeSlack, Fault, error_response, slack_server
from tests.fakes.vendor_servers import VendorServer
from tests.fakes.vendors import HOSTS, Vendors

YAHOO = next(host for host, name in HOSTS.items() if name == "yahoo")
RULES = """\
version: 1
workspace: T1
channels:
- id: C0123DESK
  rules:
  - {key: day, rule: 1d 8pp}
  - {key: miner, rule: 5d 15pp on MARA/BTC}
  settings: {escalate: 30m C0123DUTY}
- id: C0123RISK
  rules:
  - {key: day, rule: 1d 8pp}
"""
FINE = (
    "rules.yaml is valid: 3 rules in 2 channels.\nMinerPulse is in 3 channels of T1; WGMI/BTC, MARA/BTC have prices.\n"
)
UNREACHABLE = {"MINERPULSE_DATABASE_URL": "sqlite:////nowhere/none.db"}


@dataclass(slots=True)
class Desk:
    """A Slack workspace and a vendor of ETF prices on loopback, and settings that use them."""

    slack: FakeSlack
    vendors: Vendors
    folder: Path
    environment: dict[str, str]
    minerpulse: RunCli

    async def check(
        self, text: str = RULES, *options: str, changed: Mapping[str, str | None] | None = None
    ) -> CliResult:
        """Run the command on a file, in a thread while the servers answer; a setting that is None is left out."""
        (self.folder / "rules.yaml").write_text(text, encoding="utf-8")
        given = {**self.environment, **(changed or {})}
        with pytest.MonkeyPatch.context() as patch:
            for name in self.environment.keys() | given.keys():
                patch.delenv(name, raising=False)
            for name, value in given.items():
                if value is not None:
                    patch.setenv(name, value)
            return await asyncio.to_thread(self.minerpulse, "rules", "check", "rules.yaml", *(options or ("--online",)))

    async def check_in_a_process(self) -> CliResult:
        """Run the real process on the file of rules."""
        (self.folder / "rules.yaml").write_text(RULES, encoding="utf-8")
        process = await asyncio.create_subprocess_exec(
            MINERPULSE,
            *("rules", "check", "rules.yaml", "--online"),
            env={"PATH": os.environ["PATH"], "XDG_DATA_HOME": str(self.folder), **self.environment},
            cwd=self.folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        return CliResult(process.returncode or 0, out.decode(), err.decode())


@pytest.fixture
async def desk(clean: Path, minerpulse: RunCli) -> AsyncIterator[Desk]:
    vendors = Vendors(SetClock(datetime.now(UTC)))
    yahoo = VendorServer(YAHOO, vendors)
    await yahoo.open()
    async with aclosing(yahoo), slack_server() as slack:
        slack.joined[BOT_USER] = ["C0123DESK", "C0123RISK", "C0123DUTY"]
        settings = {
            "SLACK_BOT_TOKEN": TOKEN,
            "SLACK_SIGNING_SECRET": "0123456789abcdef0123456789abcdef",
            "MINERPULSE_SLACK_API_URL": f"{slack.url}api/",
            "MINERPULSE_ETF_SOURCES": "yahoo",
            "MINERPULSE_CRYPTO_SOURCES": "simulated",
            "MINERPULSE_SOURCE_URLS": f"yahoo={yahoo.url}",
        }
        yield Desk(slack, vendors, clean, settings, minerpulse)


async def test_a_file_whose_channels_and_symbols_can_be_reached_passes_without_a_database(desk: Desk) -> None:
    result = await desk.check(changed=UNREACHABLE)

    assert (0, FINE, "") == result
    assert [AUTH, MEMBERSHIPS] == [call.method for call in desk.slack.calls]
    assert [desk.folder / "rules.yaml"] == list(desk.folder.iterdir())


async def test_the_process_asks_with_the_settings_of_its_environment(desk: Desk) -> None:
    assert (0, FINE, "") == await desk.check_in_a_process()


async def test_nobody_is_asked_without_the_option(desk: Desk) -> None:
    result = await desk.check(RULES, "--team", "T1")

    assert (0, FINE.splitlines()[0]) == (result.code, result.out.strip())
    assert ([], []) == (desk.slack.calls, desk.vendors.requests)


async def test_each_channel_that_cannot_be_used_is_named_with_its_line(desk: Desk) -> None:
    desk.slack.joined[BOT_USER] = []
    desk.slack.listed = {
        "C0123DUTY": {"name": "duty", "is_member": False},
        "C0123RISK": {"name": "risk", "is_member": False, "is_archived": True},
    }
    result = await desk.check()

    assert (1, "") == (result.code, result.out)
    unknown = "Slack can't find this channel: the ID is wrong, or the channel is private and MinerPulse isn't in it."
    invite = "/invite @MinerPulse there."
    assert [
        f"rules.yaml, line 4 (channels[0].id): {unknown} Check the ID, or type {invite}",
        "rules.yaml, line 9 (channels[1].id): this channel is archived. Unarchive it, or remove it from the file.",
        f"rules.yaml, line 8 (channels[0].settings.escalate): MinerPulse isn't in this channel (#duty). Type {invite}",
    ] == result.err.splitlines()


async def test_a_symbol_that_no_source_has_is_named_with_its_line(desk: Desk) -> None:
    desk.vendors.faults["yahoo"] = [None, *[httpx.Response(404, json={})] * 9]
    result = await desk.check()

    assert (1, "") == (result.code, result.out)
    (problem,) = result.err.splitlines()
    assert problem.startswith("rules.yaml, line 7 (channels[0].rules[1].rule): ")
    assert "Yahoo (MARA): doesn't know the symbol" in problem


async def test_the_token_of_another_workspace_is_named(desk: Desk) -> None:
    result = await desk.check(RULES.replace("T1", "T2"))

    assert 1 == result.code
    assert "rules.yaml, line 2 (workspace): the app's token is for the workspace T1, not T2.\n" == result.err


@pytest.mark.parametrize(
    ("method", "fault", "expected"),
    [
        pytest.param(AUTH, error_response("invalid_auth"), "Slack doesn't accept the app's token", id="token"),
        pytest.param(
            MEMBERSHIPS, error_response("missing_scope"), "Add the scopes channels:read and groups:read", id="scope"
        ),
        pytest.param(
            MEMBERSHIPS,
            Fault(status=429, headers={"Retry-After": "30"}),
            "Slack is rate-limiting MinerPulse.",
            id="rate-limit",
        ),
        pytest.param(INFO, Fault(status=503, body="down"), "Slack didn't respond, so the channels", id="down"),
    ],
)
async def test_a_slack_that_does_not_answer_is_a_failure(desk: Desk, method: str, fault: Fault, expected: str) -> None:
    desk.slack.joined[BOT_USER] = []
    desk.slack.fail(method, fault)
    result = await desk.check()

    assert (1, "") == (result.code, result.out)
    assert expected in result.err
    assert TOKEN not in result.err


async def test_each_workspace_of_many_is_asked_with_its_own_token(desk: Desk) -> None:
    key = Fernet.generate_key().decode()
    database = f"sqlite:///{desk.folder}/desk.db"
    many = {
        "SLACK_BOT_TOKEN": None,
        "SLACK_CLIENT_ID": "11.22",
        "SLACK_CLIENT_SECRET": "client-hush",
        "MINERPULSE_TOKEN_KEYS": key,
        "MINERPULSE_DATABASE_URL": database,
    }
    installed = Installation(
        home="T1",
        enterprise=None,
        name="Acme",
        bot_token="xoxb-acme",
        bot_user=BOT_USER,
        scopes=("commands",),
        installed_by="U1",
        installed_at=datetime.now(UTC),
    )
    async with aclosing(await SqlStore.open(database, create=True)) as store:
        await store.installations([key]).save(installed)
    reached = await desk.check(changed=many)
    elsewhere = await desk.check(RULES.replace("T1", "T2"), changed=many)
    nameless = await desk.check(RULES.replace("workspace: T1\n", ""), changed=many)

    assert (0, FINE, "") == reached
    assert {"xoxb-acme"} == {call.token for call in desk.slack.calls}
    assert (1, "MinerPulse is no longer installed in this workspace: reinstall it.\n") == elsewhere[::2]
    assert (1, "This app serves many workspaces. Name one with --team, or as `workspace` in the file.\n") == nameless[
        ::2
    ]


async def test_without_tokens_it_says_that_slack_was_not_asked(desk: Desk) -> None:
    result = await desk.check(changed={"SLACK_BOT_TOKEN": None, "SLACK_SIGNING_SECRET": None})

    assert (1, "") == (result.code, result.out)
    assert "Slack can't be asked about the channels: no tokens are set." in result.err
