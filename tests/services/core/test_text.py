import pytest

from services.core.text import escape_control, strip_quotes


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


def test_control_characters_are_escaped_except_those_that_are_kept() -> None:
    assert "a\\u001b[31mb\\r\n\tc\\u202ed" == escape_control("a\x1b[31mb\r\n\tc\u202ed")
    assert "a\\nb" == escape_control("a\nb", keep="")
