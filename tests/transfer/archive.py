"""Databases to be merged, and what is in one, without the numbers that are a file's own."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from nbtrack import packing
from nbtrack.tracking import Client

VERSION = "run_id, source, creation_timestamp"  # what tells a version from others of its name
CONTENT = {
    "experiments": "SELECT name, lifecycle_stage, artifact_location FROM experiments",
    "experiment_tags": "SELECT name, key, value FROM experiment_tags JOIN experiments"
    " USING (experiment_id)",
    "runs": "SELECT run_id, run_name, name, parent_run_id, status, start_time, end_time, r.user_id,"
    " session_id, execution_id, r.lifecycle_stage, error FROM runs r JOIN experiments"
    " USING (experiment_id)",
    "params": "SELECT run_id, key, value FROM params JOIN runs USING (run_no)",
    "param_history": "SELECT run_id, key, value, time_ms FROM param_history JOIN runs"
    " USING (run_no)",
    "tags": "SELECT run_id, key, value FROM tags JOIN runs USING (run_no)",
    "metrics": "SELECT run_id, key, last, last_step, last_timestamp, first, first_step,"
    " first_timestamp, min, max, count FROM metrics JOIN runs USING (run_no)",
    "linked": "SELECT run_id, key, value, step, timestamp, model_id, dataset_name, dataset_digest"
    " FROM model_metrics JOIN runs USING (run_no)",
    "inputs": "SELECT run_id, name, digest, source_type, schema, profile, source, context, tags"
    " FROM run_inputs JOIN datasets USING (dataset_id)",
    "artifacts": "SELECT run_id, path, digest FROM artifacts",
    "blobs": "SELECT digest, size_bytes, encoding, count(*), sum(length(data)) FROM blobs"
    " JOIN blob_chunks USING (digest) WHERE digest IN (SELECT digest FROM artifacts)"
    " GROUP BY digest",
    "models": "SELECT * FROM models",
    "logged_model_params": "SELECT * FROM logged_model_params",
    "logged_model_tags": "SELECT * FROM logged_model_tags",
    "run_models": "SELECT * FROM run_models",
    "registered_models": "SELECT name, creation_timestamp, description FROM registered_models",
    "registered_model_tags": "SELECT * FROM registered_model_tags",
    # Not their numbers: those are a file's own.
    "versions": f"SELECT name, {VERSION}, user_id, description, current_stage, status, run_link,"
    " model_id, last_updated_timestamp FROM model_versions",
    "model_version_tags": f"SELECT name, {VERSION}, key, value FROM model_version_tags"
    " JOIN model_versions USING (name, version)",
    "cells": "SELECT execution_id, session_id, source, start_ms, end_ms, outcome"
    " FROM cell_executions JOIN cells ON digest = cell_digest",
}


def content(path: Path) -> dict[str, list[Any]]:
    """Return all that a file has of runs, in an order that does not depend on the file."""
    with closing(sqlite3.connect(path)) as conn:
        found = {name: sorted(map(repr, conn.execute(sql))) for name, sql in CONTENT.items()}
        found["points"] = sorted(
            f"{run_id} {key} {points(conn, metric_id)}"
            for run_id, key, metric_id in conn.execute(
                "SELECT run_id, key, metric_id FROM metrics JOIN runs USING (run_no)"
            )
        )
        assert conn.execute("PRAGMA foreign_key_check").fetchall() == []
        assert conn.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    return found


def points(conn: sqlite3.Connection, metric_id: int) -> list[Any]:
    """Return the points of a metric, in the order in which they came."""
    rows = conn.execute(
        "SELECT data, count FROM metric_chunks WHERE metric_id = ? ORDER BY chunk_id", (metric_id,)
    ).fetchall()
    assert all(packing.length(data) == count for data, count in rows)
    columns = [packing.decode(data) for data, _ in rows]
    return [point for column in columns for point in zip(*column, strict=True)]


def fill(client: Client, name: str = "first") -> str:
    """Log a run that has all that a run can have, and register its model; return its id."""
    with client.start_run(name, experiment_name="far", tags={"estimator_name": "KMeans"}) as run:
        run.log_params({"lr": 0.1, "kernel": "rbf"})
        run.log_params({"lr": 0.2})
        for step in range(600):
            run.log_metric("loss", 1 / (step + 1), step=step)
        run.log_metric("nan", float("nan"))
        run.log_model({"any": "object"}, "sklearn")
        run.log_text("text\n" * 1000, "notes/a.txt")
    client.flush()
    client.register_model(run.run_id, "churn")
    describe(client.path, run.run_id)
    return run.run_id


def describe(path: Path, run_id: str) -> None:
    """Add all that can be said of a run's model."""
    execute(
        path,
        "UPDATE models SET name = 'model', model_type = 'classifier', last_updated_ms = 5",
        *(
            f"INSERT INTO {table} SELECT model_id, '{key}', 'of it' FROM models"
            f" WHERE run_id = '{run_id}'"
            for table, key in (("logged_model_params", "depth"), ("logged_model_tags", "who"))
        ),
        f"INSERT INTO run_models SELECT run_id, model_id, 'output', 3 FROM models"
        f" WHERE run_id = '{run_id}'",
        f"INSERT INTO run_models VALUES ('{run_id}', 'm-elsewhere', 'input', 0)",
        "UPDATE registered_models SET description = 'Who leaves?'",
        "INSERT OR IGNORE INTO registered_model_tags VALUES ('churn', 'team', 'sales')",
        "UPDATE model_versions SET description = 'the first', current_stage = 'Staging',"
        " run_link = 'https://example.org', model_id = (SELECT model_id FROM models m"
        " WHERE m.run_id = model_versions.run_id), last_updated_timestamp = 7"
        f" WHERE run_id = '{run_id}'",
        "INSERT INTO model_version_tags SELECT name, version, 'checked', 'yes' FROM model_versions"
        f" WHERE run_id = '{run_id}'",
    )


def copy(path: Path, to: Path) -> Path:
    """Copy a file that may be in use."""
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(to)) as target:
        source.backup(target)
    return to


def execute(path: Path, *statements: str) -> None:
    """Change a file behind nbtrack's back."""
    with closing(sqlite3.connect(path)) as conn:
        for statement in statements:
            conn.execute(statement)
        conn.commit()
