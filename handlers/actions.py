"""Buttons and menus by action_id: of alerts, the board, the welcome, rules and tuned rules.

A new one is a function and a row of ACTIONS, with the act that decides who may use it. The outbox edits the message of
an alert, so that its buttons reply only if they have no effect.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial

from handlers.alert_forms import open_details, open_resolve_form
from handlers.command import WINDOWS, parse_market_argument, split_number
from handlers.commands import COMMANDS
from handlers.commands.market import backtest, explain, miners
from handlers.commands.parse import parse_exactly, show_help
from handlers.commands.rules import edit_in_editor, find_rule, list_rules, pause, resume
from handlers.home_tab import acknowledge_on_home, publish_home, use_channel_menu
from handlers.render.alert import MENU
from handlers.render.board import board_message
from handlers.render.chart import chart_message, chart_picture
from handlers.render.help import HELP_TOPIC, RUN_COMMAND
from handlers.render.history import audit_message
from handlers.render.message import Message, stack, text_message
from handlers.render.responses import no_close_message, not_snoozed_message, unchanged_message, vote_message
from handlers.render.rules import (
    REMOVE_RULE,
    RULE_MENU,
    UNDO_ADD,
    UNDO_EDIT,
    UNDO_REMOVE,
    alerts_started_message,
    confirm_remove_message,
    rule_added_message,
    rule_edited_message,
    rule_removed_message,
    undone_message,
)
from handlers.render.study import SHARED, shared_message
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
from services.core.errors import AlertNotFoundError, MarketClosedError, NotFoundError, RuleError
from services.core.prices import Pair
from services.market.measure import Window
from services.rules.grammar import parse_rule
from services.rules.rule import DEFAULT_RULES

SHORTEST = Window.D1  # two points are too few for a line
DEFAULT_WINDOW = Window.D20
STALE_BUTTON = "This button is out of date. Type `/minerpulse` for the current state."
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


async def unsnooze(request: Request) -> Reply | None:
    """End the snooze of the alert."""
    outcome = await request.commands.unsnooze(request.channel, _number(request.value), request.user_id)
    return None if outcome.changed else Reply(message=not_snoozed_message(outcome.alert))


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


async def show_board_chart(request: Request) -> Reply:
    """Chart both legs over the window that the button names."""
    market = parse_market_argument(request.value)
    if market is None or market.window is None:
        raise NotFoundError(STALE_BUTTON)
    result = await request.commands.chart(request.channel, market.window, pair=market.pair)
    return Reply(message=chart_message(result, request.now), picture=chart_picture(result))


async def refresh(request: Request) -> Reply:
    """Replace the board with the current one."""
    board = await request.commands.board(request.channel, request.user_id, _pair(request.value))
    return Reply(message=board_message(board, request.now), audience=Audience.REPLACE_ORIGINAL)


async def share(request: Request) -> Reply:
    """Post the current board to the channel, with the name of who shared it."""
    board = await request.commands.board(request.channel, pair=_pair(request.value))
    message = board_message(board, request.now, shared_by=request.user_id)
    return Reply(message=message, audience=Audience.CHANNEL)


async def share_study(run: Callable[[Request], Awaitable[Reply | None]], request: Request) -> Reply | None:
    """Run a study again and post it to the channel, with the name of who shared it."""
    reply = await run(request)
    if reply is None:
        return None
    message = shared_message(reply.message, request.user_id, request.now)
    return replace(reply, message=message, audience=Audience.CHANNEL)


async def show_window(run: Callable[[Request], Awaitable[Reply]], request: Request) -> Reply:
    """Replace a study with the same one over the chosen window."""
    if request.value not in WINDOWS:
        raise NotFoundError(STALE_BUTTON)
    return replace(await run(request), audience=Audience.REPLACE_ORIGINAL)


def _pair(value: str) -> Pair | None:
    """Return the pair of a board's button; None for the usual one."""
    market = parse_market_argument(value)
    return None if market is None else market.pair


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
            already = "Nothing was changed: this channel already has rules. `/minerpulse rules` shows them."
            return Reply(message=text_message(already))
        await request.commands.add_default_rules(request.channel, request.user_id)
    simulated = request.commands.market.history.simulated
    message = alerts_started_message(request.commands.pair, DEFAULT_RULES, request.user_id, simulated=simulated)
    return Reply(message=message, audience=Audience.REPLACE_ORIGINAL)


async def edit_new_rule(request: Request) -> Reply | None:
    """Open the editor with the suggested rule, or with the usual one."""
    try:
        text = str(parse_rule(request.value))
    except RuleError:
        text = ""
    return await open_editor(request, text)


async def show_topic(request: Request) -> Reply:
    """Show help on a topic."""
    return Reply(message=show_help(request.value, COMMANDS))


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


async def edit_rule_by_id(request: Request) -> Reply | None:
    """Open the editor with a rule of the channel. Raises NotFoundError if it is gone."""
    return await edit_in_editor(request, _number(request.value))


