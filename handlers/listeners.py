"""Bolt listeners: translate Slack payloads into requests and send the replies."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncBoltContext
from slack_sdk.web.async_client import AsyncWebClient

from handlers.actions import ACTIONS
from handlers.background import BackgroundTasks, open_message_modal, post_ephemeral, run_and_log
from handlers.command import SLASH
from handlers.commands import COMMANDS
from handlers.commands.parse import parse_command
from handlers.events import EVENTS
from handlers.home_tab import open_board
from handlers.images import ImageUploader
from handlers.render.form_fields import FIELD_PREFIX
from handlers.request import ChannelLocks, Form, Reply, Request
from handlers.rule_changes import submit_editor, update_editor, validate_editor
from handlers.rule_form import FormContext
from handlers.view_updates import ViewUpdates
from services.channels.commands import ChannelCommands
from services.core.clock import Clock
from services.core.identity import Channel
from services.research.service import ResearchService

Listener = Callable[..., Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Modal:
    """A form: `validate` returns field errors without I/O; `update` and `submit` may be slow."""

    validate: Callable[[Form], dict[str, str]]
    update: Callable[[Form], Awaitable[None]]
    submit: Callable[[Form], Awaitable[Reply]]


MODALS = {"rule_editor": Modal(validate=validate_editor, update=update_editor, submit=submit_editor)}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dependencies:
    """Services and state shared by all listeners."""

    commands: ChannelCommands
    research: ResearchService
    clock: Clock
    tasks: BackgroundTasks
    view_updates: ViewUpdates
    locks: ChannelLocks

    def build_request(
        self,
        context: AsyncBoltContext,
        client: AsyncWebClient,
        value: str,
        body: dict[str, Any],
        channel: str | None = None,
    ) -> Request:
        """Build a Request from a Slack payload; for a form, in the `channel` that it was opened from."""
        return Request(
            channel=Channel(team=str(context.team_id), id=channel or context.channel_id or ""),
            user_id=str(context.user_id),
            value=value,
            commands=self.commands,
            research=self.research,
            clock=self.clock,
            client=client,
            view_updates=self.view_updates,
            locks=self.locks,
            trigger_id=str(body.get("trigger_id") or ""),
            response_url=str(body.get("response_url") or ""),
        )


def register(
    app: AsyncApp,
    commands: ChannelCommands,
    research: ResearchService,
    clock: Clock,
    uploader: ImageUploader | None = None,
) -> BackgroundTasks:
    """Register listeners for the command and all actions, events and views; return the tasks to drain before shutdown.

    The app must process before the response: the acknowledgement is the HTTP response, and slow work follows it.
    Without an `uploader`, charts are Slack's own blocks.
    """
    deps = Dependencies(
        commands=commands,
        research=research,
        clock=clock,
        tasks=BackgroundTasks(uploader),
        view_updates=ViewUpdates(),
        locks=ChannelLocks(),
    )
    app.command(SLASH)(_on_command(deps))
    for action_id, run in ACTIONS.items():
        app.action(action_id)(_on_action(deps, run))
    app.action(re.compile(f"^{FIELD_PREFIX}"))(_on_change(deps))
    app.shortcut("board")(_on_shortcut(deps))
    for kind, handle in EVENTS.items():
        app.event(kind)(_on_event(deps, handle))
    for callback_id, modal in MODALS.items():
        app.view(callback_id)(_on_submit(deps, modal))
    return deps.tasks


def _on_command(deps: Dependencies) -> Listener:
    """Answer in the acknowledgement if no I/O is needed, else acknowledge with an empty body and run the command."""

    async def listen(ack: AsyncAck, command: dict[str, Any], context: AsyncBoltContext, client: AsyncWebClient) -> None:
        parsed = parse_command(command.get("text", ""), COMMANDS)
        if parsed.response is not None:
            await ack(text=parsed.response.text, blocks=parsed.response.blocks)
            return
        await ack()
        if parsed.command is not None and parsed.command.run is not None:
            request = deps.build_request(context, client, parsed.argument, command)
            deps.tasks.start_reply(request, parsed.command.run(request), parsed.command.usage)

    return listen


def _on_action(deps: Dependencies, run: Callable[[Request], Awaitable[Reply | None]]) -> Listener:
    async def listen(ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext, client: AsyncWebClient) -> None:
        await ack()
        action = body["actions"][0]
        choice = action.get("selected_option") or action
        request = deps.build_request(context, client, str(choice.get("value", "")), body)
        fallback = post_ephemeral if context.channel_id else open_message_modal  # the Home tab has no channel
        deps.tasks.start_reply(request, run(request), str(action["action_id"]), fallback)

    return listen


def _on_shortcut(deps: Dependencies) -> Listener:
    async def listen(ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext, client: AsyncWebClient) -> None:
        await ack()
        deps.tasks.start(run_and_log(open_board(deps.build_request(context, client, "", body))), "board shortcut")

    return listen


def _on_event(deps: Dependencies, handle: Callable[[Request, dict[str, Any]], Awaitable[None]]) -> Listener:
    async def listen(body: dict[str, Any], context: AsyncBoltContext, client: AsyncWebClient) -> None:
        event: dict[str, Any] = body["event"]
        request = deps.build_request(context, client, "", body, str(event.get("channel") or ""))
        deps.tasks.start(run_and_log(handle(request, body)), str(event["type"]))

    return listen


def _on_change(deps: Dependencies) -> Listener:
    """Update a form while it is edited; the form itself is the only reply."""

    async def listen(ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext, client: AsyncWebClient) -> None:
        await ack()
        view = body.get("view") or {}
        modal = MODALS.get(view.get("callback_id", ""))
        if modal is not None:
            deps.tasks.start(run_and_log(modal.update(_form(deps, view, body, context, client))), view["callback_id"])

    return listen


def _on_submit(deps: Dependencies, modal: Modal) -> Listener:
    """Report field errors in the acknowledgement; otherwise close the form, submit it and reply.

    The form can't show the outcome: the view in an acknowledgement may reach Slack after a later update.
    """

    async def listen(ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext, client: AsyncWebClient) -> None:
        view: dict[str, Any] = body["view"]
        form = _form(deps, view, body, context, client)
        if errors := modal.validate(form):
            await ack(response_action="errors", errors=errors)
            return
        await ack()
        request = replace(form.request, response_url=form.context.response_url)  # a view payload has no response_url
        deps.tasks.start_reply(request, modal.submit(form), view["callback_id"])

    return listen


def _form(
    deps: Dependencies, view: dict[str, Any], body: dict[str, Any], context: AsyncBoltContext, client: AsyncWebClient
) -> Form:
    form_context = FormContext.from_view(view)
    return Form(
        request=deps.build_request(context, client, "", body, form_context.channel),
        view_id=str(view["id"]),
        hash=str(view.get("hash", "")),
        values=_field_values(view),
        context=form_context,
    )


def _field_values(view: Mapping[str, Any]) -> dict[str, str]:
    """Return the values of a view's fields by block id, without the empty ones.

    An untouched choice has its initial option, even if Slack returns it as null.
    """
    state = (view.get("state") or {}).get("values") or {}
    initial = {
        block.get("block_id"): block.get("element", {}).get("initial_option") for block in view.get("blocks") or ()
    }
    values = {
        block_id: _field_value(next(iter(fields.values())), initial.get(block_id))
        for block_id, fields in state.items()
        if fields
    }
    return {block_id: value for block_id, value in values.items() if value}


def _field_value(field: Mapping[str, Any], initial: Mapping[str, Any] | None) -> str:
    if "selected_option" in field:
        option = field["selected_option"] or initial or {}
    else:
        option = next(iter(field.get("selected_options") or ()), None) or field
    return str(option.get("value") or "")
