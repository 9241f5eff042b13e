"""README.md matches the code; `README=write pytest tests/test_readme.py` updates its tables."""

import os
import re
import shlex
from pathlib import Path

import click
import pytest

from bot import manifest
from bot.cli import cli
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


def code_lines(text: str) -> list[str]:
    return [
        line for block in re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL) for line in block.splitlines()
    ]


def test_every_command_in_a_code_block_of_the_readme_runs_as_it_is_written() -> None:
    lines = code_lines(README.read_text(encoding="utf-8"))
    programs = [shlex.split(line) for line in lines if line.split()[:1] in (["minerpulse"], [".venv/bin/minerpulse"])]
    targets = [line.split()[1] for line in lines if line.startswith("make ")]

    assert programs
    assert targets
    for program, name, *arguments in programs:
        assert ".venv/bin/minerpulse" == program
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        files = ("wgmi.csv", "btc_1h.csv")
        parsed = [str(README) if argument in files else argument for argument in arguments]  # any file that exists
        context = command.make_context(name, parsed)
        assert isinstance(command, click.Group) or not context.args
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert [] == [target for target in targets if not re.search(rf"^{target}:", makefile, re.MULTILINE)]


def test_the_procfile_runs_from_a_checkout_without_an_installed_command() -> None:
    for line in (ROOT / "Procfile").read_text(encoding="utf-8").splitlines():
        words = line.partition(": ")[2].split()
        start = words.index("python")

        assert ["python", "-m", "bot"] == words[start : start + 3]
        assert cli.get_command(click.Context(cli), words[start + 3]) is not None