async def backtest_rule(request: Request) -> Reply:
    """Backtest a rule of the channel. Raises NotFoundError if it is gone."""
    rule = await find_rule(request, _number(request.value))
    return await backtest(replace(request, value=str(rule.rule)))


async def pause_rule(request: Request) -> Reply:
    """Pause a rule of the channel."""
    return await pause(replace(request, value=str(_number(request.value))))


async def resume_rule(request: Request) -> Reply:
    """Resume a rule of the channel."""
    return await resume(replace(request, value=str(_number(request.value))))


async def ask_to_remove(request: Request) -> Reply:
    """Ask whether to remove a rule of the channel. Raises NotFoundError if it is gone."""
    rule = await find_rule(request, _number(request.value))
    listing = await request.commands.rule_list(request.channel)
    return Reply(message=confirm_remove_message(rule, listing.alerts.get(rule.id)))


async def remove_rule(request: Request) -> Reply:
    """Remove a rule that reads as the question about it says. Raises NotFoundError if it doesn't any more."""
    rule_id, text = _rule_and_text(request.value)
    if str((await find_rule(request, rule_id)).rule) != text:
        raise NotFoundError(
            f"Rule {rule_id} has since been changed, so it wasn't removed. `/minerpulse rules` shows it."
        )
    removed = await request.commands.remove_rule(request.channel, rule_id, request.user_id)
    return Reply(message=rule_removed_message(removed), audience=Audience.REPLACE_ORIGINAL)


async def undo_add(request: Request) -> Reply:
    """Remove a rule that was just added. Raises NotFoundError if it was changed since."""
    removed = await request.commands.undo_add(request.channel, *_rule_and_text(request.value), request.user_id)
    return Reply(message=undone_message(removed), audience=Audience.REPLACE_ORIGINAL)


async def undo_edit(request: Request) -> Reply:
    """Restore the text of a rule that was just edited. Raises NotFoundError if it was changed since."""
    edited = await request.commands.undo_edit(request.channel, *_rule_and_text(request.value), request.user_id)
    return Reply(message=rule_edited_message(edited), audience=Audience.REPLACE_ORIGINAL)


async def undo_remove(request: Request) -> Reply:
    """Add a rule again that was just removed. Raises NotFoundError if it wasn't."""
    added = await request.commands.undo_remove(request.channel, *_rule_and_text(request.value), request.user_id)
    return Reply(message=rule_added_message(added), audience=Audience.REPLACE_ORIGINAL)


def _rule_and_text(value: str) -> tuple[int, str]:
    """Parse the value of a button about one rule as it reads. Raises NotFoundError if it is from another version."""
    rule_id, _, text = value.partition(":")
    return _number(rule_id), text


async def show_details(request: Request) -> Reply | None:
    """Open the Details of the alert."""
    return await open_details(request, _number(request.value))


async def resolve_with_reason(request: Request) -> Reply | None:
    """Open the form that resolves the alert."""
    return await open_resolve_form(request, _number(request.value))


async def refuse_older_message(request: Request, ts: str) -> None:
    """Raise AlertNotFoundError if a message shows another alert than the one that has its number now.

    Numbers are given out again after a restore from a backup. A message that is older than the alert is only its own if
    the database has it: Slack's clock may be behind.
    """
    number = _number(request.value.partition(":")[0])
    alert = await request.commands.alert(request.channel, number)
    if posted_at(ts) >= alert.opened_at:
        return
    audit = await request.commands.audit(request.channel, number)
    if ts not in {posting.message_id for posting in audit.postings}:
        raise AlertNotFoundError(f"This message shows an earlier alert. Number {number} now belongs to another alert.")


def posted_at(ts: str) -> datetime:
    """Return when Slack posted a message."""
    return datetime.fromtimestamp(float(ts), UTC)


