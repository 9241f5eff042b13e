"""Bolt listeners: translate Slack payloads into requests and send the replies."""

import re
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from slack_bolt.async_app import AsyncAck, AsyncApp, AsyncBoltContext
from slack_sdk.web.async_client import AsyncWebClient

from handlers.actions import ACTIONS, Action, choose, refuse_older_message
from handlers.alert_forms import keep_resolve_form, submit_resolve, validate_resolve
from handlers.background import BackgroundTasks, open_message_modal, post_ephemeral, run_and_log
from handlers.command import SLASH
from handlers.commands import COMMANDS
from handlers.commands.parse import ParsedCommand, parse_command
from handlers.events import BUSY_EVENTS, DONE_BEFORE_ANSWER, EVENTS, MENTION_EVENT
from handlers.gate import Gate
from handlers.home_tab import open_board
from handlers.images import ImageUploader
from handlers.membership import Memberships
from handlers.mention import read_mention
from handlers.render.form_fields import FIELD_PREFIX, result_modal
from handlers.render.message import Message, text_message
from handlers.render.responses import BUSY, error_message, untracked_message
from handlers.request import Audience, ChannelLocks, Form, Reply, Request
from handlers.rule_changes import show_in_editor, submit_editor, update_editor, validate_editor
from handlers.rule_form import FormContext
from handlers.view_updates import ViewUpdates
from services.channels.commands import ChannelCommands
from services.channels.permissions import Act
from services.core.clock import Clock
from services.core.errors import AlertNotFoundError, NotFoundError
from services.core.identity import Channel, Person
from services.research.service import ResearchService

