"""What one may ask. Every face builds the same request, so that a wrong one is refused in the same words everywhere."""

from __future__ import annotations

import difflib
import math
import re
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    model_validator,
)

from forecastle.errors import RequestInvalid
from forecastle.nouns.candles import Adjusted, Prices
from forecastle.nouns.instrument import Instrument, is_simulated
from forecastle.sessions import Timeframe


def _instrument(value: Any) -> Instrument:
    return value if isinstance(value, Instrument) else Instrument.parse(str(value))


def _moment(value: Any) -> Any:
    """Read a date as its first moment and a time without a zone as UTC: here, times are UTC."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError as error:
            raise ValueError("write it like 2024-01-31 or 2024-01-31T12:00Z") from error
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime.combine(value, time(), UTC)
    if isinstance(value, datetime):
        try:
            return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        except OverflowError as error:
            raise ValueError("it lies outside the years 1 to 9999 in UTC") from error
    return value


def _names(value: Any) -> Any:
    """Read ``a,b`` as two names."""
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
InstrumentField = Annotated[Instrument, PlainValidator(_instrument)]
Moment = Annotated[datetime, BeforeValidator(_moment)]
Level = Annotated[float, Field(gt=0, lt=0.5)]
Horizon = Annotated[int, Field(ge=1, le=250)]
Window = Annotated[int, Field(ge=250, le=20_000)]


class Request(BaseModel):
    """Unknown fields are refused; a request does not change once built."""

    model_config = ConfigDict(extra="forbid", frozen=True, arbitrary_types_allowed=True)


Tail = Literal["own", "fhs", "evt", "conformal"]
"""Where VaR and ES come from: the model's own distribution, its past residuals, an extreme-value tail of these, or the
residuals at a level that past breaches track."""

TAKES: dict[str, frozenset[str]] = {
    "garch": frozenset({"p", "o", "q", "vol", "dist", "mean"}),
    "component_garch": frozenset({"dist"}),
    "garch_x": frozenset({"dist"}),
    "markov_switching": frozenset({"dist"}),
}
"""The parameters that a model takes; those that are not here take none."""


class ModelSpec(Request):
    """One model by its name in the registry, with its parameters where it takes any, and its tail."""

    name: str = "garch"
    p: int = Field(default=1, ge=0, le=3)
    o: int = Field(default=0, ge=0, le=3)
    q: int = Field(default=1, ge=0, le=3)
    vol: Literal["garch", "egarch", "aparch", "figarch", "harch", "midas"] = "garch"
    dist: Literal["normal", "t", "skewt", "ged"] = "t"
    mean: Literal["constant", "zero", "ar"] = "constant"
    tail: Tail = "own"

    @model_validator(mode="before")
    @classmethod
    def _default_tail(cls, given: Any) -> Any:
        """Let the combination track its level unless something else is said: its own distribution is only a start."""
        if isinstance(given, dict) and given.get("name") == "combination" and "tail" not in given:
            return {**given, "tail": "conformal"}
        return given

    @model_validator(mode="after")
    def _only_what_it_takes(self) -> Self:
        extra = self.model_fields_set - {"name", "tail"} - TAKES.get(self.name, frozenset())
        if extra:
            takers = ", ".join(name for name, known in TAKES.items() if extra <= known) or "no model"
            raise ValueError(f"{self.name} takes no {', '.join(sorted(extra))}; these do: {takers}")
        return self

    @property
    def parameters(self) -> dict[str, Any]:
        """Return the parameters to build the model with."""
        return self.model_dump(include=set(TAKES.get(self.name, frozenset())))


NAIVE_MODELS: tuple[ModelSpec, ...] = tuple(ModelSpec(name=name) for name in ("random_walk", "historical", "ewma"))
"""What every other model has to beat."""

COMBINATION = ModelSpec(name="combination")

DEFAULT_MODELS: tuple[ModelSpec, ...] = (
    *NAIVE_MODELS,
    ModelSpec(name="garch", dist="normal"),
    ModelSpec(name="garch", dist="t"),
    ModelSpec(name="garch", o=1, dist="t"),
    ModelSpec(name="garch", vol="egarch", o=1, dist="skewt"),
    ModelSpec(name="yang_zhang"),
    ModelSpec(name="har"),
    ModelSpec(name="log_har"),
    ModelSpec(name="pooled_har"),
    COMBINATION,
)
"""What every comparison shows: the naive forecasts, the GARCH family, ranges and realised measures, all combined."""


HEADLINE = COMBINATION
"""Whose VaR, breaches and fan are told: fixed here, not chosen per series."""


class SpanRequest(Request):
    """Something from ``start`` (open of the first bar) to ``end`` (close of the last)."""

    start: Moment | None = None
    end: Moment | None = None

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.start and self.end and self.start >= self.end:
            raise ValueError(f"start {self.start:%Y-%m-%d} has to lie before end {self.end:%Y-%m-%d}")
        return self


class SeriesRequest(SpanRequest):
    """Candles of the lake."""

    instrument: InstrumentField
    timeframe: Timeframe = "1d"
    source: str | None = None
    as_of: Moment | None = None
    """The lake as it was then. ``source`` may name several: a bar is of the first that has it."""


class FeaturesRequest(Request):
    """The feature table of one series: the catalogue, or the features named.

    ``fill`` puts a flat bar in where one is missing, up to so many in a row, before features are computed.
    """

    instrument: InstrumentField
    timeframe: Timeframe = "1d"
    source: str | None = None
    names: Names | None = None
    fill: int | None = Field(default=None, ge=1, le=1000)


class TrainRequest(Request):
    """A configuration to train; ``open_holdout`` says why what is held out is looked at: that is counted."""

    config: Path
    open_holdout: str | None = Field(default=None, min_length=1)


class BacktestRequest(Request):
    """Which strategy to trade over the past: a configuration file, and why a hold-out may be looked at."""

    config: Path
    open_holdout: str | None = Field(default=None, min_length=1)


class PredictRequest(Request):
    """The latest forecast of the served model of a series, or of the one named; ``horizon`` where it has several."""

    instrument: InstrumentField
    timeframe: Timeframe = "1d"
    source: str | None = None
    horizon: int | None = Field(default=None, ge=1)
    model: str | None = None


class LeaksRequest(Request):
    """An audit of everything that computes: of the last ``bars`` of each series, or of a made-up one where none."""

    instruments: tuple[InstrumentField, ...] = ()
    timeframe: Timeframe = "1d"
    source: str | None = None
    bars: int = Field(default=600, ge=300, le=20_000)
    cuts: int = Field(default=200, ge=1, le=10_000)
    seed: int = Field(default=0, ge=0)


class StrategyLeaksRequest(Request):
    """An audit of the strategy of a configuration, over its last ``bars``."""

    config: Path
    bars: int = Field(default=600, ge=100, le=20_000)
    cuts: int = Field(default=200, ge=1, le=10_000)
    seed: int = Field(default=0, ge=0)


class FetchRequest(SpanRequest):
    """Candles of sources into the lake; a source is asked where those before it fail or do not have them."""

    instruments: tuple[InstrumentField, ...] = Field(min_length=1)
    sources: Names = Field(min_length=1)
    timeframes: Annotated[tuple[Timeframe, ...], BeforeValidator(_names), Field(min_length=1)] = ("1d",)
    seed: int = Field(default=0, ge=0)
    again: bool = False
    """Ask for what is there already, too: the way to learn of old revisions."""
    csv: bool = False
    """Write the rows of each Parquet file beside it as CSV."""


def _own_name(source: str) -> str:
    if source == "bundled" or is_simulated(source):
        raise ValueError(f"source '{source}' is the name of a source of Forecastle's own")
    return source


class FileRequest(Request):
    """A file of anyone's: whose it is, and what the user says of how it is written."""

    path: Path
    instrument: InstrumentField
    source: Annotated[str, AfterValidator(_own_name)] = "file"
    time_zone: str | None = None
    time_format: str | None = None
    dry_run: bool = False


