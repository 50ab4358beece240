"""Features that TA-Lib has not: against slow versions written apart, and against published examples."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from features.feature_series import arrays, column, whole_history
from forecastle.features import compute
from forecastle.models.realized import garman_klass, parkinson, rogers_satchell
from forecastle.nouns import Candles, FeatureFrame, Instrument
from making import make_candles

FloatArray = npt.NDArray[np.float64]
Slow = Callable[[int, "Table"], float]


class Table:
    """The bars as lists of floats, for loops that anyone can check."""

    def __init__(self, candles: Candles) -> None:
        self.o, self.h, self.lo, self.c, self.v = arrays(candles)
        self.mid = (self.h + self.lo) / 2
        self.r = np.r_[np.nan, np.diff(np.log(self.c))]

    def true(self, t: int) -> float:
        return float(max(self.h[t], self.c[t - 1]) - min(self.lo[t], self.c[t - 1]))


def _vortex(t: int, x: Table, up: bool) -> float:
    days = range(t - 13, t + 1)
    moved = sum(abs(x.h[i] - x.lo[i - 1]) if up else abs(x.lo[i] - x.h[i - 1]) for i in days)
    return float(moved / sum(x.true(i) for i in days))


def _cmf(t: int, x: Table) -> float:
    days = range(t - 19, t + 1)
    flow = sum(((x.c[i] - x.lo[i]) - (x.h[i] - x.c[i])) / (x.h[i] - x.lo[i]) * x.v[i] for i in days if x.h[i] > x.lo[i])
    return float(flow / sum(x.v[i] for i in days))


def _amihud(t: int, x: Table) -> float:
    return float(np.mean([abs(x.r[i]) / (x.c[i] * x.v[i]) * 1e6 for i in range(t - 19, t + 1) if x.v[i] > 0]))


def _corwin(t: int, x: Table) -> float:
    found = []
    for i in range(t - 19, t + 1):
        high, low = x.h[i], x.lo[i]
        if low > x.c[i - 1]:
            high, low = high - (low - x.c[i - 1]), x.c[i - 1]
        elif high < x.c[i - 1]:
            high, low = x.c[i - 1], low + (x.c[i - 1] - high)
        beta = math.log(high / low) ** 2 + math.log(x.h[i - 1] / x.lo[i - 1]) ** 2
        gamma = math.log(max(high, x.h[i - 1]) / min(low, x.lo[i - 1])) ** 2
        k = 3 - 2 * math.sqrt(2)
        alpha = (math.sqrt(2 * beta) - math.sqrt(beta)) / k - math.sqrt(gamma / k)
        found.append(max(2 * (math.exp(alpha) - 1) / (1 + math.exp(alpha)), 0.0))
    return float(np.mean(found))


def _roll(t: int, x: Table) -> float:
    change = [x.c[i] - x.c[i - 1] for i in range(t - 19, t + 1)]
    before = [x.c[i - 1] - x.c[i - 2] for i in range(t - 19, t + 1)]
    return float(2 * math.sqrt(max(-np.cov(change, before, ddof=0)[0, 1], 0.0)) / x.c[t])


def _choppiness(t: int, x: Table) -> float:
    days = range(t - 13, t + 1)
    width = max(x.h[i] for i in days) - min(x.lo[i] for i in days)
    return 100 * math.log10(sum(x.true(i) for i in days) / width) / math.log10(14)


def _vwap(t: int, x: Table) -> float:
    days = slice(t - 19, t + 1)
    typical = (x.h[days] + x.lo[days] + x.c[days]) / 3
    return float((typical * x.v[days]).sum() / x.v[days].sum())


SLOW: dict[str, tuple[int, Slow]] = {
    "log_return_5": (5, lambda t, x: math.log(x.c[t] / x.c[t - 5])),
    "overnight_return": (1, lambda t, x: math.log(x.o[t] / x.c[t - 1])),
    "body": (0, lambda t, x: math.log(x.c[t] / x.o[t])),
    "body.upper": (0, lambda t, x: math.log(x.h[t] / max(x.o[t], x.c[t]))),
    "body.lower": (0, lambda t, x: math.log(min(x.o[t], x.c[t]) / x.lo[t])),
    "skew_60": (60, lambda t, x: float(stats.skew(x.r[t - 59 : t + 1]))),
    "kurtosis_60": (60, lambda t, x: float(stats.kurtosis(x.r[t - 59 : t + 1]))),
    "autocorrelation_60": (61, lambda t, x: float(np.corrcoef(x.r[t - 59 : t + 1], x.r[t - 60 : t])[0, 1])),
    "sma_distance_50": (49, lambda t, x: math.log(x.c[t] / x.c[t - 49 : t + 1].mean())),
    "sma_cross_50_200": (199, lambda t, x: math.log(x.c[t - 49 : t + 1].mean() / x.c[t - 199 : t + 1].mean())),
    "vortex_14.plus": (14, lambda t, x: _vortex(t, x, True)),
    "vortex_14.minus": (14, lambda t, x: _vortex(t, x, False)),
    "awesome_5_34": (33, lambda t, x: float(x.mid[t - 4 : t + 1].mean() - x.mid[t - 33 : t + 1].mean())),
    "momentum_21_252": (252, lambda t, x: math.log(x.c[t - 21] / x.c[t - 252])),
    "position_252": (251, lambda t, x: float((x.c[t] - x.c[t - 251 : t + 1].min()) / np.ptp(x.c[t - 251 : t + 1]))),
    "drawdown_252": (251, lambda t, x: math.log(x.c[t] / x.c[t - 251 : t + 1].max())),
    "choppiness_14": (14, _choppiness),
    "realized_volatility_20": (20, lambda t, x: math.sqrt(np.mean(x.r[t - 19 : t + 1] ** 2))),
    "close_volatility_20": (20, lambda t, x: float(np.std(x.r[t - 19 : t + 1], ddof=1))),
    "volatility_ratio_5_60": (60, lambda t, x: math.sqrt(_square(x.r[t - 4 : t + 1]) / _square(x.r[t - 59 : t + 1]))),
    "cmf_20": (19, _cmf),
    "vwap_20": (19, _vwap),
    "vwap_20.distance": (19, lambda t, x: math.log(x.c[t] / _vwap(t, x))),
    "volume_z_20": (19, lambda t, x: float((x.v[t] - x.v[t - 19 : t + 1].mean()) / x.v[t - 19 : t + 1].std())),
    "volume_ratio_20": (19, lambda t, x: float(x.v[t] / x.v[t - 19 : t + 1].mean())),
    "amihud_20": (20, _amihud),
    "corwin_schultz_20": (20, _corwin),
    "roll_spread_20": (21, _roll),
    "ichimoku_9_26_52.span_a_ahead": (25, lambda t, x: _ahead(t, x)),
    "ichimoku_9_26_52.span_a": (51, lambda t, x: _ahead(t - 26, x)),
    "ichimoku_9_26_52.span_b": (77, lambda t, x: _middle(t - 26, x, 52)),
    "ichimoku_9_26_52.lagging": (8, lambda t, x: float(x.c[t])),
    "ichimoku_9_26_52.lagging_gap": (26, lambda t, x: math.log(x.c[t] / x.c[t - 26])),
}  # fmt: skip


def _square(returns: FloatArray) -> float:
    return float(np.mean(returns**2))


def _middle(t: int, x: Table, n: int) -> float:
    return float((x.h[t - n + 1 : t + 1].max() + x.lo[t - n + 1 : t + 1].min()) / 2)


def _ahead(t: int, x: Table) -> float:
    return (_middle(t, x, 9) + _middle(t, x, 26)) / 2


@pytest.fixture(scope="module")
def spx(bundled_spx: Candles) -> tuple[Table, FeatureFrame]:
    return Table(bundled_spx), compute(bundled_spx)


@pytest.mark.parametrize("name", SLOW)
def test_windows_are_what_a_loop_says(spx: tuple[Table, FeatureFrame], name: str) -> None:
    table, frame = spx
    first, slow = SLOW[name]
    found = column(frame, name)
    assert np.isnan(found[:first]).all()
    for t in [first, first + 1, 900, 2222, 4000, 5030]:
        assert found[t] == pytest.approx(slow(t, table), rel=1e-8, abs=1e-12), t


def test_range_estimators_are_those_of_the_models(bundled_spx: Candles) -> None:
    """The variances of single bars that the models use were written apart and tested against the papers."""
    frame = compute(bundled_spx, ["parkinson_20", "garman_klass_20", "rogers_satchell_20"])
    for name, of_a_bar in (
        ("parkinson_20", parkinson), ("garman_klass_20", garman_klass), ("rogers_satchell_20", rogers_satchell),
    ):  # fmt: skip
        daily, found = of_a_bar(bundled_spx), column(frame, name)
        for t in (19, 700, 5030):
            assert found[t] ** 2 == pytest.approx(max(daily[t - 19 : t + 1].mean(), 0.0), rel=1e-10), (name, t)


def test_yang_zhang_is_what_a_loop_says(bundled_spx: Candles) -> None:
    found = column(compute(bundled_spx, ["yang_zhang_20"]), "yang_zhang_20")
    o, h, lo, c, _ = arrays(bundled_spx)
    for t in (20, 700, 5030):
        days = range(t - 19, t + 1)
        night, body = [math.log(o[i] / c[i - 1]) for i in days], [math.log(c[i] / o[i]) for i in days]
        up, down = [math.log(h[i] / o[i]) for i in days], [math.log(lo[i] / o[i]) for i in days]
        rs = np.mean([u * (u - b) + d * (d - b) for u, d, b in zip(up, down, body, strict=True)])
        k = 0.34 / (1.34 + 21 / 19)
        expected = math.sqrt(np.var(night, ddof=1) + k * np.var(body, ddof=1) + (1 - k) * rs)
        assert found[t] == pytest.approx(expected, rel=1e-10)


def test_keltner_and_supertrend_are_what_a_loop_says(bundled_spx: Candles) -> None:
    import talib

    _, h, lo, c, _ = arrays(bundled_spx)
    frame = compute(bundled_spx, ["keltner_20_10_2", "supertrend_10_3"])
    width = talib.ATR(h, lo, c, 10)
    np.testing.assert_allclose(column(frame, "keltner_20_10_2.upper"), talib.EMA(c, 20) + 2 * width, rtol=1e-10)
    np.testing.assert_allclose(column(frame, "keltner_20_10_2.lower"), talib.EMA(c, 20) - 2 * width, rtol=1e-10)
    upper, lower, side, lines, sides = math.nan, math.nan, 1, [], []
    for t in range(10, c.size):
        top, bottom = (h[t] + lo[t]) / 2 + 3 * width[t], (h[t] + lo[t]) / 2 - 3 * width[t]
        upper = top if math.isnan(upper) or top < upper or c[t - 1] > upper else upper
        lower = bottom if math.isnan(lower) or bottom > lower or c[t - 1] < lower else lower
        side = -1 if side == 1 and c[t] < lower else 1 if side == -1 and c[t] > upper else side
        lines.append(lower if side == 1 else upper)
        sides.append(side)
    np.testing.assert_allclose(column(frame, "supertrend_10_3.line")[10:], lines, rtol=1e-12)
    np.testing.assert_array_equal(column(frame, "supertrend_10_3.side")[10:], sides)
    assert 20 < int(np.abs(np.diff(sides)).sum() / 2) < 500


def test_beta_and_correlation_are_those_of_numpy() -> None:
    history = whole_history(300)
    frame = compute(history, ["beta_60", "correlation_60", "benchmark_return_1", "benchmark_volatility_20",
                              "relative_strength_20", "benchmark_return_5"])  # fmt: skip
    own = np.r_[np.nan, np.diff(np.log(history.candles.frame["close"].to_numpy()))]
    other = np.r_[np.nan, np.diff(np.log(history.peers[0].candles.frame["close"].to_numpy()))]
    np.testing.assert_allclose(column(frame, "benchmark_return_1"), other, rtol=1e-14)
    for t in (60, 150, 299):
        x, y = own[t - 59 : t + 1], other[t - 59 : t + 1]
        assert column(frame, "beta_60")[t] == pytest.approx(np.cov(x, y)[0, 1] / np.var(y, ddof=1), rel=1e-10)
        assert column(frame, "correlation_60")[t] == pytest.approx(np.corrcoef(x, y)[0, 1], rel=1e-10)
        volatility = math.sqrt((other[t - 19 : t + 1] ** 2).mean())
        assert column(frame, "benchmark_volatility_20")[t] == pytest.approx(volatility, rel=1e-12)
        beyond = (own - other)[t - 19 : t + 1].sum()
        assert column(frame, "relative_strength_20")[t] == pytest.approx(beyond, rel=1e-10)
        assert column(frame, "benchmark_return_5")[t] == pytest.approx(other[t - 4 : t + 1].sum(), rel=1e-10)


def _candles(rows: Sequence[tuple[float, ...]]) -> Candles:
    """Return days with these (high, low, close[, volume]), opened at the close of the day before where inside."""
    opens = np.datetime64("2012-07-19", "us") + np.arange(len(rows)) * np.timedelta64(1, "D")
    high, low, close = (np.array([row[i] for row in rows]) for i in range(3))
    volume = np.array([row[3] if len(row) > 3 else 1.0 for row in rows])
    opened = np.clip(np.r_[close[0], close[:-1]], low, high)
    columns = {"open_time": opens, "close_time": opens + np.timedelta64(1, "D"), "open": opened, "high": high,
               "low": low, "close": close, "volume": volume}  # fmt: skip
    return Candles.from_columns(Instrument.parse("BTC-USD"), "1d", "example", columns, "none")


VORTEX = [
    (1380.39, 1371.21, 1376.51), (1376.51, 1362.19, 1362.66), (1362.34, 1337.56, 1350.52), (1351.53, 1329.24, 1338.31),
    (1343.98, 1331.50, 1337.89), (1363.13, 1338.17, 1360.02), (1389.19, 1360.05, 1385.97), (1391.74, 1381.37, 1385.30),
    (1387.16, 1379.17, 1379.32), (1385.03, 1373.35, 1375.32), (1375.13, 1354.65, 1365.00), (1394.16, 1365.45, 1390.99),
    (1399.63, 1391.04, 1394.23), (1407.14, 1394.46, 1401.35), (1404.14, 1396.13, 1402.22), (1405.95, 1398.80, 1402.80),
    (1405.98, 1395.62, 1405.87), (1405.87, 1397.32, 1404.11), (1410.03, 1400.60, 1403.93), (1407.73, 1401.83, 1405.53),
]  # fmt: skip
"""S&P 500, 2012-07-19 on: StockCharts ChartSchool, spreadsheet of the vortex indicator."""


def test_vortex_of_the_chartschool() -> None:
    frame = compute(_candles(VORTEX), ["vortex_14"])
    plus = [1.098181, 1.151867, 1.262956, 1.330319, 1.340491, 1.348408]
    minus = [0.893711, 0.865763, 0.792384, 0.725418, 0.662469, 0.746930]
    np.testing.assert_allclose(column(frame, "vortex_14.plus")[14:], plus, atol=5e-7)
    np.testing.assert_allclose(column(frame, "vortex_14.minus")[14:], minus, atol=5e-7)


ICHIMOKU = [
    (45.17, 44.96, 45.05), (45.15, 44.99, 45.10), (45.32, 45.11, 45.19), (45.25, 45.04, 45.14), (45.20, 45.10, 45.15),
    (45.20, 45.10, 45.14), (45.16, 45.07, 45.10), (45.22, 45.10, 45.15), (45.27, 45.14, 45.22), (45.45, 45.20, 45.43),
    (45.50, 45.39, 45.44), (45.60, 45.35, 45.55), (45.61, 45.39, 45.55), (45.55, 44.80, 45.01), (45.04, 44.17, 44.23),
    (44.29, 43.81, 43.95), (43.99, 43.08, 43.08), (43.65, 43.06, 43.55), (43.99, 43.53, 43.95), (44.58, 43.93, 44.47),
]  # fmt: skip
"""The example bars of ta4j's tests of Ichimoku (lines of 3, 5 and 9 bars), expected values from the same place."""


