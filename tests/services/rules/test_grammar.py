from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.core.errors import RuleError
from services.core.prices import WGMI_BTC, Pair, Symbol
from services.market.measure import Window
from services.market.metrics import (
    BETA_60,
    BTC,
    CORRELATION_60,
    DIFFICULTY,
    DRAWDOWN,
    GAP,
    HASHPRICE,
    METRICS,
    MOVE,
    RESIDUAL,
    Direction,
    Metric,
    Z,
)
from services.rules.grammar import parse_new_rule, parse_rule, parse_window, suggest_rules
from services.rules.rule import DEFAULT_HOLD, DEFAULT_RULES, Rule, print_duration, print_rule, with_default_clear

LEVEL = Rule(
    window=Window.D60,
    metric=CORRELATION_60,
    threshold=0.4,
    direction=Direction.BELOW,
    clear=0.5,
    hold=timedelta(0),
    at_close=True,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("1d 8pp", Rule(window=Window.D1, threshold=0.08, clear=0.048), id="the shortest"),
        pytest.param(
            "5d 15pp above clear 10pp",
            Rule(window=Window.D5, threshold=0.15, direction=Direction.ABOVE, clear=0.10),
            id="one side, its own clear level",
        ),
        pytest.param("1d z3.5", Rule(window=Window.D1, metric=Z, threshold=3.5, clear=2.1), id="robust z"),
        pytest.param("1d 2.2sigma", Rule(window=Window.D1, metric=MOVE, threshold=2.2, clear=1.32), id="sigma"),
        pytest.param("1d 2.2σ", Rule(window=Window.D1, metric=MOVE, threshold=2.2, clear=1.32), id="the letter"),
        pytest.param("ytd 2 sd", Rule(window=Window.YTD, metric=MOVE, threshold=2, clear=1.2), id="sd apart"),
        pytest.param("1d sigma 2", Rule(window=Window.D1, metric=MOVE, threshold=2, clear=1.2), id="sigma by name"),
        pytest.param(
            "5d -1.6sigma",
            Rule(window=Window.D5, metric=MOVE, threshold=1.6, direction=Direction.BELOW, clear=0.96),
            id="sigma below",
        ),
        pytest.param(
            "1d below 8pp",
            Rule(window=Window.D1, threshold=0.08, direction=Direction.BELOW, clear=0.048),
            id="the side before the threshold",
        ),
        pytest.param(
            "1d btc below 5%",
            Rule(window=Window.D1, metric=BTC, threshold=0.05, direction=Direction.BELOW, clear=0.03),
            id="the return of one leg",
        ),
        pytest.param(
            "60d correlation below 0.4 clear 0.6",
            replace(LEVEL, clear=0.6),
            id="a level with its own clear level",
        ),
        pytest.param("60d correlation 0.4", LEVEL, id="a level is watched below"),
        pytest.param("60d correlation 0.4 at close", LEVEL, id="a level is decided at closes anyway"),
        pytest.param(
            "60d beta 1.5 above",
            replace(LEVEL, metric=BETA_60, direction=Direction.ABOVE, threshold=1.5, clear=1.4),
            id="a level above",
        ),
        pytest.param("1d z 3.5", Rule(window=Window.D1, metric=Z, threshold=3.5, clear=2.1), id="z apart"),
        pytest.param(
            "20d residual 10pp for 10m",
            Rule(window=Window.D20, metric=RESIDUAL, threshold=0.1, clear=0.06, hold=timedelta(minutes=10)),
            id="residual, held",
        ),
        pytest.param(
            "1d 8pp repeat 1h keep 10m for 0s",
            Rule(
                window=Window.D1,
                threshold=0.08,
                clear=0.048,
                hold=timedelta(0),
                keep=timedelta(minutes=10),
                repeat=timedelta(hours=1),
            ),
            id="kept before it resolves, and repeated",
        ),
        pytest.param("1d 8pp keep 0s", Rule(window=Window.D1, threshold=0.08, clear=0.048), id="not kept"),
        pytest.param("gap 5%", Rule(window=None, metric=GAP, threshold=0.05, clear=0.03), id="gap"),
        pytest.param("drawdown 60%", Rule(window=None, metric=DRAWDOWN, threshold=0.6, clear=0.36), id="drawdown"),
        pytest.param(
            "20d hashprice 15% below",
            Rule(window=Window.D20, metric=HASHPRICE, threshold=0.15, direction=Direction.BELOW, clear=0.09),
            id="hashprice",
        ),
        pytest.param(
            "5d difficulty 5% on MARA/BTC",
            Rule(
                window=Window.D5,
                metric=DIFFICULTY,
                threshold=0.05,
                clear=0.03,
                pair=Pair(etf=Symbol("MARA"), crypto=Symbol("BTC")),
            ),
            id="difficulty, beside another share",
        ),
        pytest.param(
            "  YTD   SPREAD 8.1%  at  CLOSE on mara/btc ",
            Rule(
                window=Window.YTD,
                threshold=0.081,
                clear=0.0486,
                hold=timedelta(0),
                at_close=True,
                pair=Pair(etf=Symbol("MARA"), crypto=Symbol("BTC")),
            ),
            id="every letter case and any spacing; % is pp for a spread",
        ),
        pytest.param(
            "1d 8pp on wgmi/btc either for 5m clear 4.8pp",
            Rule(window=Window.D1, threshold=0.08, clear=0.048),
            id="defaults that are spelled out, in any order",
        ),
    ],
)
def test_a_rule_is_parsed(text: str, expected: Rule) -> None:
    assert expected == parse_rule(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("1d 800bp", "1d 8pp", id="basis points"),
        pytest.param("GAP 550bps", "gap 5.5%", id="basis points of a percentage"),
        pytest.param("5d 15% clear 1000 bp", "5d 15pp clear 10pp", id="a value and its unit apart"),
        pytest.param("1d\u00a08\u2009pp\u202fabove", "1d 8pp above", id="no-break and thin spaces"),
        pytest.param("1d 8\u200bpp", "1d 8pp", id="a space that nobody sees"),
        pytest.param("5\u2009d 15\u2009pp for 10\u2009m", "5d 15pp for 10m", id="a space before each unit"),
        pytest.param("1d −8pp", "1d 8pp below", id="a real minus"),
        pytest.param("1d -8 pp", "1d 8pp below", id="a hyphen"),
        pytest.param("1d +8pp", "1d 8pp above", id="a plus"),
        pytest.param("1d −z3.5", "1d z3.5 below", id="a minus before z"),
        pytest.param("1d z −3.5", "1d z3.5 below", id="a minus behind z"),
        pytest.param("20d residual –10pp for 10m", "20d residual 10pp below for 10m", id="an en dash"),
    ],
)
def test_characters_from_phones_and_pasted_text_are_accepted(text: str, expected: str) -> None:
    assert expected == str(parse_rule(text))


