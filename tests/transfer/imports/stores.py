"""Stores as MLflow makes them, made by hand: as text, or row by row."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

RUN = "0123456789abcdef0123456789abcdef"
OTHER = "fedcba9876543210fedcba9876543210"
MODEL = "m-00112233445566778899aabbccddeeff"

SCHEMA_3 = (Path(__file__).parent / "mlflow_3.sql").read_text()

SCHEMA_1 = """
CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL);
CREATE TABLE experiments (
    experiment_id INTEGER NOT NULL PRIMARY KEY, name VARCHAR(256) NOT NULL UNIQUE,
    artifact_location VARCHAR(256), lifecycle_stage VARCHAR(32)
);
CREATE TABLE runs (
    run_uuid VARCHAR(32) NOT NULL PRIMARY KEY, name VARCHAR(250), source_type VARCHAR(20),
    source_name VARCHAR(500), entry_point_name VARCHAR(50), user_id VARCHAR(256), status VARCHAR(9),
    start_time BIGINT, end_time BIGINT, source_version VARCHAR(50), lifecycle_stage VARCHAR(20),
    artifact_uri VARCHAR(200), experiment_id INTEGER
);
CREATE TABLE tags (key VARCHAR(250) NOT NULL, value VARCHAR(250), run_uuid VARCHAR(32) NOT NULL,
    PRIMARY KEY (key, run_uuid));
CREATE TABLE params (key VARCHAR(250) NOT NULL, value VARCHAR(250) NOT NULL,
    run_uuid VARCHAR(32) NOT NULL, PRIMARY KEY (key, run_uuid));
CREATE TABLE metrics (key VARCHAR(250) NOT NULL, value FLOAT NOT NULL, timestamp BIGINT NOT NULL,
    run_uuid VARCHAR(32) NOT NULL, PRIMARY KEY (key, timestamp, run_uuid, value));
INSERT INTO alembic_version VALUES ('451aebb31d03');
"""
"""The tables of MLflow 0.9: no steps, no mark of NaN, no index of runs."""


def insert(path: Path, table: str, **values: Any) -> None:
    with closing(sqlite3.connect(path)) as conn:
        marks = ", ".join("?" * len(values))
        conn.execute(
            f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", tuple(values.values())
        )
        conn.commit()


def database(path: Path, schema: str = SCHEMA_3) -> Path:
    """Make a database with an experiment and a run."""
    with closing(sqlite3.connect(path)) as conn:
        conn.executescript(schema)
    insert(path, "experiments", experiment_id=7, name="wine", lifecycle_stage="active")
    insert(
        path,
        "runs",
        run_uuid=RUN,
        name="first",
        user_id="ada",
        status="FINISHED",
        start_time=1_000,
        end_time=2_000,
        lifecycle_stage="active",
        experiment_id=7,
        artifact_uri=f"./mlruns/7/{RUN}/artifacts",
    )
    return path


def files(root: Path, content: Mapping[str, str | bytes]) -> Path:
    """Write files below a folder."""
    for name, data in content.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return root


def folder(root: Path, **more: str | bytes) -> Path:
    """Make a folder mlruns with an experiment and a run; `more` are files of the run."""
    return files(
        root,
        {
            "7/meta.yaml": "experiment_id: '7'\nname: wine\nlifecycle_stage: active\n"
            "artifact_location: /nowhere/mlruns/7\ncreation_time: 500\nlast_update_time: 600\n",
            f"7/{RUN}/meta.yaml": f"run_id: {RUN}\nrun_name: first\nuser_id: ada\nstatus: 3\n"
            "experiment_id: '7'\nstart_time: 1000\nend_time: 2000\nlifecycle_stage: active\n"
            f"deleted_time: null\nartifact_uri: /nowhere/mlruns/7/{RUN}/artifacts\n",
            **{f"7/{RUN}/{name}": data for name, data in more.items()},
        },
    )
