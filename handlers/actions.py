"""Buttons and menus by action_id: of alerts, the board, the welcome, rules and tuned rules.

A new one is a function and a row of ACTIONS, with the act that decides who may use it. The outbox edits the message of
an alert, so that its buttons reply only if they have no effect.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from handlers.command import split_number
from handlers.home_tab import publish_home
from handlers.render.board import board_message
from handlers.render.chart import chart_message, chart_picture
from handlers.render.history import audit_message
from handlers.render.message import Message, stack, text_message
from handlers.render.responses import no_close_message, unchanged_message, vote_message
from handlers.render.rules import alerts_started_message
from handlers.render.tune import rule_exists_message, stale_tune_message
from handlers.request import Audience, Reply, Request
from handlers.rule_changes import (
    add_rule,
    announce_alerts,
    edit_rule_text,
    open_editor,
    preview_tuning,
)
from services.alerting.snooze import SnoozeUntil
from services.channels.commands import AlertOutcome
from services.channels.permissions import Act
from services.channels.rule_placement import find_placement
from services.core.errors import MarketClosedError, NotFoundError, RuleError
from services.market.measure import Window
from services.rules.grammar import parse_rule
from services.rules.rule import DEFAULT_RULES

SHORTEST = Window.D1  # two points are too few for a line
DEFAULT_WINDOW = Window.D20
STALE_BUTTON = "This button is no longer in use. Type /minerpulse to see what is open here."
_SNOOZE_CHOICES = {choice.value: choice for choice in SnoozeUntil}


async def acknowledge(request: Request) -> Reply | None:
    """Acknowledge the alert."""
    alert_id = _number(request.value)
    return _reply(await request.commands.acknowledge(request.channel, alert_id, request.user_id))


async def unacknowledge(request: Request) -> Reply | None:
    """Remove the acknowledgement."""
    alert_id = _number(request.value)
    return _reply(await request.commands.unacknowledge(request.channel, alert_id, request.user_id))


async def snooze(request: Request) -> Reply | None:
    """Mute the alert's thread for a while."""
    alert_id, _, choice = request.value.partition(":")
    if choice not in _SNOOZE_CHOICES:
        raise NotFoundError(STALE_BUTTON)
    span = _SNOOZE_CHOICES[choice]
    try:
        outcome = await request.commands.snooze(request.channel, _number(alert_id), request.user_id, span)
    except MarketClosedError as error:
        return Reply(message=no_close_message(error.next_open_at))
    return _reply(outcome)


async def resolve(request: Request) -> Reply | None:
    """Resolve the alert."""
    alert_id = _number(request.value)
    return _reply(await request.commands.resolve(request.channel, alert_id, request.user_id, ""))


def _reply(outcome: AlertOutcome) -> Reply | None:
    return None if outcome.changed else Reply(message=unchanged_message(outcome.alert))


async def vote(request: Request, *, noise: bool) -> Reply:
    """Store a vote on an ended alert and show all votes."""
    votes = await request.commands.vote(request.channel, _number(request.value), request.user_id, noise=noise)
    return Reply(message=vote_message(votes, noise=noise))


async def show_audit(request: Request) -> Reply:
    """Show the data behind the alert and the delivery of its messages."""
    audit = await request.commands.audit(request.channel, _number(request.value))
    return Reply(message=audit_message(audit, request.now))


async def show_chart(request: Request) -> Reply:
    """Chart both legs over the alert's window as of now, with its rule below, even if the alert has ended."""
    alert = await request.commands.alert(request.channel, _number(request.value))
    window = alert.lead.measurement.window
    rule = parse_rule(alert.lead.rule)
    result = await request.commands.chart(request.channel, DEFAULT_WINDOW if window is SHORTEST else window, rule)
    return Reply(message=chart_message(result, request.now), picture=chart_picture(result))


async def refresh(request: Request) -> Reply:
    """Replace the board with the current one."""
    message = board_message(await request.commands.board(request.channel, request.user_id), request.now)
    return Reply(message=message, audience=Audience.REPLACE_ORIGINAL)


async def share(request: Request) -> Reply:
    """Post the current board to the channel, with the name of who shared it."""
    message = board_message(await request.commands.board(request.channel), request.now, shared_by=request.user_id)
    return Reply(message=message, audience=Audience.CHANNEL)


