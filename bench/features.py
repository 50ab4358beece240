"""Features beside raw TA-Lib: ``python -m bench.features``.

Sixty columns of one million one-minute candles, against the sum of the TA-Lib calls that give the same columns, on
NumPy arrays that are there already. Ours finds the holes, marks what is not known, and ends as a frame. Then the memory
of it, and what one more candle costs.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import talib

from bench.timing import side_by_side
from forecastle.features import Live, catalogue, compute, features_of, lacking, started
from forecastle.nouns import Candles, FeatureFrame, History, Instrument

ROWS = 1_000_000
PROCESS = Path("/proc/self")
FloatArray = npt.NDArray[np.float64]
SINGLE: dict[str, tuple[str, str, tuple[float, ...]]] = {
    **{f"sma_{n}": ("SMA", "c", (n,)) for n in (10, 20, 50, 100, 200)},
    **{f"ema_{n}": ("EMA", "c", (n,)) for n in (10, 20, 50, 100, 200)},
    **{f"wma_{n}": ("WMA", "c", (n,)) for n in (20, 50)},
    **{f"rsi_{n}": ("RSI", "c", (n,)) for n in (7, 14, 21)},
    **{f"roc_{n}": ("ROC", "c", (n,)) for n in (1, 5, 10, 20)},
    **{f"atr_{n}": ("ATR", "hlc", (n,)) for n in (7, 14)},
    **{f"williams_r_{n}": ("WILLR", "hlc", (n,)) for n in (7, 14, 28)},
    **{f"cci_{n}": ("CCI", "hlc", (n,)) for n in (14, 20)},
    "dema_20": ("DEMA", "c", (20,)),
    "tema_20": ("TEMA", "c", (20,)),
    "trix_15": ("TRIX", "c", (15,)),
    "kama_10": ("KAMA", "c", (10,)),
    "ppo_12_26": ("PPO", "c", (12, 26, 1)),
    "cmo_14": ("CMO", "c", (14,)),
    "natr_14": ("NATR", "hlc", (14,)),
    "mfi_14": ("MFI", "hlcv", (14,)),
    "ultosc_7_14_28": ("ULTOSC", "hlc", (7, 14, 28)),
    "bop": ("BOP", "ohlc", ()),
    "slope_20": ("LINEARREG_SLOPE", "c", (20,)),
    "obv": ("OBV", "cv", ()),
    "ad": ("AD", "hlcv", ()),
    "adosc_3_10": ("ADOSC", "hlcv", (3, 10)),
    "simple_return_1": ("ROCP", "c", (1,)),
}
MANY: dict[str, list[tuple[str, str, tuple[float, ...]]]] = {
    "macd_12_26_9": [("MACD", "c", (12, 26, 9))],
    "bollinger_20_2": [("BBANDS", "c", (20, 2.0, 2.0))],
    "stoch_14_3_3": [("STOCH", "hlc", (14, 3, 0, 3, 0))],
    "stochrsi_14_14_3": [("STOCHRSI", "c", (14, 14, 3, 0))],
    "adx_14": [("ADX", "hlc", (14,)), ("PLUS_DI", "hlc", (14,)), ("MINUS_DI", "hlc", (14,))],
    "aroon_14": [("AROON", "hl", (14,)), ("AROONOSC", "hl", (14,))],
    "donchian_20": [("MAX", "h", (20,)), ("MIN", "l", (20,)), ("MIDPRICE", "hl", (20,))],
}
"""Of several columns: the TA-Lib calls that give them."""


def minutes(rows: int = ROWS) -> Candles:
    """Return a walk of minutes without a hole."""
    draw = np.random.default_rng(0)
    close = 100.0 * np.exp(np.cumsum(draw.normal(0.0, 1e-3, rows)))
    begin = np.r_[100.0, close[:-1]]
    opens = np.datetime64("2023-01-01", "us") + np.arange(rows) * np.timedelta64(1, "m")
    columns = {
        "open_time": opens, "close_time": opens + np.timedelta64(1, "m"), "open": begin,
        "high": np.maximum(begin, close) * (1 + draw.exponential(5e-4, rows)),
        "low": np.minimum(begin, close) / (1 + draw.exponential(5e-4, rows)), "close": close,
        "volume": draw.exponential(3.0, rows),
    }  # fmt: skip
    return Candles.from_columns(Instrument.parse("BTC-USDT"), "1m", "bench", columns, "none")


def raw(candles: Candles) -> int:
    """Call TA-Lib for each column on arrays; return how many columns came."""
    arrays = {c[0]: candles.frame[c].to_numpy() for c in ("open", "high", "low", "close", "volume")}
    count = 0
    for name, letters, numbers in [*SINGLE.values(), *(call for calls in MANY.values() for call in calls)]:
        out = getattr(talib, name)(*(arrays[letter] for letter in letters), *numbers)
        count += len(out) if isinstance(out, tuple) else 1
    return count


def ours(candles: Candles) -> FeatureFrame:
    """Compute the same columns as a frame."""
    return compute(candles, [*SINGLE, *MANY])


def speed() -> None:
    """Print the sixty columns side by side."""
    candles = minutes()
    columns = len(ours(candles.last(3000)).columns)
    assert columns == raw(candles.last(3000))
    mine, theirs = side_by_side(lambda: ours(candles), lambda: raw(candles))
    print(
        f"| {columns} columns of {ROWS:,} minutes | {1e3 * mine:.0f} | {1e3 * theirs:.0f} | {mine / theirs:.2f} | 2.5 |"
    )


def memory(names: str) -> None:
    """Print the peak of memory while features are computed, in sizes of the result; in a process of its own."""
    candles = minutes()
    wanted = [*SINGLE, *MANY] if names == "sixty" else None
    compute(candles.last(3000), wanted)
    PROCESS.joinpath("clear_refs").write_text("5")  # the peak is counted from here on
    before = _status("VmRSS")
    frame = compute(candles, wanted)
    peak = _status("VmHWM") - before
    size = frame.frame.estimated_size()
    print(f"| {len(frame.columns)} columns | {size / 1e6:.0f} | {peak / 1e6:.0f} | {peak / size:.2f} | 4 |")


def _status(key: str) -> int:
    """Return bytes of a line of the process's status; Linux only."""
    line = next(x for x in PROCESS.joinpath("status").read_text().splitlines() if x.startswith(key))
    return 1024 * int(line.split()[1])


