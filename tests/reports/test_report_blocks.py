"""What the report says of twelve models: the first screen, the tests, the comparison, the curves, who refused."""

from __future__ import annotations

import html
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from forecastle.nouns import VolatilityReport
from forecastle.reports import volatility_html
from reports.made_reports import GARCH, HEADLINE, HORIZONS, NAIVE, OTHERS, REASON, made_report, refusing
from reports.opening import opened


@pytest.fixture(scope="module")
def twelve() -> VolatilityReport:
    return made_report()


def _page(browser: Browser, reports: tuple[VolatilityReport, ...], folder: Path, width: int, height: int) -> Page:
    file = folder / "report.html"
    file.write_text(volatility_html(reports, "BTC-USDT volatility"), encoding="utf-8")
    page, asked, complaints = opened(browser, file, width, "light", height)
    assert (asked, complaints) == ([file.as_uri()], [])
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    return page


def _box(page: Page, selector: str) -> tuple[float, float]:
    """Return the top and the bottom of the first such element, in pixels of the unscrolled page."""
    box = page.locator(selector).first.bounding_box()
    assert box is not None, selector
    return box["y"], box["y"] + box["height"]


def _drawings(page: str) -> dict[str, Any]:
    found = re.search(r'id="drawings">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return dict(json.loads(found[1]))


def _words(page: str) -> str:
    """Return the text of a page, scripts and tags left out."""
    body = page[page.index("<main>") : page.index("</main>")]
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", body)).split())


@pytest.mark.chromium
def test_the_fan_and_the_figures_are_the_first_screen(
    browser: Browser, twelve: VolatilityReport, tmp_path: Path
) -> None:
    """Of several instruments, where a bar of links comes before it."""
    page = _page(browser, (twelve, twelve), tmp_path, 1440, 900)
    for selector in (".first .verdict", ".first .cards", ".first figcaption .reading", "#i1-fan"):
        top, bottom = _box(page, selector)
        assert 0 < top < bottom <= 900, selector
    page.close()


@pytest.mark.chromium
def test_a_phone_shows_verdict_figures_and_the_beginning_of_the_fan(
    browser: Browser, twelve: VolatilityReport, tmp_path: Path
) -> None:
    """Of twelve models, one of them refused: wide tables scroll in their own boxes."""
    page = _page(browser, (refusing(twelve, "HAR"),), tmp_path, 390, 844)
    assert _box(page, ".first .verdict")[1] < _box(page, ".first .cards")[0]
    assert _box(page, ".first .cards")[1] < _box(page, "#i1-fan")[0] < 844 - 150
    text = page.locator("body").inner_text()
    for model in (HEADLINE, *NAIVE, *OTHERS):
        assert model in text
    assert REASON in text
    assert page.locator(".chart", has=page.locator("svg .scatterlayer path")).count() == 6
    page.close()


@pytest.mark.chromium
def test_without_any_forecast_of_the_headline_the_page_says_why(
    browser: Browser, twelve: VolatilityReport, tmp_path: Path
) -> None:
    page = _page(browser, (refusing(twelve, HEADLINE),), tmp_path, 390, 844)
    first = page.locator(".first").inner_text()
    assert f"There is no forecast of {HEADLINE}. {REASON}" in first
    assert f"There are no past forecasts of {HEADLINE} to draw. {REASON}" in first
    assert page.locator("#i1-fan").count() == 0
    page.close()


def test_every_test_of_the_headline_is_told_with_its_p_value(twelve: VolatilityReport) -> None:
    score = twelve.headline_score
    assert score is not None
    assert score.risk is not None
    risk, words = score.risk, _words(volatility_html((twelve,), "x"))
    for name, test in (
        ("Kupiec (1995), coverage", risk.kupiec),
        ("Christoffersen (1998), independence", risk.christoffersen.independence),
        ("Conditional coverage", risk.christoffersen.conditional_coverage),
        ("Duration (Christoffersen and Pelletier 2004)", risk.duration),
        ("Dynamic quantile (Engle and Manganelli 2004)", risk.dynamic_quantile),
    ):
        assert test.p_value is not None
        said = "rejected" if test.p_value < 0.05 else "not rejected"
        assert re.search(rf"{re.escape(name)} [✓✕] {said} {test.p_value:.3f} {test.statistic:.3f} ", words), name
    assert "e-process of VaR (Wang, Wang and Ziegel 2022) ✓ not rejected never so far" in words
    assert "McNeil and Frey (2000) – no p-value fewer than 5 breaches" in words


def test_the_evidence_is_drawn_as_it_was_and_its_day_is_told(twelve: VolatilityReport) -> None:
    scores = {s.model: s for s in twelve.comparison.scores}
    wrong = scores["Historical"].risk
    assert wrong is not None
    assert wrong.e_process.crossed is not None
    page = volatility_html((replace(twelve, headline="Historical"),), "x")
    drawn = _drawings(page)["columns"]["i1"]["evidence"]
    assert drawn[: wrong.e_process.crossed] == pytest.approx(wrong.e_process.process[: wrong.e_process.crossed], 1e-5)
    assert max(v for v in drawn if v is not None) == 1e6 < wrong.e_process.maximum
    day = wrong.path.frame["target_time"][wrong.e_process.crossed]
    assert f"✕ rejected since {day:%Y-%m-%d}" in _words(page)
    assert "Drawn up to 1,000,000." in _words(page)


def test_the_comparison_has_every_loss_and_names_who_is_in_the_set(twelve: VolatilityReport) -> None:
    found, words = twelve.comparison, _words(volatility_html((twelve,), "x"))
    table = words[words.index("Models by QLIKE") : words.index("What the columns mean")]
    assert found.confidence_set is not None
    assert "MSE ×10⁻⁷ FZ0" in table
    for score in found.scores:
        assert score.mcs is not None
        assert score.mse is not None
        held = "in the set" if score.model in found.confidence_set.included else "left out"
        p = "<0.001" if score.mcs < 0.001 else f"{score.mcs:.3f}"
        row = table[table.index(f" {score.model} ") :]
        assert row.index(f"{score.qlike:.4f}") < row.index(f"{held} {p}") < row.index(f"{1e7 * score.mse:.3f}")
        assert f"{score.fz0:.4f}" in row
    rival = min((s for s in found.scores if s.naive), key=lambda s: s.qlike)
    assert f"DM against {rival.model}" in table
    others = [s.model for s in found.scores if s.naive and s is not rival]
    assert not any(f"against {name}" in table for name in others)
    assert all(f"against {name}" in words for name in others)


def test_the_curves_have_the_numbers_of_the_report(twelve: VolatilityReport) -> None:
    page = volatility_html((twelve,), "x")
    columns = _drawings(page)["columns"]
    news, term = columns["i1-news"], columns["i1-term"]
    for i, curve in enumerate(twelve.news_impact, 1):
        assert news[f"x{i}"] == pytest.approx(100 * curve.shocks, abs=1e-4)
        assert news[f"y{i}"] == pytest.approx(100 * curve.sigma, rel=1e-5)
    assert [c.model for c in twelve.news_impact] == list(GARCH)
    assert term["h"] == list(HORIZONS)
    assert term["model"] == pytest.approx([100 * (p.annual_sigma or 0.0) for p in twelve.term], rel=1e-5)
    naive = next(f for f in twelve.forecasts if f.model == NAIVE[0])
    assert term["naive"] == pytest.approx(np.full(len(HORIZONS), 100 * (naive.annual_sigma or 0.0)), rel=1e-5)
    assert f"30 days {100 * twelve.term[-1].sigma:.2f} %" in _words(page)


def test_without_curves_there_is_no_empty_block(twelve: VolatilityReport) -> None:
    bare = volatility_html((replace(twelve, news_impact=(), term=()),), "x")
    assert "News-impact" not in bare
    assert "Volatility further ahead" not in bare
    assert {c["id"] for c in _drawings(bare)["charts"]} == {"i1-fan", "i1-var", "i1-evidence", "i1-price"}


def test_fits_show_both_errors_where_there_are_any(twelve: VolatilityReport) -> None:
    words = _words(volatility_html((twelve,), "x"))
    garch = words[words.index("Parameters of GARCH(1,1)-t") :]
    assert garch.startswith("Parameters of GARCH(1,1)-t Parameter Value Robust s.e. t p Hessian s.e. Nyblom mu 0.0004")
    assert "alpha[1] 1e-09 n/a n/a n/a n/a n/a" in garch
    assert "ARCH-LM (10 lags) 25.100 df 10 0.005 ✕ rejected" in garch
    assert f"Parameters of {HEADLINE} Parameter Value weight of GARCH(1,1)-t 0.125" in words
    assert "Half-life of a shock 46.5 bars" in garch


def test_a_shock_that_never_dies_has_no_half_life_in_numbers(twelve: VolatilityReport) -> None:
    lasting = tuple(replace(fit, half_life=6.9e7) for fit in twelve.fits)
    words = _words(volatility_html((replace(twelve, fits=lasting),), "x"))
    assert "Half-life of a shock longer than the sample" in words
    assert "69,000,000" not in words
