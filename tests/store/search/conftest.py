"""A small database that searches look into, written without the store."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from nbtrack.db import Connection, connect_writer
from nbtrack.store.search import register, select_experiments, select_runs


@dataclass(frozen=True)
class Case:
    """A run as a test describes it: a metric is a list of points, or one."""

    name: str
    metrics: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    datasets: tuple[tuple[str, str, str], ...] = ()  # name, digest, context
    status: str = "FINISHED"
    start_time: int = 1000
    end_time: int | None = 2000
    user_id: str = "me"
    experiment_id: int = 0
    parent_run_id: str | None = None
    notebook: str | None = None
    run_id: str | None = None


def run_id_of(number: int) -> str:
    return f"{number:032x}"


def points_of(value: Any) -> list[float]:
    return [float(v) for v in value] if isinstance(value, list) else [float(value)]


def summary(points: list[float]) -> dict[str, Any]:
    """Return the row of a metric; NULL stands for NaN."""
    numbers = [p for p in points if not math.isnan(p)] or [math.nan]
    values = {"last": points[-1], "first": points[0], "min": min(numbers), "max": max(numbers)}
    return {k: None if math.isnan(v) else v for k, v in values.items()} | {"count": len(points)}


class Database:
    """A migrated file and what searches find in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.conn: Connection = connect_writer(path)
        register(self.conn)
        self.conn.execute("PRAGMA synchronous = OFF")

    def clear(self) -> None:
        for table in ("run_inputs", "datasets", "runs", "sessions", "experiment_tags"):
            self.conn.execute(f"DELETE FROM {table}")
        self.conn.execute("DELETE FROM experiments WHERE experiment_id > 0")

    def add_experiment(
        self, experiment_id: int, name: str, created: int, tags: Mapping[str, str]
    ) -> None:
        self.conn.execute(
            "INSERT OR REPLACE INTO experiments (experiment_id, name, creation_time,"
            " last_update_time) VALUES (?, ?, ?, ?)",
            (experiment_id, name, created, created + 1),
        )
        self.conn.executemany(
            "INSERT INTO experiment_tags VALUES (?, ?, ?)",
            [(experiment_id, *item) for item in tags.items()],
        )

    def add(self, number: int, case: Case) -> None:
        run_id = case.run_id or run_id_of(number)
        session = None
        if case.notebook is not None:
            session = f"s{number}"
            self.conn.execute(
                "INSERT INTO sessions (session_id, user_id, host, machine, pid, process_start,"
                " notebook, environment, start_ms, heartbeat_ms)"
                " VALUES (?, 'me', 'here', 'm', 1, '1', ?, '{}', 0, 0)",
                (session, case.notebook),
            )
        self.conn.execute(
            "INSERT INTO runs (run_no, run_id, run_name, experiment_id, parent_run_id, session_id,"
            " status, start_time, end_time, user_id) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                number, run_id, case.name, case.experiment_id, case.parent_run_id, session,
                case.status, case.start_time, case.end_time, case.user_id,
            ),
        )  # fmt: skip
        for table in ("params", "tags"):
            self.conn.executemany(
                f"INSERT INTO {table} VALUES (?, ?, ?)",
                [(number, *item) for item in getattr(case, table).items()],
            )
        for key, value in case.metrics.items():
            row = {"run_no": number, "key": key} | summary(points_of(value))
            row |= dict.fromkeys(
                ("last_step", "last_timestamp", "first_step", "first_timestamp"), 0
            )
            self.conn.execute(
                f"INSERT INTO metrics ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})",
                tuple(row.values()),
            )
        for name, digest, context in case.datasets:
            self.conn.execute(
                "INSERT OR IGNORE INTO datasets (name, digest, source_type, schema, profile)"
                " VALUES (?, ?, 'numpy', '{}', '{}')",
                (name, digest),
            )
            self.conn.execute(
                "INSERT INTO run_inputs SELECT ?, dataset_id, ?, '{}' FROM datasets"
                " WHERE name = ? AND digest = ?",
                (run_id, context, name, digest),
            )

    def runs(self, filter_text: str | None = None, *order_by: str) -> list[str]:
        """Return the names of the runs that a search finds, in order."""
        sql, args = select_runs(filter_text, order_by).query("r.run_name")
        return [name for (name,) in self.conn.execute(sql, args)]

    def numbers(self, filter_text: str | None = None, *order_by: str) -> list[int]:
        """Return the numbers of the runs that a search finds, in order."""
        sql, args = select_runs(filter_text, order_by).query("r.run_no")
        return [number for (number,) in self.conn.execute(sql, args)]

    def experiments(self, filter_text: str | None = None, *order_by: str) -> list[str]:
        """Return the names of the experiments that a search finds, in order."""
        sql, args = select_experiments(filter_text, order_by).query("x.name")
        return [name for (name,) in self.conn.execute(sql, args)]


@pytest.fixture(scope="session")
def _database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    database = Database(tmp_path_factory.mktemp("search") / "nbtrack.db")
    yield database
    database.conn.close()


@pytest.fixture
def database(_database: Database) -> Database:
    """Return a database without runs."""
    _database.clear()
    return _database


@pytest.fixture
def filled(database: Database) -> Callable[..., Database]:
    """Return what fills the database with cases, numbered from 1."""

    def fill(*cases: Case) -> Database:
        for number, case in enumerate(cases, 1):
            database.add(number, case)
        return database

    return fill


@pytest.fixture
def case() -> type[Case]:
    """Return the class of a described run."""
    return Case
