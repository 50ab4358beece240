"""The table of learners: what is claimed of a signal, of noise and of harm, and over which rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from forecastle.errors import DataMissing, NameUnknown
from forecastle.nouns.scorecard import Figure, LearnerScore, ScoreTable
from forecastle.scoring import bootstrap, forecast, number
from forecastle.scoring.scorecard import Scoring

FloatArray = npt.NDArray[np.float64]
N = 800
QUICK = 99


def ups(seed: int = 1, rows: int = N, edge: float = 0.5) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Return directions and forecasts: the base rate, one that knows, one that does not, one that harms."""
    draw = np.random.default_rng(seed)
    p = np.clip(0.55 + edge * draw.normal(0.0, 0.3, rows), 0.05, 0.95)
    y = (draw.random(rows) < p).astype(np.float64)
    return y, {
        "base_rate": np.full(rows, 0.55),
        "coin": np.full(rows, 0.5),
        "knows": p,
        "guesses": np.clip(0.55 + draw.normal(0.0, 0.02, rows), 0.0, 1.0),
        "harms": np.clip(1.1 - p, 0.05, 0.95),
    }


def scoring(**changed: object) -> Scoring:
    settings: dict[str, object] = {"replications": QUICK, "naive": ("base_rate", "coin")} | changed
    return Scoring("direction_1", "base_rate", **settings)  # type: ignore[arg-type]


def by_name(table: ScoreTable) -> dict[str, LearnerScore]:
    return {s.learner: s for s in table.scores}


def test_figures_agree_with_scikit_learn_and_lie_in_their_intervals() -> None:
    y, forecasts = ups()
    table = scoring().direction(y, forecasts)
    for name, score in by_name(table).items():
        p = forecasts[name]
        assert score.figures["brier"].value == pytest.approx(brier_score_loss(y, p), rel=1e-9)
        assert score.figures["log_loss"].value == pytest.approx(log_loss(y, p), rel=1e-9)
        assert score.figures["auc"].value == pytest.approx(roc_auc_score(y, p), rel=1e-9)
        for figure in score.figures.values():
            if figure.low is not None and figure.high is not None and figure.value is not None:
                assert figure.low <= figure.value <= figure.high
    assert (table.rows, table.left_out, table.task, table.baseline) == (N, 0, "direction", "base_rate")
    assert set(table.calibration) == {"knows", "guesses", "harms"}


def test_what_is_said_of_each() -> None:
    y, forecasts = ups()
    found = by_name(scoring().direction(y, forecasts))
    assert found["base_rate"].verdict == "the baseline"
    assert found["knows"].edge
    assert found["knows"].verdict.startswith("edge over the base rate: Brier skill ")
    assert not found["guesses"].edge
    assert found["guesses"].verdict.startswith("no edge over the base rate, p = ")
    assert not found["harms"].edge
    assert found["harms"].verdict.startswith("worse than the base rate: Brier skill -")


def test_the_verdict_speaks_of_the_best_that_has_an_edge() -> None:
    y, forecasts = ups()
    told = scoring().direction(y, forecasts)
    assert told.verdict == f"knows: {by_name(told)['knows'].verdict}."
    forecasts["also"] = 0.5 * forecasts["knows"] + 0.5 * 0.55
    both = scoring().direction(y, dict(reversed(forecasts.items())))
    assert both.verdict == f"knows: {by_name(both)['knows'].verdict}. Others with an edge: also."
    del forecasts["knows"], forecasts["also"]
    none = scoring().direction(y, forecasts).verdict
    assert none.startswith("No edge over the base rate: of 2 learners guesses comes nearest, no edge")
    assert none.endswith("1 of 2 are worse than doing nothing.")
    alone = {name: forecasts[name] for name in ("base_rate", "coin")}
    assert scoring().direction(y, alone).verdict == "Only baselines were scored against the base rate."


def test_an_edge_has_to_be_worth_the_number_of_trials() -> None:
    """The same forecast, once among a few and once the best of a million that were tried."""
    y, forecasts = ups(4, 400, 0.4)
    few = by_name(scoring().direction(y, forecasts))["knows"]
    many = by_name(scoring(trials=1_000_000).direction(y, forecasts))["knows"]
    assert few.edge
    assert not many.edge
    assert many.verdict.startswith("no edge over the base rate, p = ")
    assert many.verdict.endswith("where less than 5e-08 is asked")


