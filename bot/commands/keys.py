"""`minerpulse keys new` and `keys rotate`: the encryption keys of workspace tokens."""

import asyncio

import click

from bot.settings import load_settings
from services.core.errors import InvalidSettingsError
from services.storage import SqlStore, generate_key

NO_KEYS = "MINERPULSE_TOKEN_KEYS is not set; put a new key before the old one, separated by a comma."


@click.group()
def command() -> None:
    """Draw a key that seals tokens, or seal them anew."""


@command.command()
def new() -> None:
    """Print a new key for MINERPULSE_TOKEN_KEYS; keep it as safe as a password, and out of backups of the database."""
    click.echo(generate_key())


@command.command()
def rotate() -> None:
    """Seal every stored token with the first of MINERPULSE_TOKEN_KEYS; the other keys can be taken out then."""
    settings = load_settings()
    if not settings.token_keys:
        raise InvalidSettingsError(NO_KEYS)
    keys = [key.get_secret_value() for key in settings.token_keys]
    count = asyncio.run(_reencrypt(settings.database_url, keys))
    click.echo(f"{count} installation{'' if count == 1 else 's'} sealed with the first key.")


async def _reencrypt(url: str, keys: list[str]) -> int:
    store = await SqlStore.open(url)
    try:
        return await store.installations(keys).reencrypt_tokens()
    finally:
        await store.aclose()
