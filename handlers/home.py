"""The Home tab, and the board by shortcut: what one person sees outside any channel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from handlers import render
from handlers.refusals import translated
from services.domain.errors import NoHistoryError

if TYPE_CHECKING:
    from handlers.ask import Ask


async def publish(ask: Ask) -> None:
    """Show a person their Home tab as it is now. Raises DeliveryError."""
    view = render.home(await ask.desk.overview(ask.channel.team, ask.by), ask.now)
    with translated():
        await ask.client.views_publish(user_id=ask.by, view=view)


async def show_board(ask: Ask) -> None:
    """Open the market in a form of its own: at once from memory, then with the prices. Raises DeliveryError."""
    with translated():
        opened = await ask.client.views_open(trigger_id=ask.trigger, view=render.fetching())
        shown: dict[str, Any] = opened.get("view") or {}
        await ask.client.views_update(view_id=str(shown.get("id")), view=await _market(ask))


async def _market(ask: Ask) -> dict[str, Any]:
    try:
        return render.market_view(await ask.desk.view(), ask.now)
    except NoHistoryError as error:
        return render.outcome_view(render.complaint(error))
