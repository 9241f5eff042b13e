"""`minerpulse why ALERT`: the receipt of an alert, from the database."""

from __future__ import annotations

import asyncio
import json

import click
from pydantic import TypeAdapter
from rich.console import Console

from bot.clock import SystemClock
from bot.commands.options import as_json
from bot.settings import Settings, load_settings
from bot.terminal import show_message
from handlers.render.history import audit_message
from services.alerting.records import AlertAudit
from services.storage import SqlStore


@click.command()
@click.argument("alert", type=click.IntRange(min=1), required=False)
@as_json
def command(*, alert: int | None, as_json: bool) -> None:
    """Tell what an alert rests on, what was decided and why, and what became of each message; the newest by itself."""
    receipt = asyncio.run(_receipt(load_settings(), alert))
    if as_json:
        document = TypeAdapter(AlertAudit).dump_python(receipt, mode="json")
        click.echo(json.dumps(document, ensure_ascii=False))
    else:
        message = audit_message(receipt, SystemClock().now())
        Console(highlight=False).print(show_message(message.text, message.blocks))


async def _receipt(settings: Settings, alert: int | None) -> AlertAudit:
    store = await SqlStore.open(settings.database_url)
    try:
        return await store.receipt(None, alert)
    finally:
        await store.aclose()
