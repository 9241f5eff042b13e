"""Help on commands, from the rows of the command table; what to do about a command or a rule that cannot be read."""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

from handlers.command import SLASH, Command, Topic, Validate
from handlers.render.markup import code, escape
from handlers.render.message import (
    Block,
    Message,
    actions,
    button,
    clip,
    compose,
    context,
    header,
    notification,
    section,
    sections,
    select_menu,
    text_message,
)
from services.alerting.setting_syntax import SETTINGS
from services.core.errors import RuleError
from services.core.rows import complete
from services.core.text import MAX_TYPED
from services.market.metrics import METRICS

AT_CLOSE_EXAMPLE = "1d 8pp at close"
LONGEST_ECHO = 40
LONGEST_LABEL = 40
RUN_COMMAND = ("run_command", "run_command_2", "run_command_3")  # action ids of one message are unique
HELP_TOPIC, ALL = "help_topic", "all"
TITLE = "MinerPulse commands"
TOPIC_LABELS = complete(
    "TOPIC_LABELS",
    Topic,
    {
        Topic.MARKET: "Market commands",
        Topic.RULES: "Rules and syntax",
        Topic.ALERTS: "Alerts",
        Topic.CHANNEL: "Channel settings",
        Topic.SOURCES: "Data sources",
        Topic.HELP: "Help",
    },
)
TOPIC_NOTES = complete(
    "TOPIC_NOTES",
    Topic,
    {
        Topic.MARKET: """\
Windows count New York sessions: `1d 5d 20d 60d 252d`. `ytd` starts at the last close of the prior year.
The spread is the ETF's return minus BTC's over the same time. While the market is closed, the board shows BTC's move \
since the close and the gap that it implies.
Name a miner to see its pair with BTC: `/minerpulse MARA`, `/minerpulse chart MARA 60d`.""",
        Topic.RULES: """\
{grammar}
`8pp` is a spread of 8 percentage points. `8%` and `800bp` mean the same, and `-8pp` means `8pp below`.
`above` means that the ETF outperforms BTC, `below` that it underperforms.
A rule fires when its value has been past the threshold for 5 minutes (`for 10m` changes that). It clears inside 60% \
of the threshold (`clear 5pp` sets another level; `keep 10m` waits until the value has been inside it for 10 \
minutes). `repeat 1h` repeats the alert in its thread every hour until someone acknowledges or snoozes it.
{metrics}
The rules list shows the false-alarm rate of each rule, based on votes, acknowledgements and snoozes.""",
        Topic.ALERTS: """\
An alert is one message that is edited in place; its thread has the details. It resolves when its rules have cleared.
*Acknowledge* shows that you are handling it. *Snooze* stops thread replies for a while, except the resolution.
*Resolve* ends the alert for everyone.""",
        Topic.CHANNEL: """\
Type `/minerpulse channel` and a setting:
{settings}""",
        Topic.SOURCES: """\
*Data OK*: two or more sources agree. *Degraded*: only one source has the price, or they differ slightly. *Stale*: the \
last trade is older than 20 minutes. *Suspect*: the sources disagree.
Rules fire and resolve when data is OK or degraded, and are on hold otherwise.""",
        Topic.HELP: "Only you see the replies until you share them.",
    },
)
MENU = {topic.value: TOPIC_LABELS[topic] for topic in Topic if topic is not Topic.HELP}


class Suggestion(NamedTuple):
    """A command to type, and the label of the button that runs it; without a label there is no button."""

    text: str
    label: str = ""


def help_message(commands: Sequence[Command]) -> Message:
    """Return the commands that people need most, how rules read, and a menu of topics."""
    listed = [f"{code(command.example)} – {command.short}" for command in commands if command.short]
    plain = [one.example.removeprefix(SLASH).strip() or f"{SLASH} ({one.short})" for one in commands if one.short]
    topics = [*MENU, ALL]
    examples = "`1d 8pp`, `20d residual 10pp below`, `1d z3.5`, `gap 5%`"
    grammar = f"*Rule syntax:* `[WINDOW] [METRIC] THRESHOLD [above|below]`, for example {examples}."
    menu = select_menu(HELP_TOPIC, "More Help", MENU | {ALL: f"All {len(commands)} commands"})
    text = f"{TITLE}: {', '.join(plain)}. More: {SLASH} help {', '.join(topics[:-1])} or {topics[-1]}."
    return compose(
        [
            header(TITLE),
            section(*listed),
            section(grammar),
            actions(menu, button(RUN_COMMAND[0], "Show Market", "board")),
            context(f"Or type `{SLASH} help` with {', '.join(map(code, topics[:-1]))} or {code(topics[-1])}"),
        ],
        [text],
    )


def full_help_message(commands: Sequence[Command]) -> Message:
    """Return every command by topic, and how rules read."""
    title = f"All {len(commands)} {TITLE}"
    blocks = list[Block | None]()
    for topic in Topic:
        lines = [_command_line(command) for command in commands if command.topic is topic]
        blocks += sections(f"*{TOPIC_LABELS[topic]}*", *lines)
    return compose([header(title), *blocks, context(_grammar())], notification(f"{title}, by topic."))


def topic_help_message(topic: Topic, commands: Sequence[Command]) -> Message:
    """Return the commands of one topic with examples, and notes on it."""
    title = f"MinerPulse help: {TOPIC_LABELS[topic]}"
    lines = [_command_line(command) for command in commands]
    metric_notes = "\n".join(metric.note for metric in METRICS.values() if metric.note)
    settings = "\n".join(f"{code(setting.usage)} – {setting.meaning}" for setting in SETTINGS.values())
    notes = TOPIC_NOTES[topic].format(grammar=_grammar(), metrics=metric_notes, settings=settings).splitlines()
    return compose(
        [header(title), section(*lines), *sections(*notes)], notification(f"{title}.", *(f"{line}." for line in lines))
    )


