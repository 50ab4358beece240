"""Redo history every day: six models, 30 simulated instruments, 1,500 days, every model refitted daily."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from time import perf_counter

from forecastle.app.fit import model_of
from forecastle.app.rolling import roll
from forecastle.nouns import Candles, History, Instrument
from forecastle.requests import ModelSpec
from forecastle.sources.simulated import Simulated

INSTRUMENTS, DAYS, WINDOW = 30, 1500, 1000
MODELS = (
    ModelSpec(name="ewma"),
    ModelSpec(name="garch", dist="normal"),
    ModelSpec(name="garch", dist="t"),
    ModelSpec(name="garch", o=1, dist="t"),
    ModelSpec(name="garch", vol="egarch", o=1, dist="skewt"),
    ModelSpec(name="har"),
)


@dataclass(frozen=True)
class Took:
    """Seconds of one model over all instruments."""

    model: str
    seconds: float


def candles(seed: int) -> Candles:
    """Return the candles of one simulated instrument."""
    end = datetime(2024, 12, 31, tzinfo=UTC)
    whole = Simulated(seed=seed).fetch(Instrument.parse("BTC-USD"), "1d", None, end)
    return whole.last(DAYS + 1)


def measure() -> list[Took]:
    """Time every model once over all instruments; the compiled code is loaded before."""
    histories = [History(candles(seed)) for seed in range(INSTRUMENTS)]
    took = []
    for spec in MODELS:
        model = model_of(spec)
        roll(History(histories[0].candles.last(WINDOW + 20)), model, window=WINDOW, refit_every=1, level=0.01)
        start = perf_counter()
        for history in histories:
            roll(history, model, window=WINDOW, refit_every=1, level=0.01)
        took.append(Took(model.label, perf_counter() - start))
    return took


def main() -> None:
    """Print the table."""
    took = measure()
    print(f"{INSTRUMENTS} instruments x {DAYS:,} days, window {WINDOW:,}, every model refitted daily\n")
    print("| model | seconds |\n|---|---|")
    for one in took:
        print(f"| {one.model} | {one.seconds:.1f} |")
    print(f"| all | {sum(one.seconds for one in took):.1f} |")


if __name__ == "__main__":
    main()
