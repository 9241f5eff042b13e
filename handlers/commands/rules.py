"""/minerpulse rules, and rule add, edit, pause, resume and remove."""

from collections.abc import Sequence

from handlers.command import Command, split_number
from handlers.commands.parse import RULE_ADD, RULE_EDIT, rule_error
from handlers.render.help import expects, usage
from handlers.render.message import Message
from handlers.render.rules import (
    Proposal,
    rule_paused_message,
    rule_removed_message,
    rule_resumed_message,
    rules_message,
    rules_moved_message,
)
from handlers.request import Reply, Request
from handlers.rule_changes import add_rule, edit_rule_text, open_editor
from services.alerting.ports import ChannelRule
from services.channels.rule_commands import RuleList
from services.core.errors import NotFoundError
from services.core.prices import Symbol
from services.core.scan import is_symbol


async def list_rules(request: Request) -> Reply:
    """List the channel's rules with their values and records, and with a proposal for the noisiest one."""
    rule_list = await request.commands.rule_list(request.channel)
    figures = await request.commands.rule_figures(rule_list.rules)
    return Reply(message=rules_message(rule_list, request.now, await _proposal(request, rule_list), figures))


async def _proposal(request: Request, rule_list: RuleList) -> Proposal | None:
    """Propose a looser version of the noisiest rule; None if no rule is noisy or no looser one is found."""
    noise = rule_list.noise
    candidates = [rule for rule in rule_list.rules if rule.rule.pair == request.research.pair]
    noisy = [rule for rule in candidates if rule.id in noise and noise[rule.id].is_high]
    if not noisy:
        return None
    rule = max(noisy, key=lambda candidate: noise[candidate.id].noise / noise[candidate.id].judged)
    gentler = await request.research.half_rate_rule(rule.rule, request.now)
    return None if gentler is None else Proposal(rule=rule, looser=gentler)


def validate_add(argument: str, _commands: Sequence[Command]) -> Message | None:
    """Return the parse error if the argument is not a rule."""
    return rule_error(argument, "Rule not added", "Add", RULE_ADD) if argument else None


async def add(request: Request) -> Reply | None:
    """Add the rule, or open the editor if none was typed."""
    if not request.value:
        return await open_editor(request)
    return Reply(message=await add_rule(request, request.value))


def validate_edit(argument: str, commands: Sequence[Command]) -> Message | None:
    """Return the usage without an id, or the parse error if the text after it is not a rule."""
    parsed = split_number(argument)
    if parsed.number is None:
        return usage(commands, {RULE_EDIT, "rules"}, "Which rule? Type its number from the rules list:")
    if not parsed.rest:
        return None
    number = parsed.number
    return rule_error(parsed.rest, f"Rule {number} not changed", "Use", f"{RULE_EDIT} {number}", editor="")


async def edit(request: Request) -> Reply | None:
    """Edit the rule, whose open alert stays open; without a new rule, open the editor with the rule as it is."""
    rule_id, text = _rule_id(request), split_number(request.value).rest
    if text:
        return Reply(message=await edit_rule_text(request, rule_id, text))
    return await edit_in_editor(request, rule_id)


async def edit_in_editor(request: Request, rule_id: int) -> Reply | None:
    """Open the editor with a rule of the channel. Raises NotFoundError if there is no such rule."""
    return await open_editor(request, str((await find_rule(request, rule_id)).rule), rule_id)


async def find_rule(request: Request, rule_id: int) -> ChannelRule:
    """Return a rule of the channel. Raises NotFoundError if there is no such rule."""
    for rule in await request.commands.rules(request.channel):
        if rule.id == rule_id:
            return rule
    raise NotFoundError(f"Rule {rule_id} doesn't exist in this channel. `/minerpulse rules` shows the rules.")


def _is_id(argument: str) -> bool:
    parsed = split_number(argument)
    return parsed.number is not None and not parsed.rest


MOVED_SYMBOLS = 2
WHICH_RULE = "Which rule? Type its number from the rules list:"
validate_pause = expects(_is_id, WHICH_RULE, "rule pause", "rule resume", "rules")
validate_remove = expects(_is_id, WHICH_RULE, "rule remove", "rules")


def validate_move(argument: str, commands: Sequence[Command]) -> Message | None:
    """Return the usage if the argument is not two different symbols."""
    symbols = argument.upper().split()
    if len(set(symbols)) == len(symbols) == MOVED_SYMBOLS and all(is_symbol(one, extra=".") for one in symbols):
        return None
    return usage(commands, {"rule move", "rules"}, "Which symbol was renamed, and what is it now? Type both symbols:")


async def move(request: Request) -> Reply:
    """Move the rules on a symbol to another one; their open alerts stay open."""
    before, after = (Symbol(word) for word in request.value.upper().split())
    moved = await request.commands.move_rules(request.channel, before, after, request.user_id)
    return Reply(message=rules_moved_message(moved))


async def pause(request: Request) -> Reply:
    """Pause the rule."""
    paused = await request.commands.pause_rule(request.channel, _rule_id(request), request.user_id)
    return Reply(message=rule_paused_message(paused))


async def resume(request: Request) -> Reply:
    """Resume the rule."""
    resumed = await request.commands.resume_rule(request.channel, _rule_id(request), request.user_id)
    return Reply(message=rule_resumed_message(resumed))


async def remove(request: Request) -> Reply:
    """Delete the rule."""
    removed = await request.commands.remove_rule(request.channel, _rule_id(request), request.user_id)
    return Reply(message=rule_removed_message(removed))


def _rule_id(request: Request) -> int:
    number = split_number(request.value).number
    assert number is not None, "validated before"  # noqa: S101
    return number
