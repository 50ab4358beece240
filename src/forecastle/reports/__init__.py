"""Reports: nouns in, one self-contained HTML page out, or Markdown."""

from forecastle.reports.backtest import backtest_html
from forecastle.reports.backtest_markdown import backtest_markdown, stress_markdown
from forecastle.reports.quality import quality_html, quality_markdown
from forecastle.reports.volatility import volatility_html

__all__ = [
    "backtest_html",
    "backtest_markdown",
    "quality_html",
    "quality_markdown",
    "stress_markdown",
    "volatility_html",
]
