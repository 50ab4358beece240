"""A backtest as a file: data, strategy, size, account, costs, execution, and what it stands beside."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from forecastle.errors import RequestInvalid
from forecastle.experiments.spec import (
    DataPart,
    NamedPlugIn,
    PlugIn,
    TrainConfig,
    _listed,
    config_of,
    digest,
    document_of,
)
from forecastle.requests import InstrumentField, Request, build
from forecastle.sessions import Timeframe

PROBABILITIES = ("direction", "triple_barrier")
"""Targets whose forecast is a probability of up."""
Value = float | int | str | bool | None
MOST_SETS = 100_000


class AccountPart(Request):
    """Cash to begin with, in the quote currency, and how positions are backed; tiers come with the venue."""

    cash: float = Field(default=100_000.0, gt=0)
    kind: Literal["cash", "cross", "isolated"] = "cash"
    leverage: float = Field(default=1.0, gt=0, le=200)
    call_at: float = Field(default=0.8, gt=0, le=1)


class CostPart(Request):
    """What trading costs; what is left out is the venue's, and the venue that of the kind of instrument.

    ``funding`` of a perpetual is what the lake has observed, else ``funding_bps`` each eight hours.
    """

    venue: str | None = None
    maker_bps: float | None = Field(default=None, ge=0, lt=1000)
    taker_bps: float | None = Field(default=None, ge=0, lt=1000)
    half_spread_bps: float = Field(default=1.0, ge=0, lt=1000)
    volatility_multiple: float = Field(default=0.0, ge=0, le=10)
    linear_impact: float = Field(default=0.0, ge=0, le=10)
    square_root_impact: float = Field(default=0.0, ge=0, le=10)
    funding: Literal["observed", "none"] = "observed"
    funding_bps: float = Field(default=1.0, ge=-100, le=100)
    borrow_bps_per_year: float | None = Field(default=None, ge=0, le=100_000)
    interest_bps_per_year: float | None = Field(default=None, ge=0, le=100_000)


class ExecutionPart(Request):
    """How orders meet the market: docs/backtest_rules.md."""

    latency: int = Field(default=0, ge=0, le=1000)
    participation: float = Field(default=0.0, ge=0, le=1)
    band: float = Field(default=0.0, ge=0, le=10)
    lot: float = Field(default=0.0, ge=0)
    smallest: float = Field(default=0.0, ge=0)
    intrabar: Literal["worst", "best"] = "worst"
    close_at_end: bool = False
    finer: Timeframe | None = None
    """A timeframe of the lake that says in which order prices came within a bar."""


class WalkPart(Request):
    """Windows that follow each other: chosen and trained on what is before, traded after."""

    count: int = Field(default=5, ge=1, le=200)
    start: float = Field(default=0.4, gt=0, lt=1)
    window: int | None = Field(default=None, ge=10)
    objective: Literal["sharpe", "mar", "total_return"] = "sharpe"


class BenchmarkPart(Request):
    """What it stands beside; ``instruments`` are held from the first bar on where the lake has them."""

    instruments: Annotated[tuple[InstrumentField, ...], BeforeValidator(_listed)] = ()
    random_entries: int = Field(default=200, ge=0, le=5000)


class BacktestConfig(Request):
    """A backtest. ``choose`` are settings that a walk-forward run chooses inside, ``sweep`` those that a sweep tries.

    Names of settings are the strategy's own; those of the sizing begin with ``sizing.``.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")
    objective: str = ""
    owner: str = ""
    notes: str = ""
    data: DataPart
    strategy: NamedPlugIn
    sizing: NamedPlugIn = PlugIn(name="fraction")
    account: AccountPart = AccountPart()
    costs: CostPart = CostPart()
    execution: ExecutionPart = ExecutionPart()
    benchmarks: BenchmarkPart = BenchmarkPart()
    walk_forward: WalkPart = WalkPart()
    training: dict[str, Any] | None = None
    choose: dict[str, tuple[Value, ...]] = Field(default_factory=dict)
    sweep: dict[str, tuple[Value, ...]] = Field(default_factory=dict)
    replications: int = Field(default=999, ge=99, le=9999)
    seed: int = Field(default=0, ge=0, le=2**32 - 1)

    @field_validator("choose", "sweep", mode="before")
    @classmethod
    def _spread(cls, given: Any) -> Any:
        """Read ``{from: 5, to: 50, step: 5}`` as the numbers from 5 to 50."""
        if not isinstance(given, Mapping):
            return given
        return {str(name): _values(str(name), values) for name, values in given.items()}

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.strategy.name == "model") != (self.training is not None):
            told = "needs training: which target and learner" if self.training is None else "takes no training"
            raise ValueError(f"the strategy {self.strategy.name} {told}")
        if self.training is not None:
            target = self.training_config().target.name
            acts_on = self.strategy.settings.get("of", "probability")
            if (target in PROBABILITIES) != (acts_on == "probability"):
                raise ValueError(f"the strategy acts on a {acts_on}, the target {target} is another thing")
        return self

    def training_config(self) -> TrainConfig:
        """Return the training of a model-driven strategy: on the data of this file, in its windows."""
        told = dict(self.training or {})
        for key in ("split", "data", "name"):
            if key in told:
                raise RequestInvalid(f"training has a {key}.", "A backtest trains in its own windows, on its own data.",
                                     "Leave it out; walk_forward and data of the file say it.")  # fmt: skip
        walk = self.walk_forward
        split = {"name": "walk_forward", "count": walk.count, "start": walk.start, "window": walk.window}
        data = {**self.data.model_dump(mode="json", exclude={"instruments"}),
                "instruments": [i.id for i in self.data.instruments]}  # fmt: skip
        quiet = {"controls": False, "regimes": False}
        return config_of(
            {"name": self.name, "data": data, "split": split, "seed": self.seed, "robustness": quiet, **told}
        )

    @property
    def plain(self) -> dict[str, Any]:
        """Return all of it as plain data, as it could stand in a file."""
        document = self.model_dump(mode="json", exclude={"data", "strategy", "sizing", "benchmarks"})
        data = self.data.model_dump(mode="json", exclude={"instruments"})
        document["data"] = {"instruments": [i.id for i in self.data.instruments], **data}
        document["strategy"], document["sizing"] = self.strategy.plain, self.sizing.plain
        document["benchmarks"] = {
            "instruments": [i.id for i in self.benchmarks.instruments],
            "random_entries": self.benchmarks.random_entries,
        }  # fmt: skip
        return document

    @property
    def fingerprint(self) -> str:
        """Return the SHA-256 of all that may change a number of the run, the seed too."""
        return digest(
            {k: v for k, v in self.plain.items() if k not in {"name", "objective", "owner", "notes", "sweep"}}
        )

    def tried(self) -> dict[str, Any]:
        """Return what makes one configuration to be counted as a trial: all that is tried but data, words and seed."""
        kept = ("strategy", "sizing", "account", "costs", "execution", "training", "choose", "walk_forward")
        return {name: value for name, value in self.plain.items() if name in kept}


