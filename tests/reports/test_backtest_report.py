"""The page of a backtest in a real browser, and the same in Markdown: it stands alone, draws, and says the result."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from playwright.sync_api import Browser

from forecastle.nouns.backtest_result import BacktestResult
from forecastle.nouns.scorecard import DeflatedSharpe, Figure
from forecastle.reports import _result_columns as numbers
from forecastle.reports import backtest_html, backtest_markdown, stress_markdown
from forecastle.reports._figure_words import DEFINITIONS, number, price
from forecastle.reports._trade_tables import fills_of
from forecastle.reports._verdict import verdict
from forecastle.scoring.performance import FIGURES
from reports import made_backtests as made
from reports.opening import opened

HOSTILE = "</script><script>document.title='pwned'</script><img src=x onerror=alert(1)>|`*"
CASES: dict[str, Callable[[], BacktestResult]] = {
    "normal": made.normal, "idle": made.idle, "short": made.short, "ruined": made.ruined, "hourly": made.hourly,
    "several": made.several,
}  # fmt: skip
LINES = {"normal": 7, "idle": 4, "short": 5, "ruined": 5, "hourly": 8, "several": 10}
"""Charts of each case: equity, drawdown, exposure, price (and the last bars), rolling, spread, costs."""


@pytest.fixture(scope="module")
def results() -> dict[str, BacktestResult]:
    return {name: make() for name, make in CASES.items()}


@pytest.mark.chromium
@pytest.mark.parametrize(
    ("name", "width", "scheme"),
    [("normal", 1280, "light"), ("normal", 390, "dark"), ("idle", 1280, "dark"), ("short", 390, "light"),
     ("ruined", 1280, "light"), ("hourly", 1280, "light"), ("several", 390, "dark")],
)  # fmt: skip
def test_the_page_stands_alone_and_draws(
    browser: Browser, results: dict[str, BacktestResult], tmp_path: Path, name: str, width: int, scheme: str
) -> None:
    result, file = results[name], tmp_path / "backtest.html"
    file.write_text(backtest_html(result, made.stress() if name == "normal" else None), encoding="utf-8")
    page, asked, complaints = opened(browser, file, width, scheme)
    assert (asked, complaints) == ([file.as_uri()], [])
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.locator(".chart.js-plotly-plot").count() == LINES[name]
    text = page.locator("body").inner_text()
    for one, figure in result.figures.items():
        assert number(one, figure.value) in text
        assert figure.reason in text
    assert ("SIMULATED DATA" in text) == (name == "several")
    assert verdict(result).lead in text
    page.close()


@pytest.mark.chromium
def test_zoom_hover_and_print_work(browser: Browser, results: dict[str, BacktestResult], tmp_path: Path) -> None:
    file = tmp_path / "backtest.html"
    file.write_text(backtest_html(results["normal"]), encoding="utf-8")
    page, _, complaints = opened(browser, file, 1280, "light")
    page.evaluate("Plotly.relayout('price1', {'xaxis.range[0]': '2020-01-01', 'xaxis.range[1]': '2020-02-01'})")
    page.evaluate("window.dispatchEvent(new Event('beforeprint')); window.dispatchEvent(new Event('afterprint'))")
    low, high = page.evaluate("document.getElementById('price1').layout.yaxis.range")
    frame = results["normal"].market
    inside = (frame.close_time >= np.datetime64("2020-01-01")) & (frame.close_time <= np.datetime64("2020-02-01"))
    assert 10**low < frame.low[inside].min() < frame.high[inside].max() < 10**high
    assert 10**high < frame.high.max()
    assert complaints == []
    page.close()


@pytest.mark.chromium
def test_hostile_words_stay_words(browser: Browser, results: dict[str, BacktestResult], tmp_path: Path) -> None:
    base = results["normal"]
    bad = replace(
        base, name=HOSTILE, strategy=HOSTILE, source=HOSTILE, why=(HOSTILE,), notes=(HOSTILE,),
        benchmarks=tuple(replace(b, name=HOSTILE, note=HOSTILE) for b in base.benchmarks),
        readings=tuple(replace(r, name=HOSTILE, note=HOSTILE) for r in base.readings),
        fills=base.fills.with_columns(cause=pl.lit(HOSTILE)), trades=base.trades.with_columns(cause=pl.lit(HOSTILE)),
        figures={**base.figures, HOSTILE: Figure(None, reason=HOSTILE)},
    )  # fmt: skip
    file = tmp_path / "backtest.html"
    file.write_text(backtest_html(bad), encoding="utf-8")
    page, asked, complaints = opened(browser, file, 1280, "light")
    assert (asked, complaints) == ([file.as_uri()], [])
    assert page.title() == HOSTILE
    assert page.locator("img").count() == 0
    assert HOSTILE in page.locator("body").inner_text()
    page.close()
    text = backtest_markdown(bad)
    assert "<script" not in text.replace("\\<", "")
    assert "\\|" in text


def test_the_page_holds_no_address_and_forbids_the_network(results: dict[str, BacktestResult]) -> None:
    page = backtest_html(results["normal"], made.stress())
    policy = re.search(r'http-equiv="Content-Security-Policy"\s+content="([^"]*)"', page)
    assert policy is not None
    assert "default-src 'none'" in policy[1]
    own = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert "http://" not in own
    assert "https://" not in own


def test_definitions_are_those_of_scoring() -> None:
    assert DEFINITIONS == FIGURES


def test_the_same_result_has_the_same_bytes(results: dict[str, BacktestResult]) -> None:
    assert backtest_html(results["normal"]) == backtest_html(results["normal"])


def test_markdown_tells_every_figure_and_every_table(results: dict[str, BacktestResult]) -> None:
    result = results["normal"]
    text = backtest_markdown(result, made.stress())
    assert not text.startswith("# ")
    for name, figure in result.figures.items():
        assert number(name, figure.value) in text
        assert figure.reason in text
        assert DEFINITIONS[name] in text
    sharpe = result.figures["sharpe"]
    assert sharpe.low is not None
    assert sharpe.high is not None
    assert f"{sharpe.value:.2f}" in text
    assert f"{sharpe.low:.2f} to {sharpe.high:.2f}" in text
    names = [b.name for b in result.benchmarks] + [r.name for r in result.readings]
    for name in (*names, *(s.name for s in made.stress().scenarios)):
        assert name in text
    for words in (*result.why, *result.notes, *made.stress().notes, "365 periods", "0.370", "12 configurations"):
        assert words in text
    assert len(result.windows) == len(re.findall(r"\| fast \d, slow 20 \|", text))
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1
    assert stress_markdown(made.stress()) in text + "\n"


@pytest.mark.parametrize("name", ["idle", "short", "ruined", "several"])
def test_markdown_of_odd_results_says_why(results: dict[str, BacktestResult], name: str) -> None:
    text = backtest_markdown(results[name])
    assert verdict(results[name]).lead in text
    assert ("SIMULATED DATA" in text) == (name == "several")
    for figure in results[name].figures.values():
        assert figure.reason in text


def test_the_verdict_says_no_edge_unless_everything_speaks_for_one(results: dict[str, BacktestResult]) -> None:
    base = results["normal"]
    hold = replace(base.benchmarks[0], figures={"total_return": Figure(0.1)})
    good = replace(
        base, benchmarks=(hold,), overfitting=None, deflated=DeflatedSharpe(0.97, 0.1, 0.05, 3), trials=3,
        figures={**base.figures, "total_return": Figure(0.5), "sharpe": Figure(1.2, 0.3, 2.0)},
    )  # fmt: skip
    assert verdict(good).edge
    assert verdict(good).lead == "After costs it beat buy-and-hold: 50.00 % against 10.00 %."
    less = [
        (replace(good, deflated=DeflatedSharpe(0.94, 0.1, 0.05, 3)), "94.0 %, and 95 % are asked"),
        (replace(good, figures={**good.figures, "sharpe": Figure(1.2, -0.1, 2.0)}), "holds zero"),
        (replace(good, figures={**good.figures, "sharpe": Figure(-1.2, -2.0, -0.1)}), "lies below zero"),
        (replace(good, figures={**good.figures, "total_return": Figure(0.05)}), "buy-and-hold was not beaten"),
        (replace(good, benchmarks=()), "not compared with buy-and-hold"),
        (replace(good, benchmarks=(hold, replace(hold, name="draws", p_value=0.2))), "drawn at random did as well"),
        (replace(good, overfitting=base.overfitting), "below the median out of sample"),
        (replace(good, source="simulated"), "the prices are made up"),
    ]
    for other, words in less:
        assert not verdict(other).edge
        assert words in verdict(other).lines[0]
    assert "did not beat buy-and-hold" in verdict(less[3][0]).lead
    assert verdict(results["idle"]).lead.startswith("It never traded")
    assert verdict(results["ruined"]).lead.startswith("It lost everything: equity fell to zero on 2000-02-0")


def test_a_long_series_stays_small_and_loses_no_extreme(results: dict[str, BacktestResult]) -> None:
    result = results["hourly"]
    assert len(backtest_html(result).encode()) < 6e6
    curves = numbers.curve_columns(result, result.benchmarks)
    assert len(curves["t"]) <= 5_002
    known = [v for v in curves["equity"] if isinstance(v, float)]
    assert max(known) == pytest.approx(result.equity.max(), rel=1e-5)
    assert min(known) == pytest.approx(result.equity.min(), rel=1e-5)
    assert min(v for v in curves["drawdown"] if isinstance(v, float)) == pytest.approx(100 * result.drawdown.min())
    candles = numbers.candle_columns(result, 0, fills_of(result))
    assert len(candles["t"]) <= numbers.STRETCHES
    assert max(v for v in candles["high"] if isinstance(v, float)) == pytest.approx(result.market.high.max(), rel=1e-5)
    assert candles["close"][-1] == pytest.approx(result.market.close[-1, 0], rel=1e-5)


def test_fills_are_marked_where_they_happened(results: dict[str, BacktestResult]) -> None:
    result = results["normal"]
    cells = numbers.candle_columns(result, 0, fills_of(result))
    buys = result.fills.filter(pl.col("quantity") > 0)
    assert cells["buy_t"] == [str(t)[:10] for t in result.market.close_time[buys["bar"].to_numpy()]]
    first = buys.row(0, named=True)
    assert cells["buy_text"][0] == (
        f"buy {price(first['quantity'])} at {price(first['price'])}, market, {first['open_time']:%Y-%m-%d %H:%M}"
    )
    ruined = results["ruined"]
    assert len(numbers.candle_columns(ruined, 0, fills_of(ruined))["liquidation_t"]) == 1


def test_of_many_fills_liquidations_and_the_largest_of_each_time_are_marked(
    results: dict[str, BacktestResult],
) -> None:
    one = fills_of(results["normal"]).head(1)
    rows = pl.int_range(0, 9_000, dtype=pl.Int64)
    many = pl.concat([one] * 9_000).with_columns(quantity=(rows % 10 + 1).cast(pl.Float64), bar=rows // 10)
    forced = one.with_columns(quantity=pl.lit(-0.001), cause=pl.lit("liquidation"))
    cells = numbers.candle_columns(results["normal"], 0, pl.concat([many, forced]))
    assert len(cells["liquidation_t"]) == 1
    assert len(cells["buy_t"]) == numbers.MOST_FILLS - 1
    assert sum(str(text).startswith("buy 10 ") for text in cells["buy_text"]) == 900
    assert not any(str(text).startswith("buy 1 ") for text in cells["buy_text"])


def test_months_are_the_changes_of_equity(results: dict[str, BacktestResult]) -> None:
    result = results["normal"]
    months = numbers.months_of(result)
    grown = np.prod([1.0 + v for row in months.values() for v in row[:12] if v is not None])
    assert grown == pytest.approx(result.equity[-1] / result.cash)
    assert np.prod([1.0 + (row[12] or 0.0) for row in months.values()]) == pytest.approx(grown)
    # 2019 begins with the bar that closes on 2 January and ends with that which closes at the new year
    assert months[2019][12] == pytest.approx(result.equity[364] / result.cash - 1.0)


def test_the_bridge_of_costs_ends_at_what_was_earned(results: dict[str, BacktestResult]) -> None:
    for result in results.values():
        text = backtest_html(result)
        found = re.search(r'<script type="application/json" id="drawings">(.*?)</script>', text, re.DOTALL)
        assert found is not None
        cells = json.loads(found[1])["columns"].get("costs")
        if not result.fills.height:
            assert cells is None
            continue
        assert sum(cells["y"][:-1]) == pytest.approx(cells["y"][-1], rel=1e-5)
        assert cells["y"][-1] == pytest.approx(result.equity[-1] - result.cash, rel=1e-5)


def test_long_lists_of_trades_are_cut_and_counted(results: dict[str, BacktestResult]) -> None:
    page = backtest_html(results["hourly"])
    total = results["hourly"].trades.height
    closed = int(results["hourly"].trades["exit_bar"].is_not_null().sum())
    assert f"The last 50 of {total:,} round trips" in page
    assert f"The 10 best of {closed:,} that were closed" in page
    best = results["hourly"].trades.filter(pl.col("exit_bar").is_not_null())["net"].to_numpy().max()
    assert f"{best:,.2f}" in page


def test_a_rolling_figure_is_not_shown_where_it_is_too_short(results: dict[str, BacktestResult]) -> None:
    assert numbers.roll_window(results["short"]) == 0
    assert numbers.roll_window(results["idle"]) == 0
    assert numbers.roll_window(results["ruined"]) == 0
    window = numbers.roll_window(results["hourly"])
    assert window == 8760
    cells = numbers.roll_columns(results["hourly"], window)
    r = results["hourly"].returns[-window:]
    assert cells["sharpe"][-1] == pytest.approx(r.mean() / r.std(ddof=1) * np.sqrt(8760.0), rel=1e-4)
    assert "too few bars" in backtest_html(results["short"])
    assert "equity did not move" in backtest_html(results["idle"])
    assert "equity fell to zero" in backtest_html(results["ruined"])
