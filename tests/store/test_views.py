"""SQL over the views: what they show, and that nothing can be written through them."""

from __future__ import annotations

import _thread
import json
import math
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nbtrack import packing
from nbtrack.db import Connection, connect_writer
from nbtrack.errors import IntegrityError, InvalidParameterError, NotFoundError
from nbtrack.store.views import VIEWS, describe_views, query

NAN, INF = math.nan, math.inf


CONTENTS = """
        INSERT INTO experiments VALUES (1, 'gone', 'deleted', 5, 6, '');
        INSERT INTO experiment_tags VALUES (0, 'team', 'x'), (1, 'team', 'y');
        INSERT INTO sessions (session_id, user_id, host, machine, pid, process_start, notebook,
            environment, start_ms, heartbeat_ms)
            VALUES ('s', 'me', 'here', 'm', 1, '1', 'n.ipynb', '{}', 0, 0);
        INSERT INTO cells VALUES ('sha256:c', 'fit()');
        INSERT INTO cell_executions VALUES ('e', 's', 'sha256:c', 'id', 7, 1000, 3500, 'ok');
        INSERT INTO runs (run_no, run_id, run_name, experiment_id, session_id, execution_id, status,
            start_time, end_time, user_id, lifecycle_stage) VALUES
            (1, 'a', 'one', 0, 's', 'e', 'FINISHED', 1700000000123, 1700000001623, 'me', 'active'),
            (2, 'b', 'two', 0, NULL, NULL, 'RUNNING', 0, NULL, 'me', 'active'),
            (3, 'c', 'bin', 0, NULL, NULL, 'FINISHED', 0, 0, 'me', 'deleted'),
            (4, 'd', 'of gone', 1, NULL, NULL, 'FINISHED', 0, 0, 'me', 'active');
        INSERT INTO params SELECT run_no, 'lr', '0.' || run_no FROM runs;
        INSERT INTO tags SELECT run_no, 't', 'x' || run_no FROM runs;
        INSERT INTO metrics SELECT run_no, run_no, 'loss', NULL, 3, 9, 1.5, 0, 5, 0.5, 1.5, 4
            FROM runs;
        INSERT INTO datasets (dataset_id, name, digest, source_type, schema, profile) VALUES
            (1, 'iris', 'd1', 'numpy', '{}', '{}'), (2, 'trash', 'd2', 'numpy', '{}', '{}');
        INSERT INTO run_inputs VALUES ('a', 1, 'train', '{}'), ('c', 2, 'train', '{}'),
            ('c', 1, 'eval', '{}');
        INSERT INTO blobs (digest, size_bytes, encoding) VALUES ('sha256:b', 12, 'raw');
        INSERT INTO artifacts SELECT run_id, 'a.txt', 'sha256:b' FROM runs;
        INSERT INTO models (model_id, run_id, artifact_path, flavor, model_class, size_bytes,
            created_ms)
            SELECT 'm-' || run_id, run_id, 'model', 'sklearn', 'x.Y', 5, 1000
            FROM runs;
        INSERT INTO registered_models (name, creation_timestamp, last_updated_timestamp,
            last_version) VALUES ('iris', 1, 2, 2);
        INSERT INTO model_versions (name, version, run_id, source, creation_timestamp, user_id)
            VALUES ('iris', 1, 'a', 'runs:/a/model', 1000, 'me'),
            ('iris', 2, NULL, 'x', 2000, 'me');
        INSERT INTO model_aliases VALUES ('iris', 'best', 1), ('iris', 'prod', 1);
        INSERT INTO model_events VALUES (1, 1000, 'me', 'iris', 1, 'registered', '{}');
"""


def fill(conn: Connection) -> None:
    conn.executescript(CONTENTS)
    for steps, values in (([0, 1], [1.5, INF]), ([2, 3, 4], [NAN, -INF, 0.1])):
        conn.execute(
            "INSERT INTO metric_chunks (metric_id, count, data)"
            " SELECT metric_id, ?, ? FROM metrics",
            (len(steps), packing.encode(steps, [s * 10 for s in steps], values)),
        )


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("views") / "nbtrack.db"
    conn = connect_writer(path)
    fill(conn)
    conn.close()
    return path


