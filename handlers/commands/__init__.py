"""The subcommands of /minerpulse; a new one is a file and a row here."""

from __future__ import annotations

from handlers.commands import (
    acts,
    board,
    channel,
    chart,
    digest,
    help,  # noqa: A004 -- the command's name
    history,
    rule_add,
    rule_edit,
    rule_pause,
    rule_remove,
    rules,
    sources,
    status,
    why,
    window,
)
from handlers.commands.command import Command, Topic

COMMANDS = (
    Command(
        words=("board",),
        summary="the market now, with buttons; /minerpulse alone does the same",
        example="/minerpulse",
        answer=board.answer,
    ),
    Command(
        words=("status",),
        takes="[WINDOW]",
        summary="the same, or one window of it in full: 1d, 5d, 20d, 60d, 252d, ytd",
        example="/minerpulse status 5d",
        at_once=window.window_alone,
        answer=status.answer,
    ),
    Command(
        words=("chart",),
        takes="[WINDOW]",
        summary="both legs drawn over a window, 20d without one",
        example="/minerpulse chart 60d",
        at_once=window.window_alone,
        answer=chart.answer,
    ),
    Command(
        words=("rules",),
        summary="what is watched in this channel",
        example="/minerpulse rules",
        topic=Topic.RULES,
        answer=rules.answer,
    ),
    Command(
        words=("rule", "add"),
        takes="[RULE]",
        summary="watch one thing more in this channel; without a rule, in an editor that tries it on the past",
        example="/minerpulse rule add 5d 15pp above",
        topic=Topic.RULES,
        at_once=rule_add.at_once,
        answer=rule_add.answer,
    ),
    Command(
        words=("rule", "edit"),
        takes="ID RULE",
        summary="let a rule read otherwise; its open alert goes on where it is about the same still",
        example="/minerpulse rule edit 3 5d 12pp above",
        topic=Topic.RULES,
        at_once=rule_edit.at_once,
        answer=rule_edit.answer,
    ),
    Command(
        words=("rule", "pause"),
        takes="ID",
        summary="stop watching it for a while; an alert that it alone keeps open ends",
        example="/minerpulse rule pause 3",
        topic=Topic.RULES,
        at_once=rule_pause.at_once,
        answer=rule_pause.pause,
    ),
    Command(
        words=("rule", "resume"),
        takes="ID",
        summary="watch it again",
        example="/minerpulse rule resume 3",
        topic=Topic.RULES,
        at_once=rule_pause.at_once,
        answer=rule_pause.resume,
    ),
    Command(
        words=("rule", "remove"),
        takes="ID",
        summary="stop watching it; the numbers are in the list of rules",
        example="/minerpulse rule remove 3",
        topic=Topic.RULES,
        at_once=rule_remove.at_once,
        answer=rule_remove.answer,
    ),
    Command(
        words=("ack",),
        takes="[ID]",
        summary="say that you see to an alert; without a number, to the only one that is open",
        example="/minerpulse ack",
        topic=Topic.ALERTS,
        at_once=acts.number_alone,
        answer=acts.acknowledge,
    ),
    Command(
        words=("unack",),
        takes="[ID]",
        summary="take that back",
        example="/minerpulse unack 12",
        topic=Topic.ALERTS,
        at_once=acts.number_alone,
        answer=acts.unacknowledge,
    ),
    Command(
        words=("snooze",),
        takes="[ID] LENGTH",
        summary="keep an alert's thread silent for a while: 45m, 2h30m, 1d, until close, until open",
        example="/minerpulse snooze 2h",
        topic=Topic.ALERTS,
        at_once=acts.length_last,
        answer=acts.snooze,
    ),
    Command(
        words=("resolve",),
        takes="[ID] [REASON]",
        summary="end an alert by hand; its rules fire again once they have cleared",
        example="/minerpulse resolve 12 earnings, not AI",
        topic=Topic.ALERTS,
        answer=acts.resolve,
    ),
    Command(
        words=("history",),
        summary="the last alerts of this channel",
        example="/minerpulse history",
        topic=Topic.ALERTS,
        answer=history.answer,
    ),
    Command(
        words=("why",),
        takes="[ID]",
        summary="what an alert rests on, what was decided, and how each message went; the newest without a number",
        example="/minerpulse why 12",
        topic=Topic.ALERTS,
        at_once=why.at_once,
        answer=why.answer,
    ),
    Command(
        words=("channel",),
        takes="[SETTING]",
        summary="whom alerts call here, quiet hours, threads and the daily line; with a setting, change it",
        example="/minerpulse channel quiet 22:00-07:00",
        answer=channel.answer,
    ),
    Command(
        words=("mute",),
        takes="LENGTH",
        summary="no new message here for 2h, until open, until close, while shut, while open; off ends it",
        example="/minerpulse mute while shut",
        at_once=channel.how_long,
        answer=channel.mute,
    ),
    Command(
        words=("digest",),
        summary="what was looked at in this session, how near it came, and what was delivered",
        example="/minerpulse digest",
        answer=digest.answer,
    ),
    Command(
        words=("sources",),
        summary="which sources stand behind the prices, and how each of them does",
        example="/minerpulse sources",
        topic=Topic.SOURCES,
        answer=sources.answer,
    ),
    Command(
        words=("help",),
        takes="[TOPIC]",
        summary="this list, or more on market, rules, alerts, sources or one command",
        example="/minerpulse help rules",
        topic=Topic.HELP,
        at_once=help.at_once,
    ),
)


def usage_hint() -> str:
    """Give the hint that Slack shows while the command is typed."""
    return f"[{' | '.join(command.form for command in COMMANDS)}]"


def readme_table() -> str:
    """Give the commands as a table in Markdown."""
    rows = [f"| `{command.usage}` | {command.summary} | `{command.example}` |" for command in COMMANDS]
    return "\n".join(["| Command | What it does | Example |", "|---|---|---|", *rows])
