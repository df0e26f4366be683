"""Copies that are whole, wherever and whenever they are made; a file that gets smaller."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections import namedtuple
from contextlib import closing
from pathlib import Path

import pytest
import sqlite_utils

from nbtrack import db, migrations
from nbtrack.errors import (
    AlreadyExistsError,
    CorruptDatabaseError,
    IntegrityError,
    InvalidParameterError,
    NotFoundError,
    StoreError,
)
from nbtrack.store.maintenance import backup, check
from nbtrack.tracking import Client

NOISE = random.Random(1).randbytes(2**20)


@pytest.fixture
def filled(client: Client, tmp_path: Path) -> Client:
    noise = tmp_path / "noise.bin"
    noise.write_bytes(NOISE)
    with client.start_run("first") as run:
        run.log_metric("m", 1.0)
        client.log_artifact(run.run_id, str(noise))
    noise.unlink()
    client.flush()
    return client


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.startswith("nbtrack.db")}


def rows(path: Path, query: str) -> list[object]:
    with closing(sqlite3.connect(path)) as conn:
        return [row[0] for row in conn.execute(query)]


def test_what_was_just_logged_is_in_the_copy(filled: Client, tmp_path: Path) -> None:
    run = filled.start_run("open")
    run.log_metric("m", 7.0)
    seen: list[tuple[int, int]] = []
    target = filled.backup(tmp_path / "copy.db", progress=lambda *at: seen.append(at))
    assert target == tmp_path / "copy.db"
    assert seen[-1][0] == seen[-1][1] == target.stat().st_size
    assert files(tmp_path) == {"copy.db"}
    copy = Client(target)
    assert copy.get_run("open").data.metrics == {"m": 7.0}
    run_id = copy.get_run("first").info.run_id
    place = copy.download_artifacts(run_id, "noise.bin", str(tmp_path))
    assert Path(place).read_bytes() == NOISE
    with copy.start_run("goes on"):
        pass
    copy.flush()
    assert check(target) == []
    copy.workspace.writer.close()
    run.end()


def test_its_mode_is_that_of_the_database(filled: Client, tmp_path: Path) -> None:
    for mode in (0o600, 0o640):
        filled.path.chmod(mode)
        target = filled.backup(tmp_path / f"{mode}.db")
        assert target.stat().st_mode & 0o777 == mode


def test_a_file_that_is_there_stays(filled: Client, tmp_path: Path) -> None:
    target = tmp_path / "notes.db"
    target.write_text("mine")
    with pytest.raises(AlreadyExistsError, match="There is a file"):
        filled.backup(target)
    assert target.read_text() == "mine"
    filled.backup(target, overwrite=True)
    assert check(target) == []
    assert files(tmp_path) == {"notes.db"}


def test_a_file_that_appears_meanwhile_stays(filled: Client, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    with pytest.raises(AlreadyExistsError):
        filled.backup(target, progress=lambda *_: target.write_text("mine") and None)
    assert target.read_text() == "mine"
    assert files(tmp_path) == {"copy.db"}


def test_links(filled: Client, tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    mine.write_text("mine")
    (tmp_path / "link.db").symlink_to(mine)
    (tmp_path / "dangling.db").symlink_to(tmp_path / "nothing")
    (tmp_path / "self.db").symlink_to(filled.path)
    for name in ("link.db", "dangling.db"):
        with pytest.raises(AlreadyExistsError):
            filled.backup(tmp_path / name)
        filled.backup(tmp_path / name, overwrite=True)
        assert not (tmp_path / name).is_symlink()
    for name in ("self.db", "nbtrack.db"):
        with pytest.raises(InvalidParameterError, match="is the database itself"):
            filled.backup(tmp_path / name, overwrite=True)
    assert mine.read_text() == "mine"


def test_a_database_that_is_in_use_is_not_replaced(filled: Client, tmp_path: Path) -> None:
    other = Client(tmp_path / "other.db")
    with other.start_run("x"):
        pass
    other.flush()
    with pytest.raises(AlreadyExistsError, match="is in use"):
        filled.backup(other.path, overwrite=True)
    other.workspace.writer.close()


@pytest.mark.parametrize("bad", ["", ".", "no/such/folder/x.db", "a\0b", "x" * 300])
def test_what_can_be_no_file(filled: Client, workdir: Path, bad: str) -> None:
    with pytest.raises((InvalidParameterError, StoreError)):
        filled.backup(bad)
    assert files(workdir) == set()


def test_without_a_database(tmp_path: Path) -> None:
    client = Client(tmp_path / "none.db")
    with pytest.raises(NotFoundError):
        client.backup(tmp_path / "copy.db")
    with pytest.raises(NotFoundError):
        client.vacuum()
    assert files(tmp_path) == set()


def test_without_room(filled: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", ["free"])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(2**20))
    with pytest.raises(StoreError, match=r"A backup of .* needs 2 MB .* 1 MB left"):
        filled.backup(tmp_path / "copy.db")
    with pytest.raises(StoreError, match=r"Vacuuming .* needs 3 MB .* 1 MB left"):
        filled.vacuum()
    assert files(tmp_path) == set()


_FULL = """
import resource, signal, sys
from pathlib import Path
from nbtrack.store.maintenance import backup
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (2**19, 2**19))
try:
    backup(Path(sys.argv[1]), Path(sys.argv[2]))
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs limits of a process")
def test_the_disk_gets_full(filled: Client, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    done = subprocess.run(
        [sys.executable, "-c", _FULL, filled.path, target],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("StoreError The database ")
    assert "cannot be written: " in done.stdout
    assert ".part" in done.stdout.splitlines()[0]
    assert files(tmp_path) == set()


def test_a_damaged_database_replaces_no_good_copy(filled: Client, tmp_path: Path) -> None:
    target = filled.backup(tmp_path / "copy.db")
    good = target.read_bytes()
    filled.workspace.writer.close()
    with closing(sqlite3.connect(filled.path)) as conn, conn:
        conn.execute("UPDATE blob_chunks SET data = zeroblob(length(data))")
    with pytest.raises(IntegrityError, match=r"it would have \d problems"):
        backup(filled.path, target, overwrite=True)
    assert target.read_bytes() == good
    backup(filled.path, target, overwrite=True, verify=False)
    assert check(target) != []
    filled.path.write_bytes(good[: len(good) // 2])
    with pytest.raises((IntegrityError, CorruptDatabaseError)):
        backup(filled.path, tmp_path / "half.db")
    filled.path.write_bytes(b"\xff" * 9000)
    with pytest.raises(CorruptDatabaseError, match=r"nbtrack\.db is no SQLite database"):
        backup(filled.path, tmp_path / "half.db")
    assert files(tmp_path) == {"copy.db"}


def test_an_old_schema_is_copied_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        migrations._m001_first(sqlite_utils.Database(conn))
        conn.execute(f"PRAGMA application_id = {db.APPLICATION_ID}")
        conn.execute("PRAGMA user_version = 1")
    Client(path).backup(tmp_path / "copy.db")
    for file in (path, tmp_path / "copy.db"):
        assert rows(file, "PRAGMA user_version") == [1]


_KERNEL = """
import os, sys
from nbtrack import Client
client = Client(sys.argv[1])
print("ready", flush=True)
for i in range(150):
    with client.start_run(f"k{i}") as run:
        for step in range(100):
            run.log_metric("m", step, step=step)
        run.log_text(os.urandom(5000).hex(), "own.txt")
client.flush()
"""


def test_beside_a_kernel_that_writes(filled: Client, tmp_path: Path) -> None:
    kernel = subprocess.Popen(
        [sys.executable, "-c", _KERNEL, os.fspath(filled.path)], stdout=subprocess.PIPE, text=True
    )
    assert kernel.stdout is not None
    assert kernel.stdout.readline() == "ready\n"
    copies: list[Path] = []
    while kernel.poll() is None:
        copies.append(filled.backup(tmp_path / f"copy{len(copies)}.db"))
    kernel.stdout.close()
    assert kernel.returncode == 0
    assert copies
    copies.append(filled.backup(tmp_path / "last.db"))
    counts = [len(rows(copy, "SELECT run_id FROM runs")) for copy in copies]
    assert counts == sorted(counts)
    assert counts[-1] == 151


# -- vacuum


def test_the_file_gets_smaller(filled: Client) -> None:
    filled.delete_run(filled.get_run("first").info.run_id)
    freed = filled.gc().nbytes
    done = filled.vacuum()
    assert done.is_done
    assert freed > 2**20
    assert done.before - done.after > 0.9 * freed
    assert filled.path.stat().st_size == done.after
    with filled.start_run("later") as run:
        run.log_metric("m", 1.0)
    filled.flush()
    assert filled.check() == []
    again = filled.vacuum()
    assert (again.before, again.is_done) == (again.after, True)


def test_somebody_writes(filled: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "BUSY_TIMEOUT_MS", 100)
    with closing(sqlite3.connect(filled.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="is locked by another process"):
            filled.vacuum()


def test_somebody_reads(filled: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "BUSY_TIMEOUT_MS", 100)
    filled.delete_run(filled.get_run("first").info.run_id)
    filled.gc()
    with closing(sqlite3.connect(filled.path, isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM runs").fetchone()
        assert not filled.vacuum().is_done
    assert filled.vacuum().is_done
    assert filled.check() == []
