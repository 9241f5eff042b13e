"""The Slack edge: translate in, translate out, decide nothing."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncBoltContext
from slack_sdk.web.async_client import AsyncWebClient

from handlers.actions import ACTIONS
from handlers.background import BackgroundTasks, update
from handlers.channel_locks import ChannelLocks
from handlers.command import SLASH
from handlers.commands import COMMANDS
from handlers.commands.parse import read
from handlers.ephemeral import open_told, post_ephemeral
from handlers.events import EVENTS
from handlers.form import Form, values_of
from handlers.home_tab import show_board
from handlers.image_upload import Pictures
from handlers.modals import MODALS, Modal
from handlers.render.form_fields import FOLLOWED
from handlers.request import Reply, Request
from handlers.rule_form import About
from handlers.view_updates import ViewUpdates
from services.channels.commands import ChannelCommands
from services.core.clock import Clock
from services.core.identity import Channel
from services.research.service import ResearchService

Listener = Callable[..., Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SlackHandlers:
    """What every listener works with."""

    desk: ChannelCommands
    study: ResearchService
    clock: Clock
    errands: BackgroundTasks
    newest: ViewUpdates
    turns: ChannelLocks

    def ask(
        self,
        context: AsyncBoltContext,
        client: AsyncWebClient,
        value: str,
        body: dict[str, Any],
        channel: str | None = None,
    ) -> Request:
        """Put a person's wish together; of a form, in the `channel` that it is about."""
        return Request(
            channel=Channel(team=str(context.team_id), id=channel or context.channel_id or ""),
            by=str(context.user_id),
            value=value,
            desk=self.desk,
            study=self.study,
            clock=self.clock,
            client=client,
            newest=self.newest,
            turns=self.turns,
            trigger=str(body.get("trigger_id") or ""),
            answers_to=str(body.get("response_url") or ""),
        )


def register(
    app: AsyncApp, desk: ChannelCommands, study: ResearchService, clock: Clock, pictures: Pictures | None = None
) -> BackgroundTasks:
    """Listen to the command, to every button and to every form; return the errands, to be drained before a stop.

    The app must process before the response: the acknowledgement is the HTTP answer, and slow work comes after it.
    Without `pictures`, charts are Slack's own.
    """
    edge = SlackHandlers(
        desk=desk,
        study=study,
        clock=clock,
        errands=BackgroundTasks(pictures),
        newest=ViewUpdates(),
        turns=ChannelLocks(),
    )
    app.command(SLASH)(_on_command(edge))
    for action_id, act in ACTIONS.items():
        app.action(action_id)(_on_action(edge, act))
    app.action(re.compile(f"^{FOLLOWED}"))(_on_change(edge))
    app.shortcut("board")(_on_shortcut(edge))
    for kind, hear in EVENTS.items():
        app.event(kind)(_on_event(edge, hear))
    for callback_id, modal in MODALS.items():
        app.view(callback_id)(_on_submit(edge, modal))
    return edge.errands


def _on_command(edge: SlackHandlers) -> Listener:
    """Answer from memory in the acknowledgement where that is enough, else acknowledge with nothing; no I/O."""

    async def listen(ack: AsyncAck, command: dict[str, Any], context: AsyncBoltContext, client: AsyncWebClient) -> None:
        seen = read(command.get("text", ""), COMMANDS)
        if seen.told is not None:
            await ack(text=seen.told.text, blocks=seen.told.blocks)
            return
        await ack()
        if seen.command is not None and seen.command.answer is not None:
            ask = edge.ask(context, client, seen.argument, command)
            edge.errands.answer(ask, seen.command.answer(ask), seen.command.usage)

    return listen


def _on_action(edge: SlackHandlers, act: Callable[[Request], Awaitable[Reply | None]]) -> Listener:
    async def listen(ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext, client: AsyncWebClient) -> None:
        await ack()
        action = body["actions"][0]
        chosen = action.get("selected_option") or action
        ask = edge.ask(context, client, str(chosen.get("value", "")), body)
        otherwise = post_ephemeral if context.channel_id else open_told  # the Home tab is in no channel
        edge.errands.answer(ask, act(ask), str(action["action_id"]), otherwise)

    return listen


def _on_shortcut(edge: SlackHandlers) -> Listener:
    async def listen(ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext, client: AsyncWebClient) -> None:
        await ack()
        edge.errands.begin(update(show_board(edge.ask(context, client, "", body))), "the board by shortcut")

    return listen


def _on_event(edge: SlackHandlers, hear: Callable[[Request, dict[str, Any]], Awaitable[None]]) -> Listener:
    """Take note of something that happened, after Slack was told that it was heard."""

    async def listen(body: dict[str, Any], context: AsyncBoltContext, client: AsyncWebClient) -> None:
        event: dict[str, Any] = body["event"]
        ask = edge.ask(context, client, "", body, str(event.get("channel") or ""))
        edge.errands.begin(update(hear(ask, body)), str(event["type"]))

    return listen


def _on_change(edge: SlackHandlers) -> Listener:
    """Follow what is typed into a form; there is nobody to answer but the form itself."""

    async def listen(ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext, client: AsyncWebClient) -> None:
        await ack()
        view = body.get("view") or {}
        modal = MODALS.get(view.get("callback_id", ""))
        if modal is not None:
            edge.errands.begin(update(modal.follow(_form(edge, view, body, context, client))), view["callback_id"])

    return listen


def _on_submit(edge: SlackHandlers, modal: Modal) -> Listener:
    """Refuse wrong fields in the acknowledgement, each beneath its own; else close the form, save and answer.

    The form cannot show the outcome: what the acknowledgement puts into it may reach Slack after any later update.
    """

    async def listen(ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext, client: AsyncWebClient) -> None:
        view: dict[str, Any] = body["view"]
        form = _form(edge, view, body, context, client)
        if wrong := modal.check(form):
            await ack(response_action="errors", errors=wrong)
            return
        await ack()
        ask = replace(form.ask, answers_to=form.about.answers_to)  # Slack gives none with a form
        edge.errands.answer(ask, modal.save(form), view["callback_id"])

    return listen


def _form(
    edge: SlackHandlers, view: dict[str, Any], body: dict[str, Any], context: AsyncBoltContext, client: AsyncWebClient
) -> Form:
    about = About.read(view)
    return Form(
        ask=edge.ask(context, client, "", body, about.channel),
        view_id=str(view["id"]),
        hash=str(view.get("hash", "")),
        values=values_of(view),
        about=about,
    )
