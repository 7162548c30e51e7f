"""The notebooks, each run from its first cell to its last: they say what they said when kept.

``python tests/test_notebooks.py`` runs them all and keeps what they say now.
"""

import re
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from traitlets.config import Config

NOTEBOOKS = sorted((Path(__file__).parents[1] / "scripts" / "notebooks").glob("*.ipynb"))
NUMBER = r"-?\d+\.?\d*(?:e-?\d+)?"
PICTURES = "image/svg+xml", "image/png"


def run(notebook):
    """Run all cells in a fresh kernel; their outputs become those of the notebook."""
    with TemporaryDirectory() as folder:  # for sockets too: no port that another test might take
        config = Config({"KernelManager": {"transport": "ipc", "ip": f"{folder}/kernel"}})
        resources = {"metadata": {"path": folder}}
        NotebookClient(
            notebook, config=config, resources=resources, coalesce_streams=True, record_timing=False
        ).execute()


def said(notebook):
    """Return the text of all outputs, and what pictures there are, cell by cell."""
    texts, pictures = [], []
    for k, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            data = output.get("data", {"text/plain": output.get("text")})
            kinds = [kind for kind in PICTURES if kind in data]
            pictures += [(k, kind) for kind in kinds]
            if not kinds:
                texts.append(data["text/plain"])
    return "\n".join(texts), pictures


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_says_what_it_said(path):
    notebook = nbformat.read(path, as_version=4)
    kept, kept_pictures = said(notebook)
    run(notebook)
    now, pictures = said(notebook)
    assert pictures == kept_pictures
    assert re.sub(NUMBER, "0", now) == re.sub(NUMBER, "0", kept)
    numbers = [np.array(re.findall(NUMBER, text), float) for text in (now, kept)]
    np.testing.assert_allclose(*numbers, rtol=0.1, atol=0.01)  # other machines round otherwise


def test_there_are_notebooks_and_they_are_small():
    assert len(NOTEBOOKS) == 4
    assert all(path.stat().st_size < 300_000 for path in NOTEBOOKS)


if __name__ == "__main__":
    for path in NOTEBOOKS:
        notebook = nbformat.read(path, as_version=4)
        run(notebook)
        notebook.metadata.language_info = {"name": "python"}  # of any version
        nbformat.write(notebook, path)
        print(f"kept {path.name}")
