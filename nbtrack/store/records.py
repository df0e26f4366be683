"""The changes that a store writes: each knows its SQL, and how it is kept in a journal.

What a logging verb hands over is a record that can be packed, because it has to outlive the
process. A journal may lie beside a file that came from anywhere: what is unpacked is only ever
bound to statements of ours, and what does not fit fails there and is left out.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from nbtrack.db import Connection, Fields, Loggable, storable
from nbtrack.errors import AlreadyExistsError, InvalidParameterError, NotFoundError
from nbtrack.store.base import NewRun
from nbtrack.types import (
    CellExecution,
    Dataset,
    DatasetInput,
    LifecycleStage,
    Metric,
    ModelInfo,
    RunStatus,
)

_RUN_COLUMNS = ("status", "end_time", "run_name", "error")


def _texts(pairs: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(storable(key), storable(value)) for key, value in pairs.items()]


def run_number(conn: Connection, run_id: str) -> int:
    """Return the number of a run in this file.

    Raises
    ------
    NotFoundError
        There is no such run.
    """
    row = conn.execute("SELECT run_no FROM runs WHERE run_id = ?", (storable(run_id),)).fetchone()
    if row is None:
        raise NotFoundError(
            f"Run with id={run_id} not found.", hint="nbtrack.runs() lists the runs."
        )
    return int(row[0])


# ----------------------------------------------------------------------------- logging


@dataclass(frozen=True, slots=True)
class CreateRun(Loggable):
    """A run begins; its experiment is made if it is named and not there."""

    run: NewRun

    def pack(self) -> Fields:
        """Return the packed form."""
        r = self.run
        return [
            r.run_id,
            r.run_name,
            r.experiment_name,
            str(r.status),
            r.start_time,
            r.user_id,
            r.session_id,
            r.parent_run_id,
            r.execution_id,
            r.experiment_id,
            dict(r.tags),
        ]

    @classmethod
    def unpack(cls, fields: Fields, blobs: Sequence[bytes] = ()) -> Self:
        """Return the record that was packed."""
        run_id, run_name, experiment_name, status, *rest = fields
        return cls(NewRun(run_id, run_name, experiment_name, RunStatus(status), *rest))

    def apply(self, conn: Connection) -> None:
        """Write it."""
        r = self.run
        if r.experiment_id is None:
            conn.execute(
                "INSERT OR IGNORE INTO experiments (name, creation_time, last_update_time)"
                " VALUES (?, ?, ?)",
                (storable(r.experiment_name), r.start_time, r.start_time),
            )
            (experiment_id,) = conn.execute(
                "SELECT experiment_id FROM experiments WHERE name = ?",
                (storable(r.experiment_name),),
            ).fetchone()
        else:
            experiment_id = int(r.experiment_id)
        # A child of a fork may outlive the file that its parent's session was written to.
        (run_no,) = conn.execute(
            "INSERT INTO runs (run_id, run_name, experiment_id, parent_run_id, session_id,"
            " execution_id, status, start_time, user_id)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING run_no",
            (
                r.run_id,
                storable(r.run_name),
                experiment_id,
                r.parent_run_id,
                r.session_id,
                r.execution_id,
                r.status,
                r.start_time,
                storable(r.user_id),
            ),
        ).fetchone()
        _put_tags(conn, run_no, r.tags)


@dataclass(frozen=True, slots=True)
class UpdateRun(Loggable):
    """Something of a run changes: `changes` by column."""

    run_id: str
    changes: Mapping[str, Any]

    def pack(self) -> Fields:
        """Return the packed form."""
        return [self.run_id, dict(self.changes)]

    @classmethod
    def unpack(cls, fields: Fields, blobs: Sequence[bytes] = ()) -> Self:
        """Return the record that was packed."""
        run_id, changes = fields
        if "status" in changes:
            RunStatus(changes["status"])  # refused: no run could be read that has another one
        return cls(run_id, changes)

    def apply(self, conn: Connection) -> None:
        """Write it."""
        given = {column: self.changes[column] for column in _RUN_COLUMNS if column in self.changes}
        if given.get("status") == RunStatus.RUNNING:
            given.setdefault("end_time", None)
        sets = ", ".join(f"{column} = ?" for column in given)
        values = [storable(v) if isinstance(v, str) else v for v in given.values()]
        conn.execute(f"UPDATE runs SET {sets} WHERE run_id = ?", (*values, self.run_id))
        if "run_name" in given:
            _put_tags(conn, run_number(conn, self.run_id), {"mlflow.runName": given["run_name"]})


@dataclass(frozen=True, slots=True)
class LogParams(Loggable):
    """Params are set; an old value that differs goes into the history."""

    run_id: str
    params: Mapping[str, str]
    time_ms: int

    def pack(self) -> Fields:
        """Return the packed form."""
        return [self.run_id, dict(self.params), self.time_ms]

    @classmethod
    def unpack(cls, fields: Fields, blobs: Sequence[bytes] = ()) -> Self:
        """Return the record that was packed."""
        return cls(*fields)

    def apply(self, conn: Connection) -> None:
        """Write it."""
        run_no = run_number(conn, self.run_id)
        pairs = _texts(self.params)
        had = conn.execute("SELECT 1 FROM params WHERE run_no = ? LIMIT 1", (run_no,)).fetchone()
        if had:
            conn.executemany(
                "INSERT INTO param_history (run_no, key, value, time_ms)"
                " SELECT run_no, key, value, ? FROM params"
                " WHERE run_no = ? AND key = ? AND value <> ?",
                [(self.time_ms, run_no, key, value) for key, value in pairs],
            )
        conn.executemany(
            "INSERT INTO params (run_no, key, value) VALUES (?, ?, ?)"
            " ON CONFLICT (run_no, key) DO UPDATE SET value = excluded.value",
            [(run_no, key, value) for key, value in pairs],
        )


@dataclass(frozen=True, slots=True)
class SetTags(Loggable):
    """Tags are set."""

    run_id: str
    tags: Mapping[str, str]

    def pack(self) -> Fields:
        """Return the packed form."""
        return [self.run_id, dict(self.tags)]

    @classmethod
    def unpack(cls, fields: Fields, blobs: Sequence[bytes] = ()) -> Self:
        """Return the record that was packed."""
        return cls(*fields)

    def apply(self, conn: Connection) -> None:
        """Write it."""
        run_no = run_number(conn, self.run_id)
        _put_tags(conn, run_no, self.tags)
        name = self.tags.get("mlflow.runName")
        if name:  # name and tag follow each other, as in MLflow
            conn.execute("UPDATE runs SET run_name = ? WHERE run_no = ?", (storable(name), run_no))


def _put_tags(conn: Connection, run_no: int, tags: Mapping[str, str]) -> None:
    conn.executemany(
        "INSERT INTO tags (run_no, key, value) VALUES (?, ?, ?)"
        " ON CONFLICT (run_no, key) DO UPDATE SET value = excluded.value",
        [(run_no, key, value) for key, value in _texts(tags)],
    )


@dataclass(frozen=True, slots=True)
class LinkMetrics(Loggable):
    """Points are noted that belong to a model or a dataset; they are points of the run besides."""

    run_id: str
    metrics: Sequence[Metric]

    def pack(self) -> Fields:
        """Return the packed form."""
        points = [
            [m.key, m.value, m.timestamp, m.step, m.model_id, m.dataset_name, m.dataset_digest]
            for m in self.metrics
        ]
        return [self.run_id, points]

    @classmethod
    def unpack(cls, fields: Fields, blobs: Sequence[bytes] = ()) -> Self:
        """Return the record that was packed."""
        return cls(fields[0], [Metric(*point) for point in fields[1]])

    def apply(self, conn: Connection) -> None:
        """Write it."""
        run_no = run_number(conn, self.run_id)
        conn.executemany(
            "INSERT INTO model_metrics (run_no, key, value, step, timestamp, model_id,"
            " dataset_name, dataset_digest) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    run_no,
                    storable(m.key),
                    m.value,
                    m.step,
                    m.timestamp,
                    *(
                        None if text is None else storable(text)
                        for text in (m.model_id, m.dataset_name, m.dataset_digest)
                    ),
                )
                for m in self.metrics
            ],
        )


@dataclass(frozen=True, slots=True)
class LogInputs(Loggable):
    """Datasets that a run saw."""

    run_id: str
    inputs: Sequence[DatasetInput]

    def pack(self) -> Fields:
        """Return the packed form."""
        items = [
            [
                i.dataset.name,
                i.dataset.digest,
                i.dataset.source_type,
                i.dataset.schema,
                i.dataset.profile,
                i.dataset.source,
                i.context,
                dict(i.tags),
            ]
            for i in self.inputs
        ]
        return [self.run_id, items]

    @classmethod
    def unpack(cls, fields: Fields, blobs: Sequence[bytes] = ()) -> Self:
        """Return the record that was packed."""
        return cls(
            fields[0],
            [DatasetInput(Dataset(*item[:6]), item[6], item[7]) for item in fields[1]],
        )

    def apply(self, conn: Connection) -> None:
        """Write it."""
        for item in self.inputs:
            data = item.dataset
            key = (
                storable(data.name),
                storable(data.digest),
                storable(data.source_type),
                json.dumps(dict(data.schema)),
                json.dumps(dict(data.profile)),
            )
            conn.execute(
                "INSERT OR IGNORE INTO datasets (name, digest, source_type, schema, profile,"
                " source) VALUES (?, ?, ?, ?, ?, ?)",
                (*key, storable(data.source)),
            )
            conn.execute(
                "INSERT INTO run_inputs (run_id, dataset_id, context, tags)"
                " SELECT ?, dataset_id, ?, ? FROM datasets WHERE name = ? AND digest = ?"
                " AND source_type = ? AND schema = ? AND profile = ?"
                " ON CONFLICT DO UPDATE SET tags = excluded.tags",
                (self.run_id, storable(item.context), json.dumps(dict(item.tags)), *key),
            )


@dataclass(frozen=True, slots=True)
class LogModel(Loggable):
    """A model among the artifacts of a run."""

    model: ModelInfo

    def pack(self) -> Fields:
        """Return the packed form."""
        m = self.model
        return [
            m.model_id,
            m.run_id,
            m.artifact_path,
            m.flavor,
            m.model_class,
            m.size_bytes,
            m.created_ms,
            m.name,
            m.model_type,
            m.status,
            dict(m.params),
            dict(m.tags),
        ]

    @classmethod
    def unpack(cls, fields: Fields, blobs: Sequence[bytes] = ()) -> Self:
        """Return the record that was packed."""
        return cls(ModelInfo(*fields))

    def apply(self, conn: Connection) -> None:
        """Write it."""
        m = self.model
        conn.execute(
            "INSERT OR REPLACE INTO models (model_id, run_id, artifact_path, flavor, model_class,"
            " size_bytes, created_ms, name, model_type, status)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                m.model_id,
                m.run_id,
                storable(m.artifact_path),
                m.flavor,
                storable(m.model_class),
                m.size_bytes,
                m.created_ms,
                storable(m.name),
                storable(m.model_type),
                storable(m.status),
            ),
        )
        for table, values in (("logged_model_params", m.params), ("logged_model_tags", m.tags)):
            conn.executemany(
                f"INSERT INTO {table} (model_id, key, value) VALUES (?, ?, ?)",
                [(m.model_id, storable(key), storable(value)) for key, value in values.items()],
            )


@dataclass(frozen=True, slots=True)
class BeginCell(Loggable):
    """A cell began to execute."""

    session_id: str
    cell: CellExecution
    digest: str

    def pack(self) -> Fields:
        """Return the packed form."""
        c = self.cell
        return [
            self.session_id,
            [
                c.execution_id,
                c.execution_count,
                c.cell_id,
                c.source,
                c.start_ms,
                c.end_ms,
                c.outcome,
            ],
            self.digest,
        ]

    @classmethod
    def unpack(cls, fields: Fields, blobs: Sequence[bytes] = ()) -> Self:
        """Return the record that was packed."""
        return cls(fields[0], CellExecution(*fields[1]), fields[2])

    def apply(self, conn: Connection) -> None:
        """Write it."""
        c = self.cell
        conn.execute(
            "INSERT OR IGNORE INTO cells (digest, source) VALUES (?, ?)",
            (self.digest, storable(c.source)),
        )
        conn.execute(
            "INSERT OR IGNORE INTO cell_executions (execution_id, session_id, cell_digest,"
            " cell_id, execution_count, start_ms, end_ms, outcome)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                c.execution_id,
                self.session_id,
                self.digest,
                c.cell_id,
                c.execution_count,
                c.start_ms,
                c.end_ms,
                c.outcome,
            ),
        )


@dataclass(frozen=True, slots=True)
class EndCell(Loggable):
    """A cell ended."""

    execution_id: str
    end_ms: int
    outcome: str

    def pack(self) -> Fields:
        """Return the packed form."""
        return [self.execution_id, self.end_ms, self.outcome]

    @classmethod
    def unpack(cls, fields: Fields, blobs: Sequence[bytes] = ()) -> Self:
        """Return the record that was packed."""
        return cls(*fields)

    def apply(self, conn: Connection) -> None:
        """Write it."""
        conn.execute(
            "UPDATE cell_executions SET end_ms = ?, outcome = ? WHERE execution_id = ?",
            (self.end_ms, self.outcome, self.execution_id),
        )


# ----------------------------------------------------------------------------- changing


@dataclass(frozen=True, slots=True)
class CreateExperiment:
    """An experiment is made; the result is its id."""

    name: str
    artifact_location: str
    tags: Mapping[str, str]

    def apply(self, conn: Connection) -> str:
        """Write it."""
        now = now_ms()
        _refuse_taken(conn, self.name)
        (number,) = conn.execute(
            "INSERT INTO experiments (name, creation_time, last_update_time, artifact_location)"
            " VALUES (?, ?, ?, ?) RETURNING experiment_id",
            (storable(self.name), now, now, storable(self.artifact_location)),
        ).fetchone()
        conn.executemany(
            "INSERT INTO experiment_tags (experiment_id, key, value) VALUES (?, ?, ?)",
            [(number, key, value) for key, value in _texts(self.tags)],
        )
        return str(number)


@dataclass(frozen=True, slots=True)
class RenameExperiment:
    """An experiment gets another name."""

    experiment_id: str
    name: str

    def apply(self, conn: Connection) -> None:
        """Write it."""
        number = _experiment_number(conn, self.experiment_id)
        _refuse_taken(conn, self.name, but=number)
        conn.execute(
            "UPDATE experiments SET name = ?, last_update_time = ? WHERE experiment_id = ?",
            (storable(self.name), now_ms(), number),
        )


def _refuse_taken(conn: Connection, name: str, but: int | None = None) -> None:
    row = conn.execute(
        "SELECT experiment_id, lifecycle_stage FROM experiments WHERE name = ?", (storable(name),)
    ).fetchone()
    if row is not None and row[0] != but:
        deleted = row[1] == LifecycleStage.DELETED
        raise AlreadyExistsError(
            f"Experiment(name={name}) already exists"
            f"{' in deleted state' if deleted else ''} (id {row[0]}).",
            hint="Restore it, or choose another name." if deleted else "Choose another name.",
        )


@dataclass(frozen=True, slots=True)
class SetExperimentStage:
    """An experiment and its runs go into the trash, or come out of it."""

    experiment_id: str
    stage: LifecycleStage

    def apply(self, conn: Connection) -> None:
        """Write it."""
        now = now_ms()
        number = _experiment_number(conn, self.experiment_id)
        changed = conn.execute(
            "UPDATE experiments SET lifecycle_stage = :stage, last_update_time = :now"
            " WHERE experiment_id = :number AND lifecycle_stage <> :stage",
            {"stage": self.stage, "now": now, "number": number},
        ).rowcount
        if not changed:
            raise NotFoundError(
                f"The experiment {self.experiment_id} is {self.stage} already.",
                hint="nbtrack.search_experiments(view_type='ALL') lists all experiments.",
            )
        conn.execute(
            "UPDATE runs SET lifecycle_stage = :stage, deleted_time = :deleted"
            " WHERE experiment_id = :number",
            {
                "stage": self.stage,
                "deleted": now if self.stage == LifecycleStage.DELETED else None,
                "number": number,
            },
        )


@dataclass(frozen=True, slots=True)
class SetExperimentTags:
    """Tags of an experiment are set."""

    experiment_id: str
    tags: Mapping[str, str]

    def apply(self, conn: Connection) -> None:
        """Write it."""
        number = _experiment_number(conn, self.experiment_id)
        conn.executemany(
            "INSERT INTO experiment_tags (experiment_id, key, value) VALUES (?, ?, ?)"
            " ON CONFLICT DO UPDATE SET value = excluded.value",
            [(number, key, value) for key, value in _texts(self.tags)],
        )
        _touch_experiment(conn, number)


@dataclass(frozen=True, slots=True)
class DeleteExperimentTag:
    """A tag is taken off an experiment."""

    experiment_id: str
    key: str

    def apply(self, conn: Connection) -> None:
        """Write it."""
        number = _experiment_number(conn, self.experiment_id)
        if not conn.execute(
            "DELETE FROM experiment_tags WHERE experiment_id = ? AND key = ?",
            (number, storable(self.key)),
        ).rowcount:
            raise NotFoundError(f"The experiment {self.experiment_id} has no tag {self.key!r}.")
        _touch_experiment(conn, number)


def _touch_experiment(conn: Connection, number: int) -> None:
    conn.execute(
        "UPDATE experiments SET last_update_time = ? WHERE experiment_id = ?", (now_ms(), number)
    )


def _experiment_number(conn: Connection, experiment_id: str) -> int:
    number = experiment_key(experiment_id)
    if not conn.execute("SELECT 1 FROM experiments WHERE experiment_id = ?", (number,)).fetchone():
        raise NotFoundError(f"No Experiment with id={experiment_id} exists.")
    return number


def experiment_key(experiment_id: str) -> int:
    """Return the number that an experiment's id is.

    Raises
    ------
    InvalidParameterError
        It is none.
    """
    text = str(experiment_id)
    if text.isascii() and text.isdigit() and len(text) < len(str(2**63)):
        return int(text)
    raise InvalidParameterError(
        f"{experiment_id!r} is no id of an experiment.",
        hint="It is a whole number; nbtrack.get_experiment_by_name(...) finds one by its name.",
    )


@dataclass(frozen=True, slots=True)
class SetRunStage:
    """A run goes into the trash, or comes out of it."""

    run_id: str
    stage: LifecycleStage

    def apply(self, conn: Connection) -> None:
        """Write it."""
        conn.execute(
            "UPDATE runs SET lifecycle_stage = ?, deleted_time = ? WHERE run_no = ?",
            (
                self.stage,
                now_ms() if self.stage == LifecycleStage.DELETED else None,
                run_number(conn, self.run_id),
            ),
        )


@dataclass(frozen=True, slots=True)
class DeleteTag:
    """A tag is taken off a run."""

    run_id: str
    key: str

    def apply(self, conn: Connection) -> None:
        """Write it."""
        run_no = run_number(conn, self.run_id)
        if not conn.execute(
            "DELETE FROM tags WHERE run_no = ? AND key = ?", (run_no, storable(self.key))
        ).rowcount:
            raise NotFoundError(
                f"No tag with name: {self.key} in run with id {self.run_id}.",
                hint="run.data.tags has the tags of a run.",
            )


def now_ms() -> int:
    """Return the time in ms since 1970 UTC."""
    return time.time_ns() // 1_000_000
