"""Runs that go to a real MLflow server, or to a database of its own, and are read there."""

from __future__ import annotations

import json
import os
import subprocess
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nbtrack.errors import InvalidParameterError, MissingPackageError
from nbtrack.tracking import Client
from nbtrack.transfer.exports import database
from nbtrack.types import Run, RunStatus


def _best(client: Client) -> str:
    """Make a run that has a bit of everything, and return its id."""
    from sklearn.linear_model import LinearRegression

    experiment = client.create_experiment("export")
    run = client.start_run("best", experiment_id=experiment, tags={"team": "blue"})
    run.log_params({"alpha": 0.5, "text": "é😀"})
    for step in range(2_500):
        run.log_metric("loss", 1 / (step + 1), step, 1_000 + step)
    run.log_metric("nan", float("nan"))
    run.log_text("hello", "notes/a b.txt")
    run.log_input(np.zeros((3, 2)), "X")
    run.log_model(LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0]), "sklearn")
    child = client.start_run("child", experiment_id=experiment, parent_run_id=run.run_id)
    child.log_metric("m", 1.0)
    child.end(RunStatus.FAILED, "Traceback: oops")
    run.end(end_time=run.start_time + 1_234)
    client.register_model(run.run_id, "regression")
    return run.run_id


def _there(server: Client, run_id: str) -> Run:
    """Return the run on a server that one of ours has become."""
    (run,) = server.search_runs(filter_string=f"tags.`nbtrack.run_id` = '{run_id}'")
    return server.get_run(run.info.run_id)


@pytest.fixture
def server(mlflow_server: str) -> Client:
    return Client(mlflow_server)


@pytest.mark.mlflow
def test_a_run_arrives_whole(client: Client, server: Client) -> None:
    run_id = _best(client)
    seen: list[tuple[int, int]] = []
    report = client.export_mlflow(
        "best", server.tracking_uri, progress=lambda *part: seen.append(part)
    )
    assert report.problems == []
    assert len(report.added) == 2
    assert report.experiments == ["export"]
    assert [v.version for v in report.versions] == [1]
    assert seen[-1] == (2, 2)
    local, run = client.get_run(run_id), _there(server, run_id)
    assert run.data.params == {"alpha": "0.5", "text": "é😀"}
    assert {**local.data.tags, "nbtrack.run_id": run_id}.items() <= run.data.tags.items()
    assert run.info.experiment_name == "export"
    for name in ("run_name", "status", "start_time", "end_time", "user_id"):
        assert getattr(run.info, name) == getattr(local.info, name)
    (series,) = server.metric_series([run.info.run_id], "loss")
    (mine,) = client.metric_series([run_id], "loss")
    assert series.values.tolist() == mine.values.tolist()
    assert series.timestamps.tolist() == mine.timestamps.tolist()
    assert run.inputs.dataset_inputs[0].dataset.name == "X"
    assert run.inputs.dataset_inputs[0].context == "train"
    child = _there(server, client.get_run("child").info.run_id)
    assert child.info.parent_run_id == run.info.run_id
    assert (child.info.status, child.info.error) == (RunStatus.FAILED, "Traceback: oops")
    folder = server.download_artifacts(run.info.run_id, "notes")
    assert (Path(folder) / "a b.txt").read_text() == "hello"
    (model,) = run.models
    assert (model.flavor, model.artifact_path) == ("sklearn", "model")
    loaded: Any = server.load_model("models:/regression/1")
    assert loaded.predict([[2.0]]).tolist() == pytest.approx([2.0])

    # Again: nothing is new. Then something is.
    again = client.export_mlflow("best", server.tracking_uri)
    assert (again.added, again.updated, again.unchanged, again.versions) == ([], [], 2, [])
    client.log_metric(run_id, "late", 1.0)
    client.set_tag(run_id, "team", "red")
    later = client.export_mlflow(run_id, server.tracking_uri)
    assert (later.added, later.updated, later.unchanged) == ([], [run_id], 1)
    run = _there(server, run_id)
    assert (run.data.metrics["late"], run.data.tags["team"]) == (1.0, "red")
    assert len(run.models) == 1
    assert len(server.get_metric_history(run.info.run_id, "loss")) == 2_500


@pytest.mark.mlflow
def test_a_database_of_mlflows_is_made(
    client: Client, mlflow_python: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "_program", lambda: [mlflow_python, "-m", "mlflow"])
    _best(client)
    target = tmp_path / "mlflow.db"
    for uri, added in ((f"sqlite:///{target}", 2), (str(target), 0)):
        report = client.export_mlflow((), uri, experiment_names=["export"])
        assert (len(report.added), report.problems) == (added, [])
    script = """
        import json, mlflow, sys
        mlflow.set_tracking_uri(sys.argv[1])
        runs = {r.info.run_name: r for r in mlflow.search_runs(
            search_all_experiments=True, output_format="list")}
        best = runs["best"]
        history = mlflow.MlflowClient().get_metric_history(best.info.run_id, "loss")
        text = mlflow.artifacts.load_text(f"{best.info.artifact_uri}/notes/a b.txt")
        model = mlflow.sklearn.load_model("models:/regression/1")
        parent = runs["child"].data.tags["mlflow.parentRunId"] == best.info.run_id
        print(json.dumps([len(history), text, model.predict([[2.0]]).tolist(), parent]))
    """
    done = subprocess.run(
        [mlflow_python, "-c", textwrap.dedent(script), f"sqlite:///{target}"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    assert done.returncode == 0, done.stderr
    points, text, predicted, parent = json.loads(done.stdout.splitlines()[-1])
    assert (points, text, parent) == (2_500, "hello", True)
    assert predicted == pytest.approx([2.0])


def test_targets_that_are_none(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.start_run("a").end()
    client.flush()
    for target, said in (
        (client.path, "is a database of nbtrack's"),
        ("postgresql://x/y", "cannot be exported to 'postgresql"),
        (tmp_path, "nothing of MLflow's"),
        ("databricks://x", "databricks"),
        (tmp_path / "no" / "mlflow.db", "There is no folder"),
    ):
        with pytest.raises(InvalidParameterError, match=said):
            client.export_mlflow("a", target)
    with pytest.raises(InvalidParameterError, match="No run was chosen"):
        client.export_mlflow([], tmp_path / "mlflow.db")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingPackageError, match="needs the package mlflow") as caught:
        client.export_mlflow("a", tmp_path / "mlflow.db")
    assert "pip install mlflow" in str(caught.value)
