"""Help on commands, from the rows of the command table."""

from collections.abc import Callable, Collection, Sequence

from handlers.command import Command, Topic, Validate
from handlers.render.markup import code, escape
from handlers.render.message import Message, clip, compose, context, header, section, text_message
from services.core.rows import complete
from services.core.text import MAX_TYPED
from services.market.metrics import METRICS

AT_CLOSE_EXAMPLE = "1d 8pp at close"
LONGEST_ECHO = 40
TOPIC_NOTES = complete(
    "TOPIC_NOTES",
    [topic.value for topic in Topic],
    {
        "market": """\
Windows count New York sessions: `1d 5d 20d 60d 252d`; `ytd` starts at the last close of the prior year.
The spread is the ETF's return less bitcoin's, both read at the same instant. While New York is shut no divergence is \
claimed: you see bitcoin's move since the close, and the gap that it implies.""",
        "rules": """\
{grammar}
`8pp` is 8 percentage points of spread; `8%`, `800bp` and `8 pp` are read as the same, `−8pp` as `8pp below`. Write \
decimals with a point.
An alert begins once the threshold is passed for 5 minutes (`for 10m` sets another time) and ends below 60% of it \
(`clear 5pp` sets another level).
{metrics}
`noise 6 of 9` beside a rule: of nine alerts of it, as it reads now, that somebody judged, six were noise. Votes \
decide, Useful or Noise below an alert that has ended; without any, an alert that was acknowledged was useful, one \
that was only snoozed was noise, and others do not count. The last 200 alerts of the channel are looked at.""",
        "alerts": """\
An alert is one message, edited in place; its thread shows what happened. It ends by itself once its rules have cleared.
Acknowledge shows that you are handling it. Snooze stops thread replies until it is over, except \
the resolution. Resolve ends the alert for everyone.""",
        "sources": """\
`ok`: two sources or more agree. `degraded`: one alone has the price, or they are a little apart. `stale`: the last \
trade is older than 20 minutes. `suspect`: they dispute it.
Rules fire and resolve on `ok` and `degraded` prices, and wait on the others.""",
        "help": "Only you see answers until you press Share.",
    },
)


def help_message(commands: Sequence[Command]) -> Message:
    """Return one line per command, and the grammar of rules."""
    title = "MinerPulse: when bitcoin miners stop moving with bitcoin"
    lines = [_command_line(command) for command in commands]
    grammar = _grammar()
    return compose([header(title), section(*lines), context(grammar)], [title, *lines, grammar])


def topic_help_message(topic: str, commands: Sequence[Command]) -> Message:
    """Return the commands of one topic with examples, and notes on it."""
    title = f"MinerPulse: {topic}"
    lines = [f"{_command_line(command)}. As in {code(command.example)}" for command in commands]
    metric_notes = "\n".join(metric.note for metric in METRICS.values() if metric.note)
    about = TOPIC_NOTES[topic].format(grammar=_grammar(), metrics=metric_notes).splitlines()
    return compose([header(title), section(*lines), section(*about)], [title, *lines, *about])


def unknown_topic_message(query: str, topics: Sequence[str]) -> Message:
    """Return which topics exist."""
    listed = ", ".join(code(f"help {topic}") for topic in topics)
    return text_message(
        f"There is no help on “{escape(clip(query, LONGEST_ECHO))}”. There is {listed}, and help on each command."
    )


def too_long_message(length: int) -> Message:
    """Return that a command is too long to be read."""
    return text_message(
        f"That command has {length:,} characters, and at most {MAX_TYPED} are read. Shorten it and send it again."
    )


def usage_message(commands: Sequence[Command], *opening: str) -> Message:
    """Return the usage of one or more commands, after the `opening` lines."""
    return text_message(*opening, *(f"{_command_line(command)}. As in {code(command.example)}" for command in commands))


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
    return f"A rule is a window, a threshold and, if you like, more: {listed}."


def _command_line(command: Command) -> str:
    return f"{code(command.usage)}: {command.summary}"
