import pickle
from datetime import UTC, date, datetime
from enum import Enum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.reason import Code, Reason, all_of, each_of

NO_PRICE = Reason.of(Code.NO_PRICE)
AT = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)


class Level(Enum):
    LOW = "low"


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.dates() | st.sampled_from(Level)
values = st.recursive(
    scalars | st.builds(Reason.of, st.sampled_from(Code)),
    lambda inner: st.lists(inner, max_size=3) | st.builds(lambda value: Reason.of(Code.OF_RULE, value=value), inner),
    max_leaves=6,
)


def test_parameters_are_plain_values() -> None:
    reason = Reason.of(Code.NO_PRICE_AT, at=AT, on=date(2026, 3, 2), level=Level.LOW, many=[1.5, Level.LOW])

    assert (
        ("at", "2026-03-02T15:00:00+00:00"),
        ("level", "low"),
        ("many", (1.5, "low")),
        ("on", "2026-03-02"),
    ) == reason.params


def test_numbers_that_json_lacks_are_texts() -> None:
    assert (("amount", "nan"), ("size", "-inf")) == Reason.of(
        Code.ACTION_INVALID, size=float("-inf"), amount=float("nan")
    ).params


def test_the_order_of_parameters_does_not_matter() -> None:
    first, second = Reason.of(Code.NO_CLOSE, a=1, b=2), Reason.of(Code.NO_CLOSE, b=2, a=1)

    assert (first, hash(first)) == (second, hash(second))


@given(st.sampled_from(Code), st.dictionaries(st.sampled_from(["a", "b_s", "kind"]), values))
def test_a_reason_is_read_from_its_json_and_from_its_pickle(code: Code, params: dict[str, object]) -> None:
    reason = Reason.of(code, **params)

    assert reason == Reason.from_json(reason.to_json())
    assert reason == pickle.loads(pickle.dumps(reason))  # noqa: S301 -- our own


@pytest.mark.parametrize("document", [{}, {"code": "unknown"}, {"code": "no_price", "a": object()}, {"code": None}])
def test_an_unknown_reason_is_an_error(document: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="not a"):
        Reason.from_json(document)


def test_logs_show_the_code_and_its_parameters() -> None:
    nested = Reason.of(Code.MISSING_PRICE, session=date(2026, 3, 2), reasons=[NO_PRICE])

    assert ("no_price", "missing_price(reasons=[no_price], session=2026-03-02)") == (str(NO_PRICE), str(nested))


def test_several_reasons_combine_into_one() -> None:
    assert ("", NO_PRICE) == (all_of([]), all_of([NO_PRICE]))
    assert Reason.of(Code.ALL_OF, reasons=[NO_PRICE, "away"]) == all_of([NO_PRICE, "away"])
    assert Reason.of(Code.EACH_OF, reasons=[NO_PRICE, NO_PRICE]) == each_of([NO_PRICE, NO_PRICE])
