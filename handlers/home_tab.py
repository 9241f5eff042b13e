"""The Home tab and the board shortcut: what one person sees outside any channel."""

import logging
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, NamedTuple

from handlers.command import split_number
from handlers.commands.channel import mute, show_or_set
from handlers.commands.rules import list_rules
from handlers.render.form_fields import result_modal
from handlers.render.home import MenuItem, home_notice_view, home_view, loading_view, market_modal
from handlers.render.message import Message, text_message
from handlers.render.responses import BUSY, error_message
from handlers.request import Reply, Request
from handlers.rule_changes import open_editor
from handlers.slack_errors import translate_slack_error
from services.channels.permissions import Act
from services.core.errors import DeliveryError, MessageRefusedError, MinerPulseError, NotFoundError
from services.core.identity import Channel
from services.core.rows import complete

LAYOUT_REFUSED = (
    "Slack rejected the layout of this tab. The error was logged. In a channel, `/minerpulse` shows the market and "
    "`/minerpulse rules` shows its rules."
)
MEMBERSHIP_UNKNOWN = "Couldn't check which channels you are in, so nothing was changed. Try again in a minute."
NOT_A_MEMBER = "You aren't a member of that channel, so nothing was changed."
STALE_HOME = "This button is out of date. Open Home again."
MUTE_LENGTH = "2h"
PAGE_NUMBER = re.compile(r"[0-9]{1,6}", re.ASCII)
log = logging.getLogger(__name__)


async def publish_home(request: Request) -> None:
    """Publish a person's Home tab, or a plain one if Slack rejects its layout. Raises DeliveryError."""
    try:
        await _publish_view(request, await _home_view(request))
    except MessageRefusedError as error:
        if not error.permanent:
            raise
        log.error("Slack rejected the Home tab layout; publishing a plain one: %s", error.__cause__)  # noqa: TRY400 -- the cause says more
        await _publish_view(request, home_notice_view(text_message(LAYOUT_REFUSED)))


class MenuAction(NamedTuple):
    """What a menu item does in its channel, the value that it gets, and the act that decides who may use it."""

    act: Act
    run: Callable[[Request], Awaitable[Reply | None]]
    value: str = ""


MENU_ACTIONS = complete(
    "MENU_ACTIONS",
    MenuItem,
    {
        MenuItem.RULES: MenuAction(Act.READ, list_rules),
        MenuItem.ADD_RULE: MenuAction(Act.CHANGE_RULES, open_editor),
        MenuItem.SETTINGS: MenuAction(Act.READ, show_or_set),
        MenuItem.MUTE: MenuAction(Act.MUTE, mute, MUTE_LENGTH),
    },
)


async def acknowledge_on_home(request: Request) -> None:
    """Acknowledge an alert of a channel that the person is a member of, and publish Home again.

    Raises NotFoundError or NotAllowedError.
    """
    channel, _, rest = request.value.partition(":")
    number, _, page = rest.partition(":")
    alert_id = split_number(number).number
    if alert_id is None:
        raise NotFoundError(STALE_HOME)
    there = await _in_channel(request, channel)
    await there.commands.acknowledge(there.channel, alert_id, there.user_id)
    await publish_home(replace(request, value=page))


async def use_channel_menu(request: Request) -> Reply | None:
    """Do what a menu item says, in the channel that it names. Raises NotFoundError or NotAllowedError."""
    item, _, channel = request.value.partition(":")
    if item not in {known.value for known in MenuItem}:
        raise NotFoundError(STALE_HOME)
    action = MENU_ACTIONS[MenuItem(item)]
    there = replace(await _in_channel(request, channel), value=action.value)
    await there.commands.authorize(there.channel, action.act, there.user_id)
    reply = await action.run(there)
    return reply and replace(reply, message=_without_controls(reply.message))


async def _in_channel(request: Request, channel: str) -> Request:
    """Return the request as made in a channel. Raises NotFoundError unless Slack lists the person as a member."""
    channels = await _channels_of(request)
    if channels is None:
        raise NotFoundError(MEMBERSHIP_UNKNOWN)
    if channel not in channels:
        raise NotFoundError(NOT_A_MEMBER)
    return replace(request, channel=Channel(team=request.channel.team, id=channel))


def _without_controls(message: Message) -> Message:
    """Return a message for a modal of Home, which has no channel that a button could act in."""
    blocks = [
        {key: value for key, value in block.items() if key != "accessory"}
        for block in message.blocks
        if block["type"] != "actions"
    ]
    return Message(blocks=blocks, text=message.text)


async def publish_busy_home(request: Request) -> None:
    """Publish a Home tab that says that the app is busy. Raises DeliveryError."""
    await _publish_view(request, home_notice_view(text_message(BUSY)))


async def _home_view(request: Request) -> dict[str, Any]:
    try:
        overview = await request.commands.overview(
            request.channel.team, request.user_id, await _channels_of(request), _page(request.value)
        )
        return home_view(overview, request.now)
    except MinerPulseError as error:
        log.warning("Home tab shows an error: %s", error)
        return home_notice_view(error_message(error))


def _page(value: str) -> int:
    """Return the page that a button names; the first one for anything else."""
    return int(value) if PAGE_NUMBER.fullmatch(value) else 0


async def _channels_of(request: Request) -> frozenset[str] | None:
    """Return the ids of the channels that this person is a member of; None if that is unknown."""
    if request.memberships is None:
        return None
    return await request.memberships.channels_of(request.client, request.channel.team, request.user_id)


async def _publish_view(request: Request, view: dict[str, Any]) -> None:
    with translate_slack_error():
        await request.client.views_publish(user_id=request.user_id, view=view)


async def open_board(request: Request) -> None:
    """Open the market in a modal, or send the person the reason if Slack doesn't open it. Raises DeliveryError.

    A shortcut has no channel, so a direct message is the only fallback.
    """
    try:
        await _open_board(request)
    except DeliveryError as error:
        log.warning("the board shortcut did not open: %s", error)
        message = error_message(error)
        with translate_slack_error():
            await request.client.chat_postMessage(channel=request.user_id, text=message.text, blocks=message.blocks)


async def _open_board(request: Request) -> None:
    with translate_slack_error():
        opened = await request.client.views_open(trigger_id=request.trigger_id, view=loading_view())
        view: dict[str, Any] = opened.get("view") or {}
        await request.client.views_update(view_id=str(view.get("id")), view=await _market_view(request))


async def _market_view(request: Request) -> dict[str, Any]:
    try:
        return market_modal(await request.commands.view())
    except MinerPulseError as error:
        return result_modal(error_message(error))
