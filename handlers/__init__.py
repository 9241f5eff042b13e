"""The Slack edge: translate in, translate out, decide nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from handlers.actions import ACTIONS
from handlers.ask import Ask
from handlers.commands import COMMANDS
from handlers.commands.command import SLASH
from handlers.commands.read import read
from handlers.errands import Errands, answer
from services.domain.episode import Channel

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncBoltContext, AsyncRespond
    from slack_sdk.web.async_client import AsyncWebClient

    from handlers.ask import Reply
    from services.desk import Desk
    from services.ports import Clock
    from services.study import Study

    Listener = Callable[..., Awaitable[None]]


class Services(NamedTuple):
    """What listeners may ask."""

    desk: Desk
    study: Study
    clock: Clock


def register(app: AsyncApp, desk: Desk, study: Study, clock: Clock) -> Errands:
    """Listen to the command and to every button; return the errands, to be drained before a stop.

    The app must process before the response: the acknowledgement is the HTTP answer, and slow work comes after it.
    """
    errands, services = Errands(), Services(desk, study, clock)
    app.command(SLASH)(_on_command(errands, services))
    for action_id, act in ACTIONS.items():
        app.action(action_id)(_on_action(errands, act, services))
    return errands


def _on_command(errands: Errands, services: Services) -> Listener:
    """Answer from memory in the acknowledgement where that is enough, else acknowledge with nothing; no I/O."""

    async def listen(
        ack: AsyncAck, command: dict[str, Any], context: AsyncBoltContext, client: AsyncWebClient, respond: AsyncRespond
    ) -> None:
        seen = read(command.get("text", ""), COMMANDS)
        if seen.told is not None:
            await ack(text=seen.told.text, blocks=seen.told.blocks)
            return
        await ack()
        if seen.command is not None and seen.command.answer is not None:
            ask = _ask(services, context, client, seen.argument)
            errands.begin(answer(respond, seen.command.answer(ask)), seen.command.usage)

    return listen


def _on_action(errands: Errands, act: Callable[[Ask], Awaitable[Reply | None]], services: Services) -> Listener:
    async def listen(
        ack: AsyncAck, action: dict[str, Any], context: AsyncBoltContext, client: AsyncWebClient, respond: AsyncRespond
    ) -> None:
        await ack()
        chosen = action.get("selected_option") or action
        ask = _ask(services, context, client, str(chosen.get("value", "")))
        errands.begin(answer(respond, act(ask)), str(action["action_id"]))

    return listen


def _ask(services: Services, context: AsyncBoltContext, client: AsyncWebClient, value: str) -> Ask:
    return Ask(
        channel=Channel(team=str(context.team_id), id=str(context.channel_id)),
        by=str(context.user_id),
        value=value,
        desk=services.desk,
        study=services.study,
        clock=services.clock,
        client=client,
    )
