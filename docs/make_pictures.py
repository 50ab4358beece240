"""Remake the README's pictures, and the blocks of output of it and of docs/backtest.md, from real runs. Needs chromium.

python docs/make_pictures.py
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "pictures"
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
PAGES = ("README.md", "docs/backtest.md")
BLOCK = re.compile(r"(<!-- output: (?P<command>.*?) -->\n```text\n).*?(```\n)", re.DOTALL)


def run(*words: str) -> str:
    """Run ``forecastle words`` and return what it prints."""
    command = [sys.executable, "-m", "forecastle", *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 - our own command


def drawn(page: Page) -> None:
    """Wait until every chart of the report is drawn."""
    for _ in range(100):
        if page.evaluate("document.documentElement.dataset.charts") == "drawn":
            return
        time.sleep(0.2)
    raise RuntimeError("the charts were not drawn within 20 s")


def pictures(report: Path) -> None:
    """Take the first screen, light and dark."""
    browser_path = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=FLAGS)
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme=scheme)
            page.goto(report.as_uri())
            drawn(page)
            page.screenshot(path=PICTURES / f"report-{scheme}.png")
            print(f"wrote docs/pictures/report-{scheme}.png")  # noqa: T201
        browser.close()


def outputs(home: Path) -> None:
    """Put the real output of each command named in a page into its block, but for the line where it is kept."""

    def filled(found: re.Match[str]) -> str:
        words = found["command"].split()[1:]
        lines = run(*words, "--home", str(home)).strip().splitlines()
        text = "\n".join(line.rstrip() for line in lines if not line.startswith("Kept "))
        return f"{found[1]}{text}\n{found[3]}"

    for name in PAGES:
        page = ROOT / name
        page.write_text(BLOCK.sub(filled, page.read_text(encoding="utf-8")), encoding="utf-8")
        print(f"wrote {name}")  # noqa: T201


def main() -> None:
    """Remake everything."""
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        home, report = Path(folder) / "home", Path(folder) / "report.html"
        run("demo", "--home", str(home), "--out", str(report))
        pictures(report)
        outputs(home)


if __name__ == "__main__":
    main()
