"""The audit finds every planted leak and accuses nobody who is innocent."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from audit.corpus import GUILTY, INNOCENT, demanding
from forecastle.audit import Subject, audit, cut_points, poisoned
from forecastle.errors import DataInvalid, DataMissing
from forecastle.nouns import History
from making import make_candles


@pytest.fixture(scope="module")
def history() -> History:
    return demanding()


def test_the_corpus_is_as_large_as_promised() -> None:
    assert len(GUILTY) >= 15
    assert len(INNOCENT) >= 20


@pytest.mark.parametrize(("cuts", "seed"), [(200, 0), (60, 1)])
@pytest.mark.parametrize("name", GUILTY)
def test_every_planted_leak_is_found(history: History, name: str, cuts: int, seed: int) -> None:
    report = audit([Subject(name, GUILTY[name])], history, cuts, seed)
    assert not report.clean
    assert report.accused() == (name,)
    assert any(finding.kind != "error" for finding in report.findings)


@pytest.mark.parametrize("name", INNOCENT)
def test_nobody_innocent_is_accused(history: History, name: str) -> None:
    report = audit([Subject(name, INNOCENT[name])], history, cuts=200, seed=0)
    assert report.findings == ()
    assert report.clean


def test_a_finding_says_when_and_what(history: History) -> None:
    report = audit([Subject("shift", GUILTY["negative shift"])], history, cuts=50, seed=3)
    cut = next(f for f in report.findings if f.kind == "cut")
    assert (cut.subject, cut.column) == ("shift", "x")
    assert cut.row is not None
    assert cut.row <= cut.moment
    assert cut.alone is None, "without the future the last return is not there"
    assert cut.whole is not None
    assert cut.cuts > 40
    poison = next(f for f in report.findings if f.kind == "poison")
    assert poison.alone != poison.whole


def test_each_of_both_looks_sees_what_the_other_does_not(history: History) -> None:
    """A leak that hides where data end is seen by poison alone; a row that comes too early by the cut alone."""

    def hides(history: History) -> pl.DataFrame:
        frame = history.candles.frame
        ahead = frame["close"].log().diff().shift(-1)
        seen = pl.Series(np.where(np.arange(len(ahead)) < len(ahead) - 40, ahead.fill_null(0.0), 0.0))
        keep = np.arange(len(ahead)) % 30 == 0
        return pl.DataFrame({"known_at": frame["close_time"], "x": seen}).filter(keep)

    kinds = {f.kind for f in audit([Subject("hides", hides)], history).findings}
    assert "poison" in kinds
    kinds = {f.kind for f in audit([Subject("early", GUILTY["unfinished candle"])], history).findings}
    assert "future" in kinds
    assert "row" not in kinds


def test_the_history_is_not_changed(history: History) -> None:
    before = history.candles.frame.clone(), history.observations[0].frame.clone()
    audit([Subject("x", INNOCENT["lag"])], history, cuts=20)
    assert history.candles.frame.equals(before[0])
    assert history.observations[0].frame.equals(before[1])


def test_the_same_seed_gives_the_same_report(history: History) -> None:
    subjects = [Subject(name, GUILTY[name]) for name in ("target encoding", "restated data")]
    assert audit(subjects, history, 60, 7) == audit(subjects, history, 60, 7)


def test_a_change_in_the_last_bit_is_seen_and_a_tolerance_is_kept(history: History) -> None:
    """A sum over all rows that is taken back leaves a rounding behind, and nothing else."""

    def rounded(history: History) -> pl.DataFrame:
        close = history.candles.frame["close"].to_numpy()
        offset = float(close.sum())
        return pl.DataFrame({"known_at": history.candles.frame["close_time"], "x": (close + offset) - offset})

    strict = audit([Subject("rounded", rounded)], history, 50)
    assert not strict.clean
    assert audit([Subject("rounded", rounded, tolerance=1e-6)], history, 0).clean
    cut_only = [
        f for f in audit([Subject("rounded", rounded, tolerance=1e-9)], history, 50).findings if f.kind == "cut"
    ]
    assert cut_only == []


def test_zero_has_a_sign(history: History) -> None:
    def signed(history: History) -> pl.DataFrame:
        zero = -0.0 if len(history.candles) > 150 else 0.0
        closes = history.candles.frame["close_time"]
        return pl.DataFrame({"known_at": closes, "x": np.full(len(closes), zero)})

    assert not audit([Subject("signed", signed)], history).clean


def test_a_refusal_of_few_rows_is_no_leak_and_a_crash_is_told(history: History) -> None:
    def shy(history: History) -> pl.DataFrame:
        if len(history.candles) < 100:
            raise DataMissing("Too few.", "A hundred are needed.", "Get more.")
        frame = history.candles.frame
        return frame.select(known_at="close_time", x="close").tail(len(frame) - 99)

    assert audit([Subject("shy", shy)], history).clean

    def breaks(history: History) -> pl.DataFrame:
        if len(history.candles) == 200:
            raise ValueError("broken")
        return history.candles.frame.select(known_at="close_time", x="close")

    found = audit([Subject("breaks", breaks)], history, 250, 1).findings
    assert {f.kind for f in found} <= {"error"}

    def unsure(history: History) -> pl.DataFrame:
        if len(history.candles) < 250:
            raise DataMissing("Too few.", "They are needed.", "Get more.")
        return history.candles.frame.select(known_at="close_time", x="close")

    assert {f.kind for f in audit([Subject("unsure", unsure)], history).findings} == {"row"}


def test_rows_out_of_order_are_refused(history: History) -> None:
    def backwards(history: History) -> pl.DataFrame:
        return history.candles.frame.select(known_at="close_time", x="close").reverse()

    with pytest.raises(DataInvalid, match="order of known_at"):
        audit([Subject("backwards", backwards)], history)


def test_columns_that_come_and_go_are_told(history: History) -> None:
    def fickle(history: History) -> pl.DataFrame:
        frame = history.candles.frame.select(known_at="close_time", x="close")
        return frame.with_columns(y=pl.col("x")) if len(frame) > 200 else frame

    assert {f.kind for f in audit([Subject("fickle", fickle)], history).findings} == {"row"}


# --- cuts and poison


def test_cuts_are_spread(history: History) -> None:
    whole = INNOCENT["window to the right"](history)
    cuts = cut_points(history, whole, 200, 0)
    assert cuts.size == 200
    assert (np.diff(cuts) > np.timedelta64(0, "us")).all()
    closes = history.candles.times("close_time")
    assert cuts[0] >= closes[0]
    assert (cuts <= closes[30]).sum() >= 30, "the warm-up is looked at"
    assert np.isin(cuts, closes).sum() >= 60
    assert (~np.isin(cuts, closes)).sum() >= 40, "bars are cut while they are open"
    revised = history.observations[0].frame.filter(pl.col("about").is_duplicated())["known_at"]
    near = np.isin(cuts, revised.dt.replace_time_zone(None).to_numpy())
    assert near.any()
    assert np.array_equal(cuts, cut_points(history, whole, 200, 0))
    assert not np.array_equal(cuts, cut_points(history, whole, 200, 1))


def test_few_rows_give_few_cuts() -> None:
    history = History(make_candles(3))
    cuts = cut_points(history, INNOCENT["lag"](history), 200, 0)
    assert 3 <= cuts.size <= 12


def test_poison_leaves_the_past_alone_and_spoils_the_rest(history: History) -> None:
    moment = history.candles.frame["close_time"][150]
    bad = poisoned(history, moment)
    assert bad.until(moment).candles.frame.equals(history.until(moment).candles.frame)
    assert bad.finer is not None
    assert history.finer is not None
    for mine, theirs in (
        (history.candles, bad.candles), (history.finer, bad.finer), (history.peers[0].candles, bad.peers[0].candles),
    ):  # fmt: skip
        late = mine.frame["close_time"] > moment
        for name in ("open", "high", "low", "close", "volume"):
            assert (mine.frame[name].filter(late) != theirs.frame[name].filter(late)).all(), name
            assert mine.frame[name].filter(~late).equals(theirs.frame[name].filter(~late)), name
        theirs._check_rows()  # still candles
    values = bad.observations[0].frame.filter(pl.col("known_at") > moment)["value"]
    assert (values != history.observations[0].frame.filter(pl.col("known_at") > moment)["value"]).all()
