import itertools
import pkgutil
from datetime import timedelta
from importlib import import_module
from pathlib import Path

import pytest

import bot
import handlers
import services
from services.core.errors import (
    AppPermissionError,
    ConfigurationError,
    DataError,
    DeliveryError,
    ManagedRuleError,
    MessageGoneError,
    MessageLookupDeniedError,
    MessageNotEditableError,
    MinerPulseError,
    NotAllowedError,
    PriceFileError,
    RuleError,
    SendDeadlineError,
    SourceError,
    StorageError,
    TokenExchangeError,
    UserInputError,
)
from services.rules.grammar import parse_rule


def test_a_rule_error_points_at_the_wrong_word() -> None:
    with pytest.raises(RuleError) as caught:
        parse_rule("1d 8quux above")

    assert "1d 8quux above\n   ^^^^^" == caught.value.pointer


@pytest.mark.parametrize(
    ("line", "message"),
    [(None, "prices.csv: no header. Add one."), (3, "prices.csv, line 3: no header. Add one.")],
)
def test_a_price_file_error_names_path_line_and_remedy(line: int | None, message: str) -> None:
    assert message == str(PriceFileError(Path("prices.csv"), "no header", remedy="Add one", line=line))


def test_a_not_allowed_error_says_who_may() -> None:
    refused = NotAllowedError("change rules", ["U1", "U2"])

    assert ("U1", "U2") == refused.editors
    assert "Nothing was changed. Only U1 or U2 can change rules here." == str(refused)


def test_a_person_of_another_organization_sees_whom_to_ask() -> None:
    start = "Nothing was changed. People from another organization can't vote here unless they are editors. Ask"

    assert f"{start} U1." == str(NotAllowedError("vote", ["U1"], is_outsider=True))
    assert f"{start} someone from this workspace." == str(NotAllowedError("vote", [], is_outsider=True))


def test_a_managed_rule_error_names_the_file_and_the_key() -> None:
    error = ManagedRuleError(3, "rules.yaml", "week")

    assert str(error).startswith("Nothing was changed: rule 3 is managed by rules.yaml/week, so it can't be edited")


def test_a_source_error_can_be_repeated_for_another_symbol() -> None:
    wait = timedelta(seconds=30)
    failed = SourceError("HTTP 429", source="Alpaca", symbol="WGMI", retryable=True, retry_after=wait)

    of_another = failed.for_symbol("SMH")

    assert ("Alpaca (SMH): HTTP 429", True, wait) == (str(of_another), of_another.retryable, of_another.retry_after)


def test_all_but_gone_and_late_messages_are_permanent_failures() -> None:
    gone, not_editable, no_permission = (
        MessageGoneError("Gone."),
        MessageNotEditableError("Sealed."),
        AppPermissionError("Denied."),
    )
    late = SendDeadlineError()

    assert (False, True, True, False) == (
        gone.permanent,
        not_editable.permanent,
        no_permission.permanent,
        late.permanent,
    )
    assert all(error.surely_not_posted for error in (gone, not_editable, no_permission, late))


def test_a_token_exchange_error_distinguishes_refusal_from_no_answer() -> None:
    refusal, no_answer = (
        TokenExchangeError("It is refused.", refused=True),
        TokenExchangeError("No answer.", refused=False),
    )

    assert ("It is refused.", True, False) == (str(refusal), refusal.refused, no_answer.refused)


BRANCHES = {UserInputError, DataError, StorageError, DeliveryError, ConfigurationError}


def is_one_letter_apart(one: str, other: str) -> bool:
    """Return whether a single insertion, deletion or replacement turns one name into the other."""
    shorter, longer = sorted((one, other), key=len)
    if one == other or len(longer) - len(shorter) > 1:
        return False
    start = next((at for at, pair in enumerate(zip(shorter, longer, strict=False)) if pair[0] != pair[1]), len(shorter))
    return shorter[start + (len(shorter) == len(longer)) :] == longer[start + 1 :]


@pytest.fixture(scope="module")
def error_classes() -> list[type[Exception]]:
    """Every public exception class whose name ends in Error, in bot, handlers and services."""
    classes: set[type[Exception]] = set()
    for package in (bot, handlers, services):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if module.name.endswith("__main__") or ".migrations." in module.name:
                continue  # these run on import
            members = vars(import_module(module.name)).values()
            classes |= {one for one in members if isinstance(one, type) and issubclass(one, Exception)}
    ours = {"bot", "handlers", "services"}
    own = [one for one in classes if one.__module__.partition(".")[0] in ours]
    public = [one for one in own if one.__name__.endswith("Error") and not one.__name__.startswith("_")]
    return sorted(public, key=lambda one: one.__name__)


def test_the_tree_has_five_branches() -> None:
    assert BRANCHES == set(MinerPulseError.__subclasses__())


def test_every_error_belongs_to_exactly_one_branch(error_classes: list[type[Exception]]) -> None:
    branches = {error: [one for one in BRANCHES if issubclass(error, one)] for error in error_classes}

    assert {MinerPulseError: []} == {error: found for error, found in branches.items() if len(found) != 1}
    assert {*BRANCHES, RuleError, SourceError} < branches.keys()


def test_no_two_error_names_differ_by_one_letter(error_classes: list[type[Exception]]) -> None:
    names = [error.__name__ for error in error_classes]

    assert len(names) == len(set(names))
    assert [] == [pair for pair in itertools.combinations(names, 2) if is_one_letter_apart(*pair)]


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        pytest.param("SettingError", "SettingsError", True, id="an insertion"),
        pytest.param("MessageError", "MassageError", True, id="a replacement"),
        pytest.param("StoreError", "StorageError", False, id="two letters"),
        pytest.param("StoreError", "StoreError", False, id="none"),
    ],
)
def test_the_distance_of_names_is_measured_in_letters(one: str, other: str, *, expected: bool) -> None:
    assert expected is is_one_letter_apart(one, other)


def test_a_denied_lookup_leaves_open_whether_the_message_was_posted() -> None:
    denied = MessageLookupDeniedError("missing_scope")

    assert (True, False) == (denied.permanent, denied.surely_not_posted)
