"""The report in a real browser: it asks nothing of the network, draws every chart, never overflows, tells the truth."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser

from forecastle.app.report import HORIZONS, report_of
from forecastle.nouns import Candles, Finding, History, Instrument, VolatilityReport
from forecastle.reports import volatility_html
from forecastle.requests import NAIVE_MODELS, CompareRequest, ModelSpec
from forecastle.sources.simulated import Simulated
from reports.opening import opened

HOSTILE = "</script><script>document.title='pwned'</script><img src=x onerror=alert(1)>"


def _made(candles: Candles) -> VolatilityReport:
    garch = ModelSpec(name="garch", dist="t")
    request = CompareRequest(
        instrument=candles.instrument, window=250, refit_every=200, models=(*NAIVE_MODELS, garch), headline=garch
    )
    return report_of(History(candles), request)


@pytest.fixture(scope="module")
def real(bundled_spx: Candles) -> VolatilityReport:
    return _made(bundled_spx.last(651))


@pytest.fixture(scope="module")
def simulated() -> VolatilityReport:
    coin = Instrument.parse("BTC-USD")
    candles = Simulated(seed=1).fetch(coin, "1h", None, datetime(2018, 2, 1, tzinfo=UTC))
    return _made(candles)


@pytest.mark.chromium
@pytest.mark.parametrize(("width", "scheme"), [(1440, "light"), (390, "dark"), (360, "light")])
def test_the_page_stands_alone_at_any_width(
    browser: Browser, real: VolatilityReport, simulated: VolatilityReport, tmp_path: Path, width: int, scheme: str
) -> None:
    file = tmp_path / "report.html"
    file.write_text(volatility_html((real, simulated), "Two of them"), encoding="utf-8")
    page, asked, complaints = opened(browser, file, width, scheme)
    assert asked == [file.as_uri()]
    assert complaints == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.locator(".js-plotly-plot svg.main-svg").count() >= 6
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    red = int(re.findall(r"\d+", background)[0])
    assert (red < 128) == (scheme == "dark")


@pytest.mark.chromium
def test_what_the_page_says_is_what_was_computed(browser: Browser, real: VolatilityReport, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text(volatility_html((real,), "One"), encoding="utf-8")
    page, _, _ = opened(browser, file, 1200, "light")
    text = page.locator("body").inner_text()
    forecast, score = real.headline_forecast, real.headline_score
    assert forecast is not None
    assert score is not None
    assert score.risk is not None
    assert f"{100 * forecast.sigma:.2f} %" in text
    assert f"{100 * forecast.var(0.01):.2f} %" in text
    assert f"{100 * forecast.es(0.01):.2f} %" in text
    assert f"{score.qlike:.4f}" in text
    assert real.candles.data_hash in text.replace("\n", "")
    for model in real.comparison.scores:
        assert model.model in text
    recent = score.risk.path.breach[-30:].sum()
    assert re.search(rf"last 30 days: ({recent}|no) breach", text, re.IGNORECASE)


@pytest.mark.chromium
def test_hostile_words_stay_words(browser: Browser, real: VolatilityReport, tmp_path: Path) -> None:
    """A file name, a reason or a title is text, whatever it holds."""
    finding = Finding("gap", "suspicious", 1, HOSTILE, HOSTILE)
    quality = replace(real.quality, findings=(finding,))
    comparison = replace(real.comparison, verdict=f"{HOSTILE}: {HOSTILE}")
    hostile = replace(real, quality=quality, comparison=comparison, provenance={HOSTILE: HOSTILE})
    file = tmp_path / "report.html"
    file.write_text(volatility_html((hostile,), HOSTILE), encoding="utf-8")
    page, asked, complaints = opened(browser, file, 1200, "light")
    assert asked == [file.as_uri()]
    assert complaints == []
    assert page.title() != "pwned"
    assert page.locator("img").count() == 0
    assert HOSTILE in page.locator("body").inner_text()


def test_simulated_data_are_called_so(real: VolatilityReport, simulated: VolatilityReport) -> None:
    banner = "SIMULATED DATA"
    assert banner in volatility_html((simulated,), "x")
    assert banner not in volatility_html((real,), "x")


def test_the_same_report_has_the_same_bytes(real: VolatilityReport) -> None:
    assert volatility_html((real,), "x") == volatility_html((real,), "x")


def test_the_page_forbids_the_network_to_itself(real: VolatilityReport) -> None:
    policy = re.search(r'http-equiv="Content-Security-Policy"\s+content="([^"]*)"', volatility_html((real,), "x"))
    assert policy is not None
    assert "default-src 'none'" in policy[1]
    assert "http" not in policy[1]


def test_gaps_without_findings_and_without_fits_are_shown(real: VolatilityReport) -> None:
    bare = replace(real, fits=(), forecasts=real.forecasts[:1], quality=replace(real.quality, findings=()))
    assert "no gaps found" in volatility_html((bare,), "x")


def test_the_term_structure_begins_with_the_forecast_of_the_next_bar(real: VolatilityReport) -> None:
    assert tuple(point.horizon for point in real.term) == HORIZONS
    assert real.headline_forecast is not None
    assert real.term[0].sigma == real.headline_forecast.sigma
    assert all(a.sigma < b.sigma for a, b in pairwise(real.term))


def test_the_news_impact_of_a_garch_is_its_parabola(real: VolatilityReport) -> None:
    """A shock adds alpha times its square to the variance, whatever was before (Engle and Ng 1993)."""
    curve = next(c for c in real.news_impact if c.model == real.headline)
    alpha = next(p.value for fit in real.fits for p in fit.parameters if p.name == "alpha[1]")
    quiet = curve.sigma[np.abs(curve.shocks).argmin()] ** 2
    np.testing.assert_allclose(curve.sigma**2 - quiet, alpha * curve.shocks**2, rtol=1e-6, atol=1e-9 * quiet)
    assert curve.shocks[0] == pytest.approx(-curve.shocks[-1])
    assert curve.shocks[-1] == pytest.approx(4 * real.candles.log_returns().values[-250:].std())
