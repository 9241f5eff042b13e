"""The playground fetches the Slack emulator once, starts and stops it, and reports failures."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.playground.emulator import VERSION, Credentials, fetch_emulator, find_package, run_emulator, workspace_config
from services.core.errors import PlaygroundError

NPM = f"""#!{sys.executable}
import json, pathlib, sys
print("npm was asked", file=open({{log!r}}, "a"))
assert sys.argv[1] == "ci", "installs what the lock file names"
folder = pathlib.Path(sys.argv[sys.argv.index("--prefix") + 1])
packages = json.loads((folder / "package-lock.json").read_text())["packages"]
(path, locked), = [item for item in packages.items() if item[0]]
if locked["integrity"] != {{integrity!r}}:
    sys.exit("npm error code EINTEGRITY")
name = path.removeprefix("node_modules/")
program = folder / "node_modules" / name / "bin" / "local-slack"
program.parent.mkdir(parents=True)
program.write_text("")
"""
INTEGRITY = find_package("Linux", "x86_64").integrity
FAILING_NPM = f"#!{sys.executable}\nimport sys\nsys.exit('npm error 404 Not Found')\n"
EXITING_EMULATOR = f"#!{sys.executable}\n"
EMULATOR = f"""#!{sys.executable}
import http.server, sys
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *_):
        pass
port = int(sys.argv[sys.argv.index("--port") + 1])
http.server.HTTPServer(("127.0.0.1", port), Answer).serve_forever()
"""
REHEARSAL = """
import asyncio, pathlib
from bot.playground.emulator import run_emulator
async def main():
    async with run_emulator(pathlib.Path({emulator!r})):
        print("started", flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


def script(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Installs a fake npm on the path; returns the log file that it writes."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    log = tmp_path / "npm.log"

    def install(text: str, integrity: str = INTEGRITY) -> Path:
        script(tmp_path / "bin" / "npm", text.format(log=str(log), integrity=integrity))
        return log

    return install


@pytest.fixture
def linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("platform.machine", lambda: "x86_64")


@pytest.mark.parametrize("processor", ["x86_64", "AMD64"])
def test_a_machine_has_its_own_package_with_a_hash(processor: str) -> None:
    package = find_package("Linux", processor)

    assert ("local-slack-linux-x64", True) == (package.name, package.integrity.startswith("sha512-"))


@pytest.mark.parametrize(("system", "processor"), [("Plan9", "mips"), ("Darwin", "arm64"), ("Linux", "aarch64")])
def test_a_machine_without_a_verified_package_gets_a_hint_about_the_terminal(system: str, processor: str) -> None:
    with pytest.raises(PlaygroundError, match=r"no verified Slack emulator for .*`minerpulse rehearse --no-web` plays"):
        find_package(system, processor)


@pytest.mark.usefixtures("linux")
async def test_a_package_with_another_hash_is_refused(tmp_path: Path, npm: Callable[..., Path]) -> None:
    npm(NPM, "sha512-another")

    with pytest.raises(PlaygroundError, match=r"differs from the package that was checked, so it was deleted"):
        await fetch_emulator(tmp_path / "cache", list[str]().append)
    assert list((tmp_path / "cache").iterdir()) == []


async def test_the_emulator_is_fetched_once_and_cached(tmp_path: Path, npm: Callable[..., Path]) -> None:
    log, messages = npm(NPM), list[str]()
    first = await fetch_emulator(tmp_path / "cache", messages.append)
    second = await fetch_emulator(tmp_path / "cache", messages.append)
    assert first == second
    assert first.exists()
    assert log.read_text() == "npm was asked\n"
    assert [line.partition(f"@{VERSION}")[2] for line in messages] == [" through npm, once (about 95 MB)…"]


async def test_an_npm_error_is_reported_and_leaves_no_partial_install(tmp_path: Path, npm: Callable[..., Path]) -> None:
    npm(FAILING_NPM)
    with pytest.raises(PlaygroundError, match=r"npm error 404 Not Found.*; `minerpulse rehearse --no-web`"):
        await fetch_emulator(tmp_path / "cache", list[str]().append)
    assert list((tmp_path / "cache").iterdir()) == []


async def test_without_npm_the_error_suggests_the_terminal(tmp_path: Path, npm: Callable[..., Path]) -> None:  # noqa: ARG001 -- an empty path
    with pytest.raises(PlaygroundError, match=r"needs Node\.js with npm.*`minerpulse rehearse --no-web`"):
        await fetch_emulator(tmp_path / "cache", list[str]().append)


async def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path, npm: Callable[[str], Path]) -> None:
    npm("")
    occupied = tmp_path / "home"
    occupied.write_text("")
    with pytest.raises(PlaygroundError, match=r"Cannot write to .*home/cache .*Set HOME to a folder"):
        await fetch_emulator(occupied / "cache", print)


async def test_the_emulator_runs_until_the_end_of_the_block(tmp_path: Path) -> None:
    emulator = script(tmp_path / "local-slack", EMULATOR)
    async with run_emulator(emulator) as running:
        assert running.api_url == f"{running.origin}/api/"
    async with run_emulator(emulator, port=int(running.origin.rpartition(":")[2])) as again:  # the port is free again
        assert again.origin == running.origin


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux stops a child with its parent")
async def test_the_emulator_stops_when_the_rehearsal_is_killed(tmp_path: Path) -> None:
    alive = tmp_path / "alive"  # a FIFO that the emulator holds open; its reader is at its end when the emulator stops
    os.mkfifo(alive)
    reader = os.open(alive, os.O_RDONLY | os.O_NONBLOCK)
    opening = f"alive = open({str(alive)!r}, 'w')\nimport http"
    emulator = script(tmp_path / "local-slack", EMULATOR.replace("import http", opening, 1))
    rehearsal = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-c", REHEARSAL.format(emulator=str(emulator))),
        stdout=asyncio.subprocess.PIPE,
    )
    assert rehearsal.stdout is not None
    started = await rehearsal.stdout.readline()
    rehearsal.send_signal(signal.SIGKILL)
    await rehearsal.wait()

    os.set_blocking(reader, True)
    async with asyncio.timeout(60):  # far more than it takes
        rest = await asyncio.to_thread(os.read, reader, 1)
    os.close(reader)
    assert (b"started\n", b"") == (started, rest)


async def test_an_emulator_that_does_not_start_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PlaygroundError, match=r"did not start at http://127\.0\.0\.1:\d+"):
        async with run_emulator(script(tmp_path / "local-slack", EXITING_EMULATOR)):
            pass


@pytest.mark.parametrize(
    ("request_url", "mode"), [pytest.param(None, "socket", id="socket"), pytest.param("http://x", "events", id="http")]
)
def test_the_request_mode_follows_the_request_url(request_url: str | None, mode: str) -> None:
    app = workspace_config(Credentials(), request_url)["app"]
    assert isinstance(app, dict)
    assert (app["mode"], app.get("requestUrl")) == (mode, request_url)
