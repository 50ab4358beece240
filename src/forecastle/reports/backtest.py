"""The report of a backtest: one HTML file that needs nothing but a browser."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from forecastle.nouns.backtest_result import BacktestResult
from forecastle.nouns.stress import StressResult
from forecastle.reports import _result_charts as charts
from forecastle.reports import _result_columns as numbers
from forecastle.reports import _result_tables as tables
from forecastle.reports._charts import Chart
from forecastle.reports._columns import Cells
from forecastle.reports._html import Markup, badge, join, tag
from forecastle.reports._listing import Listing
from forecastle.reports._months import months_table
from forecastle.reports._page import page
from forecastle.reports._tiles import tiles
from forecastle.reports._trade_tables import fills_of
from forecastle.reports._verdict import verdict
from forecastle.reports._words import many

FOOT = (
    "All times are UTC: charts stand at the close of a bar, fills and trades are named by the open of theirs. Money is "
    "in the quote currency, figures are after costs, and each has one definition. A backtest is one past, not a "
    "promise, and nothing here is advice."
)
_PARTS = (("figures", "Figures"), ("price-part", "Price and fills"), ("risk", "Risk and returns"), ("cost", "Costs"),
          ("trading", "Trades"))  # fmt: skip
Drawings = dict[str, Any]


def backtest_html(result: BacktestResult, stress: StressResult | None = None) -> str:
    """Return a backtest as one self-contained HTML page, with its stress test where one is given.

    The page makes no network request, and the same input gives the same bytes. Long series are drawn in stretches.
    """
    drawings: Drawings = {"columns": {}, "charts": []}
    parts = [
        tag("header", join([tag("h2", result.strategy, id="strategy"), _origin(result), _about(result)])),
        tag("div", join([_first(result), _equity(result, drawings)]), "first"),
        tiles(result),
        _figures(result),
        _prices(result, drawings),
        _risk(result, drawings),
        _costs(result, drawings),
        _trading(result),
        _stress(stress) if stress is not None else Markup(),
        _notes("Notes", result.notes),
    ]
    section = tag("section", join(parts), "instrument", aria_labelledby="strategy")
    return page(result.name, _nav(stress is not None), section, drawings, "backtest", FOOT)


def _nav(stressed: bool) -> Markup:
    shown = [*_PARTS, *([("stress", "Stress test")] if stressed else [])]
    return tag("nav", join(tag("a", words, href=f"#{key}") for key, words in shown), aria_label="Parts of the report")


def _origin(result: BacktestResult) -> Markup:
    if result.simulated:
        return tag("p", join([tag("strong", "SIMULATED DATA"), " - made up, not a market"]), "simulated")
    return tag("p", f"real data: {result.source}", "origin")


def _about(result: BacktestResult) -> Markup:
    told = [", ".join(result.instruments), f"{result.timeframe} from {result.source}", tables.span_of(result.market),
            many(len(result.market), "bar")]  # fmt: skip
    return tag("p", " · ".join(told), "about")


def _first(result: BacktestResult) -> Markup:
    """Return the verdict, which stands beside the curve of equity."""
    said = verdict(result)
    mark = badge("edge in these data", "good") if said.edge else badge("no edge", "bad")
    lines = tag("ul", join(tag("li", line) for line in said.lines), "said")
    return tag("div", join([tag("p", join([tag("strong", said.lead), mark])), lines]), "verdict")


def _equity(result: BacktestResult, drawings: Drawings) -> Markup:
    beside = result.benchmarks[: charts.MOST_LINES]
    drawings["columns"]["curves"] = numbers.curve_columns(result, beside)
    return _drawn(charts.equity(result, beside), drawings, "curves")


def _figures(result: BacktestResult) -> Markup:
    content = [tables.figures(result).html(), _titled(tables.benchmarks(result)), _titled(tables.readings(result))]
    return _block("Figures", join(content), "figures")


def _prices(result: BacktestResult, drawings: Drawings) -> Markup:
    """Return price and fills of each instrument, all of it and the last bars apart where there are too many."""
    fills, names = fills_of(result), result.market.names
    parts: list[Markup] = []
    if len(names) > 1:
        cells = numbers.normalised_columns(result, charts.MOST_LINES)
        parts.append(_with(charts.normalised(result, cells), cells, drawings))
    for j, name in enumerate(names[: charts.MOST_LINES]):
        key, long = f"price{j + 1}", int(result.market.present[:, j].sum()) > numbers.MOST_CANDLES
        cells = numbers.candle_columns(result, j, fills)
        words = _read(int(result.market.present[:, j].sum()), fills.filter(instrument=name).height)
        parts.append(_with(charts.candles(key, name, cells, words), cells, drawings))
        if long:
            cells = numbers.candle_columns(result, j, fills, numbers.LAST_CANDLES)
            title = f"{name}, the last {numbers.LAST_CANDLES} bars"
            parts.append(_with(charts.candles(f"{key}-last", title, cells, ["One candle a bar."]), cells, drawings))
    left = names[charts.MOST_LINES :]
    parts += [tag("p", f"No candles are drawn of {', '.join(left)}.", "reading")] if left else []
    return _block("Price and fills", join(parts), "price-part")


def _read(bars: int, fills: int) -> list[str]:
    per = numbers.per_candle(bars)
    told = ["One candle a bar." if per == 1 else f"{many(bars, 'bar')}, {per} in a candle."]
    if fills > numbers.MOST_FILLS:
        told.append(
            f"Of {fills:,} fills {numbers.MOST_FILLS:,} are marked: liquidations and the largest of each stretch."
        )
    elif not fills:
        told.append("Nothing was traded.")
    return [*told, charts.ZOOM]


def _risk(result: BacktestResult, drawings: Drawings) -> Markup:
    parts = [_drawn(charts.drawdown(result), drawings, "curves"), _drawn(charts.exposure(result), drawings, "curves")]
    parts.append(months_table(numbers.months_of(result)))
    window, cells = numbers.roll_window(result), numbers.spread_columns(result)
    if window:
        parts.append(_with(charts.rolling(result, window), numbers.roll_columns(result, window), drawings))
    if cells:
        parts.append(_with(charts.spread(result), cells, drawings))
    lacking = [*([] if window else ["rolling Sharpe ratio"]), *([] if cells else ["distribution of returns"])]
    if lacking:
        parts.append(tag("p", f"Without {' and '.join(lacking)}: {numbers.why_not(result)}.", "reading"))
    return _block("Risk and returns", join(parts), "risk")


def _costs(result: BacktestResult, drawings: Drawings) -> Markup:
    chart, cells = charts.waterfall(result)
    drawn = (
        _with(chart, cells, drawings) if result.fills.height else tag("p", "Nothing was traded, so nothing was paid.")
    )
    return _block("Costs", join([drawn, tables.costs(result).html()]), "cost")


def _trading(result: BacktestResult) -> Markup:
    why = (
        tag("ul", join(tag("li", line) for line in result.why), "why")
        if result.why
        else tag("p", "Nothing is told of it.")
    )
    parts = [tag("p", f"{tables.counted(result)}.", "reading"), tag("h4", "Why it traded as it did"), why]
    parts += [_titled(one) for one in tables.trades(result)]
    parts += [_titled(tables.windows(result))] if result.windows else []
    return _block("Trades", join(parts), "trading")


def _stress(stress: StressResult) -> Markup:
    parts = [tables.scenarios(stress).html()]
    parts += [_titled(tables.liquidation(stress))] if stress.liquidation else []
    return _block("Stress test", join([*parts, _notes("Notes on the stress test", stress.notes)]), "stress")


def _notes(title: str, texts: Sequence[str]) -> Markup:
    told = tables.noted(texts)
    if not told:
        return Markup()
    return tag("section", join([tag("h4", title), tag("ul", join(tag("li", n) for n in told), "notes")]), "block")


def _titled(one: Listing) -> Markup:
    return join([tag("h4", one.title), one.html()])


def _block(title: str, content: Markup, key: str) -> Markup:
    return tag("section", join([tag("h3", title), content]), "block part", id=key)


def _with(chart: Chart, cells: dict[str, Cells], drawings: Drawings) -> Markup:
    """Add a chart with columns of its own."""
    drawings["columns"][chart.id] = cells
    return _drawn(chart, drawings, chart.id)


def _drawn(chart: Chart, drawings: Drawings, columns: str) -> Markup:
    drawings["charts"].append(chart.document(columns))
    return chart.html()
