"""Files of older schemas: all that was in them is there afterwards, or they stay as they are."""

from __future__ import annotations

import math
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

from nbtrack import db, migrations, packing
from nbtrack.db import APPLICATION_ID, Reader, connect_writer
from nbtrack.errors import NewerSchemaError
from nbtrack.store import SqliteStore
from nbtrack.types import RunQuery, RunStatus

ONE, TWO = "1" * 32, "2" * 32
POINTS = 10_000  # of one metric: more than a chunk has


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "nbtrack.db"


def only_first(patch: pytest.MonkeyPatch) -> None:
    for module in (db, migrations):
        patch.setattr(module, "LATEST", 1)
    patch.setattr(migrations, "STEPS", migrations.STEPS[:1])


INSERTS: list[tuple[str, list[tuple[Any, ...]]]] = [
    (
        "INSERT INTO sessions VALUES (?, 'me', 'host', 'boot/ns', 1, '1', 'a.ipynb',"
        ' \'{"python": "3"}\', 0, 9)',
        [("s1",)],
    ),
    ("INSERT INTO experiments VALUES (?, ?, ?, 5, 6)", [(3, "mine", "active")]),
    ("INSERT INTO cells VALUES (?, ?)", [("d1", "fit()")]),
    (
        "INSERT INTO cell_executions VALUES (?, 's1', 'd1', 'c', 7, 1, 2, 'ok')",
        [("e1",)],
    ),
    (
        "INSERT INTO runs VALUES (?, ?, ?, ?, 's1', 'e1', ?, ?, ?, 'me', 'active', ?)",
        [
            (ONE, "outer", 0, None, "FINISHED", 100, 200, None),
            (TWO, "inner", 3, ONE, "FAILED", 150, 190, "Traceback ..."),
        ],
    ),
    ("INSERT INTO params VALUES (?, ?, ?)", [(ONE, "a", "1"), (TWO, "a", "2"), (TWO, "é'", "")]),
    ("INSERT INTO tags VALUES (?, ?, ?)", [(ONE, "t", "x")]),
    (
        "INSERT INTO metrics VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (10, TWO, "m", 3.0, 2, 7, 1.0, 0, 5, 1.0, 3.0, 4),
            (11, ONE, "nan", None, 1, 1, None, 0, 0, None, None, 2),
            (12, ONE, "long", 1.0, POINTS - 1, 0, 1.0, 0, 0, 1.0, 1.0, POINTS),
            (13, ONE, "ends", -math.inf, 2**63 - 1, -(2**63), 1.0, -(2**63), 0, -math.inf, 1.0, 2),
        ],
    ),
    (
        "INSERT INTO metric_points VALUES (?, ?, ?, ?)",
        [
            (10, 2, 7, 3.0),
            (10, 0, 5, 1.0),
            (10, 1, 6, 2.5),
            (10, 1, 6, 1.5),  # of the same place: it came later
            (11, 0, 0, None),
            (11, 1, 1, None),
            *((12, step, 0, 1.0) for step in reversed(range(POINTS))),
            (13, 2**63 - 1, -(2**63), -math.inf),
            (13, -(2**63), 0, 1.0),
        ],
    ),
    (
        "INSERT INTO datasets VALUES (?, 'X', 'xxh3:1', 'numpy', '{\"dtype\": \"f8\"}', '{}')",
        [(1,)],
    ),
    ("INSERT INTO run_inputs VALUES (?, 1, ?)", [(TWO, "train"), (TWO, "eval")]),
    ("INSERT INTO blobs VALUES (?, 1, 'raw')", [("b1",)]),
    ("INSERT INTO blob_chunks VALUES (?, 0, x'01')", [("b1",)]),
    ("INSERT INTO artifacts VALUES (?, ?, 'b1')", [(TWO, "model/model.pkl")]),
    (
        "INSERT INTO models VALUES (?, ?, 'model', 'sklearn', 'a.B', 1, 160)",
        [("m1", TWO)],
    ),
    ("INSERT INTO registered_models VALUES (?, 1, 2, 5)", [("churn",)]),
    (
        "INSERT INTO model_versions VALUES ('churn', ?, ?, ?, 3, 'me')",
        [(4, TWO, f"runs:/{TWO}/model"), (5, None, "elsewhere")],
    ),
    ("INSERT INTO model_aliases VALUES ('churn', ?, 4)", [("champion",)]),
    (
        "INSERT INTO model_events (time_ms, user_id, name, version, event, details)"
        " VALUES (?, 'me', 'churn', 4, 'registered', '{}')",
        [(1,), (2,)],
    ),
]


@pytest.fixture
def old(path: Path) -> Path:
    """Make a file of schema 1, as the first nbtrack did."""
    with pytest.MonkeyPatch.context() as patch:
        only_first(patch)
        conn = connect_writer(path)
    conn.execute("BEGIN")
    for sql, rows in INSERTS:
        conn.executemany(sql, rows)
    conn.execute("COMMIT")
    assert conn.execute("PRAGMA foreign_key_check").fetchall() == []
    conn.close()
    return path