async def start(request: Request) -> Reply:
    """Start alerts in a channel without rules, and refresh the board.

    Announces alerts first, which proves that the app can post; then adds the default rules. Of several processes that
    handle a press at the same time, one does so.
    """
    channel, commands = request.channel, request.commands
    async with request.locks.of(channel):
        if not await commands.rules(channel) and await commands.claim_announcement(channel):
            try:
                await announce_alerts(request, DEFAULT_RULES, commands.pair)
                await commands.add_default_rules(channel, request.user_id, announced=True)
            except BaseException:
                await commands.release_announcement(channel)
                raise
    return await refresh(request)


async def begin(request: Request) -> Reply:
    """Add the default rules if there are none, and replace the welcome with the announcement.

    An edited message sends no notification, so the line about the change is posted as well.
    """
    async with request.locks.of(request.channel):
        if await request.commands.rules(request.channel):
            return Reply(message=text_message("Alerts come here already. `/minerpulse rules` lists what is watched."))
        await request.commands.add_default_rules(request.channel, request.user_id)
    simulated = request.commands.market.history.simulated
    message = alerts_started_message(request.commands.pair, DEFAULT_RULES, request.user_id, simulated=simulated)
    return Reply(message=message, audience=Audience.REPLACE_ORIGINAL)


async def edit_rule(request: Request) -> Reply | None:
    """Open the editor with the rule as the message shows it; the editor then checks that it still exists."""
    rule_id, _, text = request.value.partition(":")
    try:
        parse_rule(text)
    except RuleError as error:
        raise NotFoundError(STALE_BUTTON) from error
    return await open_editor(request, text, _number(rule_id))


async def use_rule(request: Request) -> Reply:
    """Edit or add the tuned rule in place of its preview; if the rules changed since, show a new preview instead."""
    return Reply(message=await _use_rule(request), audience=Audience.REPLACE_ORIGINAL)


async def _use_rule(request: Request) -> Message:
    try:
        version, text, rate = request.value.split("|")  # of the rules when previewed; the tuned rule; the target
    except ValueError as error:
        raise NotFoundError(STALE_BUTTON) from error
    placement = find_placement(await request.commands.rules(request.channel), parse_rule(text, request.research.pair))
    rule = str(placement.rule)
    if placement.existing is not None:
        return rule_exists_message(placement.existing)
    if placement.version != version:
        return stack(stale_tune_message(), await preview_tuning(request, rate))
    if placement.target is None:
        return await add_rule(request, rule)
    return await edit_rule_text(request, placement.target.id, rule)


def _number(value: str) -> int:
    """Parse the id of an alert or a rule. Raises NotFoundError if the button is from an older version."""
    number, rest = split_number(value)
    if number is None or rest:
        raise NotFoundError(STALE_BUTTON)
    return number


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A button or menu.

    Attributes:
        act: What it does, which decides who may use it.
        run: Does the work after the acknowledgement.
        is_study: Whether it measures years of history; a person runs one of these at a time.
    """

    act: Act
    run: Callable[[Request], Awaitable[Reply | None]]
    is_study: bool = False


ACTIONS: dict[str, Action] = {
    "acknowledge": Action(act=Act.ACKNOWLEDGE, run=acknowledge),
    "add_rule": Action(act=Act.CHANGE_RULES, run=open_editor),
    "begin": Action(act=Act.CHANGE_RULES, run=begin),
    "chart": Action(act=Act.READ, run=show_chart),
    "edit_rule": Action(act=Act.CHANGE_RULES, run=edit_rule),
    "noise": Action(act=Act.VOTE, run=partial(vote, noise=True)),
    "refresh": Action(act=Act.READ, run=refresh),
    "home_next": Action(act=Act.READ, run=publish_home),
    "home_previous": Action(act=Act.READ, run=publish_home),
    "refresh_home": Action(act=Act.READ, run=publish_home),
    "resolve": Action(act=Act.RESOLVE, run=resolve),
    "share": Action(act=Act.SHARE, run=share),
    "snooze": Action(act=Act.SNOOZE, run=snooze),
    "start": Action(act=Act.CHANGE_RULES, run=start),
    "unacknowledge": Action(act=Act.ACKNOWLEDGE, run=unacknowledge),
    "use_rule": Action(act=Act.CHANGE_RULES, run=use_rule, is_study=True),
    "useful": Action(act=Act.VOTE, run=partial(vote, noise=False)),
    "why": Action(act=Act.READ, run=show_audit),
}
