"""Drawing: a chart of four years with a rule beneath, beside the same one again, and what memory it costs."""

from __future__ import annotations

import time
from statistics import median, quantiles

from bot.serve import freeze_gc
from handlers.image_cache import ImageCache
from handlers.render.chart import curve_picture
from handlers.render.picture import ColorScheme, Picture
from services.research.service import backtest_with_curve
from services.rules.grammar import parse_rule
from tests.bench.measurement import Measurement
from tests.bench.memory import OURS, peak_mb
from tests.fakes.market import random_market

SESSIONS = 4 * 252
RUNS = 40
BUDGET_MS, BUDGET_MB = 300, 40
A_CHART = """
from handlers.image_cache import drawn
from handlers.render.picture import Scheme
from tests.bench.charts import picture
drawn(picture("first"), Scheme.LIGHT)
"""


def picture(title: str) -> Picture:
    """Put a rule to four years of prices, and draw what it watched."""
    _found, curve = backtest_with_curve(random_market(SESSIONS), parse_rule("5d 15pp"))
    return curve_picture(curve, title, ["Session closes."], simulated=False)


async def bench() -> list[Measurement]:
    """Time new pictures at their 95th percentile, and memory at its peak after a day of ticks and a chart."""
    freeze_gc()
    gallery = ImageCache()
    pictures = [picture(f"Chart {number}") for number in range(RUNS + 1)]
    await gallery.png(pictures[0], ColorScheme.LIGHT)  # imports what draws
    new = [await _ms(gallery, one) for one in pictures[1:]]
    kept = [await _ms(gallery, pictures[-1]) for _ in range(RUNS)]
    gallery.close()
    return [
        Measurement(
            name="chart, 4 years with a rule, 95th percentile",
            measured=quantiles(new, n=20)[-1],
            baseline=median(kept),
            baseline_name="the same one again",
            unit="ms",
            budget=BUDGET_MS,
        ),
        Measurement(
            name="memory after a day of ticks and a chart",
            measured=peak_mb(OURS + A_CHART),
            baseline=peak_mb(OURS),
            baseline_name="without the chart",
            unit="MB",
            budget=180 + BUDGET_MB,
        ),
    ]


async def _ms(gallery: ImageCache, one: Picture) -> float:
    began = time.perf_counter()
    await gallery.png(one, ColorScheme.LIGHT)
    return 1000 * (time.perf_counter() - began)
