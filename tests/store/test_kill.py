"""Processes that are killed at any moment: what a call has returned from is there, once."""

from __future__ import annotations

import os
import random
import select
import signal
import sqlite3
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nbtrack.store import journal_file

from .journaling import (
    assert_intact,
    pending,
    query,
    run_script,
    start_script,
    steps_of,
)

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")

FEW = """
    import sys
    from nbtrack.store import journal, journal_file
    if sys.argv[2:] == ["few"]:  # few slots and little room: what happens seldom happens here
        journal_file.SLOTS = 16
        end = journal_file.SLOTS_AT + 16 * journal_file.SLOT.size
        journal.FRAMES_AT = journal_file.FRAMES_AT = end
        journal._SHRINK_BYTES = 20_000
"""
# Each line is a call that has returned. The pipe is the system's: what was written survives.
CHILD = """
    import os, random, sys
    from pathlib import Path
    from nbtrack import Client
    from nbtrack.models import Snapshot
    from nbtrack.tracking.modelfiles import ModelFiles
    generator = random.Random(os.getpid())
    client = Client(Path(sys.argv[1]))
    workspace = client.workspace
    def returned(*what):
        os.write(1, (" ".join(map(str, what)) + "\\n").encode())
    run = client.start_run("doomed")
    returned("run", run.run_id)
    i = 0
    while True:
        i += 1
        what = generator.choice(["points"] * 6 + ["param", "tag", "files", "model", "flush"])
        if what == "points":
            key = generator.choice("abc")
            for _ in range(generator.choice([1, 3, 100])):
                i += 1
                workspace.store.log_metric(run.run_id, key, float(i), i, i)
                returned("point", key, i)
        elif what == "param":
            run.log_param(f"p{i}", i)
            returned("param", f"p{i}")
        elif what == "tag":
            run.set_tag(f"t{i}", i)
            returned("tag", f"t{i}")
        elif what == "files":
            workspace.artifacts.put(run.run_id, {f"f{i}": generator.randbytes(3_000)})
            returned("file", f"f{i}")
        elif what == "model":
            files = {"model.pkl": generator.randbytes(5_000)}
            snapshot = Snapshot("sklearn", "a.B", files, {}, {}, ())
            workspace.writer.submit(ModelFiles(snapshot, run.run_id, f"m{i}", f"{i:032x}"))
            returned("file", f"m{i}/model.pkl")
        elif i % 7 == 0:
            try:
                client.flush(0.05)
            except Exception:
                pass
"""
# A process of its own: this one's id lives, and so do the sessions of its children's parents.
NEXT = """
    import sys, warnings
    warnings.simplefilter("error")
    from nbtrack import Client
    print(*(run.info.status for run in Client(sys.argv[1]).search_runs(max_results=99)))
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "nbtrack.db"


@contextmanager
def doomed(path: Path, *few: str, patch: str = "") -> Iterator[subprocess.Popen[str]]:
    process = start_script(FEW + patch + CHILD, path, *few)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def kill_after(
    process: subprocess.Popen[str], seconds: float, *, lines: int = 0
) -> list[list[str]]:
    """Kill a process some time after its first call has returned; return what it reported.

    Not before it has reported so many `lines`, which takes a busy machine longer.
    """
    assert process.stdout is not None
    pipe = process.stdout.fileno()
    chunks = [os.read(pipe, 1 << 20)]
    assert chunks[0], process.stderr and process.stderr.read()
    end = time.monotonic() + seconds
    last = end + 60
    while time.monotonic() < (end if b"".join(chunks).count(b"\n") >= lines else last):
        if select.select([pipe], [], [], 0.002)[0]:  # a full pipe would hold the child
            chunks.append(os.read(pipe, 1 << 20))
    process.kill()
    while more := os.read(pipe, 1 << 20):
        chunks.append(more)
    process.wait()
    return [line.split() for line in b"".join(chunks).decode().splitlines()]


def status_next(path: Path, *few: str) -> list[str]:
    """Open the database as the next process does; return the statuses of its runs."""
    return run_script(FEW + NEXT, path, *few).split()


def assert_all_there(path: Path, reported: list[list[str]], statuses: list[str]) -> None:
    """Compare what the next process finds with what was reported."""
    assert set(statuses) == {"KILLED"}
    assert pending(path) == []
    assert_intact(path)
    run_id = reported[0][1]
    assert query(path, "SELECT status FROM runs WHERE run_id = ?", run_id) == [("KILLED",)]
    found: defaultdict[str, set[str]] = defaultdict(set)
    points: defaultdict[str, list[int]] = defaultdict(list)
    for what, *rest in reported[1:]:
        if what == "point":
            points[rest[0]].append(int(rest[1]))
        else:
            found[what].add(rest[0])
    for key, expected in points.items():
        # One more may be there: it was put in, and the process died before it said so.
        stored = steps_of(path, run_id, key)
        assert stored[: len(expected)] == expected
        assert len(stored) <= len(expected) + 1
        assert len(set(stored)) == len(stored)
    for what, sql in (
        ("param", "SELECT key FROM params"),
        ("tag", "SELECT key FROM tags"),
        ("file", "SELECT path FROM artifacts"),
    ):
        assert found[what] <= {row[0] for row in query(path, sql)}


@pytest.mark.parametrize("few", [[], ["few"]])
@pytest.mark.parametrize("seed", range(4))
def test_killed_while_the_database_takes_everything(path: Path, seed: int, few: list[str]) -> None:
    with doomed(path, *few) as process:
        reported = kill_after(process, random.Random(seed).uniform(0, 0.6))
    assert_all_there(path, reported, status_next(path, *few))


def test_killed_one_after_the_other(path: Path) -> None:
    """Each opens what the one before has left, and is killed as well, perhaps while at that."""
    reports = []
    for i in range(4):
        with doomed(path, "few") as process:
            reports.append(kill_after(process, 0.05 * i))
    statuses = status_next(path, "few")
    assert len(statuses) == 4
    for reported in reports:
        only = [line for line in reported if line[0] in {"run", "point"}]
        assert_all_there(path, only, statuses)


@pytest.mark.parametrize("few", [[], ["few"]])
def test_killed_while_others_hold_the_database(path: Path, few: list[str]) -> None:
    """Nothing was ever committed."""
    conn = sqlite3.connect(path, isolation_level=None)
    conn.execute("BEGIN EXCLUSIVE")
    with doomed(path, *few) as process:
        reported = kill_after(process, 0.3, lines=101)
    conn.execute("ROLLBACK")
    conn.close()
    assert path.stat().st_size == 0
    assert len(pending(path)) == 1
    assert len(reported) > 100
    assert_all_there(path, reported, status_next(path, *few))


def in_own_folder(path: Path, tmp_path: Path) -> list[Path]:
    """Return the journals of a database in the user's own folder."""
    (folder,) = [
        place for place in journal_file.pending_folders(path) if not path.is_relative_to(place)
    ][-1:]
    assert folder.is_relative_to(tmp_path / "state")
    return list(folder.glob("*"))


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.mark.usefixtures("state")
def test_killed_while_there_is_no_folder(tmp_path: Path) -> None:
    path = tmp_path / "later" / "nbtrack.db"
    with doomed(path) as process:
        reported = kill_after(process, 0.2)
    assert not path.parent.exists()
    assert len(in_own_folder(path, tmp_path)) == 1
    path.parent.mkdir()
    assert_all_there(path, reported, status_next(path))
    assert in_own_folder(path, tmp_path) == []


