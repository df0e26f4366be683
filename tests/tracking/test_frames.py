"""Runs as DataFrames."""

from __future__ import annotations

import math
from numbers import Number

import pandas as pd
import pytest

import nbtrack
from nbtrack.tracking.frames import mlflow_frame, people_frame
from nbtrack.types import RunTable

pytestmark = pytest.mark.usefixtures("default")

MLFLOW = ["run_id", "experiment_id", "status", "artifact_uri", "start_time", "end_time"]
PEOPLE = ["name", "experiment", "status", "started", "duration_s", "cell"]


def test_mlflows_frame() -> None:
    with nbtrack.start_run(run_name="a") as first:
        first.log_metrics({"m": 0.5})
        first.log_params({"p": 1})
    with nbtrack.start_run(run_name="b") as second:
        second.set_tag("t", "x")
    frame = nbtrack.search_runs()
    columns = [name for name in frame.columns if not name.startswith("tags.mlflow.")]
    assert columns == [*MLFLOW, "metrics.m", "params.p", "tags.t"]
    assert frame["run_id"].tolist() == [second.run_id, first.run_id]
    assert frame["status"].tolist() == ["FINISHED"] * 2
    assert frame["metrics.m"].dtype == "float64"
    assert math.isnan(frame["metrics.m"][0])
    assert frame["metrics.m"][1] == 0.5
    assert frame["params.p"][1] == "1"
    assert pd.isna(frame["params.p"][0])
    assert str(frame["start_time"].dt.tz) == "UTC"
    stored = nbtrack.get_run("a").info
    assert frame["start_time"][1] == pd.Timestamp(stored.start_time, unit="ms", tz="UTC")


def test_a_frame_to_read() -> None:
    with nbtrack.start_run(run_name="a") as first:
        first.log_metrics({"m": 0.5})
        first.log_params({"n": 3, "x": 0.5, "word": "w", "mixed": 1})
    with nbtrack.start_run(run_name="b") as second:
        second.log_params({"n": 4, "mixed": "one"})
    frame = nbtrack.runs()
    assert list(frame.columns) == [*PEOPLE, "m", "mixed", "n", "word", "x"]
    assert frame.index.name == "run_id"
    assert frame.index.tolist() == [second.run_id, first.run_id]
    assert frame["n"].tolist() == [4, 3]
    assert frame.loc[first.run_id, "x"] == 0.5
    assert frame["mixed"].tolist() == ["one", "1"]
    assert math.isnan(frame.loc[second.run_id, "x"])
    assert (frame["duration_s"] >= 0).all()
    assert frame["cell"].isna().all()


def test_candidates_are_left_out_where_nothing_is_asked_for() -> None:
    with nbtrack.start_run(run_name="search") as search:
        pass
    with nbtrack.start_run(
        run_name="one", parent_run_id=search.run_id, tags={"nbtrack.candidate": "true"}
    ) as one:
        one.log_metric("mean_test_score", 0.5)
    assert nbtrack.runs()["name"].tolist() == ["search"]
    found = nbtrack.runs(filter_string="metrics.mean_test_score > 0")
    assert found["name"].tolist() == ["one"]
    assert len(nbtrack.search_runs()) == 2


def test_a_run_that_goes_on_has_no_end() -> None:
    nbtrack.start_run(run_name="a")
    assert nbtrack.search_runs()["end_time"].isna().all()
    assert nbtrack.runs()["duration_s"].isna().all()
    nbtrack.end_run()


@pytest.mark.parametrize("make", [people_frame, mlflow_frame])
def test_an_empty_database(make: object) -> None:
    frame = make(RunTable([], {}, {}, {}, {}))  # type: ignore[operator]
    assert len(frame) == 0
    assert list(frame.columns) == (PEOPLE if make is people_frame else MLFLOW)
    time = frame["started" if make is people_frame else "start_time"]
    assert str(time.dtype).endswith("UTC]")


def test_names_that_clash() -> None:
    with nbtrack.start_run(run_name="a") as run:
        run.log_metrics({"name": 1.0, "both": 2.0, "metrics.name": 3.0, "params.both": 4.0})
        run.log_params({"both": 5, "status": 6, "params.status": 7})
    frame = nbtrack.runs()
    assert frame.columns.is_unique
    row = frame.iloc[0]
    assert row["name"] == "a"
    assert row["status"] == "FINISHED"
    assert row["both"] == 2.0
    values = [value for value in row.tolist() if isinstance(value, Number)]
    assert {1.0, 2.0, 3.0, 4.0, 5, 6, 7} <= set(values)
    names = set(nbtrack.search_runs().columns)
    assert {"metrics.name", "metrics.metrics.name", "params.both", "params.status"} <= names


@pytest.mark.parametrize(
    ("texts", "column"),
    [
        (["1", "2"], [1, 2]),
        (["1", "2.5"], [1, 2.5]),
        (["1e3"], [1000.0]),
        (["inf"], [math.inf]),
        (["True"], ["True"]),
        (["1", "None"], ["1", "None"]),
        (["1_000"], ["1_000"]),
        ([" 1"], [" 1"]),
        (["007"], ["007"]),
        (["-1.", "-0.5e-3"], [-1.0, -0.0005]),
        ([str(2**64)], [2**64]),
        ([""], [""]),
        (["9" * 5000], ["9" * 5000]),
    ],
)
def test_params_that_are_numbers(texts: list[str], column: list[object]) -> None:
    for text in reversed(texts):
        with nbtrack.start_run() as run:
            run.log_param("p", text)
    assert nbtrack.runs()["p"].tolist() == column
