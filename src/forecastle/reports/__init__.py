"""Reports: nouns in, one self-contained HTML page out, or Markdown."""

from forecastle.reports.quality import quality_html, quality_markdown
from forecastle.reports.volatility import volatility_html

__all__ = ["quality_html", "quality_markdown", "volatility_html"]