def command_help_message(command: Command) -> Message:
    """Return what one command does, how to type it, and an example."""
    usage_line, note = _command_line(command), [command.note] if command.note else []
    return text_message(usage_line, *note, f"Example: {code(command.example)}")


def unknown_topic_message(query: str, topics: Sequence[str]) -> Message:
    """Return which topics exist."""
    listed = ", ".join(code(f"help {topic}") for topic in topics)
    line = f"No help on {code(clip(query, LONGEST_ECHO))}. Try {listed}, or `help` and a command."
    return compose([section(line), actions(button(RUN_COMMAND[0], "Show Help", "help"))], [line])


def too_long_message(length: int) -> Message:
    """Return that a command is too long to be read."""
    return text_message(
        f"Nothing was changed: that command has {length:,} characters, and the limit is {MAX_TYPED}. Shorten it."
    )


def did_you_mean_message(typed: str, suggestion: Suggestion, command: Command) -> Message:
    """Return that a command is unknown, with the likeliest one, what it does, and a button that runs it."""
    meant = f"{SLASH} {suggestion.text}".strip()
    does = f"It {command.summary}."
    buttons = run_buttons(suggestion, Suggestion("help", "Show Help"))
    return compose(
        [section(f"Unknown command {code(typed)}. Did you mean {code(meant)}?", does), buttons],
        [f"Unknown command “{escape(typed)}”. Did you mean {escape(meant)}? {does}"],
    )


def unknown_command_message(typed: str, family: Sequence[Command]) -> Message:
    """Return that a command is unknown, with the commands that begin with the same word if there are any."""
    first = f"Unknown command {code(typed)}."
    lines = [_command_line(command) for command in family]
    if lines:
        first = f"{first} Commands that start with {code(family[0].words[0])}:"
    else:
        lines = [f"`{SLASH}` shows the market, and `{SLASH} help` lists the commands."]
    buttons = run_buttons(Suggestion("help", "Show Help"), Suggestion("board", "Show Market"))
    return compose([section(first, *lines), buttons], notification(first, *lines))


def rule_error_message(error: RuleError, refusal: str, *suggestions: Suggestion, editor: str = "") -> Message:
    """Return what was not done, which word of the rule is wrong, what to type, and buttons.

    `refusal` is what was not done. The buttons run a suggested command, or open the editor with the rule `editor`.
    """
    rules = [suggestion.label.partition(" ")[2] for suggestion in suggestions]
    is_question = error.problem and len(rules) > 1  # the suggestions are the remedy
    remedy = "" if is_question else error.remedy
    asked = f"Did you mean {' or '.join(map(code, rules))}?" if rules else ""
    problem = f"{refusal}: {escape(error.problem) or error.describe(code)}"
    line = " ".join(filter(None, [escape(remedy), asked]))
    open_editor = button("edit_new_rule", "Open Editor", editor) if editor else None
    runs = [button(RUN_COMMAND[at], one.label, one.text) for at, one in enumerate(suggestions)]
    buttons = actions(*runs, open_editor) if runs or open_editor else None
    return compose([section(problem, line), buttons], notification(problem, line))


def stop_message() -> Message:
    """Return the ways to get fewer alerts; none of them is done yet."""
    line = "Alerts are still on: nothing was changed. Mute this channel for a while, or pause rules one by one."
    buttons = run_buttons(Suggestion("mute 8h", "Mute 8 h"), Suggestion("rules", "Pause Rules…"))
    more = f"To snooze one alert, type `{SLASH} snooze ID 2h`."
    return compose([section(line), buttons, context(more)], [line, more])


def run_buttons(*suggestions: Suggestion) -> Block | None:
    """Return buttons that run commands as if they were typed; None if no suggestion has a label."""
    labelled = [suggestion for suggestion in suggestions if suggestion.label]
    ids = zip(RUN_COMMAND, labelled, strict=False)
    buttons = [button(action_id, clip(one.label, LONGEST_LABEL), one.text) for action_id, one in ids]
    return actions(*buttons) if buttons else None


def usage_message(commands: Iterable[Command], *opening: str) -> Message:
    """Return the usage of one or more commands, after the `opening` lines."""
    lines = [f"{_command_line(command)}. Example: {code(command.example)}" for command in commands]
    return text_message(*opening, *lines)


def expects(accepts: Callable[[str], object], opening: str, *names: str) -> Validate:
    """Return a `validate` that replies to an argument that isn't accepted with the usage of these commands."""
    return lambda argument, commands: None if accepts(argument) else usage(commands, names, opening)


def usage(commands: Sequence[Command], names: Collection[str], opening: str) -> Message:
    """Return the usage of the commands with these names, in the order of the table, after an opening line."""
    return usage_message([command for command in commands if command.name in names], opening)


def _grammar() -> str:
    """Return examples of rules; those whose metric needs no name come first."""
    by_name = sorted(METRICS.values(), key=lambda metric: metric.named)
    examples = [example for metric in by_name for example in metric.examples]
    listed = ", ".join(map(code, [*examples, AT_CLOSE_EXAMPLE]))
    return f"A rule is a window, a metric, a threshold and options: {listed}."


def _command_line(command: Command) -> str:
    return f"{code(command.usage)} – {command.summary}"