@pytest.mark.parametrize(
    ("text", "word", "at", "expected"),
    [
        pytest.param("", "", 0, "a window (1d 5d 20d 60d 252d ytd)", id="nothing"),
        pytest.param("1d", "", 3, "percentage points, as in 8pp", id="no threshold"),
        pytest.param("1d above", "", 9, "percentage points, as in 8pp", id="the threshold forgotten"),
        pytest.param("1d above above 8pp", "above", 9, "a threshold, as in 8pp or z3.5", id="a side twice"),
        pytest.param("1d above 8pp below", "below", 13, "“below” only once", id="two sides"),
        pytest.param("1d below -8pp", "below", 3, "one direction", id="a side before a sign"),
        pytest.param(
            "60d correlation -0.4", "-0.4", 16, "a correlation threshold without a sign", id="a level with a sign"
        ),
        pytest.param("60d correlation 0.95", "0.95", 16, "above 0 and at most 0.85", id="no level above it"),
        pytest.param(
            "60d correlation 0.4 either", "either", 20, "“above” or “below”, because a correlation", id="both sides"
        ),
        pytest.param("60d beta either 0.4", "either", 9, "“above” or “below”, because a beta", id="both sides first"),
        pytest.param("20d beta 0.4", "20d", 0, "60d", id="a window of 20 sessions"),
        pytest.param("60d beta 0.4 clear 0.4", "0.4", 19, "a clear level above 0.4", id="clear at the level"),
        pytest.param("60d beta 0.4 clear 0.3", "0.3", 19, "a clear level above 0.4", id="clear on the far side"),
        pytest.param("60d beta 0.4 above clear 0.5", "0.5", 25, "a clear level below 0.4", id="clear above"),
        pytest.param("60d beta 0.1 above", "", 19, "a clear level above 0", id="no room to clear"),
        pytest.param("60d beta 0.5 for 10m", "for", 13, "either “for” or “at close”", id="a level is not held"),
        pytest.param("2d 8pp", "2d", 0, "a window (1d 5d 20d 60d 252d ytd)", id="no such window"),
        pytest.param("1d 8", "8", 3, "percentage points, as in 8pp", id="no unit"),
        pytest.param("1d 8,5pp", "8,5pp", 3, "a point for decimals and no comma", id="a decimal comma"),
        pytest.param("1d z3,5", "z3,5", 3, "a point for decimals and no comma", id="a decimal comma in z"),
        pytest.param("1d 8pp clear 4,8pp", "4,8pp", 13, "a point for decimals", id="a decimal comma in clear"),
        pytest.param("1d -8pp above", "above", 8, "one direction", id="a sign and a direction"),
        pytest.param("1d 8pp clear -5pp", "-5pp", 13, "percentage points, as in 8pp", id="a sign on clear"),
        pytest.param("drawdown −60%", "-60%", 9, "a drawdown threshold without a sign", id="a signed drawdown"),
        pytest.param("drawdown 6000bp on", "", 19, "a pair of symbols", id="on nothing, behind basis points"),
        pytest.param("1d 0pp", "0pp", 3, "above 0 and at most 1000pp", id="zero"),
        pytest.param("1d 1001pp", "1001pp", 3, "above 0 and at most 1000pp", id="too much"),
        pytest.param("1d z3pp", "z3pp", 3, "a robust z, as in z3.5", id="two units"),
        pytest.param("1d residual z3", "z3", 12, "percentage points", id="the wrong unit"),
        pytest.param("gap 5pp", "5pp", 4, "a percentage, as in 5%", id="gap in pp"),
        pytest.param("gap spread 5%", "spread", 4, "a percentage", id="a metric that needs a window"),
        pytest.param(
            "1d gap 5%",
            "gap",
            3,
            "a metric: spread, residual, z, sigma, hashprice, difficulty, correlation, beta, etf or btc",
            id="a metric that has no window",
        ),
        pytest.param(
            "hashprice 10%", "hashprice", 0, "a window before it (1d 5d 20d", id="a metric without its window"
        ),
        pytest.param("z3.5", "z3.5", 0, "a window (1d 5d 20d", id="a threshold without its window"),
        pytest.param("z 3.5", "z", 0, "as in “20d z3.5”", id="z without its window"),
        pytest.param("20d hashprice 45usd", "45usd", 14, "a percentage, as in 5%", id="a level of the hashprice"),
        pytest.param(
            "5d difficulty 5% on MARA/ETH",
            "difficulty",
            3,
            "a pair with BTC, as in “on WGMI/BTC”",
            id="a network without its coin",
        ),
        pytest.param("1d 8pp abov", "abov", 7, "“above”", id="a misspelt word"),
        pytest.param("1d 8pp please", "please", 7, "clear, for, keep, repeat, at close or on", id="a strange word"),
        pytest.param("1d 8pp clear 9pp", "9pp", 13, "at most 8pp", id="clear above the threshold"),
        pytest.param("1d 8pp clear", "", 13, "percentage points", id="clear without a value"),
        pytest.param("1d 8pp for 3d", "3d", 11, "a duration of at most 6h", id="no such unit of time"),
        pytest.param("1d 8pp for 7h", "7h", 11, "a duration of at most 6h", id="held longer than a session"),
        pytest.param("1d 8pp at noon", "noon", 10, "“close”", id="at what?"),
        pytest.param("1d 8pp on WGMI", "WGMI", 10, "a pair of symbols, as in WGMI/BTC", id="half a pair"),
        pytest.param("1d 8pp above below", "below", 13, "only once", id="two directions"),
        pytest.param("1d 8pp for 5m at close", "at", 14, "either “for” or “at close”", id="held at a close"),
        pytest.param("1d 8pp at close for 5m", "for", 16, "either “for” or “at close”", id="a close that is held"),
        pytest.param("1d 8pp keep 5m at close", "at", 15, "either “keep” or “at close”", id="kept at a close"),
        pytest.param("1d 8pp at close keep 5m", "keep", 16, "either “keep” or “at close”", id="a close that is kept"),
        pytest.param("1d 8pp keep 7h", "7h", 12, "a duration of at most 6h", id="kept longer than a session"),
        pytest.param("1d 8pp keep", "", 12, "a duration of at most 6h", id="kept for how long?"),
        pytest.param("1d 8pp repeat 14m", "14m", 14, "a duration from 15m to 24h", id="repeated too often"),
        pytest.param("1d 8pp repeat 25h", "25h", 14, "a duration from 15m to 24h", id="repeated too seldom"),
        pytest.param("1d 8pp repeats 1h", "repeats", 7, "“repeat”", id="a misspelt repeat"),
        pytest.param("drawdown 60% below", "below", 13, "no direction", id="a drawdown upwards"),
        pytest.param("1d ٨pp", "٨pp", 3, "percentage points", id="other digits"),
    ],
)
def test_an_error_points_at_the_word_and_says_what_was_expected(text: str, word: str, at: int, expected: str) -> None:
    with pytest.raises(RuleError) as caught:
        parse_rule(text)

    assert (word, at) == (caught.value.word, caught.value.offset)
    assert expected in caught.value.expected
    assert caught.value.pointer.splitlines()[-1].index("^") == at