def test_ichimoku_of_the_published_example() -> None:
    frame = compute(_candles(ICHIMOKU), ["ichimoku_3_5_9"])
    rows = [3, 4, 5, 6, 7, 8, 16, 17, 18]
    conversion = [45.155, 45.18, 45.145, 45.135, 45.145, 45.17, 44.06, 43.675, 43.525]
    base = [45.14, 45.155, 45.18, 45.145, 45.17, 44.345, 44.305, 44.05]
    ahead = [45.16, 45.15, 45.1575, 45.145, 45.17, 44.2025, 43.99, 43.7875]
    np.testing.assert_allclose(column(frame, "ichimoku_3_5_9.conversion")[rows], conversion, rtol=1e-12)
    np.testing.assert_allclose(column(frame, "ichimoku_3_5_9.base")[rows[1:]], base, rtol=1e-12)
    np.testing.assert_allclose(column(frame, "ichimoku_3_5_9.span_a_ahead")[rows[1:]], ahead, rtol=1e-12)
    np.testing.assert_allclose(column(frame, "ichimoku_3_5_9.span_b_ahead")[rows[-4:]], [45.14, 44.345, 44.335, 44.335])
    # what was drawn ahead five bars ago stands here now
    np.testing.assert_allclose(
        column(frame, "ichimoku_3_5_9.span_a")[13:], column(frame, "ichimoku_3_5_9.span_a_ahead")[8:15]
    )


