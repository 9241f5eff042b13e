"""The modals of an alert: Details, and the form that resolves it with a reason."""

import logging

from handlers.render.alert_forms import NOTE_FIELD, details_modal, resolve_modal
from handlers.render.message import stack, text_message
from handlers.render.responses import error_message, unchanged_message
from handlers.request import Form, Reply, Request
from handlers.rule_form import FormContext
from handlers.slack_errors import translate_slack_error
from services.core.errors import DeliveryError

NO_FORM = "To resolve it without the form, type `/minerpulse resolve {number} REASON`."
log = logging.getLogger(__name__)


async def open_details(request: Request, alert_id: int) -> Reply | None:
    """Open the Details of an alert; if Slack doesn't open it, return how to see them otherwise."""
    audit = await request.commands.audit(request.channel, alert_id)
    return await _open(request, details_modal(audit, request.now), f"Type `/minerpulse why {alert_id}`.")


async def open_resolve_form(request: Request, alert_id: int) -> Reply | None:
    """Open the form that resolves an open alert; if Slack doesn't open it, return the command to type."""
    alert = await request.commands.alert(request.channel, alert_id)
    if alert.closed_at is not None:
        return Reply(message=unchanged_message(alert))
    context = FormContext(channel=request.channel.id, response_url=request.response_url, alert_id=alert_id)
    return await _open(request, resolve_modal(alert, context.to_json()), NO_FORM.format(number=alert_id))


async def _open(request: Request, view: dict[str, object], otherwise: str) -> Reply | None:
    try:
        with translate_slack_error():
            await request.client.views_open(trigger_id=request.trigger_id, view=view)
    except DeliveryError as error:
        log.warning("an alert modal did not open: %s", error)
        return Reply(message=stack(error_message(error), text_message(otherwise)))
    return None


def validate_resolve(_form: Form) -> dict[str, str]:
    """Return no errors: a reason is optional, and any will do."""
    return {}


async def keep_resolve_form(_form: Form, _message: object = None) -> None:
    """Leave the form as it is while it is edited."""


async def submit_resolve(form: Form) -> Reply | None:
    """Resolve the alert with the reason; the alert's message shows the result."""
    request, note = form.request, form.values.get(NOTE_FIELD, "")
    outcome = await request.commands.resolve(request.channel, form.context.alert_id or 0, request.user_id, note)
    return None if outcome.changed else Reply(message=unchanged_message(outcome.alert))
