"""What is deleted for good, and what stays."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nbtrack.db import DatabaseError, lent
from nbtrack.errors import CorruptDatabaseError, InvalidParameterError, NotFoundError
from nbtrack.store.maintenance import Collect, parse_age, preview
from nbtrack.tracking import Client


def alter(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        for statement in statements:
            conn.execute(statement)


def ask(path: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as conn:
        return [row[0] if len(row) == 1 else row for row in conn.execute(query)]


def tables(path: Path) -> dict[str, list[Any]]:
    """Return all that is in a file, but for signs of life."""
    names = ask(path, "SELECT name FROM sqlite_schema WHERE type = 'table'")
    return {name: ask(path, f"SELECT * FROM {name}") for name in names if name != "sessions"}


def fill(client: Client, name: str, experiment: str | None = None) -> str:
    with client.start_run(name, experiment_name=experiment) as run:
        run.log_param(f"p_{name}", name)
        run.log_param(f"p_{name}", "again")
        run.log_metrics({"m": 1.0, f"m_{name}": 2.0})
        run.log_text(f"of {name}", "own.txt")
        run.log_text("of all", "shared.txt")
    return run.run_id


@pytest.fixture
def two(client: Client) -> tuple[str, str]:
    """Return a run that stays and one in the trash."""
    ids = fill(client, "stays"), fill(client, "goes")
    client.delete_run(ids[1])
    return ids


def test_a_run_goes_with_all_that_is_its_own(client: Client, two: tuple[str, str]) -> None:
    alone = tables(client.path)
    done = client.gc()
    assert (done.run_ids, done.experiments, done.artifacts, done.blobs) == ((two[1],), (), 2, 1)
    assert not done.dry_run
    assert done.nbytes > 0
    assert ask(client.path, "PRAGMA foreign_key_check") == []
    assert ask(client.path, "SELECT name FROM sqlite_schema WHERE name GLOB 'g[co]*'") == []
    left = tables(client.path)
    for table in ("params", "tags", "metrics", "metric_chunks", "artifacts", "param_history"):
        assert 0 < len(left[table]) < len(alone[table]), table
    assert left["unsealed_runs"] == []
    run = client.get_run(two[0])
    assert run.data.params == {"p_stays": "again"}
    assert client.get_param_history(two[0], "p_stays") == ["stays", "again"]
    assert [f.path for f in client.list_artifacts(two[0])] == ["own.txt", "shared.txt"]
    with pytest.raises(NotFoundError):
        client.get_run(two[1])
    with pytest.raises(NotFoundError):
        client.log_metric(two[1], "m", 1.0)


def test_a_dry_run_counts_the_same_and_changes_nothing(
    client: Client, two: tuple[str, str]
) -> None:
    before = tables(client.path), ask(client.path, "SELECT * FROM sessions")
    would = client.gc(dry_run=True)
    assert (tables(client.path), ask(client.path, "SELECT * FROM sessions")) == before
    done = client.gc()
    assert would.dry_run
    assert would.run_ids == done.run_ids == (two[1],)
    assert (would.artifacts, would.blobs, would.nbytes) == (2, 1, done.nbytes)


def test_a_dry_run_needs_no_right_to_write(client: Client, two: tuple[str, str]) -> None:
    with closing(sqlite3.connect(client.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # and does not wait for who writes
        assert preview(client.path, Collect(lambda *_: False)).run_ids == (two[1],)
    with (
        lent(client.path) as conn,
        pytest.raises(DatabaseError),
    ):
        conn.execute("DELETE FROM runs")


def test_again_nothing_is_left(client: Client, two: tuple[str, str]) -> None:
    client.gc()
    again = client.gc()
    assert (again.run_ids, again.blobs, again.nbytes) == ((), 0, 0)
    assert again.shapes == 1  # that of its params; that of its metrics is the last of all


def test_age(client: Client, two: tuple[str, str]) -> None:
    old = fill(client, "old")
    client.delete_run(old)
    client.flush()
    alter(client.path, f"UPDATE runs SET deleted_time = deleted_time - 9e7 WHERE run_id = '{old}'")
    assert client.gc(older_than="2d", dry_run=True).run_ids == ()
    assert client.gc(older_than=timedelta(days=1)).run_ids == (old,)
    alter(client.path, "UPDATE runs SET deleted_time = NULL, end_time = 5")  # from schema 1
    assert client.gc("1000d").run_ids == (two[1],)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        (None, 0),
        ("0s", 0),
        ("30d", 30 * 86_400_000),
        ("2d8h5m20s", 201_920_000),
        ("1.5h", 5_400_000),
        (timedelta(seconds=2), 2000),
    ],
)
def test_ages(text: str | timedelta | None, ms: int) -> None:
    assert parse_age(text) == ms


@pytest.mark.parametrize(
    "bad", ["", "30", "d", "1d2", "-1d", "1..5h", "1w", "٣d", "9" * 400 + "d", timedelta(-1), 5]
)
def test_what_is_no_age(bad: Any) -> None:
    with pytest.raises(InvalidParameterError, match="is no age"):
        parse_age(bad)


def test_only_these_runs(client: Client, two: tuple[str, str]) -> None:
    other = fill(client, "other", "x")
    client.delete_experiment("1")
    assert client.gc(run_ids=[other]).run_ids == (other,)
    assert client.get_experiment("1").name == "x"  # named runs take no experiment along
    with pytest.raises(InvalidParameterError, match="not in the trash"):
        client.gc(run_ids=[two[0]])
    for unknown in ("nothing", 5, two[1][:8], "\0", "\ud83d"):
        with pytest.raises(NotFoundError):
            client.gc(run_ids=[unknown])
    with pytest.raises(InvalidParameterError, match="needs a list"):
        client.gc(run_ids=two[1])
    assert client.gc(run_ids=[]).run_ids == ()
    assert client.gc(run_ids=[two[1]]).run_ids == (two[1],)


def test_experiments(client: Client, two: tuple[str, str]) -> None:
    inside, other = fill(client, "inside", "x"), fill(client, "other", "y")
    for number in "012":
        client.delete_experiment(number)
    assert client.gc(experiment_ids=["2"]).experiments == ("y",)
    with pytest.raises(NotFoundError):
        client.get_run(other)
    assert client.get_run(inside).info.experiment_name == "x"
    done = client.gc()
    assert done.experiments == ("x",)
    assert set(done.run_ids) == {inside, *two}
    assert client.get_experiment("0").name == "Default"  # every file has it
    for bad in ("9", "x", "1; DROP TABLE runs"):
        with pytest.raises((NotFoundError, InvalidParameterError)):
            client.gc(experiment_ids=[bad])
    fill(client, "anew", "x")  # the name is free again


def test_an_experiment_with_a_run_that_stays_stays(client: Client) -> None:
    run_id = fill(client, "goes", "x")
    fill(client, "back", "x")
    client.delete_experiment("1")
    client.restore_run(client.search_runs(["1"], run_view_type="ALL")[0].info.run_id)
    done = client.gc()
    assert (done.run_ids, done.experiments) == ((run_id,), ())


def test_registered_and_running_runs_stay(client: Client) -> None:
    with client.start_run("mine") as run:
        run.log_model({"any": "object"}, "sklearn")
    client.register_model("mine", "iris")
    running = client.start_run("running")
    for run_id in (run.run_id, running.run_id):
        client.delete_run(run_id)
    done = client.gc()
    assert done.run_ids == ()
    assert [(kept.run_name, kept.reason) for kept in done.kept] == [
        ("mine", "it is version 1 of model 'iris'"),
        ("running", "it is running"),
    ]
    alter(client.path, "UPDATE model_versions SET run_id = NULL")  # its source still has the run
    assert client.gc().kept == done.kept
    assert client.load_model("models:/iris/1") == {"any": "object"}
    running.end()
    client.restore_run(run.run_id)
    assert client.gc().run_ids == (running.run_id,)
    assert len(ask(client.path, "SELECT event FROM model_events")) == 1


def test_a_run_whose_logged_model_is_registered_stays(client: Client) -> None:
    with client.start_run("mine") as run:
        run.log_model({"any": "object"}, "sklearn")
    client.register_model("mine", "iris")
    client.delete_run(run.run_id)
    ids = "(SELECT model_id FROM models)"
    for change in (f"model_id = {ids}", f"model_id = NULL, source = 'models:/' || {ids}"):
        alter(client.path, f"UPDATE model_versions SET run_id = NULL, source = 'a', {change}")
        assert [kept.run_name for kept in client.gc().kept] == ["mine"]
    alter(client.path, "UPDATE model_versions SET source = 'elsewhere'")
    assert client.gc().run_ids == (run.run_id,)


def test_what_is_known_of_a_runs_models_goes_with_it(client: Client, two: tuple[str, str]) -> None:
    for run_id in two:
        alter(
            client.path,
            "INSERT INTO models (model_id, run_id, artifact_path, flavor, model_class, size_bytes,"
            f" created_ms) VALUES ('m-{run_id}', '{run_id}', 'model', 'sklearn', 'a.B', 1, 1)",
            f"INSERT INTO logged_model_params VALUES ('m-{run_id}', 'a', '1')",
            f"INSERT INTO logged_model_tags VALUES ('m-{run_id}', 'a', '1')",
            f"INSERT INTO run_models VALUES ('{run_id}', 'm-{two[1]}', 'input', 0)",
        )
    assert client.gc().run_ids == (two[1],)
    stays = f"m-{two[0]}"
    assert ask(client.path, "SELECT model_id FROM logged_model_params") == [stays]
    assert ask(client.path, "SELECT model_id FROM logged_model_tags") == [stays]
    # That the run that stays used a model of the other one is still so.
    assert ask(client.path, "SELECT * FROM run_models") == [(two[0], f"m-{two[1]}", "input", 0)]


def test_what_nothing_refers_to(client: Client, two: tuple[str, str]) -> None:
    client.flush()
    alter(
        client.path,
        "INSERT INTO blobs (digest, size_bytes, encoding) VALUES ('sha256:lost', 3, 'raw')",
        "INSERT INTO blob_chunks VALUES ('sha256:lost', 0, x'010203')",
        "INSERT INTO blob_chunks VALUES ('sha256:nobody', 0, x'0102')",
        "INSERT INTO datasets (name, digest, source_type, schema, profile)"
        " VALUES ('d', '', 'numpy', '{}', '{}')",
        "INSERT INTO sessions SELECT 'dead', user_id, host, machine, 1, 'never', notebook,"
        " environment, 0, 0, 0, 0 FROM sessions LIMIT 1",
        "INSERT INTO cells VALUES ('sha256:a', 'a'), ('sha256:b', 'b')",
        "INSERT INTO cell_executions SELECT 'of dead', 'dead', 'sha256:a', NULL, 1, 0, 0, 'ok'",
        "INSERT INTO cell_executions SELECT 'of living', session_id, 'sha256:b', NULL, 1, 0, 0,"
        " 'ok' FROM sessions WHERE session_id <> 'dead'",
    )
    client.delete_run(two[1])
    done = client.gc(run_ids=[])
    assert (done.blobs, done.datasets, done.cells, done.nbytes) == (1, 1, 1, 5)
    assert ask(client.path, "SELECT execution_id FROM cell_executions") == ["of living"]
    assert ask(client.path, "PRAGMA foreign_key_check") == []


def test_a_dataset_that_another_run_saw_stays(client: Client) -> None:
    data = np.arange(4)
    from nbtrack.data import from_numpy

    ids = []
    for name in ("a", "b"):
        with client.start_run(name) as run:
            run.log_input(from_numpy(data), "train")
        ids.append(run.run_id)
    client.delete_run(ids[0])
    assert client.gc().datasets == 0
    client.delete_run(ids[1])
    assert client.gc().datasets == 1


def test_without_a_database(tmp_path: Path) -> None:
    client = Client(tmp_path / "none.db")
    for dry_run in (True, False):
        with pytest.raises(NotFoundError, match="There is no database"):
            client.gc(dry_run=dry_run)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_file(client: Client, two: tuple[str, str]) -> None:
    client.workspace.writer.close()
    size = client.path.stat().st_size
    with client.path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    with pytest.raises(CorruptDatabaseError):
        preview(client.path, Collect(lambda *_: False))


_KERNEL = """
import sys
from nbtrack import Client
client = Client(sys.argv[1])
print("ready", flush=True)
ids = []
for i in range(30):
    with client.start_run(f"k{i}", experiment_name="kernel") as run:
        for step in range(50):
            run.log_metric("m", step, step=step)
        run.log_text("of all", "shared.txt")
        run.log_text(f"{i}", "own.txt")
    ids.append(run.run_id)
    if i % 3 == 0:
        client.delete_run(run.run_id)
client.flush()
"""


def test_beside_a_kernel_that_writes(client: Client, two: tuple[str, str]) -> None:
    kernel = subprocess.Popen(
        [sys.executable, "-c", _KERNEL, str(client.path)], stdout=subprocess.PIPE, text=True
    )
    assert kernel.stdout is not None
    assert kernel.stdout.readline() == "ready\n"
    gone = 0
    while kernel.poll() is None:
        gone += len(client.gc().run_ids)
    kernel.stdout.close()
    assert kernel.returncode == 0
    gone += len(client.gc().run_ids)
    assert gone == 1 + 10
    runs = client.search_runs(experiment_names=["kernel"])
    assert len(runs) == 20
    for run in runs:
        assert run.data.summaries["m"].count == 50
        place = client.download_artifacts(run.info.run_id, "shared.txt")
        assert Path(place).read_text() == "of all"
    assert ask(client.path, "PRAGMA foreign_key_check") == []


def test_many_threads(client: Client) -> None:
    ids = [fill(client, f"r{i}") for i in range(8)]
    for run_id in ids:
        client.delete_run(run_id)
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.extend(client.gc().run_ids)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == sorted(ids)
