"""Fixtures of the whole suite, and the rule that in CI a skip is a failure."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import hypothesis
import pytest

from forecastle.clock import FixedClock
from forecastle.nouns import Candles, Instrument
from forecastle.sources.bundled import Bundled
from forecastle.workspace import Workspace

ROOT = Path(__file__).parents[1]
SHARED = ROOT.parent / "shared" / "data"
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)

hypothesis.settings.register_profile(
    "house", deadline=None, max_examples=60, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("house")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Turn a skip into a failure in CI, but for tests of the shared data where that folder is absent."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.skipped and os.environ.get("CI") == "true" and "shared_data" not in item.keywords:
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {report.longrepr}"


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Keep settings of the person who runs the tests out of them."""
    for name in list(os.environ):
        if name.startswith("FORECASTLE"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("FORECASTLE_HOME", str(tmp_path / "home"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def workspace(home: Path) -> Workspace:
    return Workspace.open(home, FixedClock(NOW))


@pytest.fixture(scope="session")
def bundled_spx() -> Candles:
    return Bundled().fetch(Instrument.parse("SPX.INDEX"), "1d", None, None)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    if not SHARED.is_dir():
        pytest.skip(f"the folder of real market data {SHARED} is not here")
    return SHARED
