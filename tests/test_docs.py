"""README.md and the pages in docs match the code; `make tables` updates their tables."""

import ast
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

from bot.cli import cli
from docs.tables import PAGES, TABLES, Table, outdated, written
from services.rules.grammar import parse_rule

ROOT = PAGES.parent
README = ROOT / "README.md"
DOCUMENTS = [README, *sorted(PAGES.rglob("*.md"))]
PROGRAMS = "minerpulse", ".venv/bin/minerpulse"
PRICE_FILES = "wgmi.csv", "btc_1h.csv", "smh.csv"
MAX_README_WORDS = 900
_QUOTE = re.compile(r"^### “(.+)”$", re.MULTILINE)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_table_matches_the_code(table: Table) -> None:
    text = (PAGES / table.page).read_text(encoding="utf-8")

    assert written(table, text) == text


def test_a_table_that_differs_is_named_and_corrected(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A page\n\n<!-- letters: from here -->\n\nold\n\n<!-- /letters -->\n", encoding="utf-8")
    tables = [Table("page.md", "letters", lambda: "| a |")]

    assert ["page.md#letters"] == outdated(tables, pages=tmp_path, write=False)
    assert ["page.md#letters"] == outdated(tables, pages=tmp_path, write=True)
    assert [] == outdated(tables, pages=tmp_path, write=False)
    assert "\n| a |\n\n<!-- /letters -->\n" in page.read_text(encoding="utf-8")


def test_a_page_without_the_markers_of_its_table_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"page\.md has no markers of the table letters"):
        written(Table("page.md", "letters", str), "# A page\n")


def test_the_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").split()) <= MAX_README_WORDS


def test_every_example_of_a_rule_is_valid_and_canonical() -> None:
    section = (PAGES / "reference/rules.md").read_text(encoding="utf-8").partition("## Examples")[2]
    rules = re.findall(r"`([^`]+)`", section.partition("\n## ")[0])

    assert rules
    assert rules == [str(parse_rule(rule)) for rule in rules]


@pytest.mark.parametrize(
    "path", [*DOCUMENTS, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"], ids=lambda path: path.name
)
def test_every_linked_file_exists(path: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text(encoding="utf-8"))

    assert [] == [link for link in links if not (path.parent / link).exists()]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_in_a_code_block_runs_as_it_is_written(path: Path) -> None:
    lines = code_lines(path.read_text(encoding="utf-8"))
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")

    for line in lines:
        program, *arguments = shlex.split(line.partition(" | ")[0]) or [""]
        if program in PROGRAMS:
            parse_arguments([str(README) if argument in PRICE_FILES else argument for argument in arguments])
        if program == "make":
            assert re.search(rf"^{arguments[0]}:", makefile, re.MULTILINE), line


def code_lines(text: str) -> list[str]:
    """Return the lines of code blocks without a language."""
    blocks = re.findall(r"^ *```([a-z{]?)[^\n]*\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL)
    return [line.strip() for language, block in blocks if not language for line in block.splitlines()]


def parse_arguments(arguments: list[str]) -> None:
    """Parse the arguments of `minerpulse`. Raises click.UsageError if a command or option does not exist."""
    command: click.Command = cli
    while isinstance(command, click.Group):
        name, *arguments = arguments
        inner = command.get_command(click.Context(command), name)
        assert inner is not None, name
        command = inner
    assert not command.make_context(None, arguments).args


def test_the_readme_shows_commands_of_the_terminal_and_of_make() -> None:
    programs = [line.split()[0] for line in code_lines(README.read_text(encoding="utf-8"))]

    assert {"make", ".venv/bin/minerpulse"} == set(programs)


def test_troubleshooting_begins_from_messages_that_exist() -> None:
    quotes = _QUOTE.findall((PAGES / "how-to/troubleshoot.md").read_text(encoding="utf-8"))
    fragments = [fragment.strip() for quote in quotes for fragment in quote.split("…") if fragment.strip()]

    assert fragments
    assert [] == [fragment for fragment in fragments if not any(fragment in text for text in texts())]


@cache
def texts() -> frozenset[str]:
    """Return the string literals of the code."""
    return frozenset(literals())


def literals() -> Iterator[str]:
    """Yield each string literal of the code."""
    for package in ("bot", "handlers", "services"):
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    yield node.value


def test_the_procfile_runs_from_a_checkout_without_an_installed_command() -> None:
    for line in (ROOT / "Procfile").read_text(encoding="utf-8").splitlines():
        words = line.partition(": ")[2].split()
        start = words.index("python")

        assert ["python", "-m", "bot"] == words[start : start + 3]
        assert cli.get_command(click.Context(cli), words[start + 3]) is not None
