"""What to run, as a file: a YAML of configs/, read strictly, with a fingerprint of all that may change a number."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BeforeValidator, Field, field_validator, model_validator

from forecastle.errors import DataMissing, RequestInvalid
from forecastle.features import STEPS
from forecastle.features.select import SELECTIONS
from forecastle.models.learners import LEARNERS
from forecastle.registry import Registry
from forecastle.requests import InstrumentField, Moment, Request, build
from forecastle.sessions import Timeframe
from forecastle.splits import SPLITS
from forecastle.targets import TARGETS

DEFAULT_LEARNERS = ("logistic", "ridge", "random_forest", "extra_trees", "xgboost", "lightgbm")
LARGEST = 1_000_000
"""Bytes of a configuration; one of ours has a thousand."""


def _listed(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


def _plug_in(value: Any) -> Any:
    """Read ``name`` as ``{name: name}``."""
    return {"name": value} if isinstance(value, str) else value


class PlugIn(Request):
    """Something of a registry by its name; what stands beside the name are its settings."""

    name: str
    settings: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _flat(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and "name" in given and "settings" not in given:
            return {"name": given["name"], "settings": {k: v for k, v in given.items() if k != "name"}}
        return given

    def made(self, noun: str, known: Registry | Mapping[str, type]) -> Any:
        """Return it with its settings; raises ``NameUnknown`` and ``RequestInvalid`` with what it can take."""
        kind = known.load(self.name) if isinstance(known, Registry) else _of(noun, self.name, known)
        fields = {f.name: f for f in dataclasses.fields(kind) if f.init}
        for name in self.settings:
            if name not in fields:
                raise RequestInvalid(
                    f"{noun.capitalize()} {self.name} has no setting '{name}'.",
                    f"It takes: {', '.join(fields) or 'none'}.", "Mend the name, or leave it out.",
                )  # fmt: skip
        settings = {k: tuple(v) if isinstance(v, list) else v for k, v in self.settings.items()}
        try:
            return kind(**settings)
        except (TypeError, ValueError) as error:
            raise RequestInvalid(
                f"{noun.capitalize()} {self.name} cannot be made of {self.settings}.", f"{error}.", "Mend the value."
            ) from error

    @property
    def plain(self) -> dict[str, Any]:
        """Return it as it stands in a file."""
        return {"name": self.name, **self.settings}


NamedPlugIn = Annotated[PlugIn, BeforeValidator(_plug_in)]


def _of(noun: str, name: str, known: Mapping[str, type]) -> type:
    return Registry(noun, dict.fromkeys(known, "")).load(name) if name not in known else known[name]


class DataPart(Request):
    """Which candles: of one instrument or of many; ``start`` and ``end`` bound the rows that are learned or tested."""

    instruments: Annotated[tuple[InstrumentField, ...], BeforeValidator(_listed), Field(min_length=1, max_length=200)]
    timeframe: Timeframe = "1d"
    source: str | None = None
    start: Moment | None = None
    end: Moment | None = None


class FeaturePart(Request):
    """Which columns: ``scale_free`` (all whose unit is not a price, a volume or a sum of money), or a list of names."""

    columns: Literal["scale_free"] | tuple[str, ...] = "scale_free"
    without: tuple[str, ...] = ()
    random: int = Field(default=0, ge=0, le=200)
    """So many columns of noise beside them: a control that must not help."""
    warm_up: int = Field(default=252, ge=0, le=5000)
    """Rows at the beginning that are left out: the longest lookback has no value there."""


class IntervalPart(Request):
    """Adaptive conformal intervals: their level, and how fast they adapt."""

    level: float = Field(default=0.9, gt=0.5, lt=1.0)
    gamma: float = Field(default=0.01, gt=0.0, le=0.5)


class RobustnessPart(Request):
    """What is looked at beside the scores; each costs refits but ``regimes``."""

    regimes: bool = True
    controls: bool = True
    ablation: bool = False
    sensitivity: dict[str, tuple[Any, ...]] = Field(default_factory=dict)
    """Settings of the served learner and the values to try: how much the score hangs on them."""


class ParentPart(Request):
    """Learners that are trained on other instruments together first, then gone on with; each stands beside itself."""

    instruments: Annotated[tuple[InstrumentField, ...], BeforeValidator(_listed), Field(min_length=1, max_length=50)]
    learners: Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=1)]


class TunePart(Request):
    """What ``tune`` tries: the settings of one learner, with ``low`` and ``high`` (and ``log``) or ``choices``."""

    learner: str
    space: dict[str, dict[str, Any]] = Field(min_length=1)
    trials: int = Field(default=30, ge=1, le=10_000)
    inner_folds: int = Field(default=3, ge=2, le=10)
    seconds: float | None = Field(default=None, gt=0)

    @field_validator("space")
    @classmethod
    def _ranges(cls, space: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for name, how in space.items():
            bounded = {"low", "high"} <= set(how) <= {"low", "high", "log"} and how["low"] < how["high"]
            chosen = set(how) == {"choices"} and isinstance(how["choices"], list) and how["choices"]
            if not (bounded or chosen):
                raise ValueError(f"the space of {name} has to be low below high (and log), or choices")
        return space


class TrainConfig(Request):
    """An experiment. Its fingerprint is that of all that may change a number, without names, words and the seed."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")
    objective: str = ""
    owner: str = ""
    notes: str = ""
    data: DataPart
    target: NamedPlugIn = PlugIn(name="direction")
    horizons: Annotated[tuple[int, ...], BeforeValidator(_listed), Field(min_length=1, max_length=10)] = (1,)
    features: FeaturePart = FeaturePart()
    prepare: tuple[NamedPlugIn, ...] = (
        PlugIn(name="winsorise", settings={"lower": 0.005, "upper": 0.995}),
        PlugIn(name="standardise"),
        PlugIn(name="impute", settings={"strategy": "median"}),
    )
    select: NamedPlugIn | None = None
    split: NamedPlugIn = PlugIn(name="walk_forward")
    learners: Annotated[tuple[NamedPlugIn, ...], Field(min_length=1)] = tuple(
        PlugIn(name=name) for name in DEFAULT_LEARNERS
    )
    calibrate: Literal["platt", "isotonic", "beta", "none"] = "platt"
    held_out: float = Field(default=0.2, gt=0.05, le=0.5)
    """The last share of the training rows that a learner does not see: early stopping, calibration, intervals."""
    weights: Literal["uniqueness", "equal"] = "uniqueness"
    intervals: IntervalPart = IntervalPart()
    serve: str | None = None
    """The learner whose final fit is kept for ``predict``; the first that is not naive where left out."""
    abstain_within: float = Field(default=0.02, ge=0.0, lt=0.5)
    """Say nothing where the probability is nearer to the base rate than this."""
    robustness: RobustnessPart = RobustnessPart()
    parents: ParentPart | None = None
    tune: TunePart | None = None
    replications: int = Field(default=999, ge=99, le=9999)
    seed: int = Field(default=0, ge=0, le=2**32 - 1)

    @model_validator(mode="after")
    def _known(self) -> Self:
        """Make every part once: a name or a setting that is wrong is told before any data are read."""
        self.made_target(self.horizons[0])
        self.split.made("split", SPLITS)
        for step in self.prepare:
            step.made("step", STEPS)
        if self.select is not None:
            self.select.made("selection", SELECTIONS)
        labels = [learner.plain for learner in self.learners]
        if any(labels.count(one) > 1 for one in labels):
            raise ValueError("a learner stands there twice with the same settings")
        for learner in self.learners:
            learner.made("learner", LEARNERS)
        return self

    def made_target(self, horizon: int) -> Any:
        """Return the target of a horizon."""
        return PlugIn(name=self.target.name, settings={**self.target.settings, "horizon": horizon}).made(
            "target", TARGETS
        )

    @property
    def plain(self) -> dict[str, Any]:
        """Return all of it as plain data, as it could stand in a file."""
        document = self.model_dump(
            mode="json", exclude={"data", "target", "split", "select", "prepare", "learners", "parents"}
        )
        data = self.data.model_dump(mode="json", exclude={"instruments"})
        document["data"] = {"instruments": [i.id for i in self.data.instruments], **data}
        document["target"], document["split"] = self.target.plain, self.split.plain
        document["select"] = None if self.select is None else self.select.plain
        document["prepare"] = [step.plain for step in self.prepare]
        document["learners"] = [learner.plain for learner in self.learners]
        if self.parents is not None:
            document["parents"] = {"instruments": [i.id for i in self.parents.instruments],
                                   "learners": list(self.parents.learners)}  # fmt: skip
        return document

    @property
    def fingerprint(self) -> str:
        """Return the SHA-256 of all that may change a number of the run, the seed too."""
        return digest({k: v for k, v in self.plain.items() if k not in {"name", "objective", "owner", "notes", "tune"}})


