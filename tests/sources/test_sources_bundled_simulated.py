"""Candles that need no network: real ones that ship with arch, and made-up ones with a known truth."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import arch.data
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy import stats

from forecastle.app.fetch import fetch
from forecastle.errors import DataMissing, NameUnknown, RequestInvalid
from forecastle.nouns import Candles, Instrument, is_simulated
from forecastle.requests import FetchRequest, build
from forecastle.sessions import Timeframe
from forecastle.sources.bundled import Bundled
from forecastle.sources.simulated import JUMP_CHANCE, NU, Simulated
from forecastle.workspace import Workspace
from making import utc

BTC, AAPL = Instrument.parse("BTC-USDT"), Instrument.parse("AAPL")


def _simulated(
    end: datetime | None, instrument: Instrument = BTC, timeframe: Timeframe = "1d", seed: int = 0
) -> Candles:
    return Simulated(seed).fetch(instrument, timeframe, None, end)


def _returns(candles: Candles) -> npt.NDArray[np.float64]:
    return np.asarray(np.diff(np.log(candles.frame["close"].to_numpy())))


def _ljung_box(x: npt.NDArray[np.float64], lags: int = 20) -> float:
    """Return the p-value of Ljung and Box (1978), from its definition."""
    d, n = x - x.mean(), x.size
    rho = np.array([d[k:] @ d[:-k] for k in range(1, lags + 1)]) / (d @ d)
    q = n * (n + 2) * np.sum(rho**2 / (n - np.arange(1, lags + 1)))
    return float(stats.chi2(lags).sf(q))


# Bundled ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "file"), [("SPX.INDEX", "sp500"), ("^IXIC", "nasdaq")])
def test_bundled_candles_are_the_file_of_arch_row_by_row(name: str, file: str) -> None:
    theirs = pd.read_csv(Path(arch.data.__file__).parent / file / f"{file}.csv.gz", parse_dates=["Date"])
    ours = Bundled().fetch(Instrument.parse(name), "1d", None, None)
    for column in ("Open", "High", "Low", "Close", "Volume"):
        assert ours.frame[column.lower()].to_list() == theirs[column].astype(float).to_list()
    assert [str(t)[:10] for t in ours.times("open_time")] == list(theirs["Date"].dt.strftime("%Y-%m-%d"))
    assert (ours.source, ours.adjusted, ours.simulated) == ("bundled", "none", False)


def test_bundled_candles_have_every_session_of_twenty_years(bundled_spx: Candles) -> None:
    assert bundled_spx.missing().size == 0
    assert len(bundled_spx.log_returns()) == len(bundled_spx) - 1


def test_bundled_ranges_and_refusals(bundled_spx: Candles) -> None:
    part = Bundled().fetch(bundled_spx.instrument, "1d", utc(2008), utc(2009))
    assert part.frame.equals(bundled_spx.between(utc(2008), utc(2009)).frame)
    assert len(part) == 253  # NYSE sessions of 2008
    for wrong in ((BTC, "1d"), (bundled_spx.instrument, "1h")):
        with pytest.raises(DataMissing, match="bundled data hold no"):
            Bundled().fetch(wrong[0], wrong[1], None, None)


# Simulated --------------------------------------------------------------------------------------------------------


def test_a_seed_is_a_path() -> None:
    one = _simulated(utc(2011))
    assert one.data_hash == _simulated(utc(2011)).data_hash
    others = [_simulated(utc(2011), seed=1), _simulated(utc(2011), instrument=Instrument.parse("ETH-USDT"))]
    assert one.simulated
    assert (one.source, len(one), one.adjusted) == ("simulated", 365, "none")
    for other in others:
        correlation = np.corrcoef(_returns(one), _returns(other))[0, 1]
        assert abs(correlation) < 4 / np.sqrt(364), "another seed or name is another path"


@pytest.mark.parametrize(("instrument", "timeframe", "first", "last"), [
    (BTC, "1d", utc(2011), utc(2012)), (AAPL, "1d", utc(2011, 3, 7, 12), utc(2012)),
    (BTC, "1h", utc(2018, 1, 9, 7), utc(2018, 3)), (AAPL, "5m", utc(2024, 1, 9), utc(2024, 1, 25)),
    (BTC, "1mo", utc(2012), utc(2016, 5, 9)),
])  # fmt: skip
def test_a_later_end_only_adds_rows(
    instrument: Instrument, timeframe: Timeframe, first: datetime, last: datetime
) -> None:
    short, long = (_simulated(e, instrument, timeframe) for e in (first, last))
    assert 0 < len(short) < len(long)
    assert long.frame.head(len(short)).equals(short.frame)
    assert short.end <= first


@pytest.mark.parametrize("timeframe", ["1d", "1h", "1w"])
def test_a_simulated_stock_trades_in_its_sessions(timeframe: Timeframe) -> None:
    candles = Simulated().fetch(AAPL, timeframe, None, None)
    assert candles.missing().size == 0
    hours = candles.frame.select(open=candles.frame["open_time"].dt.hour(), close=candles.frame["close_time"].dt.hour())
    assert hours["open"].min() == 13
    assert hours["close"].max() == 21


def test_a_range_before_the_path_begins_is_empty() -> None:
    for what in (BTC, AAPL):
        assert len(_simulated(utc(2005), what)) == 0
        assert len(_simulated(utc(2010, 1, 1, 3), what)) == 0
    with pytest.raises(RequestInvalid, match="is not before"):
        Simulated().fetch(BTC, "1d", utc(2012), utc(2011))


@pytest.mark.parametrize("timeframe", ["1d", "1h", "1m"])
def test_after_the_usual_end_there_is_nothing_and_no_error(timeframe: Timeframe) -> None:
    assert list(Simulated().pages(BTC, timeframe, utc(2026), None)) == []
    assert len(Simulated().fetch(BTC, timeframe, utc(2026), None)) == 0
    for end in (utc(2026), utc(2025)):
        with pytest.raises(RequestInvalid, match="is not before"):
            list(Simulated().pages(BTC, timeframe, utc(2026), end))


def test_the_known_sigmas_are_the_truth() -> None:
    """Returns over their sigmas are Student t with unit variance, but for the few bars with a jump."""
    n = 8000
    r = _returns(_simulated(utc(2032)))[:n]
    sigma = Simulated().sigmas(BTC, "1d", n + 1)[1:]
    z = r / sigma
    # a jump is four times the usual volatility and hits one bar of 250: a count of binomial size, and then out
    odd = np.abs(z) > 12
    assert odd.sum() <= n * JUMP_CHANCE + 4 * np.sqrt(n * JUMP_CHANCE)
    inner = np.clip(z, -6, 6)
    # by the law itself: E[clip(z)^2] from a large t sample; standard error of a mean of n
    truth = np.random.default_rng(1).standard_t(NU, 2_000_000) * np.sqrt((NU - 2) / NU)
    wanted = np.clip(truth, -6, 6) ** 2
    error = wanted.std() / np.sqrt(n)
    extra = JUMP_CHANCE * (36 - 1)  # at most this much comes from jumps
    assert wanted.mean() - 4 * error < np.mean(inner**2) < wanted.mean() + extra + 4 * error
    assert abs(inner.mean()) < 4 / np.sqrt(n)
    # a quarter of a Student t lies below its lower quartile
    quartile = np.quantile(truth, 0.25)
    assert abs(np.mean(z < quartile) - 0.25) < 4 * np.sqrt(0.25 * 0.75 / n) + JUMP_CHANCE


def test_volatility_comes_in_clusters_and_the_sigmas_explain_them() -> None:
    """Ljung-Box rejects for squared returns, and not for squares over the true variance."""
    n = 3000
    r = _returns(_simulated(utc(2020)))[:n]
    z = np.clip(r / Simulated().sigmas(BTC, "1d", n + 1)[1:], -4, 4)
    assert _ljung_box(r**2) < 1e-6
    assert _ljung_box(z**2) > 1e-3


# The fetch --------------------------------------------------------------------------------------------------------


def test_a_second_fetch_adds_nothing_and_open_bars_stay_out(workspace: Workspace) -> None:
    request = build(FetchRequest, instruments=("BTC-USDT", "AAPL"), sources=("simulated",), end="2027-01-01")
    first, second = fetch(workspace, request).settled(), fetch(workspace, request).settled()
    now = workspace.clock.now()
    assert all(f.end is not None and f.end <= now for f in first)
    assert first[0].end == utc(2026, 11, 20)
    sets = {info.key.instrument: info for info in workspace.lake.datasets()}
    assert [f.added for f in first] == [sets["BTC-USDT"].rows, sets["AAPL"].rows]
    assert [(f.added, f.revised) for f in second] == [(0, 0), (0, 0)]
    assert workspace.lake.verify() == []


def test_a_fetch_refuses_what_is_not_there(workspace: Workspace, home: Path) -> None:
    with pytest.raises(NameUnknown, match="no source named 'simulatd'") as refused:
        fetch(workspace, build(FetchRequest, instruments=("AAPL",), sources="simulatd"))
    assert refused.value.hint == "Did you mean 'simulated'?"
    with pytest.raises(DataMissing, match=r"no closed 1d candles of SPX\.INDEX"):
        fetch(
            workspace, build(FetchRequest, instruments=("SPX.INDEX",), sources="bundled", start="2020-01-01")
        ).settled()
    with pytest.raises(DataMissing, match="no closed 1d candles of AAPL"):
        fetch(workspace, build(FetchRequest, instruments=("AAPL",), sources=("simulated",), end="2009-01-01")).settled()
    assert not home.exists()


def test_two_seeds_never_mix_in_one_series(workspace: Workspace) -> None:
    """The seed is part of the source's name, and so of every row, of the lake's key and of the report."""
    coin = Instrument.parse("BTC-USD")
    for seed in (0, 7):
        fetch(workspace, FetchRequest(instruments=(coin,), sources=("simulated",), seed=seed, end=utc(2011)))
    found = workspace.lake.datasets()
    assert [info.key.source for info in found] == ["simulated", "simulated-7"]
    assert all(info.commits == 1 for info in found)
    assert all(is_simulated(info.key.source) for info in found)


def test_a_series_beyond_the_usual_end_is_brought_up_to_now_without_an_error(workspace: Workspace) -> None:
    for end, added in (("2020-01-01", 3652), (None, 0)):  # 2010 to 2019
        request = build(FetchRequest, instruments=("BTC-USD",), sources=("simulated",), end=end)
        assert [brought.added for brought in fetch(workspace, request).settled()] == [added]


def test_nothing_is_simulated_beyond_now(workspace: Workspace) -> None:
    coin = Instrument.parse("BTC-USD")
    done = fetch(
        workspace, FetchRequest(instruments=(coin,), sources=("simulated",), start=utc(2026, 11), end=utc(2060))
    )
    (brought,) = done.settled()
    assert brought.end is not None
    assert brought.end <= workspace.clock.now()
