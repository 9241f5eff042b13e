import pytest

from services.core.text import strip_quotes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(" “5d 12pp” ", "5d 12pp", id="quotes around it"),
        pytest.param("“5d 12pp", "5d 12pp", id="one that was not closed"),
        pytest.param("`it's late`", "it's late", id="an apostrophe"),
        pytest.param(" Ann said “no” ", "Ann said “no”", id="quotes around a part"),
    ],
)
def test_outer_quotes_are_removed_and_inner_quotes_remain(text: str, expected: str) -> None:
    assert expected == strip_quotes(text)