WILDER = [
    44.3389, 44.0902, 44.1497, 43.6124, 44.3278, 44.8264, 45.0955, 45.4245, 45.8433, 46.0826, 45.8931, 46.0328, 45.6140,
    46.2820, 46.2820, 46.0028, 46.0328, 46.4116, 46.2222, 45.6439, 46.2122, 46.2521, 45.7137, 46.4515, 45.7835, 45.3548,
    44.0288, 44.1783, 44.2181, 44.5672, 43.4205, 42.6628, 43.1314,
]  # fmt: skip
RSI = [
    70.53, 66.32, 66.55, 69.41, 66.36, 57.97, 62.93, 63.26, 56.06, 62.38, 54.71, 50.42, 39.99, 41.46, 41.87, 45.46,
    37.30, 33.08, 37.77,
]  # fmt: skip
"""StockCharts ChartSchool: the example of the relative strength index, 14 bars."""


def test_rsi_of_the_chartschool() -> None:
    frame = compute(_candles([(c, c, c) for c in WILDER]), ["rsi_14"])
    np.testing.assert_allclose(column(frame, "rsi_14")[14:], RSI, atol=0.006)


VWAP = [
    (24.8283, 24.3205, 24.7486, 18730.144), (24.7586, 24.5993, 24.7088, 12271.74),
    (25.1568, 24.7785, 25.0373, 24691.414), (25.5848, 24.9477, 25.545, 18357.606),
    (25.6844, 24.8083, 25.0672, 22964.08), (25.336, 25.0572, 25.107, 15918.948),
    (25.2862, 24.8482, 24.888, 16067.044), (25.1269, 24.7496, 24.9975, 16568.487),
    (25.2762, 24.9278, 25.0473, 16018.729), (25.3857, 25.0274, 25.336, 9773.569),
    (25.5351, 25.0473, 25.0572, 22572.712), (25.6048, 25.0622, 25.4455, 12986.669),
    (25.7441, 25.5351, 25.5649, 10906.659), (25.7242, 25.4554, 25.555, 5799.259),
    (25.6744, 25.2862, 25.4057, 7395.274),
]  # fmt: skip
"""The example table of the volume-weighted average price over 14 bars in the tests of the package ta."""


