"""The Home tab, and the board by shortcut: what one person sees outside any channel."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from handlers import render
from handlers.ephemeral import write_to
from handlers.slack_errors import translate_slack_error
from services.core.errors import DeliveryError, MessageRefusedError, MinerPulseError

if TYPE_CHECKING:
    from handlers.request import Request

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
        await _publish(ask, render.home_instead(render.say(REFUSED)))


async def _tab(ask: Request) -> dict[str, Any]:
    try:
        return render.home(await ask.desk.overview(ask.channel.team, ask.by), ask.now)
    except MinerPulseError as error:
        log.warning("told on the Home tab: %s", error)
        return render.home_instead(render.complaint(error))


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
        await write_to(ask, render.complaint(error))


async def _open_board(ask: Request) -> None:
    """Show what memory has at once, then the prices."""
    with translate_slack_error():
        opened = await ask.client.views_open(trigger_id=ask.trigger, view=render.fetching())
        shown: dict[str, Any] = opened.get("view") or {}
        await ask.client.views_update(view_id=str(shown.get("id")), view=await _market(ask))


async def _market(ask: Request) -> dict[str, Any]:
    try:
        return render.market_view(await ask.desk.view(), ask.now)
    except MinerPulseError as error:
        return render.outcome_view(render.complaint(error))
