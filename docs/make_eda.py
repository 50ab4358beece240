"""Run the notebooks top to bottom, offline, and make the pages in docs/eda of the figures and notes that they keep.

python docs/make_eda.py                             # all of notebooks/, into docs/eda
python docs/make_eda.py --out DIR NOTEBOOK ...      # these, into another folder
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

ROOT = Path(__file__).parents[1]
NOTEBOOKS = ROOT / "notebooks"
CELL_SECONDS = 300
SHORT = "## In short\n\n"

OFFLINE = '''"""Run by the kernel before the first cell: nothing outside this machine can be reached."""
import socket
import sys


def _refuse(event, args):
    if event == "socket.getaddrinfo" and args[0] not in (None, "localhost", "127.0.0.1", "::1", b"localhost"):
        raise OSError(f"The notebooks run offline, and {args[0]!r} was looked up.")
    if event == "socket.connect" and isinstance(args[1], tuple) and args[1][0] not in ("127.0.0.1", "::1", "localhost"):
        raise OSError(f"The notebooks run offline, and {args[1]!r} was called.")


sys.addaudithook(_refuse)
'''


def run(notebook: Path, out: Path, desk: Path) -> None:
    """Run a notebook in a copy of its folder; figures and notes go to ``out``, and all else is written in ``desk``.

    The kernel is of the Python that runs this, and is talked to through a file, not a port. Raises ``SystemExit`` where
    a cell fails.
    """
    read = nbformat.read(notebook, as_version=4)  # type: ignore[no-untyped-call]
    folder = desk / "notebooks"
    folder.mkdir(exist_ok=True)
    for module in notebook.parent.glob("*.py"):
        shutil.copy(module, folder)
    manager = AsyncKernelManager(
        kernel_name="python3", transport="ipc", connection_file=str(desk / "kernel.json"),
        kernel_spec_manager=_this_python(desk),
    )  # fmt: skip
    client = NotebookClient(
        read, km=manager, timeout=CELL_SECONDS, resources={"metadata": {"path": str(folder)}}
    )  # fmt: skip
    try:
        client.execute(env=_environment(out, desk), cleanup_kc=True)
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        sys.exit(f"{notebook.name} did not run to its end:\n{error}")


def _this_python(desk: Path) -> KernelSpecManager:
    """Return kernels of this very Python, whatever others are installed here."""
    spec = {"display_name": "Python 3", "language": "python",
            "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]}  # fmt: skip
    (desk / "kernels" / "python3").mkdir(parents=True, exist_ok=True)
    (desk / "kernels" / "python3" / "kernel.json").write_text(json.dumps(spec))
    return KernelSpecManager(kernel_dirs=[str(desk / "kernels")], ensure_native_kernel=False)


def _environment(out: Path, desk: Path) -> dict[str, str]:
    """Return the environment of the kernel: no settings of whoever runs this, and nothing written into their home."""
    startup = desk / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True, exist_ok=True)
    (startup / "00-offline.py").write_text(OFFLINE)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FORECASTLE", "JUPYTER"))}
    places = {"IPYTHONDIR": "ipython", "JUPYTER_CONFIG_DIR": "jupyter", "JUPYTER_DATA_DIR": "jupyter",
              "JUPYTER_RUNTIME_DIR": "jupyter", "MPLCONFIGDIR": "matplotlib"}  # fmt: skip
    return {
        **kept, **{name: str(desk / place) for name, place in places.items()},
        "FORECASTLE_EDA_DIR": str(out.absolute()), "MPLBACKEND": "Agg", "PYTHONDONTWRITEBYTECODE": "1",
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
    }  # fmt: skip


def index(pages: list[Path]) -> str:
    """Return the page that leads to the others: what each found, in short."""
    parts = [
        "# A look at the data and the features",
        "Notes and figures of the notebooks in [`notebooks/`](../../notebooks), on data that everyone has: the S&P 500 "
        "and the NASDAQ that ship with `arch`, and candles made up by a seed. Made-up markets show whether the tools "
        "find what was put in; they say nothing of a real market. What real sources hold is in "
        "[data quality](../data_quality.md).",
        "Everything here is written by `make eda`, which runs the notebooks top to bottom; the same versions give the "
        "same bytes. To look around yourself:",
        "```sh\npip install -e '.[notebooks]'\njupyter lab notebooks\n```",
    ]
    for page in pages:
        title, _, rest = page.read_text(encoding="utf-8").partition("\n")
        found = rest.partition(SHORT)[2].partition("\n\n")[0]
        parts += [f"## [{title.removeprefix('# ')}]({page.name})", found]
    return "\n\n".join(parts) + "\n"


def main() -> None:
    """Run, and replace the pages where all went well."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("notebooks", nargs="*", type=Path, help="some of them; all where none is named")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "eda")
    asked = parser.parse_args()
    notebooks = asked.notebooks or sorted(NOTEBOOKS.glob("*.ipynb"))
    with tempfile.TemporaryDirectory() as name:
        made = Path(name) / "made"
        for notebook in notebooks:
            run(notebook, made, Path(name))
        pages = sorted(made.glob("*.md"))
        if not asked.notebooks:
            (made / "README.md").write_text(index(pages), encoding="utf-8")
        asked.out.mkdir(parents=True, exist_ok=True)
        for page in pages:
            for old in asked.out.glob(f"{page.name[:2]}-*"):
                old.unlink()
        for file in sorted(made.iterdir()):
            shutil.copy(file, asked.out)
            print(f"wrote {asked.out.name}/{file.name}")  # noqa: T201


if __name__ == "__main__":
    main()
