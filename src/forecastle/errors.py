"""The one tree of errors: branches by what the caller can do about it.

Every class carries a machine-readable ``code``, an ``http_status``, the ``exit_code`` of the command line and a
``hint``. A message is three lines: what happened, why, and what to do. Standard library only.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import ClassVar


class ForecastleError(Exception):
    """Root of the tree.

    Parameters
    ----------
    what:
        One line: what was refused or failed, with the value.
    why:
        One line: the rule or the fact behind it.
    hint:
        One line: what to do next.
    """

    code: ClassVar[str] = "unexpected"
    http_status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, why: str, hint: str) -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        """Travel between processes with all three lines, whatever the class takes to be made."""
        return _again, (type(self), self.what, self.why, self.hint)

    def __str__(self) -> str:
        """Return the three lines as one text."""
        return "\n".join(line for line in (self.what, self.why, self.hint) if line)

    def document(self) -> dict[str, str | int]:
        """Return the error as plain data, for ``--json`` and problem documents."""
        return {"code": self.code, "what": self.what, "why": self.why, "hint": self.hint, "exit_code": self.exit_code}


def _again(kind: type[ForecastleError], what: str, why: str, hint: str) -> ForecastleError:
    made = kind.__new__(kind)
    ForecastleError.__init__(made, what, why, hint)
    return made


class RequestInvalid(ForecastleError):
    """The question itself is wrong: ask another one."""

    code = "request_invalid"
    http_status = 422
    exit_code = 2


MANY = 40
"""So many names of a closed list are told: a hundred are no line that anyone reads."""


class NameUnknown(RequestInvalid):
    """A name from a closed list that is not on the list."""

    code = "name_unknown"
    http_status = 404

    def __init__(self, noun: str, name: str, known: Iterable[str], hint: str = "") -> None:
        names = sorted(known)
        lower = {known_name.lower(): known_name for known_name in names}
        near = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.5)
        shown = ", ".join(names[:MANY]) + (f" and {len(names) - MANY} more" if len(names) > MANY else "")
        guess = f"Did you mean '{lower[near[0]]}'?" if near else f"Choose one of: {shown}."
        super().__init__(f"There is no {noun} named '{name}'.", f"Known here: {shown}.", hint or guess)


class ConfigurationError(ForecastleError):
    """Settings or the place Forecastle runs in are wrong: mend them."""

    code = "configuration"
    exit_code = 3


class StorageUnwritable(ConfigurationError):
    """The home folder cannot take what has to be written (read-only, full, not ours)."""

    code = "storage_unwritable"
    http_status = 507


class DataError(ForecastleError):
    """Data is missing or not what it has to be."""

    code = "data"
    http_status = 422
    exit_code = 4


class DataMissing(DataError):
    """Asked for data that the lake does not hold."""

    code = "data_missing"
    http_status = 404


class SourceLimited(DataMissing):
    """A source does not have that instrument, timeframe or stretch of history, and never will for this user."""

    code = "source_limited"


class DataInvalid(DataError):
    """Data from outside breaks a rule that candles always keep."""

    code = "data_invalid"


class DataCorrupt(DataError):
    """A file of the lake is not the file that was committed."""

    code = "data_corrupt"
    http_status = 500


class UpstreamError(ForecastleError):
    """Somebody else's fault for now: try again."""

    code = "upstream"
    http_status = 502
    exit_code = 5


class UpstreamRefused(UpstreamError):
    """A source answers, and does not serve this place or this user: 401, 403, 418, 451."""

    code = "upstream_refused"


class LakeLocked(UpstreamError):
    """Another process writes to the lake at this moment."""

    code = "lake_locked"
    http_status = 423


class CheckFailed(ForecastleError):
    """A check did its work and said no."""

    code = "check_failed"
    http_status = 409
    exit_code = 6


class DefinitionChanged(CheckFailed):
    """A stored table was made by other definitions than those of today."""

    code = "definition_changed"


class ForecastRefused(CheckFailed):
    """No forecast is better than this one: the fit failed or the data cannot carry it."""

    code = "forecast_refused"


class ScaleWarning(UserWarning):
    """The numbers look as if they were in another unit than log returns in decimals."""
