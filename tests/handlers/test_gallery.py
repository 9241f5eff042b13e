from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from datetime import date

import pytest

from handlers.image_cache import ImageCache
from handlers.render.picture import Picture, Scheme


def a_picture(title: str = "WGMI 8.4 pp above bitcoin", value: float = 1.0) -> Picture:
    return Picture(title=title, days=(date(2026, 3, 4),), panels=(), foot=f"{value}", alt="")


class Pen:
    """Draws a byte for each letter of the title, and remembers what it drew and where."""

    def __init__(self) -> None:
        self.drawn: list[tuple[str, Scheme]] = []
        self.threads: set[int] = set()
        self.ready = threading.Event()
        self.ready.set()
        self.broken = False

    def __call__(self, picture: Picture, scheme: Scheme) -> bytes:
        self.ready.wait(10)
        self.drawn.append((picture.title, scheme))
        self.threads.add(threading.get_ident())
        if self.broken:
            raise ValueError("the pen is broken")
        return b"." * len(picture.title)


@pytest.fixture
def pen() -> Pen:
    return Pen()


async def test_two_who_ask_at_once_share_one_drawing_off_the_event_loop(pen: Pen) -> None:
    gallery = ImageCache(pen)
    pen.ready.clear()
    asking = [asyncio.create_task(gallery.png(a_picture(), Scheme.LIGHT)) for _ in range(2)]
    await asyncio.sleep(0)
    pen.ready.set()

    first, second = await asyncio.gather(*asking)
    assert (first, 1) == (second, len(pen.drawn))
    assert threading.get_ident() not in pen.threads


async def test_who_stops_waiting_takes_the_picture_from_nobody_else(pen: Pen) -> None:
    gallery = ImageCache(pen)
    pen.ready.clear()
    gone, stays = (asyncio.create_task(gallery.png(a_picture(), Scheme.LIGHT)) for _ in range(2))
    await asyncio.sleep(0)
    gone.cancel()
    pen.ready.set()

    assert b"." * 25 == await stays
    assert 1 == len(pen.drawn)


async def test_the_same_content_is_the_same_picture_and_any_other_is_not(pen: Pen) -> None:
    gallery = ImageCache(pen)
    nan = float("nan")
    for picture in (a_picture(value=nan), a_picture(value=float("nan")), a_picture(value=2.0)):
        await gallery.png(picture, Scheme.LIGHT)
    await gallery.png(a_picture(value=2.0), Scheme.DARK)

    assert [Scheme.LIGHT, Scheme.LIGHT, Scheme.DARK] == [scheme for _title, scheme in pen.drawn]


async def test_pictures_are_kept_while_there_is_room_for_their_bytes(pen: Pen) -> None:
    gallery = ImageCache(pen, room=5)
    for title in ("aaa", "bb", "aaa", "c", "aaa", "bb"):
        await gallery.png(a_picture(title), Scheme.LIGHT)

    assert ["aaa", "bb", "c", "bb"] == [title for title, _scheme in pen.drawn]


async def test_a_drawing_that_fails_is_tried_again(pen: Pen) -> None:
    gallery = ImageCache(pen)
    pen.broken = True
    with pytest.raises(ValueError, match="broken"):
        await gallery.png(a_picture(), Scheme.LIGHT)
    pen.broken = False

    assert b"." * 25 == await gallery.png(a_picture(), Scheme.LIGHT)


def test_what_draws_is_imported_with_the_first_picture_and_not_with_the_app() -> None:
    asked = "import bot.app, sys; print([name for name in ('matplotlib', 'PIL', 'jinja2') if name in sys.modules])"
    ran = subprocess.run([sys.executable, "-c", asked], check=True, capture_output=True, text=True)  # noqa: S603 -- ours
    assert "[]\n" == ran.stdout
