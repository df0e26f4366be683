"""Whatever is wrong with a file is said, and said without a traceback."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tracemalloc
from contextlib import closing
from pathlib import Path

import pytest
import sqlite_utils
import zstandard

from nbtrack import db, migrations
from nbtrack.errors import ForeignDatabaseError, NotFoundError
from nbtrack.store.maintenance import check
from nbtrack.tracking import Client

NOISE = random.Random(1).randbytes(3 * 2**20)  # kept raw, in several rows


@pytest.fixture
def path(client: Client, tmp_path: Path) -> Path:
    """Return a file with some of everything, at rest."""
    noise = tmp_path / "noise.bin"
    noise.write_bytes(NOISE)
    for i in range(3):
        with client.start_run(f"r{i}") as run:
            run.log_params({"a": str(i), "b": "\N{SNOWMAN}"})
            for step in range(300):
                run.log_metric("m", step / 7, step=step)
            run.log_metrics({"nan": float("nan"), "inf": float("inf")})
            run.log_text("many words " * 9000, "words.txt")
            run.log_text("", "empty.txt")
            client.log_artifact(run.run_id, str(noise))
    client.log_metric(run.run_id, "nan", 1.0)
    client.log_metric(run.run_id, "m", -1.0, step=-5)
    client.set_tag(run.run_id, "late", "yes")
    client.workspace.writer.close()
    alter(
        client.path,
        "INSERT INTO models (model_id, run_id, artifact_path, flavor, model_class, size_bytes,"
        " created_ms) SELECT 'm-1', run_id, 'model', 'sklearn', 'a.B', 1, 1 FROM runs LIMIT 1",
        "INSERT INTO logged_model_params VALUES ('m-1', 'a', '1')",
        "INSERT INTO run_models SELECT run_id, 'm-1', 'output', 0 FROM models",
        "INSERT INTO registered_models VALUES ('iris', 1, 1, 1, '')",
        "INSERT INTO model_versions (name, version, source, creation_timestamp, user_id)"
        " VALUES ('iris', 1, 'models:/m-1', 1, 'me')",
        "INSERT INTO model_version_tags VALUES ('iris', 1, 'a', '1')",
    )
    return client.path


def alter(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        for statement in statements:
            conn.execute(statement)
        conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def said(path: Path) -> str:
    return "\n".join(problem.what for problem in check(path))


def test_a_sound_file(path: Path) -> None:
    before = path.read_bytes()
    seen: list[tuple[int, int]] = []
    assert check(path, lambda done, total: seen.append((done, total))) == []
    assert seen[-1][0] == seen[-1][1] > 3 * 2**20
    assert path.read_bytes() == before
    assert check(Path(shutil.copy(path, path.with_name("copy.db")))) == []


def test_an_empty_file_of_ours(tmp_path: Path) -> None:
    db.connect_writer(tmp_path / "a.db").close()
    assert check(tmp_path / "a.db") == []


def test_a_bit_of_a_file_has_flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    place = data.index(NOISE[2**20 + 50 : 2**20 + 150])
    data[place] ^= 1
    path.write_bytes(data)
    (problem,) = check(path)
    assert "noise.bin of run" in problem.what
    assert problem.what.endswith("is not what was stored: its bytes have another digest.")
    assert problem.hint == "Take the database from a backup."


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("UPDATE blob_chunks SET data = zeroblob(9) WHERE seq = 2", "has not the 3145728 bytes"),
        ("DELETE FROM blob_chunks WHERE seq = 1", "has not the 3145728 bytes"),
        ("UPDATE blob_chunks SET seq = 9 WHERE seq = 0 AND length(data) > 1000000", "digest"),
        ("UPDATE blobs SET encoding = 'zstd' WHERE encoding = 'raw'", "is damaged: "),
        ("UPDATE blobs SET encoding = 'raw' WHERE encoding = 'zstd'", "has not the 99000 bytes"),
        ("UPDATE blobs SET encoding = 'rot13' WHERE encoding = 'zstd'", "unknown encoding"),
        ("UPDATE blobs SET size_bytes = 1 WHERE size_bytes = 0", "has not the 1 bytes"),
        ("UPDATE blob_chunks SET data = zeroblob(9e6) WHERE seq = 2", "a part of it has 9000000"),
        ("DELETE FROM blobs WHERE size_bytes = 0", "The content of the file 'empty.txt' of run"),
        ("DELETE FROM runs WHERE run_no = 1", "rows of params refer to rows of runs that are not"),
        ("DELETE FROM metric_chunks WHERE count = 300", "they are not there"),
        ("UPDATE metric_chunks SET count = count + 1", "a chunk has 300 points, and not 301"),
        ("UPDATE metric_chunks SET data = zeroblob(40)", "A chunk of metric points"),
        ("UPDATE metric_chunks SET data = zeroblob(9e6)", "a chunk has 9000000 bytes"),
        ("UPDATE metrics SET max = 1 WHERE key = 'm'", "their summary"),
        ("UPDATE metrics SET last = 1 WHERE key = 'nan'", "their summary"),
        ("UPDATE metrics SET count = 7 WHERE key = 'inf'", "their summary"),
        ('UPDATE sealed_runs SET params = \'["9", "9"]\' WHERE run_no = 2', "The sealed row"),
        ("UPDATE sealed_runs SET metrics = x'' WHERE run_no = 2", "The sealed row"),
        ("UPDATE sealed_runs SET lasts = zeroblob(24) WHERE run_no = 2", "The sealed row"),
        ("ALTER TABLE sealed_runs DROP COLUMN lasts", "The column sealed_runs.lasts is missing"),
        ("UPDATE sealed_runs SET tag_shape = param_shape WHERE run_no = 2", "The sealed row"),
        ("UPDATE sealed_runs SET tags = '['", "have no JSON in tags"),
        ("INSERT INTO unsealed_runs SELECT run_no FROM runs", "are sealed and to be sealed"),
        ("UPDATE runs SET status = 'DONE'", "3 runs have an unknown status"),
        ("UPDATE models SET status = 'DONE'", "1 rows of models have an unknown status"),
        ("UPDATE run_models SET role = 'a'", "1 rows of run_models have an unknown role"),
        ("UPDATE model_versions SET status = 'a'", "1 rows of model_versions have an unknown st"),
        ("UPDATE model_versions SET current_stage = 'a'", "unknown current_stage"),
        ("DELETE FROM models", "rows of logged_model_params refer to rows of models that are not"),
        ("DELETE FROM model_versions", "rows of model_version_tags refer to rows of model_version"),
        ("UPDATE experiments SET lifecycle_stage = ''", "1 experiments are neither active nor"),
        ("UPDATE sessions SET environment = 'x'", "rows of sessions have no JSON"),
        ("DROP TRIGGER params_insert_unseals", "The trigger params_insert_unseals is missing"),
        ("DROP TABLE model_metrics", "The table model_metrics is missing"),
        ("DROP INDEX chunks_by_metric", "The index chunks_by_metric is missing"),
    ],
)
def test_what_plain_sql_has_changed(path: Path, change: str, message: str) -> None:
    alter(path, change)
    assert message in said(path)


def test_a_value_that_was_changed_behind_the_triggers(path: Path) -> None:
    (trigger,) = sqlite_utils.Database(path).query(
        "SELECT sql FROM sqlite_schema WHERE name = 'params_update_unseals'"
    )
    alter(
        path,
        "DROP TRIGGER params_update_unseals",
        "UPDATE params SET value = 'other' WHERE run_no = 1",
        trigger["sql"],
    )
    (problem,) = check(path)
    assert problem.what.startswith("The sealed row of run")
    assert problem.hint == "It is made anew as soon as a tag of the run is set."
    alter(path, "INSERT INTO tags VALUES (1, 'x', 'y')")
    assert check(path) == []


def test_a_file_that_unpacks_to_all_of_the_memory(path: Path) -> None:
    bomb = zstandard.compress(bytes(2**28))
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.execute("UPDATE blob_chunks SET data = ? WHERE length(data) < 9000", (bomb,))
    tracemalloc.start()
    assert "has not the 99000 bytes" in said(path)
    assert tracemalloc.get_traced_memory()[1] < 40 * 2**20
    tracemalloc.stop()


def test_a_view_in_the_place_of_a_table(path: Path) -> None:
    alter(
        path,
        "DROP TABLE blob_chunks",
        "CREATE VIEW blob_chunks AS WITH RECURSIVE r(x) AS (SELECT 1 UNION ALL SELECT x FROM r)"
        " SELECT '' AS digest, x AS seq, x AS data FROM r",
    )
    assert "The table blob_chunks is missing." in said(path)


def test_any_page_may_be_damaged(path: Path) -> None:
    data = path.read_bytes()
    noise = random.Random(2)
    pages = range(1, len(data) // 4096)
    in_use = [page for page in pages if data[page * 4096 : page * 4096 + 64] not in NOISE]
    for page in noise.sample(in_use, 25):
        damaged = bytearray(data)
        start = page * 4096
        damaged[start : start + 4096] = noise.randbytes(4096)
        path.write_bytes(damaged)
        assert check(path), page


def test_a_file_that_was_cut_off(path: Path) -> None:
    data = path.read_bytes()
    for size in (50, 100, 512, 4096, 5000, len(data) // 2, len(data) - 4096):
        path.write_bytes(data[:size])
        problems = check(path)
        assert problems, size


def test_many_problems_are_told_in_part(path: Path) -> None:
    with closing(sqlite3.connect(path)) as conn, conn:
        conn.executemany(
            "INSERT INTO blobs (digest, size_bytes, encoding) VALUES (?, 3, 'raw')",
            [(f"sha256:{i}",) for i in range(3000)],
        )
    problems = check(path)
    assert len(problems) == 1001
    assert problems[-1].what == "There are more than these 1000 problems."


def test_an_old_schema_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        migrations._m001_first(sqlite_utils.Database(conn))
        conn.execute(f"PRAGMA application_id = {db.APPLICATION_ID}")
        conn.execute("PRAGMA user_version = 1")
    before = path.read_bytes()
    (problem,) = check(path)
    assert problem.what.startswith("The schema is 1, and this nbtrack's is ")
    assert path.read_bytes() == before


def test_what_is_no_file_of_ours(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        check(tmp_path / "none.db")
    sqlite_utils.Database(tmp_path / "other.db")["t"].insert({"a": 1})
    with pytest.raises(ForeignDatabaseError):
        check(tmp_path / "other.db")
    (tmp_path / "text.db").write_text("words " * 1000)
    assert said(tmp_path / "text.db").endswith("is no SQLite database, or is damaged.")


_KERNEL = """
import sys
from nbtrack import Client
client = Client(sys.argv[1])
print("ready", flush=True)
for i in range(200):
    with client.start_run(f"k{i}") as run:
        for step in range(200):
            run.log_metric("m", step, step=step)
        run.log_text(f"{i} " * 5000, "own.txt")
client.flush()
"""


def test_beside_a_kernel_that_writes(path: Path) -> None:
    kernel = subprocess.Popen(
        [sys.executable, "-c", _KERNEL, os.fspath(path)], stdout=subprocess.PIPE, text=True
    )
    assert kernel.stdout is not None
    assert kernel.stdout.readline() == "ready\n"
    while kernel.poll() is None:
        assert check(path) == []
    kernel.stdout.close()
    assert kernel.returncode == 0
    assert check(path) == []
