"""Training of every learner over 5 folds of 2,500 days, and one prediction: ``python -m bench.training``.

Candles are made up, so that anyone can run it; the work does not depend on what they say. Seconds of one process with
one thread each, except for the first row: the six classical learners side by side on the cores of this machine.
"""

from __future__ import annotations

import resource
import statistics
import tempfile
import time
from pathlib import Path

from forecastle.app._datasets import series_of
from forecastle.app._works import work_of
from forecastle.app.build_features import build_table
from forecastle.app.fetch import fetch
from forecastle.app.materialize import materialize
from forecastle.app.predict import Predictor
from forecastle.app.train import train_config
from forecastle.clock import SystemClock
from forecastle.experiments.evaluate import evaluate
from forecastle.experiments.spec import DEFAULT_LEARNERS, PlugIn, TrainConfig, config_of
from forecastle.jobs import Engine, Job, run_all
from forecastle.requests import FeaturesRequest, FetchRequest, PredictRequest, build
from forecastle.settings import load_settings
from forecastle.workspace import Workspace

COIN = "BTC-USDT"
CLASSICAL = ("logistic", "random_forest", "extra_trees", "xgboost", "lightgbm", "ensemble")
NETWORKS = ("lstm", "gru", "transformer")
PREDICTIONS = 300


def config(**changed: object) -> TrainConfig:
    """Return the file that is timed: Bitcoin by day, over five folds."""
    told = {
        "name": "bench", "data": {"instruments": COIN, "source": "simulated"}, "learners": list(CLASSICAL),
        "split": {"name": "walk_forward", "count": 5, "start": 0.4}, "seed": 1,
        "robustness": {"controls": False, "regimes": False}, "replications": 99,
    }  # fmt: skip
    return config_of({**told, **changed})


def main() -> None:
    """Print the table."""
    assert set(DEFAULT_LEARNERS) - {"ridge"} <= set(CLASSICAL)
    with tempfile.TemporaryDirectory() as made:
        settings, origins = load_settings(Path(made), {}, Path(made))
        workspace = Workspace(settings, tuple(origins), SystemClock())
        done = fetch(workspace, build(FetchRequest, instruments=(COIN,), sources=("simulated",)))
        for error in done.failed:
            raise error
        series = series_of(workspace, config(), config().data.instruments[0])[0][0]
        print(f"{len(series.dataset)} rows, {len(series.dataset.frame.columns)} columns, {len(series.folds)} folds\n")
        print("| what | seconds |\n|---|---|")
        works = [work_of(settings, config(), series, name, PlugIn(name=name)) for name in CLASSICAL]
        begun = time.perf_counter()
        run_all([Job(w.name, evaluate, (w,)) for w in works], Engine("local"))
        print(f"| the six classical learners, in processes | {time.perf_counter() - begun:.1f} |", flush=True)
        for name in NETWORKS:
            work = work_of(settings, config(), series, name, PlugIn(name=name))
            begun = time.perf_counter()
            run_all([Job(work.name, evaluate, (work,))], Engine("local", workers=1))
            print(f"| {name} | {time.perf_counter() - begun:.1f} |", flush=True)
        predictions(workspace)
        peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        print(f"\nThe largest process took {peak / 1024**2:.2f} GiB.")


def predictions(workspace: Workspace) -> None:
    """Print how long one prediction takes once the model is loaded, its features read from the online store."""
    train_config(workspace, config(learners=["random_forest"], serve="random_forest"))
    request = build(FeaturesRequest, instrument=COIN, source="simulated")
    build_table(workspace, request)
    materialize(workspace, [(COIN, "1d")])
    predictor, asked = Predictor(workspace), build(PredictRequest, instrument=COIN)
    first = predictor.predict(asked)
    times = []
    for _ in range(PREDICTIONS):
        begun = time.perf_counter()
        predictor.predict(asked)
        times.append(time.perf_counter() - begun)
    half, most = statistics.median(times), statistics.quantiles(times, n=20)[-1]
    print(f"\nOne prediction of a loaded forest (ONNX), features served {first.served_from}: "
          f"p50 {1e3 * half:.2f} ms, p95 {1e3 * most:.2f} ms")  # fmt: skip


if __name__ == "__main__":
    main()
