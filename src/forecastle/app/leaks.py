"""Proof against look-ahead of all that computes: features, transformers, resampling and filling."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import polars as pl

from forecastle.app._feature_inputs import inputs_of
from forecastle.audit import Subject, audit
from forecastle.features import (
    STEPS,
    Chain,
    CorrelationThreshold,
    Fill,
    ForwardFill,
    Impute,
    MutualInformation,
    NumberTarget,
    Standardise,
    Unfitted,
    Winsorise,
    catalogue,
    compute,
    resample,
    walk,
)
from forecastle.nouns import Candles, History, Instrument, LeakReport, Observations
from forecastle.ports import Progress, silent
from forecastle.requests import FeaturesRequest, LeaksRequest
from forecastle.sessions import Timeframe
from forecastle.sources.simulated import Simulated
from forecastle.workspace import Workspace

ROUNDING = 1e-9
"""What a transformer may differ by: a fit sums in another order where rows are cut off."""
FITTED_ON = ("rsi_14", "percent_b_20_2", "realized_volatility_20", "sma_distance_50")
BURN_IN, REFIT = 150, 225
LONGER: dict[str, Timeframe] = {
    "1m": "5m", "5m": "1h", "15m": "1h", "30m": "1h", "1h": "1d", "4h": "1d", "1d": "1w", "1w": "1mo",
}  # fmt: skip
_MADE = ("ETH-USDT", "BTC-USDT")
_HOLES = (100, 101, 200)
_METRICS = (
    "market_cap", "transfer_value", "mvrv", "active_addresses", "hash_rate", "exchange_inflow", "exchange_outflow",
)  # fmt: skip


def check_leaks(workspace: Workspace, request: LeaksRequest, progress: Progress = silent) -> list[LeakReport]:
    """Return the audit of each series, of a made-up one that has everything where none is named.

    Every feature of the catalogue has to be the same to the bit; every transformer, walked forward, within 1e-9.
    Raises as reading the lake does.
    """
    if not request.instruments:
        return [_audited(made_up(request.bars), request, progress)]
    return [_audited(_stored(workspace, request, one), request, progress) for one in request.instruments]


def _audited(history: History, request: LeaksRequest, progress: Progress) -> LeakReport:
    return audit(subjects_for(history.candles.timeframe), history, request.cuts, request.seed, progress)


def subjects_for(timeframe: Timeframe) -> list[Subject]:
    """Return all that computes rows of a history; a new feature or step is among them by itself."""
    subjects = [
        Subject("features", lambda history: compute(history).frame),
        Subject("transformers", _transformed, ROUNDING),
        Subject("selection", _selected, ROUNDING),
        Subject("forward_fill", _filled),
    ]
    if timeframe in LONGER:
        subjects.append(Subject("resample", lambda history: _resampled(history, LONGER[timeframe])))
    return subjects


def _stored(workspace: Workspace, request: LeaksRequest, instrument: Instrument) -> History:
    """Return the last bars of a series and what its features look at beside them."""
    wanted = FeaturesRequest(instrument=instrument, timeframe=request.timeframe, source=request.source)
    history = inputs_of(workspace, wanted, catalogue())
    candles = history.candles.last(request.bars)
    begin = candles.start - timedelta(days=200)
    return History(
        candles, None, tuple(o.part(o.frame.filter(pl.col("about") >= begin)) for o in history.observations),
        tuple(History(peer.candles.between(start=begin)) for peer in history.peers),
    )  # fmt: skip


def made_up(bars: int) -> History:
    """Return a simulated coin with holes, its benchmark, and observations of which some are revised ten days later."""
    eth, btc = (Simulated().fetch(Instrument.parse(name), "1d", None, None).last(bars) for name in _MADE)
    holed = replace(eth, frame=eth.frame.filter(~pl.int_range(pl.len()).is_in(list(_HOLES))))
    wanted = [(Instrument.parse("ETH-USD"), name) for name in _METRICS]
    wanted += [
        (Instrument.parse(who), name)
        for who, name in (("BTC-USD", "fear_greed"), ("ETH-USDT-PERP", "funding_rate"), ("VIX.INDEX", "close"))
    ]
    observed = [_observed(eth, who, name, seed) for seed, (who, name) in enumerate(wanted)]
    return History(holed, None, tuple(observed), (History(btc),))


def _observed(candles: Candles, instrument: Instrument, name: str, seed: int) -> Observations:
    draw = np.random.default_rng(seed)
    about = candles.times("open_time")
    value = 100.0 * np.exp(np.cumsum(draw.normal(0.0, 0.02, about.size)))
    known, again = about + np.timedelta64(2, "D"), np.arange(20, about.size - 12, 60)
    frame = pl.DataFrame(
        {
            "about": np.concatenate([about, about[again]]),
            "known_at": np.concatenate([known, known[again] + np.timedelta64(10, "D")]),
            "value": np.concatenate([value, 1.05 * value[again]]),
        }
    )
    utc = [pl.col(c).dt.replace_time_zone("UTC") for c in ("about", "known_at")]
    return Observations(instrument, name, "units", candles.source, frame.with_columns(utc).sort("about", "known_at"))


# --- subjects


def _transformed(history: History) -> pl.DataFrame:
    """Return some features after each step, walked forward: refitted now and then on all rows before."""
    frame = compute(history.candles, FITTED_ON)
    steps: list[Unfitted] = [ForwardFill(3) if kind is ForwardFill else kind() for kind in STEPS.values()]
    chains: list[Unfitted] = [Impute("mean", indicator=True), Chain((Winsorise(), Impute(), Standardise()))]
    rows = frame.frame.select("known_at").slice(BURN_IN)
    for number, step in enumerate([*steps, *chains]):
        walked = walk(step, frame, BURN_IN, REFIT).frame.drop("known_at")
        rows = rows.hstack(walked.rename({name: f"{number} {step.name} {name}" for name in walked.columns}))
    return rows


def _selected(history: History) -> pl.DataFrame:
    """Return which columns are kept, walked forward: a selection sees the rows before, and returns known by then."""
    frame = compute(history.candles, FITTED_ON)
    columns = {name: np.full(len(frame), np.nan) for name in frame.columns}
    close = np.log(history.candles.frame["close"].to_numpy())
    for first in range(2 * BURN_IN, len(frame), 2 * REFIT):
        train = frame.rows(0, first - 1)  # the last row's next return is known with row `first` only
        target = NumberTarget(np.diff(close)[: first - 1])
        apart = CorrelationThreshold(0.7).fit(train, target).columns
        telling = MutualInformation(keep=3).fit(train, target).columns
        for name in columns:
            columns[name][first : first + 2 * REFIT] = float(name in apart) + 2.0 * float(name in telling)
    return frame.frame.select("known_at").with_columns(**{n: pl.Series(v) for n, v in columns.items()})


def _resampled(history: History, timeframe: Timeframe) -> pl.DataFrame:
    bars = resample(history.candles, timeframe).frame
    return bars.select(pl.col("close_time").alias("known_at"), "open", "high", "low", "close", "volume")


def _filled(history: History) -> pl.DataFrame:
    """Return features of filled candles at the real bars: that a bar is missing is told by the next one."""
    filled = compute(history.candles, ["ema_20", "rsi_14", "obv", "sma_50"], steps=[Fill(3)])
    return filled.frame.join(history.candles.frame.select(known_at="close_time"), on="known_at", how="semi")