@pytest.fixture
def writable(tmp_path: Path) -> Iterator[tuple[Path, Connection]]:
    path = tmp_path / "nbtrack.db"
    conn = connect_writer(path)
    fill(conn)
    yield path, conn
    conn.close()


def rows(path: Path, sql: str, params: Any = ()) -> list[tuple[Any, ...]]:
    return query(path, sql, params)[1]


# ------------------------------------------------------------------ what is shown


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_each_view_has_its_columns_and_rows(path: Path, view: Any) -> None:
    columns, found = query(path, f"SELECT * FROM {view.name}")
    assert columns == [name for name, _, _ in view.columns]
    assert found


def test_runs(path: Path) -> None:
    columns, found = query(path, "SELECT * FROM runs ORDER BY run_id")
    one, two = (dict(zip(columns, row, strict=True)) for row in found)
    assert one == {
        "run_id": "a",
        "run_name": "one",
        "experiment": "Default",
        "experiment_id": 0,
        "status": "FINISHED",
        "start_time": "2023-11-14T22:13:20.123Z",
        "end_time": "2023-11-14T22:13:21.623Z",
        "duration_s": 1.5,
        "user_id": "me",
        "notebook": "n.ipynb",
        "execution_count": 7,
        "execution_id": "e",
        "parent_run_id": None,
        "error": None,
    }
    assert two["start_time"] == "1970-01-01T00:00:00.000Z"
    assert (two["end_time"], two["duration_s"], two["notebook"]) == (None, None, None)


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("SELECT run_id, value FROM params", [("a", "0.1"), ("b", "0.2")]),
        ("SELECT run_id, value FROM tags", [("a", "x1"), ("b", "x2")]),
        (
            "SELECT run_id, last, first, min, max, count, last_step FROM metrics",
            [("a", None, 1.5, 0.5, 1.5, 4, 3), ("b", None, 1.5, 0.5, 1.5, 4, 3)],
        ),
        ("SELECT name FROM experiments", [("Default",)]),
        ("SELECT value FROM experiment_tags", [("x",)]),
        ("SELECT name, source FROM datasets", [("iris", "")]),
        ("SELECT run_id, name, digest, context FROM inputs", [("a", "iris", "d1", "train")]),
        (
            "SELECT run_id, path, size_bytes FROM artifacts",
            [("a", "a.txt", 12), ("b", "a.txt", 12)],
        ),
        ("SELECT model_id, run_id FROM models", [("m-a", "a"), ("m-b", "b")]),
        (
            "SELECT version, aliases, created FROM model_versions",
            [(1, "best, prod", "1970-01-01T00:00:01.000Z"), (2, None, "1970-01-01T00:00:02.000Z")],
        ),
        ("SELECT event, name, version FROM model_events", [("registered", "iris", 1)]),
        (
            "SELECT r.run_name, c.source, c.duration_s, c.execution_count"
            " FROM runs r JOIN cells c USING (execution_id)",
            [("one", "fit()", 2.5, 7)],
        ),
    ],
)
def test_rows_without_the_trash(path: Path, sql: str, found: list[tuple[Any, ...]]) -> None:
    assert rows(path, f"{sql} ORDER BY 1") == found


def test_history(path: Path) -> None:
    sql = "SELECT step, timestamp, value FROM metric_history WHERE run_id = ? AND key = ?"
    points = [(0, 0, 1.5), (1, 10, INF), (2, 20, None), (3, 30, -INF), (4, 40, 0.1)]
    assert rows(path, f"{sql} ORDER BY step", ["a", "loss"]) == points
    assert rows(path, "SELECT DISTINCT run_id FROM metric_history ORDER BY 1") == [("a",), ("b",)]
    assert rows(path, "SELECT count(*), max(value) FROM metric_history") == [(10, INF)]


