"""The counter of what was tried: what counts as one, what overlaps, and the numbers that are made of it."""

from __future__ import annotations

import statistics
import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from experiments.trials_made import NOW, add, days, log_of, span_of
from forecastle.errors import DataCorrupt, DataInvalid, DataMissing, ForecastleError, NameUnknown, RequestInvalid

A: dict[str, Any] = {"learner": "ridge", "alpha": 1.0, "columns": ["x", "y"]}


def test_the_same_configuration_on_the_same_data_is_counted_once(home: Path) -> None:
    log = log_of(home)
    first = add(log, A | {"seed": 1, "name": "one"})
    again = add(log, A | {"seed": 2, "name": "two"}, values=np.array([9.0, 9.0, 9.0, 8.0]), scores={"sharpe": 3.0})
    assert (first.repeats, again.repeats, log.count(span_of())) == (None, 1, 1)
    assert [t.scores["sharpe"] for t in log_of(home).trials()] == [0.5, 3.0], "the repeat is logged with its scores"
    assert log.series(again)[1].tolist() == [0.01, -0.02, 0.03, 0.0], "and changes nothing of the first"


@pytest.mark.parametrize(
    ("other", "count"),
    [
        (A | {"alpha": 2.0}, 2),
        (A | {"alpha": 1}, 1),
        (A | {"columns": ("x", "y")}, 1),
        (dict(reversed(A.items())), 1),
        (A | {"columns": ["y", "x"]}, 2),
        (A | {"notes": "other words", "objective": "o", "owner": "p"}, 1),
        ({"nested": {"seed": 1}}, 2),
        ({**A, "model": {"seed": 1}}, 2),
    ],
)
def test_what_makes_another_configuration(home: Path, other: dict[str, Any], count: int) -> None:
    log = log_of(home)
    add(log, A)
    add(log, other)
    assert log.count(span_of()) == count


@pytest.mark.parametrize(
    ("asked", "count"),
    [
        (span_of("2020-06-01", "2022-01-01"), 1),
        (span_of("2021-01-01", "2022-01-01"), 0),
        (span_of("2019-01-01", "2020-01-01"), 0),
        (span_of("2019-01-01", "2020-01-02"), 1),
        (span_of(source="kraken", data_hash="b" * 64), 1),
        (span_of(timeframe="1h"), 0),
        (span_of(instrument="ETH-USDT"), 0),
        (replace(span_of(), instruments=("ETH-USDT", "BTC-USDT")), 1),
    ],
)
def test_what_overlaps(home: Path, asked: Any, count: int) -> None:
    log = log_of(home)
    add(log, A)
    assert log.count(asked) == count


def test_one_configuration_on_several_spans_is_one(home: Path) -> None:
    log = log_of(home)
    trials = [add(log, A), add(log, A, span_of("2020-06-01", "2021-06-01")), add(log, A, span_of(data_hash="c" * 64))]
    assert [t.repeats for t in trials] == [None, None, None]
    assert log.count(span_of("2020-07-01", "2020-08-01")) == 1
    assert len(log.trials(span_of("2021-02-01", "2021-03-01"))) == 1


def test_a_trial_is_read_back_as_it_was_written(home: Path) -> None:
    log = log_of(home)
    made = add(log, A, kind="sweep", scores={"sharpe": 0.1, "undefined": float("nan")}, measure="net")
    (found,) = log_of(home).trials()
    assert found == made
    assert (found.at, found.kind, found.span, found.measure) == (NOW, "sweep", span_of(), "net")
    assert found.scores == {"sharpe": 0.1}
    path = home / "experiments" / "trials" / f"{found.key}.parquet"
    frame = pl.read_parquet(path)
    assert frame.schema == {"moment": pl.Datetime("us", "UTC"), "value": pl.Float64}
    assert frame["moment"][0] == datetime.fromisoformat("2020-01-02T00:00:00+00:00")
    assert log.series(found)[0].tolist() == days("2020-01-02", 4).tolist()


def test_the_matrix_has_the_moments_that_all_have(home: Path) -> None:
    log = log_of(home)
    add(log, {"n": 1}, values=np.array([1.0, 2.0, 3.0, 4.0]), first="2020-03-01")
    add(log, {"n": 2}, values=np.array([5.0, 6.0, 7.0]), first="2020-03-02")
    add(log, {"n": 1, "seed": 5}, values=np.array([0.0, 0.0, 0.0, 1.0]), first="2020-03-01")
    add(log, {"n": 3}, values=np.array([9.0, 9.5]), first="2020-03-02", unit="loss", measure="brier")
    moments, numbers, names = log.matrix(span_of(), "return")
    assert moments.tolist() == days("2020-03-02", 3).tolist()
    assert numbers.tolist() == [[2.0, 5.0], [3.0, 6.0], [4.0, 7.0]]
    assert names == ["trial-1", "trial-2"]
    inside, cut, _ = log.matrix(span_of("2020-03-02", "2020-03-03"), "return")
    assert (inside.tolist(), cut.tolist()) == (days("2020-03-02", 2).tolist(), [[2.0, 5.0], [3.0, 6.0]])


def test_a_configuration_is_the_column_of_its_longest_series(home: Path) -> None:
    log = log_of(home)
    add(log, A, values=np.array([1.0, 2.0]), first="2020-03-01")
    add(log, A, span_of(data_hash="d" * 64), values=np.array([3.0, 4.0, 5.0]), first="2020-03-01")
    add(log, A, span_of(data_hash="e" * 64), values=np.array([6.0, 7.0]), first="2020-03-01")
    _, numbers, names = log.matrix(span_of(), "return")
    assert (numbers.tolist(), names) == ([[3.0], [4.0], [5.0]], ["trial-2"])


