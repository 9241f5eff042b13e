"""README.md matches the code; `README=write pytest tests/test_readme.py` updates its tables."""

import os
import re
from pathlib import Path

import pytest

from bot import manifest
from handlers.commands import readme_table
from services.market.sources.catalogue import SOURCES
from services.rules.grammar import parse_rule

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"


def sources_table() -> str:
    rows = [
        f"| {row.title} | {row.serves} | {row.about} | {'yes' if row.keys else 'no'} | {row.delay} | {row.limits} "
        f"| {row.terms} ([terms]({row.terms_url})) |"
        for row in SOURCES
        if row.base_url
    ]
    head = ["| source | for | what | key | delay | limits | terms |", "| --- | --- | --- | --- | --- | --- | --- |"]
    return "\n".join([*head, *rows])


@pytest.mark.parametrize(
    ("name", "table"),
    [
        pytest.param("commands", readme_table(), id="commands"),
        pytest.param("scopes", manifest.scopes_table(), id="scopes"),
        pytest.param("sources", sources_table(), id="sources"),
    ],
)
def test_a_table_in_the_readme_matches_the_code(name: str, table: str) -> None:
    text = README.read_text(encoding="utf-8")
    section = re.compile(rf"(<!-- {name}:[^\n]*-->\n).*?\n?(<!-- /{name} -->)", re.DOTALL)
    if os.environ.get("README") == "write":
        README.write_text(section.sub(lambda match: f"{match[1]}\n{table}\n\n{match[2]}", text), encoding="utf-8")

    found = section.search(README.read_text(encoding="utf-8"))

    assert found is not None
    assert table in found[0]


def test_every_rule_in_the_readme_is_valid_and_canonical() -> None:
    text = README.read_text(encoding="utf-8")
    examples = re.search(r"^Examples: (.*)$", text, re.MULTILINE)
    assert examples is not None

    for rule in re.findall(r"`([^`]+)`", examples[1]):
        assert rule == str(parse_rule(rule))


def test_every_file_linked_in_the_readme_exists() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README.read_text(encoding="utf-8"))

    assert links
    assert [] == [link for link in links if not (ROOT / link).exists()]
