"""Where settings come from, in which order, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from forecastle.errors import ConfigurationError
from forecastle.settings import Origin, Settings, load_settings

ENGINE = "FORECASTLE__JOBS__ENGINE"
STORE = "FORECASTLE__STORE__ONLINE"


def _toml(folder: Path, text: str) -> Path:
    (folder / "forecastle.toml").write_text(text)
    return folder


def _origin(origins: list[Origin], key: str) -> Origin:
    return next(o for o in origins if o.key == key)


def _refused(folder: Path, environment: dict[str, str] | None = None) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(environment=environment or {}, folder=folder)
    error = caught.value
    assert error.exit_code == 3
    assert all((error.what, error.why, error.hint)), "an error says what, why and what to do"
    assert "\n" not in error.what + error.why + error.hint
    return error


def test_the_nearest_word_wins(tmp_path: Path) -> None:
    _toml(tmp_path, f'home = "{tmp_path}/from-file"\n[jobs]\nengine = "dask"\n[log]\nlevel = "error"\n')
    environment = {"FORECASTLE_HOME": f"{tmp_path}/from-env", ENGINE: "ray"}
    line = tmp_path / "from-line"

    steps: list[tuple[Settings, list[Origin]]] = [
        load_settings(line, environment, tmp_path),
        load_settings(None, environment, tmp_path),
        load_settings(None, {}, tmp_path),
    ]
    homes = [(s.home.name, _origin(o, "home").origin) for s, o in steps]
    assert homes == [
        ("from-line", "command line"),
        ("from-env", "environment FORECASTLE_HOME"),
        ("from-file", f"forecastle.toml in {tmp_path}"),
    ]
    assert [s.jobs.engine for s, _ in steps] == ["ray", "ray", "dask"]
    assert {s.log.level for s, _ in steps} == {"error"}, "a key that is not set nearer comes from farther"

    settings, origins = load_settings(None, {"XDG_DATA_HOME": "/x"}, tmp_path / "no-file-here")
    assert (settings.jobs.engine, settings.log.level) == ("local", "warning")
    assert _origin(origins, "jobs.engine").origin == "default"
    assert settings.store.online is settings.vectors.url is settings.tracking.uri is None, "servers are off"


def test_inside_a_checkout_the_home_is_its_data_folder(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "forecastle"\n')
    deep = tmp_path / "docs" / "deep"
    deep.mkdir(parents=True)
    settings, origins = load_settings(environment={}, folder=deep)
    assert settings.home == tmp_path / "data"
    assert _origin(origins, "home").origin == "default, inside a checkout"


@pytest.mark.parametrize("other", ['[project]\nname = "forecastle-fork"\n', 'name = "x"\n', "\xff\xfe not UTF-8"])
def test_the_project_of_somebody_else_is_no_checkout(tmp_path: Path, other: str) -> None:
    (tmp_path / "pyproject.toml").write_bytes(other.encode("latin-1"))
    settings, _ = load_settings(environment={"XDG_DATA_HOME": "/somewhere"}, folder=tmp_path)
    assert settings.home == Path("/somewhere/forecastle")


@pytest.mark.parametrize("xdg", [{}, {"XDG_DATA_HOME": ""}])
def test_elsewhere_the_home_is_in_the_data_folder_of_the_user(
    tmp_path: Path, xdg: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty XDG_DATA_HOME counts as unset: the XDG base directory specification says so."""
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("HOME", "/home/ada")
    settings, origins = load_settings(environment=xdg, folder=tmp_path)
    assert settings.home == Path("/home/ada/.local/share/forecastle")
    assert _origin(origins, "home").origin == "default, the user's data folder"


def test_a_tilde_is_the_home_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    settings, _ = load_settings(environment={"FORECASTLE_HOME": "~/lake"}, folder=tmp_path)
    assert settings.home == Path("/home/ada/lake")
    assert settings.raw == Path("/home/ada/lake/raw")


def test_an_empty_home_variable_counts_as_unset(tmp_path: Path) -> None:
    settings, _ = load_settings(environment={"FORECASTLE_HOME": "", "XDG_DATA_HOME": "/somewhere"}, folder=tmp_path)
    assert settings.home == Path("/somewhere/forecastle")


