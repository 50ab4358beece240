"""``volatility search`` as a user meets it: quiet, refittable, marked where the data were made up."""

from __future__ import annotations

import shutil
import sqlite3
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import forecastle as fc
from forecastle.app import saved
from forecastle.workspace import Workspace

if TYPE_CHECKING:
    from cli.conftest import Cli

SMALL = ("volatility", "search", "SPX.INDEX", "--start", "2016-10-01", "--dists", "normal", "--holdout", "100")


@pytest.fixture(scope="module")
def searched(filled: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home to search in: making MLflow's tables takes seconds, so that several tests share it."""
    return Path(shutil.copytree(filled, tmp_path_factory.mktemp("searched") / "home"))


def test_a_first_search_says_one_document_and_nothing_else(cli: Cli, own_copy: Path) -> None:
    ran = cli(*SMALL, "--trials", "3", "--refit", "100", "--json", home=own_copy)
    assert (ran.code, ran.err) == (0, ""), "no word of migrations, Git or telemetry"
    told = ran.document
    assert told["schema"] == "forecastle/volatility-search/1"
    assert (told["observations"], told["window"], told["holdout"]) == (564, 464, 100)
    assert told["tried"] == len(told["trials"]) <= 3
    assert [t["aic"] for t in told["trials"]] == sorted(t["aic"] for t in told["trials"])

    candles = fc.load("SPX.INDEX", start="2016-10-01", home=own_copy)
    fitted = fc.GarchModel(**told["best_params"]).fit(candles)
    assert fitted.summary().aic == told["best_aic"] == told["trials"][0]["aic"]
    loaded = saved.load(Workspace.open(own_copy), Path(told["saved"]).parent.name)
    assert loaded.forecast(candles).sigma == fitted.forecast().sigma

    with sqlite3.connect(own_copy / "mlflow.db") as db:
        (best,) = db.execute("select value from metrics where key = 'best_aic' and run_uuid = ?", (told["run_id"],))
        children = db.execute("select count(*) from tags where key = 'mlflow.parentRunId' and value = ?",
                              (told["run_id"],)).fetchone()  # fmt: skip
    db.close()
    assert best[0] == pytest.approx(told["best_aic"], abs=1e-9)
    assert children == (told["tried"],)


def test_the_table_names_the_best_the_file_and_how_to_see_the_runs(inside: Cli, searched: Path) -> None:
    ran = inside(*SMALL, "--trials", "2", "--refit", "100", home=searched)
    assert ran.code == 0, ran.err
    lines = ran.out.splitlines()
    assert "2 models" in lines[0] or "1 models" in lines[0]
    for word in ("Remark: ", "Best: GarchModel(vol='", f"Saved: {searched}", "Tracked: run "):
        assert sum(line.startswith(word) for line in lines) == 1, word
    assert lines[-1] == f"See it with: mlflow ui --backend-store-uri 'sqlite:///{searched}/mlflow.db'"


def test_made_up_data_say_so(inside: Cli, searched: Path) -> None:
    words = ("volatility", "search", "BTC-USD", "--start", "2016-06-01", "--trials", "1", "--refit", "100")
    assert inside(*words, home=searched).out.startswith("SIMULATED DATA")
    assert inside(*words, "--json", home=searched).document["simulated"] is True


@pytest.mark.parametrize("library", ["mlflow", "optuna"])
def test_without_the_extra_it_says_what_to_install(
    inside: Cli, own_copy: Path, monkeypatch: pytest.MonkeyPatch, library: str
) -> None:
    before = set(own_copy.rglob("*"))
    monkeypatch.setitem(sys.modules, library, None)
    what, why, do = inside(*SMALL, home=own_copy).complaint(3)
    assert what == "A search needs MLflow and Optuna, and they cannot be imported."
    assert library in why
    assert do == "Install it: pip install 'forecastle[track]'"
    assert set(own_copy.rglob("*")) == before


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("--dists", "cauchy"), 2, "cauchy"),
        (("--dists", ","), 2, "dists"),
        (("--trials", "0"), 2, "trials is 0"),
        (("--start", "2018-01-01", "--holdout", "100"), 4, "100 of them are held out"),
    ],
)
def test_what_cannot_be_searched_is_said(
    inside: Cli, filled: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    what, _, _ = inside("volatility", "search", "SPX.INDEX", *words, home=filled).complaint(code)
    assert said in what
    assert not (filled / "mlflow.db").exists()
