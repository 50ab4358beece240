"""The files around the program agree with it and with each other."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import forecastle

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
WORKFLOW = ROOT / ".github" / "workflows" / "ci.yml"
LOCKS = ("requirements.txt", "locks/core.txt", "locks/all.txt")


def _run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def _text(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _pins(name: str) -> dict[str, str]:
    lines = [line.partition(";")[0].strip() for line in _text(name).splitlines()]
    pairs = [line.split("==") for line in lines if "==" in line]
    return {_canonical(package.partition("[")[0]): version for package, version in pairs}


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.strip().lower())


def test_the_workflow_is_one_github_would_run() -> None:
    done = _run(BIN / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", WORKFLOW)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("runs-on:", "runs_on:"), ("timeout-minutes: 20", "timeout-minutes: soon"), ("steps:", "step:")],
)
def test_a_broken_workflow_is_found(tmp_path: Path, right: str, wrong: str) -> None:
    text = WORKFLOW.read_text(encoding="utf-8")
    assert right in text
    (tmp_path / "ci.yml").write_text(text.replace(right, wrong, 1))
    done = _run(BIN / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", tmp_path / "ci.yml")
    assert done.returncode == 1, done.stdout + done.stderr


def test_the_workflow_tries_every_python_we_promise() -> None:
    jobs = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"]
    tried = set(jobs["test"]["strategy"]["matrix"]["python"])
    promised = {c.rpartition(" ")[2] for c in PROJECT["project"]["classifiers"] if re.search(r":: 3\.\d+$", c)}
    assert tried == promised


def test_the_workflow_runs_what_there_is() -> None:
    steps = [s for job in yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))["jobs"].values() for s in job["steps"]]
    commands = [s["run"] for s in steps if "run" in s]
    assert commands
    for command in commands:
        program, argument = command.split()
        assert argument in _targets() if program == "make" else (ROOT / argument).is_file(), command


def test_the_hooks_can_run() -> None:
    done = _run(BIN / "pre-commit", "validate-config")
    assert done.returncode == 0, done.stdout + done.stderr
    hooks = [h for repo in yaml.safe_load(_text(".pre-commit-config.yaml"))["repos"] for h in repo["hooks"]]
    tools = {hook["entry"].split()[0] for hook in hooks if hook["language"] == "system"}
    assert {"ruff", "mypy", "lint-imports"} <= {Path(tool).name for tool in tools}
    # make puts the tools into .venv; whoever installed with pip has them in an environment of another name
    assert [tool for tool in tools if not (BIN / Path(tool).name).is_file()] == []
    assert {Path(tool).parent.as_posix() for tool in tools} == {".venv/bin"}
    for hook in hooks:
        if hook["language"] == "pygrep":
            re.compile(hook["entry"])


def _targets() -> set[str]:
    return {m[1] for m in re.finditer(r"^([a-z]+):", _text("Makefile"), re.MULTILINE)}


def test_make_knows_its_targets_and_lists_them() -> None:
    promised = {"setup", "demo", "test", "check", "bench", "docs", "results", "volatility", "quality", "torture"}
    assert promised <= _targets()
    listed = {line.split()[0] for line in _run("make", "--no-print-directory", "help").stdout.splitlines()}
    assert promised <= listed


def test_the_table_of_sources_is_what_the_sources_say() -> None:
    check = [sys.executable, "docs/make_sources.py", "--check"]
    ran = subprocess.run(check, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_the_catalogue_of_features_is_what_they_say() -> None:
    check = [sys.executable, "docs/make_features.py", "--check"]
    ran = subprocess.run(check, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_the_store_for_feast_is_what_the_registry_says() -> None:
    check = [sys.executable, "docs/make_feast.py", "--check"]
    ran = subprocess.run(check, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


def test_conda_installs_what_pip_installs() -> None:
    steps = yaml.safe_load(_text("environment.yml"))["dependencies"]
    pip = next(step["pip"] for step in steps if isinstance(step, dict))
    python = next(step for step in steps if str(step).startswith("python"))
    assert pip == ["-r requirements.txt"]
    assert python.removeprefix("python ") == PROJECT["project"]["requires-python"]


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_points_to_no_machine(name: str) -> None:
    assert (
        re.findall(r"(?:https?|file|git\+\w+)://\S*|--find-links.*|--(?:extra-)?index-url.*| @ .*", _text(name)) == []
    )


@pytest.mark.parametrize("name", ["locks/core.txt", "locks/all.txt"])
def test_every_dependency_is_pinned_inside_its_bounds(name: str) -> None:
    from packaging.requirements import Requirement

    pins = _pins(name)
    wanted = [Requirement(line) for line in PROJECT["project"]["dependencies"]]
    if "all" in name:
        extras = PROJECT["project"]["optional-dependencies"]
        wanted += [Requirement(line) for key, lines in extras.items() if key not in ("all", "bench") for line in lines]
    assert [str(r) for r in wanted if _canonical(r.name) not in pins] == []
    assert [str(r) for r in wanted if not r.specifier.contains(pins[_canonical(r.name)], prereleases=True)] == []


def test_the_deep_learning_library_is_the_one_that_was_checked() -> None:
    assert _pins("locks/all.txt")["torch"] == "2.13.0"


def test_both_locks_agree() -> None:
    core, everything = _pins("locks/core.txt"), _pins("locks/all.txt")
    assert {name: pin for name, pin in core.items() if everything.get(name) != pin} == {}


def test_there_is_one_version() -> None:
    version = PROJECT["project"]["version"]
    assert forecastle.__version__ == version
    assert re.search(rf"^## \[?{re.escape(version)}\]?", _text("CHANGELOG.md"), re.MULTILINE)


def test_every_decision_is_a_whole_record_on_the_list() -> None:
    folder = ROOT / "docs" / "decisions"
    records = sorted(folder.glob("[0-9]*.md"))
    index = (folder / "README.md").read_text(encoding="utf-8")
    assert [int(p.name[:4]) for p in records] == list(range(1, len(records) + 1))
    assert len(records) >= 8
    for path in records:
        text = path.read_text(encoding="utf-8")
        assert text.startswith(f"# {path.name[:4]}: ")
        assert [part for part in ("- Status:", "- Date:", "## Context", "## Decision") if part not in text] == []
        assert path.name in index


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"])
def test_the_links_of_a_page_lead_somewhere(page: str) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", _text(page))
    inside = [link for link in links if not re.match(r"[a-z]+:", link)]
    assert [link for link in inside if not (ROOT / link).exists()] == []


def test_every_setting_by_example_is_a_real_one() -> None:
    from forecastle.settings import load_settings

    lines = [
        line.removeprefix("# ") for line in _text(".env.example").splitlines() if re.match(r"# FORECASTLE\w+=", line)
    ]
    shown = dict(line.split("=", 1) for line in lines if "_FILE=" not in line)
    assert len(shown) >= 5
    settings, origins = load_settings(environment=shown, folder=ROOT)
    assert str(settings.home) == shown["FORECASTLE_HOME"]
    assert {o.key for o in origins if o.origin.startswith("environment")} == {o.key for o in origins}


def test_the_extra_all_is_all_of_them() -> None:
    extras = PROJECT["project"]["optional-dependencies"]
    rest = {requirement for name, wanted in extras.items() if name not in ("all", "bench") for requirement in wanted}
    rest -= set(extras["bench"])  # peers under other licences: for tests and timings, not for those who use it
    assert set(extras["all"]) == rest
    assert len(extras["all"]) == len(rest)