def digest(document: Any) -> str:
    """Return the SHA-256 over JSON in one form."""
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def load_config(path: Path) -> TrainConfig:
    """Return the configuration of a YAML file.

    Raises as :func:`document_of`, and ``RequestInvalid`` for a key nobody knows, or a value out of bounds; the message
    names the key.
    """
    return config_of(document_of(path))


def document_of(path: Path) -> dict[str, Any]:
    """Return the keys and values of a YAML file.

    Raises ``DataMissing`` where it cannot be read, ``RequestInvalid`` where it is no YAML or has a key twice.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        near = sorted(p.name for p in Path("configs").glob("*.yaml")) if Path("configs").is_dir() else []
        raise DataMissing(
            f"The configuration {path} cannot be read.", f"{error.strerror or error}.",
            f"Name a file that is there{': configs/' + ', configs/'.join(near) if near else ''}.",
        ) from error  # fmt: skip
    if len(content) > LARGEST:
        raise RequestInvalid(
            f"{path} has {len(content)} bytes.", "A configuration has a few thousand.", "Name another."
        )
    try:
        document = _Strict(content).get_single_data()
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        told = " ".join(str(error).split())[:200]
        raise RequestInvalid(f"{path} is no YAML.", f"{told}.", "Mend it there; configs/ has examples.") from error
    if not isinstance(document, dict):
        raise RequestInvalid(f"{path} holds no keys.", "A configuration is a list of keys and values.", "See configs/.")
    return {str(key): value for key, value in document.items()}


def config_of(document: Mapping[str, Any]) -> TrainConfig:
    """Return the configuration of plain data; raises as :func:`load_config`."""
    return build(TrainConfig, **document)


class _Strict(yaml.SafeLoader):
    """A safe loader that refuses a key that stands there twice."""


def _once(loader: _Strict, node: yaml.MappingNode) -> dict[Any, Any]:
    pairs = [(loader.construct_object(key, deep=True), loader.construct_object(value, deep=True))
             for key, value in node.value]  # fmt: skip
    names = [str(key) for key, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            raise yaml.constructor.ConstructorError(None, None, f"the key {name} stands there twice", node.start_mark)
    return dict(pairs)


_Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _once)
