"""Sentences of reasons: one function per code."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from itertools import count

from services.core.errors import DataError
from services.core.reason import Code, Reason
from services.market.consensus.corporate_actions import ActionKind
from services.market.measure import Window
from services.market.metrics import unit_named
from services.rules.rule import print_duration, print_value

Text = Reason | str  # a reason, or words of a vendor, a person or an earlier release

SENTENCES: dict[Code, Callable[..., str]] = {}
CENTS_MATTER_BELOW = 1_000
MAX_PRINTED_RATIO = 1e6
MINUTE_S, HOUR_S = 60, 3600
FIGURES = {"difficulty": "difficulty", "hashrate": "hash rate"}
SILENCES = {
    "mute": "muted",
    "quiet_hours": "quiet hours",
    "market_closed": "muted while the market is shut",
    "market_open": "muted while the market is open",
}


def sentence(reason: Text) -> str:
    """Return the sentence of a reason. Text, and a stored reason with unknown parameters, is returned as text."""
    if isinstance(reason, str):
        return reason
    try:
        return SENTENCES[reason.code](**dict(reason.params))
    except TypeError:
        return str(reason)


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
    """Register the sentence of a code."""

    def register(function: Callable[..., str]) -> Callable[..., str]:
        SENTENCES[code] = function
        return function

    return register


# Lists of reasons


@_renders(Code.ALL_OF)
def _all_of(*, reasons: tuple[Text, ...]) -> str:
    return "; ".join(sentences(reasons))


@_renders(Code.EACH_OF)
def _each_of(*, reasons: tuple[Text, ...]) -> str:
    return ", ".join(map(sentence, reasons))


# Rule decisions


@_renders(Code.OF_RULE)
def _of_rule(*, rule: str, reason: Text) -> str:
    return f"{rule}: {sentence(reason)}"


@_renders(Code.RULE_AWAITS_TRADE)
def _rule_awaits_trade(*, reason: Text) -> str:
    return f"nothing decided yet: {sentence(reason)}"


@_renders(Code.RULE_HAS_NO_DATA)
def _rule_has_no_data(*, reason: Text) -> str:
    return f"nothing decided: {sentence(reason)}"


@_renders(Code.RULE_WITHIN_THRESHOLD)
def _rule_within_threshold(*, value: float, threshold: float, unit: str) -> str:
    return f"{_against(value, threshold, unit)} is within {_level(threshold, unit)}"


@_renders(Code.RULE_KEEPS_FIRING)
def _rule_keeps_firing(*, value: float, clear: float, unit: str) -> str:
    return f"{_against(value, clear, unit)} keeps it firing: clear is {_level(clear, unit)}"


@_renders(Code.RULE_PENDING)
def _rule_pending(*, value: float, threshold: float, unit: str, held_s: float, hold_s: float) -> str:
    return f"{_past(value, threshold, unit)}, held for {_duration(held_s)} of {_duration(hold_s)}"


@_renders(Code.RULE_PAST_THRESHOLD)
def _rule_past_threshold(*, value: float, threshold: float, unit: str, held_s: float, at_close: bool) -> str:
    held = " at the close" if at_close else f", held for {_duration(held_s)}" if held_s else ""
    return f"{_past(value, threshold, unit)}{held}"


@_renders(Code.RULE_RECOVERING)
def _rule_recovering(*, value: float, clear: float, unit: str, kept_s: float, keep_s: float) -> str:
    return f"{_cleared(value, clear, unit)}, for {_duration(kept_s)} of {_duration(keep_s)}"


@_renders(Code.RULE_CLEARED)
def _rule_cleared(*, value: float, clear: float, unit: str, kept_s: float) -> str:
    return _cleared(value, clear, unit) + (f", for {_duration(kept_s)}" if kept_s else "")


# Values that a rule cannot observe


@_renders(Code.TOO_LITTLE_HISTORY)
def _too_little_history(*, metric: str) -> str:
    return f"too little history for {metric}"


@_renders(Code.NETWORK_NOT_READ)
def _network_not_read() -> str:
    return "the bitcoin network was not looked at"


@_renders(Code.GAP_UNKNOWN)
def _gap_unknown() -> str:
    return "no bitcoin price since the close, or no beta"


@_renders(Code.MARKET_CLOSED)
def _market_closed(*, session: str) -> str:
    return f"the market is shut; the last session was {session}"


@_renders(Code.LAST_TRADE_AT)
def _last_trade_at(*, symbol: str, at: str) -> str:
    return f"the last {symbol} trade is of {_utc(at)}"


@_renders(Code.NO_QUOTE)
def _no_quote(*, symbol: str) -> str:
    return f"no {symbol} quote"


@_renders(Code.NO_TRADE_IN_SESSION)
def _no_trade_in_session(*, symbol: str, session: str) -> str:
    return f"no {symbol} trade yet in the session of {session}"


@_renders(Code.TRADE_TOO_OLD)
def _trade_too_old(*, symbol: str, source: str, age_min: int) -> str:
    return f"the last {symbol} trade at {source} is {age_min} min old"


@_renders(Code.NO_PRICE_AT)
def _no_price_at(*, symbol: str, at: str, other: str) -> str:
    return f"no {symbol} price at {_time(at)} UTC, when {other} last traded"


@_renders(Code.QUOTE_LAGS)
def _quote_lags(*, symbol: str, other: str, lag_s: int) -> str:
    return f"the {symbol} quote is {lag_s} s older than {other}'s"


# Missing prices and measurements


@_renders(Code.NO_PRICE)
def _no_price() -> str:
    return "no price"


@_renders(Code.MISSING_PRICE)
def _missing_price(*, session: str, reasons: tuple[Text, ...]) -> str:
    return f"{session}: {'; '.join(map(sentence, reasons)) or 'no price'}"


@_renders(Code.HISTORY_BEGINS)
def _history_begins(*, session: str) -> str:
    return f"the history begins on {session}"


@_renders(Code.WINDOW_BEFORE_HISTORY)
def _window_before_history(*, session: str, window: str) -> str:
    needed = "after the last close of the prior year" if window == Window.YTD.value else f"less than {window} ago"
    return f"the history begins on {session}, {needed}"


@_renders(Code.CLOSE_WITHOUT_SESSION)
def _close_without_session(*, source: str, session: str) -> str:
    return f"{source} has a close on {session}, which is no XNYS session"


@_renders(Code.NO_CLOSE)
def _no_close(*, source: str, symbol: str) -> str:
    have = "have" if " and " in source else "has"
    return f"{source} {have} no {symbol} close for this session"


@_renders(Code.NO_PROXY_CLOSE)
def _no_proxy_close(*, session: str, source: str, symbol: str) -> str:
    return f"{session}: {source} has no {symbol} close for this session"


@_renders(Code.NO_BAR_BEFORE_CLOSE)
def _no_bar_before_close(*, symbol: str, last_at: str | None) -> str:
    return f"no {symbol} bar ended in the 2 h up to the close; {_last_bar(last_at)}"


@_renders(Code.NO_BAR_THAT_DAY)
def _no_bar_that_day(*, source: str, symbol: str) -> str:
    return f"{source} has no {symbol} bar for this day"


@_renders(Code.BAR_PENDING)
def _bar_pending(*, symbol: str, last_at: str | None) -> str:
    return f"the {symbol} bar that ends at the close has not come yet; {_last_bar(last_at)}"


# Trust in prices


@_renders(Code.WINDOW_BEGINS_WHERE)
def _window_begins_where(*, window: str, reason: Text) -> str:
    return f"{window} begins where {sentence(reason)}"


@_renders(Code.CLOSE_FROM_ONE_SOURCE)
def _close_from_one_source(*, symbol: str, sources: tuple[str, ...]) -> str:
    return f"{symbol}'s close is from {' and '.join(sources)} alone"


@_renders(Code.CLOSES_APART)
def _closes_apart(*, symbol: str, sources: tuple[str, ...], apart: float) -> str:
    return f"{' and '.join(sources)} are {apart:.1%} apart on {symbol}'s close"


@_renders(Code.MOVED_UNLIKE_FUND)
def _moved_unlike_fund(*, moved: float, fund: str, fund_moved: float) -> str:
    return f"moved by {moved:+.1%} at one venue, while {fund}, which holds it, moved by {fund_moved:+.1%}"


@_renders(Code.EX_DIVIDEND)
def _ex_dividend(*, symbol: str, session: str, amount_usd: float) -> str:
    return f"{symbol} went ex-dividend on {session}: {amount_usd:.6g} USD a share, included in its returns"


@_renders(Code.ACTION_INVALID)
def _action_invalid(*, symbol: str, session: str, kind: str, declared: tuple[tuple[str, float], ...]) -> str:
    return f"{_action(symbol, session, kind, declared)}, which cannot be; it is left out"


@_renders(Code.ACTION_DISPUTED)
def _action_disputed(*, symbol: str, session: str, kind: str, declared: tuple[tuple[str, float], ...]) -> str:
    return f"{_action(symbol, session, kind, declared)}; it is left out until they agree"


@_renders(Code.ACTION_UNCONFIRMED)
def _action_unconfirmed(*, symbol: str, session: str, kind: str, declared: tuple[tuple[str, float], ...]) -> str:
    return f"{_action(symbol, session, kind, declared)} alone; it is left out until a second source declares it"


@_renders(Code.NO_TRADE_ANYWHERE)
def _no_trade_anywhere(*, symbol: str) -> str:
    return f"no {symbol} trade from any source: New York may have been shut"


@_renders(Code.OF_SYMBOL)
def _of_symbol(*, symbol: str, reason: Text) -> str:
    return f"{symbol} {sentence(reason)}"


@_renders(Code.MOVE_UNCONFIRMED)
def _move_unconfirmed(*, move: Text) -> str:
    return f"{sentence(move)}, and no second source says so"


@_renders(Code.SPLIT_UNDECLARED)
def _split_undeclared(*, move: Text) -> str:
    return f"{sentence(move)}, and no such split is declared; the next close will tell"


@_renders(Code.MOVED_LIKE_SPLIT)
def _moved_like_split(*, moved: float, steps: int, step: str, new: int, old: int) -> str:
    return f"{_move(moved, steps, step)}, as a {new}:{old} split would make it"


@_renders(Code.MOVED_FAR)
def _moved_far(*, moved: float, steps: int, step: str, period: str) -> str:
    return f"{_move(moved, steps, step)}, far beyond its usual {period}"


@_renders(Code.NO_LAST_TRADE)
def _no_last_trade() -> str:
    return "no last trade"


@_renders(Code.TRADE_FROM_ONE_SOURCE)
def _trade_from_one_source(*, symbol: str, source: str) -> str:
    return f"{symbol}'s last trade is from {source} alone"


@_renders(Code.TRADES_APART)
def _trades_apart(*, low_source: str, high_source: str, apart: float) -> str:
    return f"{low_source} and {high_source} are {apart:.1%} apart"


@_renders(Code.NO_VOLUME)
def _no_volume() -> str:
    return "no volume: nobody traded"


@_renders(Code.PRICE_OUTLIER)
def _price_outlier(*, source: str, price: float, off: float) -> str:
    return f"{source} has {_dollars(price)}, {off:.1%} off the others"


@_renders(Code.PRICES_DISPUTED)
def _prices_disputed(*, prices: tuple[tuple[str, float], ...]) -> str:
    (low_source, low), *between, (high_source, high) = prices
    middle = "".join(f", {source} {_dollars(price)}" for source, price in between)
    apart = f"{'up to ' if between else ''}{high / low - 1:.1%} apart"
    return f"{low_source} has {_dollars(low)}{middle} and {high_source} {_dollars(high)}, {apart}"


@_renders(Code.HOLDINGS_CLOSES_DEGRADED)
def _holdings_closes_degraded(*, holdings: int, degraded: int, worst: str) -> str:
    return f"of {holdings} holdings, the last closes of {degraded} are {worst} at worst"


# Faults of a source's answers


@_renders(Code.SOURCE_FAULT)
def _source_fault(*, source: str, symbol: str, fault: Text) -> str:
    return f"{source} on {symbol}: {sentence(fault)}"


@_renders(Code.CLOSES_LATE)
def _closes_late(*, newest: str, behind_sessions: int) -> str:
    return f"is late: its newest close is of {newest}, {behind_sessions} sessions before the last"


@_renders(Code.TRADE_LATE)
def _trade_late(*, at: str) -> str:
    return f"is late: its last trade is of {_utc(at)}"


@_renders(Code.TRADE_AHEAD_OF_CLOCK)
def _trade_ahead_of_clock(*, at: str) -> str:
    return f"its last trade is of {datetime.fromisoformat(at):%H:%M:%S} UTC, ahead of our clock"


@_renders(Code.CLOSES_UNRELATED)
def _closes_unrelated() -> str:
    return "sent closes unlike those before, as of another symbol, and no split explains them; they are left out"


# Trust in the bitcoin network


@_renders(Code.DIFFICULTY_UNKNOWN)
def _difficulty_unknown(*, source: str) -> str:
    return f"{source} does not know the difficulty"


@_renders(Code.NO_PAST_DIFFICULTIES)
def _no_past_difficulties() -> str:
    return "no source remembers the difficulties before"


@_renders(Code.DIFFICULTY_START_UNKNOWN)
def _difficulty_start_unknown(*, source: str) -> str:
    return f"{source} does not know since when the difficulty is what it is"


@_renders(Code.DIFFICULTY_FROM_ONE_SOURCE)
def _difficulty_from_one_source(*, source: str, at: str) -> str:
    return f"the difficulty is {source}'s alone, of {_utc(at)}"


@_renders(Code.FIGURES_AHEAD_OF_CLOCK)
def _figures_ahead_of_clock(*, source: str, at: str) -> str:
    return f"the figures of {source} are of {_utc(at)}, ahead of our clock"


@_renders(Code.FIGURES_TOO_OLD)
def _figures_too_old(*, source: str, at: str) -> str:
    return f"the last figures of {source} are of {_utc(at)}"


@_renders(Code.RETARGET_OVERDUE)
def _retarget_overdue(*, source: str, due_at: str) -> str:
    return f"the difficulty of {source} was due to change at {_utc(due_at)}"


@_renders(Code.FIGURES_UNKNOWN)
def _figures_unknown(*, source: str, figures: tuple[str, ...]) -> str:
    return f"{source} does not know the {' and the '.join(FIGURES[figure] for figure in figures)}"


@_renders(Code.NO_WITNESS)
def _no_witness(*, source: str) -> str:
    return f"{source} has no witness"


@_renders(Code.HASHRATES_IMPOSSIBLE)
def _hashrates_impossible(*, high: Text, low: Text, ratio: float) -> str:
    size = f"{float(ratio):,.1f}" if float(ratio) < MAX_PRINTED_RATIO else "over a million"
    return f"{sentence(high)} is {size} times {sentence(low)}"


@_renders(Code.HASHRATES_APART)
def _hashrates_apart(*, high: Text, low: Text, ratio: float) -> str:
    return f"{sentence(high)} is {ratio - 1:.0%} above {sentence(low)}"


@_renders(Code.HASHRATE_OF)
def _hashrate_of(*, source: str) -> str:
    return f"the hash rate of {source}"


@_renders(Code.IMPLIED_HASHRATE_OF)
def _implied_hashrate_of(*, source: str) -> str:
    return f"what the difficulty of {source} implies"


# Timelines of alerts


@_renders(Code.RULE_WORSENED)
def _rule_worsened(*, rule: str, growth: float, peak: float, unit: str) -> str:
    return f"by {_value(growth, unit)} to {_value(peak, unit)} ({rule})"


@_renders(Code.RULE_REPEATED)
def _rule_repeated(*, rule: str, value: float, peak: float, unit: str) -> str:
    return f"{rule} at {_value(value, unit)}, peak {_value(peak, unit)}"


@_renders(Code.RULE_CORRECTED)
def _rule_corrected(*, rule: str, corrections: tuple[Text, ...], peak: float | None, unit: str) -> str:
    peak_text = "" if peak is None else f", peak now {_value(peak, unit)}"
    return f"{rule}: {'; '.join(map(sentence, corrections))}{peak_text}"


@_renders(Code.RULE_RETRACTED)
def _rule_retracted(*, rule: str, corrections: tuple[Text, ...], threshold: float, unit: str) -> str:
    text = "; ".join(map(sentence, corrections))
    return f"{rule}: corrected {text}, not past {_level(threshold, unit)} any more"


@_renders(Code.CORRECTION)
def _correction(*, session: str | None, old: float, new: float, threshold: float, unit: str) -> str:
    when = "" if session is None else f"at the close of {_day(session)} "
    return f"{when}from {_against(old, threshold, unit)} to {_against(new, threshold, unit)}"


@_renders(Code.RULE_GONE)
def _rule_gone() -> str:
    return "the rule was removed"


@_renders(Code.RULE_ADDED)
def _rule_added(*, rule: str) -> str:
    return f"{rule} was added"


@_renders(Code.RULE_EDITED)
def _rule_edited(*, before: str, after: str) -> str:
    return f"{before} is now {after}"


@_renders(Code.RULE_PAUSED)
def _rule_paused(*, rule: str) -> str:
    return f"{rule} was paused"


@_renders(Code.RULE_RESUMED)
def _rule_resumed(*, rule: str) -> str:
    return f"{rule} was resumed"


@_renders(Code.RULE_REMOVED)
def _rule_removed(*, rule: str) -> str:
    return f"{rule} was removed"


@_renders(Code.SETTING_CHANGED)
def _setting_changed(*, setting: str) -> str:
    return f"{setting} was set"


@_renders(Code.SEEN)
def _seen() -> str:
    return "a person has seen it"


@_renders(Code.UNSEEN)
def _unseen() -> str:
    return "nobody sees to it"


@_renders(Code.SNOOZED)
def _snoozed() -> str:
    return "a person asked for silence"


@_renders(Code.ENDED_BY_HAND)
def _ended_by_hand(*, note: str) -> str:
    return f"ended by hand{f': {note}' if note else ''}; a rule of it fires again once it has cleared"


@_renders(Code.UNACKNOWLEDGED)
def _unacknowledged(*, waited_s: int) -> str:
    return f"nobody has acknowledged it for {print_duration(timedelta(seconds=waited_s))}"


@_renders(Code.APP_REMOVED)
def _app_removed() -> str:
    return "MinerPulse was taken out of the channel"


@_renders(Code.SETTINGS_RESET)
def _settings_reset() -> str:
    return "all but zone, thread and editors was taken back, as MinerPulse was taken out of the channel"


@_renders(Code.SILENT)
def _silent(*, causes: tuple[str, ...]) -> str:
    return ", ".join(SILENCES[cause] for cause in causes)


@_renders(Code.MUTE_ENDED)
def _mute_ended() -> str:
    return "a mute that was ended early"


# Research


@_renders(Code.TOO_FEW_PRICES_FOR_BETAS)
def _too_few_prices_for_betas(*, needed: float, lookback: int, session: str) -> str:
    return f"fewer than {needed:.0f} of {_lookback(lookback, session)} have all three prices"


@_renders(Code.FACTORS_MOVED_ALIKE)
def _factors_moved_alike(*, crypto: str, proxy: str, lookback: int, session: str) -> str:
    span = _lookback(lookback, session)
    return f"{crypto} and {proxy} moved alike in {span}, so that their parts cannot be told apart"


@_renders(Code.NO_TRADE_NEAR)
def _no_trade_near(*, symbol: str, at: str) -> str:
    return f"{symbol} has no trade within five minutes of {_time(at)} UTC"


@_renders(Code.NO_INTRADAY_BETAS)
def _no_intraday_betas() -> str:
    return "the close before lacks a price, or the history is too short for betas"


@_renders(Code.WEIGHTS_TOO_OLD)
def _weights_too_old(*, as_of: str, age_days: int) -> str:
    return f"the newest weights are of {as_of}, {age_days} days old"


@_renders(Code.WEIGHTS_BACKFILLED)
def _weights_backfilled(*, first: str) -> str:
    return f"no weights are known before {first}; those are carried back by prices"


@_renders(Code.HOLDINGS_PARTIAL)
def _holdings_partial() -> str:
    return "only the ten largest holdings are known"


@_renders(Code.WEIGHTS_INCOMPLETE)
def _weights_incomplete(*, as_of: str, total: float) -> str:
    return f"the weights of {as_of} add up to {total:.0%}"


@_renders(Code.HOLDINGS_WITHOUT_PRICES)
def _holdings_without_prices(*, tickers: tuple[str, ...]) -> str:
    return f"without prices: {', '.join(tickers)}"


@_renders(Code.GAP_HAS_NO_PAST)
def _gap_has_no_past(*, metric: str) -> str:
    return f"a {metric} is there only while New York is shut, and the past is kept by its closes"


@_renders(Code.PRICES_NOT_FETCHED)
def _prices_not_fetched(*, pair: str) -> str:
    return f"the prices of {pair} are fetched once the rule is added"


@_renders(Code.NO_HISTORY_FOR_METRIC)
def _no_history_for_metric(*, metric: str) -> str:
    return f"there is too little history for {metric}"


# Errors that are caused by reasons


@_renders(Code.NO_PRICES_YET)
def _no_prices_yet(*, symbol: str, problems: tuple[Text, ...]) -> str:
    return f"No {symbol} prices yet. {'; '.join(map(sentence, problems)) or 'The source has none'}."


@_renders(Code.NO_PAIR_PRICES)
def _no_pair_prices(*, pair: str, problems: tuple[Text, ...]) -> str:
    return f"No prices for {pair}: {'; '.join(map(sentence, problems))}"


@_renders(Code.NO_PROXY_CLOSES)
def _no_proxy_closes(*, symbol: str, problems: tuple[Text, ...]) -> str:
    why = "; ".join(map(sentence, problems)) or "It is not a share that the sources know"
    return f"No closes of {symbol}, the AI proxy. {why}."


@_renders(Code.NO_COMPLETE_SESSION)
def _no_complete_session(*, first: str, last: str, reason: Text) -> str:
    return f"No session from {first} to {last} has both prices: {sentence(reason)}."


@_renders(Code.CANNOT_EXPLAIN)
def _cannot_explain(*, window: str, reason: Text) -> str:
    return f"{window} cannot be explained: {sentence(reason)}."


@_renders(Code.CANNOT_ATTRIBUTE)
def _cannot_attribute(*, window: str, reason: Text) -> str:
    return f"{window} cannot be parted: {sentence(reason)}."


# Delivery


@_renders(Code.CHANNEL_LEFT)
def _channel_left() -> str:
    return "MinerPulse was taken out of the channel."


@_renders(Code.MESSAGE_UNREADABLE)
def _message_unreadable() -> str:
    return "its row cannot be read"


# Numbers, times and phrases that several sentences share


def _level(value: float, unit: str) -> str:
    return print_value(value, unit_named(unit))


def _value(value: float, unit: str) -> str:
    """Return a value in its unit with two decimals; a value that rounds to zero has no sign."""
    return print_value(round(value, _decimals(unit)) + 0.0, unit_named(unit))


def _against(value: float, level: float, unit: str) -> str:
    """Return a value with as many decimals as it takes to appear on the correct side of a level."""
    inside = abs(value) < level
    rounded = (round(value, decimals) + 0.0 for decimals in count(unit_named(unit).decimals + 2))
    return print_value(next(number for number in rounded if (abs(number) < level) is inside), unit_named(unit))


def _decimals(unit: str) -> int:
    return unit_named(unit).decimals + 2


def _past(value: float, threshold: float, unit: str) -> str:
    return f"{_against(value, threshold, unit)} is past {_level(threshold, unit)}"


def _cleared(value: float, clear: float, unit: str) -> str:
    return f"{_against(value, clear, unit)} is back inside the clear level of {_level(clear, unit)}"


def _duration(duration_s: float) -> str:
    """Return a duration in its two largest units: `45s`, `4m 59s`, `1h 30m`."""
    seconds = int(duration_s)
    if seconds < HOUR_S:
        parts = {"m": seconds // MINUTE_S, "s": seconds % MINUTE_S}
    else:
        parts = {"h": seconds // HOUR_S, "m": seconds % HOUR_S // MINUTE_S}
    return " ".join(f"{number}{unit}" for unit, number in parts.items() if number) or "0s"


def _utc(at: str) -> str:
    return f"{datetime.fromisoformat(at):%Y-%m-%d %H:%M} UTC"


def _time(at: str) -> str:
    return f"{datetime.fromisoformat(at):%H:%M}"


def _day(session: str) -> str:
    day = datetime.fromisoformat(session)
    return f"{day:%a} {day.day} {day:%b}"


def _dollars(price: float) -> str:
    return f"{price:,.0f}" if price >= CENTS_MATTER_BELOW else f"{price:,.2f}"


def _last_bar(at: str | None) -> str:
    return "the bars begin later" if at is None else f"the last one before it ended {_utc(at)}"


def _lookback(sessions: int, session: str) -> str:
    return f"the {sessions} sessions up to {session}"


def _move(moved: float, steps: int, step: str) -> str:
    size = f"{float(moved):+,.1%}".replace("-", "−")
    return f"moved by {size}{f' in {steps} {step}s' if steps > 1 else ''}"


def _action(symbol: str, session: str, kind: str, declared: tuple[tuple[str, float], ...]) -> str:
    amounts = " and ".join(f"{_amount(kind, amount)} at {source}" for source, amount in declared)
    return f"the {kind} of {symbol} on {session} is {amounts}"


def _amount(kind: str, amount: float) -> str:
    unit = "USD" if kind == ActionKind.DIVIDEND.value else "for 1"
    return f"{float(amount):.6g} {unit}"
