import pytest

from services.core.scan import DIGITS, LOWERCASE, Scanner, Word, consists_of, is_symbol, words
from services.core.text import counted


@pytest.mark.parametrize(
    ("text", "number", "rest"),
    [
        ("8", "8", ""),
        ("8.5pp", "8.5", "pp"),
        (".5", ".5", ""),
        ("8.", "8", "."),
        ("8..5", "8", "..5"),
        (".", "", "."),
        ("", "", ""),
        ("x8", "", "x8"),
        ("٨", "", "٨"),
    ],
)
def test_a_number_is_taken_from_the_front(text: str, number: str, rest: str) -> None:
    scanner = Scanner(text)
    assert (number, rest) == (scanner.number(), scanner.rest)


def test_runs_and_literals_move_the_cursor_forward_only() -> None:
    scanner = Scanner("until 12h")
    assert "until" == scanner.run(LOWERCASE)
    assert "" == scanner.skip("x", "12")
    assert " " == scanner.skip(" ")
    assert "1" == scanner.run(DIGITS, 1)
    assert ("2", "2h", False) == (scanner.next, scanner.rest, scanner.is_done)
    assert "2h" == scanner.skip("2h")
    assert ("", "", True) == (scanner.next, scanner.rest, scanner.is_done)


def test_words_have_offsets() -> None:
    assert [Word("a", 1), Word("a", 4), Word("aa", 6)] == list(words(" a  a aa\n"))


@pytest.mark.parametrize(
    ("text", "is_one"), [("BTC", True), ("B" * 11, False), ("1B", False), ("", False), ("bt", False)]
)
def test_symbols(text: str, is_one: bool) -> None:
    assert is_one is is_symbol(text)
    assert is_symbol("BRK.B", extra=".")
    assert not is_symbol("BRK.B")


def test_an_empty_text_consists_of_nothing() -> None:
    assert not consists_of("", DIGITS)


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, "0 sessions"), (1, "1 session"), (1.5, "1.5 sessions"), (2, "2 sessions"), (1_200_000, "1,200,000 sessions")],
)
def test_a_number_has_the_noun_that_fits(count: float, expected: str) -> None:
    assert expected == counted(count, "session")
