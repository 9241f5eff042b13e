"""Help of the command line: short without arguments, grouped by task, with examples that run as they are written."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from bot.cli import COMMANDS, EXIT_CODES, Task, cli, run_cli
from bot.commands.base import FOOTER, ExampleHelp
from tests.bot.conftest import MINERPULSE, RunCli


def commands(group: click.Group = cli, path: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield the path and the command of every command and subcommand."""
    ctx = click.Context(group)
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        assert command is not None
        yield f"{path}{name}", command
        if isinstance(command, click.Group):
            yield from commands(command, f"{path}{name} ")


ALL = dict(commands())


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("arguments", [[], ["-q"]])
def test_without_a_command_the_help_is_short_and_has_two_examples(minerpulse: RunCli, arguments: list[str]) -> None:
    result = minerpulse(*arguments)

    assert (0, "") == (result.code, result.err)
    assert 2 == result.out.count("\n  minerpulse ")
    assert 12 > len(result.out.splitlines())
    assert "`minerpulse --help` lists all commands" in words(result.out)


@pytest.mark.parametrize("name", ["holdings", "keys"])
def test_a_group_without_a_subcommand_shows_its_help(minerpulse: RunCli, name: str) -> None:
    assert minerpulse(name, "--help") == minerpulse(name)


def test_help_groups_the_commands_by_task_and_lists_the_exit_codes(minerpulse: RunCli) -> None:
    lines = minerpulse("--help").out.splitlines()

    headings = [line.removesuffix(":") for line in lines if line.endswith(":") and not line.startswith(" ")]
    assert ["Examples", "Options", *(task.value for task in Task), "Environment", "Exit codes"] == headings
    listed = [
        line.split()[0] for line in lines[lines.index(f"{Task.TRY.value}:") : lines.index("Environment:")] if line
    ]
    assert list(COMMANDS) == [word for word in listed if word in COMMANDS]
    codes = (re.match(r"  (\d+) ", line) for line in lines[lines.index("Exit codes:") :])
    assert [code for code, _ in EXIT_CODES] == [code[1] for code in codes if code]


@pytest.mark.parametrize("path", ALL)
def test_help_has_examples_before_the_options_and_ends_with_the_documentation(minerpulse: RunCli, path: str) -> None:
    result = minerpulse(*path.split(), "--help")

    assert 0 == result.code
    assert result.out.startswith(f"Usage: minerpulse {path}")
    assert 0 < result.out.index("\nExamples:\n") < result.out.index("\nOptions:\n")
    assert words(result.out).endswith(words(FOOTER))


@pytest.mark.parametrize("path", ALL)
def test_the_help_command_shows_the_same(minerpulse: RunCli, path: str) -> None:
    assert minerpulse(*path.split(), "--help") == minerpulse("help", *path.split())


def test_help_alone_lists_the_commands(minerpulse: RunCli) -> None:
    assert minerpulse("--help") == minerpulse("help")


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        pytest.param("repaly", "Unknown command “repaly”. Did you mean “replay”?", id="a-slip"),
        pytest.param("holdings sell", "No such command 'sell'", id="a-subcommand"),
        pytest.param("replay now", "`minerpulse replay` has no subcommand “now”.", id="no-group"),
    ],
)
def test_help_for_an_unknown_command_is_an_error(minerpulse: RunCli, typed: str, expected: str) -> None:
    result = minerpulse("help", *typed.split())

    assert (2, "") == (result.code, result.out)
    assert expected in result.err


@pytest.mark.parametrize("path", ALL)
def test_every_example_parses(path: str, clean: Path) -> None:
    command = ALL[path]
    assert isinstance(command, ExampleHelp)
    for name in ("wgmi.csv", "btc_1h.csv", "smh.csv", "rules.yaml"):
        (clean / name).touch()

    assert command.examples
    for example in command.examples:
        words_typed = shlex.split(example.replace('eval "$(', "").replace(')"', ""))
        ends = next((at for at, word in enumerate(words_typed) if word in {"|", ">"}), len(words_typed))
        typed = words_typed[words_typed.index("minerpulse") + 1 : ends]
        ctx, found = click.Context(cli, info_name="minerpulse"), cli.get_command(click.Context(cli), typed[0])
        while isinstance(found, click.Group):
            typed = typed[1:]
            found = found.get_command(ctx, typed[0])
        assert found is not None
        found.make_context(typed[0], typed[1:], parent=ctx).close()


ARCHAIC = ("as it is", "may be repeated", "where it", "is to be", "stands", " told", "tells", "whoever", "beneath")


@pytest.mark.parametrize("path", ALL)
def test_help_is_in_sentences_and_plain_words(path: str) -> None:
    command = ALL[path]
    texts = [command.help, *(option.help for option in command.params if isinstance(option, click.Option))]

    for text in filter(None, texts):
        plain = text.partition("  [default")[0].rstrip()
        assert plain.endswith((".", ")."))
        assert plain[0].isupper() or plain.startswith(("web ", "worker "))
        assert [] == [word for word in ARCHAIC if word in text]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_the_script_of_a_shell(minerpulse: RunCli, shell: str) -> None:
    result = minerpulse("completion", shell)

    assert 0 == result.code
    assert f"_MINERPULSE_COMPLETE={shell}_complete" in result.out


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        pytest.param("minerpulse re", ["rehearse", "report", "replay", "restore"], id="commands"),
        pytest.param("minerpulse holdings ", ["fetch", "import", "list"], id="subcommands"),
        pytest.param("minerpulse replay --fr", ["--from"], id="options"),
        pytest.param("minerpulse explain 2", ["20d", "252d"], id="windows"),
        pytest.param("minerpulse nothing ", list(COMMANDS), id="unknown"),
    ],
)
def test_a_shell_completes_what_is_typed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], line: str, expected: list[str]
) -> None:
    for name, value in completion_variables(line).items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SystemExit):
        run_cli([])

    shown = capsys.readouterr()
    assert ("", expected) == (shown.err, completions(shown.out))


def test_the_installed_command_completes_what_is_typed(clean: Path) -> None:
    environment = {"PATH": "/usr/bin:/bin", **completion_variables("minerpulse holdings ")}
    result = subprocess.run(  # noqa: S603 -- our own command
        [MINERPULSE], cwd=clean, env=environment, capture_output=True, text=True, check=False
    )

    assert ("", ["fetch", "import", "list"]) == (result.stderr, completions(result.stdout))


def completion_variables(line: str) -> dict[str, str]:
    """Return the variables with which bash asks for completions of a line."""
    words = line.split(" ")
    return {"_MINERPULSE_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": f"{len(words) - 1}"}


def completions(shown: str) -> list[str]:
    return [row.partition(",")[2] for row in shown.splitlines() if row.startswith("plain,")]
