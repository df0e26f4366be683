"""A merge that is killed, one beside a process that writes, and what killed processes left."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from contextlib import closing
from pathlib import Path

import pytest

from nbtrack.tracking import Client

from .archive import content, fill

needs_kill = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
MERGE = """
    import sys
    from nbtrack import Client
    print("begins", flush=True)
    Client(sys.argv[1]).merge(sys.argv[2])
    print("ends", flush=True)
"""
INTERRUPTED = """
    import sys
    from nbtrack import Client
    client = Client(sys.argv[1])
    try:
        print("begins", flush=True)
        while True:
            client.merge(sys.argv[2])
    except KeyboardInterrupt:
        print("interrupted", flush=True)
    report = client.merge(sys.argv[2])
    print(len(report.added) + report.unchanged, flush=True)
"""
WRITE = """
    import sys, time
    from nbtrack import Client
    client = Client(sys.argv[1])
    with client.start_run("beside") as run:
        print(run.run_id, flush=True)
        for step in range(100_000_000):
            run.log_metric("loss", step, step=step)
            if step == 5_000:
                client.flush()
                print("enough", flush=True)
            time.sleep(0.0001)
"""


def start(script: str, *args: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, args)],
        stdout=subprocess.PIPE,
        text=True,
    )


def make_many(path: Path, count: int) -> None:
    client = Client(path)
    for i in range(count):
        with client.start_run(f"run {i}") as run:
            run.log_params({"a": i, "b": "x" * 100})
            run.log_metrics({"loss": i / 3, "acc": 0.5})
            run.log_text(f"text {i}\n" * 500, "notes/a.txt")
    client.workspace.writer.close()


def assert_whole(path: Path, far: Path) -> int:
    """Assert that runs are there whole or not at all; return how many are there."""
    there, here = content(far), content(path)
    with closing(sqlite3.connect(path)) as conn:
        ids = [run_id for (run_id,) in conn.execute("SELECT run_id FROM runs")]
    for name in ("params", "tags", "metrics", "points", "artifacts", "runs"):
        wanted = [row for row in there[name] if any(run_id in row for run_id in ids)]
        assert here[name] == wanted
    return len(ids)


@needs_kill
@pytest.mark.parametrize("seconds", [0.0, 0.05, 0.3])
def test_a_merge_that_is_killed_goes_on_later(tmp_path: Path, seconds: float) -> None:
    far, path = tmp_path / "far.db", tmp_path / "nbtrack.db"
    make_many(far, 100)
    with start(MERGE, path, far) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begins\n"
        time.sleep(seconds)
        process.kill()
    had = 0
    if path.exists():
        with closing(sqlite3.connect(path)) as conn:
            made = conn.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        had = assert_whole(path, far) if made else 0
    client = Client(path)
    report = client.merge(far)
    assert (len(report.added), report.unchanged) == (100 - had, had)
    assert assert_whole(path, far) == 100
    assert content(path)["blobs"] == content(far)["blobs"]
    client.workspace.writer.close()


def test_beside_a_process_that_writes(tmp_path: Path) -> None:
    far, path = tmp_path / "far.db", tmp_path / "nbtrack.db"
    make_many(far, 60)
    client = Client(path)
    with start(WRITE, path) as process:
        assert process.stdout is not None
        run_id = process.stdout.readline().strip()
        assert len(client.merge(far).added) == 60
        assert process.stdout.readline() == "enough\n"
        assert client.merge(far).unchanged == 60
        process.kill()
    (series,) = client.workspace.store.metric_series([run_id], ["loss"])
    assert len(series.values) > 0
    assert list(series.steps) == list(range(len(series.values)))
    assert len(content(path)["runs"]) == 61
    client.workspace.writer.close()


@needs_kill
def test_from_a_file_that_is_written_to(client: Client, tmp_path: Path) -> None:
    far = tmp_path / "far.db"
    with start(WRITE, far) as process:
        assert process.stdout is not None
        run_id = process.stdout.readline().strip()
        assert process.stdout.readline() == "enough\n"
        lengths = []
        for _ in range(3):
            client.merge(far)
            (series,) = client.workspace.store.metric_series([run_id], ["loss"])
            assert list(series.steps) == list(range(len(series.values)))
            lengths.append(len(series.values))
            time.sleep(0.1)
        assert lengths == sorted(set(lengths))
        assert client.get_run(run_id).info.status == "RUNNING"
        process.kill()
    # What it had logged last lies in its journal: it comes along, and stays where it is.
    journals = list(tmp_path.glob("far.db-pending-*"))
    assert len(journals) == 1
    assert client.merge(far).problems == []
    (series,) = client.workspace.store.metric_series([run_id], ["loss"])
    assert len(series.values) > lengths[-1]
    assert list(series.steps) == list(range(len(series.values)))
    assert list(tmp_path.glob("far.db-pending-*")) == journals
    assert client.get_run(run_id).info.status == "KILLED"
    home = Client(far)
    home.flush()
    assert client.merge(far).conflicts == []
    assert content(client.path)["points"] == content(far)["points"]
    home.workspace.writer.close()


def test_what_this_process_has_not_committed_yet_comes_along(
    client: Client, tmp_path: Path
) -> None:
    far = Client(tmp_path / "far.db")
    run_id = fill(far)
    far.log_metric(run_id, "last", 7.0)
    client.merge(far.path)
    assert client.get_run(run_id).data.metrics["last"] == 7.0
    far.workspace.writer.close()


@needs_kill
@pytest.mark.parametrize("seconds", [0.02, 0.1, 0.3])
def test_a_merge_that_is_interrupted_leaves_a_client_that_goes_on(
    tmp_path: Path, seconds: float
) -> None:
    far, path = tmp_path / "far.db", tmp_path / "nbtrack.db"
    make_many(far, 300)
    with start(INTERRUPTED, path, far) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begins\n"
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "interrupted\n"
        assert process.stdout.readline() == "300\n"
    assert process.returncode == 0
    assert assert_whole(path, far) == 300