values = st.integers(1, 99_999).map(lambda number: Decimal(number) / 1000)
holds = (
    st.integers(0, 6 * 3600)
    .map(lambda seconds: timedelta(seconds=seconds))
    .filter(lambda span: span.total_seconds() <= 9999 or span.total_seconds() % 60 == 0)
)
symbols = st.from_regex(r"\A[A-Z][A-Z0-9]{0,5}\Z").map(Symbol)


@st.composite
def rules(draw: st.DrawFn) -> Rule:
    metric = draw(st.sampled_from(list(METRICS.values())))
    scale = round(metric.unit.scale)
    if metric.unit.is_level:
        return draw(levels(metric))
    threshold = draw(values.filter(lambda value: float(value / scale) <= metric.unit.max_value))
    clear = draw(st.one_of(st.none(), values.filter(lambda value: value <= threshold)))
    at_close = draw(st.booleans())
    exact = float(threshold / scale)
    cryptos = st.just(WGMI_BTC.crypto) if metric.needs_network else symbols
    directions = [Direction.ABOVE, Direction.EITHER] if metric is DRAWDOWN else list(Direction)
    rule = Rule(
        window=draw(st.sampled_from(Window)) if metric.windowed else None,
        metric=metric,
        threshold=exact,
        direction=draw(st.sampled_from(directions)),
        clear=0.0 if clear is None else float(clear / scale),
        hold=timedelta(0) if at_close else draw(st.one_of(st.just(DEFAULT_HOLD), holds)),
        keep=timedelta(0) if at_close else draw(holds),
        repeat=draw(st.none() | st.integers(15, 24 * 60).map(lambda minutes: timedelta(minutes=minutes))),
        at_close=at_close,
        pair=draw(st.one_of(st.just(WGMI_BTC), st.builds(lambda a, b: Pair(etf=a, crypto=b), symbols, cryptos))),
    )
    return with_default_clear(rule) if clear is None else rule


