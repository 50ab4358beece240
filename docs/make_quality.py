"""Remake docs/data_quality.md from the folder of real market data: same data, same bytes.

python docs/make_quality.py --data DIR
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from docs.reference_set import Series, clean, dirty, factors  # noqa: E402

from forecastle.nouns import Candles, Finding  # noqa: E402
from forecastle.quality import (  # noqa: E402
    flags,
    inspect_actions,
    inspect_candles,
    inspect_times,
    report_of_rows,
    sift,
)

Cells = tuple[object, ...]
PAGE = ROOT / "docs" / "data_quality.md"
END_OF_SET = datetime(2025, 3, 1, tzinfo=UTC)
CHOSEN_UNTIL = 2022
FAR, AGREE = np.log(4.0), np.log(1.1)

DEFECTS = {
    "AAPL_1h_mixed_offsets.csv": ("two UTC offsets in one column, a bar out of order that overlaps",
                                  ("mixed_offsets", "overlap", "unsorted")),
    "SHIB-USD.csv": ("zero closes, empty open/high/low, absent days", ("not_a_number", "non_positive", "gap")),
    "UNI1-USD.csv": ("the symbol stopped in October 2022", ("ended",)),
    "4063-T-1d-bad-stock-split.csv": ("split not adjusted for", ("split", "wrong_split")),
    "DEX-AX-1d-bad-stock-split.csv": ("split not adjusted for", ("wrong_split",)),
    "AET-L-1d-100x-error.csv": ("prices in the wrong unit, 100x", ("wrong_unit",)),
    "ASAI-L-1h-bad-unit.csv": ("prices in the wrong unit, 100x", ("wrong_unit",)),
    "8TRA-DE-1d-missing-div-adjust.csv": ("a dividend not adjusted for", ("missing_dividend",)),
    "ABDP-L-1d-bad-div.csv": ("dividends in the wrong unit, 100x", ("wrong_dividend",)),
    "JENYX-1d-cg-double-count.csv": ("capital gains counted twice in the dividend", ("doubled_dividend",)),
    "KAP-IL-1d-bad-div.csv": ("a dividend told twice", ("doubled_dividend",)),
    "SCR-TO-1d-bad-div.csv": ("dividends in the wrong unit and on the wrong day", ("wrong_dividend",)),
    "bno.zip": ("two companies under one ticker", ("two_companies",)),
    "eem.zip": ("two companies under one ticker", ("two_companies",)),
    "fb.zip": ("two companies under one ticker", ("two_companies",)),
    "uso.zip": ("two companies under one ticker", ("two_companies",)),
    "wm.zip": ("two companies under one ticker", ("two_companies",)),
    "qqq.zip": ("2004-12 to 2011-03 absent: the ticker changed, not the fund", ("gap",)),
}  # fmt: skip
"""What is known to be wrong with a file, and the kinds of findings that have to say so."""


@dataclass(frozen=True)
class Looked:
    """One series with all that was found about it."""

    series: Series
    raw: tuple[Finding, ...]
    candles: Candles
    flagged: pl.DataFrame

    @classmethod
    def at(cls, series: Series) -> Looked:
        """Look at a series."""
        what, frame = series.instrument, sift(series.rows).rows
        candles = Candles(what, series.timeframe, series.group, frame, series.adjusted, series.prices)
        raw = report_of_rows(what, series.timeframe, series.group, series.rows).findings
        return cls(series, raw, candles, flags(candles))

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """Return the findings about the rows, the candles, the times as written, and the dividends and splits."""
        stored = inspect_candles(self.candles, END_OF_SET, self.flagged).findings
        told = {f.kind for f in self.raw}
        events = inspect_actions(self.series.actions) if self.series.actions is not None else ()
        return (*self.raw, *(f for f in stored if f.kind not in told), *inspect_times(self.series.texts), *events)

    @property
    def kinds(self) -> dict[str, int]:
        """Return how often each kind occurs."""
        return {f.kind: f.count for f in self.findings}

    @property
    def odd(self) -> pl.DataFrame:
        """Return the bars whose prices were pointed out: idle bars are facts and no opinion."""
        return self.flagged.filter(pl.col("kind") != "stale")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table."""
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    return "\n".join([*lines, *(f"| {' | '.join(str(cell) for cell in row)} |" for row in rows)])


