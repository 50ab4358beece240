"""A model folder is used only where every byte is as written and looks like what its name says; nothing of it runs."""

from __future__ import annotations

import json
import os
import pickle
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forecastle.errors import DataCorrupt, DataMissing, ForecastleError, StorageUnwritable
from forecastle.lake import _model_kinds, model_files
from forecastle.lake.model_files import MANIFEST, read_model, write_model
from model_attacks import ABOUT, CONTENTS, FILES, RAW, bomb, disguised, make, sign

LIBRARIES = ("onnx", "onnxruntime", "lightgbm", "xgboost", "safetensors", "torch", "joblib", "cloudpickle")
RUNS = ("pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "socket.connect", "os.mkdir")
_SEEN: list[str] | None = None
_INSIDE = Path()


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    """Write down, while somebody watches, what the interpreter says it does: runs, imports, opens."""
    if _SEEN is None:
        return
    first = str(arguments[0]) if arguments else ""
    opens = event == "open" and not isinstance(arguments[0], int) and not Path(first).is_relative_to(_INSIDE)
    imports = event == "import" and first.partition(".")[0] in LIBRARIES
    if event in RUNS or imports or opens:
        _SEEN.append(f"{event} {first}")


sys.addaudithook(_hear)


@contextmanager
def _watched(folder: Path) -> Iterator[list[str]]:
    global _SEEN, _INSIDE
    _SEEN, _INSIDE = [], folder
    try:
        yield _SEEN
    finally:
        _SEEN = None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make(tmp_path / "m")


def _refused(folder: Path) -> DataCorrupt:
    """Return the error of a folder; no library was loaded, nothing ran, and nothing outside of it was opened."""
    with _watched(folder) as seen, pytest.raises(DataCorrupt) as caught:
        read_model(folder)
    assert seen == []
    assert len(str(caught.value).splitlines()) == 3
    return caught.value


def test_a_model_reads_back_as_it_was_written(folder: Path) -> None:
    with _watched(folder) as seen:
        model = read_model(folder)
    assert dict(model.files) == FILES
    assert dict(model.about) == ABOUT
    assert len(model.digest) == 64
    assert seen == []


@pytest.mark.parametrize("attack", RAW)
def test_a_folder_that_was_changed_is_refused(attack: str, folder: Path) -> None:
    RAW[attack](folder)
    why = _refused(folder).why
    if attack.startswith("the manifest names"):  # and it is the name that is refused, not what lies there
        assert why.endswith("is no name of a model file.")


@pytest.mark.parametrize("content", CONTENTS)
def test_a_file_that_is_not_what_it_says_is_refused_with_a_right_digest(
    content: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The manifest fits; the kind alone stands in the way, and it is what refuses: without it the folder is taken."""
    name, changed = CONTENTS[content]
    (folder / name).write_bytes(changed)
    sign(folder)
    assert name in _refused(folder).why
    with pytest.raises(DataCorrupt):
        write_model(folder.with_name("new"), {name: changed}, {})
    assert not folder.with_name("new").exists()
    monkeypatch.setattr(model_files, "check", lambda name, content: None)
    assert read_model(folder).files[name] == changed


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", disguised(Path("mark")))
def test_nothing_that_would_run_passes_under_another_name(name: str, kind: str, folder: Path, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    (folder / name).write_bytes(disguised(mark)[kind])
    sign(folder)
    _refused(folder)
    assert not mark.exists()


def test_the_watch_sees_what_it_is_for(tmp_path: Path) -> None:
    """The pickle of the attacks works where it is loaded, and a library, or a file elsewhere, is heard of."""
    mark = tmp_path / "mark"
    sys.modules.pop("joblib", None)
    with _watched(tmp_path / "m") as seen:
        pickle.loads(bomb(mark))
        (tmp_path / "other").write_bytes(b"")
        import joblib  # type: ignore[import-untyped]
    assert mark.is_dir()
    assert joblib.__name__ == "joblib"
    assert {"os.mkdir", "open", "import", "pickle.find_class"} <= {line.split()[0] for line in seen}


def test_a_folder_that_is_not_there_is_missing_and_not_broken(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="There is no model at"):
        read_model(tmp_path / "m")


def test_files_that_are_too_many_bytes_together_are_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_files, "TOTAL", sum(map(len, FILES.values())))
    read_model(folder)
    monkeypatch.setattr(model_files, "TOTAL", sum(map(len, FILES.values())) - 1)
    assert "lists more than" in _refused(folder).why


def test_a_file_may_nest_as_deep_as_told_and_brackets_in_texts_do_not_count() -> None:
    deepest = b'{"a":' + b"[" * (_model_kinds.DEEPEST - 1) + b'"]]\\"[[["' + b"]" * (_model_kinds.DEEPEST - 1) + b"}"
    assert _model_kinds.strict_json(deepest)
    with pytest.raises(ValueError, match="too deep"):
        _model_kinds.strict_json(deepest.replace(b'"]]', b'["]]').replace(b'[["', b'[["]'))


# --- writing


@pytest.mark.parametrize("there", ["model", "empty folder", "file", "link to nothing"])
def test_nothing_is_replaced(there: str, tmp_path: Path) -> None:
    place = tmp_path / "m"
    put: dict[str, Callable[[], object]] = {
        "model": lambda: make(place), "empty folder": place.mkdir, "file": place.touch,
        "link to nothing": lambda: place.symlink_to("nothing"),
    }  # fmt: skip
    put[there]()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(StorageUnwritable, match="is there already"):
        write_model(place, {"learner.json": b"{}"}, {})
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("call", range(1, 12))
def test_a_disk_that_fails_leaves_a_whole_model_or_none(
    call: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each fsync of a write of two files is let fail: those of the files, of their folders, of the folder above."""
    calls, real = iter(range(1, 99)), os.fsync

    def fsync(handle: int) -> None:
        if next(calls) == call:
            raise OSError(28, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    written: ForecastleError | None = None
    try:
        write_model(tmp_path / "a" / "m", {"learner.json": b"{}", "model-0.txt": b"tree\n"}, {})
    except StorageUnwritable as error:
        written = error
    left = sorted(p.name for p in (tmp_path / "a").iterdir()) if (tmp_path / "a").is_dir() else []
    assert left in ([], ["m"])
    if left:
        assert set(read_model(tmp_path / "a" / "m").files) == {"learner.json", "model-0.txt"}
    else:
        assert written is not None


@pytest.mark.parametrize(
    ("files", "about"),
    [
        ({}, {}),
        ({"../x.json": b"{}"}, {}),
        ({MANIFEST: b"{}"}, {}),
        ({"a.pkl": b"{}"}, {}),
        ({"a.json": b""}, {}),
        ({f"a{n}.json": b"{}" for n in range(201)}, {}),
        ({"a.json": b"{}"}, {"score": float("nan")}),
        ({"a.json": b"{}"}, {"score": float("inf")}),
        ({"a.json": b"{}"}, {"array": np.zeros(2)}),
        ({"a.json": b"{}"}, {1: "a key that comes back as a text"}),
        ({"a.json": b"{}"}, {"deep": json.loads("[" * 60 + "]" * 60)}),
    ],
)
def test_what_could_not_be_read_back_is_not_written(files: dict[str, bytes], about: Any, tmp_path: Path) -> None:
    with pytest.raises(DataCorrupt):
        write_model(tmp_path / "m", files, about)
    assert list(tmp_path.iterdir()) == []


# --- what the libraries themselves write


def _of_onnx() -> tuple[str, bytes]:
    from onnx import TensorProto, helper, numpy_helper

    weights = numpy_helper.from_array(np.arange(6, dtype=np.float32), "w")
    node = helper.make_node("Add", ["x", "w"], ["y"])
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [6]) for name in "xy"]
    graph = helper.make_graph([node], "g", ends[:1], ends[1:], [weights])
    return "model.onnx", helper.make_model(graph).SerializeToString()


def _of_safetensors() -> tuple[str, bytes]:
    from safetensors.numpy import save

    made: dict[str, Any] = {
        "a": np.ones((2, 3), np.float32),
        "b": np.zeros(0),
        "c": np.arange(5),
        "d": np.array([True]),
    }
    return "network.safetensors", save(made, {"kind": "lstm"})


def _of_lightgbm() -> tuple[str, bytes]:
    import lightgbm

    x = np.random.default_rng(0).normal(size=(200, 3))
    made = lightgbm.train({"verbosity": -1, "num_threads": 1}, lightgbm.Dataset(x, x[:, 0] + x[:, 1]), 3)
    return "model-0.txt", made.model_to_string().encode()


def _of_xgboost() -> tuple[str, bytes]:
    import xgboost

    x = np.random.default_rng(0).normal(size=(200, 3))
    made = xgboost.train({"nthread": 1}, xgboost.DMatrix(x, x[:, 0]), 3)
    return "0-model.json", bytes(made.save_raw("json"))


@pytest.mark.parametrize("library", [_of_onnx, _of_safetensors, _of_lightgbm, _of_xgboost])
def test_what_a_library_writes_is_taken(library: Any, tmp_path: Path) -> None:
    name, content = library()
    write_model(tmp_path / "m", {name: content}, {})
    assert read_model(tmp_path / "m").files == {name: content}


def test_weights_that_onnx_itself_puts_into_another_file_are_refused(tmp_path: Path) -> None:
    import onnx

    model = onnx.load_from_string(_of_onnx()[1])
    place = tmp_path / "x.onnx"
    onnx.save_model(model, place, save_as_external_data=True, location="weights.bin", size_threshold=0)
    with pytest.raises(DataCorrupt, match="names files elsewhere"):
        write_model(tmp_path / "m", {"model.onnx": place.read_bytes()}, {})