class ImportRequest(FileRequest):
    """Candles of a file into the lake."""

    timeframe: Timeframe = "1d"
    layout: str | None = None
    columns: str | None = None
    adjusted: Adjusted | None = None
    prices: Prices | None = None


KnownAfter = Annotated[str, Field(pattern=r"^(\d{1,4}[mhd]|session_close(\+\d{1,3}m)?)$")]
"""When a value becomes known after the moment it is about: ``0h``, ``1d``, ``90m``; ``session_close``, or some minutes
after it, ``session_close+15m``."""


class ObservationsRequest(FileRequest):
    """One column of a file into the lake, as observations."""

    name: str
    unit: str
    value: str
    about: str | None = None
    known_after: KnownAfter


class ImportFolderRequest(Request):
    """A folder of files into the lake, as ``map`` (a TOML file) says."""

    path: Path
    map: Path
    dry_run: bool = False


class FitRequest(SeriesRequest):
    """One fit; all the history in the range."""

    model: ModelSpec = ModelSpec()


class ForecastRequest(SeriesRequest):
    """The next ``horizon`` bars, by each model fitted to the last ``window`` returns: the combination first."""

    models: tuple[ModelSpec, ...] = (COMBINATION, *DEFAULT_MODELS[:-1])
    horizon: Horizon = 1
    window: Window = 1000


