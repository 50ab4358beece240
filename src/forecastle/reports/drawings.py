"""Two small drawings of a training run as SVG: how honest the probabilities are, and which columns count."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from forecastle.nouns.scorecard import CalibrationBin
from forecastle.reports._html import text

WIDE, HIGH, EDGE = 460, 420, 56
INKS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#5d5d5d", "#8c6bb1", "#999933", "#332288")
"""Okabe and Ito's colours, which people with colour blindness tell apart, and a few more."""
_STYLE = (
    "svg{background:#fff;font:12px system-ui,sans-serif;fill:#222}"
    ".axis{stroke:#999;stroke-width:1}.even{stroke:#999;stroke-dasharray:4 4}.soft{fill:#666}"
    "@media(prefers-color-scheme:dark){svg{background:#16181c;fill:#e6e6e6}.soft{fill:#a6a6a6}}"
)


def calibration_svg(title: str, learners: Mapping[str, Sequence[CalibrationBin]]) -> str:
    """Return forecast probability against how often it went up, with 95 % intervals; the dashed line is honest.

    One line a learner, at most ten; the axes go as far as the forecasts do. The same input gives the same bytes.
    """
    told = dict(list(learners.items())[: len(INKS)])
    ends = [v for bins in told.values() for b in bins for v in (b.forecast, b.observed_low, b.observed_high)]
    low, high = (max(min(ends) - 0.02, 0.0), min(max(ends) + 0.02, 1.0)) if ends else (0.0, 1.0)

    def x(p: float) -> float:
        return EDGE + (p - low) / (high - low) * (WIDE - EDGE - 16)

    def y(p: float) -> float:
        return HIGH - EDGE - (p - low) / (high - low) * (HIGH - EDGE - 40)

    parts = [_line(x(low), y(low), x(high), y(high), "even"), *_axes(x, y, low, high)]
    for ink, (name, bins) in zip(INKS, told.items(), strict=False):
        points = " ".join(f"{x(b.forecast):.1f},{y(b.observed):.1f}" for b in bins)
        parts.append(f'<polyline points="{points}" fill="none" stroke="{ink}" stroke-width="1.5"/>')
        for b in bins:
            parts.append(_line(x(b.forecast), y(b.observed_low), x(b.forecast), y(b.observed_high), "", ink))
            hint = f"{name}: {b.rows} rows, said {b.forecast:.3f}, was {b.observed:.3f}"
            parts.append(f'<circle cx="{x(b.forecast):.1f}" cy="{y(b.observed):.1f}" r="3" fill="{ink}">'
                         f"<title>{text(hint)}</title></circle>")  # fmt: skip
    key = [f'<tspan fill="{ink}">■</tspan> {text(name)}' for ink, name in zip(INKS, told, strict=False)]
    lines = [f'<text x="{WIDE + 4}" y="{52 + 18 * i}">{line}</text>' for i, line in enumerate(key)]
    words = [f'<text x="{EDGE}" y="20" font-weight="600">{text(title)}</text>',
             f'<text class="soft" x="{(WIDE + EDGE) / 2:.0f}" y="{HIGH - 12}" text-anchor="middle">'
             "forecast probability of up</text>",
             f'<text class="soft" transform="translate(14 {HIGH / 2:.0f}) rotate(-90)" text-anchor="middle">'
             "share that went up</text>"]  # fmt: skip
    return _svg(WIDE + 170, HIGH, title, [*parts, *words, *lines])


def importance_svg(title: str, shares: Mapping[str, float], most: int = 20) -> str:
    """Return bars of the columns that count most, their shares in percent; the same input gives the same bytes."""
    told = dict(list(shares.items())[:most])
    largest = max(told.values(), default=1.0) or 1.0
    parts = [f'<text x="12" y="20" font-weight="600">{text(title)}</text>']
    for row, (name, share) in enumerate(told.items()):
        top, long = 36 + 20 * row, 240 * share / largest
        parts.append(f'<text x="226" y="{top + 12}" text-anchor="end">{text(name)}</text>')
        parts.append(f'<rect x="234" y="{top}" width="{long:.1f}" height="14" fill="{INKS[0]}"/>')
        parts.append(f'<text class="soft" x="{238 + long:.1f}" y="{top + 12}">{100 * share:.1f} %</text>')
    if not told:
        parts.append('<text class="soft" x="12" y="48">No learner of this run tells which columns count.</text>')
    return _svg(540, 52 + 20 * max(len(told), 1), title, parts)


def _axes(x: Callable[[float], float], y: Callable[[float], float], low: float, high: float) -> list[str]:
    parts = [_line(x(low), y(low), x(high), y(low), "axis"), _line(x(low), y(low), x(low), y(high), "axis")]
    for i in range(5):
        p = low + (high - low) * i / 4
        parts.append(f'<text class="soft" x="{x(p):.1f}" y="{y(low) + 18:.1f}" text-anchor="middle">{p:.2f}</text>')
        parts.append(f'<text class="soft" x="{x(low) - 6:.1f}" y="{y(p) + 4:.1f}" text-anchor="end">{p:.2f}</text>')
    return parts


def _line(x1: float, y1: float, x2: float, y2: float, kind: str, ink: str = "") -> str:
    style = f' stroke="{ink}" stroke-opacity="0.5"' if ink else ""
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"{style}/>'


def _svg(width: int, height: int, title: str, parts: Sequence[str]) -> str:
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
            f'height="{height}" role="img" aria-label="{text(title)}">')  # fmt: skip
    return f"{head}<style>{_STYLE}</style>{''.join(parts)}</svg>\n"
