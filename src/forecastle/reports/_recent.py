"""The last bars one by one, beside the Basel zone."""

from __future__ import annotations

from forecastle.nouns import RiskBacktest, VolatilityReport
from forecastle.reports._html import Column, Markup, Row, bars, join, moment, table, tag
from forecastle.reports._words import basel, many
from forecastle.units import percent

STRIP_BARS = 30


def recent(report: VolatilityReport, risk: RiskBacktest) -> Markup:
    """Return the last 30 bars, a cell each, beside the Basel zone."""
    frame = risk.path.frame.tail(STRIP_BARS)
    breached = risk.path.breach[-STRIP_BARS:]
    rows = [
        (moment(t), percent(r), percent(v), bool(b))
        for t, r, v, b in zip(frame["target_time"], frame["outcome"], frame["var"], breached, strict=True)
    ]
    word = bars(report.candles.timeframe, len(rows))
    found = many(sum(row[3] for row in rows), "breach")
    title = tag("h3", f"The last {len(rows)} {word}: {found} of VaR")
    cells = tag("ol", join(_cell(*row) for row in rows), "strip")
    ends = tag("p", join([tag("span", rows[0][0]), tag("span", rows[-1][0])]), "ends")
    left = tag("div", join([title, cells, ends, _as_table(rows)]))
    return tag("div", join([left, _zone(risk)]), "recent")


def _cell(time: str, outcome: str, var: str, breached: bool) -> Markup:
    word = "breach" if breached else "no breach"
    said = f"{time}: {word}, return {outcome}, VaR {var}"
    sign = tag("span", "✕" if breached else "·", aria_hidden="true")
    kind = "breach" if breached else ""
    return tag("li", join([sign, tag("span", said, "unseen")]), kind, title=said)


def _as_table(rows: list[tuple[str, str, str, bool]]) -> Markup:
    columns = [
        Column("Bar closed at"),
        Column("Return"),
        Column("VaR"),
        Column("Breach", numeric=False),
    ]
    listed = [Row([t, r, v, "breach" if b else "no"]) for t, r, v, b in rows]
    shown = table("The last bars, one by one", columns, listed)
    return tag("details", join([tag("summary", "The same as a table"), shown]))


def _zone(risk: RiskBacktest) -> Markup:
    """Return the Basel zone: three named lamps of which one is lit."""
    light = risk.traffic_light
    lamps = (
        tag("li", name, f"lamp {name}{' lit' if name == light.zone else ''}") for name in ("green", "yellow", "red")
    )
    seen = f"{many(light.breaches, 'breach')} in {many(light.observations, 'bar')}"
    count = tag("strong", f"{light.zone.capitalize()}: {seen}")
    words = (
        f" at VaR {level_of(light.level)}. With a correct VaR so many or fewer come with "
        f"probability {percent(light.cumulative_probability, 1)}."
    )
    title, explained = tag("h3", f"{basel(light)}: {light.zone}"), tag("p", join([count, words]))
    return tag("div", join([title, tag("ul", join(lamps), "lamps"), explained]), "zone")


def level_of(level: float) -> str:
    """Write a level such as ``1 %`` or ``2.5 %``."""
    return f"{100 * level:g} %"
