"""Reasons: a code with parameters that explains a state or a decision; `handlers.render.reasons` has the sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum, StrEnum
from math import isfinite
from typing import TypeAlias

Value: TypeAlias = "str | int | float | bool | Reason | tuple[Value, ...] | None"


class Code(StrEnum):
    """The codes of all reasons. They are stored, so none may be renamed or reused."""

    # Lists of reasons
    ALL_OF = "all_of"
    EACH_OF = "each_of"
    # Rule decisions
    OF_RULE = "of_rule"
    RULE_AWAITS_TRADE = "rule_awaits_trade"
    RULE_HAS_NO_DATA = "rule_has_no_data"
    RULE_WITHIN_THRESHOLD = "rule_within_threshold"
    RULE_KEEPS_FIRING = "rule_keeps_firing"
    RULE_PENDING = "rule_pending"
    RULE_PAST_THRESHOLD = "rule_past_threshold"
    RULE_RECOVERING = "rule_recovering"
    RULE_CLEARED = "rule_cleared"
    # Values that a rule cannot observe
    TOO_LITTLE_HISTORY = "too_little_history"
    NETWORK_NOT_READ = "network_not_read"
    GAP_UNKNOWN = "gap_unknown"
    MARKET_CLOSED = "market_closed"
    LAST_TRADE_AT = "last_trade_at"
    NO_QUOTE = "no_quote"
    NO_TRADE_IN_SESSION = "no_trade_in_session"
    TRADE_TOO_OLD = "trade_too_old"
    NO_PRICE_AT = "no_price_at"
    QUOTE_LAGS = "quote_lags"
    # Missing prices and measurements
    NO_PRICE = "no_price"
    MISSING_PRICE = "missing_price"
    HISTORY_BEGINS = "history_begins"
    WINDOW_BEFORE_HISTORY = "window_before_history"
    CLOSE_WITHOUT_SESSION = "close_without_session"
    NO_CLOSE = "no_close"
    NO_PROXY_CLOSE = "no_proxy_close"
    NO_BAR_BEFORE_CLOSE = "no_bar_before_close"
    NO_BAR_THAT_DAY = "no_bar_that_day"
    BAR_PENDING = "bar_pending"
    # Trust in prices
    WINDOW_BEGINS_WHERE = "window_begins_where"
    CLOSE_FROM_ONE_SOURCE = "close_from_one_source"
    CLOSES_APART = "closes_apart"
    MOVED_UNLIKE_FUND = "moved_unlike_fund"
    EX_DIVIDEND = "ex_dividend"
    ACTION_INVALID = "action_invalid"
    ACTION_DISPUTED = "action_disputed"
    ACTION_UNCONFIRMED = "action_unconfirmed"
    ACTION_UNUSABLE = "action_unusable"
    ACTION_AMOUNT_UNKNOWN = "action_amount_unknown"
    TRADE_OF_OUTVOTED_SOURCE = "trade_of_outvoted_source"
    NO_TRADE_ANYWHERE = "no_trade_anywhere"
    OF_SYMBOL = "of_symbol"
    MOVE_UNCONFIRMED = "move_unconfirmed"
    SPLIT_UNDECLARED = "split_undeclared"
    MOVED_LIKE_SPLIT = "moved_like_split"
    MOVED_FAR = "moved_far"
    NO_LAST_TRADE = "no_last_trade"
    TRADE_FROM_ONE_SOURCE = "trade_from_one_source"
    TRADES_APART = "trades_apart"
    NO_VOLUME = "no_volume"
    PRICE_OUTLIER = "price_outlier"
    PRICES_DISPUTED = "prices_disputed"
    HOLDINGS_CLOSES_DEGRADED = "holdings_closes_degraded"
    # Faults of a source's answers
    SOURCE_FAULT = "source_fault"
    CLOSES_LATE = "closes_late"
    TRADE_LATE = "trade_late"
    TRADE_AHEAD_OF_CLOCK = "trade_ahead_of_clock"
    CLOSES_UNRELATED = "closes_unrelated"
    SOURCE_OUTVOTED = "source_outvoted"
    VENUE_OUTVOTED = "venue_outvoted"
    SCALE_UNCONFIRMED = "scale_unconfirmed"
    VALUES_DROPPED = "values_dropped"
    # Trust in the bitcoin network
    DIFFICULTY_UNKNOWN = "difficulty_unknown"
    NO_PAST_DIFFICULTIES = "no_past_difficulties"
    DIFFICULTY_START_UNKNOWN = "difficulty_start_unknown"
    DIFFICULTY_FROM_ONE_SOURCE = "difficulty_from_one_source"
    FIGURES_AHEAD_OF_CLOCK = "figures_ahead_of_clock"
    FIGURES_TOO_OLD = "figures_too_old"
    RETARGET_OVERDUE = "retarget_overdue"
    FIGURES_UNKNOWN = "figures_unknown"
    NO_WITNESS = "no_witness"
    HASHRATES_IMPOSSIBLE = "hashrates_impossible"
    HASHRATES_APART = "hashrates_apart"
    HASHRATE_OF = "hashrate_of"
    IMPLIED_HASHRATE_OF = "implied_hashrate_of"
    # Timelines of alerts
    RULE_WORSENED = "rule_worsened"
    RULE_REPEATED = "rule_repeated"
    RULE_CORRECTED = "rule_corrected"
    RULE_RETRACTED = "rule_retracted"
    CORRECTION = "correction"
    RULE_GONE = "rule_gone"
    RULE_ADDED = "rule_added"
    RULES_STARTED = "rules_started"
    RULE_EDITED = "rule_edited"
    RULE_PAUSED = "rule_paused"
    RULES_MOVED = "rules_moved"
    RULE_RESUMED = "rule_resumed"
    RULE_REMOVED = "rule_removed"
    RULE_MANAGED = "rule_managed"
    RULE_RELEASED = "rule_released"
    SETTING_CHANGED = "setting_changed"
    ALERT_SNOOZED_LONG = "alert_snoozed_long"
    ALERT_RESOLVED_EARLY = "alert_resolved_early"
    ESCALATION_ENDED = "escalation_ended"
    SEEN = "seen"
    UNSEEN = "unseen"
    SNOOZED = "snoozed"
    UNSNOOZED = "unsnoozed"
    DRILL_STARTED = "drill_started"
    DRILL_ENDED = "drill_ended"
    ENDED_BY_HAND = "ended_by_hand"
    UNACKNOWLEDGED = "unacknowledged"
    APP_REMOVED = "app_removed"
    SETTINGS_RESET = "settings_reset"
    SILENT = "silent"
    MUTE_ENDED = "mute_ended"
    # Research
    TOO_FEW_PRICES_FOR_BETAS = "too_few_prices_for_betas"
    FACTORS_MOVED_ALIKE = "factors_moved_alike"
    NO_TRADE_NEAR = "no_trade_near"
    NO_INTRADAY_BETAS = "no_intraday_betas"
    WEIGHTS_TOO_OLD = "weights_too_old"
    WEIGHTS_BACKFILLED = "weights_backfilled"
    HOLDINGS_PARTIAL = "holdings_partial"
    WEIGHTS_INCOMPLETE = "weights_incomplete"
    HOLDINGS_WITHOUT_PRICES = "holdings_without_prices"
    GAP_HAS_NO_PAST = "gap_has_no_past"
    PRICES_NOT_FETCHED = "prices_not_fetched"
    # Errors that are caused by reasons
    NO_PRICES_YET = "no_prices_yet"
    NO_PAIR_PRICES = "no_pair_prices"
    NO_PROXY_CLOSES = "no_proxy_closes"
    NO_COMPLETE_SESSION = "no_complete_session"
    CANNOT_EXPLAIN = "cannot_explain"
    CANNOT_ATTRIBUTE = "cannot_attribute"
    # Delivery
    CHANNEL_LEFT = "channel_left"
    MESSAGE_UNREADABLE = "message_unreadable"


@dataclass(frozen=True, slots=True)
class Reason:
    """A code with its parameters, sorted by name; build it with `of`.

    Attributes:
        params: Values are JSON scalars, other reasons, or tuples of them. Dates and times are ISO texts; numbers that
            JSON lacks (NaN, infinity) are texts.
    """

    code: Code
    params: tuple[tuple[str, Value], ...] = ()

    @classmethod
    def of(cls, code: Code, /, **params: object) -> Reason:
        """Build a reason; enum members become their values, dates and times ISO texts, sequences tuples."""
        return cls(code, tuple(sorted((name, _plain(value)) for name, value in params.items())))

    def __str__(self) -> str:
        """Return the code and its parameters: for logs, and as a fallback for a missing sentence."""
        params = ", ".join(f"{name}={_log_text(value)}" for name, value in self.params)
        return f"{self.code.value}({params})" if params else self.code.value

    def to_json(self) -> dict[str, object]:
        """Return the reason as a JSON object: the code, and the parameters by name."""
        return {"code": self.code.value, **{name: _to_json(value) for name, value in self.params}}

    @classmethod
    def from_json(cls, document: Mapping[str, object]) -> Reason:
        """Build a reason from its JSON object. Raises ValueError if the code is unknown."""
        params = {name: _from_json(value) for name, value in document.items() if name != "code"}
        return cls(Code(str(document.get("code"))), tuple(sorted(params.items())))


def all_of(reasons: Sequence[Reason | str]) -> Reason | str:
    """Return one reason for several causes of the same thing; empty if there is none."""
    return _one_of(Code.ALL_OF, reasons)


def each_of(reasons: Sequence[Reason]) -> Reason | str:
    """Return one reason for what happened to several rules; empty if nothing did."""
    return _one_of(Code.EACH_OF, reasons)


def _one_of(code: Code, reasons: Sequence[Reason | str]) -> Reason | str:
    if len(reasons) == 1:
        return reasons[0]
    return Reason(code, (("reasons", tuple(reasons)),)) if reasons else ""


def _plain(value: object) -> Value:
    match value:
        case Enum():
            return _plain(value.value)
        case float():
            return float(value) if isfinite(value) else str(float(value))
        case None | Reason() | str() | int():
            return value
        case date():
            return value.isoformat()
        case Sequence():
            return tuple(_plain(item) for item in value)
        case _:
            return str(value)


def _to_json(value: Value) -> object:
    match value:
        case Reason():
            return value.to_json()
        case tuple():
            return [_to_json(item) for item in value]
        case _:
            return value


def _from_json(value: object) -> Value:
    match value:
        case dict():
            return Reason.from_json(value)
        case list():
            return tuple(_from_json(item) for item in value)
        case None | bool() | int() | float() | str():
            return value
        case _:
            raise ValueError(f"not a reason's parameter: {type(value).__name__}")


def _log_text(value: Value) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_log_text, value))}]"
    return str(value)