def told(kinds: dict[str, int]) -> str:
    """Return counts by kind."""
    return ", ".join(f"{kind} {count:,}" for kind, count in kinds.items()) or "-"


def known_dirty(data: Path) -> list[tuple[str, str, str, str]]:
    """Return (file, known defect, found as, whether its repaired twin is free of it) of every known defect."""
    rows = []
    for name, (defect, kinds) in DEFECTS.items():
        (path,) = (data / "known_dirty").rglob(name)
        found = Looked.at(dirty(path)).kinds
        missed = [kind for kind in kinds if kind not in found]
        seen = told({kind: found[kind] for kind in kinds if kind in found})
        twin = path.with_name(f"{path.stem}-fixed.csv")
        rows.append((name, defect, f"{seen}{f' (NOT {missed})' if missed else ''}", _twin(twin, kinds)))
    return rows


def _twin(twin: Path, kinds: Sequence[str]) -> str:
    if not twin.exists():
        return "-"
    still = [kind for kind in kinds if kind in Looked.at(dirty(twin)).kinds]
    return f"no: {', '.join(still)}" if still else "yes"


def confirmed(looked: Looked, data: Path) -> list[str]:
    """Return of each bar pointed out why it is right to, from something the detectors do not look at; empty if nothing.

    ``factor file``: the vendor's list has that split. ``far off``: a price of the bar is four times away from the
    closes of both neighbours, which agree within a tenth.
    """
    file = data / looked.series.group / "factor_files" / f"{looked.series.name.removesuffix('.zip')}.csv"
    days = [day for day, _ in factors(file)] if file.exists() else []
    frame = looked.candles.frame.with_row_index("row")
    reasons = []
    for moment, kind in looked.odd.select("open_time", "kind").iter_rows():
        day = np.datetime64(moment.date())
        listed = any(np.timedelta64(0, "D") < day - split <= np.timedelta64(5, "D") for split in days)
        row = frame.filter(pl.col("open_time") == moment)["row"][0]
        reasons.append("factor file" if kind == "split" and listed else "far off" if _far_off(frame, row) else "")
    return reasons


def _far_off(frame: pl.DataFrame, row: int) -> bool:
    if row in (0, frame.height - 1):
        return False
    before, after = float(np.log(frame["close"][row - 1])), float(np.log(frame["open"][row + 1]))
    prices = np.log([frame[c][row] for c in ("open", "high", "low", "close")])
    return bool(abs(before - after) < AGREE and np.abs(prices - before).max() > FAR)


def splits_known(looked: Looked, data: Path) -> Iterator[tuple[str, str, str]]:
    """Yield (day before, ratio, whether found) of the splits of a factor file inside the series."""
    for folder in (data / looked.series.group, data / "known_dirty" / "lean_reused_tickers"):
        file = folder / "factor_files" / f"{looked.series.name.removesuffix('.zip')}.csv"
        if not file.exists():
            continue
        for day, ratio in factors(file):
            inside = looked.candles.times("open_time")[0] <= day < looked.candles.times("open_time")[-1]
            if inside and abs(np.log(ratio)) > np.log(1.05):
                near = looked.odd.filter(pl.col("kind").is_in(["split", "redenomination"]))["open_time"].dt.date()
                found = any(timedelta(0) < d - day.item() <= timedelta(days=5) for d in near)
                yield str(day), f"{ratio:.4g}", "yes" if found else "no"