Listener = Callable[..., Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Modal:
    """A form: `validate` returns field errors without I/O; `update` and `submit` may be slow; `show` shows a message.

    Attributes:
        act: What its submission does, which decides who may submit it.
    """

    act: Act
    validate: Callable[[Form], dict[str, str]]
    update: Callable[[Form], Awaitable[None]]
    show: Callable[[Form, Message], Awaitable[None]]
    submit: Callable[[Form], Awaitable[Reply | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortcut:
    """A shortcut outside any channel: what it does, and how."""

    act: Act
    run: Callable[[Request], Awaitable[Reply | None]]


MODALS = {
    "rule_editor": Modal(
        act=Act.CHANGE_RULES, validate=validate_editor, update=update_editor, show=show_in_editor, submit=submit_editor
    ),
    "resolve": Modal(
        act=Act.RESOLVE,
        validate=validate_resolve,
        update=keep_resolve_form,
        show=keep_resolve_form,
        submit=submit_resolve,
    ),
}
SHORTCUTS = {"board": Shortcut(act=Act.READ, run=open_board)}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Dependencies:
    """Services and state shared by all listeners."""

    commands: ChannelCommands
    research: ResearchService
    clock: Clock
    tasks: BackgroundTasks
    view_updates: ViewUpdates
    locks: ChannelLocks
    memberships: Memberships
    gate: Gate

    def build_request(
        self,
        context: AsyncBoltContext,
        client: AsyncWebClient,
        value: str,
        body: dict[str, Any],
        channel: str | None = None,
    ) -> Request:
        """Build a Request from a Slack payload; for a form, in the `channel` that it was opened from."""
        commands = self.commands
        if is_outsider(body, context.team_id):
            commands = replace(commands, permissions=replace(commands.permissions, is_outsider=True))
        return Request(
            channel=Channel(team=str(context.team_id), id=channel or context.channel_id or ""),
            user_id=Person(str(context.user_id), _name_of(body)),
            value=value,
            commands=commands,
            research=self.research,
            clock=self.clock,
            client=client,
            view_updates=self.view_updates,
            locks=self.locks,
            memberships=self.memberships,
            trigger_id=str(body.get("trigger_id") or ""),
            response_url=str(body.get("response_url") or ""),
        )


def _name_of(body: Mapping[str, Any]) -> str:
    """Return the name of who caused a payload; empty for an event, which has none."""
    user = body.get("user")
    if isinstance(user, Mapping):
        return str(user.get("username") or user.get("name") or "")
    return str(body.get("user_name") or "")


def is_outsider(body: Mapping[str, Any], team: str | None) -> bool:
    """Return whether a payload comes from a person of another organization, in a Slack Connect channel.

    `team` is where the app is installed. A person of an Enterprise organization has its ID in place of a workspace's.
    Commands carry no workspace of the person: Slack doesn't offer them to people of other organizations.
    Source: https://docs.slack.dev/reference/interaction-payloads/block_actions-payload
    """
    if isinstance(event := body.get("event"), Mapping):
        return _is_outside_author(event, body, team)
    user, workspace, organization = body.get("user"), body.get("team"), body.get("enterprise")
    own = user.get("team_id") if isinstance(user, Mapping) else None
    homes = {team, workspace.get("enterprise_id") if isinstance(workspace, Mapping) else None}
    if body.get("is_enterprise_install") and isinstance(organization, Mapping):
        homes.add(organization.get("id"))
    return bool(own) and own not in homes


def _is_outside_author(event: Mapping[str, Any], body: Mapping[str, Any], team: str | None) -> bool:
    """Return whether an event's author belongs to another organization; in a shared channel, also if that is unknown.

    Source: https://docs.slack.dev/apis/slack-connect
    """
    is_shared = body.get("is_ext_shared_channel")
    author = event.get("user_team") or event.get("source_team") or event.get("team")
    if is_shared is False or not (is_shared or author):
        return False
    authorizations = body.get("authorizations") or ()
    organizations = [body.get("context_enterprise_id"), *(one.get("enterprise_id") for one in authorizations)]
    return author is None or author not in {team, *organizations}


def register(
    app: AsyncApp,
    commands: ChannelCommands,
    research: ResearchService,
    clock: Clock,
    uploader: ImageUploader | None = None,
    *,
    gate: Gate | None = None,
) -> BackgroundTasks:
    """Register listeners for the command and all actions, events and views; return the tasks to drain before shutdown.

    The app must process before the response: the acknowledgement is the HTTP response, and slow work follows it.
    Without an `uploader`, charts are Slack's own blocks; without a `gate`, nothing limits how often people ask.
    """
    deps = Dependencies(
        commands=commands,
        research=research,
        clock=clock,
        tasks=BackgroundTasks(uploader),
        view_updates=ViewUpdates(),
        locks=ChannelLocks(),
        memberships=Memberships(clock),
        gate=gate or Gate(),
    )
    app.command(SLASH)(_on_command(deps))
    for action_id, row in ACTIONS.items():
        app.action(re.compile(f"^{action_id}(:|$)"))(_on_action(deps, row))  # IDs are unique in a view by what follows
    app.action(re.compile(f"^{FIELD_PREFIX}"))(_on_change(deps))
    for callback_id, shortcut in SHORTCUTS.items():
        app.shortcut(callback_id)(_on_shortcut(deps, shortcut))
    for kind, handle in EVENTS.items():
        app.event(kind)(_on_event(deps, handle))
    app.event(MENTION_EVENT)(_on_mention(deps))
    for callback_id, modal in MODALS.items():
        app.view(callback_id)(_on_submit(deps, modal))
    return deps.tasks


def _on_command(deps: Dependencies) -> Listener:
    """Answer in the acknowledgement if no I/O is needed, else acknowledge with an empty body and run the command."""

    async def listen(ack: AsyncAck, command: dict[str, Any], context: AsyncBoltContext, client: AsyncWebClient) -> None:
        parsed = parse_command(command.get("text", ""), COMMANDS)
        if parsed.response is not None:
            await ack(parsed.acknowledgement)  # Bolt sends a text that begins with { as JSON
            return
        if deps.tasks.is_busy:
            await ack(text=BUSY)
            return
        await ack()
        name = SLASH if parsed.command is None else parsed.command.usage
        deps.tasks.start(_reply_to_command(deps, command, context, client, parsed), name)

    return listen


async def _reply_to_command(
    deps: Dependencies, body: dict[str, Any], context: AsyncBoltContext, client: AsyncWebClient, parsed: ParsedCommand
) -> None:
    """Run a command and send its reply; the acknowledgement doesn't wait until its request is built."""
    request = deps.build_request(context, client, parsed.argument, body)
    await deps.tasks.reply(request, _run_command(deps, request, parsed))


def _on_mention(deps: Dependencies) -> Listener:
    """Answer a mention of the app as a command, with a message to that person alone; ignore mentions by apps."""

    async def listen(body: dict[str, Any], context: AsyncBoltContext, client: AsyncWebClient) -> None:
        mention = read_mention(body)
        if mention is None:
            return
        channel, parsed = str(body["event"].get("channel") or ""), mention.command
        request = deps.build_request(context, client, parsed.argument, body, channel)
        request = replace(request, thread_ts=mention.thread_ts)
        deps.tasks.start_reply(request, _run_command(deps, request, parsed), MENTION_EVENT)

    return listen


def _run_command(deps: Dependencies, request: Request, parsed: ParsedCommand) -> Coroutine[Any, Any, Reply | None]:
    """Return the work of a command, past the gate; of a mention, it may be the immediate answer."""
    row = parsed.command
    if parsed.response is not None or row is None or row.run is None:
        return deps.gate.run(request, Act.READ, partial(_reply_with, parsed.response))
    return deps.gate.run(request, row.act_of(parsed.argument), partial(row.run, request), is_study=row.is_study)


async def _reply_with(message: Message | None) -> Reply | None:
    return None if message is None else Reply(message=message)


def _on_action(deps: Dependencies, row: Action) -> Listener:
    async def listen(ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext, client: AsyncWebClient) -> None:
        await ack()
        action = body["actions"][0]
        choice = action.get("selected_option") or action
        chosen, value = choose(row, str(choice.get("value", "")))
        request = deps.build_request(context, client, value, body)
        fallback = post_ephemeral if context.channel_id else open_message_modal  # the Home tab has no channel
        run = partial(_run_on_shown, chosen, request, body)
        work = partial(deps.gate.run, request, chosen.act, run, is_study=chosen.is_study)
        deps.tasks.start_reply(request, _mark_untracked(work, body), str(action["action_id"]), fallback)

    return listen


async def _run_on_shown(chosen: Action, request: Request, body: dict[str, Any]) -> Reply | None:
    """Run an action; refuse it if its message shows another alert than the one with its number."""
    ts = (body.get("message") or {}).get("ts")
    if chosen.on_alert and ts:
        await refuse_older_message(request, str(ts))
    return await chosen.run(request)


async def _mark_untracked(work: Callable[[], Awaitable[Reply | None]], body: dict[str, Any]) -> Reply | None:
    """Do the work and return its reply; for an alert that the healthy database does not have, replace its message."""
    try:
        return await work()
    except AlertNotFoundError:
        shown = body.get("message")
        if not isinstance(shown, dict) or (body.get("container") or {}).get("is_ephemeral"):
            raise
        return Reply(message=untracked_message(shown), audience=Audience.REPLACE_ORIGINAL)


def _on_shortcut(deps: Dependencies, row: Shortcut) -> Listener:
    async def listen(ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext, client: AsyncWebClient) -> None:
        await ack()
        request = deps.build_request(context, client, "", body)
        work = deps.gate.run(request, row.act, partial(row.run, request))
        deps.tasks.start_reply(request, work, "shortcut", open_message_modal)

    return listen


def _on_event(deps: Dependencies, handle: Callable[[Request, dict[str, Any]], Awaitable[None]]) -> Listener:
    """Handle an event, after the answer to Slack or, for those in DONE_BEFORE_ANSWER, before it.

    When busy, answer those in BUSY_EVENTS with that; the others are work that must be done.
    """

    async def listen(body: dict[str, Any], context: AsyncBoltContext, client: AsyncWebClient) -> None:
        event: dict[str, Any] = body["event"]
        request = deps.build_request(context, client, "", body, str(event.get("channel") or ""))
        if event["type"] in DONE_BEFORE_ANSWER:
            await handle(request, body)
            return
        chosen = BUSY_EVENTS.get(event["type"], handle) if deps.tasks.is_busy else handle
        deps.tasks.start(run_and_log(chosen(request, body)), str(event["type"]))

    return listen


def _on_change(deps: Dependencies) -> Listener:
    """Update a form while it is edited; the form itself is the only reply. When busy, it says so."""

    async def listen(ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext, client: AsyncWebClient) -> None:
        await ack()
        view = body.get("view") or {}
        modal = MODALS.get(view.get("callback_id", ""))
        if modal is None:
            return
        with suppress(NotFoundError):  # of an outdated form, whose submission says so
            form = _form(deps, view, body, context, client)
            work = modal.show(form, text_message(BUSY)) if deps.tasks.is_busy else modal.update(form)
            deps.tasks.start(run_and_log(work), view["callback_id"])

    return listen


def _on_submit(deps: Dependencies, modal: Modal) -> Listener:
    """Report field errors in the acknowledgement; otherwise close the form, submit it and reply.

    The form can't show the outcome: the view in an acknowledgement may reach Slack after a later update.
    """

    async def listen(ack: AsyncAck, body: dict[str, Any], context: AsyncBoltContext, client: AsyncWebClient) -> None:
        view: dict[str, Any] = body["view"]
        try:
            form = _form(deps, view, body, context, client)
        except NotFoundError as error:
            await ack(response_action="update", view=result_modal(error_message(error)))
            return
        if errors := modal.validate(form):
            await ack(response_action="errors", errors=errors)
            return
        await ack()
        request = replace(form.request, response_url=form.context.response_url)  # a view payload has no response_url
        work = deps.gate.run(request, modal.act, partial(modal.submit, form))
        deps.tasks.start_reply(request, work, view["callback_id"])

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
