"""Every example runs as it stands, in a fresh kernel, and leaves what it says."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import nbclient
import nbformat
import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def test_there_are_examples() -> None:
    assert list(EXAMPLES.glob("*.ipynb"))


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda path: path.stem)
def test_example_is_committed_without_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.outputs for cell in code] == [[]] * len(code)


def test_quickstart_tells_the_whole_story(tmp_path: Path) -> None:
    path = shutil.copy(EXAMPLES / "quickstart.ipynb", tmp_path)
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(
        notebook, kernel_name="python3", timeout=300, resources=resources
    ).execute()

    database = sqlite3.connect(tmp_path / "nbtrack.db")
    runs = dict(
        database.execute(
            "SELECT value, count(*) FROM tags WHERE key = 'estimator_name' AND run_no NOT IN"
            " (SELECT run_no FROM tags WHERE key = 'nbtrack.candidate') GROUP BY 1"
        ).fetchall()
    )
    assert runs == {
        "Pipeline": 4,
        "RandomForestClassifier": 1,
        "GridSearchCV": 1,
        "SGDClassifier": 1,
        "StandardScaler": 1,
    }
    assert database.execute("SELECT DISTINCT status FROM runs").fetchall() == [("FINISHED",)]
    assert database.execute(
        "SELECT run_name, key, count FROM metrics JOIN runs USING (run_no)"
        " WHERE key IN ('test_loss', 'train_loss') ORDER BY key"
    ).fetchall() == [("sgd by hand", "test_loss", 30), ("sgd by hand", "train_loss", 30)]
    assert database.execute("SELECT name, version FROM model_versions").fetchall() == [
        ("breast-cancer", 1)
    ]
    database.close()
    assert "breast-cancer" in (tmp_path / "report.html").read_text()
    loaded = next(cell for cell in notebook.cells if "load_model" in cell.source)
    assert "True" in loaded.outputs[-1].data["text/plain"]
