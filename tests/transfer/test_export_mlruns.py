"""Runs as a folder of MLflow's: read by MLflow itself, and by nbtrack again."""

from __future__ import annotations

import json
import math
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nbtrack.errors import InvalidParameterError, StoreError
from nbtrack.provenance import is_alive
from nbtrack.tracking import Client
from nbtrack.tracking.modelfiles import JOURNALED
from nbtrack.transfer import MergeReport
from nbtrack.transfer.exports.mlruns import export_mlruns

from .archive import content, copy, execute, fill


def export(client: Client, runs: list[str], folder: Path, **options: Any) -> MergeReport:
    client.flush()
    return export_mlruns(client.path, runs, folder, is_alive=is_alive, kinds=JOURNALED, **options)


def fill_all(client: Client) -> list[str]:
    """Log runs with all that MLflow's files can hold; return their ids."""
    first = fill(client)
    child = client.start_run("child \N{SNOWMAN}", experiment_name="far", parent_run_id=first)
    child.log_params({"a/b": "1\n2", "colon: x": "", "long": "x" * 5000})
    for step, value in enumerate([math.nan, math.inf, -math.inf, 1e-300, 0.1]):
        child.log_metric("odd", value, step=step - 1)
    child.set_tags({"mlflow.note.content": "**note**\r\n", "a/b/c": "d"})
    for context in ("train", "eval"):
        child.log_input(np.arange(3), "numbers", context, {"k": context})
    child.end("FAILED")
    trashed = client.start_run("trashed").run_id
    client.delete_run(trashed)
    other = client.create_experiment("in the trash", tags={"who": "me"})
    last = client.start_run("last", experiment_name="in the trash")
    last.end()
    client.flush()
    model = client.get_run(first).models[0].model_id
    execute(
        client.path,
        "INSERT INTO model_metrics SELECT run_no, 'acc', 0.5, 3, 7, "
        f"'{model}', NULL, NULL FROM runs WHERE run_id = '{first}'",
        "INSERT INTO model_metrics SELECT run_no, 'acc', 0.25, 4, 8, "
        f"'{model}', 'iris', 'd1' FROM runs WHERE run_id = '{child.run_id}'",
        "UPDATE registered_models SET last_version = 9",
        "INSERT INTO model_aliases VALUES ('churn', 'champion', 1)",
    )
    client.delete_experiment(other)
    return [first, child.run_id, trashed, last.run_id]


def test_files(client: Client, tmp_path: Path) -> None:
    run_id = fill(client)
    folder = tmp_path / "out" / "mlruns"
    seen: list[tuple[int, int]] = []
    report = export(client, [run_id], folder, progress=lambda *now: seen.append(now))
    assert report.added == [run_id]
    assert report.problems == report.conflicts == []
    assert report.experiments == ["Default", "far"]
    assert report.files == 7
    assert seen == [(0, 1), (1, 1)]
    run = folder / "1" / run_id
    assert (run / "params" / "lr").read_text() == "0.2"
    assert (run / "tags" / "estimator_name").read_text() == "KMeans"
    assert len((run / "metrics" / "loss").read_text().splitlines()) == 600
    assert (run / "metrics" / "nan").read_text().split()[1] == "nan"
    assert (run / "artifacts" / "notes" / "a.txt").read_text() == "text\n" * 1000
    assert not (run / "artifacts" / "model").exists()
    (model,) = (folder / "1" / "models").iterdir()
    assert (model / "artifacts" / "MLmodel").exists()
    assert [path.name for path in folder.parent.iterdir()] == ["mlruns"]  # nothing waits


def test_again_changes_nothing(client: Client, tmp_path: Path) -> None:
    runs = fill_all(client)
    folder = tmp_path / "mlruns"
    report = export(client, runs, folder)
    assert report.problems == report.conflicts == []
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert export(client, runs, folder) == MergeReport(unchanged=4)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_children_come_along(client: Client, tmp_path: Path) -> None:
    first, child, *_ = fill_all(client)
    assert export(client, [first], tmp_path / "mlruns").added == [first, child]


