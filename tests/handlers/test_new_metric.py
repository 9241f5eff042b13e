"""A metric with its own unit, added at runtime: no other module has to know of it."""

import copy
import json
from collections.abc import Iterator
from datetime import timedelta

import pytest

from bot.commands.replay import print_replay
from handlers.commands import parse
from handlers.render.chart import chart_picture
from handlers.rule_form import RuleForm
from services.channels.charts import build_replay_chart
from services.core.errors import RuleError
from services.core.prices import WGMI_BTC
from services.delivery.outbox import Outbox
from services.market.measure import Window, anchors, returns
from services.market.metrics import METRICS, Metric, Subject, Unit
from services.research.track_record import backtest
from services.research.tune import parse_target, tune
from services.rules.grammar import parse_rule
from services.rules.replay import replay
from services.storage import codec
from tests.fakes.harness import CHANNEL, OPEN, Harness
from tests.fakes.market import a_view, random_market
from tests.fakes.slack import FakeSlack, Person

MARKET = random_market(700)
TIMES = Unit(
    name="x",
    suffix="x",
    suffixes={"x": 0},
    decimals=0,
    max_value=10.0,
    step=0.01,
    written="{}x",
    cell="{:.1f}x",
    syntax="a multiple, as in 0.2x",
    example="0.2x",
)
GAIN = Metric(
    name="gain",
    unit=TIMES,
    windows=(Window.D1, Window.D5, Window.D20),
    subject=Subject("gain"),
    series=lambda aligned, window: returns(aligned.etf, anchors(aligned, window)),
    label="gain: the ETF's return as a multiple",
    headline="{etf} {move} by {value} its price {window}",
    phrase="{etf} {move} by a multiple",
    example="0.2x",
    examples=("5d gain 0.2x",),
    note="`gain` is the ETF's return as a multiple.",
)


@pytest.fixture(autouse=True)
def _gain(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Add the row; afterwards no cache has rules or help on it."""
    caches = [one for one in (*vars(parse).values(), *vars(codec).values(), parse_rule) if hasattr(one, "cache_clear")]
    for cached in caches:
        cached.cache_clear()
    monkeypatch.setitem(METRICS, GAIN.name, GAIN)
    yield
    for cached in caches:
        cached.cache_clear()


@pytest.mark.parametrize("text", ["1d gain 0.05x", "5d gain 0.2x above clear 0.1x for 10m", "20d gain 2x at close"])
def test_its_rules_are_parsed_and_printed(text: str) -> None:
    rule = parse_rule(text)
    assert GAIN is rule.metric
    assert text == str(rule)
    assert rule == parse_rule(text.replace("x", " x"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("5d gain 8pp", "a multiple, as in 0.2x", id="another unit"),
        pytest.param("5d gain 11x", "above 0 and at most 10x", id="too large"),
        pytest.param("60d gain 0.2x", "Use 1d, 5d or 20d", id="a window that it doesn't have"),
        pytest.param("gain 0.2x", "a window before it .* as in “20d gain 0.2x”", id="no window"),
        pytest.param("5d rate 0.2x", "etf, btc or gain", id="a misspelled name"),
    ],
)
def test_an_invalid_rule_of_it_is_explained(text: str, expected: str) -> None:
    with pytest.raises(RuleError, match=expected):
        parse_rule(text)


def test_a_rate_of_it_has_one_of_its_windows() -> None:
    with pytest.raises(RuleError, match=r"isn.t a valid window for gain. Use 1d, 5d or 20d"):
        parse_target("60d gain 1/month", parse_rule("1d 8pp"))


def test_the_editor_reads_its_bare_numbers_in_its_unit() -> None:
    form = RuleForm.from_values({"window": "5d", "metric": "gain", "threshold": "0.2", "clear": "0.1"})
    assert {} == form.errors(WGMI_BTC)
    assert "5d gain 0.2x clear 0.1x" == str(parse_rule(form.text))


async def test_the_help_has_its_examples(person: Person) -> None:
    text = str(json.loads((await person.types("help rules")).body)["blocks"])
    assert "`5d gain 0.2x`" in text
    assert GAIN.note in text


def test_it_is_replayed_tuned_and_reported(capsys: pytest.CaptureFixture[str]) -> None:
    tuned = tune(MARKET, parse_target("5d gain above 2/month", parse_rule("1d 8pp"))).rule
    outcome = replay(MARKET, [tuned])
    print_replay(outcome, [backtest(MARKET, tuned)])
    assert str(tuned).startswith("5d gain 0.")
    assert outcome.rules[0].episodes > 0
    assert {"0.1x"} <= set(capsys.readouterr().out.split())


def test_it_is_drawn_in_a_chart() -> None:
    picture = chart_picture(build_replay_chart(a_view(MARKET), Window.D60, parse_rule("5d gain 0.2x above")))
    assert picture is not None
    assert ["WGMI and BTC, last 60\u00a0sessions", "5-session gain, x"] == [panel.title for panel in picture.panels]
    assert "Fires at +0.2x, clears at +0.12x" in picture.panels[1].subtitle
    assert "5-session gain at the end: +" in picture.alt


async def test_the_editor_offers_and_previews_it(person: Person, slack: FakeSlack, harness: Harness) -> None:
    await person.types("rule add")
    (view_id,) = slack.hashes
    form = {**slack.views()[-1], "id": view_id, "hash": slack.hashes[view_id]}
    await person.fills(form, {"metric": "gain", "threshold": "0.05", "direction": "above"})
    assert GAIN.label in str(form)
    assert "0.2x" in str(form)
    preview = str(slack.views()[-1]["blocks"][0])
    assert "*Preview:* `1d gain 0.05x above`" in preview
    assert " have fired" in preview
    await person.submits(form, {"metric": "gain", "threshold": "0.05", "direction": "above"})
    assert ["1d gain 0.05x above"] == [str(rule.rule) for rule in await harness.commands.rules(CHANNEL)]


async def test_its_alert_fires_is_stored_and_posted(
    person: Person, slack: FakeSlack, harness: Harness, outbox: Outbox
) -> None:
    await person.types("rule add 1d gain 0.05x above clear 0.02x")
    await harness.ticks(OPEN + timedelta(minutes=5), [0.0, 0.08, 0.09])
    (alert,) = await harness.open_alerts()
    assert "gain" == alert.subject
    assert pytest.approx(0.09) == alert.lead.value
    assert alert == codec.read_alert(codec.write_alert(alert), alert.id)
    assert GAIN is (await harness.store.rules(CHANNEL))[0].rule.metric

    await outbox.deliver(harness.clock.now())
    (posted,) = [one for one in slack.arguments_of("chat.postMessage") if one["text"].startswith("Firing: ")]
    assert posted["shown"].startswith("Firing: WGMI up by 0.1x its price over 1 session (alert 1).")
    await harness.tick(OPEN + timedelta(minutes=20), 0.0)
    assert [] == await harness.open_alerts()


def test_a_copy_of_it_is_the_same_object() -> None:
    assert GAIN is copy.deepcopy(GAIN)