async def refuse_stale(_request: Request) -> Reply | None:
    """Raise NotFoundError: the option of a menu is from another version."""
    raise NotFoundError(STALE_BUTTON)


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
        options: Of a menu whose options do different things: the action by the first part of an option's value.
        read: Of a button that runs what its value says: returns the action of a value, which has its own act.
        on_alert: Whether it acts on the alert whose number its value begins with.
    """

    act: Act
    run: Callable[[Request], Awaitable[Reply | None]]
    is_study: bool = False
    options: Mapping[str, Action] = field(default_factory=dict)
    read: Callable[[str], tuple[Action, str]] | None = None
    on_alert: bool = False


STALE = Action(act=Act.READ, run=refuse_stale)


def choose(action: Action, value: str) -> tuple[Action, str]:
    """Return the action of the option or command that was chosen, with its own value; any other action as it is."""
    if action.read is not None:
        return action.read(value)
    if not action.options:
        return action, value
    name, _, rest = value.partition(":")
    return action.options.get(name, STALE), rest


def read_command(value: str) -> tuple[Action, str]:
    """Return the command of a button as an action, with its argument; anything else that a value says is refused."""
    parsed = parse_exactly(value, COMMANDS)
    if parsed is None or parsed.command is None:
        return STALE, value
    row, run = parsed.command, parsed.command.run
    if parsed.response is not None or run is None:
        return Action(act=Act.READ, run=partial(_answer, parsed.response)), value
    return Action(act=row.act_of(parsed.argument), run=run, is_study=row.is_study), parsed.argument


def read_shared(value: str) -> tuple[Action, str]:
    """Return the action that shares the study of a value such as `explain:ytd`; without a colon, the board."""
    name, colon, argument = value.partition(":")
    if not colon:
        return Action(act=Act.SHARE, run=share), value
    parsed = parse_exactly(f"{name} {argument}".strip(), COMMANDS)
    row = None if parsed is None or parsed.response is not None else parsed.command
    if parsed is None or row is None or row.run is None or row.name not in SHARED:
        return Action(act=Act.SHARE, run=refuse_stale), value
    return Action(act=Act.SHARE, run=partial(share_study, row.run), is_study=row.is_study), parsed.argument


async def _answer(message: Message | None, _request: Request) -> Reply | None:
    return None if message is None else Reply(message=message)


# Of the menu of an alert.
ALERT_MENU = {
    "chart": Action(act=Act.READ, run=show_chart, on_alert=True),
    "edit_rule": Action(act=Act.CHANGE_RULES, run=edit_rule_by_id),
    "noise": Action(act=Act.VOTE, run=partial(vote, noise=True), on_alert=True),
    "receipt": Action(act=Act.READ, run=show_audit, on_alert=True),
    "resolve": Action(act=Act.RESOLVE, run=resolve_with_reason, on_alert=True),
    "rules": Action(act=Act.READ, run=list_rules),
}
# Of the menu of a rule in the list.
RULE_MENU_ACTIONS = {
    "backtest": Action(act=Act.READ, run=backtest_rule, is_study=True),
    "edit": Action(act=Act.CHANGE_RULES, run=edit_rule_by_id),
    "pause": Action(act=Act.CHANGE_RULES, run=pause_rule),
    "remove": Action(act=Act.CHANGE_RULES, run=ask_to_remove),
    "resume": Action(act=Act.CHANGE_RULES, run=resume_rule),
}
ACTIONS: dict[str, Action] = {
    "acknowledge": Action(act=Act.ACKNOWLEDGE, run=acknowledge, on_alert=True),
    "add_rule": Action(act=Act.CHANGE_RULES, run=open_editor),
    "begin": Action(act=Act.CHANGE_RULES, run=begin),
    "board_chart": Action(act=Act.READ, run=show_board_chart),
    "chart": Action(act=Act.READ, run=show_chart, on_alert=True),
    HELP_TOPIC: Action(act=Act.READ, run=show_topic),
    "edit_new_rule": Action(act=Act.CHANGE_RULES, run=edit_new_rule),
    **dict.fromkeys(RUN_COMMAND, Action(act=Act.READ, run=refuse_stale, read=read_command)),
    "details": Action(act=Act.READ, run=show_details, on_alert=True),
    "edit_rule": Action(act=Act.CHANGE_RULES, run=edit_rule),
    MENU: Action(act=Act.READ, run=refuse_stale, options=ALERT_MENU),
    "noise": Action(act=Act.VOTE, run=partial(vote, noise=True), on_alert=True),
    "explain_window": Action(act=Act.READ, run=partial(show_window, explain), is_study=True),
    "miners_window": Action(act=Act.READ, run=partial(show_window, miners), is_study=True),
    "refresh": Action(act=Act.READ, run=refresh),
    "home_acknowledge": Action(act=Act.ACKNOWLEDGE, run=acknowledge_on_home),
    "home_channel": Action(act=Act.READ, run=use_channel_menu),
    "home_next": Action(act=Act.READ, run=publish_home),
    "home_previous": Action(act=Act.READ, run=publish_home),
    "refresh_home": Action(act=Act.READ, run=publish_home),
    REMOVE_RULE: Action(act=Act.CHANGE_RULES, run=remove_rule),
    "resolve": Action(act=Act.RESOLVE, run=resolve, on_alert=True),
    RULE_MENU: Action(act=Act.READ, run=refuse_stale, options=RULE_MENU_ACTIONS),
    "share": Action(act=Act.SHARE, run=refuse_stale, read=read_shared),
    "snooze": Action(act=Act.SNOOZE, run=snooze, on_alert=True),
    "start": Action(act=Act.CHANGE_RULES, run=start),
    "unacknowledge": Action(act=Act.ACKNOWLEDGE, run=unacknowledge, on_alert=True),
    UNDO_ADD: Action(act=Act.CHANGE_RULES, run=undo_add),
    UNDO_EDIT: Action(act=Act.CHANGE_RULES, run=undo_edit),
    UNDO_REMOVE: Action(act=Act.CHANGE_RULES, run=undo_remove),
    "use_rule": Action(act=Act.CHANGE_RULES, run=use_rule, is_study=True),
    "unsnooze": Action(act=Act.SNOOZE, run=unsnooze, on_alert=True),
    "useful": Action(act=Act.VOTE, run=partial(vote, noise=False), on_alert=True),
    "why": Action(act=Act.READ, run=show_audit, on_alert=True),
}
