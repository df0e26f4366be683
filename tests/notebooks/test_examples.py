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


def run_example(name: str, folder: Path) -> nbformat.NotebookNode:
    """Run a copy of an example in a folder, and return it with its outputs."""
    path = shutil.copy(EXAMPLES / f"{name}.ipynb", folder)
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(folder)}}
    return nbclient.NotebookClient(
        notebook, kernel_name="python3", timeout=300, resources=resources
    ).execute()


def test_quickstart_tells_the_whole_story(tmp_path: Path) -> None:
    notebook = run_example("quickstart", tmp_path)
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


def test_autologging_shows_what_runs_tell(tmp_path: Path) -> None:
    notebook = run_example("autologging", tmp_path)
    cards = [
        output.data["text/html"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if "nbtrack · 1 run" in output.get("data", {}).get("text/html", "")
    ]
    told = "\n".join(cards)
    for words in (
        "accuracy_score_X_test",
        "Same data, params and code as run <a href=",
        "5 candidates kept",
        "mean_test_accuracy",
        "trees against a line",
        "20 of the 163 rows of X_mixed",
        "Pipeline_score_X_train.",
        "Pipeline · adopted",
    ):
        assert words in told
    database = sqlite3.connect(tmp_path / "nbtrack.db")
    assert database.execute("SELECT DISTINCT status FROM runs").fetchall() == [("FINISHED",)]
    database.close()
    status = next(cell for cell in notebook.cells if cell.source == "%nbtrack status")
    assert "1 x %%nbtrack off" in status.outputs[0].data["text/plain"]
    assert "roc_curve_X_test" in (tmp_path / "report.html").read_text()


def test_a_pytorch_loop_is_a_run(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    notebook = run_example("pytorch_loop", tmp_path)
    outputs = {cell.source: cell.outputs for cell in notebook.cells if cell.cell_type == "code"}
    summaries = next(found for source, found in outputs.items() if "summaries" in source)
    assert "'loss': (264," in summaries[-1].data["text/plain"]
    assert "'val_acc': (12," in summaries[-1].data["text/plain"]
    loaded = next(found for source, found in outputs.items() if "load_state_dict" in source)
    assert loaded[-1].data["text/plain"] == "True"
    database = sqlite3.connect(tmp_path / "nbtrack.db")
    assert database.execute("SELECT status FROM runs").fetchall() == [("FINISHED",)] * 2
    database.close()
