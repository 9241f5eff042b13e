"""Rules that can no longer be added, and the closest rule that can."""

import pytest

from services.core.errors import RuleError
from services.rules.grammar import parse_new_rule, parse_rule
from services.rules.rule import successor_of


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("60d z3.5", "60d 2sigma"),
        ("60d z2 below for 10m", "60d 1.5sigma below for 10m"),
        ("252d z3.5 at close on MARA/BTC", "252d 1.1sigma at close on MARA/BTC"),
        ("ytd z3.25 clear z1", "ytd 1.3sigma"),
        ("60d z0.1", "60d 0.1sigma"),
        ("60d z100", "60d 20sigma"),
    ],
)
def test_a_robust_z_over_a_long_window_is_refused_with_the_sigma_that_comes_closest(old: str, new: str) -> None:
    with pytest.raises(RuleError) as caught:
        parse_new_rule(old)

    assert f"The closest rule is “{new}”" in caught.value.expected
    assert (old.split(maxsplit=1)[0], 0) == (caught.value.word, caught.value.offset)
    assert new == str(parse_new_rule(new))
    assert old == str(parse_rule(old))


@pytest.mark.parametrize("text", ["1d z3.5", "20d z2", "60d 8pp", "60d 2sigma", "gap 5%"])
def test_other_rules_are_offered(text: str) -> None:
    assert successor_of(parse_rule(text)) is None
    assert parse_rule(text) == parse_new_rule(text)


@pytest.mark.parametrize("text", ["1d 0.00001pp", "1d 8pp clear 0.00001pp"])
def test_a_new_level_that_compares_as_zero_is_refused(text: str) -> None:
    with pytest.raises(RuleError, match="a larger level: this one counts as 0"):
        parse_new_rule(text)

    assert text == str(parse_rule(text))
