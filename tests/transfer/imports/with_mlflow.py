"""Run by a Python that has mlflow: makes stores with everything in them, and says what they have.

``write URI FOLDER``, ``grow URI``, ``big URI RUNS POINTS`` and ``read URI OUT``.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
warnings.simplefilter("ignore")

import mlflow  # noqa: E402 - the environment comes first
from mlflow.entities import Metric, Param, RunTag, ViewType  # noqa: E402

logging.disable(logging.WARNING)


def write(uri: str, folder: str) -> None:
    """Make a store with everything in it."""
    import pandas as pd
    from sklearn.linear_model import LinearRegression

    os.chdir(folder)
    mlflow.set_tracking_uri(uri)
    client = mlflow.MlflowClient()
    client.set_experiment_tag("0", "team", "blue")
    wine = client.create_experiment("Wein größe 🍷", tags={"a": "1"})
    gone = client.create_experiment("gone")
    with mlflow.start_run(experiment_id=wine, run_name="parent ü", description="note") as run:
        mlflow.log_params({"lr": 0.1, "empty": "", "long": "x" * 5000, "lines": "a\nb\r\nc\n"})
        mlflow.set_tags({"größe": "große 🍷", "a/b.c": "slash", "blank": " "})
        for step, value in enumerate([0.5, math.nan, math.inf, -math.inf, 1e-300, -0.0]):
            mlflow.log_metric("odd values", value, step=step, timestamp=1_700_000_000_000 + step)
        for step in (5, -3, 5, 0):
            mlflow.log_metric("val/acc", step / 7, step=step, timestamp=1_700_000_000_000)
        mlflow.log_metric("val/acc", 5 / 7, step=5, timestamp=1_700_000_000_000)
        mlflow.log_text("hello", "notes/a.txt")
        mlflow.log_text("", "empty.txt")
        mlflow.log_text("ü", "größe/ü 1.txt")
        frame = pd.DataFrame({"x": [1.0, 2.0], "y": [0.0, 1.0]})
        data = mlflow.data.from_pandas(frame, source="https://example.org/d.csv", name="frame")
        mlflow.log_input(data, context="training", tags={"fold": "1"})
        mlflow.log_input(mlflow.data.from_pandas(frame[:1], name="other"))
        model = LinearRegression().fit([[0.0], [1.0]], [0.0, 1.0])
        info = mlflow.sklearn.log_model(
            model, name="model", serialization_format="cloudpickle", registered_model_name="reg"
        )
        second = mlflow.sklearn.log_model(
            model, name="model", serialization_format="cloudpickle", registered_model_name="reg"
        )
        mlflow.log_metric("score", 0.75, step=3, model_id=info.model_id, dataset=data)
        client.set_logged_model_tags(info.model_id, {"k": "v"})
        with mlflow.start_run(experiment_id=wine, nested=True, run_name="child"):
            mlflow.log_metric("m", 1.0)
            mlflow.log_metric("of the model", 2.0, model_id=second.model_id)
    client.log_inputs(run.info.run_id, models=[mlflow.entities.LoggedModelInput(second.model_id)])
    failed = client.create_run("0", run_name="failed", start_time=1_600_000_000_000)
    client.set_terminated(failed.info.run_id, "FAILED", end_time=1_600_000_001_000)
    client.create_run("0", run_name="running")
    trash = client.create_run(wine, run_name="trash")
    client.log_metric(trash.info.run_id, "m", 3.0)
    client.delete_run(trash.info.run_id)
    client.create_run(gone, run_name="in a deleted experiment")
    client.delete_experiment(gone)
    mlflow.set_experiment(experiment_id=wine)
    orphan = mlflow.initialize_logged_model(name="orphan", params={"p": "1"}, tags={"t": "2"})
    mlflow.finalize_logged_model(orphan.model_id, "READY")

    client.update_registered_model("reg", "what it is")
    client.set_registered_model_tag("reg", "task", "regression")
    client.update_model_version("reg", "1", "the first")
    client.set_model_version_tag("reg", "1", "checked", "yes")
    client.transition_model_version_stage("reg", "1", "Production")
    client.set_registered_model_alias("reg", "champion", "1")
    client.set_registered_model_alias("reg", "second", "2")
    client.copy_model_version("models:/reg/1", "copied")
    client.create_registered_model("empty", tags={"a": "b"}, description="no versions")
    client.create_registered_model("by run")
    client.create_model_version("by run", f"runs:/{run.info.run_id}/notes", run.info.run_id)
    client.delete_model_version("reg", "2")


def grow(uri: str) -> None:
    """Let the runs of such a store go on."""
    mlflow.set_tracking_uri(uri)
    client = mlflow.MlflowClient()
    (run,) = client.search_runs(["0"], "attributes.run_name = 'running'")
    client.log_metric(run.info.run_id, "late", 1.0, step=1)
    client.log_param(run.info.run_id, "late", "1")
    client.set_tag(run.info.run_id, "late", "1")
    client.log_text(run.info.run_id, "late", "late.txt")
    client.set_terminated(run.info.run_id)


def big(uri: str, runs: str, points: str) -> None:
    """Make a store of that many runs with that many points in all."""
    mlflow.set_tracking_uri(uri)
    client = mlflow.MlflowClient()
    count, per_run = int(runs), int(points) // int(runs)
    keys = ["loss", "accuracy", "val/loss", "lr", "odd"]
    for number in range(count):
        run = client.create_run("0", run_name=f"run {number}")
        start = 1_700_000_000_000 + number
        metrics = [
            Metric(
                keys[i % len(keys)],
                math.nan if i % 97 == 96 else math.sin(number * 1000 + i),
                start + i * 17 + i % 5,
                i // len(keys),
            )
            for i in range(per_run)
        ]
        params = [Param(f"p{i}", str(number * i)) for i in range(10)]
        for place in range(0, max(len(metrics), 1), 900):
            client.log_batch(run.info.run_id, metrics[place : place + 900])
        client.log_batch(run.info.run_id, params=params, tags=[RunTag("n", str(number))])
        client.set_terminated(run.info.run_id)


def read(uri: str, out: str) -> None:
    """Write what MLflow itself says of a store as JSON, and the seconds that it took."""
    start = time.monotonic()
    mlflow.set_tracking_uri(uri)
    client = mlflow.MlflowClient()
    experiments = client.search_experiments(view_type=ViewType.ALL)
    found: dict[str, Any] = {"experiments": [dict(e) for e in experiments]}
    ids = [e.experiment_id for e in experiments]
    found["runs"] = [
        _run(client, client.get_run(run.info.run_id)) for run in _all_runs(client, ids)
    ]
    found["logged_models"] = [
        _logged(model) for model in mlflow.search_logged_models(ids, output_format="list")
    ]
    found["registered_models"] = [
        {**dict(m), "latest_versions": None} for m in client.search_registered_models()
    ]
    found["versions"] = [
        {**dict(client.get_model_version(v.name, v.version)), "metrics": None, "params": None}
        for v in client.search_model_versions()
    ]
    found["seconds"] = time.monotonic() - start
    Path(out).write_text(json.dumps(found, default=str))


def _all_runs(client: Any, ids: list[str]) -> Any:
    token = None
    while True:
        page = client.search_runs(ids, run_view_type=ViewType.ALL, page_token=token)
        yield from page
        token = page.token
        if not token:
            return


def _run(client: Any, run: Any) -> dict[str, Any]:
    run_id = run.info.run_id
    histories = {
        key: [(m.step, m.timestamp, m.value) for m in client.get_metric_history(run_id, key)]
        for key in run.data.metrics
    }
    return {
        "info": {**dict(run.info), "status": run.info.status},
        "params": run.data.params,
        "tags": run.data.tags,
        "metrics": run.data.metrics,
        "histories": histories,
        "inputs": [
            {**dict(item.dataset), "tags": {tag.key: tag.value for tag in item.tags}}
            for item in run.inputs.dataset_inputs
        ],
        "model_inputs": [item.model_id for item in run.inputs.model_inputs or []],
        "model_outputs": [[item.model_id, item.step] for item in run.outputs.model_outputs]
        if run.outputs
        else [],
        "files": _files(run.info.artifact_uri),
    }


def _logged(model: Any) -> dict[str, Any]:
    return {
        **{k: v for k, v in dict(model).items() if k not in ("tags", "params", "metrics")},
        "status": str(model.status),
        "tags": model.tags,
        "params": model.params,
        "metrics": [
            [m.key, m.value, m.step, m.timestamp, m.run_id, m.dataset_name, m.dataset_digest]
            for m in model.metrics or []
        ],
        "files": _files(model.artifact_location),
    }


def _files(uri: str) -> dict[str, str]:
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    repository = get_artifact_repository(uri)
    if not repository.list_artifacts():
        return {}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(repository.download_artifacts("", folder))
        return {
            path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(root.rglob("*"))
            if path.is_file()
        }


if __name__ == "__main__":
    {"write": write, "grow": grow, "big": big, "read": read}[sys.argv[1]](*sys.argv[2:])
