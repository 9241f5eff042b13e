"""Charts of four years with a rule: time to draw, compared with a cached one, and memory."""

import time
from statistics import median, quantiles

from bot.serve import freeze_gc
from handlers.images import ImageCache, draw_png
from handlers.render.chart import curve_picture
from handlers.render.picture import ColorScheme, Picture
from services.research.service import backtest_with_curve
from services.rules.grammar import parse_rule
from tests.bench.measurement import Measurement
from tests.bench.memory import DAY_OF_TICKS, memory_mb
from tests.fakes.market import random_market

SESSIONS = 4 * 252
RUNS = 40
BUDGET_MS, BUDGET_MB = 300, 170
DRAW_CHART = "from tests.bench.charts import draw_charts; draw_charts()\n"


def picture(title: str) -> Picture:
    """Return the chart of a rule over four years of prices."""
    _result, curve = backtest_with_curve(random_market(SESSIONS), parse_rule("5d 15pp"))
    return curve_picture(curve, title, ["Session closes."], simulated=False)


def draw_charts() -> None:
    """Draw five charts, one after another."""
    for number in range(5):
        draw_png(picture(f"Chart {number}"), ColorScheme.LIGHT)


async def bench() -> list[Measurement]:
    """Measure the 95th percentile of new charts, and memory after a day of ticks and charts."""
    freeze_gc()
    cache = ImageCache()
    pictures = [picture(f"Chart {number}") for number in range(RUNS + 1)]
    await cache.png(pictures[0], ColorScheme.LIGHT)  # imports the drawing library
    new = [await _ms(cache, one) for one in pictures[1:]]
    cached = [await _ms(cache, pictures[-1]) for _ in range(RUNS)]
    cache.close()
    resident, peak = await memory_mb(DAY_OF_TICKS + DRAW_CHART)
    return [
        Measurement(
            name="chart, 4 years with a rule, 95th percentile",
            measured=quantiles(new, n=20)[-1],
            baseline=median(cached),
            baseline_name="the same chart, cached",
            unit="ms",
            budget=BUDGET_MS,
        ),
        Measurement(
            name=f"memory after a day of ticks and five charts (peak {peak:.0f} MB)",
            measured=resident,
            baseline=(await memory_mb(DAY_OF_TICKS))[0],
            baseline_name="without charts",
            unit="MB",
            budget=BUDGET_MB,
        ),
    ]


async def _ms(cache: ImageCache, picture: Picture) -> float:
    start = time.perf_counter()
    await cache.png(picture, ColorScheme.LIGHT)
    return 1000 * (time.perf_counter() - start)
