"""Each error as one sentence that a trader can act on."""

from __future__ import annotations

from services.core.errors import (
    ConfigurationError,
    ConflictError,
    DeliveryError,
    MessageGoneError,
    MinerPulseError,
    NoHistoryError,
    NotFoundError,
    PriceFileError,
    ReplayError,
    RuleError,
    SourceError,
    StoreError,
)


def user_message(error: MinerPulseError) -> str:
    """Say what went wrong and what to do; what only an operator can mend stays in the log."""
    match error:
        case RuleError() | NotFoundError() | ReplayError():
            told = str(error)
        case SourceError() | NoHistoryError():
            told = _prices(error)
        case ConflictError():
            told = "Someone else, or a new price, changed this at the same moment. Nothing was changed; try again."
        case StoreError():
            told = "The database cannot be reached, so nothing was changed. Try again in a minute."
        case DeliveryError():
            told = _delivery(error)
        case ConfigurationError() | PriceFileError():
            told = "MinerPulse is not set up correctly; whoever runs it finds the reason in its log."
        case _:
            told = str(error)
    return told


def _prices(error: SourceError | NoHistoryError) -> str:
    match error:
        case NoHistoryError():
            return f"{error} {error.remedy}".strip()
        case SourceError(retryable=True):
            return f"The price source did not answer ({error}). Try again in a minute."
        case _:
            return f"The price source has no usable answer ({error}). Check the symbols."


def _delivery(error: DeliveryError) -> str:
    match error:
        case MessageGoneError():
            return "That message is gone from Slack, so it cannot be changed any more."
        case DeliveryError(permanent=True):
            return str(error)
        case _:
            return f"{error} Try again in a minute."
