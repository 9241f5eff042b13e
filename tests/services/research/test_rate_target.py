import pytest

from services.core.errors import RuleError
from services.market.measure import Window
from services.market.metrics import DRAWDOWN, RESIDUAL, SPREAD, Metric, Z
from services.research.rate_target import parse_target, print_target
from services.rules.grammar import parse_rule
from services.rules.rule import Direction

TEMPLATE = parse_rule("1d 8pp on MARA/BTC")


@pytest.mark.parametrize(
    ("text", "window", "metric", "direction", "per_year"),
    [
        pytest.param("5d 2/month", Window.D5, SPREAD, Direction.EITHER, 24, id="a window and a rate"),
        pytest.param("20D Residual below 1/quarter", Window.D20, RESIDUAL, Direction.BELOW, 4, id="all"),
        pytest.param("0.5/week 1d z", Window.D1, Z, Direction.EITHER, 26, id="in any order"),
        pytest.param("drawdown 1/year", None, DRAWDOWN, Direction.EITHER, 1, id="no window"),
        pytest.param("5d drawdown 1/year", None, DRAWDOWN, Direction.EITHER, 1, id="an unused window"),
    ],
)
def test_a_target_is_parsed(text: str, window: Window, metric: Metric, direction: Direction, per_year: float) -> None:
    target = parse_target(text, TEMPLATE)
    rule = target.rule
    assert (window, metric, direction, per_year) == (rule.window, rule.metric, rule.direction, target.per_year)
    assert TEMPLATE.pair == rule.pair


@pytest.mark.parametrize(
    ("text", "word", "expected"),
    [
        pytest.param("5d 2/fortnight", "2/fortnight", "a window, a metric or a rate", id="invalid rate"),
        pytest.param("5d 0/month", "0/month", "a window, a metric or a rate", id="zero rate"),
        pytest.param("gap 2/month", "gap", "a window, a metric or a rate", id="metric without closes"),
        pytest.param("5d", "", "how many alerts", id="rate missing"),
        pytest.param("2/month", "", "a window (1d 5d 20d 60d 252d ytd)", id="window missing"),
        pytest.param("", "", "how many alerts", id="empty text"),
    ],
)
def test_an_invalid_target_names_the_word(text: str, word: str, expected: str) -> None:
    with pytest.raises(RuleError) as raised:
        parse_target(text, TEMPLATE)
    assert word == raised.value.word
    assert raised.value.expected.startswith(expected)


@pytest.mark.parametrize("text", ["5d 9/year", "20d residual below 4/year", "drawdown above 1.5/year"])
def test_a_target_prints_as_it_was_parsed(text: str) -> None:
    assert text == print_target(parse_target(text, parse_rule("1d 8pp")))
