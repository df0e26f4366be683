"""What an archive says, put into a staging database as if nbtrack had written it.

Nothing is believed here that is not looked at when it goes on from there: ids, paths, states and
times are checked by `nbtrack.transfer`, as those of any other file.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any

from nbtrack.db import Connection, storable
from nbtrack.store.points import CHUNK, Series, add_series
from nbtrack.transfer.imports.base import (
    ForeignExperiment,
    ForeignModel,
    ForeignRun,
    ForeignSeries,
    ForeignVersion,
)
from nbtrack.types import DatasetInput, Metric, ModelInfo


def stage_experiment(conn: Connection, experiment: ForeignExperiment) -> int:
    """Put an experiment there; return its number there."""
    (number,) = conn.execute(
        "INSERT INTO experiments (name, lifecycle_stage, creation_time, last_update_time,"
        " artifact_location) VALUES (?, ?, ?, ?, ?) RETURNING experiment_id",
        (
            storable(experiment.name),
            experiment.lifecycle_stage,
            experiment.creation_time,
            experiment.last_update_time,
            storable(experiment.artifact_location),
        ),
    ).fetchone()
    _put(conn, "experiment_tags", "experiment_id", number, experiment.tags)
    return int(number)


def stage_run(conn: Connection, run: ForeignRun, experiment_no: int) -> int:
    """Put a run there without its files; return its number there."""
    (run_no,) = conn.execute(
        "INSERT INTO runs (run_id, run_name, experiment_id, parent_run_id, status, start_time,"
        " end_time, user_id, lifecycle_stage, deleted_time) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " RETURNING run_no",
        (
            storable(run.run_id),
            storable(run.run_name),
            experiment_no,
            run.parent_run_id,
            run.status,
            run.start_time,
            run.end_time,
            storable(run.user_id),
            run.lifecycle_stage,
            run.deleted_time,
        ),
    ).fetchone()
    _put(conn, "params", "run_no", run_no, run.params)
    _put(conn, "tags", "run_no", run_no, run.tags)
    for series in run.series():
        _put_points(conn, run_no, series)
    _put_linked(conn, run_no, run.linked)
    for item in run.inputs:
        _put_input(conn, run.run_id, item)
    for model in run.models:
        _put_model(conn, model, run.model_times.get(model.model_id))
    conn.executemany(
        "INSERT OR IGNORE INTO run_models (run_id, model_id, role, step) VALUES (?, ?, ?, ?)",
        [(run.run_id, use.model_id, use.role, use.step) for use in run.model_uses],
    )
    return int(run_no)


def stage_file(conn: Connection, run_id: str, path: str, digest: str) -> None:
    """Put a file of a run there; its content goes another way."""
    conn.execute(
        "INSERT INTO artifacts (run_id, path, digest) VALUES (?, ?, ?)", (run_id, path, digest)
    )


def stage_model(conn: Connection, model: ForeignModel) -> None:
    """Put a registered model there, with all its versions."""
    name = storable(model.name)
    conn.execute(
        "INSERT INTO registered_models (name, creation_timestamp, last_updated_timestamp,"
        " description, last_version) VALUES (?, ?, ?, ?, ?)",
        (
            name,
            model.creation_timestamp,
            model.last_updated_timestamp,
            storable(model.description),
            max((version.version for version in model.versions), default=0),
        ),
    )
    _put(conn, "registered_model_tags", "name", name, model.tags)
    for version in model.versions:
        _put_version(conn, name, version)
    conn.executemany(
        "INSERT INTO model_aliases (name, alias, version) VALUES (?, ?, ?)",
        [(name, storable(alias), version) for alias, version in model.aliases.items()],
    )


def _put_version(conn: Connection, name: str, version: ForeignVersion) -> None:
    conn.execute(
        "INSERT INTO model_versions (name, version, run_id, source, creation_timestamp, user_id,"
        " description, current_stage, status, run_link, model_id, last_updated_timestamp)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            name,
            version.version,
            version.run_id,
            storable(version.source),
            version.creation_timestamp,
            storable(version.user_id),
            storable(version.description),
            version.current_stage,
            version.status,
            storable(version.run_link),
            version.model_id,
            version.last_updated_timestamp,
        ),
    )
    conn.executemany(
        "INSERT INTO model_version_tags (name, version, key, value) VALUES (?, ?, ?, ?)",
        [(name, version.version, *pair) for pair in _texts(version.tags)],
    )


def _put_points(conn: Connection, run_no: int, series: ForeignSeries) -> None:
    columns = series.steps, series.timestamps, series.values
    for start in range(0, len(series.values), CHUNK):
        part = (column[start : start + CHUNK].tolist() for column in columns)
        add_series(conn, run_no, storable(series.key), Series(*part))


def _put_linked(conn: Connection, run_no: int, points: Iterable[Metric]) -> None:
    conn.executemany(
        "INSERT INTO model_metrics (run_no, key, value, step, timestamp, model_id, dataset_name,"
        " dataset_digest) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                run_no,
                storable(point.key),
                None if math.isnan(point.value) else point.value,
                point.step,
                point.timestamp,
                point.model_id,
                point.dataset_name,
                point.dataset_digest,
            )
            for point in points
        ],
    )


def _put_input(conn: Connection, run_id: str, item: DatasetInput) -> None:
    data = item.dataset
    texts = [storable(text) for text in (data.name, data.digest, data.source_type)]
    key = (*texts, json.dumps(dict(data.schema)), json.dumps(dict(data.profile)))
    conn.execute(
        "INSERT OR IGNORE INTO datasets (name, digest, source_type, schema, profile, source)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (*key, storable(data.source)),
    )
    conn.execute(
        "INSERT OR IGNORE INTO run_inputs (run_id, dataset_id, context, tags)"
        " SELECT ?, dataset_id, ?, ? FROM datasets"
        " WHERE (name, digest, source_type, schema, profile) = (?, ?, ?, ?, ?)",
        (run_id, storable(item.context), json.dumps(dict(item.tags)), *key),
    )


def _put_model(conn: Connection, model: ModelInfo, updated_ms: int | None) -> None:
    conn.execute(
        "INSERT INTO models (model_id, run_id, artifact_path, flavor, model_class, size_bytes,"
        " created_ms, name, model_type, status, last_updated_ms)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            model.model_id,
            model.run_id,
            model.artifact_path,
            storable(model.flavor),
            storable(model.model_class),
            model.size_bytes,
            model.created_ms,
            storable(model.name),
            storable(model.model_type),
            model.status,
            updated_ms,
        ),
    )
    _put(conn, "logged_model_params", "model_id", model.model_id, model.params)
    _put(conn, "logged_model_tags", "model_id", model.model_id, model.tags)


def _put(conn: Connection, table: str, owner: str, number: Any, pairs: Mapping[str, str]) -> None:
    conn.executemany(
        f"INSERT OR REPLACE INTO {table} ({owner}, key, value) VALUES (?, ?, ?)",
        [(number, *pair) for pair in _texts(pairs)],
    )


def _texts(pairs: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    return ((storable(key), storable(value)) for key, value in pairs.items())
