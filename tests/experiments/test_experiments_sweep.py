"""What is proposed: a small space whole, a large one by the values told."""

from __future__ import annotations

import logging
import sys

import pytest

from forecastle.errors import ConfigurationError
from forecastle.experiments.search import Params, Sweep

SPACE = {"p": (1, 2, 3), "dist": ("normal", "t")}


def _points(trials: int, seed: int) -> list[Params]:
    """Propose against a bowl with its floor at p = 2, t."""
    found = []
    for proposal in Sweep({"p": (1, 2, 3, 4, 5), "dist": ("normal", "t")}, trials, seed):
        found.append(proposal.params)
        proposal.tell(abs(float(proposal.params["p"]) - 2.0) + (proposal.params["dist"] == "normal"))
    return found


def test_every_point_of_a_small_space_comes_once_and_in_order() -> None:
    found = []
    for proposal in Sweep(SPACE, None, 0):
        found.append(proposal.params)
        proposal.tell(1.0)
    assert found == [{"p": p, "dist": d} for p in (1, 2, 3) for d in ("normal", "t")]


def test_a_point_that_failed_does_not_stop_the_others() -> None:
    sweep = Sweep(SPACE, None, 0)
    seen = 0
    for proposal in sweep:
        seen += 1
        proposal.fail()
    assert seen == sweep.size == 6


def test_a_seed_gives_the_same_points_and_another_seed_others() -> None:
    assert _points(25, 3) == _points(25, 3)
    assert _points(25, 3) != _points(25, 4)


def test_the_sampler_learns_where_it_is_good() -> None:
    late = [point for seed in range(4) for point in _points(50, seed)[25:]]
    assert sum(point == {"p": 2, "dist": "t"} for point in late) > 2 * len(late) / 10, "chance hits one in ten"


def test_optuna_keeps_quiet_and_gets_its_voice_back(caplog: pytest.LogCaptureFixture) -> None:
    import optuna

    before = optuna.logging.get_verbosity()
    with caplog.at_level(logging.INFO):
        Sweep(SPACE, None, 0)
    assert caplog.text == ""
    assert optuna.logging.get_verbosity() == before


def test_without_optuna_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ConfigurationError) as refused:
        Sweep(SPACE, None, 0)
    assert "track" in refused.value.why
    assert refused.value.hint == "Install it: pip install 'forecastle[track]'"