def dump(path: Path) -> list[str]:
    conn = sqlite3.connect(path)
    try:
        version = conn.execute("PRAGMA user_version").fetchone()
        return [*conn.iterdump(), str(version)]
    finally:
        conn.close()


def rows(conn: sqlite3.Connection, sql: str) -> list[tuple[Any, ...]]:
    return conn.execute(sql).fetchall()


def the_store(path: Path) -> SqliteStore:
    """Return a store that only reads."""

    class NoSink:
        def flush(self, timeout: float = 10.0) -> None: ...
        def add_point(self, *point: object) -> None: ...

        def expect(self, *names: object) -> None: ...

    return SqliteStore(NoSink(), Reader(path), lambda *_: True)  # type: ignore[arg-type]


def test_the_old_file_is_of_schema_1(old: Path) -> None:
    conn = sqlite3.connect(old)
    assert rows(conn, "PRAGMA user_version") == [(1,)]
    assert rows(conn, "PRAGMA application_id") == [(APPLICATION_ID,)]
    conn.close()


def test_runs_are_there(old: Path) -> None:
    store = the_store(old)
    outer, inner = store.get_run(ONE), store.get_run(TWO)
    assert (outer.info.run_name, outer.info.status) == ("outer", RunStatus.FINISHED)
    assert (outer.info.start_time, outer.info.end_time) == (100, 200)
    assert (inner.info.experiment_name, inner.info.experiment_id) == ("mine", "3")
    assert (inner.info.parent_run_id, inner.info.error) == (ONE, "Traceback ...")
    assert (outer.data.params, outer.data.tags) == ({"a": "1"}, {"t": "x"})
    assert inner.data.params == {"a": "2", "é'": ""}
    assert (inner.notebook, inner.execution_count) == ("a.ipynb", 7)
    detail = store.get_run_detail(TWO)
    assert [(item.dataset.name, item.context) for item in detail.inputs] == [
        ("X", "eval"),
        ("X", "train"),
    ]
    assert detail.inputs[0].dataset.schema == {"dtype": "f8"}
    assert [(file.path, file.digest) for file in detail.artifacts] == [("model/model.pkl", "b1")]
    assert detail.cell is not None
    assert (detail.cell.source, detail.environment) == ("fit()", {"python": "3"})
    assert [model.model_id for model in inner.models] == ["m1"]
    # Newest first, and those that have no seal yet are in a table, too.
    assert [run.info.run_id for run in store.search_runs(RunQuery())] == [TWO, ONE]
    assert store.run_table(RunQuery()).params["a"] == ["2", "1"]
    mine = store.get_experiment("3")
    assert (mine.creation_time, mine.last_update_time, mine.tags) == (5, 6, {})


def test_points_are_there(old: Path) -> None:
    store = the_store(old)
    (series,) = store.metric_series([TWO], ["m"])
    assert series.steps.tolist() == [0, 1, 1, 2]
    assert series.timestamps.tolist() == [5, 6, 6, 7]
    assert series.values.tolist() == [1.0, 2.5, 1.5, 3.0]
    nan, long, ends = store.metric_series([ONE], ["nan", "long", "ends"])
    assert all(map(math.isnan, nan.values.tolist()))
    assert long.steps.tolist() == list(range(POINTS))
    assert ends.steps.tolist() == [-(2**63), 2**63 - 1]
    assert ends.timestamps.tolist() == [0, -(2**63)]
    assert ends.values.tolist() == [1.0, -math.inf]
    summary = store.get_run(TWO).data.summaries["m"]
    assert (summary.first, summary.last, summary.min, summary.max) == (1.0, 3.0, 1.0, 3.0)
    assert math.isnan(store.get_run(ONE).data.metrics["nan"])


def test_the_file_is_sound(old: Path, path: Path) -> None:
    connect_writer(old).close()
    conn = sqlite3.connect(path)
    assert rows(conn, "PRAGMA user_version") == [(migrations.LATEST,)]
    assert rows(conn, "PRAGMA integrity_check") == [("ok",)]
    assert rows(conn, "PRAGMA foreign_key_check") == []
    for count, data in rows(conn, "SELECT count, data FROM metric_chunks"):
        assert len(packing.decode(data)[2]) == count
    assert rows(
        conn,
        "SELECT m.key, m.count - sum(c.count) FROM metrics m JOIN metric_chunks c"
        " USING (metric_id) GROUP BY 1 ORDER BY 1",
    ) == [("ends", 0), ("long", 0), ("m", 0), ("nan", 0)]
    assert rows(conn, "SELECT name FROM sqlite_master WHERE name LIKE '%new_%'") == []
    conn.close()


