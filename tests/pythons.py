"""`python -m tests.pythons`: run the domain, sources and CLI tests on every other supported Python that is installed.

Looks on the PATH and among pyenv's versions, and makes a `.venv-3.N` for each minor version that it finds.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import click

OLDEST = (3, 11)
TESTS = (
    "tests/services/core",
    "tests/services/market",
    "tests/services/rules",
    "tests/services/research",
    "tests/services/alerting",
    "tests/bot/test_cli.py",
    "tests/bot/test_replay.py",
    "tests/bot/test_pulse.py",
    "tests/bot/test_explain.py",
    "tests/bot/test_studies.py",
    "tests/bot/test_tune.py",
)
_VERSION = "import sys; print(*sys.version_info[:2])"


def main() -> int:
    """Run the tests on each interpreter found; the number of those on which they failed."""
    found = interpreters()
    if not found:
        click.echo("No other supported Python is installed here.")
    return sum(not passes(version, python) for version, python in sorted(found.items()))


def interpreters() -> dict[tuple[int, int], Path]:
    """One interpreter for each supported minor version other than this one."""
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [path for folder in folders for path in sorted(folder.glob("python3.*"))]
    candidates += sorted(pyenv.glob("3.*/bin/python3"))
    found: dict[tuple[int, int], Path] = {}
    for python in candidates:
        if re.fullmatch(r"python3(\.\d+)?", python.name) and (version := _version(python)):
            found.setdefault(version, python)
    return {one: python for one, python in found.items() if one >= OLDEST and one != sys.version_info[:2]}


def _version(python: Path) -> tuple[int, int] | None:
    try:
        ran = subprocess.run(  # noqa: S603 -- an interpreter of this machine
            [python, "-c", _VERSION], capture_output=True, text=True, check=False, timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if ran.returncode:
        return None
    major, minor = map(int, ran.stdout.split())
    return major, minor


def passes(version: tuple[int, int], python: Path) -> bool:
    """Install what the tests need into a virtual environment of that version, and run them."""
    name = ".".join(map(str, version))
    venv = Path(f".venv-{name}")
    requirements, installed = Path("requirements-dev.txt"), venv / ".dev"
    pip: list[str | Path] = [venv / "bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    click.echo(f"Python {name} ({python}) …")
    install: list[list[str | Path]] = [
        [python, "-m", "venv", venv],
        [*pip, "--require-hashes", "-r", requirements],
        [*pip, "--no-deps", "-e", "."],
    ]
    if not installed.exists() or installed.stat().st_mtime < requirements.stat().st_mtime:
        if not all(_succeeds(step) for step in install):
            return False
        installed.touch()
    return _succeeds([venv / "bin/python", "-m", "pytest", "-q", "-n", "auto", "-p", "no:cacheprovider", *TESTS])


def _succeeds(command: list[str | Path]) -> bool:
    return subprocess.run(command, check=False).returncode == 0  # noqa: S603 -- the commands above


if __name__ == "__main__":
    sys.exit(main())