def test_a_run_that_went_on(client: Client, tmp_path: Path) -> None:
    folder = tmp_path / "mlruns"
    run = client.start_run("long")
    for step in range(10):
        run.log_metric("loss", step, step=step)
    run.log_text("a", "a.txt")
    export(client, [run.run_id], folder)
    place = folder / "0" / run.run_id
    (place / "tags" / "theirs").write_text("kept")
    with (place / "metrics" / "loss").open("a") as file:
        file.write("1 1.0 10\n")  # longer there
    run.log_metric("new", 1.0)
    run.log_params({"p": 1})
    run.log_text("b", "b.txt")
    run.end()
    report = export(client, [run.run_id], folder)
    assert report.updated == [run.run_id]
    assert report.conflicts == report.problems == []
    assert (place / "tags" / "theirs").read_text() == "kept"
    assert len((place / "metrics" / "loss").read_text().splitlines()) == 11
    assert (place / "artifacts" / "b.txt").read_text() == "b"
    assert "status: 3" in (place / "meta.yaml").read_text()
    client.log_metric(run.run_id, "loss", 5.0, step=11)
    client.set_tag(run.run_id, "theirs", "ours")
    (place / "params" / "p").write_text("2")
    (place / "artifacts" / "b.txt").write_text("c")
    report = export(client, [run.run_id], folder)
    told = "\n".join(report.conflicts)
    for what in ("metric 'loss'", "tag 'theirs'", "param 'p'", "file 'b.txt'"):
        assert f"The {what} of the run long" in told
    assert len(report.conflicts) == 4
    assert (report.updated, report.unchanged) == ([], 1)
    assert (place / "params" / "p").read_text() == "2"


def test_a_folder_that_has_runs(client: Client, tmp_path: Path) -> None:
    folder, other = tmp_path / "mlruns", Client(tmp_path / "other.db")
    theirs = fill(other, "theirs")
    other.create_experiment("second")
    export(other, [theirs], folder)
    with client.start_run("mine", experiment_name="near") as run:  # also number 1
        run.log_params({"a": 1})
    ours = fill(client, "ours")
    report = export(client, [run.run_id, ours], folder)
    assert report.experiments == ["near"]
    assert (folder / "2" / run.run_id / "params" / "a").exists()
    assert (folder / "1" / ours).exists()
    assert (folder / "1" / theirs).exists()
    assert [(v.version, v.source_version) for v in report.versions] == [(2, 1)]
    assert export(client, [run.run_id, ours], folder) == MergeReport(unchanged=2)
    other.workspace.writer.close()


HOSTILE = ("../../x", "/abs", "a//b", ".", "..", "a?b", "a\nb", "", "x" * 300, "dir", "a\\..\\b")


def test_keys_that_are_no_names_of_files(client: Client, tmp_path: Path) -> None:
    with client.start_run("odd") as run:
        run.log_metric("fine", 1.0)
        run.log_params({"fine": 1, "dir/a": 1})
    client.flush()
    for key in HOSTILE:
        with closing(sqlite3.connect(client.path)) as conn, conn:
            conn.execute("INSERT INTO params VALUES (1, ?, 'x')", (key,))
            conn.execute("INSERT INTO tags VALUES (1, ?, 'x')", (key,))
            conn.execute("INSERT INTO experiment_tags VALUES (0, ?, 'x')", (key,))
    folder = tmp_path / "a" / "mlruns"
    report = export(client, [run.run_id], folder)
    assert report.added == [run.run_id]
    for what in ("param", "tag"):
        assert sum(f"the {what} " in problem for problem in report.problems) in (10, 11)
    assert sum("The tag" in problem for problem in report.problems) == 10
    assert {path.name for path in (folder / "0" / run.run_id / "params").iterdir()} >= {"fine"}
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["mlruns"]
    assert not (tmp_path / "x").exists()
    assert not Path("/abs").exists()


def test_a_hostile_database(client: Client, tmp_path: Path) -> None:
    run_id = fill(client)
    for harm, left in (
        ("UPDATE artifacts SET path = '../../evil' WHERE path LIKE 'n%'", "run"),
        ("UPDATE runs SET run_id = '../x'", "run"),
        ("UPDATE runs SET status = 'DANCING'", "run"),
        ("UPDATE models SET model_id = '../x'", "run"),
        ("UPDATE run_models SET model_id = '../x'", "run"),
        ("UPDATE blob_chunks SET data = x'00'", "run"),
        ("UPDATE metric_chunks SET data = x'00'", "run"),
        ("UPDATE registered_models SET name = '..'", "model"),
    ):
        bad = copy(client.path, tmp_path / "bad.db")
        execute(bad, "PRAGMA foreign_keys = OFF", harm)
        if ".." in harm and left == "model":
            for table in ("model_versions", "model_aliases", "model_version_tags"):
                execute(bad, f"UPDATE {table} SET name = '..'")
        with closing(sqlite3.connect(bad)) as conn:
            (given,) = conn.execute("SELECT run_id FROM runs").fetchone()
        folder = tmp_path / "x" / "y" / "mlruns"
        report = export_mlruns(bad, [given], folder, is_alive=is_alive, kinds=JOURNALED)
        assert any(f"The {left}" in problem for problem in report.problems), harm
        assert report.added == ([] if left == "run" else [run_id])
        assert sorted(path.name for path in (tmp_path / "x").rglob("evil")) == []
        assert [path.name for path in (tmp_path / "x" / "y").iterdir()] == ["mlruns"]
        assert not (folder / "1" / run_id).exists() or left == "model"
        (tmp_path / "x").rename(tmp_path / f"done-{abs(hash(harm))}")


