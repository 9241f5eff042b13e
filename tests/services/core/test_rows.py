"""A table without a row for a key, or with two, fails when it is made."""

from enum import Enum
from operator import itemgetter

import pytest

from services.core.rows import by_key, complete


class Color(Enum):
    RED = "red"
    BLUE = "blue"


def test_a_complete_table_is_returned_as_it_is() -> None:
    rows = {Color.RED: 1, Color.BLUE: 2}
    assert rows is complete("SHADES", Color, rows)


def test_a_member_without_its_row_is_named() -> None:
    with pytest.raises(AssertionError, match=r"^SHADES has no row for Color\.BLUE; add one\.$"):
        complete("SHADES", Color, {Color.RED: 1})


def test_rows_are_found_by_key_in_their_order() -> None:
    assert {"b": "b1", "a": "a2"} == by_key("WORDS", itemgetter(0), ["b1", "a2"])


def test_two_rows_with_one_key_are_refused() -> None:
    with pytest.raises(AssertionError, match=r"^WORDS has two rows for a; rename or delete one\.$"):
        by_key("WORDS", itemgetter(0), ["a1", "b", "a2"])
