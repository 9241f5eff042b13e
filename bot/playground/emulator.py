"""The Slack emulator: an npm package, fetched on first use and run with one workspace, one app and one channel."""

import asyncio
import ctypes
import json
import platform
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path

import aiohttp

from services.core.errors import PlaygroundError
from services.core.text import bind_failure

VERSION = "0.1.8"
SIZE_MB = 95
PROCESSORS = {"amd64": "x86_64"}  # other names of a processor


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """An npm package of the emulator, with the hash that npm must find."""

    name: str
    integrity: str


# The program is run as it is downloaded, so a machine is supported only if its package was checked and has a hash here.
PACKAGES = {
    ("Linux", "x86_64"): Package(
        name="local-slack-linux-x64",
        integrity="sha512-2BCTKxKajjZNWCSCj66Jq5VDScUDNpGZ1lA3281I8RvpDE4/ULCwC26TlcW6/4sPbSTs02Q3KjTiltJp3ZBEvg==",
    )
}
INTEGRITY_ERROR = "EINTEGRITY"
FETCH_TIMEOUT_S = 600
PROGRESS_INTERVAL_S = 5
TERMINAL_HINT = "`minerpulse rehearse --no-web` plays in the terminal."


def find_package(system: str, processor: str) -> Package:
    """Return the package for a machine. Raises PlaygroundError if there is none."""
    processor = processor.lower()
    package = PACKAGES.get((system, PROCESSORS.get(processor, processor)))
    if package is None:
        raise PlaygroundError(f"There is no verified Slack emulator for {system} on {processor}. {TERMINAL_HINT}")
    return package


def is_available() -> bool:
    """Return whether this machine has npm and a package for its platform."""
    try:
        find_package(platform.system(), platform.machine())
    except PlaygroundError:
        return False
    return shutil.which("npm") is not None


async def fetch_emulator(cache: Path, report: Callable[[str], None]) -> Path:
    """Return the path of the emulator's program; fetch it with npm if it is not cached.

    `report` receives progress messages. Raises PlaygroundError with the next step.
    """
    package = find_package(platform.system(), platform.machine())
    folder = cache / f"{package.name}-{VERSION}"
    program = folder / "node_modules" / package.name / "bin" / "local-slack"
    if not program.exists():
        await _install(package, folder, report)
    if not program.exists():
        raise PlaygroundError(
            f"The package {package.name} {VERSION} has no program in it. Delete {folder} and try again. {TERMINAL_HINT}"
        )
    return program


async def _install(package: Package, folder: Path, report: Callable[[str], None]) -> None:
    """Install the package into a temporary folder, then rename it, so that the folder is never partial.

    npm checks the download against the integrity hash in the lock file.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise PlaygroundError(f"The playground needs Node.js with npm, which isn't installed here; {TERMINAL_HINT}")
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise PlaygroundError(
            f"Cannot write to {folder.parent} ({error.strerror}). Set HOME to a folder that you can write to, "
            f"or {TERMINAL_HINT}"
        ) from error
    for name, document in _npm_project(package).items():
        (partial / name).write_text(json.dumps(document), encoding="utf-8")
    report(f"Fetching {package.name}@{VERSION} through npm, once (about {SIZE_MB} MB)…")
    try:
        await _run_npm(npm, partial, f"{package.name}@{VERSION}", report)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _npm_project(package: Package) -> dict[str, object]:
    """Return the files of an npm project that depends on exactly this package."""
    dependencies = {package.name: VERSION}
    locked = {"version": VERSION, "integrity": package.integrity, "optional": False}
    return {
        "package.json": {"name": "playground", "version": "1.0.0", "private": True, "dependencies": dependencies},
        "package-lock.json": {
            "name": "playground",
            "version": "1.0.0",
            "lockfileVersion": 3,
            "packages": {
                "": {"name": "playground", "version": "1.0.0", "dependencies": dependencies},
                f"node_modules/{package.name}": locked,
            },
        },
    }


async def _run_npm(npm: str, folder: Path, package: str, report: Callable[[str], None]) -> None:
    options = ("--no-audit", "--no-fund", "--ignore-scripts")
    process = await asyncio.create_subprocess_exec(
        npm,
        "ci",
        *options,
        "--prefix",
        str(folder),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    progress = asyncio.create_task(_report_progress(report))
    try:
        async with asyncio.timeout(FETCH_TIMEOUT_S):
            _, stderr = await process.communicate()
    except TimeoutError as error:
        process.kill()
        raise PlaygroundError(f"npm didn't finish within {FETCH_TIMEOUT_S} s; try again, or {TERMINAL_HINT}") from error
    finally:
        progress.cancel()
    if process.returncode:
        errors = stderr.decode(errors="replace")
        if INTEGRITY_ERROR in errors:
            raise PlaygroundError(
                f"{package} differs from the package that was checked, so it was deleted. Report this as a bug; "
                f"{TERMINAL_HINT}"
            )
        first_line = next(iter(errors.strip().splitlines()), "it does not say why")
        raise PlaygroundError(f"npm could not fetch {package} ({first_line}). Fix that and try again; {TERMINAL_HINT}")


async def _report_progress(report: Callable[[str], None]) -> None:
    for number in count(1):
        await asyncio.sleep(PROGRESS_INTERVAL_S)
        report(f"… {number * PROGRESS_INTERVAL_S} s")


LOOPBACK = "127.0.0.1"
START_TIMEOUT_S = 30
POLL_INTERVAL_S = 0.1
PR_SET_PDEATHSIG = 1  # linux/prctl.h
STOP_TIMEOUT_S = 5
TEAM, CHANNEL, BOT, APP = "T1DESK", "C1DESK", "U1PULSE", "A1PULSE"
USERS = {"U1ALEX": "Alex Trader", "U2SAM": "Sam Oncall"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Credentials shared by the app and the emulator; valid nowhere else."""

    bot_token: str = "xoxb-playground"  # noqa: S105 -- made up
    app_token: str = "xapp-playground"  # noqa: S105 -- made up
    signing_secret: str = "playground"  # noqa: S105 -- made up


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackEmulator:
    """A running emulator.

    Attributes:
        origin: The URL to open in a browser.
    """

    origin: str
    credentials: Credentials

    @property
    def api_url(self) -> str:
        """The base URL for a Slack client."""
        return f"{self.origin}/api/"