def test_numbers_of_experiments_that_cannot_be(client: Client, tmp_path: Path) -> None:
    fill(client)
    client.flush()
    bad = copy(client.path, tmp_path / "bad.db")
    for table in ("runs", "experiments", "experiment_tags"):
        execute(
            bad,
            "PRAGMA foreign_keys = OFF",
            f"UPDATE {table} SET experiment_id = experiment_id - 9",
        )
    runs = [run.info.run_id for run in client.search_runs(experiment_names=["far"])]
    folder = tmp_path / "mlruns"
    report = export_mlruns(bad, runs, folder, is_alive=is_alive, kinds=JOURNALED)
    assert "The experiment 0 is not in the database" in "".join(report.problems)
    assert (report.added, report.experiments) == (runs, ["far"])
    assert (folder / "1" / runs[0]).exists()


def test_links_in_the_folder_are_not_followed_out(client: Client, tmp_path: Path) -> None:
    run = client.start_run("one")
    run.log_params({"a": 1})
    folder, elsewhere = tmp_path / "mlruns", tmp_path / "elsewhere"
    export(client, [run.run_id], folder)
    elsewhere.mkdir()
    place = folder / "0" / run.run_id
    (place / "tags").rename(tmp_path / "tags")
    (place / "tags").symlink_to(elsewhere)
    run.set_tags({"new": "1"})
    report = export(client, [run.run_id], folder)
    assert "outside of" in report.problems[0]
    assert list(elsewhere.iterdir()) == []


def test_what_is_in_the_way(client: Client, tmp_path: Path) -> None:
    run = client.start_run("one")
    file = tmp_path / "file"
    file.write_text("a")
    with pytest.raises(InvalidParameterError, match="is no folder"):
        export(client, [run.run_id], file)
    home = tmp_path / "home"
    home.mkdir()
    (home / "letter.txt").write_text("dear")
    (home / "models").mkdir()
    with pytest.raises(InvalidParameterError, match="something else in it"):
        export(client, [run.run_id], home)
    with pytest.raises(StoreError, match="cannot be written"):
        export(client, [run.run_id], file / "mlruns")
    folder = tmp_path / "mlruns"
    export(client, [client.start_run("another").run_id], folder)
    (folder / "0" / run.run_id / "metrics").mkdir(parents=True)
    report = export(client, [run.run_id], folder)
    assert "is something else" in report.problems[0]


