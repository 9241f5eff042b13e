import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from handlers.render.explain import change_verdict
from handlers.render.html_page import PagePicture, render_html
from handlers.render.report import report_page, report_pictures
from services.core.reason import Code, Reason
from services.market.align import Aligned, Exclusion, Leg
from services.research.explain import Explanation
from services.research.report import ReportInput, build_report
from services.research.service import Provenance, ReportResult
from services.rules.grammar import parse_rule
from tests.fakes.legs import proxy_closes, random_legs
from tests.fakes.market import CALENDAR
from tests.handlers.test_render_network import POWER

LEGS = random_legs(400)
NOW = datetime(2026, 3, 4, 15, tzinfo=UTC)
SCRIPT = "<script>alert(1)</script>"


def a_result(
    market: Aligned = LEGS.aligned, provenance: Provenance | None = None, *rules: str, proxy: bool = True
) -> ReportResult:
    material = ReportInput(
        aligned=market,
        etf=proxy_closes(LEGS.aligned.sessions, LEGS.aligned.etf),
        crypto=proxy_closes(LEGS.aligned.sessions, LEGS.aligned.crypto),
        sessions=CALENDAR,
        proxy=proxy_closes(LEGS.aligned.sessions, LEGS.proxy_prices) if proxy else None,
        proxy_missing="No return attribution.",
    )
    return ReportResult(
        report=build_report(material, [parse_rule(rule) for rule in rules or ("1d 8pp",)]),
        provenance=provenance or Provenance(),
    )


def html(result: ReportResult) -> str:
    pictures = report_pictures(result)
    shown = {name: PagePicture(light=b"light", dark=b"dark", alt=picture.alt) for name, picture in pictures.items()}
    return render_html(report_page(result, shown, NOW)).decode()


class Outline(HTMLParser):
    """A page's elements with their attributes, and its text."""

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


def test_a_page_has_every_section_linked_from_its_contents() -> None:
    page = Outline(html(a_result()))
    titles = ["spread", "episodes", "return-attribution", "betas", "below-their-highs", "data"]
    assert titles == [section["id"] for section in page.all("section")]
    assert [f"#{title}" for title in titles] == [link["href"] for link in page.all("a")]


def test_the_power_draw_is_a_table_with_its_assumptions() -> None:
    page = Outline(html(replace(a_result(), power=POWER)))
    assert "what-mining-takes" in [section["id"] for section in page.all("section")]
    for words in (
        "Power draw of the bitcoin network on 20 Nov 2026, at 1,012 EH/s",
        "22.3 GW",
        "85 TWh",
        "83rd percentile",
        "Break-even 40.4 J/TH",
        "Upper bound: Antminer S17+, 40.0 J/TH, PUE 1.20",
    ):
        assert words in page.words


def test_unknown_bounds_of_the_power_are_dashes() -> None:
    lower = replace(POWER.lower, rank=None)
    page = Outline(html(replace(a_result(), power=replace(POWER, lower=lower, best=None, upper=None, profitable=0))))
    assert "at least 9.7 GW" in page.words
    assert page.words.count("–") >= 11


def test_every_picture_has_both_schemes_and_numbers_in_its_alt_text() -> None:
    page = Outline(html(a_result()))
    assert 3 == len(page.all("img")) == len(page.all("source"))
    for image in page.all("img"):
        assert (image["src"] or "").startswith("data:image/png;base64,")
        assert re.search(r"\d", image["alt"] or "")


def test_a_page_has_no_external_resources_and_no_scripts() -> None:
    page = Outline(html(a_result()))
    links = [
        value for _tag, attributes in page.elements for name, value in attributes.items() if name in {"src", "href"}
    ]
    assert [] == [link for link in links if not (link or "").startswith(("data:", "#"))]
    assert [] == page.all("script")


def test_text_from_sources_is_escaped() -> None:
    page = html(a_result(replace(LEGS.aligned, etf_source=SCRIPT), Provenance(problems=(f"{SCRIPT} & more",))))
    assert "<script" not in page
    assert Outline(page).words.count(SCRIPT) >= 3


def test_simulated_prices_are_marked_in_the_banner_the_title_and_every_picture() -> None:
    result = a_result(provenance=Provenance(simulated=True))
    words = Outline(html(result)).words
    assert "SIMULATED: these prices are made up." in words
    assert "SIMULATED: WGMI " in words
    assert {True} == {picture.simulated for picture in report_pictures(result).values()}


def test_omitted_prices_are_summarized_and_listed() -> None:
    etf = LEGS.aligned.etf.copy()
    etf[100] = float("nan")
    market = replace(LEGS.aligned, etf=etf, exclusions=(an_omission(),))
    words = Outline(html(a_result(market))).words
    assert "399 of 400 sessions have both prices." in words
    why = "no WGMI trade from any source: New York may have been shut"
    assert f"1 session has no WGMI price, 2022-07-05: {why}" in words
    assert "Every price that is left out (1)" in words


def an_omission() -> Exclusion:

    no_trade = Reason.of(Code.NO_TRADE_ANYWHERE, symbol="WGMI")
    return Exclusion(session=LEGS.aligned.sessions[100].item(), leg=Leg.ETF, reason=no_trade)


def test_the_picture_of_betas_has_their_r2_and_the_verdict() -> None:
    result = a_result()
    explanation = result.report.explanation
    assert isinstance(explanation, Explanation)
    assert explanation.betas is not None
    picture = report_pictures(result)["betas"]
    assert ["Beta", "R²"] == [panel.title for panel in picture.panels]
    assert tuple(estimate.r2 for estimate in explanation.betas.path) == picture.panels[1].curves[0].values
    assert change_verdict(explanation.betas) in picture.alt
    assert "R²: 0." in picture.alt


def test_without_the_proxy_a_page_says_so_and_has_no_betas() -> None:
    page = Outline(html(a_result(proxy=False)))
    assert "No return attribution." in page.words
    assert "betas" not in [section["id"] for section in page.all("section")]


def test_a_rule_that_never_fired_is_one_line_and_many_episodes_are_collapsed() -> None:
    page = Outline(html(a_result(LEGS.aligned, None, "5d 90pp", "1d 1pp")))
    assert "5d 90pp: never fired" in page.words
    assert 1 == len(page.all("details"))


@pytest.mark.parametrize("sessions", [1, 2, 30])
def test_a_short_history_is_reported(sessions: int) -> None:
    page = Outline(html(a_result(LEGS.aligned.head(sessions))))
    assert f"{sessions} of {sessions} session" in page.words
    assert "ytd can't be explained" in page.words
