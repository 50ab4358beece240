"""Print the bench table as Markdown: ``make bench``."""

from __future__ import annotations

import subprocess
import sys

from bench import backtests, daily, features, kernel, lake, store, training
from bench.timing import Job, side_by_side


def python(*words: str) -> Job:
    """Return a job that runs a fresh Python."""
    return lambda: subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)


def start_up() -> list[tuple[str, float, float, str]]:
    """Time what a person waits for first."""
    bare = python("-c", "pass")
    return [
        ("forecastle --help", *side_by_side(python("-m", "forecastle", "--help"), bare), "python -c pass"),
        ("import forecastle", *side_by_side(python("-c", "import forecastle"), bare), "python -c pass"),
    ]


def main() -> None:
    """Run everything and print a table each."""
    print("| what | ours, ms | side by side, ms | ratio | against |\n|---|---|---|---|---|")
    for name, ours, theirs, against in start_up():
        print(f"| {name} | {1e3 * ours:.1f} | {1e3 * theirs:.1f} | {ours / theirs:.2f} | {against} |", flush=True)
    for part in (kernel.speed, daily.main, lake.main, features.main, store.main, training.main, backtests.main):
        print(flush=True)
        part()


if __name__ == "__main__":
    main()