EXPORT = """
    import sys
    from pathlib import Path
    from nbtrack import Client
    from nbtrack.provenance import is_alive
    from nbtrack.transfer.exports.mlruns import export_mlruns
    client = Client(sys.argv[1])
    runs = [run.info.run_id for run in client.search_runs()]
    print("begins", flush=True)
    export_mlruns(client.path, runs, Path(sys.argv[2]), is_alive=is_alive, kinds={})
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize("seconds", [0.05, 0.2])
def test_an_export_that_is_killed(client: Client, tmp_path: Path, seconds: float) -> None:
    for i in range(60):
        with client.start_run(f"run {i}") as run:
            run.log_params({f"p{j}": i for j in range(10)})
            run.log_metrics({"loss": i / 3, "acc": 0.5})
            run.log_text("text\n" * 99, "a.txt")
    client.flush()
    folder = tmp_path / "mlruns"
    args = [sys.executable, "-c", textwrap.dedent(EXPORT), str(client.path), str(folder)]
    with subprocess.Popen(args, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begins\n"
        time.sleep(seconds)
        process.kill()
    whole = list(folder.glob("0/*/meta.yaml"))
    for meta in whole:
        assert len(list((meta.parent / "params").iterdir())) == 10
        assert (meta.parent / "artifacts" / "a.txt").stat().st_size == 495
    assert len(whole) == len([p for p in folder.glob("0/*") if len(p.name) == 32])
    runs = [run.info.run_id for run in client.search_runs()]
    report = export(client, runs, folder)
    assert (report.unchanged, len(report.added)) == (len(whole), 60 - len(whole))
    assert report.problems == report.conflicts == []


COMES_HOME = (
    "experiments",
    "experiment_tags",
    "params",
    "tags",
    "metrics",
    "points",
    "linked",
    "inputs",
    "artifacts",
    "logged_model_params",
    "logged_model_tags",
    "run_models",
    "registered_model_tags",
    "model_version_tags",
    "versions",
)


def test_it_comes_home_again(client: Client, tmp_path: Path) -> None:
    runs = fill_all(client)
    folder = tmp_path / "mlruns"
    assert export(client, runs, folder).problems == []
    folder.rename(tmp_path / "moved")
    other = Client(tmp_path / "other.db")
    report = other.import_runs(tmp_path / "moved")
    assert sorted(report.added) == sorted(runs)
    assert report.conflicts == []
    other.flush()
    here, there = content(client.path), content(other.path)
    for name in COMES_HOME:
        # Where the files were is noted.
        found = [row for row in there[name] if "nbtrack.import" not in row]
        assert found == here[name], name
    other.workspace.writer.close()


READ = """
    import json, os, sys
    from pathlib import Path
    import mlflow
    from mlflow.entities import ViewType
    mlflow.set_tracking_uri(Path(sys.argv[1]).as_uri())
    client = mlflow.MlflowClient()
    found = {"runs": {}, "experiments": {}, "models": {}}
    for experiment in client.search_experiments(view_type=ViewType.ALL):
        found["experiments"][experiment.name] = [
            experiment.experiment_id, experiment.lifecycle_stage, experiment.creation_time,
            experiment.last_update_time, dict(experiment.tags),
        ]
        for run in client.search_runs([experiment.experiment_id], run_view_type=ViewType.ALL):
            info = run.info
            files = []
            def walk(path=None):
                for file in client.list_artifacts(info.run_id, path):
                    if file.is_dir:
                        walk(file.path)
                    else:
                        files.append([file.path, file.file_size])
            if experiment.lifecycle_stage == "active":
                walk()
            found["runs"][info.run_id] = {
                "info": [info.run_name, experiment.name, info.status, info.start_time,
                         info.end_time, info.user_id, info.lifecycle_stage],
                "params": run.data.params, "tags": run.data.tags,
                "metrics": {k: repr(v) for k, v in run.data.metrics.items()},
                "histories": {
                    key: [[m.timestamp, repr(m.value), m.step]
                          for m in client.get_metric_history(info.run_id, key)]
                    for key in run.data.metrics
                },
                "inputs": list(
                    [d.dataset.name, d.dataset.digest, d.dataset.source_type, d.dataset.schema,
                     d.dataset.profile, d.dataset.source, {t.key: t.value for t in d.tags}]
                    for d in run.inputs.dataset_inputs
                ),
                "outputs": [m.model_id for m in run.outputs.model_outputs],
                "model inputs": [m.model_id for m in run.inputs.model_inputs],
                "files": sorted(files),
            }
        if experiment.lifecycle_stage == "active":
            for model in client.search_logged_models([experiment.experiment_id]):
                found["models"][model.model_id] = [
                    model.name, model.model_type, model.source_run_id, str(model.status),
                    model.creation_timestamp, model.last_updated_timestamp, model.params,
                    model.tags,
                    sorted(([m.key, m.value, m.step, m.timestamp, m.run_id, m.dataset_name,
                             m.dataset_digest] for m in model.metrics), key=repr),
                ]
    found["registered"] = {
        model.name: [model.creation_timestamp, model.last_updated_timestamp, model.description,
                     model.tags, model.aliases]
        for model in client.search_registered_models()
    }
    found["versions"] = [
        [v.name, v.version, v.run_id, v.source, v.creation_timestamp, v.last_updated_timestamp,
         v.description, v.current_stage, v.status, v.run_link, v.model_id, v.tags]
        for v in client.search_model_versions()
    ]
    loaded = mlflow.sklearn.load_model(f"models:/{sys.argv[2]}") if len(sys.argv) > 2 else None
    found["loaded"] = [type(loaded).__name__]
    if loaded is not None:
        run_id, path = sys.argv[3], sys.argv[4]
        same = mlflow.sklearn.load_model(f"runs:/{run_id}/{path}")
        found["loaded"] += [type(same).__name__]
    print("FOUND" + json.dumps(found))
