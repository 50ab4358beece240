"""A program of its own with long jobs, for tests that press Ctrl-C on it or kill it: ENGINE FOLDER."""

from __future__ import annotations

import sys
from pathlib import Path

from forecastle.jobs import Engine, Job, run_all
from job_work import linger

if __name__ == "__main__":
    run_all([Job(f"{n}", linger, (Path(sys.argv[2]),)) for n in range(4)], Engine(sys.argv[1], workers=2))
