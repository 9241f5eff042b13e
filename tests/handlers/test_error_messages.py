from pathlib import Path

import pytest

from handlers.render.responses import error_message, user_message
from services.core import errors
from tests.fakes.alerts import AT
from tests.fakes.blockkit import checked

CASES = [
    pytest.param(
        errors.RuleError("1d 8xx", word="8xx", offset=3, expected="a threshold"),
        "“8xx” isn't allowed here. Use a threshold.",
        id="rule",
    ),
    pytest.param(errors.RuleLimitError("Nothing was added."), "Nothing was added.", id="too many rules"),
    pytest.param(errors.TooManyRequestsError("Nothing was done."), "Nothing was done.", id="too many requests"),
    pytest.param(errors.NotFoundError("There is no rule 7 here."), "There is no rule 7 here.", id="not found"),
    pytest.param(
        errors.AlertNotFoundError("There is no alert 7 here."), "There is no alert 7 here.", id="alert not found"
    ),
    pytest.param(
        errors.SourceError("timed out", source="Yahoo", symbol="WGMI", retryable=True),
        "The price source failed (Yahoo (WGMI): timed out). Try again in a minute.",
        id="source, may come back",
    ),
    pytest.param(
        errors.SourceError("unknown symbol", source="Yahoo", symbol="XXXX", retryable=False),
        "The price source returned no usable response (Yahoo (XXXX): unknown symbol). Check the symbols.",
        id="source, will not",
    ),
    pytest.param(
        errors.NoHistoryError("No prices for XXXX/BTC."),
        "No prices for XXXX/BTC. Try again in a minute, or check the symbols.",
        id="no history",
    ),
    pytest.param(
        errors.NoHistoryError("No holdings of WGMI are known. Import some.", remedy=""),
        "No holdings of WGMI are known. Import some.",
        id="no history that a trader could wait for",
    ),
    pytest.param(
        errors.ChannelSettingError("There is no setting “colour”."), "There is no setting “colour”.", id="setting"
    ),
    pytest.param(
        errors.ConflictError("revision 3"),
        "Nothing was changed: someone else, or a new price, changed this at the same moment. Try again.",
        id="conflict",
    ),
    pytest.param(
        errors.DatabaseBusyError("postgresql://desk:secret@db is busy"),
        "MinerPulse is busy, so nothing was changed. Try again in a minute.",
        id="store, busy",
    ),
    pytest.param(
        errors.DatabaseUnavailableError("postgresql://desk:secret@db is down"),
        "The database can't be reached, so nothing was changed. Try again in a minute.",
        id="store, without its secrets",
    ),
    pytest.param(
        errors.DeliveryError("Invite it.", permanent=True, surely_not_posted=True),
        "Invite it.",
        id="delivery, for a person",
    ),
    pytest.param(
        errors.MessageRefusedError("Report this message as a bug.", permanent=True, surely_not_posted=True),
        "Report this message as a bug.",
        id="one message",
    ),
    pytest.param(
        errors.SendDeadlineError(),
        "It couldn't be sent in time. Try again in a minute.",
        id="a late message",
    ),
    pytest.param(errors.AppPermissionError("A scope is missing."), "A scope is missing.", id="a permission"),
    pytest.param(
        errors.MessageNotEditableError("Nobody may change it."), "Nobody may change it.", id="a sealed message"
    ),
    pytest.param(
        errors.DeliveryError("Slack is rate-limiting MinerPulse.", permanent=False, surely_not_posted=True),
        "Slack is rate-limiting MinerPulse. Try again in a minute.",
        id="delivery, for later",
    ),
    pytest.param(
        errors.MessageGoneError("gone"),
        "That message was deleted in Slack, so it can't be changed.",
        id="message gone",
    ),
    pytest.param(
        errors.InvalidSettingsError("SLACK_BOT_TOKEN is missing"),
        "MinerPulse isn't set up correctly. Ask your MinerPulse administrator. The log has the reason.",
        id="settings",
    ),
    pytest.param(
        errors.HoldingsConflictError("The holdings of 2026-03-04 are known in full already."),
        "The holdings of 2026-03-04 are known in full already.",
        id="holdings that are known",
    ),
    pytest.param(
        errors.TokenExchangeError("Slack rejected the request (invalid_code).", refused=True),
        "Slack rejected the request (invalid_code).",
        id="access",
    ),
    pytest.param(errors.MessageLookupDeniedError("It may not be read."), "It may not be read.", id="a closed history"),
    pytest.param(
        errors.PriceFileError(Path("/prices.csv"), "no header", remedy="Add one"),
        "MinerPulse isn't set up correctly. Ask your MinerPulse administrator. The log has the reason.",
        id="price file",
    ),
    pytest.param(errors.LeaseLostError("Another process has it."), "Another process has it.", id="overtaken"),
    pytest.param(errors.PlaygroundError("Node.js is missing."), "Node.js is missing.", id="no stand-in"),
    pytest.param(
        errors.MarketClosedError(AT), "The market is closed, so there is no close to wait for.", id="market shut"
    ),
    pytest.param(
        errors.InvalidSinkError("desk", "Option “url” is missing."),
        "Sink desk: Option “url” is missing.",
        id="a sink for pages",
    ),
    pytest.param(
        errors.ManagedRuleError(3, "rules.yaml", "wgmi-day"),
        "Nothing was changed: rule 3 is managed by rules.yaml/wgmi-day, so it can't be edited or removed here. "
        "Change it in rules.yaml, which your MinerPulse administrator applies.",
        id="a rule of a rules file",
    ),
    pytest.param(errors.ReplayError("No session is left."), "No session is left.", id="replay"),
    pytest.param(errors.MinerPulseError("Something else."), "Something else.", id="any other"),
]


@pytest.mark.parametrize(("error", "expected"), CASES)
def test_each_error_has_a_user_message(error: errors.MinerPulseError, expected: str) -> None:
    assert expected == user_message(error)
    message = error_message(error)
    checked({"text": message.text, "blocks": message.blocks})
    assert message.text.endswith(expected)


def test_every_error_class_has_a_case() -> None:
    classes = {
        error_class
        for error_class in vars(errors).values()
        if isinstance(error_class, type) and issubclass(error_class, errors.MinerPulseError)
    }
    leaves = {error_class for error_class in classes if not error_class.__subclasses__()}
    assert leaves <= {type(case.values[0]) for case in CASES} | {errors.NotAllowedError}


def test_a_permission_error_names_the_editors() -> None:
    message = error_message(errors.NotAllowedError("change rules", ["U1", "U2"]))

    checked({"text": message.text, "blocks": message.blocks})
    assert "Nothing was changed. Only <@U1> or <@U2> can change rules here." == message.text


def test_quoted_input_cannot_mention_anyone() -> None:
    error = errors.RuleError("<!channel> ```", word="<!channel>", offset=0, expected="a window")
    message = error_message(error)
    checked({"text": message.text, "blocks": message.blocks})
    assert "<!channel>" not in message.text