@st.composite
def levels(draw: st.DrawFn, metric: Metric) -> Rule:
    """Return a rule on a level, whose clear level is behind the threshold."""
    direction = draw(st.sampled_from([Direction.ABOVE, Direction.BELOW]))
    threshold = draw(st.integers(20, 80)) / 100
    rule = Rule(
        window=Window.D60,
        metric=metric,
        threshold=threshold,
        direction=direction,
        clear=0.0,
        hold=timedelta(0),
        at_close=True,
    )
    if draw(st.booleans()):
        return with_default_clear(rule)
    steps = draw(st.integers(1, 15)) / 100
    clear = threshold - steps if direction is Direction.ABOVE else threshold + steps
    return replace(rule, clear=round(clear, 2))


@given(rules())
def test_a_printed_rule_parses_to_an_equal_rule(rule: Rule) -> None:
    assert rule == parse_rule(print_rule(rule))


@given(rules())
def test_printing_a_parsed_rule_is_idempotent(rule: Rule) -> None:
    assert str(rule) == str(parse_rule(str(rule)))


@given(st.text(alphabet="1258dztpreskh 0.,-+%abovlwcfinma/GMI", max_size=40))
def test_any_text_is_parsed_or_raises_a_rule_error(text: str) -> None:
    rule, error = None, None
    try:
        rule = parse_rule(text)
    except RuleError as caught:
        error = caught

    assert (rule is None) is (error is not None)
    assert rule is None or rule == parse_rule(str(rule))
    assert error is None or (error.pointer.startswith(text) and str(error).endswith("."))


