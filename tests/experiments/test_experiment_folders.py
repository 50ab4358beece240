"""Folders of experiments: their names, their header of ten fields, their results read back and checked."""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from experiments.folders_made import experiment, predictions_of, results_of
from experiments.trials_made import NOW
from forecastle.clock import FixedClock
from forecastle.errors import DataCorrupt, DataInvalid, DataMissing, NameUnknown, RequestInvalid, StorageUnwritable
from forecastle.experiments.folder import begin, find, folders, slug
from forecastle.experiments.header import EXPLAINED, TenFields, parse, read_header, template, write_header
from forecastle.experiments.results import FILE, PREDICTIONS, read_results, write_results

ROOT = Path(__file__).parents[2]
CLOCK = FixedClock(NOW)
OUTCOME = np.array([1.0, 0.0, 1.0, 1.0])
FORECAST = {"ridge": np.array([0.6, 0.4, 0.5, 0.7])}
FIELDS = TenFields(
    id="20261120_btc", owner="Ada | Grace", date="2026-11-20", objective="Is it <b>so</b>?\nOr not?",
    dataset="BTC & ETH", config_file="configs/a.yaml", model="ridge", metrics="Brier 0.25 [0.24, 0.26]",
    backtest_summary="", notes="a\\|b &amp;",
)  # fmt: skip


def test_a_folder_is_named_by_its_day_and_name(home: Path) -> None:
    made = [begin(home, CLOCK, "BTC direction") for _ in range(3)]
    assert [f.id for f in made] == ["20261120_btc-direction", "20261120_btc-direction-2", "20261120_btc-direction-3"]
    assert made[1].path == home / "experiments" / "experiment_2026-11-20_20261120_btc-direction-2"
    assert made[1].path.is_dir()
    assert folders(home) == made


def test_folders_are_in_the_order_of_days_and_numbers(home: Path) -> None:
    for _ in range(11):
        begin(home, CLOCK, "b")
    begin(home, FixedClock(NOW.replace(year=2025)), "z")
    (home / "experiments" / "experiment_of_mine").mkdir()
    (home / "experiments" / "experiment_2026-11-20_20261121_a").mkdir()
    names = [f.id for f in folders(home)]
    assert names == ["20251120_z", "20261120_b", *(f"20261120_b-{n}" for n in range(2, 12))]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("../../etc/passwd", "etc-passwd"), ("  A_b--C ", "a-b-c"), ("x" * 60, "x" * 40), ("Größe 2", "gr-e-2")],
)
def test_a_name_is_safe_in_a_path(name: str, expected: str) -> None:
    assert slug(name) == expected


def test_a_name_of_nothing_and_a_home_that_cannot_be_written_are_refused(home: Path) -> None:
    with pytest.raises(RequestInvalid, match="cannot name"):
        begin(home, CLOCK, "../..")
    home.write_text("")
    with pytest.raises(StorageUnwritable):
        begin(home, CLOCK, "a")


def test_an_experiment_is_found_by_its_id_or_the_nearest_is_named(home: Path) -> None:
    with pytest.raises(DataMissing, match="none at all"):
        find(home, "20261120_btc")
    made = begin(home, CLOCK, "btc-direction")
    assert find(home, made.id) == made
    with pytest.raises(NameUnknown, match="Did you mean '20261120_btc-direction'"):
        find(home, "20261120_btc-directoin")


def test_the_template_is_the_one_that_is_committed_and_has_ten_fields() -> None:
    text = (ROOT / "experiments" / "TEMPLATE.md").read_text(encoding="utf-8")
    assert text == template()
    assert parse(text) == EXPLAINED
    assert len(EXPLAINED) == 10


def test_a_filled_header_has_exactly_the_fields_of_the_template(tmp_path: Path) -> None:
    path = write_header(tmp_path, FIELDS, body="| a | b |\n|---|---|\n| 1 | 2 |", file="report.md")
    text = path.read_text(encoding="utf-8")
    assert list(parse(text)) == list(parse((ROOT / "experiments" / "TEMPLATE.md").read_text(encoding="utf-8")))
    assert read_header(path) == FIELDS
    assert "<b>" not in text
    assert text.endswith("| 1 | 2 |\n")


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r")), min_size=10, max_size=10))
def test_any_text_reads_back(texts: list[str]) -> None:
    fields = TenFields(*(text.strip() for text in texts))
    with tempfile.TemporaryDirectory() as folder:
        assert read_header(write_header(Path(folder), fields)) == fields


@pytest.mark.parametrize("change", [("| owner |", "| boss |"), ("|---|---|", "| - | - |"), ("| notes |", "notes |")])
def test_a_header_with_other_fields_is_refused(tmp_path: Path, change: tuple[str, str]) -> None:
    path = write_header(tmp_path, FIELDS)
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(DataCorrupt, match="It has ten"):
        read_header(path)
    with pytest.raises(DataMissing):
        read_header(tmp_path / "none.md")


def test_results_are_read_back_as_they_were_written(home: Path) -> None:
    frame = predictions_of(FORECAST, OUTCOME)
    folder = experiment(home, "btc", frame.reverse(), ["ridge"])
    found = read_results(folder)
    assert found.results == results_of(folder, ["ridge"])
    assert found.predictions.equals(frame), "in the order of time"
    assert sorted(path.name for path in folder.path.iterdir()) == [PREDICTIONS, FILE]
    document = json.loads((folder.path / FILE).read_text())
    assert document["schema"] == "forecastle/experiment/1"
    content = (folder.path / PREDICTIONS).read_bytes()
    assert document["predictions"] == {"rows": 4, "sha256": hashlib.sha256(content).hexdigest()}