def test_values_of_points_are_the_very_same(writable: tuple[Path, Connection]) -> None:
    path, conn = writable
    values = [0.1, 1 / 3, 5e-324, -1.7976931348623157e308, 2.0**53 + 2, -0.0, 1e22, 123456.789e-30]
    chunk = packing.encode(range(len(values)), [0] * len(values), values)
    conn.execute("UPDATE metric_chunks SET data = ?", (chunk,))
    sql = "SELECT value FROM metric_history WHERE run_id = 'a' GROUP BY step ORDER BY step"
    assert [value for (value,) in rows(path, sql)] == values


def test_a_damaged_chunk_is_told(writable: tuple[Path, Connection]) -> None:
    path, conn = writable
    conn.execute("UPDATE metric_chunks SET data = x'00'")
    with pytest.raises(IntegrityError, match="is damaged"):
        rows(path, "SELECT * FROM metric_history")


def test_functions_and_params(path: Path) -> None:
    assert rows(path, "SELECT run_id FROM runs WHERE run_name REGEXP '^o'") == [("a",)]
    assert rows(path, "SELECT run_id FROM runs WHERE ilike('T%', run_name)") == [("b",)]
    assert rows(path, "SELECT run_id FROM runs WHERE run_name = :n", {"n": "two"}) == [("b",)]
    assert rows(path, "SELECT ?", ["half \ud83d, \0"]) == [("half ?, \ufffd",)]


