"""Reports: nouns in, one self-contained HTML page out."""

from forecastle.reports.volatility import volatility_html

__all__ = ["volatility_html"]
