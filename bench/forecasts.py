"""How good the forecasts are: QLIKE one day ahead as a ratio to GARCH(1,1)-t, over the folder of real market data.

python -m bench.forecasts --data DIR [--boost]

Coins: the target is the realised variance of the hourly returns of a UTC day. Stocks and indices: daily candles only,
the target is the squared return. Every model forecasts each day from what was known before it, refitted every day
(trees: every 120); the first forecast comes after 365 returns. GARCH(1,1)-t is our kernel refitted every day, on the
last 1,000 returns (all, where there are fewer), and beside it on the last 365. A ratio is of mean losses over the same
days; then comes the mean over the instruments. Settings were chosen on the years to 2021.
"""

from __future__ import annotations

import argparse
import gzip
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from docs.reference_set import clean, read_clean  # noqa: E402

from forecastle.errors import ForecastRefused  # noqa: E402
from forecastle.models._path import RollsByPath  # noqa: E402
from forecastle.models.combination import BoostedCombination, Combination, QlikeCombination  # noqa: E402
from forecastle.models.ewma import Ewma  # noqa: E402
from forecastle.models.garch import GarchModel  # noqa: E402
from forecastle.models.har import Har, LogHar  # noqa: E402
from forecastle.models.naive import RandomWalk  # noqa: E402
from forecastle.models.pooled import PooledHar  # noqa: E402
from forecastle.models.ranges import GarmanKlass, Parkinson, RogersSatchell, YangZhang  # noqa: E402
from forecastle.models.realized import measures_of  # noqa: E402
from forecastle.models.rolling_garch import rolling_garch  # noqa: E402
from forecastle.nouns import Candles, History, Instrument, Observations  # noqa: E402
from forecastle.nouns.candles import SCHEMA  # noqa: E402
from forecastle.ports import Model, Plan  # noqa: E402
from forecastle.quality import sift  # noqa: E402
from forecastle.scoring.forecast import qlike_losses  # noqa: E402
from forecastle.sessions import calendar  # noqa: E402

FloatArray = npt.NDArray[np.float64]
Paths = dict[str, FloatArray]

