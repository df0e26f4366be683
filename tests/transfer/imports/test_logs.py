"""Event files and CSV files in a database: once, whole, and further when they are longer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nbtrack.errors import InvalidParameterError
from nbtrack.tracking import Client
from nbtrack.tracking.frames import mlflow_frame
from nbtrack.transfer import MergeReport
from nbtrack.types import RunQuery

from .test_tensorboard import NAME, begin, image, png, scalar, summary, tensor, write


def points(client: Client, run_id: str, key: str) -> list[Any]:
    (series,) = client.workspace.store.metric_series([run_id], [key])
    return list(zip(series.steps.tolist(), series.values.tolist(), strict=True))


def test_tensorboard(client: Client, tmp_path: Path) -> None:
    logs = tmp_path / "logs"
    for folder in ("train", "val"):
        write(
            logs / folder / NAME,
            begin(),
            *(summary(i, scalar("loss", i / 4), image("dogs", png())) for i in range(3)),
            summary(0, tensor("note", b"a text", "text"), tensor("r", b"x" * 600, "text")),
        )
    report = client.import_runs(logs)
    assert len(report.added) == 2
    assert report.experiments == ["logs"]
    assert report.problems == report.conflicts == []
    train = client.get_run("train")
    assert train.data.tags["note"] == "a text"
    assert train.data.metrics == {"loss": 0.5}
    names = [file.path for file in client.list_artifacts(train.info.run_id, "images")]
    assert len(names) == 6
    assert client.import_runs(logs) == MergeReport(unchanged=2)
    # Also in another place, and longer.
    moved = tmp_path / "elsewhere" / "logs"
    moved.parent.mkdir()
    logs.rename(moved)
    assert client.import_runs(moved) == MergeReport(unchanged=2)
    write(moved / "train" / NAME, *(summary(i, scalar("loss", -i)) for i in range(3, 400)))
    report = client.import_runs(moved)
    assert report.updated == [train.info.run_id]
    assert report.conflicts == []
    assert len(points(client, train.info.run_id, "loss")) == 400
    later = client.get_run("train").info
    assert later.end_time is not None
    assert later.end_time > (train.info.end_time or 0)


def test_csv(client: Client, tmp_path: Path) -> None:
    log = tmp_path / "training.csv"
    log.write_text("epoch,loss\n0,0.5\n1,0.25\n")
    report = client.import_runs(log, experiment_name="keras")
    (run_id,) = report.added
    assert report.experiments == ["keras"]
    assert client.import_runs(log, experiment_name="keras") == MergeReport(unchanged=1)
    with log.open("a") as file:
        file.write("2,0.125\n3,0.")
    report = client.import_runs(log, experiment_name="keras")
    assert report.updated == [run_id]
    assert points(client, run_id, "loss") == [(0, 0.5), (1, 0.25), (2, 0.125), (3, 0.0)]


def test_a_frame_of_runs_comes_home(client: Client, tmp_path: Path) -> None:
    for i in range(3):
        with client.start_run(f"run {i}") as run:
            run.log_params({"a": i, "text": "x, \N{SNOWMAN}"})
            run.log_metrics({"loss": 1 / (i + 1)})
    client.flush()
    table = client.workspace.store.run_table(RunQuery())
    mlflow_frame(table).to_csv(tmp_path / "runs.csv", index=False)
    other = Client(tmp_path / "other.db")
    report = other.import_runs(tmp_path / "runs.csv")
    assert sorted(report.added) == sorted(table.run_ids)
    assert report.experiments == ["runs"]
    for run_id in table.run_ids:
        there, here = client.get_run(run_id), other.get_run(run_id)
        assert here.data.params == there.data.params
        assert here.data.metrics == there.data.metrics
        assert here.data.tags == {**here.data.tags, **there.data.tags}
        assert (here.info.run_name, here.info.start_time, here.info.end_time) == (
            there.info.run_name,
            there.info.start_time,
            there.info.end_time,
        )
    assert other.import_runs(tmp_path / "runs.csv") == MergeReport(unchanged=3)
    # Where the runs are already, they stay as they are.
    assert client.import_runs(tmp_path / "runs.csv").added == []
    other.workspace.writer.close()


def test_kinds(client: Client, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("epoch,loss\n0,0.5\n")
    with pytest.raises(InvalidParameterError, match="a CSV file"):
        client.import_runs(tmp_path / "a.log")
    (run_id,) = client.import_runs(tmp_path / "a.log", format="csv").added
    assert points(client, run_id, "loss") == [(0, 0.5)]
    (run_id,) = client.import_runs(tmp_path / "a.log", format="csv-runs").added
    assert client.get_run(run_id).data.params == {"epoch": "0"}
    assert np.isclose(client.get_run(run_id).data.metrics["loss"], 0.5)
