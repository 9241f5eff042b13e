"""`minerpulse why ALERT`: show an alert's audit log from the database."""

from contextlib import aclosing

import click
from pydantic import TypeAdapter

from bot.asyncio_runner import run_async
from bot.clock import SystemClock
from bot.commands.base import command
from bot.commands.options import json_option, print_document
from bot.settings import Settings, load_settings
from bot.terminal import print_message
from handlers.render.history import audit_message
from handlers.render.reasons import rendered
from services.alerting.ports import AlertAudit
from services.storage import SqlStore

# Published keys of the JSON document, by field (or by parent and field) where the field has another name.
_KEYS = {
    "attribution": "parted",
    "attribution.residual": "rest",
    "blocked_by": "stuck",
    "chart": "course",
    "hits": "facts",
    "last_reported": "told",
    "mention": "calls",
    "mining": "mined",
    "open_side": "lasts",
    "prices_at": "of",
    "track_record": "record",
    "unacknowledged_since": "unseen_since",
}


@command("minerpulse why", "minerpulse why 12 --json")
@click.argument("alert", type=click.IntRange(min=1), required=False)
@json_option
def why_command(*, alert: int | None, as_json: bool) -> None:
    """Show the audit log of an alert: prices, decisions and deliveries.

    ALERT is the alert's number; without it, the newest is shown.
    """
    audit = run_async(_load_audit(load_settings(), alert))
    if as_json:
        document = TypeAdapter(AlertAudit).dump_python(audit, mode="json")
        print_document(_with_published_keys(rendered(document)))
    else:
        print_message(audit_message(audit, SystemClock().now()))


async def _load_audit(settings: Settings, alert: int | None) -> AlertAudit:
    async with aclosing(await SqlStore.open(settings.database_url, create=False)) as store:
        return await store.alert_audit(None, alert)


def _with_published_keys(value: object, parent: str = "") -> object:
    """Return a JSON value with the published keys of the document."""
    match value:
        case dict():
            return {
                _KEYS.get(f"{parent}.{key}", _KEYS.get(key, key)): _with_published_keys(item, key)
                for key, item in value.items()
            }
        case list():
            return [_with_published_keys(item, parent) for item in value]
        case _:
            return value
