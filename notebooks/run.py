"""Runs the notebooks to the end, each in a fresh kernel, and with --save keeps their outputs.

python notebooks/run.py [--save] [NOTEBOOK...]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

HERE = Path(__file__).resolve().parent
PATIENCE = 600
"""Seconds a cell may take."""


def execute(path: Path) -> nbformat.NotebookNode:
    """The notebook with the outputs of a run. Raises CellExecutionError, naming the cell."""
    notebook = nbformat.read(path, as_version=4)
    where = {"metadata": {"path": str(HERE)}}
    NotebookClient(notebook, timeout=PATIENCE, kernel_name="python3", resources=where).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # when it ran: a difference each time that says nothing
    return notebook


def main() -> int:
    """Exit code 1 when a notebook fails."""
    parser = argparse.ArgumentParser(description="Run the notebooks to the end.")
    parser.add_argument("notebooks", nargs="*", type=Path, help="all of them by default")
    parser.add_argument("--save", action="store_true", help="keep the outputs in the files")
    given = parser.parse_args()
    for path in given.notebooks or sorted(HERE.glob("*.ipynb")):
        print(path.name, flush=True)
        try:
            notebook = execute(path)
        except CellExecutionError as error:
            print(error, file=sys.stderr)
            return 1
        if given.save:
            nbformat.write(notebook, path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
