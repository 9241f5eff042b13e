"""The subcommands of /minerpulse; a new one is a file and a row here."""

from __future__ import annotations

from handlers.commands import (
    acts,
    backtest,
    board,
    drawdown,
    explain,
    help,  # noqa: A004 -- the command's name
    history,
    miners,
    network,
    rule_add,
    rule_remove,
    rules,
    tune,
    why,
)
from handlers.commands.command import Command

COMMANDS = (
    Command(
        words=("board",),
        summary="the market now, with buttons; /minerpulse alone does the same",
        example="/minerpulse",
        answer=board.answer,
    ),
    Command(
        words=("rules",),
        summary="what is watched in this channel",
        example="/minerpulse rules",
        answer=rules.answer,
    ),
    Command(
        words=("rule", "add"),
        takes="RULE",
        summary="watch one thing more in this channel",
        example="/minerpulse rule add 5d 15pp above",
        at_once=rule_add.at_once,
        answer=rule_add.answer,
    ),
    Command(
        words=("rule", "remove"),
        takes="ID",
        summary="stop watching it; the numbers are in the list of rules",
        example="/minerpulse rule remove 3",
        at_once=rule_remove.at_once,
        answer=rule_remove.answer,
    ),
    Command(
        words=("ack",),
        takes="[ID]",
        summary="say that you see to an alert; without a number, to the only one that is open",
        example="/minerpulse ack",
        at_once=acts.number_alone,
        answer=acts.acknowledge,
    ),
    Command(
        words=("unack",),
        takes="[ID]",
        summary="take that back",
        example="/minerpulse unack 12",
        at_once=acts.number_alone,
        answer=acts.unacknowledge,
    ),
    Command(
        words=("snooze",),
        takes="[ID] LENGTH",
        summary="keep an alert's thread silent for a while: 45m, 2h30m, 1d, until close, until open",
        example="/minerpulse snooze 2h",
        at_once=acts.length_last,
        answer=acts.snooze,
    ),
    Command(
        words=("resolve",),
        takes="[ID] [REASON]",
        summary="end an alert by hand; its rules fire again once they have cleared",
        example="/minerpulse resolve 12 earnings, not AI",
        answer=acts.resolve,
    ),
    Command(
        words=("history",),
        summary="the last alerts of this channel",
        example="/minerpulse history",
        answer=history.answer,
    ),
    Command(
        words=("why",),
        takes="[ID]",
        summary="what an alert rests on, what was decided, and how each message went; the newest without a number",
        example="/minerpulse why 12",
        at_once=why.at_once,
        answer=why.answer,
    ),
    Command(
        words=("explain",),
        takes="[WINDOW]",
        summary="what came with bitcoin, what with AI, and what with neither; this year without a window",
        example="/minerpulse explain 60d",
        at_once=explain.at_once,
        answer=explain.answer,
    ),
    Command(
        words=("backtest",),
        takes="RULE",
        summary="what a rule would have done: how often, how long, false starts, what followed",
        example="/minerpulse backtest 5d 15pp",
        at_once=backtest.at_once,
        answer=backtest.answer,
    ),
    Command(
        words=("tune",),
        takes="WINDOW RATE",
        summary="the threshold for as many alerts as you want, checked on prices it has not seen; changes nothing",
        example="/minerpulse tune 5d 2/month",
        at_once=tune.at_once,
        answer=tune.answer,
    ),
    Command(
        words=("drawdown",),
        summary="how far bitcoin and the ETF are below their highs, for how long, and how rare that is",
        example="/minerpulse drawdown",
        answer=drawdown.answer,
    ),
    Command(
        words=("miners",),
        takes="[WINDOW]",
        summary="what each holding and each cohort added, and what nothing explains; this year without a window",
        example="/minerpulse miners 20d",
        at_once=miners.at_once,
        answer=miners.answer,
    ),
    Command(
        words=("network",),
        summary="how hard bitcoin is to mine, the next retarget, fees, and what a petahash earns a day",
        example="/minerpulse network",
        answer=network.answer,
    ),
    Command(
        words=("help",),
        summary="this list",
        example="/minerpulse help",
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
