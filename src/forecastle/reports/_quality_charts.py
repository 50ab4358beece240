"""The figures of the quality page: price with what was pointed out, volume, volatility, gaps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from forecastle.nouns import Candles
from forecastle.nouns.findings import QualityDetail
from forecastle.reports._charts import Chart, Plain, Spec, axis, dots, drawing, line
from forecastle.reports._columns import Cells
from forecastle.reports._html import Markup, bars, join, span, tag
from forecastle.reports._quality_columns import MOST_MARKS, MOST_POINTS, VOLATILITY_BARS, gap_columns, series_columns


def charts(detail: QualityDetail, drawings: dict[str, Any]) -> Markup:
    """Return the figures of a series that has bars, and put their numbers into ``drawings``."""
    candles = detail.candles
    series, holes = series_columns(candles, detail.flags), gap_columns(candles)
    drawings["columns"] |= {"series": series, "holes": holes}
    about = f"of {candles.instrument} {candles.timeframe}, {span(candles)}"
    shown = [(_price(candles, series, about), "series")]
    if any(series["volume"]):
        shown.append((_volume(candles, about), "series"))
    if any(v is not None for v in series["volatility"]):
        shown.append((_volatility(candles, about), "series"))
    missing = int(candles.missing().size)
    if missing:
        shown.append((_gaps(missing, about), "holes"))
    drawings["charts"] += [chart.document(columns) for chart, columns in shown]
    whole = tag("p", "Gaps: no bar of the market's own calendar is absent.", "reading")
    return join([*(chart.html() for chart, _ in shown), Markup() if missing else whole])


def _price(candles: Candles, series: dict[str, Cells], about: str) -> Chart:
    hover = {"hovertemplate": "%{y:,.6~g}"}
    marks = dots("flag_t", "flag_price", "pointed out", "--breach", "x", 8)
    traces = [
        line("low", "low", "--band-edge", 0.5, **hover),
        line("high", "high", "--band-edge", 0.5, fill="tonexty", fillcolor="--band-wide", **hover),
        line("close", "close", "--ink", 1.3, **hover),
        {**marks, "hovertemplate": "%{y:,.6~g}"},
    ]
    layout = {"yaxis": axis("price, log scale", type="log", tickmode="array")}
    fit = {"yaxis": {"columns": ["low", "high"], "log": True}}
    key = [("line", "price", "close"), ("area", "wide", "low to high")]
    reading = [_stretches(candles)]
    if series["flag_t"]:
        key.append(("cross", "breach", "a bar pointed out"))
        many = f"the first {MOST_MARKS} are marked" if len(series["flag_t"]) == MOST_MARKS else "all are marked"
        reading.append(f"Of the bars pointed out but for idle ones {many}.")
    return _whole("price", "Price", reading, key, f"Price {about}", drawing(traces, layout, fit))


def _volume(candles: Candles, about: str) -> Chart:
    traces = [
        line("volume", "volume", "--stem", 1.0, stem=True, hoverinfo="skip"),
        line("volume", "volume", "--stem", 0.0, hovertemplate="%{y:,.4~g}"),
    ]
    layout = {"yaxis": axis("volume a bar")}
    fit = {"yaxis": {"columns": ["volume"], "zero": True}}
    words = "Mean volume a bar, in the unit of the source."
    return _whole(
        "volume", "Volume", [words], [("bar", "stem", "volume")], f"Volume {about}", drawing(traces, layout, fit)
    )


def _volatility(candles: Candles, about: str) -> Chart:
    traces = [line("volatility", "volatility", "--sigma", 1.2)]
    layout = {"yaxis": axis("volatility a bar", ticksuffix=" %")}
    fit = {"yaxis": {"columns": ["volatility"], "zero": True}}
    words = f"Root mean square of the last {VOLATILITY_BARS} log returns, in percent a {bars(candles.timeframe)}."
    key = [("line", "sigma", "volatility")]
    return _whole("volatility", "Volatility", [words], key, f"Volatility {about}", drawing(traces, layout, fit))


def _gaps(missing: int, about: str) -> Chart:
    traces = [
        line("missing", "missing", "--breach", 1.0, stem=True, hoverinfo="skip"),
        line("missing", "missing", "--breach", 0.0, hovertemplate="%{y:.1f} %"),
    ]
    layout = {"yaxis": axis("bars missing", ticksuffix=" %")}
    fit = {"yaxis": {"columns": ["missing"], "zero": True}}
    words = f"{missing:,} of the bars that the market's own calendar has are absent."
    key = [("bar", "breach", "share of the calendar's bars that is absent")]
    return _whole("gaps", "Gaps", [words], key, f"Gaps {about}", drawing(traces, layout, fit))


def _stretches(candles: Candles) -> str:
    if len(candles) <= MOST_POINTS:
        return "One point a bar."
    return (
        f"{len(candles):,} bars in at most {MOST_POINTS:,} stretches: last close, lowest low and highest high of each."
    )


def _whole(
    key: str, title: str, reading: Sequence[str], marks: Sequence[tuple[str, str, str]], label: str, spec: Spec
) -> Chart:
    return Plain(f"quality-{key}", title, reading, marks, label, spec)
