"""`minerpulse keys`, `manifest`, `migrate` and `forget`: set up the app in Slack, and maintain its database."""

import re
from contextlib import aclosing

import click

from bot.asyncio_runner import run_async
from bot.clock import SystemClock
from bot.commands.base import command, group
from bot.commands.options import json_option, print_document
from bot.documents.operations import migrate_document
from bot.manifest import PLACEHOLDER, base_url, build_manifest, format_manifest
from bot.settings import load_settings
from bot.streams import echo, note
from services.core.errors import InvalidSettingsError
from services.core.text import counted
from services.storage import SchemaStatus, SqlStore, generate_key, migrate, read_schema_status

MEMBER_ID = re.compile(r"[UW][A-Z0-9]{1,30}")
NO_KEYS = "MINERPULSE_TOKEN_KEYS isn't set. Put the new key before the old one, separated by a comma."


@group("minerpulse keys new", "minerpulse keys rotate")
def keys_command() -> None:
    """Generate or rotate the keys that encrypt tokens and sinks in the database."""


@keys_command.command(examples=("minerpulse keys new",))
def new() -> None:
    """Print a new key for MINERPULSE_TOKEN_KEYS.

    Store it like a password, and apart from backups of the database.
    """
    echo(generate_key())


@keys_command.command(examples=("MINERPULSE_TOKEN_KEYS=NEW,OLD minerpulse keys rotate",))
def rotate() -> None:
    """Re-encrypt stored tokens and sinks with the newest key. It is the first in MINERPULSE_TOKEN_KEYS.

    The other keys can be removed afterwards.
    """
    settings = load_settings()
    if not settings.token_keys:
        raise InvalidSettingsError(NO_KEYS)
    keys = [key.get_secret_value() for key in settings.token_keys]
    installations, sinks = run_async(_reencrypt(settings.database_url, keys))
    encrypted = f"{counted(installations, 'installation')} and {counted(sinks, 'sink configuration')}"
    echo(f"Encrypted {encrypted} with the first key.")


async def _reencrypt(url: str, keys: list[str]) -> tuple[int, int]:
    """Return the numbers of installations and of sink configurations, which include those of removed sinks."""
    async with aclosing(await SqlStore.open(url, create=False)) as store:
        tokens = await store.installations(keys).reencrypt_tokens()
        return tokens, await store.sinks(keys, SystemClock()).reencrypt_options()


@command("minerpulse manifest --socket", f"minerpulse manifest --url {PLACEHOLDER} > manifest.json")
@click.option("--url", help=f"Address at which Slack reaches this app, such as {PLACEHOLDER}.")
@click.option("--socket", is_flag=True, help="Use Socket Mode, which needs no address.")
@click.option("--distributed", is_flag=True, help="Let many workspaces install the app with OAuth.")
def manifest_command(*, url: str | None, socket: bool, distributed: bool) -> None:
    """Print the manifest that creates the Slack app at https://api.slack.com/apps."""
    if socket and url:
        raise click.UsageError("--socket can't be combined with --url: in Socket Mode, the app opens the connection.")
    if socket and distributed:
        raise click.UsageError(
            "--socket can't be combined with --distributed: only an app that uses HTTP can serve many workspaces."
        )
    if url and not re.fullmatch(r"https://[^/\s]+(/\S*)?", url):
        raise click.BadParameter(f"Slack only calls https addresses, such as {PLACEHOLDER}.", param_hint="--url")
    if not url and not socket:
        note(f"{PLACEHOLDER} is a placeholder for this app's address. Pass the real one with --url, or use --socket.")
    address = None if socket else base_url(url or PLACEHOLDER)
    echo(format_manifest(build_manifest(address, distributed=distributed)))


@command("minerpulse forget U0123ABCD")
@click.argument("member_id", metavar="MEMBER_ID")
def forget_command(*, member_id: str) -> None:
    """Delete a person's data from the database: votes, typed reasons, and names in alerts, rules and settings.

    MEMBER_ID is the person's Slack member ID, such as U0123ABCD. Their Slack profile shows it.
    """
    if not MEMBER_ID.fullmatch(member_id):
        raise click.BadParameter(
            f"“{member_id}” isn't a member ID. Copy it from the person's Slack profile. It looks like U0123ABCD.",
            param_hint="MEMBER_ID",
        )
    counts = run_async(_erase_person(load_settings().database_url, member_id))
    if not counts:
        echo(f"The database has no data about {member_id}.")
        return
    places = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in counts.items())
    echo(f"Deleted the data of {member_id} from the database (rows: {places}).")
    echo("Messages in Slack, logs and backups may still contain the person's name or ID.")


async def _erase_person(url: str, member_id: str) -> dict[str, int]:
    async with aclosing(await SqlStore.open(url, create=False)) as store:
        return await store.erase_person(member_id)


@command("minerpulse migrate --dry-run", "minerpulse migrate")
@click.option("--dry-run", is_flag=True, help="Show what would be done, without changing or creating anything.")
@json_option
def migrate_command(*, dry_run: bool, as_json: bool) -> None:
    """Upgrade the database to this version's schema.

    A database that has this schema isn't changed.
    """
    status = run_async(_migrate(load_settings().database_url, dry_run=dry_run))
    if as_json:
        print_document(migrate_document(status, is_dry_run=dry_run))
    elif status is SchemaStatus.CURRENT:
        echo("The database already has this version's schema.")
    elif status is SchemaStatus.EMPTY:
        echo("The database would be created." if dry_run else "The database was created.")
    else:
        done = "would be" if dry_run else "was"
        echo(f"The database {done} upgraded to this version's schema.")


async def _migrate(url: str, *, dry_run: bool) -> SchemaStatus:
    """Migrate a database, or with `dry_run` only read it; return its status before."""
    status = await read_schema_status(url)
    if status is not SchemaStatus.CURRENT and not dry_run:
        await migrate(url)
    return status
