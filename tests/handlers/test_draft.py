from __future__ import annotations

import pytest

from handlers.rule_form import RuleForm, empty
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
def test_a_rule_comes_out_of_the_fields_as_it_went_in(text: str) -> None:
    rule = parse_rule(text)
    assert rule == parse_rule(RuleForm.of(rule, usual=WGMI_BTC).text)


def test_a_rule_on_the_usual_pair_is_kept_apart_from_one_on_another() -> None:
    usual = Pair(etf=Symbol("IREN"), crypto=Symbol("BTC"))
    assert "WGMI/BTC" == RuleForm.of(parse_rule("1d 8pp"), usual=usual).pair
    assert "" == RuleForm.of(parse_rule("1d 8pp", usual), usual=usual).pair


def test_an_empty_form_is_the_usual_rule() -> None:
    assert parse_rule("1d 8pp") == parse_rule(empty().text)


@pytest.mark.parametrize(
    ("values", "text"),
    [
        pytest.param({"threshold": "8"}, "1d 8pp", id="a bare number"),
        pytest.param({"threshold": "−8"}, "1d 8pp below", id="a bare number with a real minus"),
        pytest.param({"metric": "z", "threshold": "3.5"}, "1d z3.5", id="a bare z"),
        pytest.param({"metric": "drawdown", "threshold": "60", "window": "5d"}, "drawdown 60%", id="no window"),
        pytest.param({"threshold": "8", "hold": "5m", "at_close": "at close"}, "1d 8pp at close", id="at close"),
        pytest.param({"threshold": "8", "clear": "500bp"}, "1d 8pp clear 5pp", id="basis points"),
        pytest.param({"threshold": "8", "more": "for 10m"}, "1d 8pp for 10m", id="more of the grammar"),
    ],
)
def test_what_is_typed_into_fields_is_a_rule(values: dict[str, str], text: str) -> None:
    draft = RuleForm.read(values)
    assert {} == draft.faults(WGMI_BTC)
    assert text == str(parse_rule(draft.text))


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        pytest.param({}, {"threshold"}, id="nothing"),
        pytest.param({"threshold": "8,5", "clear": "x"}, {"threshold"}, id="the threshold first"),
        pytest.param({"threshold": "8", "clear": "9", "hold": "soon"}, {"clear", "hold"}, id="two at once"),
        pytest.param({"metric": "drawdown", "threshold": "60", "direction": "below"}, {"direction"}, id="direction"),
        pytest.param({"threshold": "-8", "direction": "above"}, {"direction"}, id="a sign and a direction"),
        pytest.param({"threshold": "8", "pair": "WGMI"}, {"pair"}, id="half a pair"),
        pytest.param({"threshold": "8", "more": "sometimes"}, {"more"}, id="no grammar"),
    ],
)
def test_each_wrong_field_is_told_beneath_itself(values: dict[str, str], wrong: set[str]) -> None:
    assert wrong == RuleForm.read(values).faults(WGMI_BTC).keys()