def groups(looked: Sequence[Looked], data: Path) -> tuple[list[Cells], list[Cells]]:
    """Return the rows of the table by folder, and of the table of every bar pointed out."""
    by_group: list[Cells] = []
    bars: list[Cells] = []
    for group in dict.fromkeys(one.series.group for one in looked):
        members = [one for one in looked if one.series.group == group]
        years = sum(one.candles.frame["open_time"].dt.year().n_unique() for one in members)
        right, false, late, worst = 0, 0, 0, Counter[tuple[str, int]]()
        for one in members:
            for row, why in zip(one.odd.iter_rows(named=True), confirmed(one, data), strict=True):
                year = row["open_time"].year
                right, false, late = right + bool(why), false + (not why), late + (not why and year > CHOSEN_UNTIL)
                worst[one.series.name, year] += not why
                when = f"{row['open_time']:%Y-%m-%d %H:%M}"
                bars.append((group, one.series.name, when, row["kind"], row["detail"], why or "-"))
        most = max(worst.values(), default=0)
        by_group.append((group, len(members), years, right, false, late, most))
    return by_group, bars


def page(data: Path) -> str:
    """Return the whole document."""
    looked = [Looked.at(series) for series in clean(data)]
    by_group, bars = groups(looked, data)
    reused = [Looked.at(dirty(p)) for p in sorted((data / "known_dirty/lean_reused_tickers").glob("*.zip"))]
    splits = [(one.series.name, *split) for one in (*looked, *reused) for split in splits_known(one, data)]
    found = sum(row[-1] == "yes" for row in splits)
    rows = [
        (one.series.group, one.series.name, one.series.instrument, one.series.timeframe, f"{one.series.rows.height:,}",
         told(one.kinds))
        for one in looked
    ]  # fmt: skip
    years, false = (sum(int(str(row[column])) for row in by_group) for column in (2, 4))
    columns = ("folder", "series", "symbol-years", "confirmed flags", "false flags", "of them after 2022",
               "most in one symbol-year")  # fmt: skip
    return TEXT.format(
        chosen=CHOSEN_UNTIL, years=f"{years:,}", count=false, found=found, known=len(splits),
        dirty=table(("file", "known defect", "found as", "twin is free of it"), known_dirty(data)),
        false=table(columns, by_group),
        bars=table(("folder", "series", "bar opens (UTC)", "kind", "seen", "confirmed by"), bars),
        splits=table(("series", "last day before", "ratio", "found"), splits),
        rows=table(("folder", "file", "instrument", "timeframe", "rows", "findings"), rows),
    )  # fmt: skip


TEXT = """# Data quality of the reference set

Made by `make quality DATA=...` (`docs/make_quality.py`); the readers are those of `docs/reference_set.py`, the
detectors those of `forecastle.quality`. Invalid rows (a rule of candles broken, a time with two values, an overlap) go
into quarantine with the reason; suspicious bars are pointed out; nothing is changed in silence.

Where bars overlap the later one goes into quarantine: what was known first stands, whatever is appended after it. Rows
of one time with different values all go: nobody knows which is right. Exact repeats are kept once.

The thresholds were set on years to the end of {chosen}. Later years are counted apart; they are no blind test, because
the whole set was in view when the detectors were designed. What is ordinary at a bar is known before it; only whether a
price comes back is asked of the bar after, and a ticker with two companies of the 20 bars after the hole.

## Known dirty

Each file with a known defect, and whether its repaired twin, where the set has one, is free of that finding. Two files
of headlines are not candles.

{dirty}

## False flags

{count} false flags in {years} symbol-years. A flag is a bar pointed out as jump, split, wrong_unit, redenomination or
two_companies. It is confirmed by something the detectors do not look at: the vendor's list of splits, or a price four
times away from both neighbours, which agree within a tenth. Everything else counts as false here, also where it is
likely right (an open at twice the price, the flash low of LINK on 2020-03-12). Holes, idle bars and bars off the
calendar are facts and stand in the last table.

{false}

Every bar pointed out:

{bars}

## Splits of raw prices

The factor files of LEAN know when a share was split; its raw prices are not adjusted. {found} of {known} are found.

{splits}

## Reference set

Findings about the rows as read and about the bars that remain. `ended`: no bar for more than a week and ten bars of the
calendar before the end of the set, 2025-03-01.

{rows}
"""


def main() -> None:
    """Write the document."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="the folder of market data")
    PAGE.write_text(page(parser.parse_args().data), encoding="utf-8")
    print(f"wrote {PAGE.relative_to(ROOT)}")  # noqa: T201


if __name__ == "__main__":
    main()
