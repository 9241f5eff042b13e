"""The playground fetches the Slack emulator once, starts and stops it, and reports failures."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.playground.emulator import VERSION, Credentials, fetch_emulator, package_name, run_emulator, workspace_config
from services.core.errors import PlaygroundError

NPM = f"""#!{sys.executable}
import pathlib, sys
print("npm was asked", file=open({{log!r}}, "a"))
folder = pathlib.Path(sys.argv[sys.argv.index("--prefix") + 1])
name = sys.argv[-1].rpartition("@")[0]
program = folder / "node_modules" / name / "bin" / "local-slack"
program.parent.mkdir(parents=True)
program.write_text("")
"""
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


def script(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Installs a fake npm on the path; returns the log file that it writes."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    log = tmp_path / "npm.log"

    def install(text: str) -> Path:
        script(tmp_path / "bin" / "npm", text.format(log=str(log)))
        return log

    return install


@pytest.mark.parametrize(
    ("system", "processor", "expected"),
    [
        pytest.param("Linux", "x86_64", "local-slack-linux-x64", id="linux"),
        pytest.param("Linux", "aarch64", "local-slack-linux-arm64", id="linux on arm"),
        pytest.param("Darwin", "arm64", "local-slack-darwin-arm64", id="mac"),
    ],
)
def test_each_machine_has_its_own_package(system: str, processor: str, expected: str) -> None:
    assert package_name(system, processor) == expected


def test_an_unsupported_machine_gets_a_hint_about_the_terminal() -> None:
    with pytest.raises(PlaygroundError, match=r"no stand-in for Plan9 on mips; `minerpulse rehearse --no-web` plays"):
        package_name("Plan9", "mips")


async def test_the_emulator_is_fetched_once_and_cached(tmp_path: Path, npm: Callable[[str], Path]) -> None:
    log, messages = npm(NPM), list[str]()
    first = await fetch_emulator(tmp_path / "cache", messages.append)
    second = await fetch_emulator(tmp_path / "cache", messages.append)
    assert first == second
    assert first.exists()
    assert log.read_text() == "npm was asked\n"
    assert [line.partition(f"@{VERSION}")[2] for line in messages] == [" through npm, once (about 95 MB) …"]


async def test_an_npm_error_is_reported_and_leaves_no_partial_install(
    tmp_path: Path, npm: Callable[[str], Path]
) -> None:
    npm(FAILING_NPM)
    with pytest.raises(PlaygroundError, match=r"npm error 404 Not Found.*or `minerpulse rehearse --no-web`"):
        await fetch_emulator(tmp_path / "cache", list[str]().append)
    assert list((tmp_path / "cache").iterdir()) == []


async def test_without_npm_the_error_suggests_the_terminal(tmp_path: Path, npm: Callable[[str], Path]) -> None:  # noqa: ARG001 -- an empty path
    with pytest.raises(PlaygroundError, match=r"needs Node\.js with npm.*`minerpulse rehearse --no-web`"):
        await fetch_emulator(tmp_path / "cache", list[str]().append)


async def test_the_emulator_runs_until_the_end_of_the_block(tmp_path: Path) -> None:
    emulator = script(tmp_path / "local-slack", EMULATOR)
    async with run_emulator(emulator) as running:
        assert running.api_url == f"{running.origin}/api/"
    async with run_emulator(emulator, port=int(running.origin.rpartition(":")[2])) as again:  # the port is free again
        assert again.origin == running.origin


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