def test_a_secret_is_read_from_the_file_it_lies_in(tmp_path: Path) -> None:
    (tmp_path / "address").write_text("redis://:s3cret@cache:6379/0\n")
    settings, origins = load_settings(environment={f"{STORE}_FILE": f"{tmp_path}/address"}, folder=tmp_path)
    assert settings.store.online == "redis://:s3cret@cache:6379/0"
    shown = _origin(origins, "store.online")
    assert (shown.value, shown.origin) == ("redis://***@cache:6379/0", f"environment {STORE}_FILE")


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_secret_that_cannot_be_read_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "address").write_bytes(content)
    error = _refused(tmp_path, {f"{STORE}_FILE": f"{tmp_path}/address"})
    assert f"{STORE}_FILE" in error.what
    assert "cannot be read" in error.why


@pytest.mark.parametrize(
    "address",
    [
        "redis://ada:s3cret@cache:6379/0", "redis://:s3cret@cache", "rediss://ada:s3cret@db/1?ssl=1",
        "redis://ada:p@s3cret@cache", "redis://ada:pa%2Fs3cret@cache",
    ],
)  # fmt: skip
def test_no_password_is_ever_shown(tmp_path: Path, address: str) -> None:
    settings, origins = load_settings(environment={STORE: address}, folder=tmp_path)
    assert settings.store.online == address
    shown = _origin(origins, "store.online").value
    assert "s3cret" not in shown
    assert address.rpartition("@")[2] in shown, "the host says which server it is"


def test_an_address_of_another_kind_is_refused_without_its_password(tmp_path: Path) -> None:
    error = _refused(tmp_path, {STORE: "postgresql+psycopg://ada:s3cret@db/mlflow"})
    assert "store.online" in error.what
    assert "s3cret" not in str(error)


@pytest.mark.parametrize(
    ("variable", "near"),
    [
        ("FORECASTLE__LOG__LEVL", "log.level"),
        ("FORECASTLE__STORES__ONLINE", "store.online"),
        ("FORECASTLE__LOG__LEVEL__DEEP", "log.level"),
        ("FORECASTLE__LOG", ""),
        ("FORECASTLE__HOME_FILES", "home"),
    ],
)
def test_an_unknown_variable_is_refused_with_the_nearest_name(tmp_path: Path, variable: str, near: str) -> None:
    error = _refused(tmp_path, {variable: "x"})
    assert f"environment {variable}" in error.what
    assert near in error.hint


@pytest.mark.parametrize(
    ("text", "named", "near"),
    [
        ("[jobs]\nengin = 'ray'\n", "jobs.engin", "Did you mean 'jobs.engine'?"),
        ("hoem = '/x'\n", "hoem", "Did you mean 'home'?"),
        ("log = 'debug'\n", "log", ""),
        ("[log.level]\ndeep = 1\n", "log.level", ""),
    ],
)
def test_an_unknown_key_of_the_file_is_refused(tmp_path: Path, text: str, named: str, near: str) -> None:
    error = _refused(_toml(tmp_path, text))
    assert named in error.what
    assert "forecastle.toml" in error.what
    assert near in error.hint


@pytest.mark.parametrize(
    ("environment", "text", "named"),
    [
        ({"FORECASTLE__LOG__LEVEL": "loud"}, "", ("log.level", "'loud'", "environment FORECASTLE__LOG__LEVEL")),
        ({}, "[jobs]\nengine = 'spark'\n", ("jobs.engine", "'spark'", "forecastle.toml")),
        ({}, "[jobs]\nworkers = 0\n", ("jobs.workers", "is 0", "forecastle.toml")),
        ({}, "[store]\nonline = 6379\n", ("store.online", "6379", "forecastle.toml")),
        ({}, "home = 3\n", ("home", "3", "forecastle.toml")),
    ],
)
def test_a_wrong_value_is_named_with_its_key_and_origin(
    tmp_path: Path, environment: dict[str, str], text: str, named: tuple[str, ...]
) -> None:
    error = _refused(_toml(tmp_path, text), environment)
    assert [word for word in named if word not in error.what] == []


@pytest.mark.parametrize("content", [b"home = \n", b"[log\n", b"\xff\xfe", b"a = 1\na = 2\n"])
def test_a_broken_file_is_refused_by_its_path(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "forecastle.toml").write_bytes(content)
    assert str(tmp_path / "forecastle.toml") in _refused(tmp_path).what
