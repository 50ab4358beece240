"""The page around the content: style, script, numbers, and a policy that forbids every request."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.resources import files
from string import Template
from typing import Any

from forecastle.reports._html import Markup, tag, text

VOLATILITY = "volatility report"
_FOOT = (
    "All times are UTC and the close of a bar. Returns are natural-log returns. VaR and ES are positive losses. A "
    "forecast is a distribution, not a promise, and nothing here is advice."
)


def page(
    title: str, head: Markup, body: Markup, drawings: dict[str, Any], kind: str = VOLATILITY, foot: str = _FOOT
) -> str:
    """Return the whole page; ``head`` stands between the title and the sections, ``kind`` above the title."""
    library, script = _script(_plotly()), _script(_own("page.js"))
    return Template(_own("page.html")).substitute(
        policy=_policy(library, script),
        title=text(title),
        kind=text(kind),
        foot=text(foot),
        style=_own("page.css"),
        head=head,
        body=body,
        numbers=_numbers(drawings),
        library=library,
        script=script,
    )


def _own(name: str) -> str:
    return (files("forecastle.reports") / name).read_text(encoding="utf-8")


def _plotly() -> str:
    from plotly.offline import (
        get_plotlyjs,
    )  # five megabytes of text: only for those who ask for a report

    return str(get_plotlyjs())


def _script(source: str) -> str:
    """Return JavaScript that can stand in an HTML script element as it is."""
    # The browser hashes what it has parsed, and parsing makes every line end a bare newline.
    plain = source.replace("\r\n", "\n").replace("\r", "\n")
    return plain.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _policy(*scripts: str) -> str:
    """Return the policy: nothing is fetched, and only these scripts run, whatever slips in."""
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(s.encode()).digest()).decode()}'" for s in scripts)
    # Plotly sets styles on its elements, and draws the PNG it saves from a blob of the chart.
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _numbers(drawings: dict[str, Any]) -> Markup:
    document = json.dumps(drawings, allow_nan=False, separators=(",", ":"))
    # No '<' at all, so that no text in it can end the element it stands in.
    return tag("script", Markup(document.replace("<", "\\u003c")), type="application/json", id="drawings")
