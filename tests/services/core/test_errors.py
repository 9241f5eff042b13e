from datetime import timedelta
from pathlib import Path

import pytest

from services.core.errors import (
    AccessError,
    DeniedError,
    MessageGoneError,
    MessageNotEditableError,
    NotAllowedError,
    PriceFileError,
    RuleError,
    SendDeadlineError,
    SourceError,
)
from services.rules.grammar import parse_rule


def test_a_rule_that_cannot_be_read_points_at_the_word_in_the_way() -> None:
    with pytest.raises(RuleError) as caught:
        parse_rule("1d 8quux above")

    assert "1d 8quux above\n   ^^^^^" == caught.value.pointer


@pytest.mark.parametrize(
    ("line", "told"),
    [(None, "prices.csv: no header. Add one."), (3, "prices.csv, line 3: no header. Add one.")],
)
def test_a_file_that_cannot_be_read_is_named_with_the_line_and_the_remedy(line: int | None, told: str) -> None:
    assert told == str(PriceFileError(Path("prices.csv"), "no header", remedy="Add one", line=line))


def test_who_may_not_change_rules_learns_who_may() -> None:
    refused = NotAllowedError(["U1", "U2"])

    assert ("U1", "U2") == refused.people
    assert "Rules are changed here by U1, U2 only; ask one of them." == str(refused)


def test_a_failed_batch_is_told_of_each_symbol_with_what_may_help() -> None:
    wait = timedelta(seconds=30)
    failed = SourceError("HTTP 429", source="Alpaca", symbol="WGMI", retryable=True, retry_after=wait)

    of_another = failed.on("SMH")

    assert ("Alpaca on SMH: HTTP 429", True, wait) == (str(of_another), of_another.retryable, of_another.retry_after)


def test_only_a_message_that_is_gone_may_be_posted_anew_at_once() -> None:
    gone, sealed, denied = MessageGoneError("Gone."), MessageNotEditableError("Sealed."), DeniedError("Denied.")
    late = SendDeadlineError()

    assert (False, True, True, False) == (gone.permanent, sealed.permanent, denied.permanent, late.permanent)
    assert all(error.surely_not_posted for error in (gone, sealed, denied, late))


def test_a_refused_token_is_told_apart_from_one_that_nobody_answered_for() -> None:
    refusal, silence = AccessError("It is refused.", refused=True), AccessError("No answer.", refused=False)

    assert ("It is refused.", True, False) == (str(refusal), refusal.refused, silence.refused)
