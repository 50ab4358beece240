"""Remake docs/results and docs/environment.json with the command line, in a fresh home: same data, same bytes.

python docs/make_results.py                    # the bundled indices
python docs/make_results.py --data DIR         # and Bitcoin, from a folder of market data
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from forecastle.app.snapshot import snapshot

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"
Row = Sequence[object]

IMPORTS = [
    ("crypto/1d/binance_2017_2022/BTC_USDT-1d.json.gz", "BTC-USDT", "1d", "binance"),
    ("crypto/1d/kraken_cdd/Kraken_BTCUSD_d.csv", "BTC-USD", "1d", "kraken"),
    ("crypto/1d/yahoo/BTC-USD.csv", "BTC-USD", "1d", "yahoo"),
    ("crypto/1h/binance_2017_2022/BTC_USDT-1h.json.gz", "BTC-USDT", "1h", "binance"),
    ("crypto/1h/binance_2021_2025/BTC_USDT-1h_2021-06_2025-02.csv.gz", "BTC-USDT", "1h", "binance"),
]
INDICES = [
    ("SPX.INDEX", "1d", "bundled", ["--start", "2003-01-01"]),
    ("IXIC.INDEX", "1d", "bundled", ["--start", "2003-01-01"]),
]
BITCOIN = [
    ("BTC-USDT", "1d", "binance", ["--end", "2022-10-11"]),
    ("BTC-USD", "1d", "kraken", []),
    ("BTC-USD", "1d", "yahoo", ["--window", "500", "--start", "2023-01-01"]),
    ("BTC-USDT", "1h", "binance", ["--start", "2023-01-01", "--refit", "24"]),
]


def ask(home: Path, *words: str) -> dict[str, Any]:
    """Run ``forecastle words --json`` and return its document."""
    command = [sys.executable, "-m", "forecastle", *words, "--home", str(home), "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 - our own command
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def table(columns: Sequence[str], rows: Iterable[Row]) -> str:
    """Return a Markdown table."""
    lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
    return "\n".join([*lines, *(f"| {' | '.join(str(cell) for cell in row)} |" for row in rows)])


def p_value(test: dict[str, Any] | None) -> str:
    """Return a p-value for a table."""
    value = None if test is None else test["p_value"]
    return "-" if value is None else "<0.0001" if value < 1e-4 else f"{value:.4f}"


def section(home: Path, series: tuple[str, str, str, list[str]]) -> str:
    """Return the comparison and the forecast of one series as Markdown."""
    name, timeframe, source, options = series
    where = [name, "--timeframe", timeframe, "--source", source]
    compared = ask(home, "volatility", "compare", *where, *options)
    window = options[options.index("--window") + 1] if "--window" in options else "1000"
    forecasts = ask(home, "volatility", "forecast", *where, "--window", window)["forecasts"]
    rival = next(s["model"] for s in compared["scores"] if s["naive"])
    rows = [
        (s["model"] + (" (naive)" if s["naive"] else ""), f"{s['qlike']:.4f}", p_value(s["against_naive"].get(rival)),
         f"{s['breaches']} / {s['expected']:.1f}", p_value(s["kupiec"]),
         p_value(s["christoffersen"]["conditional_coverage"]), s["traffic_light"]["zone"])
        for s in compared["scores"]
    ]  # fmt: skip
    tomorrow = [
        (f["model"], f"{100 * f['sigma']:.3f} %", f"{100 * f['annual_sigma']:.1f} %", f"{100 * f['var']['0.01']:.2f} %",
         f"{100 * f['es']['0.01']:.2f} %")
        for f in forecasts
    ]  # fmt: skip
    scores = (
        "model",
        "QLIKE",
        f"DM p against {rival}",
        "breaches / expected (1 %)",
        "Kupiec p",
        "cond. coverage p",
        "zone",
    )
    year = f"annual with {forecasts[0]['periods_per_year']:g} periods a year"
    parts = (
        f"## {name}, {timeframe}, {source}",
        f"    forecastle volatility compare {' '.join([*where, *options])}",
        f"{compared['observations']} bars, one step ahead. **{compared['verdict']}**",
        table(scores, rows),
        f"The next bar, as of {forecasts[0]['as_of']} ({year}):",
        table(("model", "sigma", "annual", "VaR 1 %", "ES 1 %"), tomorrow),
        f"Data hash `{compared['data_hash']}`.",
    )
    return "\n\n".join(parts)


def page(title: str, words: str, home: Path, series: Iterable[tuple[str, str, str, list[str]]], name: str) -> None:
    """Write one page of results."""
    parts = [f"# {title}", words, *(section(home, s) for s in series)]
    (RESULTS / name).write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    print(f"wrote docs/results/{name}")  # noqa: T201


def environment() -> None:
    """Write what has to be the same for the same numbers."""
    locks = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted((ROOT / "locks").glob("*.txt"))}
    text = json.dumps({"schema": "forecastle/environment/1", "locks": locks, **snapshot()}, indent=2)
    (ROOT / "docs" / "environment.json").write_text(text + "\n", encoding="utf-8")
    print("wrote docs/environment.json")  # noqa: T201


NOTE = """Every model is refitted every bar (every 24 for hours) on what lies before, and forecasts one step ahead;
VaR at 1 %. QLIKE is on squared returns, lower is better. DM is the Diebold-Mariano test against the best naive
forecast. The combination is the headline by decision, the windows are round numbers: nothing was chosen on these
pages."""


def main() -> None:
    """Remake everything that can be remade from what is here."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder of market data with crypto/1d and crypto/1h")
    data = parser.parse_args().data
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        environment()
        ask(home, "fetch", "SPX.INDEX", "IXIC.INDEX", "--source", "bundled")
        page("S&P 500 and NASDAQ, bundled data", f"Remake: `make results`.\n\n{NOTE}", home, INDICES, "indices.md")
        if data is None:
            return
        for file, name, timeframe, source in IMPORTS:
            ask(home, "import", str(data / file), "--instrument", name, "--timeframe", timeframe, "--source", source)
        how = "Remake: `make results DATA=FOLDER` with a folder of market data; the files are not part of the project."
        words = f"{how}\n\n{NOTE}"
        page("Bitcoin, daily and hourly", words, home, BITCOIN, "bitcoin.md")


if __name__ == "__main__":
    main()
