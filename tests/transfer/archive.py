"""Databases to be merged, and what is in one, without the numbers that are a file's own."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from nbtrack import packing
from nbtrack.tracking import Client

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
    "versions": "SELECT name, run_id, source, creation_timestamp, user_id FROM model_versions",
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
    return run.run_id


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
