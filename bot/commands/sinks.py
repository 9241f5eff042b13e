"""`minerpulse sinks`: the services that channels can page, of the operator's file and of a workspace."""

from collections.abc import Mapping
from contextlib import aclosing

import click

from bot.asyncio_runner import run_async
from bot.clock import SystemClock
from bot.commands.base import group
from bot.commands.options import json_option, print_document
from bot.documents.operations import sinks_document
from bot.settings import Settings, load_settings
from bot.sinks import WORDS, build_sinks, read_secret, read_sinks_file
from bot.streams import echo
from services.alerting.paging import is_sink_name
from services.core.errors import InvalidSettingsError, InvalidSinkError
from services.delivery.sinks.config import SINK_TYPES, SinkConfig, SinkTools, build_sink
from services.storage import SqlStore

NO_KEYS = "Sink secrets are stored encrypted. Set MINERPULSE_TOKEN_KEYS first; `minerpulse keys new` prints a key."
TEAM = click.option("--team", required=True, metavar="TEAM", help="The workspace's ID, such as T0123ABCD.")


@group("minerpulse sinks list", "minerpulse sinks check")
def sinks_command() -> None:
    """Define the services that channels can page: PagerDuty, webhooks and email.

    Sinks for every workspace are defined in the file that MINERPULSE_SINKS_FILE names. `add` defines a sink for one
    workspace. To page a sink from a channel, type `/minerpulse channel page NAME` there.
    """


@sinks_command.command(name="list", examples=("minerpulse sinks list", "minerpulse sinks list --team T0123ABCD --json"))
@click.option("--team", default="", metavar="TEAM", help="Include the sinks of this workspace.")
@json_option
def list_sinks(*, team: str, as_json: bool) -> None:
    """List the sinks by name, with their type. Secrets are never shown."""
    names = run_async(_names(load_settings(), team))
    if as_json:
        print_document(sinks_document(names))
    elif not names:
        echo("No sinks are defined. Set MINERPULSE_SINKS_FILE, or use `minerpulse sinks add`.")
    else:
        for name, kind in names.items():
            echo(f"{name}  {kind}")


async def _names(settings: Settings, team: str) -> Mapping[str, str]:
    if not settings.token_keys:
        return {name: config.type for name, config in read_sinks_file(settings.sinks_file).items()}
    async with aclosing(await SqlStore.open(settings.database_url, create=False)) as store:
        return await build_sinks(settings, store, SystemClock()).names(team)


@sinks_command.command(name="check", examples=("minerpulse sinks check",))
def check_sinks() -> None:
    """Check the sinks in MINERPULSE_SINKS_FILE. Nothing is sent to them."""
    sinks = read_sinks_file(load_settings().sinks_file)
    for config in sinks.values():
        build_sink(config, SinkTools(clock=SystemClock(), words=WORDS))
    echo(f"{len(sinks)} valid sink{'' if len(sinks) == 1 else 's'}.")


@sinks_command.command(
    name="add",
    examples=(
        "minerpulse sinks add desk --team T0123ABCD --type pagerduty --secret env:DESK_KEY",
        "minerpulse sinks add bus --team T0123ABCD --type webhook --option url=https://x.example --secret env:BUS",
    ),
)
@click.argument("name")
@TEAM
@click.option("--type", "sink_type", required=True, type=click.Choice(list(SINK_TYPES)), help="Type of the sink.")
@click.option(
    "--option", "options", multiple=True, metavar="NAME=VALUE", help="Option for this sink type; can be repeated."
)
@click.option(
    "--secret", default="", metavar="env:NAME|file:PATH", help="Where the secret is stored; not the secret itself."
)
def add_sink(*, name: str, team: str, sink_type: str, options: tuple[str, ...], secret: str) -> None:
    """Define or change a sink for one workspace.

    Pages that were sent with the old definition are still resolved with it.
    """
    if not is_sink_name(name):
        raise click.BadParameter(
            "Use at most 40 lowercase letters, digits, hyphens and underscores.", param_hint="NAME"
        )
    if secret and not secret.startswith(("env:", "file:")):
        raise click.BadParameter("Use env:NAME or file:PATH, which keeps the secret out of your shell's history.")
    pairs = dict(_option(text) for text in options)
    config = SinkConfig(name=name, type=sink_type, options=pairs, secret=read_secret(secret) if secret else "")
    build_sink(config, SinkTools(clock=SystemClock(), words=WORDS))
    run_async(_save(load_settings(), team, config))
    echo(f"Sink {name} is defined for {team}. To page it from a channel, type `/minerpulse channel page {name}` there.")


def _option(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise click.BadParameter(f"Write “{text}” as NAME=VALUE.", param_hint="--option")
    return name, value


async def _save(settings: Settings, team: str, config: SinkConfig) -> None:
    async with aclosing(await SqlStore.open(settings.database_url, create=False)) as store:
        await store.sinks(_keys(settings), SystemClock()).save_sink(team, config)


@sinks_command.command(name="remove", examples=("minerpulse sinks remove desk --team T0123ABCD",))
@click.argument("name")
@TEAM
def remove_sink(*, name: str, team: str) -> None:
    """Remove a sink from one workspace. It gets no new pages. Pages that it opened are still resolved."""
    if not run_async(_remove(load_settings(), team, name)):
        raise InvalidSinkError(
            name, f"{team} has no such sink, so nothing was changed. Try `minerpulse sinks list --team {team}`."
        )
    echo(f"Removed sink {name} from {team}.")


async def _remove(settings: Settings, team: str, name: str) -> bool:
    async with aclosing(await SqlStore.open(settings.database_url, create=False)) as store:
        return await store.sinks(_keys(settings), SystemClock()).remove_sink(team, name)


def _keys(settings: Settings) -> list[str]:
    if not settings.token_keys:
        raise InvalidSettingsError(NO_KEYS)
    return [key.get_secret_value() for key in settings.token_keys]