@pytest.mark.parametrize(
    "sql",
    [
        "WITH a AS (SELECT run_id FROM runs) SELECT count(*) FROM a",
        "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 9) SELECT max(i) FROM n",
        "-- a comment\n /* another */ SELECT 1;",
        "values (1), (2)",
        "EXPLAIN QUERY PLAN SELECT * FROM metric_history",
        "PRAGMA table_info(runs)",
        "SELECT name FROM pragma_table_info('runs')",
        "SELECT value FROM json_each('[1]')",
        "SELECT key FROM json_tree('{\"a\": 1}')",
        "SELECT count(*) FROM main.sessions",
        "SELECT run_id, rank() OVER (ORDER BY start_time) FROM runs",
    ],
)
def test_what_reads_is_allowed(path: Path, sql: str) -> None:
    assert rows(path, sql)


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM runs",
        "DELETE FROM main.runs",
        "UPDATE main.runs SET run_name = 'x'",
        "UPDATE sqlite_master SET sql = ''",
        "INSERT INTO main.tags VALUES (1, 'a', 'b')",
        "REPLACE INTO main.tags VALUES (1, 'a', 'b')",
        "WITH a AS (SELECT 1) DELETE FROM main.runs",
        "WITH a AS (SELECT 1) UPDATE sqlite_master SET sql = ''",
        "EXPLAIN DELETE FROM main.runs",
        "DROP VIEW runs",
        "DROP TABLE main.runs",
        "CREATE TABLE x (a)",
        "CREATE TEMP TABLE x (a)",
        "CREATE TEMP VIEW x AS SELECT 1",
        "ALTER TABLE main.runs RENAME TO x",
        "ATTACH 'other.db' AS other",
        "DETACH main",
        "VACUUM",
        "VACUUM INTO 'other.db'",
        "ANALYZE",
        "REINDEX",
        "BEGIN",
        "COMMIT",
        "SAVEPOINT x",
        "PRAGMA user_version = 7",
        "PRAGMA user_version",
        "PRAGMA query_only = 0",
        "PRAGMA writable_schema = 1",
        "PRAGMA journal_mode = DELETE",
        "PRAGMA wal_checkpoint",
        "SELECT load_extension('x')",
        "SELECT fts3_tokenizer('x')",
        "SELECT * FROM pragma_user_version",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE main.runs",
        "",
        "   ",
        "-- nothing",
        "/* not closed",
        "SELECT",
        "SELEC 1",
        "SELECT * FROM nothing",
        "SELECT nothing FROM runs",
        "SELECT nothing()",
        "SELECT 'a\0b'",
        "SELECT '\ud83d'",
        "SELECT ?",
        "SELECT regexp('(', 'a')",
        "🙂",
    ],
)
def test_what_is_no_reading_query_is_refused(path: Path, sql: str, workdir: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(InvalidParameterError) as caught:
        query(path, sql)
    assert "metric_history" in (caught.value.hint or "")
    str(caught.value).encode()
    assert "\n" not in caught.value.message
    assert path.read_bytes() == before
    assert list(workdir.iterdir()) == []


@pytest.mark.parametrize(
    "params", [[2**64], [object()], [[1]], "abc", b"abc", {"a": object()}, [1, 2]]
)
def test_params_that_are_none(path: Path, params: Any) -> None:
    with pytest.raises(InvalidParameterError):
        query(path, "SELECT :a" if isinstance(params, dict) else "SELECT ?", params)


def test_the_sql_must_be_a_text(path: Path) -> None:
    with pytest.raises(InvalidParameterError, match="must be a text"):
        query(path, 3)  # type: ignore[arg-type]


def test_there_must_be_a_file(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        query(tmp_path / "no.db", "SELECT 1")
    assert list(tmp_path.iterdir()) == []


def test_a_view_cannot_be_changed_for_the_next_query(path: Path) -> None:
    for sql in (
        "DROP VIEW temp.runs",
        "CREATE TEMP TRIGGER x INSTEAD OF INSERT ON runs BEGIN SELECT 1; END",
    ):
        with pytest.raises(InvalidParameterError):
            query(path, sql)
    assert rows(path, "SELECT count(*) FROM runs") == [(2,)]


# ------------------------------------------------------------------ long queries

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT"


def test_more_rows_than_allowed_is_an_error(path: Path) -> None:
    with pytest.raises(InvalidParameterError, match=r"gives more than 2,500 rows") as caught:
        query(path, f"{ENDLESS} i FROM n", max_rows=2500)
    assert "LIMIT" in (caught.value.hint or "")
    assert len(query(path, f"{ENDLESS} i FROM n LIMIT 2500", max_rows=2500)[1]) == 2500
    assert query(path, "SELECT 1 WHERE 0", max_rows=0) == (["1"], [])


@pytest.mark.parametrize("sql", [f"{ENDLESS} sum(i) FROM n", f"{ENDLESS} i FROM n WHERE i < 0"])
def test_ctrl_c_stops_a_query(path: Path, sql: str) -> None:
    is_over = threading.Event()

    def press() -> None:
        # Again, because Python drops an interrupt that comes while it frees an object.
        while not is_over.wait(1):
            _thread.interrupt_main()

    pressing = threading.Thread(target=press)
    pressing.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            query(path, sql)
    finally:
        is_over.set()
        pressing.join()
    assert rows(path, "SELECT 1") == [(1,)]


def test_writing_goes_on_while_a_query_runs(writable: tuple[Path, Connection]) -> None:
    path, conn = writable
    results: list[Any] = []
    reading = threading.Thread(
        target=lambda: results.append(
            query(path, f"{ENDLESS} max(i) FROM (SELECT i FROM n LIMIT 500000)")
        )
    )
    reading.start()
    conn.execute("INSERT INTO tags VALUES (1, 'more', 'x')")
    reading.join()
    assert results == [(["max(i)"], [(500000,)])]


# ------------------------------------------------------------------ what is written of them


def test_the_description_names_every_column() -> None:
    text = describe_views()
    for view in VIEWS:
        section = text.split(f"## {view.name}\n")[1].split("\n## ")[0]
        assert view.about in section
        for name, _, about in view.columns:
            assert f"- `{name}`: {about}\n" in section
    assert json.dumps(text)
