"""Experiments: what is tried (Optuna), and the account that is kept of it (MLflow).

Both libraries come with the extra ``track`` and are imported on first use.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from forecastle.errors import ConfigurationError


@contextmanager
def extra_track() -> Iterator[None]:
    """Raise ``ConfigurationError`` with what to install where an import inside fails."""
    try:
        yield
    except ImportError as error:
        raise ConfigurationError(
            "A search needs MLflow and Optuna, and they cannot be imported.",
            f"The extra 'track' is not installed: {str(error).splitlines()[0]}.",
            "Install it: pip install 'forecastle[track]'",
        ) from error
