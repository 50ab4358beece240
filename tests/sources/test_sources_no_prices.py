"""A file whose closes are returns, percent changes or growth factors is refused; prices, even dull ones, are not."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

from forecastle.errors import DataInvalid
from forecastle.nouns import Instrument
from forecastle.requests import ImportRequest, build
from forecastle.sources._no_prices import refuse_returns
from forecastle.sources.file import read_file

FloatArray = npt.NDArray[np.float64]

BTC = Instrument.parse("BTC-USDT")


def _returns(n: int, sigma: float = 0.02) -> FloatArray:
    draws: FloatArray = np.random.default_rng(5).standard_t(5, n) * sigma * np.sqrt(3 / 5) + 0.0005
    return draws


def _check(values: FloatArray, instrument: Instrument = BTC) -> None:
    refuse_returns("a.csv", instrument, pl.Series(values))


@pytest.mark.parametrize("n", [100, 300, 2000])
@pytest.mark.parametrize("sigma", [0.002, 0.01, 0.04])
def test_returns_are_refused_in_every_dress(n: int, sigma: float) -> None:
    r = _returns(n, sigma)
    for dressed, words in (
        (r, "negative"),
        (100 * r, "negative"),
        (1 + r, "around 1,"),
        (100 * (1 + r), "around 100,"),
        (np.exp(r), "around 1,"),
    ):
        with pytest.raises(DataInvalid, match=words) as caught:
            _check(dressed)
        assert caught.value.hint.startswith("Import the prices")


def test_prices_around_one_and_a_hundred_pass() -> None:
    """Random walks of every length and unrest that start at 1 or 100: none of 2,000 is taken for growth factors."""
    rng = np.random.default_rng(1)
    for n in (100, 250):
        for start in (1.0, 100.0):
            for walk in start * np.exp(np.cumsum(0.001 * rng.standard_normal((500, n)), axis=1)):
                _check(walk)


def test_pegged_coins_and_constants_pass() -> None:
    rng = np.random.default_rng(2)
    noise = 1 + 0.004 * rng.standard_normal(400)
    _check(noise, Instrument.parse("USDC-USDT"))
    _check(noise, Instrument.parse("WBTC-BTC"))
    _check(np.full(400, 100.0))
    _check(100 + 0.01 * rng.standard_normal(400))  # a bond near par that hardly trades
    _check(np.where(np.arange(400) == 200, -37.63, 60.0))  # oil, one day in April 2020


def test_few_closes_are_not_judged() -> None:
    _check(_returns(49))
    _check(1 + _returns(99))


@pytest.mark.parametrize("factor", [1.0, 100.0])
def test_a_file_of_percent_changes_is_refused_at_the_door(tmp_path: Path, factor: float) -> None:
    dates = pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 7, 18), eager=True)
    path = tmp_path / "changes.csv"
    pl.DataFrame({"date": dates, "close": factor * _returns(len(dates))}).write_csv(path)
    request = build(
        ImportRequest, path=path, instrument="SOL-USDT", columns="open_time=date,close=close", prices="close"
    )
    with pytest.raises(DataInvalid, match="negative"):
        read_file(request)


@pytest.mark.shared_data
def test_no_real_series_is_refused(shared_data: Path) -> None:
    """Every column of closes of the shared market data, at its real level and moved to start at 1 and at 100."""
    seen = 0
    for path in sorted(
        p for kind in ("crypto/1d", "index", "stocks", "macro") for p in (shared_data / kind).rglob("*")
    ):
        if path.suffix not in (".csv", ".gz"):
            continue
        for closes in _closes(path):
            seen += 1
            for scale in (1.0, 1.0 / closes[0], 100.0 / closes[0]):
                for part in (closes, closes[:100], closes[-250:]):
                    _check(scale * part)
    assert seen > 80


def _closes(path: Path) -> list[FloatArray]:
    raw = path.read_bytes()
    text = io.BytesIO(gzip.decompress(raw) if path.suffix == ".gz" else raw)
    frame = pl.read_csv(text, infer_schema_length=0, truncate_ragged_lines=True)
    names = [c for c in frame.columns if c.lower() in ("close", "adj close", "price")]
    columns = [frame[c].cast(pl.Float64, strict=False).drop_nulls().to_numpy() for c in names]
    return [c for c in columns if c.size >= 60 and c[0] > 0]
