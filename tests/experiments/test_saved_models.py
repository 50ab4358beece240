"""Models as files: the same sigma back, and nothing used of a file that is not the one that was written."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forecastle.app import saved
from forecastle.clock import FixedClock
from forecastle.errors import DataCorrupt, DataMissing, ForecastRefused, RequestInvalid, StorageUnwritable
from forecastle.models.ewma import Ewma
from forecastle.models.fitted_garch import FittedGarch
from forecastle.models.garch import GarchModel
from forecastle.nouns import Candles, FitStatus
from forecastle.workspace import Workspace
from making import make_candles


@pytest.fixture(scope="module")
def candles(bundled_spx: Candles) -> Candles:
    return bundled_spx.last(1001)


@pytest.fixture(scope="module")
def fitted(candles: Candles) -> FittedGarch:
    return GarchModel(dist="t").fit(candles)


@pytest.mark.parametrize(
    "model",
    [
        GarchModel(dist="t"),
        GarchModel(p=2, q=2, dist="normal"),
        GarchModel(o=1, dist="t", mean="zero"),
        GarchModel(vol="egarch", o=1, dist="skewt"),
    ],
    ids=lambda model: model.label,
)
def test_the_sigma_comes_back_bit_for_bit(workspace: Workspace, candles: Candles, model: GarchModel) -> None:
    fitted = model.fit(candles)
    written = saved.save(workspace, fitted)
    assert written.path == workspace.settings.home / "models" / "garch" / "20261120" / "model.json"
    loaded = saved.load(workspace, "20261120")
    again = loaded.on(candles)
    np.testing.assert_array_equal(again.conditional_volatility(), fitted.conditional_volatility())
    assert dict(again.params) == dict(fitted.params)
    assert again.model_hash == fitted.model_hash
    assert again.model == model
    for horizon in (1, 5):
        ours, theirs = loaded.forecast(candles, horizon), fitted.forecast(horizon)
        assert (ours.sigma, ours.var(0.01), ours.es(0.01)) == (theirs.sigma, theirs.var(0.01), theirs.es(0.01))
        assert (ours.trained_until, ours.data_hash) == (theirs.trained_until, theirs.data_hash)


def test_the_file_says_where_it_comes_from(workspace: Workspace, fitted: FittedGarch, candles: Candles) -> None:
    document = json.loads(saved.save(workspace, fitted).path.read_text())
    assert document["schema"] == "forecastle/saved-model/1"
    assert document["parameters"] == dict(fitted.params)
    assert document["data"]["data_hash"] == candles.data_hash
    assert document["data"]["trained_until"] == "2018-12-31T21:00:00+00:00"
    assert document["made"]["at"] == "2026-11-20T12:00:00+00:00"
    assert {"forecastle", "numpy", "arch"} <= set(document["made"]["versions"])


def test_later_candles_are_forecast_with_parameters_that_say_their_age(
    workspace: Workspace, bundled_spx: Candles
) -> None:
    early = bundled_spx.last(1201).between(None, datetime(2018, 1, 1, tzinfo=UTC))
    fitted = GarchModel(dist="t").fit(early)
    loaded = saved.load(workspace, saved.save(workspace, fitted).name)
    late = bundled_spx.last(500)
    forecast = loaded.forecast(late)
    assert forecast.sigma == fitted.distribution(late.log_returns().values, 1).sigma
    assert forecast.trained_until == early.end
    assert forecast.as_of == late.end
    with pytest.raises(ForecastRefused, match="end 2016"):
        loaded.on(bundled_spx.between(None, datetime(2017, 1, 1, tzinfo=UTC)))
    with pytest.raises(RequestInvalid, match="BTC-USDT"):
        loaded.on(make_candles(400, start="2020-01-01"))


def test_a_day_holds_many_models_and_none_is_replaced(workspace: Workspace, fitted: FittedGarch) -> None:
    first = saved.save(workspace, fitted)
    before = first.path.read_bytes()
    with ThreadPoolExecutor(8) as pool:
        names = list(pool.map(lambda _: saved.save(workspace, fitted).name, range(11)))
    assert sorted(names) == sorted(f"20261120-{i}" for i in range(2, 13))
    assert first.path.read_bytes() == before
    saved.save(Workspace(workspace.settings, (), FixedClock(datetime(2026, 9, 1, tzinfo=UTC))), fitted)
    assert saved.saved_names(workspace) == ["20260901", "20261120", *(f"20261120-{i}" for i in range(2, 13))]
    for name in names:
        assert saved.load(workspace, name).name == name


def test_what_is_not_there_is_named(workspace: Workspace, fitted: FittedGarch) -> None:
    with pytest.raises(DataMissing, match="20200101") as missing:
        saved.load(workspace, "20200101")
    assert "nothing" in missing.value.why
    saved.save(workspace, fitted)
    for name in ("../garch/20261120", "20261120/model.json", ""):
        with pytest.raises(DataMissing) as missing:
            saved.load(workspace, name)
        assert "20261120" in missing.value.why
    with pytest.raises(DataMissing, match="cannot be read"):
        saved.read(workspace.settings.models)


def test_only_a_fit_that_may_be_served_is_saved(workspace: Workspace, fitted: FittedGarch, candles: Candles) -> None:
    failed = GarchModel(dist="t").fit(candles)
    object.__setattr__(failed, "status", FitStatus(converged=False, reason="the optimiser stopped"))
    with pytest.raises(ForecastRefused, match="did not converge"):
        saved.save(workspace, failed)
    with pytest.raises(RequestInvalid, match="bare array"):
        saved.save(workspace, GarchModel(dist="t").fit(candles.log_returns()))
    with pytest.raises(RequestInvalid, match="FittedEwma"):
        saved.save(workspace, Ewma().fit(candles))  # type: ignore[arg-type]
    assert not (workspace.settings.home / "models").exists()


def test_a_full_disk_leaves_nothing_behind(
    workspace: Workspace, fitted: FittedGarch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes) -> None:
        raise StorageUnwritable(f"There is no room for {path}.", "Full.", "Free some.")

    with monkeypatch.context() as patch:
        patch.setattr(saved, "write_bytes", full)
        with pytest.raises(StorageUnwritable):
            saved.save(workspace, fitted)
    assert list((workspace.settings.models / "garch").iterdir()) == []
    assert saved.save(workspace, fitted).name == "20261120"


Edit = Callable[[dict[str, Any]], None]


def _set(*place: str, to: object) -> Edit:
    def edit(document: dict[str, Any]) -> None:
        inside = document
        for name in place[:-1]:
            inside = inside[name]
        inside[place[-1]] = to

    return edit


def _rename(document: dict[str, Any]) -> None:
    document["parameters"]["sigma"] = document["parameters"].pop("omega")


def _drop(document: dict[str, Any]) -> None:
    del document["parameters"]["nu"]


EDITS: dict[str, Edit] = {
    "a parameter": _set("parameters", "omega", to=1.0),
    "a renamed parameter": _rename,
    "a parameter too few": _drop,
    "a parameter too many": _set("parameters", "beta[2]", to=0.1),
    "a parameter as text": _set("parameters", "omega", to="1e-6"),
    "a parameter as a truth": _set("parameters", "omega", to=True),
    "an unknown field": _set("run", to="rm"),
    "an unknown field inside": _set("model", "power", to=2.0),
    "another kind": _set("kind", to="forecastle.models.ewma:Ewma"),
    "another order": _set("model", "p", to=2),
    "an order that is none": _set("model", "p", to=99),
    "a distribution that is none": _set("model", "dist", to="cauchy"),
    "a fit that failed": _set("status", "converged", to=False),
    "another name": _set("name", to="20200101"),
    "a later schema": _set("schema", to="forecastle/saved-model/2"),
    "a hash that is none": _set("data", "data_hash", to="abc"),
    "a time that is none": _set("data", "trained_until", to="yesterday"),
    "a time without a zone": _set("data", "trained_until", to="2018-12-31T21:00:00"),
}


@pytest.mark.parametrize("sealed", [False, True], ids=["as edited", "with a digest that fits"])
@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_an_edited_file_is_refused(workspace: Workspace, fitted: FittedGarch, edit: Edit, sealed: bool) -> None:
    path = saved.save(workspace, fitted).path
    document = json.loads(path.read_text())
    edit(document)
    if sealed:
        content = {name: value for name, value in document.items() if name != "sha256"}
        document["sha256"] = saved._digest(content)
        if edit is EDITS["a parameter"]:
            assert saved.read(path.parent / _write(path, document)).record.parameters["omega"] == 1.0, "no signature"
            return
    with pytest.raises(DataCorrupt, match="not the model that was saved"):
        saved.read(path.parent / _write(path, document))


def _write(path: Path, document: dict[str, Any]) -> str:
    path.write_text(json.dumps(document))
    return path.name


@pytest.mark.parametrize(
    "content",
    [
        b"", b"[]", b"\x80\x04\x95\x0c\x00\x00\x00", b'{"schema": "forecastle/saved-model/1"}', b"[" * 50_000,
        b'{"schema": 1, "schema": 2}', b'{"schema": "forecastle/saved-model/1", "parameters": {"omega": NaN}}',
        b"\xff\xfe{}", b" " * 1_000_001, b'{"schema": "\\ud800"}',
    ],
)  # fmt: skip
def test_what_is_no_model_at_all_is_refused(workspace: Workspace, content: bytes) -> None:
    path = workspace.settings.models / "garch" / "20261120" / "model.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(DataCorrupt, match="not the model that was saved"):
        saved.load(workspace, "20261120")


def test_a_file_in_another_folder_is_refused(workspace: Workspace, fitted: FittedGarch) -> None:
    path = saved.save(workspace, fitted).path
    path.parent.rename(path.parent.with_name("20261121"))
    with pytest.raises(DataCorrupt) as broken:
        saved.load(workspace, "20261121")
    assert broken.value.why == "It was written as 20261120."


def test_no_damaged_byte_passes_for_the_model(workspace: Workspace, fitted: FittedGarch) -> None:
    """One byte in seven, in turn: refused, or, where it was a blank between fields, the very same record."""
    made = saved.save(workspace, fitted)
    whole = made.path.read_bytes()
    refused = 0
    places = range(0, len(whole), 7)
    for place in places:
        damaged = bytearray(whole)
        damaged[place] ^= 0x01 if whole[place : place + 1].strip() else 0x2A
        made.path.write_bytes(bytes(damaged))
        try:
            assert saved.read(made.path).record == made.record, place
        except DataCorrupt:
            refused += 1
    assert refused > 0.6 * len(places)
