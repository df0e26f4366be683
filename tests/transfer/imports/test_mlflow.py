"""Stores that the real MLflow made: all that it says of them is what nbtrack says afterwards."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nbtrack.db import Reader
from nbtrack.tracking import Client
from nbtrack.types import ViewType

pytestmark = pytest.mark.mlflow

SCRIPT = Path(__file__).parent / "with_mlflow.py"
LARGEST = 1.7976931348623157e308
STATUS = {
    "PENDING": "LOGGED_MODEL_PENDING",
    "READY": "LOGGED_MODEL_READY",
    "FAILED": "LOGGED_MODEL_UPLOAD_FAILED",
}


def with_mlflow(python: str, *args: object) -> None:
    done = subprocess.run(
        [python, str(SCRIPT), *map(str, args)], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def said_by_mlflow(python: str, uri: str, folder: Path) -> dict[str, Any]:
    out = folder / "said.json"
    with_mlflow(python, "read", uri, out)
    found: dict[str, Any] = json.loads(out.read_text())
    return found


@pytest.fixture(scope="module", params=["mlruns", "mlflow.db"])
def made(
    request: pytest.FixtureRequest, mlflow_python: str, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    folder = tmp_path_factory.mktemp("made")
    path = folder / request.param
    with_mlflow(mlflow_python, "write", _uri(path), folder)
    return path


def _uri(path: Path) -> str:
    return f"sqlite:///{path}" if path.suffix == ".db" else path.as_uri()


@pytest.fixture
def store(made: Path, tmp_path: Path) -> Path:
    """A copy of the store in a place of its own; the store itself is where its paths say."""
    shutil.copytree(made.parent, tmp_path / "copy")
    return tmp_path / "copy" / made.name


def test_everything_is_there(made: Path, client: Client, mlflow_python: str) -> None:
    report = client.import_runs(made)
    assert report.problems == report.conflicts == []
    compare(said_by_mlflow(mlflow_python, _uri(made), made.parent), client)
    assert not made.with_name("mlflow.db-wal").exists()


def test_again_changes_nothing(made: Path, client: Client) -> None:
    client.import_runs(made)
    before = rows_of(client)
    again = client.import_runs(made)
    assert not again.changed
    assert (again.files, again.conflicts, again.problems) == (0, [], [])
    assert rows_of(client) == before


def test_a_rehearsal_finds_the_same_and_writes_nothing(made: Path, client: Client) -> None:
    rehearsed = client.import_runs(made, dry_run=True)
    assert client.search_runs(["0"], run_view_type=ViewType.ALL) == []
    done = client.import_runs(made)
    for name in ("added", "experiments", "versions", "models", "problems", "files"):
        assert getattr(rehearsed, name) == getattr(done, name), name
    assert not client.import_runs(made, dry_run=True).changed


def test_what_has_grown_is_brought_up_to_date(
    store: Path, client: Client, mlflow_python: str
) -> None:
    client.import_runs(store)
    with_mlflow(mlflow_python, "grow", _uri(store))
    report = client.import_runs(store)
    assert (len(report.updated), report.added, report.conflicts) == (1, [], [])
    run = client.get_run(report.updated[0])
    assert run.info.status == "FINISHED"
    assert run.data.metrics["late"] == 1
    assert run.data.params["late"] == run.data.tags["late"] == "1"
    assert not client.import_runs(store).changed


def test_a_store_that_was_moved_has_its_files(
    made: Path, client: Client, mlflow_python: str, tmp_path: Path
) -> None:
    said = said_by_mlflow(mlflow_python, _uri(made), tmp_path)
    moved = tmp_path / "moved"
    shutil.copytree(made.parent, moved)
    hidden = made.parent.with_name("hidden")
    made.parent.rename(hidden)
    try:
        report = client.import_runs(moved / made.name)
    finally:
        hidden.rename(made.parent)
    assert report.problems == []
    compare(said, client)


def test_a_model_is_loaded_by_its_registered_name(made: Path, client: Client) -> None:
    client.import_runs(made)
    for uri in ("models:/reg/1", "models:/reg@champion", "models:/copied/1"):
        model: Any = client.load_model(uri, trust=True)
        assert model.predict([[0.5]]) == pytest.approx([0.5])


def test_one_experiment_alone(made: Path, client: Client) -> None:
    client.import_runs(made, experiment_name="gone")
    assert {e.name for e in client.search_experiments(view_type=ViewType.ALL)} == {
        "Default",
        "gone",
    }
    experiment = client.get_experiment_by_name("gone")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id], run_view_type=ViewType.ALL)
    assert run.info.run_name == "in a deleted experiment"


# ----------------------------------------------------------------------------- comparing


def compare(said: dict[str, Any], client: Client) -> None:
    """Compare all that MLflow says with what is in a database."""
    names = {e["experiment_id"]: e["name"] for e in said["experiments"]}
    reader = Reader(client.path)
    _compare_experiments(said["experiments"], client)
    logged = {model["model_id"]: model for model in said["logged_models"]}
    runs = {run["info"]["run_id"]: run for run in said["runs"]}
    made = {m["model_id"].removeprefix("m-") for m in logged.values() if not m["source_run_id"]}
    here = {row["run_id"] for row in reader.rows("SELECT run_id FROM runs")}
    assert here == runs.keys() | made
    for run_id, run in runs.items():
        _compare_run(run, run_id, names, client, reader)
    _compare_logged(logged, client, reader)
    _compare_files(runs, logged, client)
    _compare_registry(said, client)


def _compare_experiments(said: list[dict[str, Any]], client: Client) -> None:
    here = {e.name: e for e in client.search_experiments(view_type=ViewType.ALL)}
    assert here.keys() == {e["name"] for e in said}
    for there in said:
        mine = here[there["name"]]
        tags = dict(mine.tags)
        assert tags.pop("nbtrack.import.artifact_location") == there["artifact_location"]
        assert tags == there["tags"]
        assert mine.experiment_id == there["experiment_id"]
        assert mine.lifecycle_stage == there["lifecycle_stage"]
        assert mine.creation_time == there["creation_time"]
        assert mine.last_update_time == there["last_update_time"]


def _compare_run(
    said: dict[str, Any], run_id: str, names: dict[str, str], client: Client, reader: Reader
) -> None:
    run = client.get_run(run_id)
    info = said["info"]
    for name in ("run_name", "user_id", "status", "lifecycle_stage", "start_time", "end_time"):
        assert getattr(run.info, name) == info[name], name
    assert run.info.experiment_name == names[info["experiment_id"]]
    assert run.info.parent_run_id == said["tags"].get("mlflow.parentRunId")
    assert run.data.params == said["params"]
    assert run.data.tags == said["tags"]
    assert dict(run.data.metrics) == pytest.approx(said["metrics"], rel=0, abs=0, nan_ok=True)
    assert run.data.metrics.keys() == said["histories"].keys()
    for key, points in said["histories"].items():
        mine = [(m.step, m.timestamp, m.value) for m in client.get_metric_history(run_id, key)]
        # MLflow's store of files has a step of 3 where a dataset follows it, and reads none.
        forgotten = key == "score" and points[0][0] == 0
        assert _ordered(mine) == _ordered([[3, *p[1:]] for p in points] if forgotten else points)
    inputs = {item.dataset.name: item for item in run.inputs.dataset_inputs}
    assert inputs.keys() == {item["name"] for item in said["inputs"]}
    for there in said["inputs"]:
        item = inputs[there["name"]]
        tags = dict(item.tags)
        if item.context:
            tags["mlflow.data.context"] = item.context
        assert tags == there["tags"]
        for name in ("digest", "source_type", "source"):
            assert getattr(item.dataset, name) == there[name], name
        assert item.dataset.schema == json.loads(there["schema"])
        assert item.dataset.profile == json.loads(there["profile"])
    uses = reader.rows("SELECT model_id, role, step FROM run_models WHERE run_id = ?", (run_id,))
    assert sorted(map(tuple, uses)) == sorted(
        [
            *((model_id, "input", 0) for model_id in said["model_inputs"]),
            *((model_id, "output", step) for model_id, step in said["model_outputs"]),
        ]
    )


def _ordered(points: Any) -> list[str]:
    return sorted(repr((int(step), int(time), float(value))) for step, time, value in points)


def _compare_logged(said: dict[str, Any], client: Client, reader: Reader) -> None:
    here = {row["model_id"]: row for row in reader.rows("SELECT * FROM models")}
    assert here.keys() == said.keys()
    for model_id, there in said.items():
        row = here[model_id]
        assert row["run_id"] == (there["source_run_id"] or model_id.removeprefix("m-"))
        assert row["name"] == there["name"]
        assert row["model_type"] == (there["model_type"] or "")
        assert row["status"] == STATUS[there["status"]]
        assert row["created_ms"] == there["creation_timestamp"]
        assert row["last_updated_ms"] == there["last_updated_timestamp"]
        model = next(m for m in client.get_run(row["run_id"]).models if m.model_id == model_id)
        assert (model.params, model.tags) == (there["params"], there["tags"])
        assert (model.flavor == "sklearn") == bool(there["files"])
        metrics = reader.rows(
            "SELECT key, value, step, timestamp, run_id, dataset_name, dataset_digest"
            " FROM model_metrics JOIN runs USING (run_no) WHERE model_id = ?",
            (model_id,),
        )
        # MLflow tells the last ones.
        assert {repr(tuple(m)) for m in there["metrics"]} <= {
            repr(tuple(math.nan if part is None and i == 1 else part for i, part in enumerate(m)))
            for m in metrics
        }


def _compare_files(runs: dict[str, Any], logged: dict[str, Any], client: Client) -> None:
    expected = {run_id: dict(run["files"]) for run_id, run in runs.items()}
    for model_id, model in logged.items():
        run_id = model["source_run_id"] or model_id.removeprefix("m-")
        here = next(m for m in client.get_run(run_id).models if m.model_id == model_id)
        for path, digest in model["files"].items():
            expected.setdefault(run_id, {})[f"{here.artifact_path}/{path}"] = digest
    for run_id, files in expected.items():
        mine = client.workspace.artifacts.list(run_id)
        assert {file.path: file.digest for file in mine} == {
            path: f"sha256:{digest}" for path, digest in files.items()
        }


def _compare_registry(said: dict[str, Any], client: Client) -> None:
    here = {model.name: model for model in client.search_registered_models()}
    assert here.keys() == {model["name"] for model in said["registered_models"]}
    for there in said["registered_models"]:
        mine = here[there["name"]]
        assert mine.description == (there["description"] or "")
        assert mine.tags == there["tags"]
        assert mine.creation_timestamp == there["creation_timestamp"]
        assert mine.last_updated_timestamp == there["last_updated_timestamp"]
        aliases = {alias: v.version for v in mine.versions for alias in v.aliases}
        assert aliases == {alias: int(v) for alias, v in there["aliases"].items()}
    versions = {(v.name, v.version): v for model in here.values() for v in model.versions}
    assert versions.keys() == {(v["name"], int(v["version"])) for v in said["versions"]}
    for there in said["versions"]:
        version = versions[there["name"], int(there["version"])]
        tags = dict(version.tags)
        assert tags.pop("nbtrack.import.source", version.source) == there["source"]
        assert tags == there["tags"]
        assert version.source.startswith("runs:/")
        assert version.run_id == (there["run_id"] or None)
        assert version.description == (there["description"] or "")
        for name in ("current_stage", "status", "creation_timestamp", "last_updated_timestamp"):
            assert getattr(version, name) == there[name], name


def rows_of(client: Client) -> Iterator[Any] | list[Any]:
    """Return all rows of all tables but those that note what was done."""
    reader = Reader(client.path)
    tables = [
        row["name"]
        for row in reader.rows("SELECT name FROM sqlite_schema WHERE type = 'table'")
        if row["name"] not in {"sessions", "unsealed_runs"} and "sqlite" not in row["name"]
    ]
    return [(t, [tuple(row) for row in reader.rows(f"SELECT * FROM {t}")]) for t in tables]