def test_a_rule_without_a_pair_gets_the_default_pair() -> None:
    iren = Pair(etf=Symbol("IREN"), crypto=Symbol("BTC"))

    assert "1d 8pp on IREN/BTC" == str(parse_rule("1d 8pp", iren))
    assert "1d 8pp" == str(parse_rule("1d 8pp on WGMI/BTC", iren))


def test_the_default_rules_print_unchanged() -> None:
    assert list(DEFAULT_RULES) == [str(parse_rule(text)) for text in DEFAULT_RULES]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        pytest.param(0, "0s", id="none"),
        pytest.param(90, "90s", id="no whole minutes"),
        pytest.param(600, "10m", id="minutes"),
        pytest.param(7200, "2h", id="hours"),
    ],
)
def test_a_duration_is_printed_in_its_largest_whole_unit(seconds: int, expected: str) -> None:
    assert expected == print_duration(timedelta(seconds=seconds))


def test_a_rule_of_more_than_500_characters_is_refused_with_its_length() -> None:
    with pytest.raises(RuleError, match="at most 500 characters, not 501"):
        parse_rule("1d 8pp" + " " * 495)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("1 day, 8 percent.", "1d 8pp", id="words and punctuation"),
        pytest.param("1d,8pp;above", "1d 8pp above", id="commas without spaces"),
        pytest.param("1-day 8-pp", "1d 8pp", id="hyphens before units"),
        pytest.param("1d 8 percentage points", "1d 8pp", id="a unit of two words"),
        pytest.param("1d > 8pp", "1d 8pp above", id="a comparison"),
        pytest.param("1d ≥8pp", "1d 8pp above", id="a comparison without a space"),
        pytest.param("1d > +8pp", "1d 8pp above", id="a comparison and a sign that agree"),
        pytest.param("1d < -8pp", "1d 8pp below", id="a comparison below zero"),
        pytest.param("1d - 8pp", "1d 8pp below", id="a sign apart"),
        pytest.param("60d beta < 0.5", "60d beta 0.5 below", id="a level below"),
        pytest.param("8pp 1d", "1d 8pp", id="the window last"),
        pytest.param("residual 20d 10", "20d residual 10pp", id="a named metric needs no unit"),
        pytest.param("5d 15pp clear 10", "5d 15pp clear 10pp", id="a clear level has the unit of its threshold"),
        pytest.param("1d 8pp for 10 minutes and at the close", None, id="what excludes each other"),
        pytest.param("1d 8pp at the close", "1d 8pp at close", id="an article"),
        pytest.param("1d 8pp behind", "1d 8pp below", id="another word for a side"),
    ],
)
def test_rules_are_read_as_people_type_them(text: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(RuleError):
            parse_rule(text)
    else:
        assert expected == str(parse_rule(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("1d 8", ["1d 8pp"], id="no unit, and three metrics are possible"),
        pytest.param("1d 8 bananas above", ["1d 8pp above"], id="a strange unit"),
        pytest.param("1d 8,5pp", ["1d 8.5pp"], id="a decimal comma"),
        pytest.param("1d -8,5pp", ["1d 8.5pp below"], id="a decimal comma behind a sign"),
        pytest.param("1d z3,5", ["1d z3.5"], id="a decimal comma in z"),
        pytest.param("1d z-3,5", ["1d z3.5"], id="a sign behind z"),
        pytest.param("1d8pp", ["1d 8pp"], id="no space"),
        pytest.param("8pp", ["1d 8pp"], id="no window"),
        pytest.param("z 3.5", ["1d z3.5"], id="a metric without its window"),
        pytest.param("30d 8pp", ["20d 8pp"], id="a window nearby"),
        pytest.param("2d 8pp", [], id="a window between two"),
        pytest.param("0d 8pp", [], id="a window of nothing"),
        pytest.param("20d beta 0.5", ["60d beta 0.5 below"], id="the only window of a metric"),
        pytest.param("1d < 8pp", ["1d 8pp below"], id="a comparison that is nearly always true"),
        pytest.param("1d 8pp abvoe cleer 5", ["1d 8pp above clear 5pp"], id="two slips"),
        pytest.param("1d hasprice 10%", ["1d hashprice 10%"], id="a slip in a metric"),
        pytest.param("1d 8pp on MARA", ["1d 8pp on MARA/BTC"], id="half a pair"),
        pytest.param("1d 8pp on ?", [], id="no pair"),
        pytest.param("1d 8pp please", ["1d 8pp"], id="a word too many"),
        pytest.param("a b c d e f", [], id="no rule"),
        pytest.param("x y", [], id="no rule either"),
        pytest.param("1d 8pp" + " so" * 40, [], id="a long text"),
        pytest.param("1d 8pp so far so good so so", [], id="more than three slips"),
        pytest.param("", [], id="nothing"),
    ],
)
def test_the_rule_that_a_text_probably_means_is_suggested(text: str, expected: list[str]) -> None:
    with pytest.raises(RuleError) as caught:
        parse_rule(text)

    assert expected == list(suggest_rules(caught.value))


@pytest.mark.parametrize(
    ("text", "problem", "expected"),
    [
        pytest.param("5d 15 bps", "15 bps is 0.15 pp.", ["5d 15pp", "5d 0.15pp"], id="a spread"),
        pytest.param("gap 50bp", "50 bps is 0.5%.", ["gap 50%", "gap 0.5%"], id="a percentage"),
        pytest.param(
            "5d 15pp clear 15bp", "15 bps is 0.15 pp.", ["5d 15pp", "5d 15pp clear 0.15pp"], id="a clear level"
        ),
    ],
)
def test_less_than_a_point_in_basis_points_is_asked_about(text: str, problem: str, expected: list[str]) -> None:
    with pytest.raises(RuleError) as caught:
        parse_new_rule(text)

    assert problem == caught.value.problem
    assert len(expected) == len(suggest_rules(caught.value))
    assert expected[-1] == suggest_rules(caught.value)[-1]
    assert text.split(maxsplit=1)[0] in str(parse_rule(text)), "rules that are stored are read as before"


def test_a_retired_rule_suggests_its_successor() -> None:
    with pytest.raises(RuleError) as caught:
        parse_new_rule("60d z3.5")

    assert ("60d 2sigma",) == suggest_rules(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("20 days", Window.D20, id="words"),
        pytest.param("YTD", Window.YTD, id="the year to date"),
        pytest.param("2d", None, id="no window"),
        pytest.param("1d 8pp", None, id="more than a window"),
        pytest.param("", None, id="nothing"),
    ],
)
def test_a_window_is_parsed(text: str, expected: Window | None) -> None:
    assert expected is parse_window(text)
