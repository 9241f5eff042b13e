from __future__ import annotations

import pytest

from services.core.text import unquoted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(" “5d 12pp” ", "5d 12pp", id="quotes around it"),
        pytest.param("“5d 12pp", "5d 12pp", id="one that was not closed"),
        pytest.param("`it's late`", "it's late", id="an apostrophe"),
        pytest.param(" Ann said “no” ", "Ann said “no”", id="quotes around a part"),
    ],
)
def test_quotes_around_a_text_go_and_those_in_it_stay(text: str, expected: str) -> None:
    assert expected == unquoted(text)
