"""A token pair that Slack has issued survives a locked database and the end of the process, in an encrypted file."""

import asyncio
import signal
import sqlite3
import stat
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from services.core.installation import Installation
from services.storage import generate_key
from services.storage.engine import Database
from tests.bot.oauth.conftest import OAuthHarness, open_oauth_harness
from tests.fakes.slack import OAUTH, Fault, slack_server

EXPIRING = {"access_token": "xoxe.xoxb-1", "refresh_token": "xoxe-1", "expires_in": 43_200}
ELEVEN_HOURS = timedelta(hours=11)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "app.db"


def url_of(database: Path) -> str:
    return f"sqlite:///{database}?timeout=0.01"


@contextmanager
def locked(database: Path) -> Iterator[sqlite3.Connection]:
    """Hold the write lock from another connection until it rolls back."""
    with closing(sqlite3.connect(database, isolation_level=None, check_same_thread=False)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection


def spooled(database: Path) -> list[Path]:
    return sorted(database.parent.glob("app.db-token-*"))


async def renew_until_stopped(harness: OAuthHarness, database: Path) -> None:
    """Let Slack issue a pair while the database is locked, and cancel the renewal, as a stop does in the end."""
    pausing = asyncio.Event()

    async def pause(_seconds: float) -> None:
        pausing.set()
        await asyncio.Event().wait()

    harness.clock.advance(ELEVEN_HOURS)
    harness.slack.refresh_tokens = {"xoxe-1": "xoxe.xoxb-2"}
    answer, calls = asyncio.Event(), len(harness.slack.calls)
    harness.slack.fail(OAUTH, Fault(until=answer))
    harness.oauth.rotation.sleep = pause
    renewing = asyncio.create_task(harness.oauth.rotation.run())
    await harness.slack.received(calls + 1)
    with locked(database):
        answer.set()
        await asyncio.wait_for(pausing.wait(), 30)
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)


