"""Any order of steps: after each the lake holds what a dictionary would, and every moment of the past what it held."""

from __future__ import annotations

import shutil
import tempfile
from datetime import datetime
from pathlib import Path
from random import Random

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from forecastle.lake import Lake, journal
from forecastle.lake.manifest import MIRROR, NAME
from lake_model import KEY, Seen, Step, Ticking, files_without_a_name, hours, look, next_step, prices

ROWS = st.dictionaries(st.integers(0, 400), st.integers(1, 50).map(float), min_size=1, max_size=12)


class AnyOrder(RuleBasedStateMachine):
    """A lake that closes its log after four commits, beside a dictionary."""

    @initialize()
    def begin(self) -> None:
        self.root = Path(tempfile.mkdtemp())
        self.clock = Ticking()
        self.lake = Lake(self.root, self.clock)
        self.other = Lake(self.root, self.clock)  # a reader that was open all the time
        self.seen = Seen()
        self.past: list[tuple[datetime, dict[int, float]]] = []

    def teardown(self) -> None:
        assert self.lake.verify() == []
        assert files_without_a_name(self.lake) == set()
        shutil.rmtree(self.root)

    def _do(self, step: Step) -> None:
        step.do(self.lake)
        self.seen = self.seen.after(step)
        self.past.append((self.clock.now(), self.seen.candles))

    @rule(rows=ROWS)
    def write(self, rows: dict[int, float]) -> None:
        self._do(Step("write", rows))

    @rule(rows=ROWS)
    def cover(self, rows: dict[int, float]) -> None:
        self._do(Step("cover", rows))

    @rule(rows=ROWS)
    def quarantine(self, rows: dict[int, float]) -> None:
        self._do(Step("quarantine", rows))

    @rule(rows=ROWS)
    def observe(self, rows: dict[int, float]) -> None:
        self._do(Step("observe", rows))

    @rule(seed=st.integers(0, 2**32))
    def anything(self, seed: int) -> None:
        self._do(next_step(Random(seed), self.seen))

    @rule()
    def csv(self) -> None:
        if self.seen.candles:
            self._do(Step("csv"))

    @rule()
    def reopen(self) -> None:
        self.lake = Lake(self.root, self.clock)

    @rule(copy=st.sampled_from([NAME, MIRROR]), place=st.floats(0.0, 0.999), how=st.sampled_from(["flip", "cut", "go"]))
    def damage(self, copy: str, place: float, how: str) -> None:
        """Spoil one copy of the manifest; it is mended at once, so that the next step may spoil the other."""
        path = self.root / copy
        if not path.exists():
            return
        content = bytearray(path.read_bytes())
        at = int(place * len(content))
        content[at] ^= 1
        path.write_bytes(content if how == "flip" else content[:at])
        if how == "go":
            path.unlink()
        assert look(Lake(self.root, self.clock)) == self.seen
        self._do(Step("cover", {1000 + len(self.past): 5.0}))

    @invariant()
    def holds_what_a_dictionary_would(self) -> None:
        assert look(self.lake) == self.seen
        assert look(self.other) == self.seen

    @rule(which=st.floats(0.0, 0.999))
    def remember(self, which: float) -> None:
        if self.past:
            moment, then = self.past[int(which * len(self.past))]
            assert prices(self.lake, moment) == then

    @rule(begin=st.integers(0, 400), length=st.integers(1, 50))
    def range(self, begin: int, length: int) -> None:
        if self.seen.candles:
            some = Step("write", dict.fromkeys(range(begin, begin + length), 1.0))
            asked = hours(some.rows)
            got = self.lake.read(KEY, asked.start, asked.end)
            want = {h: p for h, p in self.seen.candles.items() if begin <= h < begin + length}
            assert len(got) == len(want)
            assert got.frame["close"].to_list() == [want[h] for h in sorted(want)]


@pytest.fixture(autouse=True)
def _short_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "FEWEST_LINES", 4)


AnyOrder.TestCase.settings = settings(max_examples=12, stateful_step_count=25, deadline=None)


class TestAnyOrder(AnyOrder.TestCase):  # type: ignore[misc,valid-type]
    """Run it."""
