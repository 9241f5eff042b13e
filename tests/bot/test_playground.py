"""The playground fetches its stand-in once, starts it, ends it, and says what to do where it cannot."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.playground.package import VERSION, package_name, program
from bot.playground.server import Secrets, serving, workspace
from services.core.errors import PlaygroundError

NPM = f"""#!{sys.executable}
import pathlib, sys
print("npm was asked", file=open({{told!r}}, "a"))
folder = pathlib.Path(sys.argv[sys.argv.index("--prefix") + 1])
name = sys.argv[-1].rpartition("@")[0]
program = folder / "node_modules" / name / "bin" / "local-slack"
program.parent.mkdir(parents=True)
program.write_text("")
"""
REFUSED = f"#!{sys.executable}\nimport sys\nsys.exit('npm error 404 Not Found')\n"
DIES = f"#!{sys.executable}\n"
ANSWERS = f"""#!{sys.executable}
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
    """Puts a program called npm on the path; gives the file that it writes a line to when it is asked."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    told = tmp_path / "told"

    def install(text: str) -> Path:
        script(tmp_path / "bin" / "npm", text.format(told=str(told)))
        return told

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


def test_a_machine_without_a_package_is_told_of_the_terminal() -> None:
    with pytest.raises(PlaygroundError, match=r"no stand-in for Plan9 on mips; `minerpulse rehearse --no-web` plays"):
        package_name("Plan9", "mips")


async def test_the_stand_in_is_fetched_once_and_then_kept(tmp_path: Path, npm: Callable[[str], Path]) -> None:
    told, said = npm(NPM), list[str]()
    first = await program(tmp_path / "cache", said.append)
    second = await program(tmp_path / "cache", said.append)
    assert first == second
    assert first.exists()
    assert told.read_text() == "npm was asked\n"
    assert [line.partition(f"@{VERSION}")[2] for line in said] == [" through npm, once (about 95 MB) …"]


async def test_what_npm_complains_of_is_told_and_nothing_half_fetched_stays(
    tmp_path: Path, npm: Callable[[str], Path]
) -> None:
    npm(REFUSED)
    with pytest.raises(PlaygroundError, match=r"npm error 404 Not Found.*or `minerpulse rehearse --no-web`"):
        await program(tmp_path / "cache", list[str]().append)
    assert list((tmp_path / "cache").iterdir()) == []


async def test_without_npm_the_terminal_is_named(tmp_path: Path, npm: Callable[[str], Path]) -> None:  # noqa: ARG001 -- an empty path
    with pytest.raises(PlaygroundError, match=r"needs Node\.js with npm.*`minerpulse rehearse --no-web`"):
        await program(tmp_path / "cache", list[str]().append)


async def test_a_stand_in_that_answers_is_served_and_ends_with_the_playground(tmp_path: Path) -> None:
    stand_in = script(tmp_path / "local-slack", ANSWERS)
    async with serving(stand_in) as served:
        assert served.api_url == f"{served.origin}/api/"
    async with serving(stand_in, port=int(served.origin.rpartition(":")[2])) as again:  # the port is free again
        assert again.origin == served.origin


async def test_a_stand_in_that_does_not_start_is_told(tmp_path: Path) -> None:
    with pytest.raises(PlaygroundError, match=r"did not start at http://127\.0\.0\.1:\d+"):
        async with serving(script(tmp_path / "local-slack", DIES)):
            pass


@pytest.mark.parametrize(
    ("request_url", "mode"), [pytest.param(None, "socket", id="socket"), pytest.param("http://x", "events", id="http")]
)
def test_requests_go_where_the_app_takes_them(request_url: str | None, mode: str) -> None:
    app = workspace(Secrets(), request_url)["app"]
    assert isinstance(app, dict)
    assert (app["mode"], app.get("requestUrl")) == (mode, request_url)
