"""Use cases: one file each, and the only place where parts meet. Each takes a workspace and a request, gives a noun.

Import the modules themselves: a face loads one use case at a time.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from forecastle.app import (
        build_features,
        compare,
        compare_experiments,
        demo,
        doctor,
        experiment_list,
        export,
        feature_list,
        fetch,
        fit,
        forecast,
        holdout,
        import_file,
        import_folder,
        import_observations,
        leaks,
        look,
        materialize,
        online_features,
        portfolio,
        quality,
        report,
        rolling,
        saved,
        search,
        snapshot,
        sync,
        trials,
    )

__all__ = [
    "build_features",
    "compare",
    "compare_experiments",
    "demo",
    "doctor",
    "experiment_list",
    "export",
    "feature_list",
    "fetch",
    "fit",
    "forecast",
    "holdout",
    "import_file",
    "import_folder",
    "import_observations",
    "leaks",
    "look",
    "materialize",
    "online_features",
    "portfolio",
    "quality",
    "report",
    "rolling",
    "saved",
    "search",
    "snapshot",
    "sync",
    "trials",
]