def test_knowing_something_and_saying_it_too_loudly_is_no_edge() -> None:
    """The losses are higher than the baseline's while the test of no skill sees what is known."""
    y, forecasts = ups()
    loud = np.where(forecasts["knows"] > 0.55, 0.97, 0.03)
    found = by_name(scoring().direction(y, {"base_rate": forecasts["base_rate"], "loud": loud}))["loud"]
    assert found.no_skill is not None
    assert found.no_skill.rejects(1e-4)
    assert not found.edge
    assert found.verdict.startswith("worse than the base rate")


def test_a_lower_loss_alone_is_no_edge() -> None:
    """The baseline is all but certain of what happens once in twenty: its log loss is ruined, and little is known."""
    draw = np.random.default_rng(1)
    rare = np.arange(1000) % 2 == 0
    y = (draw.random(1000) < np.where(rare, 0.05, 0.5)).astype(np.float64)
    base = np.where(rare, 1e-12, 0.5)
    careful = np.where(rare, 0.05, 0.5 + draw.choice([-0.2, 0.2], 1000))
    found = by_name(scoring().direction(y, {"base_rate": base, "careful": careful}))["careful"]
    assert found.against_baseline is not None
    assert found.against_baseline.statistic is not None
    assert found.against_baseline.statistic < 0.0
    assert found.against_baseline.rejects(0.01)
    assert not found.edge


def test_a_naive_forecast_that_is_better_is_said_to_be_and_wins_nothing() -> None:
    y, forecasts = ups()
    table = scoring(naive=("base_rate", "coin", "knows")).direction(y, forecasts)
    assert by_name(table)["knows"].verdict.startswith("edge over the base rate")
    assert not by_name(table)["knows"].edge
    assert table.verdict.startswith("No edge over the base rate: of 2 learners")


def test_noise_is_given_an_edge_no_more_often_than_said() -> None:
    """Three learners of nothing, 150 times: a table with any edge is at most as frequent as the 5 % that they share."""
    claimed = 0
    for seed in range(150):
        draw = np.random.default_rng(seed)
        y = (draw.random(120) < 0.55).astype(np.float64)
        noise = {f"n{k}": np.clip(0.55 + draw.normal(0.0, 0.01, 120), 0, 1) for k in range(3)}
        table = scoring(replications=1).direction(y, {"base_rate": np.full(120, 0.55)} | noise)
        claimed += any(s.edge for s in table.scores)
    assert claimed <= stats.binom.ppf(0.995, 150, 0.05)


def test_rows_that_one_did_not_forecast_are_left_out_for_all() -> None:
    y, forecasts = ups()
    y[:5], forecasts["knows"][5:25], forecasts["guesses"][20:30] = np.nan, np.nan, np.nan
    table = scoring().direction(y, forecasts)
    kept = slice(30, None)
    assert (table.rows, table.left_out) == (N - 30, 25)
    assert by_name(table)["harms"].figures["brier"].value == pytest.approx(
        brier_score_loss(y[kept], forecasts["harms"][kept])
    )


def test_what_is_not_defined_says_why() -> None:
    y, forecasts = ups()
    same = {"base_rate": forecasts["base_rate"], "copy": forecasts["base_rate"], "certain": np.ones(N)}
    found = by_name(scoring(naive=("base_rate",)).direction(y, same))
    assert found["copy"].verdict == "no edge over the base rate: the forecast is the baseline"
    assert found["copy"].figures["auc"] == Figure(0.5, 0.5, 0.5, "every forecast is the same")
    assert found["certain"].figures["log_loss"].reason == f"{int((y == 0).sum())} certain errors are held at 1e-15"
    found = by_name(scoring().direction(np.ones(N), forecasts))
    assert found["knows"].figures["auc"] == Figure(None, reason="only one direction happened")


def test_what_cannot_be_scored_is_refused() -> None:
    y, forecasts = ups()
    with pytest.raises(NameUnknown):
        scoring().direction(y, {"knows": forecasts["knows"]})
    y[39:] = np.nan
    with pytest.raises(DataMissing, match="39 rows of direction_1"):
        scoring().direction(y, forecasts)