async def test_a_pair_is_saved_after_40_s_of_a_database_locked_by_another_connection(
    database: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_oauth_harness(url_of(database)) as harness:
        await harness.install(**EXPIRING)
        harness.clock.advance(ELEVEN_HOURS)
        harness.slack.refresh_tokens = {"xoxe-1": "xoxe.xoxb-2"}
        answer, calls, pauses = asyncio.Event(), len(harness.slack.calls), list[float]()
        harness.slack.fail(OAUTH, Fault(until=answer))

        with locked(database) as lock:
            lock.rollback()

            async def pause(seconds: float) -> None:
                pauses.append(seconds)
                harness.clock.advance(timedelta(seconds=seconds))
                if sum(pauses) >= 40 and lock.in_transaction:
                    lock.rollback()

            harness.oauth.rotation.sleep = pause
            renewing = asyncio.create_task(harness.oauth.rotation.run())
            await harness.slack.received(calls + 1)
            lock.execute("BEGIN IMMEDIATE")
            answer.set()
            await asyncio.wait_for(renewing, 30)

        assert "xoxe.xoxb-2" == (await harness.oauth.clients.of("T1")).token
        assert 40 <= sum(pauses) < 60
        assert [] == spooled(database)
        assert 1 == caplog.text.count("the new token of T1 is not saved yet; retrying until it is")


async def test_a_pair_that_was_not_saved_before_the_stop_is_saved_at_the_next_start(
    database: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key = generate_key()
    async with open_oauth_harness(url_of(database), token_key=key) as harness:
        await harness.install(**EXPIRING)
        await renew_until_stopped(harness, database)
    (path,) = spooled(database)
    content, mode = path.read_text(), stat.S_IMODE(path.stat().st_mode)
    async with open_oauth_harness(url_of(database), token_key=key) as harness:
        harness.clock.advance(ELEVEN_HOURS)
        await harness.oauth.rotation.run()
        token = (await harness.oauth.clients.of("T1")).token

    assert ("xoxe.xoxb-2", [], 0o600) == (token, spooled(database), mode)
    assert "xox" not in content
    assert "xox" not in caplog.text
    assert f"the new token of T1 is in {path}, encrypted, and will be saved at the next start" in caplog.text
    assert [] == harness.slack.calls_of(OAUTH)


async def test_a_killed_process_loses_no_pair(database: Path) -> None:
    key = generate_key()
    async with slack_server() as slack:
        async with open_oauth_harness(url_of(database), token_key=key) as harness:
            now = datetime.now(UTC)
            await harness.oauth.store.save(an_installation(now, expires_at=now + timedelta(hours=1)))
        slack.refresh_tokens = {"xoxe-1": "xoxe.xoxb-2"}
        answer = asyncio.Event()
        slack.fail(OAUTH, Fault(until=answer))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.bot.oauth.renew_once", slack.url, url_of(database), key),
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stderr is not None
        async with asyncio.timeout(60):
            waiting = {asyncio.ensure_future(slack.received(1)), asyncio.ensure_future(process.wait())}
            _, unfinished = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            assert process.returncode is None, await process.stderr.read()
            for task in unfinished:
                task.cancel()
            with locked(database):
                answer.set()
                while b"is not saved yet" not in (line := await process.stderr.readline()):
                    assert line
                process.send_signal(signal.SIGKILL)
                await process.wait()
    assert ["app.db-token-T1"] == [path.name for path in spooled(database)]

    async with open_oauth_harness(url_of(database), token_key=key) as harness:
        await harness.oauth.rotation.run()
        assert "xoxe.xoxb-2" == (await harness.oauth.clients.of("T1")).token
    assert [] == spooled(database)


async def test_a_pair_of_an_installation_that_was_replaced_meanwhile_is_deleted(database: Path) -> None:
    key = generate_key()
    async with open_oauth_harness(url_of(database), token_key=key) as harness:
        await harness.install(**EXPIRING)
        await renew_until_stopped(harness, database)
        await harness.install(access_token="xoxb-again")
        await harness.oauth.rotation.run()

        assert "xoxb-again" == (await harness.oauth.clients.of("T1")).token
    assert [] == spooled(database)


async def test_a_file_that_no_key_opens_is_logged_once_and_stays(
    database: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_oauth_harness(url_of(database)) as harness:
        await harness.install(**EXPIRING)
        await renew_until_stopped(harness, database)
    (path,) = spooled(database)
    async with open_oauth_harness(url_of(database)) as harness:  # with another key
        for _ in range(3):
            await harness.oauth.rotation.run()

    assert [path] == spooled(database)
    assert 1 == caplog.text.count(f"the token in {path} cannot be saved")
    assert "MINERPULSE_TOKEN_KEYS" in caplog.text


async def test_while_a_pair_waits_its_used_refresh_token_is_not_sent_again(database: Path) -> None:
    async with open_oauth_harness(url_of(database)) as harness:
        await harness.install(**EXPIRING)
        await renew_until_stopped(harness, database)
        calls = len(harness.slack.calls_of(OAUTH))
        harness.clock.advance(timedelta(minutes=6))  # the lease of the renewal has ended
        with locked(database):
            await harness.oauth.rotation.run()
        await harness.oauth.rotation.run()

        assert calls == len(harness.slack.calls_of(OAUTH))
        assert "xoxe.xoxb-2" == (await harness.oauth.clients.of("T1")).token


async def test_rotating_the_keys_encrypts_a_waiting_pair_anew(database: Path) -> None:
    old, new = generate_key(), generate_key()
    async with open_oauth_harness(url_of(database), token_key=old) as harness:
        await harness.install(**EXPIRING)
        await renew_until_stopped(harness, database)
        await harness.app.store.installations([new, old]).reencrypt_tokens()
    async with open_oauth_harness(url_of(database), token_key=new) as harness:
        await harness.oauth.rotation.run()

        assert "xoxe.xoxb-2" == (await harness.oauth.clients.of("T1")).token


async def test_a_folder_that_cannot_be_written_to_is_named_while_the_database_is_locked(
    database: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    async with open_oauth_harness(url_of(database)) as harness:
        await harness.install(**EXPIRING)
        with monkeypatch.context() as patch:
            patch.setattr("services.storage.token_spool.TokenSpool.write", refuse)
            await renew_until_stopped(harness, database)

    assert f"the new token of T1 cannot be stored in {database}-token-T1 (Permission denied)" in caplog.text
    assert "the new token of T1 is lost: it could not be saved. Reinstall the app there." in caplog.text


async def test_a_database_in_memory_has_no_files(
    harness: OAuthHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    await harness.install(**EXPIRING)
    harness.clock.advance(ELEVEN_HOURS)
    harness.slack.refresh_tokens = {"xoxe-1": "xoxe.xoxb-2"}
    await harness.oauth.rotation.run()

    assert "xoxe.xoxb-2" == (await harness.oauth.clients.of("T1")).token
    assert not spooled(tmp_path / "app.db")
    assert None is harness.oauth.store.unsaved_renewal("T1")


def test_beside_postgresql_the_files_are_in_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    prefixes = [Database(f"postgresql://desk:secret@db/{name}").spool_prefix for name in ("one", "one", "two")]

    assert {tmp_path} == {prefix and prefix.parent for prefix in prefixes}
    assert prefixes[0] == prefixes[1] != prefixes[2]
    assert "secret" not in str(prefixes)


def an_installation(at: datetime, *, expires_at: datetime) -> Installation:
    return Installation(
        home="T1",
        enterprise=None,
        name="Acme",
        bot_token="xoxe.xoxb-1",
        bot_user="UBOT",
        scopes=("commands", "chat:write"),
        installed_by="U1",
        installed_at=at,
        refresh_token="xoxe-1",
        expires_at=expires_at,
    )