@pytest.mark.usefixtures("state")
def test_killed_beside_a_folder_that_cannot_be_written(path: Path, tmp_path: Path) -> None:
    """Permissions do not stop root: `os.open` refuses here."""
    refuse = """
    import os
    real = os.open
    def refuse(name, flags, *rest, **options):
        if flags & os.O_CREAT and os.path.dirname(name) == os.path.dirname(sys.argv[1]):
            raise PermissionError(13, "Permission denied")
        return real(name, flags, *rest, **options)
    os.open = refuse
"""
    with doomed(path, patch=refuse) as process:
        reported = kill_after(process, 0.2)
    assert pending(path) == []
    assert len(in_own_folder(path, tmp_path)) == 1
    assert_all_there(path, reported, status_next(path))
    assert in_own_folder(path, tmp_path) == []


def at_exit(script: str, path: Path, **options: str) -> str:
    """Run a script whose end is told about on the standard error."""
    process = start_script(script, path, **options)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return err


LAST = """
    import sys
    from nbtrack import Client
    from nbtrack import db
    from nbtrack.store import writer
    db.BUSY_TIMEOUT_MS = 50
    writer._RETRY_S = (0.02, 0.05)
    client = Client(sys.argv[1])
    run = client.start_run("last")
    for step in range(1000):
        run.log_metric("m", step, step)
    run.end()
"""


@pytest.mark.parametrize("how", ["locked", "no folder", "no database"])
def test_what_an_unwritable_database_did_not_take_waits_for_the_next_one(
    path: Path, how: str, state: Path
) -> None:
    undo: Callable[[], object]
    if how == "locked":
        conn = sqlite3.connect(path, isolation_level=None)
        conn.execute("BEGIN EXCLUSIVE")
        undo = conn.close
    elif how == "no folder":
        path = path.parent / "later" / "nbtrack.db"
        undo = path.parent.mkdir
    else:
        path.write_text("my notes, for more than a hundred characters " * 5)
        undo = path.unlink
    told = at_exit(LAST, path)
    (kept,) = [*pending(path), *state.glob("nbtrack/pending/*/*")]
    assert f"What was logged waits in {kept}, and is stored when the database is opened" in told
    undo()
    assert status_next(path) == ["FINISHED"]
    assert not kept.exists()
    run_id = query(path, "SELECT run_id FROM runs")[0][0]
    assert steps_of(path, run_id, "m") == list(range(1000))
    assert_intact(path)


def test_a_stopped_process_is_no_dead_one(path: Path) -> None:
    with doomed(path) as process:
        assert process.stdout is not None
        assert os.read(process.stdout.fileno(), 1)
        os.kill(process.pid, signal.SIGSTOP)
        assert set(status_next(path)) <= {"RUNNING"}
        assert len(pending(path)) == 1
        os.kill(process.pid, signal.SIGCONT)
        reported = kill_after(process, 0.1)
    assert status_next(path) == ["KILLED"]
    assert len(reported) > 2
    assert pending(path) == []
