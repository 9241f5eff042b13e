"""What the dependencies may be: pinned with hashes, within the bounds of pyproject.toml, without known advisories."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
REQUIREMENTS = {canonicalize_name(one.name): one for one in map(Requirement, PROJECT["project"]["dependencies"])}
_PIN = re.compile(r"^([\w.-]+)(?:\[[\w,]+\])?==([^\s;\\]+)", re.MULTILINE | re.ASCII)


@pytest.mark.parametrize(
    ("name", "affected"),
    [
        pytest.param("aiohttp", "3.14.2", id="CVE-2026-69244"),
        pytest.param("cryptography", "49.0.0", id="CVE-2026-69247"),
        pytest.param("h11", "0.15.0", id="CVE-2025-43859"),
        pytest.param("jinja2", "3.1.5", id="CVE-2025-27516"),
        pytest.param("mako", "1.3.11", id="CVE-2026-44307"),
        pytest.param("pillow", "12.2.0", id="PYSEC-2026-2253"),
        pytest.param("python-dotenv", "1.2.1", id="CVE-2026-28684"),
        pytest.param("starlette", "1.3.0", id="CVE-2026-54283"),
    ],
)
def test_lower_bounds_exclude_releases_with_known_advisories(name: str, affected: str) -> None:
    assert affected not in REQUIREMENTS[canonicalize_name(name)].specifier


def test_pinned_releases_are_within_the_bounds() -> None:
    pins = {canonicalize_name(name): version for name, version in _pins("requirements.txt")}

    assert set(REQUIREMENTS) <= set(pins)
    assert [] == [name for name, one in REQUIREMENTS.items() if pins[name] not in one.specifier]


PINNED = ["requirements.txt", "requirements-dev.txt", "requirements-audit.txt", "requirements-docs.txt"]


@pytest.mark.parametrize("file", PINNED)
def test_every_pin_has_a_hash(file: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    starts = [match.start() for match in _PIN.finditer(text)]
    pins = [text[start:end] for start, end in zip(starts, [*starts[1:], len(text)], strict=True)]

    assert [] == [pin.split()[0] for pin in pins if "--hash=sha256:" not in pin]


def test_the_audit_tools_are_pinned() -> None:
    assert {"cyclonedx-bom", "pip-audit"} <= {name for name, _ in _pins("requirements-audit.txt")}


def _pins(file: str) -> list[tuple[str, str]]:
    return _PIN.findall((ROOT / file).read_text(encoding="utf-8"))
