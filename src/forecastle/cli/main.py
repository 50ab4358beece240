"""``forecastle``: the one entry. Builds the commands and keeps the promise about errors and exit codes."""

from __future__ import annotations

import sys

import typer

from forecastle import __version__
from forecastle.cli import (
    backtest,
    check,
    data,
    experiments,
    features,
    files,
    holdout,
    lake,
    quality,
    system,
    train,
    trials,
    volatility,
)
from forecastle.cli._face import complain, interrupted
from forecastle.errors import RequestInvalid

root = typer.Typer(
    name="forecastle",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Forecasting and risk for crypto and stock markets: candles in, a believable volatility forecast out.",
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"forecastle {__version__}")
        raise typer.Exit


@root.callback()
def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Show the version."),
) -> None:
    """Hold the options before the command."""


system.add_to(root)
data.add_to(root)
files.add_to(root)
lake.add_to(root)
quality.add_to(root)
features.add_to(root)
check.add_to(root)
volatility.add_to(root)
train.add_to(root)
backtest.add_to(root)
experiments.add_to(root)
trials.add_to(root)
holdout.add_to(root)


def run() -> None:
    """Run the command line and leave with its exit code."""
    as_json = "--json" in sys.argv
    try:
        code = root(standalone_mode=False)
    except typer.TyperException as error:
        # without a message: no command was given, and Typer has shown the help
        code = _usage(error.format_message(), as_json=as_json) if error.format_message() else RequestInvalid.exit_code
    except (KeyboardInterrupt, typer.Abort):
        code = interrupted(as_json=as_json)
    sys.exit(code if isinstance(code, int) else 0)


def _usage(message: str, *, as_json: bool) -> int:
    usage = RequestInvalid(message, "The command line could not be understood.", "Add --help to see them all.")
    return complain(usage, as_json=as_json)