def test_vwap_of_the_published_example() -> None:
    found = column(compute(_candles(VWAP), ["vwap_14"]), "vwap_14")
    np.testing.assert_allclose(found[13:], [25.11402265022072, 25.168402599215426], rtol=1e-9)


def test_the_force_of_one_bar_is_elders() -> None:
    """ChartSchool's table of the force index: price change times volume, here smoothed from the mean of the first."""
    closes = [14.33, 14.23, 13.98, 13.96, 13.93, 13.84, 13.99, 14.31, 14.51]
    volumes = [1.0, 45579, 66285, 51761, 69341, 41631, 73499, 55427, 61082]
    forces = [-4557.9, -16571.25, -1035.22, -2080.23, -3746.79, 11024.85, 17736.64, 12216.4]
    found = column(
        compute(_candles([(c, c, c, v) for c, v in zip(closes, volumes, strict=True)]), ["force_3"]), "force_3"
    )
    expected = [sum(forces[:3]) / 3]
    for force in forces[3:]:
        expected.append(expected[-1] + 0.5 * (force - expected[-1]))
    np.testing.assert_allclose(found[3:], expected, rtol=1e-9)


# --- time


def test_time_of_day_and_week_are_of_the_bar() -> None:
    hours = make_candles(200, timeframe="1h", start="2024-01-01")  # a Monday
    frame = compute(hours, ["time_of_day", "day_of_week", "month_of_year", "session", "closed_days"])
    sin, cos = column(frame, "time_of_day.sin"), column(frame, "time_of_day.cos")
    np.testing.assert_allclose([sin[5], cos[5]], [1.0, 0.0], atol=1e-12)  # closes at six
    monday, tuesday = column(frame, "day_of_week.cos")[23], column(frame, "day_of_week.cos")[24]
    assert monday == pytest.approx(1.0)  # the last hour of Monday closes at midnight and is Monday's
    assert tuesday == pytest.approx(math.cos(2 * math.pi / 7))
    assert column(frame, "session.progress")[23] == 1.0
    assert column(frame, "session.first")[[23, 24]].tolist() == [0.0, 1.0]
    assert column(frame, "session.last")[[23, 24]].tolist() == [1.0, 0.0]
    assert (column(frame, "closed_days")[1:] == 0.0).all()
    assert column(frame, "month_of_year.cos")[0] == pytest.approx(1.0)


