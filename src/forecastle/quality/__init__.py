"""Findings: what is wrong, or odd, about rows from outside and about candles in the lake."""

from forecastle.quality.actions import inspect_actions
from forecastle.quality.candles import flags, inspect_candles, report_of_rows
from forecastle.quality.sift import Sifted, inspect_rows, sift
from forecastle.quality.texts import inspect_times

__all__ = [
    "Sifted",
    "flags",
    "inspect_actions",
    "inspect_candles",
    "inspect_rows",
    "inspect_times",
    "report_of_rows",
    "sift",
]
