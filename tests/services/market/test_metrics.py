import ast
import copy
import dataclasses
import pickle
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.core.errors import RuleError
from services.market import metrics
from services.market.measure import Measurement, Window, measure
from services.market.metrics import METRICS, SPREAD, Metric, Unit, unit_named
from services.research.tune import parse_target
from services.rules.grammar import parse_rule
from tests.fakes.market import random_market

ROWS = Path(metrics.__file__)
ROOT = ROWS.parents[2]
SOURCES = [path for folder in ("bot", "handlers", "services") for path in (ROOT / folder).rglob("*.py")]
ROW_NAMES = {name for name, value in vars(metrics).items() if isinstance(value, Metric | Unit)}
FIELDS = {
    "headline": {"etf", "crypto", "spread", "value", "signed", "ahead", "side", "move", "window"},
    "phrase": {"etf", "crypto", "ahead", "side", "move"},
    "chart": {"window", "crypto", "name", "unit"},
}


def test_stored_names_and_subjects_do_not_change() -> None:
    assert {
        "spread": "divergence",
        "residual": "divergence",
        "z": "divergence",
        "gap": "gap",
        "drawdown": "drawdown",
        "hashprice": "hashprice",
        "difficulty": "difficulty",
        "sigma": "divergence",
        "correlation": "correlation",
        "beta": "beta",
        "etf": "etf",
        "btc": "btc",
    } == {name: metric.subject for name, metric in METRICS.items()}
    units = ("pp", "%", "z", "σ", "correlation", "beta")
    assert [*units] == [unit_named(name).name for name in units]


@pytest.mark.parametrize("metric", METRICS.values(), ids=str)
def test_a_row_is_consistent(metric: Metric) -> None:
    """Check the readers of a row, and that its templates have known fields only."""
    assert (metric.implied is None) is (metric.series is not None)
    assert metric.label[0].isupper()
    assert not metric.label.endswith(".")
    for column, known in FIELDS.items():
        used = {field for _, field, _, _ in string.Formatter().parse(getattr(metric, column)) if field is not None}
        assert used <= known


def imported_rows(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in {"services.market", metrics.__name__}:
            yield from (alias.name for alias in node.names if alias.name in {*ROW_NAMES, "metrics"})


def dispatched_names(tree: ast.AST) -> Iterator[str]:
    """Yield each name in a dict key or a match case."""
    for node in ast.walk(tree):
        match node:
            case ast.Dict(keys=keys):
                chosen: list[ast.AST] = [key for key in keys if key is not None]
            case ast.MatchValue(value=value):
                chosen = [value]
            case _:
                continue
        yield from (inner.id for one in chosen for inner in ast.walk(one) if isinstance(inner, ast.Name))


@pytest.mark.parametrize(
    "path", [path for path in SOURCES if path != ROWS], ids=lambda path: str(path.relative_to(ROOT))
)
def test_only_the_rows_know_a_metric_or_a_unit(path: Path) -> None:
    """Any other module may import the default metric, and may not choose by it."""
    tree = ast.parse(path.read_text("utf-8"))
    imported = set(imported_rows(tree))
    assert imported <= {SPREAD.name.upper()}
    assert imported.isdisjoint(dispatched_names(tree))


def test_a_copy_of_a_metric_is_the_same_object() -> None:
    assert SPREAD is copy.deepcopy(SPREAD)
    assert SPREAD is pickle.loads(pickle.dumps(SPREAD))  # noqa: S301 -- our own
    assert ("spread", "pp") == (repr(SPREAD), repr(SPREAD.unit))


def test_without_a_live_reader_the_value_is_the_end_of_the_series() -> None:
    aligned = random_market(80)
    measured = measure(aligned, Window.D5)
    assert isinstance(measured, Measurement)
    derived = dataclasses.replace(SPREAD, name="derived", live=None)

    assert pytest.approx(measured.spread) == derived.value(aligned, measured)
    assert dataclasses.replace(derived, series=None).value(aligned, measured) is None


def test_people_read_the_scaled_value() -> None:
    assert 100.0 == SPREAD.unit.scale


@pytest.fixture
def daily_metric() -> Iterator[Metric]:
    """Register a metric that has one window only."""
    row = dataclasses.replace(SPREAD, name="daily", windows=(Window.D1,))
    METRICS[row.name] = row
    yield row
    del METRICS[row.name]


def test_a_window_that_a_metric_does_not_have_is_refused(daily_metric: Metric) -> None:
    assert daily_metric is parse_rule("1d daily 8pp").metric
    with pytest.raises(RuleError, match=r"isn.t a valid window for daily. Use 1d"):
        parse_rule("5d daily 8pp")
    with pytest.raises(RuleError, match=r"isn.t a valid window for daily. Use 1d"):
        parse_target("5d daily 2/month", parse_rule("1d 8pp"))


def test_a_metric_with_a_magnitude_has_no_sides() -> None:
    assert {"drawdown", "correlation", "beta"} == {name for name, metric in METRICS.items() if not metric.signed}
    assert {"spread", "residual", "z", "sigma"} == {name for name, metric in METRICS.items() if metric.is_divergence}
