"""`minerpulse help` and `completion`: the help of a command, and completion scripts for shells."""

import click
from click.shell_completion import get_completion_class

from bot.commands.base import command
from bot.streams import echo

COMPLETE_VARIABLE = "_MINERPULSE_COMPLETE"
SHELLS = ("bash", "zsh", "fish")


@command("minerpulse help replay", "minerpulse help holdings import")
@click.argument("words", metavar="[COMMAND]...", nargs=-1)
@click.pass_context
def help_command(ctx: click.Context, *, words: tuple[str, ...]) -> None:
    """Show help for a command, or list all commands."""
    shown = ctx.find_root()
    for index, word in enumerate(words):
        group = shown.command
        if not isinstance(group, click.Group):
            raise click.UsageError(f"`{shown.command_path}` has no subcommand “{word}”.", shown)
        name, found, _ = group.resolve_command(shown, list(words[index:]))
        assert found is not None, "an unknown name has failed"  # noqa: S101
        shown = click.Context(found, info_name=name, parent=shown)
    echo(shown.get_help())


@command(
    'eval "$(minerpulse completion bash)"',
    "minerpulse completion fish > ~/.config/fish/completions/minerpulse.fish",
)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion_command(ctx: click.Context, *, shell: str) -> None:
    """Print the script that completes commands and options in SHELL: bash, zsh or fish.

    For bash or zsh, put `eval "$(minerpulse completion SHELL)"` in ~/.bashrc or ~/.zshrc. For fish, save the script
    as in the example. Open a new shell afterwards.
    """
    completion = get_completion_class(shell)
    assert completion is not None, "click has all three"  # noqa: S101
    echo(completion(ctx.find_root().command, {}, "minerpulse", COMPLETE_VARIABLE).source())