def test_it_is_the_same_as_a_new_file(old: Path, tmp_path: Path) -> None:
    """What refers to what, and every column, index and trigger."""
    connect_writer(old).close()
    new = tmp_path / "new.db"
    connect_writer(new).close()
    described = []
    for file in (old, new):
        conn = sqlite3.connect(file)
        names = [name for (name,) in rows(conn, "SELECT name FROM sqlite_master ORDER BY 1")]
        tables = [
            (name, rows(conn, f"PRAGMA {what}({name})"))
            for what in ("foreign_key_list", "table_info")
            for (name,) in rows(conn, "SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        described.append((names, sorted(tables, key=repr)))
        conn.close()
    assert described[0] == described[1]


def test_the_registry_is_there(old: Path) -> None:
    connect_writer(old).close()
    conn = sqlite3.connect(old)
    assert rows(
        conn,
        "SELECT name, creation_timestamp, last_updated_timestamp,"
        " last_version, description FROM registered_models",
    ) == [("churn", 1, 2, 5, "")]
    assert rows(conn, "SELECT * FROM model_aliases") == [("churn", "champion", 4)]
    assert rows(conn, "SELECT version, run_id FROM model_versions ORDER BY 1") == [
        (4, TWO),
        (5, None),
    ]
    assert rows(conn, "SELECT event_id, time_ms FROM model_events") == [(1, 1), (2, 2)]
    conn.close()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE model_events SET event = 'forged'",
        "DELETE FROM model_events",
        "INSERT OR REPLACE INTO model_events VALUES (1, 9, 'me', 'churn', 4, 'forged', '{}')",
    ],
)
def test_the_audit_trail_still_only_grows(old: Path, sql: str) -> None:
    conn = connect_writer(old)
    with pytest.raises(sqlite3.IntegrityError, match="the audit trail cannot be edited"):
        conn.execute(sql)
    conn.execute(
        "INSERT INTO model_events (time_ms, user_id, name, event, details)"
        " VALUES (3, 'me', 'churn', 'renamed', '{}')"
    )
    assert rows(conn, "SELECT count(*) FROM model_events") == [(3,)]
    conn.close()


def test_a_run_that_is_deleted_takes_what_is_its_own_along(old: Path) -> None:
    conn = connect_writer(old)
    conn.execute("DELETE FROM model_aliases")
    conn.execute("DELETE FROM model_versions")
    conn.execute("DELETE FROM runs WHERE run_id = ?", (TWO,))
    for table, left in (
        ("params", 1),
        ("metrics", 3),
        ("run_inputs", 0),
        ("artifacts", 0),
        ("models", 0),
    ):
        assert rows(conn, f"SELECT count(*) FROM {table}") == [(left,)], table
    assert rows(conn, "SELECT count(*) FROM metric_chunks WHERE metric_id = 10") == [(0,)]
    conn.close()


@pytest.mark.parametrize("open_file", [connect_writer, db.connect_reader])
def test_stopping_half_way_leaves_schema_1(
    old: Path, monkeypatch: pytest.MonkeyPatch, open_file: Callable[[Path], sqlite3.Connection]
) -> None:
    before = dump(old)
    real = packing.encode
    calls = []

    def stop(*columns: Any) -> bytes:
        calls.append(columns)
        if len(calls) == 3:
            raise RuntimeError("stopped half-way")
        return real(*columns)

    monkeypatch.setattr(packing, "encode", stop)
    with pytest.raises(RuntimeError, match="half-way"):
        open_file(old)
    assert dump(old) == before
    monkeypatch.undo()
    assert the_store(old).get_run(TWO).info.run_name == "inner"


def test_a_process_that_dies_half_way_leaves_schema_1(old: Path) -> None:
    """The transaction is never committed."""
    before = dump(old)
    conn = sqlite3.connect(old, isolation_level=None)
    conn.execute("BEGIN IMMEDIATE")
    migrations.migrate(conn)
    assert conn.in_transaction
    conn.close()
    assert dump(old) == before


def test_of_those_that_open_an_old_file_at_once_one_brings_it_up_to_date(
    old: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others wait, and must not make those behind them wait for nothing."""
    wrong: list[BaseException] = []
    real, done = db.migrate, []

    def migrate(conn: sqlite3.Connection) -> None:
        done.append(conn)
        real(conn)

    monkeypatch.setattr(db, "migrate", migrate)

    def work() -> None:
        try:
            connect_writer(old).close()
        except BaseException as error:
            wrong.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(done) == 1
    assert the_store(old).get_run(ONE).data.params == {"a": "1"}


def test_an_older_nbtrack_refuses_the_new_file(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connect_writer(old).close()
    before = dump(old)
    only_first(monkeypatch)
    for open_file in (connect_writer, db.connect_reader):
        with pytest.raises(NewerSchemaError, match="has schema 3; this nbtrack knows") as caught:
            open_file(old)
        assert "pip install --upgrade nbtrack" in (caught.value.hint or "")
    assert dump(old) == before


def test_steps_are_applied_in_their_order_only(old: Path) -> None:
    conn = connect_writer(old)
    names = [row["name"] for row in Database(conn)["_sqlite_migrations"].rows]
    conn.close()
    assert [name[:4] for name in names] == ["m001", "m002", "m003"]