def test_a_weekend_is_seen_where_the_market_closes(bundled_spx: Candles) -> None:
    frame = compute(bundled_spx, ["closed_days", "day_of_week"])
    days = frame.frame["known_at"].dt.weekday().to_numpy()
    closed = column(frame, "closed_days")[1:]
    assert (closed[days[1:] == 1] > 2.5).mean() > 0.95
    assert closed[days[1:] == 3].min() == pytest.approx(0.7291666, abs=1e-6)  # 21:00 to 14:30 UTC


def test_session_vwap_begins_anew_each_day() -> None:
    hours = make_candles(60, timeframe="1h")
    found = column(compute(hours, ["session_vwap"]), "session_vwap")
    _, h, lo, c, v = arrays(hours)
    typical = (h + lo + c) / 3
    for t in (0, 5, 23, 24, 30, 47, 48, 59):
        day = slice(t // 24 * 24, t + 1)
        assert found[t] == pytest.approx((typical[day] * v[day]).sum() / v[day].sum(), rel=1e-12)


def test_stock_hours_know_how_much_of_the_session_is_over() -> None:
    hours = make_candles(14, timeframe="1h", instrument="AAPL", start="2024-03-07")
    frame = compute(hours, ["session"])
    first = frame.between(end=datetime(2024, 3, 7, 21, 0, tzinfo=UTC))
    np.testing.assert_allclose(
        column(first, "session.progress"), [60 / 390, 120 / 390, 180 / 390, 240 / 390, 300 / 390, 360 / 390, 1.0]
    )
    assert column(first, "session.first").tolist() == [1, 0, 0, 0, 0, 0, 0]
    assert column(first, "session.last").tolist() == [0, 0, 0, 0, 0, 0, 1]
