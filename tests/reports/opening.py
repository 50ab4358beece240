"""Open a page in the browser, and wait until it is drawn."""

from __future__ import annotations

import time
from pathlib import Path

from playwright.sync_api import Browser, Page


def opened(
    browser: Browser, file: Path, width: int, scheme: str, height: int = 900
) -> tuple[Page, list[str], list[str]]:
    """Return the page with every request it made and everything it complained about."""
    view = {"width": width, "height": height}
    page = browser.new_page(viewport=view, color_scheme=scheme)  # type: ignore[arg-type]
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(file.as_uri())
    for _ in range(150):
        if page.evaluate("document.documentElement.dataset.charts") == "drawn":
            return page, asked, complaints
        time.sleep(0.2)
    raise AssertionError("the charts were not drawn within 30 s")
