"""The quality page in a real browser, and the same in Markdown: it stands alone, draws, and says what was found."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from playwright.sync_api import Browser

from forecastle.nouns import Candles, Finding, Instrument
from forecastle.nouns.findings import QualityDetail
from forecastle.quality import flags, inspect_candles, sift
from forecastle.reports import quality_html, quality_markdown
from forecastle.reports._quality_columns import MOST_POINTS, gap_columns, series_columns
from forecastle.sources.simulated import Simulated
from making import make_candles, with_close, without

HOSTILE = "</script><script>document.title='pwned'</script><img src=x onerror=alert(1)>"
NO_ROWS = sift(make_candles(1).frame).quarantined


def _detail(candles: Candles, quarantined: pl.DataFrame = NO_ROWS) -> QualityDetail:
    return QualityDetail(inspect_candles(candles), candles, flags(candles), quarantined)


@pytest.fixture(scope="module")
def many() -> QualityDetail:
    """A series with a hole, wrong prices, idle bars and eighty rows in quarantine."""
    candles = without(make_candles(900), *range(300, 360))
    for place in range(60, 800, 40):
        candles = with_close(candles, place, 3.0)
    bad = sift(candles.frame.head(80).with_columns(close=-1.0)).quarantined.with_columns(origin=pl.lit("a | file.csv"))
    return _detail(candles, bad)


@pytest.fixture(scope="module")
def clean() -> QualityDetail:
    candles = Simulated(seed=1).fetch(Instrument.parse("AAPL"), "1d", None, datetime(2013, 1, 1, tzinfo=UTC))
    return _detail(candles)


@pytest.fixture(scope="module")
def empty() -> QualityDetail:
    return _detail(make_candles(5).last(0))


def _opened(browser: Browser, file: Path, width: int, scheme: str) -> tuple[int, str]:
    """Open the page, see that it stands alone, and return (charts drawn, text)."""
    page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(file.as_uri())
    for _ in range(150):
        if page.evaluate("document.documentElement.dataset.charts") == "drawn":
            break
        time.sleep(0.2)
    assert (asked, complaints) == ([file.as_uri()], [])
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.title() != "pwned"
    drawn = page.locator(".chart", has=page.locator("svg .scatterlayer path")).count()
    text = page.locator("body").inner_text()
    page.close()
    return int(drawn), str(text)


@pytest.mark.chromium
@pytest.mark.parametrize(
    ("name", "charts", "width", "scheme"),
    [("many", 4, 1280, "light"), ("many", 4, 390, "dark"), ("clean", 3, 1280, "dark"), ("empty", 0, 390, "light")],
)
def test_the_page_stands_alone_and_draws(
    browser: Browser, request: pytest.FixtureRequest, tmp_path: Path, name: str, charts: int, width: int, scheme: str
) -> None:
    detail: QualityDetail = request.getfixturevalue(name)
    file = tmp_path / "quality.html"
    file.write_text(quality_html(detail), encoding="utf-8")
    drawn, text = _opened(browser, file, width, scheme)
    assert drawn == charts
    for finding in detail.report.findings:
        assert finding.kind in text
        assert finding.detail in text
    assert detail.candles.data_hash in text.replace("\n", "")
    assert ("There are no bars to draw." in text) == (name == "empty")


@pytest.mark.chromium
def test_hostile_words_stay_words(browser: Browser, many: QualityDetail, tmp_path: Path) -> None:
    report = replace(many.report, source=HOSTILE, findings=(Finding(HOSTILE, "invalid", 1, HOSTILE, HOSTILE),))
    aside = many.quarantined.with_columns(reason=pl.lit(HOSTILE), origin=pl.lit(HOSTILE))
    file = tmp_path / "quality.html"
    file.write_text(quality_html(replace(many, report=report, quarantined=aside)), encoding="utf-8")
    _, text = _opened(browser, file, 1280, "light")
    assert HOSTILE in text


def test_long_lists_are_cut_and_counted(many: QualityDetail) -> None:
    page = quality_html(many)
    assert "The first 50 of 80 rows" in page
    assert page.count("a | file.csv") == 50
    text = quality_markdown(many)
    assert "30 more." in text
    assert text.count("a \\| file.csv") == 50


def test_markdown_has_every_finding_and_no_open_cell(many: QualityDetail, clean: QualityDetail) -> None:
    text = quality_markdown(many)
    for finding in many.report.findings:
        assert f"| {finding.kind} | {finding.severity} | {finding.count:,} |" in text
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in text.splitlines() if line.startswith("|")}
    assert widths == {6, 4, 9}
    assert "SIMULATED DATA" in quality_markdown(clean)
    assert "SIMULATED DATA" in quality_html(clean)
    assert "SIMULATED DATA" not in quality_html(many)


def test_the_same_series_has_the_same_bytes(many: QualityDetail) -> None:
    assert quality_html(many) == quality_html(many)


def test_a_long_series_is_drawn_in_stretches_that_lose_no_extreme() -> None:
    candles = make_candles(20_000, timeframe="1m")
    cells = series_columns(candles, flags(candles))
    assert len(cells["t"]) <= MOST_POINTS
    lows, highs, closes = (candles.frame[c] for c in ("low", "high", "close"))
    assert min(c for c in cells["low"] if isinstance(c, float)) == pytest.approx(lows.min(), rel=1e-5)
    assert max(c for c in cells["high"] if isinstance(c, float)) == pytest.approx(highs.max(), rel=1e-5)
    assert cells["close"][-1] == pytest.approx(closes[-1], rel=1e-5)
    returns = np.diff(np.log(closes.to_numpy()))
    assert cells["volatility"][-1] == pytest.approx(100 * np.sqrt((returns[-30:] ** 2).mean()), rel=1e-5)


def test_a_long_pause_breaks_the_line_and_fills_the_gap_chart() -> None:
    candles = without(make_candles(200), *range(100, 150))
    cells = series_columns(candles, flags(candles))
    assert [i for i, close in enumerate(cells["close"]) if close is None] == [100]
    gaps = gap_columns(candles)
    whole = [value for value in gaps["missing"] if value == 100.0]
    assert len(whole) == pytest.approx(len(gaps["t"]) * 50 / 200, abs=2)
    assert {value for value in gaps["missing"] if value not in (0.0, 100.0)} <= {50.0}
