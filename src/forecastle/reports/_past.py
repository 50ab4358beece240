"""Past forecasts against what happened: fan, last bars, price, VaR and the evidence against it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from forecastle.nouns import RiskBacktest, VolatilityReport
from forecastle.reports import _charts
from forecastle.reports._columns import Columns, columns_of, coverage
from forecastle.reports._headline import why_refused
from forecastle.reports._html import Markup, bars, tag
from forecastle.reports._recent import level_of, recent
from forecastle.reports._words import MOST_EVIDENCE, many, since
from forecastle.units import percent

EVIDENCE_READ = (
    "The wealth of a bet that VaR (or ES) is too low: it starts at 1 and a right forecast lets it reach {asked:g} ever "
    "with a probability of {size:g} % at most. So it may be read every day, and one may stop when it suits."
)
_NOTHING = Markup()


@dataclass(frozen=True)
class Past:
    """The blocks about the past; where there are no past forecasts ``fan`` says so and the others are empty."""

    fan: Markup
    recent: Markup = _NOTHING
    breaches: Markup = _NOTHING
    evidence: Markup = _NOTHING
    price: Markup = _NOTHING


def past(report: VolatilityReport, key: str, drawings: dict[str, Any]) -> Past:
    """Return the blocks; adds the charts and their numbers to ``drawings``.

    ``key`` names the section, and with it the charts and the set of columns.
    """
    score = report.headline_score
    risk = score.risk if score else None
    if risk is None or not len(risk.path):
        words = f"There are no past forecasts of {report.headline} to draw.{why_refused(report, report.headline)}"
        return Past(tag("p", words, "missing"))
    forecast = report.headline_forecast
    periods = forecast.periods_per_year if forecast else None
    columns = columns_of(report.candles, risk, forecast, periods)
    charts = _Charts(report, risk, columns, key)
    drawn = [charts.fan(), charts.breaches(), charts.evidence(), charts.price(periods)]
    drawings["columns"][key] = columns.cells
    drawings["charts"] += [chart.document(key) for chart in drawn]
    fan, breaches, evidence, price = (chart.html() for chart in drawn)
    return Past(fan, recent(report, risk), breaches, evidence, price)


class _Charts:
    """The charts of one section, with the words around them."""

    def __init__(self, report: VolatilityReport, risk: RiskBacktest, columns: Columns, key: str) -> None:
        self.risk, self.columns, self.key = risk, columns, key
        self.level = level_of(risk.path.level)
        self.word = bars(report.candles.timeframe, columns.total)
        times = columns.cells["t"]
        self.absent = _absent(report, risk)
        self.about = (
            f"{report.candles.instrument} {report.candles.timeframe}, {report.headline}, {times[0]} to {times[-1]}."
        )

    def fan(self) -> _charts.Chart:
        wide, narrow = (coverage(self.risk.path, *q) for q in (("q05", "q95"), ("q25", "q75")))
        held = f"{percent(wide, 1)} and {percent(narrow, 1)} did" if wide is not None else ""
        words = (
            "Nine dots in ten should lie in the light band and half of them in the dark one; "
            f"over all {self.columns.total:,} {self.word} {held or 'none is known'}."
        )
        words += " The band ends with the bar to come." if self.columns.has_next else ""
        label = f"Fan chart of {self.columns.total:,} one-bar-ahead forecasts and their outcomes."
        return _charts.fan(
            f"{self.key}-fan",
            self.columns,
            self._reading(words, whole=True),
            f"{label} {self.about}",
        )

    def price(self, periods: float | None) -> _charts.Chart:
        words = "The close of each bar and the volatility forecast one bar before."
        label = "Closing price on a log scale and conditional volatility."
        sigma = f"volatility a year ({periods:,.6g} periods)" if periods else "volatility a bar"
        reading = self._reading(words)
        return _charts.price(f"{self.key}-price", self.columns, reading, f"{label} {self.about}", sigma)

    def breaches(self) -> _charts.Chart:
        found = many(self.risk.breaches, "return")
        words = f"{found} fell below minus VaR; {self.risk.expected:,.1f} were expected."
        label = f"Returns, minus VaR {self.level}, minus ES {self.level} and breaches: {words}"
        reading = self._reading(words)
        return _charts.breaches(f"{self.key}-var", self.columns, reading, f"{label} {self.about}", self.level)

    def evidence(self) -> _charts.Chart:
        of_var, of_es = self.risk.e_process, self.risk.es_e_process
        told = f"Against VaR: {since(self.risk.path, of_var)}."
        told += f" Against ES: {since(self.risk.path, of_es)}." if of_es else ""
        words = f"{EVIDENCE_READ.format(asked=1.0 / of_var.size, size=100.0 * of_var.size)} {told}"
        capped = max(p.maximum for p in (of_var, of_es) if p is not None) > MOST_EVIDENCE
        words += f" Drawn up to {MOST_EVIDENCE:,.0f}." if capped else ""
        label = f"Evidence against VaR and ES over time. {told}"
        reading = self._reading(words)
        key = f"{self.key}-evidence"
        return _charts.evidence(key, self.columns, reading, f"{label} {self.about}", 1.0 / of_var.size)

    def _reading(self, words: str, *, whole: bool = False) -> list[str]:
        drawn, total = self.columns.drawn, self.columns.total
        if self.absent:
            words += f" {many(self.absent, 'bar')} are missing in between: lines run straight across the holes."
        if drawn == total:
            return [words]
        thinned = (
            f"Drawn are {drawn:,} of {total:,} {self.word}: the newest whole, before that the "
            "extremes of each stretch and every breach; all figures use all of them."
        )
        return [words, thinned if whole else "Thinned like the fan."]


def _absent(report: VolatilityReport, risk: RiskBacktest) -> int:
    """Return how many bars the calendar has between the first and the last forecast, and the series has not."""
    ends = risk.path.frame["target_time"].dt.replace_time_zone(None).to_numpy()
    missing = report.candles.missing()
    return int(((missing > ends[0]) & (missing < ends[-1])).sum())