def workspace_config(credentials: Credentials, request_url: str | None) -> dict[str, object]:
    """Return the emulator's configuration; requests use Socket Mode if `request_url` is None."""
    delivery = {"mode": "socket"} if request_url is None else {"mode": "events", "requestUrl": request_url}
    users = [{"id": user_id, "name": name.split()[0].lower(), "real_name": name} for user_id, name in USERS.items()]
    return {
        "workspace": {"name": "Playground", "domain": "playground", "teamId": TEAM},
        "app": {
            "appId": APP,
            "botUserId": BOT,
            "botName": "minerpulse",
            "botToken": credentials.bot_token,
            "appToken": credentials.app_token,
            "signingSecret": credentials.signing_secret,
            **delivery,
        },
        "users": users,
        "channels": [{"id": CHANNEL, "name": "mining-desk", "members": [*USERS, BOT]}],
    }


@asynccontextmanager
async def run_emulator(program: Path, *, port: int = 0, request_url: str | None = None) -> AsyncIterator[SlackEmulator]:
    """Start the emulator; stop it and delete its files on exit. Raises PlaygroundError if it does not start.

    On Linux, the kernel stops the emulator even if this process is killed, so that its port is free again.
    """
    credentials = Credentials()
    with tempfile.TemporaryDirectory(prefix="minerpulse-playground-") as folder:
        config = Path(folder) / "workspace.json"
        config.write_text(json.dumps(workspace_config(credentials, request_url)), encoding="utf-8")
        origin = f"http://{LOOPBACK}:{_free_port(port)}"
        process = await _start(program, config, origin)
        try:
            await _wait_until_ready(process, origin)
            yield SlackEmulator(origin=origin, credentials=credentials)
        finally:
            await _stop(process)


async def _start(program: Path, config: Path, origin: str) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            str(program),
            *("--config", str(config)),
            *("--port", origin.rpartition(":")[2]),
            *("--base-host", LOOPBACK),
            *("--files-dir", str(config.parent / "files")),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            preexec_fn=_stop_with_parent(),
        )
    except OSError as error:
        raise PlaygroundError(f"The Slack emulator at {program} can't be started: {error.strerror}.") from error


def _stop_with_parent() -> Callable[[], object] | None:
    """Return what a child calls before it runs the program, so that Linux stops it when its parent ends."""
    return partial(ctypes.CDLL(None).prctl, PR_SET_PDEATHSIG, signal.SIGTERM) if sys.platform == "linux" else None


async def _wait_until_ready(process: asyncio.subprocess.Process, origin: str) -> None:
    async with aiohttp.ClientSession() as session:
        for _ in range(int(START_TIMEOUT_S / POLL_INTERVAL_S)):
            if process.returncode is not None:
                break
            with suppress(aiohttp.ClientError):
                async with session.get(f"{origin}/_control/state") as response:
                    if response.ok:
                        return
            await asyncio.sleep(POLL_INTERVAL_S)
    raise PlaygroundError(f"The Slack emulator did not start at {origin}. {TERMINAL_HINT}")


async def _stop(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _free_port(wanted: int) -> int:
    """Return the wanted port if nothing listens there, or any free one for 0. Raises PlaygroundError."""
    try:
        with socket.create_server((LOOPBACK, wanted)) as listener:
            port: int = listener.getsockname()[1]
    except OSError as error:
        raise PlaygroundError(
            f"Can't listen on {LOOPBACK}:{wanted}: {bind_failure(error)}. Choose another port with --port, or omit "
            "--port to use any free one."
        ) from error
    return port
