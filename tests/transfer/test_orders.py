"""Copies of files from any moment, merged in any order and any number of times, give the same."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbtrack.artifacts import PutFiles
from nbtrack.db import Connection, connect_writer
from nbtrack.provenance import is_alive
from nbtrack.store import NewRun
from nbtrack.store.points import AddPoints
from nbtrack.store.records import (
    CreateRun,
    LinkMetrics,
    LogInputs,
    LogModel,
    LogParams,
    SetTags,
    UpdateRun,
)
from nbtrack.store.words import STAGES
from nbtrack.transfer import MergeReport, merge
from nbtrack.transfer.merge import _Direct
from nbtrack.types import Dataset, DatasetInput, Metric, ModelInfo, RunStatus

from .archive import content, copy

NUMBERS = st.one_of(st.integers(-3, 3).map(float), st.sampled_from([math.nan, math.inf, 1e-9]))
KEYS = st.sampled_from(["a", "b", "\N{SNOWMAN} 'q'"])
POINTS = st.lists(st.tuples(KEYS, NUMBERS, st.integers(0, 9), st.integers(-5, 5)), max_size=5)
# What has no history of its own (tags, files ...) is told apart by what else a run has then.
CHANGES = st.one_of(
    st.tuples(st.just("points"), POINTS),
    st.tuples(st.just("many"), st.sampled_from([100, 255, 256, 257, 600])),
    st.tuples(st.just("params"), st.dictionaries(KEYS, st.sampled_from("xyz"), min_size=1)),
    st.tuples(st.just("tags"), st.dictionaries(KEYS, st.sampled_from("xyz"), min_size=1)),
    st.tuples(st.just("file"), st.tuples(KEYS, st.binary(max_size=9))),
    st.tuples(st.just("linked"), NUMBERS),
    st.tuples(st.just("input"), KEYS),
    st.tuples(st.just("model"), st.none()),
    st.tuples(st.just("version"), st.none()),
    st.tuples(st.just("logged"), st.tuples(KEYS, st.sampled_from("xyz"))),
    st.tuples(st.just("use"), st.sampled_from(["input", "output"])),
    st.tuples(st.just("described"), st.tuples(KEYS, st.sampled_from("xyz"))),
    st.tuples(st.just("staged"), st.sampled_from(STAGES)),
    st.tuples(st.just("own model"), st.tuples(KEYS, st.sampled_from("xyz"))),
    st.tuples(st.just("end"), st.sampled_from([RunStatus.FINISHED, RunStatus.FAILED])),
    st.tuples(st.just("resume"), st.none()),
    st.tuples(st.just("copy"), st.none()),
)
HISTORIES = st.lists(st.tuples(st.integers(0, 2), CHANGES), max_size=15)


# What is said of models, and when: what has a time of its own.
SAID = {
    "logged": (
        "UPDATE models SET name = :value, last_updated_ms = :i WHERE run_id = :run",
        "INSERT OR REPLACE INTO logged_model_tags SELECT model_id, :key, :value FROM models"
        " WHERE run_id = :run",
        "INSERT OR IGNORE INTO logged_model_params SELECT model_id, :key, :value FROM models"
        " WHERE run_id = :run",
    ),
    "use": ("INSERT OR IGNORE INTO run_models VALUES (:run, 'm-elsewhere', :value, :i)",),
    "described": (
        "UPDATE model_versions SET description = :value, last_updated_timestamp = :i"
        " WHERE run_id = :run",
        "INSERT OR REPLACE INTO model_version_tags SELECT name, version, :key, :value"
        " FROM model_versions WHERE run_id = :run",
    ),
    "staged": (
        "UPDATE model_versions SET current_stage = :value, last_updated_timestamp = :i"
        " WHERE run_id = :run",
    ),
    "own model": (
        "INSERT INTO registered_models (name, creation_timestamp, last_updated_timestamp,"
        " description) VALUES (:file, :i, :i, :value) ON CONFLICT DO UPDATE SET"
        " last_updated_timestamp = excluded.last_updated_timestamp,"
        " description = excluded.description",
        "INSERT OR REPLACE INTO registered_model_tags VALUES (:file, :key, :value)",
    ),
}


def records(run_id: str, what: str, value: Any, i: int) -> list[Any]:
    """Return what a change writes."""
    grows = AddPoints(run_id, [("clock", float(i), i, i)])
    model = ModelInfo(f"m-{run_id}-{i}", run_id, "model", "sklearn", "a.B", 1, i)
    made: dict[str, Callable[[], list[Any]]] = {
        "points": lambda: [AddPoints(run_id, value)],
        "many": lambda: [AddPoints(run_id, [("many", float(j), i, j) for j in range(value)])],
        "params": lambda: [LogParams(run_id, value, i)],
        "tags": lambda: [SetTags(run_id, value), grows],
        "file": lambda: [PutFiles(run_id, {f"f{len(value[0])}": value[1]}), grows],
        "linked": lambda: [LinkMetrics(run_id, [Metric("m", value, i, i, f"m{i}", None, None)])],
        "input": lambda: [
            LogInputs(run_id, [DatasetInput(Dataset(value, "d", "numpy", {}, {}), "c")])
        ],
        "model": lambda: [LogModel(model), grows],
        "end": lambda: [UpdateRun(run_id, {"status": value, "end_time": i})],
        "resume": lambda: [UpdateRun(run_id, {"status": RunStatus.RUNNING}), grows],
    }
    return made[what]() if what in made else []


def make(folder: Path, name: str, history: list[Any]) -> list[Path]:
    """Make a file, with copies of how it was on the way; return all of them, the last one last."""
    path, copies, begun = folder / f"{name}.db", [], set()
    with closing(connect_writer(path)) as conn:
        conn.execute("PRAGMA synchronous = OFF")
        for i, (run, (what, value)) in enumerate(history):
            run_id = f"{name}{run}"
            if run_id not in begun:
                begun.add(run_id)
                new = NewRun(run_id, f"run {run}", f"x{run}", RunStatus.RUNNING, i, "me")
                CreateRun(new).apply(conn)
            for record in records(run_id, what, value, i):
                record.apply(conn)
            if what == "version":
                register(conn, run_id, i)
            said = {"i": i, "run": run_id, "file": f"model of {name}", "value": value}
            if isinstance(value, tuple):
                said |= {"key": value[0], "value": value[1]}
            for statement in SAID.get(what, ()):
                conn.execute(statement, said)
            if what == "copy":
                copies.append(copy(path, folder / f"{name}-{i}.db"))
    return [*copies, path]


def register(conn: Connection, run_id: str, i: int) -> None:
    (version,) = conn.execute(
        "INSERT INTO registered_models (name, creation_timestamp, last_updated_timestamp,"
        " last_version) VALUES ('churn', ?, ?, 1) ON CONFLICT DO UPDATE SET"
        " last_version = last_version + 1 RETURNING last_version",
        (i, i),
    ).fetchone()
    conn.execute(
        "INSERT INTO model_versions (name, version, run_id, source, creation_timestamp, user_id)"
        " VALUES ('churn', ?, ?, ?, ?, 'me')",
        (version, run_id, f"runs:/{run_id}/model", i),
    )


def bring(target: Path, sources: list[Path]) -> list[MergeReport]:
    with closing(connect_writer(target)) as conn:
        conn.execute("PRAGMA synchronous = OFF")
        return [
            merge(path, _Direct(conn), target, user_id="me", is_alive=is_alive, kinds={})
            for path in sources
        ]


@pytest.mark.filterwarnings("ignore::hypothesis.errors.NonInteractiveExampleWarning")
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(HISTORIES, HISTORIES, st.data())
def test_any_order(first: list[Any], second: list[Any], data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        a, b = make(folder, "a", first), make(folder, "b", second)
        bring(folder / "wanted.db", [a[-1], b[-1]])
        wanted = content(folder / "wanted.db")
        order = data.draw(st.permutations([*a, *b, a[-1]]))
        reports = bring(folder / "target.db", order)
        assert all(report.problems == report.conflicts == [] for report in reports)
        assert content(folder / "target.db") == wanted
        again = bring(folder / "target.db", [*b, *a])
        assert not any(report.changed for report in again)
        bring(folder / "only.db", [a[-1]])
        assert content(folder / "only.db") == content(a[-1])
