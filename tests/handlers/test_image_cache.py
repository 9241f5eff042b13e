import asyncio
import gc
import subprocess
import sys
import threading
from datetime import date

import pytest

from handlers.images import ImageCache, draw_png
from handlers.render.picture import ColorScheme, Picture


def a_picture(title: str = "WGMI 8.4 pp above bitcoin", value: float = 1.0) -> Picture:
    return Picture(title=title, days=(date(2026, 3, 4),), panels=(), footer=f"{value}", alt="")


class FakeRenderer:
    """Draws one byte per letter of the title, and records what it drew and where."""

    def __init__(self) -> None:
        self.drawn: list[tuple[str, ColorScheme]] = []
        self.threads: set[int] = set()
        self.ready = threading.Event()
        self.ready.set()
        self.broken = False

    def __call__(self, picture: Picture, scheme: ColorScheme) -> bytes:
        self.ready.wait(10)
        self.drawn.append((picture.title, scheme))
        self.threads.add(threading.get_ident())
        if self.broken:
            raise ValueError("rendering failed")
        return b"." * len(picture.title)


@pytest.fixture
def renderer() -> FakeRenderer:
    return FakeRenderer()


async def test_concurrent_requests_share_one_drawing_off_the_event_loop(renderer: FakeRenderer) -> None:
    cache = ImageCache(renderer)
    renderer.ready.clear()
    tasks = [asyncio.create_task(cache.png(a_picture(), ColorScheme.LIGHT)) for _ in range(2)]
    await asyncio.sleep(0)
    renderer.ready.set()

    first, second = await asyncio.gather(*tasks)
    assert (first, 1) == (second, len(renderer.drawn))
    assert threading.get_ident() not in renderer.threads


async def test_a_cancelled_request_does_not_cancel_the_drawing(renderer: FakeRenderer) -> None:
    cache = ImageCache(renderer)
    renderer.ready.clear()
    cancelled, waiting = (asyncio.create_task(cache.png(a_picture(), ColorScheme.LIGHT)) for _ in range(2))
    await asyncio.sleep(0)
    cancelled.cancel()
    renderer.ready.set()

    assert b"." * 25 == await waiting
    assert 1 == len(renderer.drawn)


async def test_pictures_are_cached_by_their_content(renderer: FakeRenderer) -> None:
    cache = ImageCache(renderer)
    nan = float("nan")
    for picture in (a_picture(value=nan), a_picture(value=float("nan")), a_picture(value=2.0)):
        await cache.png(picture, ColorScheme.LIGHT)
    await cache.png(a_picture(value=2.0), ColorScheme.DARK)

    assert [ColorScheme.LIGHT, ColorScheme.LIGHT, ColorScheme.DARK] == [scheme for _title, scheme in renderer.drawn]


async def test_the_least_recently_used_images_are_evicted(renderer: FakeRenderer) -> None:
    cache = ImageCache(renderer, capacity=5)
    for title in ("aaa", "bb", "aaa", "c", "aaa", "bb"):
        await cache.png(a_picture(title), ColorScheme.LIGHT)

    assert ["aaa", "bb", "c", "bb"] == [title for title, _scheme in renderer.drawn]


async def test_a_failed_drawing_is_not_cached(renderer: FakeRenderer) -> None:
    cache = ImageCache(renderer)
    renderer.broken = True
    with pytest.raises(ValueError, match="failed"):
        await cache.png(a_picture(), ColorScheme.LIGHT)
    renderer.broken = False

    assert b"." * 25 == await cache.png(a_picture(), ColorScheme.LIGHT)


def test_a_drawing_leaves_no_figure_in_memory() -> None:
    gc.disable()  # it would find the figure sooner or later, after the next drawings
    try:
        draw_png(a_picture(), ColorScheme.LIGHT)
        left = [type(one).__name__ for one in gc.get_objects() if type(one).__name__ in {"Figure", "FigureCanvasAgg"}]
    finally:
        gc.enable()

    assert [] == left


def test_the_app_does_not_import_the_drawing_libraries() -> None:
    script = "import bot.app, sys; print([name for name in ('matplotlib', 'PIL', 'jinja2') if name in sys.modules])"
    process = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)  # noqa: S603 -- ours
    assert "[]\n" == process.stdout