def numbers() -> tuple[FloatArray, dict[str, FloatArray]]:
    draw = np.random.default_rng(7)
    m = draw.normal(0.0, 0.01, N)
    y = m + draw.normal(0.0, 0.02, N)
    return y, {"zero": np.zeros(N), "knows": m, "guesses": draw.normal(0.0, 0.01, N)}


def test_numbers_with_their_intervals_and_quantiles() -> None:
    """Of the last half of the rows alone; the pinball loss of normal quantiles is known in closed form."""
    y, forecasts = numbers()
    m, z = forecasts["knows"], float(stats.norm.ppf(0.95))
    levels = np.array([0.1, 0.5, 0.9])
    quantiles = {"knows": m[:, None] + 0.02 * stats.norm.ppf(levels), "guesses": np.full((N, 3), np.nan)}
    intervals = {"knows": (m - 0.02 * z, m + 0.02 * z), "guesses": (m - 0.01, m + 0.001)}
    how = Scoring("log_return_1", "zero", ("zero",), replications=QUICK, signed=True)
    unknown = np.concatenate([np.full(N // 2, np.nan), y[N // 2 :]])
    found = by_name(how.number(unknown, forecasts, intervals, 0.9, quantiles, levels))
    y, m = y[N // 2 :], m[N // 2 :]
    knows = found["knows"].figures
    assert knows["mse"].value == pytest.approx(np.mean((y - m) ** 2))
    assert knows["mae"].value == pytest.approx(np.mean(np.abs(y - m)))
    assert knows["r2_oos"].value == pytest.approx(1 - np.sum((y - m) ** 2) / np.sum(y**2))
    assert knows["correlation"].value == pytest.approx(np.corrcoef(y, m)[0, 1])
    assert knows["sign_hits"].value == pytest.approx(np.mean(np.sign(y) == np.sign(m)))
    assert knows["coverage"].value == pytest.approx(np.mean(np.abs(y - m) <= 0.02 * z))
    assert knows["coverage"].reason.startswith("90 % is asked; binomial p = ")
    assert knows["width"].value == pytest.approx(2 * 0.02 * z)
    expected = np.mean([0.02 * stats.norm.pdf(stats.norm.ppf(q)) for q in levels])
    assert knows["pinball"].value == pytest.approx(expected, rel=0.1)
    assert knows["crps"].value == pytest.approx(forecast.crps_quantiles(y, quantiles["knows"][N // 2 :], levels))
    assert "pinball" not in found["guesses"].figures
    assert found["zero"].figures["correlation"] == Figure(None, reason="the forecast does not vary")
    assert found["knows"].verdict.startswith("edge over the zero: R² out of sample ")
    assert found["guesses"].verdict.startswith("worse than the zero")


def test_numbers_of_a_size_have_no_sign() -> None:
    y, forecasts = numbers()
    table = Scoring("log_volatility_1", "zero", ("zero",), replications=QUICK).number(y, forecasts)
    assert "sign_hits" not in by_name(table)["knows"].figures


def test_labels_that_overlap_are_drawn_in_blocks_as_long() -> None:
    """Blocks of the horizon, for these correlations are too short-lived to ask for as long ones by themselves."""
    y, forecasts = numbers()
    table = Scoring("r", "zero", ("zero",), 50, seed=3, replications=QUICK).number(y, forecasts)
    m = forecasts["knows"]
    expected = bootstrap.interval(number.correlation, y, m, replications=QUICK, seed=3, block=50.0)
    figure = by_name(table)["knows"].figures["correlation"]
    assert (figure.low, figure.high) == expected
    assert max(bootstrap.block_length(y), bootstrap.block_length(m)) < 50.0


def test_the_interval_of_auc_is_that_of_scikit_learn_over_the_same_draws() -> None:
    y, forecasts = ups()
    p = np.round(forecasts["knows"], 1)

    def areas(outcome: FloatArray, ranks: FloatArray) -> FloatArray:
        return np.array([roc_auc_score(a, b) for a, b in zip(outcome, ranks, strict=True)])

    expected = bootstrap.interval(areas, y, p, replications=QUICK, seed=0, block=30.0)
    table = scoring(horizon=30).direction(y, {"base_rate": forecasts["base_rate"], "knows": p})
    figure = by_name(table)["knows"].figures["auc"]
    assert (figure.low, figure.high) == pytest.approx(expected, rel=1e-12)
