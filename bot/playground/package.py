"""The npm package of the Slack emulator, fetched on first use and cached."""

import asyncio
import platform
import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path

from services.core.errors import PlaygroundError

VERSION = "0.1.8"
SIZE_MB = 95
SYSTEMS = {"Linux": "linux", "Darwin": "darwin"}
PROCESSORS = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64", "arm64": "arm64"}
FETCH_TIMEOUT_S = 600
PROGRESS_INTERVAL_S = 5
TERMINAL_HINT = "`minerpulse rehearse --no-web` plays in the terminal."


def package_name(system: str, processor: str) -> str:
    """Return the package for a machine. Raises PlaygroundError if there is none."""
    if system not in SYSTEMS or processor.lower() not in PROCESSORS:
        raise PlaygroundError(f"The playground has no stand-in for {system} on {processor}; {TERMINAL_HINT}")
    return f"local-slack-{SYSTEMS[system]}-{PROCESSORS[processor.lower()]}"


def is_available() -> bool:
    """Return whether this machine has npm and a package for its platform."""
    try:
        package_name(platform.system(), platform.machine())
    except PlaygroundError:
        return False
    return shutil.which("npm") is not None


async def fetch_emulator(cache: Path, report: Callable[[str], None]) -> Path:
    """Return the path of the emulator's program; fetch it with npm if it is not cached.

    `report` receives progress messages. Raises PlaygroundError with the next step.
    """
    name = package_name(platform.system(), platform.machine())
    folder = cache / f"{name}-{VERSION}"
    program = folder / "node_modules" / name / "bin" / "local-slack"
    if not program.exists():
        await _install(f"{name}@{VERSION}", folder, report)
    if not program.exists():
        raise PlaygroundError(
            f"The package {name} {VERSION} holds no program; remove {folder} and try again. {TERMINAL_HINT}"
        )
    return program


async def _install(package: str, folder: Path, report: Callable[[str], None]) -> None:
    """Install the package into a temporary folder, then rename it, so that the folder is never partial."""
    npm = shutil.which("npm")
    if npm is None:
        raise PlaygroundError(f"The playground needs Node.js with npm, which are not installed here; {TERMINAL_HINT}")
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    report(f"Fetching {package} through npm, once (about {SIZE_MB} MB) …")
    try:
        await _run_npm(npm, partial, package, report)
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


async def _run_npm(npm: str, folder: Path, package: str, report: Callable[[str], None]) -> None:
    options = ("--no-audit", "--no-fund", "--no-save", "--no-package-lock", "--ignore-scripts")
    process = await asyncio.create_subprocess_exec(
        npm,
        "install",
        *options,
        "--prefix",
        str(folder),
        package,
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
        raise PlaygroundError(f"npm did not end within {FETCH_TIMEOUT_S} s; try again, or {TERMINAL_HINT}") from error
    finally:
        progress.cancel()
    if process.returncode:
        error_lines = stderr.decode(errors="replace").strip().splitlines()[:1] or ["it does not say why"]
        raise PlaygroundError(
            f"npm could not fetch {package} ({error_lines[0]}); mend that and try again, or {TERMINAL_HINT}"
        )


async def _report_progress(report: Callable[[str], None]) -> None:
    for number in count(1):
        await asyncio.sleep(PROGRESS_INTERVAL_S)
        report(f"… {number * PROGRESS_INTERVAL_S} s")
