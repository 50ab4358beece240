"""The audit finds every planted leak and accuses nobody who is innocent."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from audit.corpus import GUILTY, INNOCENT, demanding
from forecastle.audit import Subject, audit, cut_points, poisoned
from forecastle.audit.leaks import _apart
from forecastle.errors import DataInvalid, DataMissing
from forecastle.nouns import Candles, History
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
    report = audit([Subject(name, INNOCENT[name])], history, 200, 0)
    assert report.findings == ()
    assert report.clean
    assert report.cuts == 200
    assert np.isfinite(INNOCENT[name](history)["x"].drop_nulls().drop_nans().to_numpy()).sum() > 30, "something to see"


def test_a_transformer_in_the_fold_is_within_the_tolerance_and_one_fitted_on_all_rows_is_not(history: History) -> None:
    names = ("scaler inside the fold", "scaler handed all rows", "global scaler")
    subjects = [Subject(name, {**GUILTY, **INNOCENT}[name], tolerance=1e-9) for name in names]
    assert audit(subjects, history, 60).accused() == names[1:]


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


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("splits to come", {"poison"}),  # a rule that nothing in the real future sets off
        ("place in the whole", {"cut"}),  # how many bars come is no secret to the poison
        ("unfinished candle", {"future"}),
    ],
)
def test_each_of_both_looks_sees_what_the_other_does_not(history: History, name: str, kinds: set[str]) -> None:
    assert {f.kind for f in audit([Subject(name, GUILTY[name])], history).findings} == kinds


def test_the_history_is_not_changed(history: History) -> None:
    def frames() -> list[pl.DataFrame]:
        assert history.finer is not None
        candles = (history.candles, history.finer, history.peers[0].candles)
        return [c.frame for c in candles] + [o.frame for o in history.observations]

    before = [frame.clone() for frame in frames()]
    hashes = [frame.hash_rows().sum() for frame in before]  # a clone shares its memory
    audit([Subject("x", INNOCENT["lag"])], history, cuts=20)
    assert all(mine.equals(theirs) for mine, theirs in zip(frames(), before, strict=True))
    assert [frame.hash_rows().sum() for frame in frames()] == hashes


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
    assert audit([Subject("rounded", rounded, tolerance=1e-6)], history, 50).clean


def test_values_are_apart_by_any_bit_or_by_more_than_the_tolerance() -> None:
    one = np.array([[1.0, np.nan, 0.0, np.inf, np.inf, 1.0, np.inf]])
    other = np.array([[np.nextafter(1.0, 2.0), np.nan, -0.0, np.inf, 1.0, np.nan, -np.inf]])
    assert _apart(one, other, 0.0).tolist() == [[True, False, True, False, True, True, True]]
    assert _apart(one, other, 1e-9).tolist() == [[False, False, False, False, True, True, True]]
    assert _apart(np.array([[2.0]]), np.array([[2.0 * (1 + 0.9e-9)]]), 1e-9).tolist() == [[False]]
    assert _apart(np.array([[2.0]]), np.array([[2.0 * (1 + 1.1e-9)]]), 1e-9).tolist() == [[True]]


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
        if 150 <= len(history.candles) < 250:
            raise ValueError("broken")
        return history.candles.frame.select(known_at="close_time", x="close")

    (found,) = audit([Subject("breaks", breaks)], history, 50, 1).findings
    assert (found.kind, found.detail) == ("error", "ValueError: broken")

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


def test_rows_are_known_in_utc(history: History) -> None:
    frame = history.candles.frame.select(known_at=pl.col("close_time").dt.convert_time_zone("Asia/Tokyo"), x="close")
    for wrong in (frame, frame.drop("known_at")):
        with pytest.raises(DataInvalid, match="no known_at in UTC"):
            audit([Subject("elsewhere", lambda history, wrong=wrong: wrong)], history)  # type: ignore[misc]


def test_a_history_without_bars_is_refused_and_a_short_one_says_how_often_it_was_cut() -> None:
    subject = Subject("lag", INNOCENT["lag"])
    with pytest.raises(DataInvalid, match="no bar"):
        audit([subject], History(make_candles(0)))
    assert audit([subject], History(make_candles(3))).cuts == 10  # 3 closes, 3 just after, 2 just before, 2 in a bar


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


def test_every_hole_is_looked_into_whatever_the_seed(history: History) -> None:
    """One hole among many rows is missed by a random cut now and then: each has cuts of its own."""
    whole = INNOCENT["window to the right"](history)
    opens, closes = history.candles.times("open_time"), history.candles.times("close_time")
    peer = history.peers[0].candles
    holes = [(closes[89], opens[90]), (closes[177], opens[178])]
    holes += [(peer.times("close_time")[49], peer.times("open_time")[50])]
    assert all(end > begin for begin, end in holes)
    for seed in range(40):
        cuts = cut_points(history, whole, 200, seed)
        assert cuts.size == 200
        for begin, end in holes:
            assert ((cuts > begin) & (cuts < end)).any(), (seed, begin)


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


def test_poison_touches_what_lies_inside_a_bar_and_between_markets(history: History) -> None:
    """Factors that several prices share would leave their ratio as it was, and hide a leak of it."""
    names = ("BTC-USDT", "SOL-USDT")  # as many bars each: the same draws would give them the same poison
    peers = [History(make_candles(300, instrument=n, start="2023-12-01", seed=i)) for i, n in enumerate(names)]
    three = History(history.candles, peers=tuple(peers))
    bad = poisoned(three, history.candles.start)

    def inside(candles: Candles) -> pl.Series:
        return candles.frame["close"] / candles.frame["open"]

    def beside(one: History, other: History) -> pl.Series:
        both = one.candles.frame.join(other.candles.frame, on="close_time")
        return both["close"] / both["close_right"]

    for mine, theirs in (
        (inside(three.candles), inside(bad.candles)),
        (beside(three, three.peers[0]), beside(bad, bad.peers[0])),
        (beside(*three.peers), beside(*bad.peers)),
    ):
        moved = np.abs(np.log((mine / theirs).to_numpy()))
        assert np.mean(moved > 0.01) > 0.95


def test_poisoned_closes_without_a_range_have_none() -> None:
    candles = make_candles(40)
    frame = candles.frame.with_columns(pl.col("close").alias(name) for name in ("open", "high", "low"))
    closes = Candles(candles.instrument, "1d", "test", frame, prices="close")
    bad = poisoned(History(closes), closes.frame["close_time"][20]).candles.frame
    for name in ("open", "high", "low"):
        assert bad[name].equals(bad["close"].alias(name))
    assert (bad["close"][21:] != frame["close"][21:]).all()


def test_a_series_from_before_1970_can_be_poisoned() -> None:
    """The moment is part of the seed, and before 1970 it is negative."""
    history = History(make_candles(40, start="1965-01-01"))
    before = poisoned(history, history.candles.frame["close_time"][20]).candles.frame
    assert (before["close"][21:] != history.candles.frame["close"][21:]).all()
