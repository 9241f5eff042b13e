"""A wheel installs `minerpulse` alone, and its command runs outside a checkout, beside other packages of any name."""

import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BUILD = "import sys; from hatchling.build import build_{kind} as build; print(build(sys.argv[1]))"
HOSTILE = "raise SystemExit('another package of this name was imported')"


def build(kind: str, folder: Path) -> Path:
    """Build a `wheel` or an `editable` one of this checkout into a folder, without the network."""
    command = [sys.executable, "-c", BUILD.format(kind=kind), str(folder)]
    name = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()[-1]  # noqa: S603 -- ours
    return folder / name


def files(wheel: Path) -> list[str]:
    """Return the names of the files in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    return build("wheel", tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel, the dependencies of this one, and hostile packages of our packages' names."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(folder, with_pip=False)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))  # whose own .pth files do not count
    pip = [sys.executable, "-m", "pip", "--python", str(folder), "--disable-pip-version-check", "install", "-q"]
    subprocess.run([*pip, "--no-deps", "--no-index", str(wheel)], check=True, capture_output=True)  # noqa: S603 -- ours
    for name in ("bot", "handlers", "services"):
        (packages / name).mkdir()
        (packages / name / "__init__.py").write_text(HOSTILE)
    return folder


def run(installed: Path, folder: Path, arguments: Sequence[str], **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command in a folder."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "XDG_DATA_HOME": str(folder / "data"), **settings}
    command = [str(installed / "bin" / "minerpulse"), *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)  # noqa: S603 -- ours


def test_a_wheel_has_one_package_with_the_launcher_and_the_app(wheel: Path) -> None:
    names = files(wheel)
    top = {name.partition("/")[0] for name in names}

    assert {"minerpulse", next(name for name in top if name.endswith(".dist-info"))} == top
    assert {"minerpulse/__main__.py", "minerpulse/app/bot/cli.py", "minerpulse/app/handlers/render/page.css"} < set(
        names
    )
    assert {"minerpulse/app/services/storage/migrations/env.py", "minerpulse/app/services/core/session_table.py"} < set(
        names
    )
    assert [] == [name for name in names if "__pycache__" in name or "tests/" in name]


def test_an_editable_wheel_has_the_launcher_and_the_path_of_the_checkout(tmp_path: Path) -> None:
    wheel = build("editable", tmp_path)
    code = {name for name in files(wheel) if ".dist-info/" not in name}
    with zipfile.ZipFile(wheel) as archive:
        paths = archive.read(next(name for name in code if name.endswith(".pth"))).decode().split()

    assert {"minerpulse/__init__.py", "minerpulse/__main__.py"} == {name for name in code if name.endswith(".py")}
    assert [str(ROOT)] == paths


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param(["--version"], "minerpulse, version", id="version"),
        pytest.param(["pulse", "--help"], "Show the board", id="help"),
        pytest.param(["migrate"], "The database was created.", id="migrations"),
        pytest.param(["doctor"], "settings", id="doctor"),
        pytest.param(["pulse"], "WGMI", id="calculations"),
    ],
)
def test_the_installed_command_runs_in_any_folder(
    installed: Path, tmp_path: Path, arguments: list[str], expected: str
) -> None:
    simulated = {"MINERPULSE_ETF_SOURCES": "simulated", "MINERPULSE_CRYPTO_SOURCES": "simulated"}
    result = run(installed, tmp_path, arguments, **simulated)

    assert (0, "") == (result.returncode, result.stderr)
    assert expected in result.stdout


def test_the_packages_of_the_app_are_not_importable_by_others(installed: Path, tmp_path: Path) -> None:
    command = [str(installed / "bin" / "python"), "-c", "import bot"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)  # noqa: S603 -- ours

    assert "another package of this name was imported" in result.stderr
