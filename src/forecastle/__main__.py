"""``python -m forecastle`` is ``forecastle``."""

from forecastle.cli.main import run

if __name__ == "__main__":
    run()