def test_losses_and_returns_of_one_configuration_are_both_kept_and_counted_once(home: Path) -> None:
    log = log_of(home)
    trials = [add(log, A), add(log, A, unit="loss", measure="brier"), add(log, A, unit="loss", measure="log loss")]
    assert [t.repeats for t in trials] == [None, None, None]
    assert log.count(span_of()) == 1


def test_losses_of_different_measures_are_not_put_side_by_side(home: Path) -> None:
    log = log_of(home)
    add(log, {"n": 1}, unit="loss", measure="brier")
    add(log, {"n": 2}, unit="loss", measure="squared error")
    with pytest.raises(DataInvalid, match="brier, squared error"):
        log.matrix(span_of(), "loss")
    assert log.matrix(span_of(), "loss", "brier")[2] == ["trial-1"]


def test_the_variance_of_sharpe_ratios_is_that_of_the_standard_library(home: Path) -> None:
    log, rng = log_of(home), np.random.default_rng(3)
    series = [rng.normal(0.001 * n, 0.02, 50) for n in range(4)]
    for n, values in enumerate(series):
        add(log, {"n": n}, values=values)
    ratios = [statistics.mean(v) / statistics.stdev(v) for v in (s.tolist() for s in series)]
    assert log.sharpe_variance(span_of()) == pytest.approx(statistics.variance(ratios), rel=1e-12)
    add(log, {"never": "trades"}, values=np.full(50, 0.1))
    assert log.sharpe_variance(span_of()) == pytest.approx(statistics.variance(ratios), rel=1e-12)


def test_fewer_than_two_say_nothing_of_a_spread(home: Path) -> None:
    log = log_of(home)
    assert log.sharpe_variance(span_of()) is None
    add(log, A)
    assert log.sharpe_variance(span_of()) is None


def test_nothing_in_common_is_told(home: Path) -> None:
    log = log_of(home)
    with pytest.raises(DataMissing, match="No trial"):
        log.matrix(span_of(), "return")
    add(log, {"n": 1}, first="2020-02-01")
    add(log, {"n": 2}, first="2020-09-01")
    with pytest.raises(DataMissing, match="no moment in common"):
        log.matrix(span_of(), "return")


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ({"values": np.array([1.0, np.nan])}, DataInvalid),
        ({"values": np.array([])}, DataInvalid),
        ({"first": "2020-12-31"}, DataInvalid),
        ({"first": "2019-12-31"}, DataInvalid),
        ({"kind": "guess"}, NameUnknown),
        ({"unit": "price"}, NameUnknown),
    ],
)
def test_what_is_no_trial_is_refused(home: Path, said: dict[str, Any], kind: type[ForecastleError]) -> None:
    with pytest.raises(kind):
        add(log_of(home), A, **said)
    assert not home.exists()


def test_moments_have_to_ascend(home: Path) -> None:
    moments = np.array(["2020-02-02", "2020-02-02"], dtype="datetime64[us]")
    with pytest.raises(DataInvalid, match="ascend"):
        log_of(home).register("train", A, span_of(), np.array([1.0, 2.0]), moments, "loss", {})


@pytest.mark.parametrize("value", [{1, 2}, float("nan"), np.float64("inf"), np.int64(3)])
def test_a_configuration_that_is_no_plain_data_is_refused(home: Path, value: Any) -> None:
    with pytest.raises(RequestInvalid, match="plain data"):
        add(log_of(home), {"x": value})
    assert not home.exists()


@pytest.mark.parametrize(
    "wrong",
    [{"start": datetime(2020, 1, 1)}, {"end": NOW.replace(year=2019)}, {"instruments": ()}],  # noqa: DTZ001
)
def test_a_span_that_is_none_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(RequestInvalid, match="span"):
        replace(span_of(), **wrong)


def test_a_series_that_was_changed_or_lost_is_found(home: Path) -> None:
    log = log_of(home)
    trials = [add(log, {"n": n}) for n in range(3)]
    files = [home / "experiments" / "trials" / f"{trial.key}.parquet" for trial in trials]
    assert (log.verify().problems, log.unlogged()) == ((), [])
    files[0].write_bytes(files[0].read_bytes()[:-1] + b"x")
    files[2].unlink()
    assert [number for number, _ in log.verify().problems] == [1, 3]
    with pytest.raises(DataCorrupt, match="not the file that was logged"):
        log.matrix(span_of(), "return")


def test_a_log_that_was_removed_leaves_files_that_tell(home: Path) -> None:
    log = log_of(home)
    trial = add(log, A)
    for name in ("trials.jsonl", "trials.head"):
        (home / "experiments" / name).unlink()
    assert log_of(home).trials() == []
    assert [path.stem for path in log_of(home).unlogged()] == [trial.key]


REGISTER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from experiments.trials_made import add, log_of
log = log_of(Path(sys.argv[2]))
for number in range(15):
    add(log, {"number": number if number % 2 else [sys.argv[3], number]})
"""


def test_two_processes_that_register_at_the_same_time_lose_and_double_nothing(home: Path) -> None:
    """Each tries eight configurations of its own and seven that the other tries too."""
    tests = Path(__file__).parents[1]
    command = [sys.executable, "-c", REGISTER, str(tests), str(home)]
    running = [subprocess.Popen([*command, who]) for who in ("a", "b")]
    assert [process.wait() for process in running] == [0, 0]
    log = log_of(home)
    trials = log.trials()
    assert log.verify().problems == ()
    assert (len(trials), log.count(span_of()), sum(t.repeats is not None for t in trials)) == (30, 23, 7)
