"""The Home tab, and the board by shortcut: what one person sees outside any channel."""

from __future__ import annotations

import logging
from typing import Any

from handlers.ephemeral import write_to
from handlers.render.home import home_notice_view, home_view, loading_view, market_modal
from handlers.render.message import text_message
from handlers.render.responses import error_message
from handlers.render.rule_form import result_modal
from handlers.request import Request
from handlers.slack_errors import translate_slack_error
from services.core.errors import DeliveryError, MessageRefusedError, MinerPulseError

REFUSED = (
    "Slack refuses this tab as it should look, which has been logged. In a channel, `/minerpulse` shows the market and "
    "`/minerpulse rules` what is watched there."
)
log = logging.getLogger(__name__)


async def publish(ask: Request) -> None:
    """Show a person their Home tab as it is now; where Slack refuses its layout, a plain one. Raises DeliveryError."""
    try:
        await _publish(ask, await _tab(ask))
    except MessageRefusedError as error:
        if not error.permanent:
            raise
        log.error("Slack refuses the Home tab, shown in plain form: %s", error.__cause__)  # noqa: TRY400 -- a cause says more
        await _publish(ask, home_notice_view(text_message(REFUSED)))


async def _tab(ask: Request) -> dict[str, Any]:
    try:
        return home_view(await ask.desk.overview(ask.channel.team, ask.by), ask.now)
    except MinerPulseError as error:
        log.warning("told on the Home tab: %s", error)
        return home_notice_view(error_message(error))


async def _publish(ask: Request, view: dict[str, Any]) -> None:
    with translate_slack_error():
        await ask.client.views_publish(user_id=ask.by, view=view)


async def show_board(ask: Request) -> None:
    """Open the market in a form of its own; where Slack does not, tell the person why. Raises DeliveryError.

    A shortcut comes from no channel, so that a message from the app to that person is all that is left.
    """
    try:
        await _open_board(ask)
    except DeliveryError as error:
        log.warning("the board did not open by shortcut: %s", error)
        await write_to(ask, error_message(error))


async def _open_board(ask: Request) -> None:
    """Show what memory has at once, then the prices."""
    with translate_slack_error():
        opened = await ask.client.views_open(trigger_id=ask.trigger, view=loading_view())
        shown: dict[str, Any] = opened.get("view") or {}
        await ask.client.views_update(view_id=str(shown.get("id")), view=await _market(ask))


async def _market(ask: Request) -> dict[str, Any]:
    try:
        return market_modal(await ask.desk.view(), ask.now)
    except MinerPulseError as error:
        return result_modal(error_message(error))
