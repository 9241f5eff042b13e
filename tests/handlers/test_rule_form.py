import pytest

from handlers.rule_form import RuleForm, default_form
from services.core.prices import WGMI_BTC, Pair, Symbol
from services.rules.grammar import parse_rule


@pytest.mark.parametrize(
    "text",
    [
        "1d 8pp",
        "5d 15pp above clear 10pp",
        "1d z3.5",
        "20d residual 10pp below clear 7pp for 10m",
        "gap 5% above",
        "drawdown 60% at close",
        "ytd 30pp on MARA/BTC",
        "252d z2 for 0s on WGMI/SMH",
        "1d 8pp above for 10m keep 15m repeat 1h on MARA/BTC",
    ],
)
def test_a_rule_round_trips_through_the_form(text: str) -> None:
    rule = parse_rule(text)
    assert rule == parse_rule(RuleForm.from_rule(rule, default_pair=WGMI_BTC).text)


def test_the_options_name_the_pair_unless_it_is_the_default_one() -> None:
    default_pair = Pair(etf=Symbol("IREN"), crypto=Symbol("BTC"))
    assert "on WGMI/BTC" == RuleForm.from_rule(parse_rule("1d 8pp"), default_pair=default_pair).options
    assert "" == RuleForm.from_rule(parse_rule("1d 8pp", default_pair), default_pair=default_pair).options


def test_the_default_form_is_the_default_rule() -> None:
    assert parse_rule("1d 8pp") == parse_rule(default_form().text)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        pytest.param({"threshold": "8"}, "1d 8pp", id="a bare number"),
        pytest.param({"threshold": "−8"}, "1d 8pp below", id="a bare number with a real minus"),
        pytest.param({"metric": "z", "threshold": "3.5"}, "1d z3.5", id="a bare z"),
        pytest.param({"metric": "drawdown", "threshold": "60", "window": "5d"}, "drawdown 60%", id="no window"),
        pytest.param({"threshold": "8", "evaluate": "at close"}, "1d 8pp at close", id="at close"),
        pytest.param({"threshold": "8", "options": "clear 500bp"}, "1d 8pp clear 5pp", id="basis points"),
        pytest.param({"threshold": "8", "options": "clear 5"}, "1d 8pp clear 5pp", id="a bare clear level"),
        pytest.param(
            {"threshold": "8", "options": "on MARA/BTC repeat 1h for 10m"},
            "1d 8pp for 10m repeat 1h on MARA/BTC",
            id="options in any order",
        ),
        pytest.param(
            {"metric": "beta", "window": "60d", "threshold": "0.5", "evaluate": "at close"},
            "60d beta 0.5 below",
            id="always at the close",
        ),
        pytest.param(
            {"threshold": "8", "clear": "5", "hold": "10m", "more": "keep 15m", "pair": "MARA/BTC"},
            "1d 8pp clear 5pp for 10m keep 15m on MARA/BTC",
            id="the fields of an earlier form",
        ),
        pytest.param(
            {"threshold": "8", "hold": "5m", "at_close": "at close"}, "1d 8pp at close", id="the earlier checkbox"
        ),
    ],
)
def test_field_values_are_parsed_as_a_rule(values: dict[str, str], text: str) -> None:
    form = RuleForm.from_values(values)
    assert {} == form.errors(WGMI_BTC)
    assert text == str(parse_rule(form.text))


@pytest.mark.parametrize(
    ("values", "fields"),
    [
        pytest.param({}, {"threshold"}, id="nothing"),
        pytest.param({"threshold": "8,5", "clear": "x"}, {"threshold"}, id="the threshold first"),
        pytest.param({"threshold": "8", "direction": "up", "options": "for soon"}, {"direction", "options"}, id="two"),
        pytest.param({"metric": "drawdown", "threshold": "60", "direction": "below"}, {"direction"}, id="direction"),
        pytest.param({"threshold": "-8", "direction": "above"}, {"direction"}, id="a sign and a direction"),
        pytest.param({"threshold": "8", "options": "on WGMI"}, {"options"}, id="half a pair"),
        pytest.param({"threshold": "8", "options": "clear"}, {"options"}, id="an option without its value"),
        pytest.param({"threshold": "8", "options": "sometimes"}, {"options"}, id="no grammar"),
    ],
)
def test_each_invalid_field_has_its_own_error(values: dict[str, str], fields: set[str]) -> None:
    assert fields == RuleForm.from_values(values).errors(WGMI_BTC).keys()