def append() -> None:
    """Print what one more candle costs once a million are known."""
    candles, rounds = minutes(), 200
    features = features_of(
        [f.spec.name for f in catalogue() if f.spec.name not in lacking(History(candles), catalogue())]
    )
    known = History(replace(candles, frame=candles.frame.head(ROWS - rounds)))
    _, live = started(known, features, (), {})
    taken = [_one_more(live, replace(candles, frame=candles.frame.slice(ROWS - rounds + i, 1))) for i in range(rounds)]
    columns = sum(len(f.spec.columns) for f in features)
    median, slow = statistics.median(taken), sorted(taken)[int(0.95 * rounds)]
    print(f"| one candle, all {columns} columns | {1e3 * median:.1f} | {1e3 * slow:.1f} | 10 |")


def _one_more(live: Live, candle: Candles) -> float:
    start = time.perf_counter()
    live.append(candle)
    return time.perf_counter() - start


def main() -> None:
    """Print the tables."""
    print("| what | ours, ms | TA-Lib alone, ms | ratio | to stay under |\n|---|---|---|---|---|")
    speed()
    print("\n| memory of 1,000,000 minutes | result, MB | peak beside the candles, MB | ratio | to stay under |")
    print("|---|---|---|---|---|", flush=True)
    for names in ("sixty", "catalogue"):
        subprocess.run([sys.executable, "-m", "bench.features", "--memory", names], check=True)
    print("\n| appended to 1,000,000 minutes | median, ms | 95 %, ms | to stay under, ms |\n|---|---|---|---|")
    append()


if __name__ == "__main__":
    memory(sys.argv[2]) if "--memory" in sys.argv else main()
