"""Sentences of reasons: a template per code, or a function if its words depend on the values."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextvars import ContextVar
from datetime import date, datetime, timedelta
from functools import partial
from string import Formatter
from typing import Any

from handlers.render import fmt
from handlers.render.markup import escape_sentence, escape_typed
from services.alerting.quiet_hours import SilenceCause
from services.core.errors import DataError
from services.core.reason import Code, Reason
from services.core.rows import complete
from services.core.text import counted
from services.market.consensus.corporate_actions import ActionKind
from services.market.measure import Window
from services.market.metrics import unit_named

Text = Reason | str  # a reason, or words of a vendor, a person or an earlier release

SENTENCES: dict[Code, str | Callable[..., str]] = {
    Code.ALL_OF: "{reasons:distinct}",
    Code.EACH_OF: "{reasons:commas}",
    # Rule decisions
    Code.RULE_AWAITS_TRADE: "no decision yet ({reason})",
    Code.RULE_HAS_NO_DATA: "no decision ({reason})",
    # Values that a rule cannot observe
    Code.TOO_LITTLE_HISTORY: "not enough history for {metric}",
    Code.NETWORK_NOT_READ: "bitcoin network data wasn't fetched",
    Code.GAP_UNKNOWN: "no bitcoin price since the close, or no beta",
    Code.MARKET_CLOSED: "the market is closed; the last session was {session:date}",
    Code.LAST_TRADE_AT: "the last {symbol} trade is from {at:instant}",
    Code.NO_QUOTE: "no {symbol} quote",
    Code.NO_TRADE_IN_SESSION: "no {symbol} trade yet in the session of {session:date}",
    Code.TRADE_TOO_OLD: "the last {symbol} trade from {source} is {age_min} min old",
    Code.NO_PRICE_AT: "no {symbol} price at {at:clock}, the time of the last {other} trade",
    Code.QUOTE_LAGS: "the {symbol} quote is {lag_s} s older than {other}'s",
    # Missing prices and measurements
    Code.NO_PRICE: "no price",
    Code.HISTORY_BEGINS: "history starts on {session:date}",
    Code.CLOSE_WITHOUT_SESSION: "{source} has a close on {session:date}, which isn't an NYSE session",
    Code.NO_BAR_BEFORE_CLOSE: "no {symbol} bar ended in the 2 h before the close; {last_at:last_bar}",
    Code.NO_BAR_THAT_DAY: "{source} has no {symbol} bar for this day",
    Code.BAR_PENDING: "the {symbol} bar that ends at the close hasn't arrived yet; {last_at:last_bar}",
    # Trust in prices
    Code.WINDOW_BEGINS_WHERE: "at the start of the {window:window} window, {reason}",
    Code.CLOSE_FROM_ONE_SOURCE: "{symbol}'s close is from {sources:and} only",
    Code.CLOSES_APART: "{sources:and} are {apart:.1%} apart on {symbol}'s close",
    Code.MOVED_UNLIKE_FUND: (
        "moved {moved:percent} at one venue, while {fund}, which holds it, moved {fund_moved:percent}"
    ),
    Code.EX_DIVIDEND: (
        "{symbol} went ex-dividend on {session:date} ({amount_usd:cash} a share, included in its returns)"
    ),
    Code.TRADE_OF_OUTVOTED_SOURCE: (
        "{symbol}'s last trade is from {source} only, and its closes differ from those of the other sources"
    ),
    Code.NO_TRADE_ANYWHERE: "no {symbol} trade from any source; the exchange may have been closed",
    Code.OF_SYMBOL: "{symbol} {reason}",
    Code.MOVE_UNCONFIRMED: "{move}, and no second source confirms it",
    Code.SPLIT_UNDECLARED: "{move}, and no source reports a split; the next close will show whether it was one",
    Code.NO_LAST_TRADE: "no last trade",
    Code.TRADE_FROM_ONE_SOURCE: "{symbol}'s last trade is from {source} only",
    Code.TRADES_APART: "{low_source} and {high_source} are {apart:.1%} apart",
    Code.NO_VOLUME: "no volume, so no trades",
    Code.PRICE_OUTLIER: "{source} has {price:dollars}, {off:.1%} off the others",
    Code.HOLDINGS_CLOSES_DEGRADED: "last closes are degraded for {degraded} of {holdings:holdings}, at worst {worst}",
    # Faults of a source's answers
    Code.SOURCE_FAULT: "{source} ({symbol}): {fault}",
    Code.CLOSES_LATE: "late; its last close is from {newest:date}, {behind_sessions:sessions} behind",
    Code.TRADE_LATE: "late; its last trade is from {at:instant}",
    Code.TRADE_AHEAD_OF_CLOCK: "its last trade is from {at:clock}, ahead of this machine's clock",
    Code.CLOSES_UNRELATED: (
        "sent closes that look like another symbol's, and no split explains them; they are ignored"
    ),
    Code.SCALE_UNCONFIRMED: (
        "{source}'s {symbol} closes are {ratio:.4g} times those that two sources confirmed before, as after a split "
        "that no source reports. New closes are converted; its last trade isn't used. To resolve this, ask "
        "your MinerPulse administrator to add a second source to `MINERPULSE_ETF_SOURCES`"
    ),
    Code.VALUES_DROPPED: "{source} ({symbol}): unusable values ignored ({values:commas})",
    # Trust in the bitcoin network
    Code.DIFFICULTY_UNKNOWN: "{source} has no difficulty data",
    Code.NO_PAST_DIFFICULTIES: "no source has past difficulty data",
    Code.DIFFICULTY_START_UNKNOWN: "{source} has no date for the last difficulty change",
    Code.DIFFICULTY_FROM_ONE_SOURCE: "difficulty from {source} only, updated {at:instant}",
    Code.FIGURES_AHEAD_OF_CLOCK: "the latest {source} data is from {at:instant}, ahead of this machine's clock",
    Code.FIGURES_TOO_OLD: "the latest {source} data is from {at:instant}",
    Code.RETARGET_OVERDUE: "a difficulty change was due {due_at:instant}, and {source} doesn't have it yet",
    Code.NO_WITNESS: "no second source confirms {source}",
    Code.HASHRATE_OF: "the hash rate from {source}",
    Code.IMPLIED_HASHRATE_OF: "the hash rate implied by {source}'s difficulty",
    # Timelines of alerts
    Code.RULE_GONE: "removed the rule",
    Code.RULE_ADDED: "added the rule `{rule}`",
    Code.RULES_STARTED: "started alerts with the rules {rules}",
    Code.RULE_EDITED: "changed `{before}` to `{after}`",
    Code.RULE_PAUSED: "paused `{rule}`",
    Code.RULES_MOVED: "moved the rules on {before} to {after}",
    Code.RULE_RESUMED: "resumed `{rule}`",
    Code.RULE_REMOVED: "removed the rule `{rule}`",
    Code.RULE_MANAGED: "manages `{rule}` from now on",
    Code.RULE_RELEASED: "no longer manages `{rule}`",
    Code.ALERT_SNOOZED_LONG: "snoozed alert #{number} until {until:instant}",
    Code.ALERT_RESOLVED_EARLY: "resolved alert #{number}, which hadn't cleared",
    Code.ESCALATION_ENDED: (
        "escalation to <#{channel}> was turned off, as that channel no longer accepts escalations; to escalate "
        "elsewhere, type `/minerpulse channel escalate 30m @WHO` (or `#CHANNEL`)"
    ),
    Code.SEEN: "someone acknowledged it",
    Code.UNSEEN: "someone removed the acknowledgement",
    Code.SNOOZED: "someone snoozed it",
    Code.UNSNOOZED: "someone ended the snooze",
    Code.DRILL_STARTED: "a test was started",
    Code.DRILL_ENDED: "the test is over",
    Code.APP_REMOVED: "MinerPulse was removed from the channel",
    Code.SETTINGS_RESET: (
        "all settings but zone, thread and editors were reset, because MinerPulse was removed from the channel"
    ),
    Code.MUTE_ENDED: "mute ended early",
    # Research
    Code.TOO_FEW_PRICES_FOR_BETAS: (
        "fewer than {needed:.0f} of the {lookback} sessions up to {session:date} have all three prices"
    ),
    Code.FACTORS_MOVED_ALIKE: (
        "{crypto} and {proxy} moved alike in the {lookback} sessions up to {session:date}, "
        "so their effects can't be separated"
    ),
    Code.NO_TRADE_NEAR: "{symbol} has no trade within five minutes of {at:clock}",
    Code.NO_INTRADAY_BETAS: "no price for the prior close, or too little history for betas",
    Code.WEIGHTS_TOO_OLD: "the newest weights are from {as_of:date}, {age_days:days} old",
    Code.WEIGHTS_BACKFILLED: "weights before {first:date} are estimated from later weights and prices",
    Code.HOLDINGS_PARTIAL: "only the ten largest holdings are known",
    Code.WEIGHTS_INCOMPLETE: "the weights of {as_of:date} add up to {total:.0%}",
    Code.HOLDINGS_WITHOUT_PRICES: "no prices for {tickers:commas}",
    Code.GAP_HAS_NO_PAST: "a {metric} exists only while the market is closed, so it can't be backtested",
    Code.PRICES_NOT_FETCHED: "prices for {pair} are fetched after the rule is added",
    # Errors that are caused by reasons
    Code.NO_COMPLETE_SESSION: "No session from {first:date} to {last:date} has both prices: {reason}.",
    Code.CANNOT_EXPLAIN: "The {window:window} return can't be explained: {reason}.",
    Code.CANNOT_ATTRIBUTE: "The {window:window} return can't be attributed: {reason}.",
    # Delivery
    Code.CHANNEL_LEFT: "MinerPulse was removed from the channel.",
    Code.MESSAGE_UNREADABLE: "the stored message can't be read",
}
_for_slack: ContextVar[bool] = ContextVar("for_slack", default=False)  # whether times become date tokens
MAX_DECIMALS = 12
CENTS_MATTER_BELOW = 1_000
MAX_PRINTED_RATIO = 1e6
FIGURES = {"difficulty": "difficulty", "hashrate": "hash rate"}
SILENCES = complete(
    "SILENCES",
    [cause.value for cause in SilenceCause],
    {
        "mute": "muted",
        "quiet_hours": "quiet hours",
        "market_closed": "muted while the market is closed",
        "market_open": "muted while the market is open",
    },
)


def sentence(reason: Text) -> str:
    """Return the sentence of a reason. Text, and a stored reason with unknown parameters, is returned as text."""
    if isinstance(reason, str):
        return reason
    written, params = SENTENCES[reason.code], dict(reason.params)
    try:
        return _TemplateFormatter().vformat(written, (), params) if isinstance(written, str) else written(**params)
    except (KeyError, TypeError):
        return str(reason)


class _TemplateFormatter(Formatter):
    """Python's format syntax, with reasons as sentences and the specs of FORMATS, as in `{at:instant}`."""

    def format_field(self, value: Any, format_spec: str) -> str:  # noqa: ANN401 -- as the base class has it
        if format_spec in FORMATS:
            return FORMATS[format_spec](value)
        return format(sentence(value) if isinstance(value, Reason) else value, format_spec)

    def check_unused_args(self, used_args: set[int | str], args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:  # noqa: ARG002
        if used_args != kwargs.keys():
            raise TypeError


def reason(why: Text) -> str:
    """Return a reason's sentence for mrkdwn, without its final period: escaped, with times as date tokens."""
    return escape_sentence(_for_mrkdwn(why))


def user_reason(why: Text) -> str:
    """Return the sentence of a reason that a user wrote in whole or in part, escaped by `escape_typed`."""
    return escape_typed(sentence(why).rstrip("."))


def _for_mrkdwn(why: Text) -> str:
    token = _for_slack.set(True)
    try:
        return sentence(why).rstrip(".")
    finally:
        _for_slack.reset(token)


def sentences(reasons: Iterable[Text]) -> list[str]:
    """Return the distinct sentences of several reasons, in their order."""
    return list(dict.fromkeys(map(sentence, reasons)))


def error_text(error: Exception) -> str:
    """Return an error's text."""
    return sentence(error.reason) if isinstance(error, DataError) else str(error)


def rendered(document: object) -> object:
    """Return a JSON value with a sentence in place of each reason."""
    match document:
        case Reason():
            return sentence(document)
        case dict() if document.get("code") in set(Code):
            return sentence(Reason.from_json(document))
        case dict():
            return {name: rendered(value) for name, value in document.items()}
        case list() | tuple():
            values = [rendered(value) for value in document]
            return values if values == list(document) else _distinct(values)
        case _:
            return document


def _distinct(values: list[object]) -> list[object]:
    """Return the values without repeated sentences: reasons that differ in a hidden digit may read alike."""
    return [value for at, value in enumerate(values) if not isinstance(value, str) or value not in values[:at]]


def _renders(code: Code) -> Callable[[Callable[..., str]], Callable[..., str]]:
    def register(function: Callable[..., str]) -> Callable[..., str]:
        SENTENCES[code] = function
        return function

    return register


@_renders(Code.OF_RULE)
def _of_rule(*, rule: str, reason: Text) -> str:
    is_cleared = isinstance(reason, Reason) and reason.code is Code.RULE_CLEARED
    return f"`{rule}` {sentence(reason)}" if is_cleared else f"`{rule}`: {sentence(reason)}"


@_renders(Code.RULE_WITHIN_THRESHOLD)
def _rule_within_threshold(*, value: float, threshold: float, unit: str) -> str:
    return f"{_against(value, threshold, unit)} hasn't crossed the {_level(threshold, unit)} threshold"


@_renders(Code.RULE_KEEPS_FIRING)
def _rule_keeps_firing(*, value: float, clear: float, unit: str) -> str:
    return f"{_against(value, clear, unit)} hasn't cleared; the clear level is {_level(clear, unit, value)}"


@_renders(Code.RULE_PENDING)
def _rule_pending(*, value: float, threshold: float, unit: str, held_s: float, hold_s: float) -> str:
    return f"{_past(value, threshold, unit)}, held for {_duration(held_s)} of {_duration(hold_s)}"


@_renders(Code.RULE_PAST_THRESHOLD)
def _rule_past_threshold(*, value: float, threshold: float, unit: str, held_s: float, at_close: bool) -> str:
    held = " at the close" if at_close else f" and held for {_duration(held_s)}" if held_s else ""
    return f"{_past(value, threshold, unit)}{held}"


@_renders(Code.RULE_RECOVERING)
def _rule_recovering(*, value: float, clear: float, unit: str, kept_s: float, keep_s: float) -> str:
    return f"{_cleared(value, clear, unit)}, for {_duration(kept_s)} of {_duration(keep_s)}"


@_renders(Code.RULE_CLEARED)
def _rule_cleared(*, value: float, clear: float, unit: str, kept_s: float) -> str:
    kept = f" for {_duration(kept_s)}" if kept_s else ""
    return f"cleared: {_cleared(value, clear, unit)}{kept}"


@_renders(Code.MISSING_PRICE)
def _missing_price(*, session: str, reasons: tuple[Text, ...]) -> str:
    why = "; ".join(map(sentence, reasons))
    return f"on {_date(session)}, {why}" if why else f"no price on {_date(session)}"


@_renders(Code.WINDOW_BEFORE_HISTORY)
def _window_before_history(*, session: str, window: str) -> str:
    start = (
        "the last close of the prior year"
        if window == Window.YTD.value
        else f"the start of the {_window(window)} window"
    )
    return f"history starts on {_date(session)}, after {start}"


@_renders(Code.NO_CLOSE)
def _no_close(*, source: str, symbol: str) -> str:
    return _has_no_close(source, symbol, "this session")


@_renders(Code.NO_PROXY_CLOSE)
def _no_proxy_close(*, session: str, source: str, symbol: str) -> str:
    return _has_no_close(source, symbol, _date(session))


@_renders(Code.ACTION_INVALID)
def _action_invalid(*, symbol: str, session: str, kind: str, declared: tuple[tuple[str, float], ...]) -> str:
    return f"{_action(symbol, session, kind, declared)}, which can't be right; it's ignored"


@_renders(Code.ACTION_DISPUTED)
def _action_disputed(*, symbol: str, session: str, kind: str, declared: tuple[tuple[str, float], ...]) -> str:
    amounts = ", ".join(f"{source} {_amount(kind, amount)}" for source, amount in declared)
    return f"sources disagree on {symbol}'s {kind} on {_date(session)} ({amounts}); it's ignored until they agree"


@_renders(Code.ACTION_UNCONFIRMED)
def _action_unconfirmed(*, symbol: str, session: str, kind: str, declared: tuple[tuple[str, float], ...]) -> str:
    return f"only {_action(symbol, session, kind, declared)}; it's ignored until a second source confirms it"


@_renders(Code.ACTION_UNUSABLE)
def _action_unusable(*, symbol: str, session: str, kind: str, source: str) -> str:
    what = _measure(kind)
    return (
        f"{source} reports a {kind} for {symbol} on {_date(session)} without a usable {what}; returns across it are "
        f"suspect until a second source or a later response has the {what}"
    )


@_renders(Code.ACTION_AMOUNT_UNKNOWN)
def _action_amount_unknown(*, symbol: str, session: str, kind: str) -> str:
    return f"the {_measure(kind)} of {symbol}'s {kind} on {_date(session)} is unknown"


def _measure(kind: str) -> str:
    return "amount" if kind == ActionKind.DIVIDEND.value else "ratio"


@_renders(Code.SOURCE_OUTVOTED)
def _source_outvoted(*, source: str, symbol: str, sessions: int, witnesses: tuple[str, ...]) -> str:
    own = f"{sessions} of {source}'s {symbol} closes {'differs' if sessions == 1 else 'differ'}"
    return f"{own} from {_others(witnesses, 'closes')}; {source}'s are ignored until a second source agrees"


def _others(witnesses: tuple[str, ...], what: str) -> str:
    """Return what a source's prices differ from: `those of Kraken and from earlier prices that two …`."""
    earlier = f"earlier {what} that two sources confirmed"
    return f"those of {' and '.join(witnesses)} and from {earlier}" if witnesses else earlier


@_renders(Code.VENUE_OUTVOTED)
def _venue_outvoted(*, source: str, symbol: str, hours: int, witnesses: tuple[str, ...]) -> str:
    own = f"{hours} of {source}'s hourly {symbol} prices {'differs' if hours == 1 else 'differ'}"
    return f"{own} from {_others(witnesses, 'prices')}; {source}'s are ignored until a second source agrees"


@_renders(Code.MOVED_LIKE_SPLIT)
def _moved_like_split(*, moved: float, steps: int, step: str, new: int, old: int) -> str:
    return f"{_move(moved, steps, step)}, the size of a {new}:{old} split"


@_renders(Code.MOVED_FAR)
def _moved_far(*, moved: float, steps: int, step: str, period: str) -> str:
    return f"{_move(moved, steps, step)}, far more than its usual {period}"


@_renders(Code.PRICES_DISPUTED)
def _prices_disputed(*, prices: tuple[tuple[str, float], ...]) -> str:
    (low_source, low), *between, (high_source, high) = prices
    middle = "".join(f", {source} {_dollars(price)}" for source, price in between)
    apart = f"{'up to ' if between else ''}{high / low - 1:.1%} apart"
    return f"{low_source} has {_dollars(low)}{middle} and {high_source} {_dollars(high)}, {apart}"


@_renders(Code.FIGURES_UNKNOWN)
def _figures_unknown(*, source: str, figures: tuple[str, ...]) -> str:
    return f"{source} reports no {' and no '.join(FIGURES[figure] for figure in figures)}"


@_renders(Code.HASHRATES_IMPOSSIBLE)
def _hashrates_impossible(*, high: Text, low: Text, ratio: float) -> str:
    size = f"{float(ratio):,.1f}" if float(ratio) < MAX_PRINTED_RATIO else "over a million"
    return f"{sentence(high)} is {size} times {sentence(low)}"


@_renders(Code.HASHRATES_APART)
def _hashrates_apart(*, high: Text, low: Text, ratio: float) -> str:
    return f"{sentence(high)} is {ratio - 1:.0%} above {sentence(low)}"


@_renders(Code.RULE_WORSENED)
def _rule_worsened(*, rule: str, growth: float, peak: float, unit: str) -> str:
    return (
        f"`{rule}` at {_value(peak, unit)}, {fmt.unsigned_value(growth, unit_named(unit))} further than last reported"
    )


@_renders(Code.RULE_REPEATED)
def _rule_repeated(*, rule: str, value: float, peak: float, unit: str) -> str:
    return f"`{rule}` at {_value(value, unit)}, peak {_value(peak, unit)}"


@_renders(Code.RULE_CORRECTED)
def _rule_corrected(
    *, rule: str, corrections: tuple[Text, ...], peak: float | None, unit: str, threshold: float = 0.0
) -> str:
    peak_text = "" if peak is None else f"; the peak is now {_against(peak, threshold, unit)}"
    return f"`{rule}` {'; '.join(map(sentence, corrections))}{peak_text}"


@_renders(Code.RULE_RETRACTED)
def _rule_retracted(*, rule: str, corrections: tuple[Text, ...], threshold: float, unit: str) -> str:
    text = "; ".join(map(sentence, corrections))
    fired_at = next((dict(one.params)["old"] for one in corrections if isinstance(one, Reason)), 0.0)
    return f"`{rule}` {text}, which doesn't cross the {_level(threshold, unit, float(str(fired_at)))} threshold"


@_renders(Code.CORRECTION)
def _correction(*, session: str | None, old: float, new: float, threshold: float, unit: str) -> str:
    when = "" if session is None else f"at the {_date(session)} close "
    return f"{when}was {_against(old, threshold, unit)}, now {_against(new, threshold, unit)}"


@_renders(Code.SETTING_CHANGED)
def _setting_changed(*, setting: Text) -> str:
    typed = sentence(setting)
    is_code = not set("<>`").intersection(typed)  # a mention isn't a link in code
    return f"changed a channel setting: {f'`{typed}`' if is_code else typed}"


@_renders(Code.ENDED_BY_HAND)
def _ended_by_hand(*, note: str) -> str:
    return f"resolved manually{f': {note}' if note else ''}"


@_renders(Code.UNACKNOWLEDGED)
def _unacknowledged(*, waited_s: int) -> str:
    return f"firing for {fmt.duration(timedelta(seconds=waited_s))}, not acknowledged"


@_renders(Code.SILENT)
def _silent(*, causes: tuple[str, ...]) -> str:
    return ", ".join(SILENCES[cause] for cause in causes)


@_renders(Code.NO_PRICES_YET)
def _no_prices_yet(*, symbol: str, problems: tuple[Text, ...]) -> str:
    return f"No {symbol} prices yet. {_problems(problems) or 'The sources have none'}."


@_renders(Code.NO_PAIR_PRICES)
def _no_pair_prices(*, pair: str, problems: tuple[Text, ...]) -> str:
    return f"No prices for {pair}. {_problems(problems) or 'The sources have none'}."


@_renders(Code.NO_PROXY_CLOSES)
def _no_proxy_closes(*, symbol: str, problems: tuple[Text, ...]) -> str:
    why = _problems(problems) or "The sources don't know this symbol"
    return f"No closes of {symbol}, the AI proxy. {why}."


# Numbers, times and phrases that several sentences share


def _problems(problems: Iterable[Text]) -> str:
    """Return what is wrong, with sources that have the same fault together: `Yahoo (WGMI), Kraken (BTC): away`."""
    sources: dict[str, list[str]] = {}
    for problem in sentences(problems):
        source, colon, fault = problem.partition(": ")
        sources.setdefault(colon + fault, []).append(source)
    return "; ".join(f"{', '.join(names)}{fault}" if fault else "; ".join(names) for fault, names in sources.items())


def _has_no_close(source: str, symbol: str, session: str) -> str:
    return f"{source} {'have' if ' and ' in source else 'has'} no {symbol} close for {session}"


def _level(level: float, unit: str, value: float = 0.0) -> str:
    """Return a level in its unit, with the sign of a value below 0 that is compared with it by its distance from 0."""
    measured_in = unit_named(unit)
    return fmt.threshold(-level if value < 0 and not measured_in.is_level else level, measured_in)


def _value(value: float, unit: str) -> str:
    return fmt.metric_value(value, unit_named(unit))


def _against(value: float, level: float, unit: str) -> str:
    """Return a value with as many decimals as it takes to appear on the correct side of a level."""
    measured_in = unit_named(unit)
    inside, shown_level = abs(value) < level, round(measured_in.scale * level, MAX_DECIMALS)
    for decimals in range(2 if measured_in.is_level else 1, MAX_DECIMALS):
        if (abs(round(measured_in.scale * value, decimals)) < shown_level) is inside:
            break
    return fmt.metric_value(value, measured_in, decimals)


def _past(value: float, threshold: float, unit: str) -> str:
    return f"{_against(value, threshold, unit)} crossed the {_level(threshold, unit, value)} threshold"


def _cleared(value: float, clear: float, unit: str) -> str:
    if unit_named(unit).is_level:
        return f"{_against(value, clear, unit)}, back past the {_level(clear, unit)} clear level"
    if abs(value) >= clear:
        return f"{_against(value, clear, unit)}, now on the other side"
    return f"{_against(value, clear, unit)}, inside the {_level(clear, unit)} clear level"


def _duration(duration_s: float) -> str:
    return fmt.duration(timedelta(seconds=duration_s))


def _instant(at: str) -> str:
    show = fmt.instant if _for_slack.get() else fmt.plain_instant
    return show(datetime.fromisoformat(at))


def _clock_time(at: str) -> str:
    show = fmt.clock_time if _for_slack.get() else fmt.plain_time
    return show(datetime.fromisoformat(at))


def _date(session: str) -> str:
    return fmt.full_day(date.fromisoformat(session))


def _window(window: str) -> str:
    return fmt.window(Window(window)) if window in {one.value for one in Window} else window


def _dollars(price: float) -> str:
    return f"${price:,.0f}" if price >= CENTS_MATTER_BELOW else f"${price:,.2f}"


def _last_bar(at: str | None) -> str:
    return "the bars start later" if at is None else f"the last one ended {_instant(at)}"


def _move(moved: float, steps: int, step: str) -> str:
    size = f"{float(moved):+,.1%}".replace("-", "−")
    return f"moved {size}{f' in {steps} {step}s' if steps > 1 else ''}"


def _action(symbol: str, session: str, kind: str, declared: tuple[tuple[str, float], ...]) -> str:
    """Return who reports which amount: `Yahoo reports a $12.50 dividend for WGMI on Mar 2, 2026`."""
    reported = " and ".join(f"{source} reports a {_amount(kind, amount)} {kind}" for source, amount in declared)
    return f"{reported} for {symbol} on {_date(session)}"


def _amount(kind: str, amount: float) -> str:
    amount = float(amount)
    if kind == ActionKind.DIVIDEND.value:
        return _cash(amount)
    return f"{amount:.6g}-for-1" if amount >= 1 or amount <= 0 else f"1-for-{1 / amount:.6g}"


def _cash(amount: float) -> str:
    """Return dollars with at least two decimals: `$0.50`, `$0.1234`."""
    return f"${amount:.2f}" if round(amount, 2) == amount else f"${amount:.6g}"


FORMATS: dict[str, Callable[[Any], str]] = {
    "and": " and ".join,
    **{f"{noun}s": partial(counted, noun=noun) for noun in ("day", "holding", "session")},
    "cash": _cash,
    "clock": _clock_time,
    "commas": lambda reasons: ", ".join(map(sentence, reasons)),
    "date": _date,
    "distinct": lambda reasons: "; ".join(sentences(reasons)),
    "dollars": _dollars,
    "instant": _instant,
    "last_bar": _last_bar,
    "percent": fmt.percent,
    "window": _window,
}
complete("SENTENCES", Code, SENTENCES)