BURN_IN, LONGEST = 365, 1000
SPLIT = np.datetime64("2022-01-01")
COINS = ("ADA", "BNB", "BTC", "DOGE", "ETH", "LTC", "SOL", "XRP")
HOURLY = ("binance_2017_2022", "binance_2021_2025", "binance_2024a", "binance_2024b")
DAILY = ("index/1d/ibkr", "stocks/1d/ibkr")
LEAST_HOURS = 20
HOLE = np.timedelta64(14, "D")
LEVELS = np.array([0.01])
GARCH = "GARCH(1,1)-t, 1,000"
OF_RETURNS: tuple[Model, ...] = (
    RandomWalk(), Ewma(), GarchModel(dist="normal"), GarchModel(o=1), GarchModel(vol="egarch", o=1, dist="skewt"),
)  # fmt: skip
OF_HISTORY: tuple[RollsByPath, ...] = (
    Parkinson(), GarmanKlass(), RogersSatchell(), YangZhang(), Har(), LogHar(), PooledHar(), Combination(),
    QlikeCombination(),
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Market:
    """One instrument: what is known of it, and what its returns are scored against, shape (n,)."""

    name: str
    history: History
    target: FloatArray


def coins(data: Path) -> list[Market]:
    """Return the coins with hours, each with the others as peers; days with fewer than 20 hours are left out."""
    alone = {name: _coin(data, name) for name in COINS}
    markets = []
    for name, history in alone.items():
        with_peers = replace(history, peers=tuple(h for other, h in alone.items() if other != name))
        rows = np.searchsorted(history.candles.times("close_time"), history.returns.target_time)
        markets.append(Market(name, with_peers, measures_of(history).variance[rows]))
    return markets


def _coin(data: Path, name: str) -> History:
    parts = [
        sift(read_clean(data, f"crypto/1h/{folder}", path.name).rows).rows
        for folder in HOURLY
        for path in sorted((data / f"crypto/1h/{folder}").glob(f"{name}_USDT*"))
    ]
    frame = pl.concat(parts).unique("open_time", keep="first").sort("open_time").select(list(SCHEMA))
    instrument = Instrument.parse(f"{name}-USDT")
    hours = Candles(instrument, "1h", "binance", frame, "none")
    return History(Candles(instrument, "1d", "binance", _days(frame), "none"), hours)


def _days(hours: pl.DataFrame) -> pl.DataFrame:
    """Return the UTC days with 20 hours or more."""
    days = hours.group_by(pl.col("open_time").dt.truncate("1d").alias("day")).agg(
        pl.len().alias("hours"), pl.col("open").first(), pl.col("high").max(), pl.col("low").min(),
        pl.col("close").last(), pl.col("volume").sum(),
    )  # fmt: skip
    days = days.filter(pl.col("hours") >= LEAST_HOURS).sort("day")
    return days.with_columns(open_time="day", close_time=pl.col("day") + pl.duration(days=1)).select(list(SCHEMA))


def stocks(data: Path) -> list[Market]:
    """Return stocks and indices with the VIX, each with up to 12 others of its kind and calendar as peers."""
    vix = _vix(data)
    alone = [
        History(Candles(s.instrument, "1d", s.group, sift(s.rows).rows, s.adjusted, s.prices), None, (vix,))
        for s in clean(data)
        if s.group in DAILY
    ]
    markets = []
    for history in alone:
        own = history.candles.instrument
        peers = [h for h in alone if h is not history and _same_kind(h.candles.instrument, own)][:12]
        markets.append(Market(own.id, replace(history, peers=tuple(peers)), history.returns.values**2))
    return markets


def _same_kind(a: Instrument, b: Instrument) -> bool:
    return (a.kind, a.calendar) == (b.kind, b.calendar)


def _vix(data: Path) -> Observations:
    """Return the closes of the VIX, each known when it is struck: a quarter of an hour after the session."""
    old = pl.read_csv(gzip.decompress((data / "index/1d/yahoo_1999_2018/vix.csv.gz").read_bytes()), infer_schema=False)
    new = pl.read_csv(data / "macro/vix_close.csv", infer_schema=False)
    parts = [
        old.select(
            day=pl.col(old.columns[0]).str.to_date("%m/%d/%Y"), value=pl.col("vix").cast(pl.Float64, strict=False)
        ),
        new.select(day=pl.col("date").str.to_date(), value=pl.col("vix_close").cast(pl.Float64, strict=False)),
    ]
    days = pl.concat(parts).drop_nulls().unique("day", keep="last")
    opens, closes = calendar("XNYS").bars(np.datetime64("2010-01-01", "us"), np.datetime64("2025-03-05", "us"), "1d")
    struck = closes + np.timedelta64(15, "m")
    sessions = pl.DataFrame({"about": opens, "known_at": struck}).with_columns(pl.all().dt.replace_time_zone("UTC"))
    frame = sessions.with_columns(day=pl.col("known_at").dt.date()).join(days, on="day").sort("about")
    return Observations(Instrument.parse("VIX.INDEX"), "close", "index points", "cboe", frame.drop("day"))


def paths_of(market: Market, models: Sequence[RollsByPath]) -> Paths:
    """Return the variance that each model forecasts of each return, shape (n,), NaN before the burn-in is over."""
    returns = market.history.returns.values
    made = {GARCH: _garch(returns), "GARCH(1,1)-t, 365": _after(rolling_garch(returns, BURN_IN).sigma)}
    for model in OF_RETURNS:
        try:
            made[model.label] = _after(model.roll(market.history, Plan(BURN_IN, 1, LEVELS)).step.sigma)
        except ForecastRefused as refused:  # no first fit: the mean is over the other instruments
            print(f"{market.name}: {refused.what}", file=sys.stderr, flush=True)
    for path_model in models:
        made[path_model.label] = path_model.path(market.history, BURN_IN, 1).variance[:-1]
    return made


def realised_paths_of(market: Market, models: Sequence[RollsByPath]) -> Paths:
    """Return the forecasts of the realised variance itself, of the models that tell it apart."""
    return {
        f"{m.label}, forecast of RV": m.path(market.history, BURN_IN, 1).realised[:-1]
        for m in models
        if isinstance(m, (LogHar, PooledHar, Combination))
    }


def _after(sigma: FloatArray) -> FloatArray:
    return np.asarray(np.r_[np.full(BURN_IN, np.nan), sigma[:-1] ** 2])


def _garch(returns: FloatArray) -> FloatArray:
    """Return the benchmark: refitted every day to the last 1,000 returns; until there are so many, to all, every 5."""
    variance = np.full(returns.size, np.nan)
    for start in range(BURN_IN, min(LONGEST, returns.size), 5):
        stop = min(start + 5, LONGEST, returns.size)
        fitted = GarchModel().fit(returns[:start])
        variance[start:stop] = fitted.one_step(returns[: stop - 1], start, LEVELS).sigma ** 2
    if returns.size > LONGEST:
        variance[LONGEST:] = rolling_garch(returns, LONGEST).sigma[:-1] ** 2
    return variance


def losses_of(market: Market, paths: Paths) -> Mapping[str, FloatArray]:
    """Return the QLIKE losses of every model over the days that all of them forecast."""
    shared = np.isfinite(market.target) & np.all([np.isfinite(p) for p in paths.values()], axis=0)
    loss = {name: np.full(shared.size, np.nan) for name in paths}
    for name, path in paths.items():
        loss[name][shared] = qlike_losses(market.target[shared], np.sqrt(path[shared]))
    return loss


def tables(title: str, markets: Sequence[Market], models: Sequence[RollsByPath], realised: bool) -> Iterator[str]:
    """Yield the Markdown of one kind of market."""
    every: dict[str, Mapping[str, FloatArray]] = {}
    spans: dict[str, str] = {}
    for market in markets:
        print(f"{title}: {market.name}", file=sys.stderr, flush=True)
        paths = paths_of(market, models) | (realised_paths_of(market, models) if realised else {})
        every[market.name] = losses_of(market, paths)
        closes = market.history.returns.target_time[np.isfinite(every[market.name][GARCH])]
        days = (closes - np.timedelta64(1, "us")).astype("datetime64[D]")  # a UTC day closes at the midnight after it
        spans[market.name] = f"{days.size:,} days, {_periods(days)}"
    names = list(dict.fromkeys(name for loss in every.values() for name in loss))
    when = {m.name: m.history.returns.target_time for m in markets}
    yield f"### {title}\n"
    yield _table(("model", "to 2021", "from 2022", "all days", f"all, to {names[1]}"), [
        (name, *(f"{_mean_ratio(every, name, GARCH, when, part):.3f}" for part in ("before", "after", "all")),
         f"{_mean_ratio(every, name, names[1], when, 'all'):.3f}")
        for name in names
    ])  # fmt: skip
    shown = [n for n in names if n in {"HAR", "log-HAR", "Pooled log-HAR", "Combination", "Combination with trees"}]
    yield _table(("instrument", "days", *shown), [
        (name, spans[name], *(f"{np.nanmean(loss[n]) / np.nanmean(loss[GARCH]):.3f}" for n in shown))
        for name, loss in every.items()
    ])  # fmt: skip


def _periods(days: npt.NDArray[np.datetime64]) -> str:
    """Return the first and last day of each stretch of days with no hole of more than two weeks."""
    stretches = np.split(days, np.flatnonzero(np.diff(days) > HOLE) + 1)
    return ", ".join(f"{part[0]} to {part[-1]}" for part in stretches)


def _mean_ratio(
    every: Mapping[str, Mapping[str, FloatArray]], name: str, to: str, when: Mapping[str, npt.NDArray[np.datetime64]],
    part: str,
) -> float:  # fmt: skip
    """Return the mean over instruments of the ratio of mean losses, over one part of the days."""
    ratios = []
    for market, loss in every.items():
        early = when[market] <= SPLIT  # a bar that closes at the midnight of the new year is of the old one
        days = np.isfinite(loss[to]) & {"before": early, "after": ~early, "all": early | True}[part]
        if name in loss and days.any():
            ratios.append(loss[name][days].mean() / loss[to][days].mean())
    return float(np.mean(ratios))


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join([*lines, ""])


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="the folder of market data")
    parser.add_argument("--boost", action="store_true", help="with boosted trees: minutes more, needs the extra")
    arguments = parser.parse_args()
    models = (*OF_HISTORY, BoostedCombination()) if arguments.boost else OF_HISTORY
    for line in tables("Coins, hours, target realised variance", coins(arguments.data), models, realised=True):
        print(line)
    for line in tables("Stocks and indices, daily candles, target squared return", stocks(arguments.data), OF_HISTORY,
                       realised=False):  # fmt: skip
        print(line)


if __name__ == "__main__":
    main()
