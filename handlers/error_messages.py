"""User messages for errors: one sentence that a trader can act on."""

from __future__ import annotations

from services.core.errors import (
    ConflictError,
    DatabaseUnavailableError,
    DeliveryError,
    InvalidSettingsError,
    MessageGoneError,
    MinerPulseError,
    NoHistoryError,
    PriceFileError,
    ReplayError,
    SourceError,
    UserInputError,
)


def user_message(error: MinerPulseError) -> str:
    """Return what went wrong and what to do; details that only an operator can fix stay in the log."""
    match error:
        case UserInputError() | ReplayError():
            text = str(error)
        case SourceError() | NoHistoryError():
            text = _data_message(error)
        case ConflictError():
            text = "Someone else, or a new price, changed this at the same moment. Nothing was changed; try again."
        case DatabaseUnavailableError():
            text = "The database cannot be reached, so nothing was changed. Try again in a minute."
        case DeliveryError():
            text = _delivery_message(error)
        case InvalidSettingsError() | PriceFileError():
            text = "MinerPulse is not set up correctly; whoever runs it finds the reason in its log."
        case _:
            text = str(error)
    return text


def _data_message(error: SourceError | NoHistoryError) -> str:
    match error:
        case NoHistoryError():
            return f"{error} {error.remedy}".strip()
        case SourceError(retryable=True):
            return f"The price source did not answer ({error}). Try again in a minute."
        case _:
            return f"The price source has no usable answer ({error}). Check the symbols."


def _delivery_message(error: DeliveryError) -> str:
    match error:
        case MessageGoneError():
            return "That message is gone from Slack, so it cannot be changed any more."
        case DeliveryError(permanent=True):
            return str(error)
        case _:
            return f"{error} Try again in a minute."
