"""Commands and groups whose help leads with examples and ends with where the documentation is."""

import inspect
from collections.abc import Callable
from typing import Any

import click

FOOTER = (
    "Documentation: README.md and docs/ in the MinerPulse repository. When you ask for help, include the output of "
    "`minerpulse doctor --json`."
)


class ExampleHelp(click.Command):
    """A command whose help shows its summary, its examples, the details and then the options.

    Attributes:
        examples: Command lines as they are typed.
    """

    def __init__(self, *args: Any, examples: tuple[str, ...] = (), **kwargs: Any) -> None:  # noqa: ANN401 -- click's own
        kwargs.setdefault("epilog", FOOTER)
        super().__init__(*args, **kwargs)
        self.examples = examples

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 -- click's
        """Write the summary, the examples and the details."""
        summary, _, details = inspect.cleandoc(self.help or "").partition("\n\n")
        write_paragraph(formatter, summary)
        write_examples(formatter, self.examples)
        if details:
            write_paragraph(formatter, details)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 -- click's
        """Write the footer from the left margin."""
        formatter.write_paragraph()
        formatter.write_text(self.epilog or "")


class ExampleGroup(ExampleHelp, click.Group):
    """A group whose subcommands have examples."""

    command_class = ExampleHelp


def command(*examples: str) -> Callable[[Callable[..., Any]], ExampleHelp]:
    """Return the decorator of a command, with its examples."""
    return click.command(cls=ExampleHelp, examples=examples)


def group(*examples: str) -> Callable[[Callable[..., Any]], ExampleGroup]:
    """Return the decorator of a group of commands, with its examples."""
    return click.group(cls=ExampleGroup, examples=examples)


def write_paragraph(formatter: click.HelpFormatter, text: str) -> None:
    """Write an indented paragraph after a blank line."""
    formatter.write_paragraph()
    with formatter.indentation():
        formatter.write_text(text)


def write_examples(formatter: click.HelpFormatter, examples: tuple[str, ...]) -> None:
    """Write command lines under a heading, unwrapped, so that they can be copied."""
    if examples:
        with formatter.section("Examples"):
            for example in examples:
                formatter.write(f"{'':>{formatter.current_indent}}{example}\n")
