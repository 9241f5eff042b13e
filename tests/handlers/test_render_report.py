import base64
import hashlib
import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest

from handlers.render import fmt
from handlers.render.explain import change_verdict
from handlers.render.html_page import render_html
from handlers.render.reasons import sentence
from handlers.render.report import report_page
from services.core.reason import Code, Reason
from services.market.align import Aligned, Exclusion, Leg
from services.market.chart_points import common_rows
from services.research.explain import Explanation
from services.research.report import ReportInput, build_report
from services.research.service import Provenance, ReportResult
from services.rules.grammar import parse_rule
from services.rules.rule import DEFAULT_RULES
from tests.fakes.legs import proxy_closes, random_legs
from tests.fakes.market import CALENDAR
from tests.fakes.price_files import needs_data, real_pair
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
    return render_html(report_page(result, NOW)).decode()


class Outline(HTMLParser):
    """A page's elements with their attributes, its text, and the text of each element by tag."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.texts: dict[str, list[str]] = {}
        self._open = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.texts.setdefault(tag, []).append("")
        self._open = tag

    def handle_data(self, data: str) -> None:
        if self._open not in {"script", "style"}:
            self.words += data
        if self._open:
            self.texts[self._open][-1] += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def test_a_page_has_every_section_linked_from_its_contents() -> None:
    page = Outline(html(a_result()))
    titles = ["latest-state", "spread", "track-record", "return-attribution", "rolling-betas", "drawdowns", "data"]
    assert titles == [section["id"] for section in page.all("section")]
    assert [f"#{title}" for title in titles] == [link["href"] for link in page.all("a")]


def test_a_page_leads_with_the_spread_and_what_is_unusual_and_firing() -> None:
    etf = LEGS.aligned.etf.copy()
    etf[-1] *= 1.5
    page = Outline(html(a_result(replace(LEGS.aligned, etf=etf))))
    assert ["WGMI 51.2\xa0pp ahead of BTC over 1\xa0session"] == [text.strip() for text in page.texts["h1"]]
    lead = page.words.split("Returns and spreads at the close of ")[0]
    assert "At the close of Sep 12, 2023." in lead
    assert "Unusual: WGMI 51.2\xa0pp ahead of BTC over 1\xa0session, highest of 252\xa0sessions." in lead
    assert "Firing: 1d 8pp, +51.2\xa0pp, since Sep 12, 2023." in lead


def test_a_page_says_that_nothing_is_unusual_and_no_rule_is_firing() -> None:
    page = Outline(html(a_result(LEGS.aligned, None, "1d 90pp")))
    lead = page.words.split("Returns and spreads at the close of ")[0]
    assert "Nothing unusual: 5 spreads checked." in lead
    assert "No rule is firing." in lead


def test_sigma_of_a_long_window_is_named_when_it_is_unusual() -> None:
    etf = LEGS.aligned.etf.copy()
    etf[-30:] *= 4
    words = Outline(html(a_result(replace(LEGS.aligned, etf=etf)))).words
    assert re.search(r"Unusual: WGMI [\d.]+\xa0pp ahead of BTC over 60\xa0sessions, \+\d+\.\dσ\.", words)


def test_a_window_without_history_has_dashes_and_its_reason() -> None:
    words = Outline(html(a_result(LEGS.aligned.head(100)))).words
    assert "Too little history to say what is unusual." in words
    assert "252\xa0sessions: " in words


def test_the_power_draw_is_a_table_with_its_assumptions() -> None:
    page = Outline(html(replace(a_result(), power=POWER)))
    assert "network-power" in [section["id"] for section in page.all("section")]
    for words in (
        "Power draw of the bitcoin network on Nov 20, 2026, at 1,012 EH/s",
        "22.3 GW",
        "85 TWh",
        "83rd",
        "Break-even 40.4 J/TH",
        "Upper bound: Antminer S17+, 40.0 J/TH, PUE 1.20",
    ):
        assert words in page.words


def test_unknown_bounds_of_the_power_are_dashes() -> None:
    lower = replace(POWER.lower, rank=None)
    page = Outline(html(replace(a_result(), power=replace(POWER, lower=lower, best=None, upper=None, profitable=0))))
    assert "at least 9.7 GW" in page.words
    assert page.words.count("–") >= 11


def test_every_chart_has_a_title_a_description_with_numbers_and_a_labelled_slider() -> None:
    page = Outline(html(a_result()))
    plots = [svg for svg in page.all("svg") if "aria-labelledby" in svg]
    assert 5 == len(plots) == len(page.texts["desc"])
    identifiers = {attributes["id"] for _tag, attributes in page.elements if "id" in attributes}
    for plot, description in zip(plots, page.texts["desc"], strict=True):
        assert set((plot["aria-labelledby"] or "").split()) <= identifiers
        assert "img" == plot["role"]
        assert re.search(r"\d", description)
    assert 3 == len([slider for slider in page.all("input") if slider["aria-label"]]) == len(page.all("input"))


def test_every_picture_is_named_or_hidden_from_screen_readers() -> None:
    page = Outline(html(a_result()))
    outer = [svg for svg in page.all("svg") if "preserveaspectratio" not in svg]
    assert [] == [svg for svg in outer if svg.get("role") != "img" and svg.get("aria-hidden") != "true"]


def test_sparklines_are_pictures_and_not_block_characters() -> None:
    page = Outline(html(a_result()))
    sparklines = [svg for svg in page.all("svg") if svg.get("class") == "sparkline"]
    assert 6 == len(sparklines)
    assert not set(fmt.BLOCK_BARS) & set(page.words)
    assert re.search(
        r"Spread from \S+\xa0pp to \S+\xa0pp, between \S+\xa0pp and \S+\xa0pp", " ".join(page.texts["title"])
    )


def test_every_table_has_a_caption_and_only_columns_of_text_sort() -> None:
    page = Outline(html(a_result()))
    assert len(page.all("table")) == len(page.all("caption")) > 0
    windows = page.all("th")[:7]
    assert [True] * 6 + [False] == ["data-sortable" in header for header in windows]


def test_a_date_sorts_by_its_calendar_and_not_by_its_text() -> None:
    page = Outline(html(a_result(LEGS.aligned, None, "1d 1pp")))
    keys = [cell.get("data-key") or "" for cell in page.all("td")]
    keys = [key for key in keys if re.fullmatch(r"\d{4}-\d\d-\d\d", key)]
    assert len(keys) > 20
    assert sorted(keys[1:], reverse=True) == keys[1:]  # the first one is in the table of rules


def test_the_policy_allows_only_this_style_and_script() -> None:
    text = html(a_result())
    policy = Outline(text).all("meta")[3]["content"] or ""
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    for kind, source in (("style-src", style), ("script-src", script)):
        digest = base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()
        assert f"{kind} 'sha256-{digest}';" in policy
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy


def test_a_page_has_no_external_resources_and_no_inline_styles_or_handlers() -> None:
    page = Outline(html(a_result()))
    attributes = [(name, value or "") for _tag, all_of_one in page.elements for name, value in all_of_one.items()]
    links = [value for name, value in attributes if name in {"src", "href", "srcset"}]
    assert [] == [link for link in links if not link.startswith(("data:", "#"))]
    assert [] == [name for name, _value in attributes if name == "style" or name.startswith("on")]


def test_a_chart_carries_each_sessions_values_as_they_are_written() -> None:
    text = html(a_result())
    spread, _betas, drawdown = map(json.loads, re.findall(r'<script type="application/json">(.*?)</script>', text))
    assert 400 == len(spread["days"]) == len(spread["lines"][0]["y"]) == len(drawdown["days"])
    assert ["WGMI", "BTC", "1-session spread"] == [line["name"] for line in spread["lines"]]
    assert "100.0" == spread["lines"][0]["text"][0]
    assert "–" == spread["lines"][2]["text"][0]
    assert spread["lines"][2]["y"][0] is None
    assert any(value.endswith("\xa0pp, firing") for value in spread["lines"][2]["text"])


@needs_data
def test_a_page_of_four_years_of_real_prices_is_below_a_megabyte() -> None:
    real = real_pair()
    real = real.head(common_rows(real).stop)
    material = ReportInput(
        aligned=real,
        etf=proxy_closes(real.sessions, real.etf),
        crypto=proxy_closes(real.sessions, real.crypto),
        sessions=CALENDAR,
        proxy=None,
    )
    report = build_report(material, [parse_rule(rule) for rule in DEFAULT_RULES])
    assert report.sessions > 1_000
    page = render_html(report_page(ReportResult(report=report, provenance=Provenance()), NOW))
    assert len(page) < 500_000


def test_text_from_sources_is_escaped() -> None:
    page = html(a_result(replace(LEGS.aligned, etf_source=SCRIPT), Provenance(problems=(f"{SCRIPT} & more",))))
    assert SCRIPT not in page
    assert Outline(page).words.count(SCRIPT) >= 3


def test_simulated_prices_are_marked_in_the_banner_and_the_title() -> None:
    words = Outline(html(a_result(provenance=Provenance(simulated=True)))).words
    assert "SIMULATED: these prices are made up." in words
    assert "SIMULATED · WGMI " in words


def test_omitted_prices_are_summarized_and_listed() -> None:
    etf = LEGS.aligned.etf.copy()
    etf[100] = float("nan")
    market = replace(LEGS.aligned, etf=etf, exclusions=(an_omission(),))
    words = Outline(html(a_result(market))).words
    assert "399 of 400\xa0sessions have both prices." in words
    why = sentence(an_omission().reason).rstrip(".")
    assert ") has no WGMI price: " in words
    assert why in words
    assert "Prices left out (1)" in words


def an_omission() -> Exclusion:

    no_trade = Reason.of(Code.NO_TRADE_ANYWHERE, symbol="WGMI")
    return Exclusion(session=LEGS.aligned.sessions[100].item(), leg=Leg.ETF, reason=no_trade)


def test_the_chart_of_betas_has_their_r2_and_the_verdict() -> None:
    result = a_result()
    explanation = result.report.explanation
    assert isinstance(explanation, Explanation)
    assert explanation.betas is not None
    page = Outline(html(result))
    betas, r2 = page.texts["desc"][2:4]
    assert betas.startswith(change_verdict(explanation.betas))
    assert f"R² {fmt.ratio(explanation.betas.last.r2)} at the last session, range " in r2


def test_without_the_proxy_a_page_says_so_and_has_no_betas() -> None:
    page = Outline(html(a_result(proxy=False)))
    assert "No return attribution." in page.words
    assert "rolling-betas" not in [section["id"] for section in page.all("section")]


def test_a_rule_that_never_fired_is_one_line_and_a_long_table_is_marked() -> None:
    page = Outline(html(a_result(LEGS.aligned, None, "5d 90pp", "1d 1pp")))
    assert "5d 90pp: never fired" in page.words
    assert 1 == len([table for table in page.all("table") if "long" in (table["class"] or "")])


@pytest.mark.parametrize("sessions", [1, 2, 30])
def test_a_short_history_is_reported(sessions: int) -> None:
    page = Outline(html(a_result(LEGS.aligned.head(sessions))))
    assert f"{sessions} of {sessions}\xa0session" in page.words
    assert "The year-to-date return can't be explained" in page.words
