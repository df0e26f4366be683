"""A file whose columns hold anything: what is merged can be read afterwards."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from nbtrack.db import Reader, close_readers, connect_writer
from nbtrack.provenance import is_alive
from nbtrack.store import SqliteStore, search
from nbtrack.tracking import Client
from nbtrack.transfer import MergeReport, merge
from nbtrack.transfer.merge import _Direct
from nbtrack.transfer.sqlite import _TABLES
from nbtrack.types import RunQuery, ViewType

from .archive import content, copy, execute, fill

VALUES = (None, -1, 2**63 - 1, 1e300, "", "x\x1b[31m", "../x", "[]", b"\x00\xff", b"")


class _Sink:
    def flush(self, timeout: float = 10.0) -> None: ...
    def add_point(self, *point: object) -> None: ...

    def expect(self, *names: object) -> None: ...


@pytest.fixture(scope="module")
def loose(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a file of a run whose tables take anything."""
    folder = tmp_path_factory.mktemp("loose")
    client = Client(folder / "strict.db")
    fill(client)
    path = copy(client.path, folder / "loose.db")
    client.workspace.writer.close()
    execute(
        path,
        "INSERT INTO model_aliases VALUES ('churn', 'champion', 1)",
        "INSERT INTO experiment_tags VALUES (1, 'k', 'v')",
        "INSERT INTO model_metrics VALUES (1, 'k', 1.0, 1, 1, 'm', NULL, NULL)",
        "INSERT INTO datasets VALUES (1, 'n', 'd', 'numpy', '{}', '{}', '')",
        "INSERT INTO run_inputs SELECT run_id, 1, 'train', '{}' FROM runs",
        "INSERT INTO cells VALUES ('sha256:0', '1 + 1')",
        "INSERT INTO cell_executions SELECT 'e1', session_id, 'sha256:0', NULL, 1, 1, 2, 'ok'"
        " FROM sessions",
        "UPDATE runs SET execution_id = 'e1'",
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_master SET sql = replace(replace(replace(replace(sql, 'STRICT,', ''),"
        " 'STRICT', ''), 'NOT NULL', ''), ' TEXT', '')"
        " WHERE type = 'table' AND sql LIKE '%STRICT%' AND sql NOT LIKE '%WITHOUT%'"
        " AND name NOT IN ('shapes', 'sealed_runs', 'unsealed_runs', 'model_events')",
        "DELETE FROM sqlite_master WHERE type = 'trigger'",
    )
    return path


def columns(path: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(path)) as conn:
        return [
            (table, row[1])
            for table in sorted(_TABLES)
            for row in conn.execute(f"PRAGMA table_info({table})")
        ]


def attempt(bad: Path, target: Path) -> MergeReport:
    with closing(connect_writer(target)) as conn:
        conn.execute("PRAGMA synchronous = OFF")
        return merge(bad, _Direct(conn), target, user_id="me", is_alive=is_alive, kinds={})


def assert_readable(path: Path) -> None:
    content(path)
    store = SqliteStore(_Sink(), Reader(path, on_open=search.register), is_alive)  # type: ignore[arg-type]
    query = RunQuery(view_type=ViewType.ALL)
    for run in store.search_runs(query):
        store.get_run_detail(run.info.run_id)
        store.metric_series([run.info.run_id], list(run.data.metrics))
    store.run_table(query)
    store.search_experiments()
    close_readers()


def test_any_value_in_any_column(loose: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty.db"
    connect_writer(empty).close()
    fine = 0
    for i, (table, column) in enumerate(columns(loose)):
        value: Any
        for j, value in enumerate(VALUES):
            if (i + j) % 5:
                continue  # each column with some values, each value in some columns
            bad, target = tmp_path / "bad.db", tmp_path / "target.db"
            shutil.copyfile(loose, bad)
            shutil.copyfile(empty, target)
            with closing(sqlite3.connect(bad)) as conn, conn:
                try:
                    conn.execute(f"UPDATE {table} SET {column} = ?", (value,))
                except sqlite3.Error:  # not in a key
                    continue
            report = attempt(bad, target)
            assert_readable(target)
            fine += not report.problems
            assert report.added or report.problems, (table, column, value)
    assert fine > 10