def test_several_instruments_and_horizons_are_kept_apart(home: Path) -> None:
    parts = [
        predictions_of(FORECAST, OUTCOME, instrument=[name] * 4, horizon_=None).drop("horizon_").with_columns(
            pl.lit(n, pl.Int64).alias("horizon")
        )
        for name in ("A", "B")
        for n in (1, 5)
    ]  # fmt: skip
    folder = experiment(home, "panel", pl.concat(parts), ["ridge"])
    assert read_results(folder).predictions.columns[4:6] == ["instrument", "horizon"]
    with pytest.raises(DataInvalid, match="a row twice"):
        write_results(folder, results_of(folder, ["ridge"]), pl.concat([*parts, parts[0]]))


NAN = float("nan")


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (predictions_of(FORECAST, OUTCOME).clear(), "no row"),
        (predictions_of({"ridge": np.array([0.1, NAN, 0.1, 0.1])}, OUTCOME), "NaN"),
        (predictions_of(FORECAST, np.array([1.0, NAN, 0.0, 0.0])), "NaN"),
        (predictions_of(FORECAST, OUTCOME, horizon=0), "no later"),
        (predictions_of({"ridge": np.array([1, 0, 1, 1])}, OUTCOME), "ridge"),
        (predictions_of({"lasso": FORECAST["ridge"]}, OUTCOME), "lasso"),
        (predictions_of(FORECAST, OUTCOME).drop("fold"), "fold"),
        (predictions_of(FORECAST, OUTCOME).with_columns(pl.col("known_at").dt.replace_time_zone(None)), "known_at"),
        (predictions_of(FORECAST, OUTCOME).with_columns(outcome=pl.lit(None, pl.Float64)), "without outcome"),
    ],
)  # fmt: skip
def test_predictions_that_are_none_are_refused(home: Path, frame: pl.DataFrame, words: str) -> None:
    folder = begin(home, CLOCK, "btc")
    with pytest.raises(DataInvalid, match=words):
        write_results(folder, results_of(folder, ["ridge"]), frame)
    assert list(folder.path.iterdir()) == []


def test_a_learner_may_be_silent(home: Path) -> None:
    frame = predictions_of(FORECAST, OUTCOME).with_columns(ridge=pl.Series([0.1, None, 0.2, 0.3]))
    assert read_results(experiment(home, "btc", frame, ["ridge"])).predictions["ridge"].null_count() == 1


def test_results_of_another_folder_are_refused(home: Path) -> None:
    first, second = begin(home, CLOCK, "btc"), begin(home, CLOCK, "btc")
    with pytest.raises(DataInvalid, match="folder is that of"):
        write_results(second, results_of(first, ["ridge"]), predictions_of(FORECAST, OUTCOME))


@pytest.mark.parametrize(
    "wrong",
    [{"seed": "7"}, {"scores": {"ridge": {"brier": {"value": NAN}}}}, {"config_fingerprint": "x"}, {"extra": 1},
     {"made_at": "2026-11-20T12:00:00"}, {"folds": [{"number": 0}]}, {"trials": -1}],
)  # fmt: skip
def test_results_that_are_none_are_refused(home: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        results_of(begin(home, CLOCK, "btc"), ["ridge"], **wrong)


def _edit(document: dict[str, Any]) -> None:
    document["scores"]["ridge"]["brier"]["value"] = 0.1


def _other_id(document: dict[str, Any]) -> None:
    document["id"] = "20261120_other"


def _no_seal(document: dict[str, Any]) -> None:
    del document["predictions"]


def _schema(document: dict[str, Any]) -> None:
    document["schema"] = "forecastle/experiment/2"


def _unknown(document: dict[str, Any]) -> None:
    document["more"] = 1


@pytest.mark.parametrize(
    ("edit", "again", "words"),
    [
        (_edit, False, "its digest is not"), (_other_id, True, "written as 20261120_other"),
        (_no_seal, True, "which predictions"), (_schema, True, "its schema"), (_unknown, True, "more"),
    ],
)  # fmt: skip
def test_an_edited_file_is_refused(home: Path, edit: Any, again: bool, words: str) -> None:
    """``again``: the digest was made anew, as somebody who edits on purpose would."""
    folder = experiment(home, "btc", predictions_of(FORECAST, OUTCOME), ["ridge"])
    document = json.loads((folder.path / FILE).read_text())
    edit(document)
    if again:
        rest = {k: v for k, v in document.items() if k != "sha256"}
        text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
        document["sha256"] = hashlib.sha256(text.encode()).hexdigest()
    (folder.path / FILE).write_text(json.dumps(document))
    with pytest.raises(DataCorrupt, match=f"(?i){words}"):
        read_results(folder)


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b'{"a":1,"a":2}', b'{"a":NaN}', b"\xff", b"[" * 100_000])
def test_a_file_that_is_no_document_is_refused(home: Path, content: bytes) -> None:
    folder = begin(home, CLOCK, "btc")
    with pytest.raises(DataMissing, match="not finished"):
        read_results(folder)
    (folder.path / FILE).write_bytes(content)
    with pytest.raises(DataCorrupt):
        read_results(folder)


def test_predictions_that_were_changed_or_lost_are_refused(home: Path) -> None:
    folder = experiment(home, "btc", predictions_of(FORECAST, OUTCOME), ["ridge"])
    path = folder.path / PREDICTIONS
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(DataCorrupt, match="not what was written"):
        _ = read_results(folder).predictions
    path.unlink()
    with pytest.raises(DataMissing):
        _ = read_results(folder).predictions
