"""`minerpulse keys`, `manifest`, `migrate` and `forget`: set up the app in Slack, and keep its database."""

import asyncio
import re
from contextlib import aclosing

import click

from bot.manifest import PLACEHOLDER, base_url, build_manifest, format_manifest
from bot.settings import load_settings
from bot.streams import echo
from services.core.errors import InvalidSettingsError
from services.storage import SqlStore, generate_key, migrate, schema_is_current

MEMBER_ID = re.compile(r"[UW][A-Z0-9]{1,30}")
NO_KEYS = "MINERPULSE_TOKEN_KEYS is not set; put a new key before the old one, separated by a comma."


@click.group()
def keys_command() -> None:
    """Generate an encryption key for tokens, or rotate keys."""


@keys_command.command()
def new() -> None:
    """Print a new key for MINERPULSE_TOKEN_KEYS; keep it as safe as a password, and out of backups of the database."""
    echo(generate_key())


@keys_command.command()
def rotate() -> None:
    """Seal every stored token with the first of MINERPULSE_TOKEN_KEYS; the other keys can be taken out then."""
    settings = load_settings()
    if not settings.token_keys:
        raise InvalidSettingsError(NO_KEYS)
    keys = [key.get_secret_value() for key in settings.token_keys]
    count = asyncio.run(_reencrypt(settings.database_url, keys))
    echo(f"{count} installation{'' if count == 1 else 's'} encrypted with the first key.")


async def _reencrypt(url: str, keys: list[str]) -> int:
    async with aclosing(await SqlStore.open(url, create=False)) as store:
        return await store.installations(keys).reencrypt_tokens()


@click.command()
@click.option("--url", help=f"The address of this app for Slack, as in {PLACEHOLDER}.")
@click.option("--socket", is_flag=True, help="For Socket Mode, which needs no address.")
@click.option("--distributed", is_flag=True, help="For many workspaces that install the app by OAuth.")
def manifest_command(*, url: str | None, socket: bool, distributed: bool) -> None:
    """Print the manifest to create the Slack app from, at https://api.slack.com/apps."""
    if socket and url:
        raise click.UsageError("--socket needs no --url: Slack is reached over a socket that the app opens.")
    if socket and distributed:
        raise click.UsageError("--socket serves one workspace: many install the app over HTTP.")
    if url and not re.fullmatch(r"https://[^/\s]+(/\S*)?", url):
        raise click.BadParameter(f"Slack calls https addresses only; write it as in {PLACEHOLDER}.", param_hint="--url")
    if not url and not socket:
        echo(
            f"{PLACEHOLDER} is a placeholder for this app's address. Pass the real one with --url, or use --socket.",
            err=True,
        )
    address = None if socket else base_url(url or PLACEHOLDER)
    echo(format_manifest(build_manifest(address, distributed=distributed)))


@click.command()
@click.argument("member_id", metavar="MEMBER_ID")
def forget_command(*, member_id: str) -> None:
    """Erase a person's data from the database: votes, names in alerts, rules and settings, and reasons that they typed.

    MEMBER_ID is the person's Slack member ID, as in U0123ABCD; their Slack profile shows it.
    """
    if not MEMBER_ID.fullmatch(member_id):
        raise click.BadParameter(
            f"“{member_id}” isn't a member ID. Copy it from the person's Slack profile, as in U0123ABCD.",
            param_hint="MEMBER_ID",
        )
    counts = asyncio.run(_erase_person(load_settings().database_url, member_id))
    if not counts:
        echo(f"The database has nothing about {member_id}.")
        return
    places = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in counts.items())
    echo(f"Erased {member_id} from the database (rows: {places}).")
    echo("Messages that are in Slack already still have the name, and so have logs and backups.")


async def _erase_person(url: str, member_id: str) -> dict[str, int]:
    async with aclosing(await SqlStore.open(url, create=False)) as store:
        return await store.erase_person(member_id)


@click.command()
def migrate_command() -> None:
    """Bring the database up to this version's schema; harmless where it is there already."""
    asyncio.run(_migrate(load_settings().database_url))


async def _migrate(url: str) -> None:
    if await schema_is_current(url):
        echo("The database has this version's schema already.")
        return
    await migrate(url)
    echo("The database has been brought up to this version's schema.")
