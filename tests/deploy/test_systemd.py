"""The systemd unit: what systemd says about it, and its commands under the restrictions that it sets."""

import asyncio
import ctypes
import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.bot.conftest import MINERPULSE, ROOT
from tests.bot.test_serve import eventually, free_port
from tests.deploy.confined import LIBSECCOMP, read_unit
from tests.fakes.slack import AUTH, TOKEN, FakeSlack, slack_server

UNIT = ROOT / "deploy/minerpulse.service"
ANALYZE = shutil.which("systemd-analyze") or ""
MAX_EXPOSURE = 1.5  # of 10, by systemd's own measure; a unit without restrictions has 9.6
needs_systemd = pytest.mark.skipif(not ANALYZE, reason="needs Debian's package systemd")


def has_seccomp() -> bool:
    try:
        ctypes.CDLL(LIBSECCOMP)
    except OSError:
        return False
    return True


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([ANALYZE, *arguments], capture_output=True, text=True, check=False)  # noqa: S603 -- systemd's own


@needs_systemd
def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text("utf-8").replace("/opt/minerpulse/bin/minerpulse", MINERPULSE), encoding="utf-8")
    verified = analyze("verify", "--man=no", str(unit))

    assert (0, "") == (verified.returncode, verified.stderr)


@needs_systemd
def test_systemd_rates_the_unit_as_well_confined() -> None:
    rated = analyze("security", "--offline=true", f"--threshold={round(10 * MAX_EXPOSURE)}", str(UNIT))

    assert 0 == rated.returncode, rated.stdout.splitlines()[-1]


@needs_systemd
@pytest.mark.skipif(not has_seccomp(), reason="needs Debian's package libseccomp2")
async def test_its_commands_work_under_its_restrictions_and_sigterm_ends_it_with_0(tmp_path: Path) -> None:
    """Paths and the port differ; root without capabilities is the user."""
    unit, port = read_unit(UNIT), free_port()
    folders = {"/var/lib/minerpulse": tmp_path / "state", "/etc/minerpulse": tmp_path / "etc", "%d": tmp_path / "keys"}
    for folder in folders.values():
        folder.mkdir()

    def here(text: str) -> str:
        for path, folder in folders.items():
            text = text.replace(path, str(folder))
        return text.replace("/opt/minerpulse/bin/minerpulse", MINERPULSE)

    async with slack_server() as slack:
        settings = write_settings(folders["/etc/minerpulse"], slack, port)
        assert ["/etc/minerpulse/minerpulse.env"] == unit["EnvironmentFile"]
        for credential in unit["LoadCredential"]:
            name, _, path = credential.partition(":")
            shutil.copy(here(path), folders["%d"] / name)
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
        for line in (*unit["Environment"], *settings):
            name, _, value = here(line).partition("=")
            environment[name] = value

        async def start(command: str) -> asyncio.subprocess.Process:
            confined = [sys.executable, "-m", "tests.deploy.confined", str(UNIT), *shlex.split(here(command))]
            return await asyncio.create_subprocess_exec(
                *confined, env=environment, cwd=folders["/var/lib/minerpulse"], stderr=asyncio.subprocess.DEVNULL
            )

        migrated = await (await start(unit["ExecStartPre"][0])).wait()
        app = await start(unit["ExecStart"][0])
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            await eventually(lambda: app.returncode is not None or is_ready(client))
        drawn = await (await start("/opt/minerpulse/bin/minerpulse chart -o chart.png")).wait()
        app.send_signal(signal.SIGTERM)

        assert (0, 0, 0) == (migrated, drawn, await app.wait())
        assert slack.calls_of(AUTH)
        assert {0o600} == {one.stat().st_mode & 0o777 for one in folders["/var/lib/minerpulse"].glob("minerpulse.db")}


def write_settings(folder: Path, slack: FakeSlack, port: int) -> list[str]:
    """Write the secrets of /etc/minerpulse, and return the lines of its file of settings."""
    (folder / "slack_bot_token").write_text(f"{TOKEN}\n", encoding="utf-8")
    (folder / "slack_signing_secret").write_text("0123456789abcdef0123456789abcdef\n", encoding="utf-8")
    settings = {
        "MINERPULSE_SLACK_API_URL": f"{slack.url}api/",
        "MINERPULSE_ETF_SOURCES": "simulated",
        "MINERPULSE_CRYPTO_SOURCES": "simulated",
        "PORT": f"{port}",
    }
    return ["=".join(one) for one in settings.items()]


async def is_ready(client: httpx.AsyncClient) -> bool:
    try:
        return (await client.get("/readyz")).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
