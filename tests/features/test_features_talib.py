"""Indicators agree with TA-Lib, seeds included, on the real S&P 500 and on real Bitcoin."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import talib
from talib._ta_lib import MA_Type

from features.feature_series import arrays, column, real_btc
from forecastle.features import compute
from forecastle.nouns import Candles, FeatureFrame

FloatArray = npt.NDArray[np.float64]
Reference = Callable[[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray], FloatArray]


def _of_closes(function: Callable[..., FloatArray], n: int) -> Reference:
    return lambda o, h, lo, c, v: function(c, n)


SIMPLE, EXPONENTIAL = MA_Type.SMA, MA_Type.EMA
ORACLES: dict[str, Reference] = {
    **{f"sma_{n}": _of_closes(talib.SMA, n) for n in (10, 20, 50, 200)},
    **{f"ema_{n}": _of_closes(talib.EMA, n) for n in (10, 20, 50, 200)},
    **{f"rsi_{n}": _of_closes(talib.RSI, n) for n in (7, 14, 21)},
    "wma_20": lambda o, h, lo, c, v: talib.WMA(c, 20),
    "dema_20": lambda o, h, lo, c, v: talib.DEMA(c, 20),
    "tema_20": lambda o, h, lo, c, v: talib.TEMA(c, 20),
    "trix_15": lambda o, h, lo, c, v: talib.TRIX(c, 15),
    "kama_10": lambda o, h, lo, c, v: talib.KAMA(c, 10),
    "macd_12_26_9.line": lambda o, h, lo, c, v: talib.MACD(c, 12, 26, 9)[0],
    "macd_12_26_9.signal": lambda o, h, lo, c, v: talib.MACD(c, 12, 26, 9)[1],
    "macd_12_26_9.histogram": lambda o, h, lo, c, v: talib.MACD(c, 12, 26, 9)[2],
    "ppo_12_26": lambda o, h, lo, c, v: talib.PPO(c, 12, 26, matype=EXPONENTIAL),
    "adx_14": lambda o, h, lo, c, v: talib.ADX(h, lo, c, 14),
    "adx_14.plus_di": lambda o, h, lo, c, v: talib.PLUS_DI(h, lo, c, 14),
    "adx_14.minus_di": lambda o, h, lo, c, v: talib.MINUS_DI(h, lo, c, 14),
    "sar": lambda o, h, lo, c, v: talib.SAR(h, lo, 0.02, 0.2),
    "aroon_14.up": lambda o, h, lo, c, v: talib.AROON(h, lo, 14)[1],
    "aroon_14.down": lambda o, h, lo, c, v: talib.AROON(h, lo, 14)[0],
    "aroon_14.oscillator": lambda o, h, lo, c, v: talib.AROONOSC(h, lo, 14),
    "cmo_14": lambda o, h, lo, c, v: talib.CMO(c, 14),
    "stochrsi_14_14_3.k": lambda o, h, lo, c, v: talib.STOCHRSI(c, 14, 14, 3, SIMPLE)[0],
    "stochrsi_14_14_3.d": lambda o, h, lo, c, v: talib.STOCHRSI(c, 14, 14, 3, SIMPLE)[1],
    "stoch_14_3_3.k": lambda o, h, lo, c, v: talib.STOCH(h, lo, c, 14, 3, SIMPLE, 3, SIMPLE)[0],
    "stoch_14_3_3.d": lambda o, h, lo, c, v: talib.STOCH(h, lo, c, 14, 3, SIMPLE, 3, SIMPLE)[1],
    "williams_r_14": lambda o, h, lo, c, v: talib.WILLR(h, lo, c, 14),
    "cci_20": lambda o, h, lo, c, v: talib.CCI(h, lo, c, 20),
    "roc_10": lambda o, h, lo, c, v: talib.ROC(c, 10),
    "roc_20": lambda o, h, lo, c, v: talib.ROC(c, 20),
    "mfi_14": lambda o, h, lo, c, v: talib.MFI(h, lo, c, v, 14),
    "ultosc_7_14_28": lambda o, h, lo, c, v: talib.ULTOSC(h, lo, c, 7, 14, 28),
    "bop": lambda o, h, lo, c, v: talib.BOP(o, h, lo, c),
    "bollinger_20_2.upper": lambda o, h, lo, c, v: talib.BBANDS(c, 20, 2, 2)[0],
    "bollinger_20_2.middle": lambda o, h, lo, c, v: talib.BBANDS(c, 20, 2, 2)[1],
    "bollinger_20_2.lower": lambda o, h, lo, c, v: talib.BBANDS(c, 20, 2, 2)[2],
    "atr_14": lambda o, h, lo, c, v: talib.ATR(h, lo, c, 14),
    "natr_14": lambda o, h, lo, c, v: talib.NATR(h, lo, c, 14),
    "donchian_20.upper": lambda o, h, lo, c, v: talib.MAX(h, 20),
    "donchian_20.lower": lambda o, h, lo, c, v: talib.MIN(lo, 20),
    "donchian_20.middle": lambda o, h, lo, c, v: talib.MIDPRICE(h, lo, 20),
    "slope_20": lambda o, h, lo, c, v: talib.LINEARREG_SLOPE(np.log(c), 20),
    "obv": lambda o, h, lo, c, v: talib.OBV(c, v),
    "ad": lambda o, h, lo, c, v: talib.AD(h, lo, c, v),
    "adosc_3_10": lambda o, h, lo, c, v: talib.ADOSC(h, lo, c, v, 3, 10),
    "simple_return_1": lambda o, h, lo, c, v: talib.ROCP(c, 1),
    "ichimoku_9_26_52.conversion": lambda o, h, lo, c, v: talib.MIDPRICE(h, lo, 9),
    "ichimoku_9_26_52.base": lambda o, h, lo, c, v: talib.MIDPRICE(h, lo, 26),
    "ichimoku_9_26_52.span_b_ahead": lambda o, h, lo, c, v: talib.MIDPRICE(h, lo, 52),
}


@pytest.fixture(scope="module", params=["spx", pytest.param("btc", marks=pytest.mark.shared_data)])
def series(request: pytest.FixtureRequest) -> tuple[Candles, FeatureFrame]:
    if request.param == "spx":
        candles: Candles = request.getfixturevalue("bundled_spx")
    else:
        shared: Path = request.getfixturevalue("shared_data")
        candles = real_btc(shared)
    return candles, compute(candles)


@pytest.mark.parametrize("name", ORACLES)
def test_it_is_ta_libs_number_from_the_same_bar_on(series: tuple[Candles, FeatureFrame], name: str) -> None:
    candles, frame = series
    ours, theirs = column(frame, name), ORACLES[name](*arrays(candles))
    np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))
    np.testing.assert_allclose(ours, theirs, rtol=1e-8, atol=1e-8)


def test_bandwidth_and_percent_b_are_of_ta_libs_bands(series: tuple[Candles, FeatureFrame]) -> None:
    candles, frame = series
    close = arrays(candles)[3]
    upper, middle, lower = talib.BBANDS(close, 20, 2, 2)
    np.testing.assert_allclose(column(frame, "percent_b_20_2"), (close - lower) / (upper - lower), rtol=0, atol=1e-8)
    np.testing.assert_allclose(column(frame, "bandwidth_20_2"), (upper - lower) / middle, rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    ("name", "theirs", "first"),
    [
        ("ema_20", lambda c: talib.EMA(c, 20), 19),
        ("rsi_14", lambda c: talib.RSI(c, 14), 14),
        ("macd_12_26_9.line", lambda c: talib.MACD(c, 12, 26, 9)[0], 33),
        ("trix_15", lambda c: talib.TRIX(c, 15), 43),
        ("kama_10", lambda c: talib.KAMA(c, 10), 10),
    ],
)
def test_seeds_are_ta_libs_to_the_first_value(
    bundled_spx: Candles, name: str, theirs: Callable[[FloatArray], FloatArray], first: int
) -> None:
    """The first values of recursions are where packages differ; the documents say how ours begin."""
    frame = compute(bundled_spx.last(300), [name.partition(".")[0]])
    ours, expected = column(frame, name), theirs(arrays(bundled_spx.last(300))[3])
    assert int(np.argmax(~np.isnan(ours))) == first
    np.testing.assert_allclose(ours[first : first + 5], expected[first : first + 5], rtol=1e-12)


def test_where_nothing_moves_there_is_no_number_where_ta_lib_writes_zero() -> None:
    from making import make_candles

    flat = make_candles(60)
    frame = flat.frame.with_columns(
        [flat.frame["close"].clear().extend_constant(100.0, 60).alias(c) for c in ("open", "high", "low", "close")]
    )
    still = Candles(flat.instrument, flat.timeframe, flat.source, frame, flat.adjusted)
    assert (talib.RSI(np.full(60, 100.0), 14)[14:] == 0.0).all()
    for name in ("rsi_14", "cci_20", "stoch_14_3_3", "percent_b_20_2", "bop", "skew_60"):
        found = compute(still, [name]).frame
        assert found[found.columns[1]].null_count() == 60, name
    assert compute(still, ["atr_14"]).frame["atr_14"][-1] == 0.0