def load_backtest(path: Path) -> BacktestConfig:
    """Return the configuration of a YAML file; raises as ``load_config`` does."""
    return backtest_of(document_of(path))


def backtest_of(document: Mapping[str, Any]) -> BacktestConfig:
    """Return the configuration of plain data; raises as :func:`load_backtest`."""
    return build(BacktestConfig, **{str(key): value for key, value in document.items()})


def _values(name: str, values: Any) -> Any:
    if not isinstance(values, Mapping):
        return values if isinstance(values, list | tuple) else [values]
    if set(values) != {"from", "to", "step"} or not all(isinstance(v, int | float) for v in values.values()):
        raise RequestInvalid(f"{name} is {dict(values)}.", "A range has from, to and step, or give a list.",
                             "Write {from: 5, to: 50, step: 5}.")  # fmt: skip
    if not values["step"] > 0 or not values["from"] <= values["to"]:
        raise RequestInvalid(f"{name} is {dict(values)}.", "It goes up: from <= to, step above zero.", "Mend it.")
    count = int((values["to"] - values["from"]) / values["step"] + 1e-9) + 1
    if count > MOST_SETS:
        raise RequestInvalid(f"{name} has {count} values.", f"At most {MOST_SETS}.", "Widen the step.")
    made = [values["from"] + k * values["step"] for k in range(count)]
    return [round(v, 12) if isinstance(v, float) else v for v in made]
