"""Who asked us to wait, until when: a small file per venue that outlives the process."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

LONGEST = timedelta(days=7)
"""Nobody bans longer (Binance: three days); a moment further away is a mistake and is cut to this."""


@dataclass(frozen=True)
class Ban:
    """A venue wants no request before ``until``; it said so at ``said``, because of ``why``."""

    said: datetime
    until: datetime
    why: str

    def seconds_left(self, now: datetime) -> float:
        """Return how long to wait at ``now``: never longer than the ban was, even where the clock was set back."""
        return min(self.until - now, self.until - self.said).total_seconds()


def remember(folder: Path | None, venue: str, ban: Ban) -> None:
    """Write the ban to ``folder``, replacing the file as a whole; a folder that cannot be written is no fault."""
    if folder is None:
        return
    text = json.dumps({"said": ban.said.isoformat(), "until": ban.until.isoformat(), "why": ban.why})
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=f".{venue}-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            Path(temporary).replace(_place(folder, venue))
        except OSError:
            Path(temporary).unlink(missing_ok=True)


def recall(folder: Path | None, venue: str) -> Ban | None:
    """Return the ban on file; None where there is none, or where the file makes no sense."""
    if folder is None:
        return None
    try:
        told = json.loads(_place(folder, venue).read_text(encoding="utf-8"))
        said, until = (datetime.fromisoformat(told[key]).astimezone(UTC) for key in ("said", "until"))
        why = str(told["why"])
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return None
    return Ban(said, until, why) if timedelta(0) < until - said <= LONGEST else None


def _place(folder: Path, venue: str) -> Path:
    return folder / f"{venue}.json"
