import pytest

from services.core.text import (
    bind_failure,
    cut,
    escape_control,
    normalize,
    quote,
    skip_pictures,
    strip_quotes,
    trim_end,
)


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


def test_control_characters_and_direction_marks_are_removed_from_what_people_type() -> None:
    assert "resolve 1 evil [31m\tx\ny" == normalize("\x00resolve 1 \u202eevil\u2066 \x1b[31m\x07\tx\ny\x9b\u2069")


def test_full_width_characters_become_plain_ones() -> None:
    assert "8pp%>ok" == normalize("８ｐｐ％＞ｏｋ")  # noqa: RUF001 -- as East Asian keyboards type them


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("📈 board", "board", id="an emoji"),
        pytest.param("👍🏽 ⛏️board", "board", id="a skin tone and a variation selector"),
        pytest.param(":white_check_mark: :+1: ack", "ack", id="names of emoji"),
        pytest.param("::board", "::board", id="no name"),
        pytest.param(": board :", ": board :", id="colons"),
        pytest.param(":Board", ":Board", id="one colon"),
        pytest.param("🚀", "", id="nothing else"),
    ],
)
def test_emoji_before_a_text_are_removed(text: str, expected: str) -> None:
    assert expected == skip_pictures(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("rules.", "rules"), ("rules 👍!?", "rules"), ("8%", "8%"), ("...", ""), ("ack 12", "ack 12")],
)
def test_punctuation_and_emoji_after_a_text_are_removed(text: str, expected: str) -> None:
    assert expected == trim_end(text)


def test_a_long_text_is_cut_where_it_is_quoted() -> None:
    assert ("“abc”", "x" * 200, "x" * 199 + "…") == (quote("abc"), cut("x" * 200), cut("x" * 201))


def test_control_characters_are_escaped_except_those_that_are_kept() -> None:
    assert "a\\u001b[31mb\\r\n\tc\\u202ed" == escape_control("a\x1b[31mb\r\n\tc\u202ed")
    assert "a\\nb" == escape_control("a\nb", keep="")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        pytest.param(
            OSError(98, "Address already in use (while attempting to bind on address ('127.0.0.1', 80))"),
            "Address already in use",
            id="of a server",
        ),
        pytest.param(OSError("no such interface"), "no such interface", id="without a number"),
    ],
)
def test_why_an_address_cannot_be_bound_is_one_clause(error: OSError, expected: str) -> None:
    assert expected == bind_failure(error)