"""


def mlflow_reads(python: str, folder: Path, *args: str) -> Any:
    done = subprocess.run(
        [python, "-c", textwrap.dedent(READ), str(folder), *args],
        env={**os.environ, "MLFLOW_ALLOW_FILE_STORE": "true"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "FOUND" in done.stdout, done.stderr
    return json.loads(done.stdout.partition("FOUND")[2])


@pytest.mark.mlflow
def test_mlflow_reads_every_value(client: Client, tmp_path: Path, mlflow_python: str) -> None:
    runs = fill_all(client)
    folder = tmp_path / "mlruns"
    assert export(client, runs, folder).problems == []
    found = mlflow_reads(mlflow_python, folder)
    assert set(found["runs"]) == set(runs)
    with closing(sqlite3.connect(client.path)) as conn:
        everything(client, conn, found)


def everything(client: Client, conn: sqlite3.Connection, found: Any) -> None:
    for name, number, stage, created, updated in conn.execute(
        "SELECT name, experiment_id, lifecycle_stage, creation_time, last_update_time"
        " FROM experiments"
    ):
        tags = dict(
            conn.execute(
                "SELECT key, value FROM experiment_tags WHERE experiment_id = ?", (number,)
            )
        )
        assert found["experiments"][name] == [str(number), stage, created, updated, tags]
    for run_id, there in found["runs"].items():
        detail = client.workspace.store.get_run_detail(run_id)
        run, info = detail.run, detail.run.info
        assert there["info"] == [
            info.run_name,
            info.experiment_name,
            info.status,
            info.start_time,
            info.end_time,
            info.user_id,
            info.lifecycle_stage,
        ]
        assert there["params"] == run.data.params
        assert there["tags"] == run.data.tags
        assert there["metrics"] == {k: repr(v) for k, v in run.data.metrics.items()}
        for series in client.workspace.store.metric_series([run_id], list(run.data.metrics)):
            points = zip(
                series.timestamps.tolist(),
                map(repr, series.values.tolist()),
                series.steps.tolist(),
                strict=True,
            )
            assert there["histories"][series.key] == [list(point) for point in points]
        assert sorted(map(repr, there["inputs"])) == sorted(
            repr(
                [
                    item.dataset.name,
                    item.dataset.digest,
                    item.dataset.source_type,
                    json.dumps(dict(item.dataset.schema)),
                    json.dumps(dict(item.dataset.profile)),
                    item.dataset.source,
                    {**item.tags, "mlflow.data.context": item.context},
                ]
            )
            for item in detail.inputs
        )
        models = [model.model_id for model in run.models]
        assert there["outputs"] == models
        uses = [
            row[0]
            for row in conn.execute(
                "SELECT model_id FROM run_models WHERE role = 'input' AND run_id = ?", (run_id,)
            )
        ]
        assert there["model inputs"] == uses
        starts = tuple(f"{model.artifact_path}/" for model in run.models)
        assert there["files"] == [
            [file.path, file.size_bytes]
            for file in detail.artifacts
            if not file.path.startswith(starts)
        ]
    (model,) = client.get_run("first").models
    (logged,) = found["models"].values()
    first, child = (client.get_run(name).info.run_id for name in ("first", "child \N{SNOWMAN}"))
    assert logged == [
        model.name,
        model.model_type,
        first,
        "READY",
        model.created_ms,
        5,
        model.params,
        model.tags,
        [
            ["acc", 0.25, 4, 8, child, "iris", "d1"],
            ["acc", 0.5, 3, 7, first, None, None],
        ],
    ]
    (ours,) = client.workspace.registry.search_models()
    assert found["registered"] == {
        "churn": [
            ours.creation_timestamp,
            ours.last_updated_timestamp,
            ours.description,
            ours.tags,
            {"champion": "1"},
        ]
    }
    (version,) = ours.versions
    assert found["versions"] == [
        [
            "churn",
            1,
            version.run_id,
            version.source,
            version.creation_timestamp,
            version.last_updated_timestamp,
            version.description,
            version.current_stage,
            version.status,
            version.run_link,
            version.model_id,
            version.tags,
        ]
    ]


@pytest.mark.mlflow
def test_mlflow_loads_models(client: Client, tmp_path: Path, mlflow_python: str) -> None:
    from sklearn.linear_model import LinearRegression

    with client.start_run("fit") as run:
        run.log_model(LinearRegression().fit([[1.0], [2.0]], [1.0, 2.0]), "sklearn")
    client.register_model(run.run_id, "line")
    folder = tmp_path / "mlruns"
    assert export(client, [run.run_id], folder).problems == []
    path = client.get_run(run.run_id).models[0].artifact_path
    found = mlflow_reads(mlflow_python, folder, "line/1", run.run_id, path)
    assert found["loaded"] == ["LinearRegression"] * 2
