from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from handlers.render.html_page import Shown, written
from handlers.render.report import report_page, report_pictures
from services.market.align import Aligned, LeftOut, Leg
from services.research.report import Material, report
from services.research.results import Provenance, ReportResult
from services.rules.grammar import parse_rule
from tests.fakes.legs import proxy_closes, random_legs
from tests.fakes.market import CALENDAR

LEGS = random_legs(400)
NOW = datetime(2026, 3, 4, 15, tzinfo=UTC)
SCRIPT = "<script>alert(1)</script>"


def told(
    market: Aligned = LEGS.aligned, basis: Provenance | None = None, *rules: str, proxy: bool = True
) -> ReportResult:
    material = Material(
        aligned=market,
        etf=proxy_closes(LEGS.aligned.sessions, LEGS.aligned.etf),
        crypto=proxy_closes(LEGS.aligned.sessions, LEGS.aligned.crypto),
        sessions=CALENDAR,
        proxy=proxy_closes(LEGS.aligned.sessions, LEGS.proxy_prices) if proxy else None,
        missing="Nothing is parted here.",
    )
    return ReportResult(
        report=report(material, [parse_rule(rule) for rule in rules or ("1d 8pp",)]), basis=basis or Provenance()
    )


def html(found: ReportResult) -> str:
    pictures = report_pictures(found)
    shown = {name: Shown(light=b"light", dark=b"dark", alt=picture.alt) for name, picture in pictures.items()}
    return written(report_page(found, shown, NOW)).decode()


class Outline(HTMLParser):
    """What a page is made of: its elements, their attributes and its words."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def test_a_page_has_every_part_each_linked_from_its_contents() -> None:
    page = Outline(html(told()))
    titles = ["spread", "episodes", "why-they-parted", "betas", "below-their-highs", "data"]
    assert titles == [section["id"] for section in page.all("section")]
    assert [f"#{title}" for title in titles] == [link["href"] for link in page.all("a")]


def test_every_picture_is_in_the_page_in_both_schemes_with_its_numbers_in_words() -> None:
    page = Outline(html(told()))
    assert 3 == len(page.all("img")) == len(page.all("source"))
    for image in page.all("img"):
        assert (image["src"] or "").startswith("data:image/png;base64,")
        assert re.search(r"\d", image["alt"] or "")


def test_nothing_comes_from_elsewhere_and_nothing_runs() -> None:
    page = Outline(html(told()))
    links = [
        value for _tag, attributes in page.elements for name, value in attributes.items() if name in {"src", "href"}
    ]
    assert [] == [link for link in links if not (link or "").startswith(("data:", "#"))]
    assert [] == page.all("script")


def test_what_a_source_says_is_text_and_never_markup() -> None:
    page = html(told(replace(LEGS.aligned, etf_source=SCRIPT), Provenance(problems=(f"{SCRIPT} & more",))))
    assert "<script" not in page
    assert Outline(page).words.count(SCRIPT) >= 3


def test_simulated_prices_are_named_on_top_in_the_title_and_in_every_picture() -> None:
    found = told(basis=Provenance(simulated=True))
    words = Outline(html(found)).words
    assert "SIMULATED: these prices are made up." in words
    assert "SIMULATED: WGMI " in words
    assert {True} == {picture.simulated for picture in report_pictures(found).values()}


def test_what_is_left_out_is_told_in_short_and_one_by_one() -> None:
    etf = LEGS.aligned.etf.copy()
    etf[100] = float("nan")
    market = replace(LEGS.aligned, etf=etf, left_out=(left_out(),))
    words = Outline(html(told(market))).words
    assert "399 of 400 sessions have both prices." in words
    assert "Left out, etf: 1 session, 2022-07-05: the exchange was closed" in words
    assert "Every price that is left out (1)" in words


def left_out() -> LeftOut:

    return LeftOut(session=LEGS.aligned.sessions[100].item(), leg=Leg.ETF, reason="the exchange was closed")


def test_without_the_proxy_it_says_so_and_has_no_betas() -> None:
    page = Outline(html(told(proxy=False)))
    assert "Nothing is parted here." in page.words
    assert "betas" not in [section["id"] for section in page.all("section")]


def test_a_rule_that_never_fired_is_a_line_and_many_episodes_are_folded() -> None:
    page = Outline(html(told(LEGS.aligned, None, "5d 90pp", "1d 1pp")))
    assert "5d 90pp: never fired" in page.words
    assert 1 == len(page.all("details"))


@pytest.mark.parametrize("sessions", [1, 2, 30])
def test_a_short_history_is_reported_as_far_as_it_goes(sessions: int) -> None:
    page = Outline(html(told(LEGS.aligned.head(sessions))))
    assert f"{sessions} of {sessions} session" in page.words
    assert "ytd cannot be explained" in page.words
