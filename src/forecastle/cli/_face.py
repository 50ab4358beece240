"""What every command shares: ``--json``, ``--home``, ``-v``, progress, errors in three lines, exit codes."""

from __future__ import annotations

import contextlib
import inspect
import io
import json
import os
import sys
import traceback
import typing
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from forecastle import telemetry
from forecastle.cli._late import app
from forecastle.errors import ForecastleError, StorageUnwritable

if TYPE_CHECKING:
    from rich.console import RenderableType

    from forecastle.ports import Progress
    from forecastle.workspace import Workspace

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Home = Annotated[str | None, typer.Option("--home", help="Home folder, else FORECASTLE_HOME, else the default.")]
Verbose = Annotated[int, typer.Option("-v", "--verbose", count=True, help="Say more; -vv shows tracebacks.")]
WIDE = 160
INTERRUPTED = 130


@dataclass(frozen=True)
class Answer:
    """What a command says: a document for ``--json``, tables and lines for a person."""

    name: str
    document: dict[str, Any]
    shown: Sequence[RenderableType] = ()
    exit_code: int = 0


@dataclass
class Face:
    """The options of one call, and what they open."""

    home: str | None = None
    verbose: int = 0
    json: bool = False
    _bars: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @cached_property
    def workspace(self) -> Workspace:
        """Open the home on first use."""
        workspace = app.look.open_workspace(Path(self.home) if self.home else None)
        telemetry.configure(self.log_level(workspace.settings.log.level))
        return workspace

    def log_level(self, otherwise: str) -> str:
        """Return the level that ``-v`` and ``-vv`` ask for, else the one given."""
        return {0: otherwise, 1: "info"}.get(self.verbose, "debug")

    @contextlib.contextmanager
    def progress(self) -> Iterator[Progress]:
        """Give a bar on stderr where that is a terminal, else silence."""
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        if not console.is_terminal:
            yield lambda done, total, what: None
            return
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task("")
            yield lambda done, total, what: bar.update(task, completed=done, total=total, description=what)


def command(group: typer.Typer, name: str) -> Callable[[Callable[..., Answer]], Callable[..., Answer]]:
    """Register ``function(face, ...) -> Answer`` as a command with the options that all have."""

    def register(function: Callable[..., Answer]) -> Callable[..., Answer]:
        hints = typing.get_type_hints(function, include_extras=True)
        own = [p.replace(annotation=hints[p.name]) for p in inspect.signature(function).parameters.values()][1:]
        keyword = inspect.Parameter.KEYWORD_ONLY
        shared = [
            inspect.Parameter("json_", keyword, default=False, annotation=Json),
            inspect.Parameter("home", keyword, default=None, annotation=Home),
            inspect.Parameter("verbose", keyword, default=0, annotation=Verbose),
        ]

        def run(*, json_: bool, home: str | None, verbose: int, **options: Any) -> None:
            face = Face(home, verbose, json_)
            telemetry.configure(face.log_level("warning"))

            def job() -> Answer:
                with telemetry.timed(f"forecastle {name}"):
                    return function(face, **options)

            raise typer.Exit(_answered(face, job))

        own = [p.replace(kind=keyword) for p in own]
        run.__signature__ = inspect.Signature([*own, *shared])  # type: ignore[attr-defined]
        run.__annotations__ = {p.name: p.annotation for p in [*own, *shared]}
        run.__doc__ = function.__doc__
        group.command(name)(run)
        return function

    return register


def _answered(face: Face, job: Callable[[], Answer]) -> int:
    """Run the job, print its answer, and return the exit code."""
    try:
        with warnings.catch_warnings():  # ours while the command runs, and given back
            warnings.showwarning = lambda message, *_, **__: print(f"warning: {message}", file=sys.stderr)  # noqa: T201
            answer = job()
        _print(face, answer)
    except Exception as error:  # noqa: BLE001 - the last line of defence: any fault gets its lines and its code
        return complain(error, as_json=face.json, trace=face.verbose >= 2)
    except KeyboardInterrupt:
        return interrupted(as_json=face.json)
    return answer.exit_code


def complain(error: Exception, *, as_json: bool, trace: bool = False) -> int:
    """Say what, why and what to do on stderr (and as a document), and return the exit code."""
    if trace:
        traceback.print_exception(error)
    if not isinstance(error, ForecastleError):
        error = _unexpected(error)
    _say(error, as_json=as_json)
    return error.exit_code


def interrupted(*, as_json: bool) -> int:
    """Say that the user stopped the work."""
    error = ForecastleError(
        "Interrupted.", "What was committed stays; nothing is half written.", "Run it again to go on."
    )
    _say(error, as_json=as_json, code=INTERRUPTED)
    return INTERRUPTED


def _say(error: ForecastleError, *, as_json: bool, code: int | None = None) -> None:
    document = error.document() | ({"exit_code": code, "code": "interrupted"} if code else {})
    if as_json:
        with contextlib.suppress(StorageUnwritable):  # the lines below say enough
            out(json.dumps({"schema": "forecastle/error/1", **document}) + "\n")
    sys.stderr.write(f"error: {error.what}\n")
    for label, line in (("  why", error.why), ("   do", error.hint)):
        if line:
            sys.stderr.write(f"{label}: {line}\n")


def _unexpected(error: Exception) -> ForecastleError:
    return ForecastleError(
        f"Something unexpected happened: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
        "This is a fault of Forecastle, not of yours.",
        "Run it again with -vv and report what it shows.",
    )


def _print(face: Face, answer: Answer) -> None:
    if face.json:
        from forecastle.cli._json import plain

        document = {"schema": f"forecastle/{answer.name}/1", **answer.document}
        out(json.dumps(plain(document), allow_nan=False) + "\n")
    else:
        from rich.console import Console

        # no markup: names, paths and cells of anyone's data are shown as they are
        page, terminal = io.StringIO(), sys.stdout.isatty()
        console = Console(
            file=page, force_terminal=terminal, width=None if terminal else WIDE, markup=False, emoji=False,
            highlight=False,
        )  # fmt: skip
        for part in answer.shown:
            room = max(console.width, console.measure(part, options=console.options.update(max_width=WIDE * 2)).maximum)
            console.print(part, soft_wrap=isinstance(part, str), width=room, crop=False)
        text = page.getvalue()
        out(text if terminal else "".join(f"{line.rstrip()}\n" for line in text.splitlines()))


def out(content: str | bytes) -> None:
    """Write to stdout. A reader (head, less) that has seen enough is no fault; a full disk is ``StorageUnwritable``."""
    try:
        if isinstance(content, str):
            sys.stdout.write(content)
        else:
            sys.stdout.buffer.write(content)
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # where the rest of the buffer goes
        if not isinstance(error, BrokenPipeError):
            raise StorageUnwritable(
                "The answer cannot be written to stdout.", f"{error.strerror or error}.",
                "Free some space, or send it elsewhere.",
            ) from error  # fmt: skip