class RollingRequest(SeriesRequest):
    """One-step-ahead forecasts of every bar in the range that has ``window`` returns before it."""

    model: ModelSpec = ModelSpec()
    window: Window = 1000
    refit_every: int = Field(default=1, ge=1, le=1000)
    level: Level = 0.01


class CompareRequest(SeriesRequest):
    """Every model over the same bars; the verdict on VaR is that of ``headline``, named before, not of the luckiest.

    ``target`` is what counts as the variance that was: squared returns, or the realised variance of finer bars.
    """

    models: tuple[ModelSpec, ...] = DEFAULT_MODELS
    headline: ModelSpec = HEADLINE
    window: Window = 1000
    refit_every: int = Field(default=1, ge=1, le=1000)
    level: Level = 0.01
    target: Literal["returns", "realized"] = "returns"


class SearchRequest(SeriesRequest):
    """GARCH models tried on the candles of the range: every order and innovation, or ``trials`` of a wider space.

    Without ``trials`` every p and q in 1..3 with each of ``dists``; with it that many draws of p, q, o in 0..1, the
    kind of variance and of innovation. AIC is of the fit to the whole range; the out-of-sample QLIKE beside it of its
    last ``holdout`` returns, forecast one step ahead by fits to the ``window`` returns before them.
    """

    dists: Annotated[Names, Field(min_length=1)] = ("normal", "t")
    trials: int | None = Field(default=None, ge=1, le=1000)
    window: Window = 1000
    holdout: int = Field(default=500, ge=100, le=5000)
    refit_every: int = Field(default=20, ge=1, le=1000)
    seed: int = Field(default=0, ge=0, le=2**32 - 1)


class PortfolioRequest(SpanRequest):
    """Several instruments held together over the next ``horizon`` bars that all of them have.

    ``weights`` are shares of the equity, one for each instrument in their order, below zero where sold short; equal
    ones that sum to one where left out. They are taken as given: 0.5,-0.5 is a bet on the difference.
    """

    instruments: tuple[InstrumentField, ...] = Field(min_length=2, max_length=30)
    timeframe: Timeframe = "1d"
    source: str | None = None
    as_of: Moment | None = None
    weights: Annotated[tuple[float, ...] | None, BeforeValidator(_names)] = None
    model: Literal["ccc", "dcc"] = "dcc"
    window: Window = 1000
    horizon: Annotated[int, Field(ge=1, le=30)] = 1
    level: Level = 0.01

    @model_validator(mode="after")
    def _weights_fit(self) -> Self:
        if len(set(self.instruments)) < len(self.instruments):
            raise ValueError("an instrument is named twice; name each once and add up its weights")
        if self.weights is None:
            return self
        if len(self.weights) != len(self.instruments):
            raise ValueError(f"there are {len(self.weights)} weights for {len(self.instruments)} instruments")
        gross = sum(abs(weight) for weight in self.weights)
        if not 0.0 < gross < math.inf:  # NaN and infinities fail this, too
            raise ValueError("weights have to be finite and not all zero")
        return self


def _nearest(kind: type[Request], place: tuple[Any, ...]) -> str:
    """Return a question for the field that was meant; nothing where none is near."""
    for part in place[:-1]:
        field = kind.model_fields.get(str(part))
        if field is not None and isinstance(field.annotation, type) and issubclass(field.annotation, Request):
            kind = field.annotation
    near = difflib.get_close_matches(str(place[-1]), list(kind.model_fields), 1) if place else []
    return f". Did you mean '{near[0]}'?" if near else ""


R = TypeVar("R", bound=Request)
_TOO_FEW = re.compile(r"Tuple should have at least (\d+) items? after validation, not \d+")


def build(kind: type[R], /, **fields: Any) -> R:
    """Return the request, or raise ``RequestInvalid`` with the first field that is wrong, its value and the rule."""
    try:
        return kind(**fields)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"] if isinstance(part, str) and part != "function-plain")
        rule = first["msg"].removeprefix("Value error, ")
        rule = f"{rule[:1].upper()}{rule[1:]}.".replace("Input should be", "It has to be")
        rule = _TOO_FEW.sub(r"It has to name \1 or more", rule)
        rule = rule.replace("Extra inputs are not permitted", f"There is no such field{_nearest(kind, first['loc'])}")
        rule = rule.replace("?.", "?")
        what = f"{name} is {first['input']!r}." if name else "The parts of the request do not fit together."
        raise RequestInvalid(what, rule, "Ask again with a value that fits.") from error
