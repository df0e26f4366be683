"""A database on another machine: no shared memory there, so no write-ahead log and no journal."""

from __future__ import annotations

from pathlib import Path

import pytest

from nbtrack import db
from nbtrack.db import Reader, is_network_folder
from nbtrack.store import SqliteStore, journal_file
from nbtrack.types import RunQuery

from .journaling import begin, dead, make_writer, pending, query

RUN = "a" * 32
LINE = "36 35 98:0 / {} rw,noatime shared:1 - {} source rw\n"


@pytest.fixture
def mounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a file that the system's table of mounts is read from."""
    file = tmp_path / "mountinfo"
    file.write_text(LINE.format("/", "ext4"))
    monkeypatch.setattr(db, "_MOUNTS", file)
    return file


@pytest.fixture
def share(tmp_path: Path, mounts: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder on another machine."""
    folder = tmp_path / "share"
    folder.mkdir()
    with mounts.open("a") as file:
        file.write(LINE.format(folder, "nfs4"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return folder


@pytest.mark.parametrize(
    ("lines", "is_network"),
    [
        ([("/", "ext4")], False),
        ([("/", "nfs")], True),
        ([("{}", "cifs")], True),
        ([("{}", "cifs"), ("{}", "ext4")], False),  # mounted over it, later
        ([("{}", "ext4"), ("{}", "fuse.sshfs")], True),
        ([("{}-other", "nfs4")], False),
        ([("{}/below", "nfs4")], False),
        ([("{}", "fuse.gcsfuse")], True),
        ([("{}", "overlay"), ("{}", "tmpfs")], False),
    ],
)
def test_which_folders_are_on_another_machine(
    tmp_path: Path, mounts: Path, lines: list[tuple[str, str]], is_network: bool
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    mounts.write_text("".join(LINE.format(at.format(folder), kind) for at, kind in lines))
    assert is_network_folder(folder) == is_network
    link = tmp_path / "link"
    link.symlink_to(folder)
    assert is_network_folder(link) == is_network


@pytest.mark.parametrize("name", ["with blank", "josé 😀", "back\\slash", "tab\tbed", "#hash"])
def test_odd_names_of_mounts(tmp_path: Path, mounts: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    escaped = "".join(f"\\{ord(c):03o}" if c in " \t\n\\#" else c for c in str(folder))
    mounts.write_text(LINE.format(escaped, "nfs4"))
    assert is_network_folder(folder)


@pytest.mark.parametrize(
    "table", [b"", b"\n", b"rubbish\n", b"1 2 3\n", b"36 35 98:0 / /mnt/\xff\xfe rw - nfs4 x rw\n"]
)
def test_a_table_of_any_kind_is_read(tmp_path: Path, mounts: Path, table: bytes) -> None:
    mounts.write_bytes(table)
    assert not is_network_folder(tmp_path)


def test_a_system_without_such_a_table(tmp_path: Path, mounts: Path) -> None:
    mounts.unlink()
    assert not is_network_folder(tmp_path)


def test_a_database_on_another_machine(share: Path, tmp_path: Path) -> None:
    path = share / "nbtrack.db"
    told: list[str] = []
    writer = make_writer(path, told.append)
    store = SqliteStore(writer, Reader(path), dead)
    store.create_run(begin(RUN).run)
    for step in range(100):
        store.log_metric(RUN, "m", 1.0, step, step)
    writer.flush()
    assert pending(path) == []
    journal = writer.journal.path
    assert journal is not None
    assert journal.is_relative_to(tmp_path / "state")
    assert journal.stat().st_mode & 0o777 == 0o600
    assert journal.parent.stat().st_mode & 0o777 == 0o700
    assert writer._conn is not None
    assert writer._conn.execute("PRAGMA journal_mode").fetchone() == ("truncate",)
    assert not path.with_name("nbtrack.db-wal").exists()
    assert [run.info.run_id for run in store.search_runs(RunQuery())] == [RUN]
    assert len(told) == 1
    assert told[0].startswith(f"The database {path} is on another machine")
    assert "hint: Keep it on a disk of this machine" in told[0]
    writer.close()
    assert not journal.exists()
    assert query(path, "SELECT count FROM metrics") == [(100,)]


def test_a_database_that_was_moved_to_another_machine(share: Path, tmp_path: Path) -> None:
    local = tmp_path / "nbtrack.db"
    told: list[str] = []
    writer = make_writer(local, told.append)
    writer.submit(begin(RUN))
    writer.close()
    assert told == []
    path = local.rename(share / "nbtrack.db")
    writer = make_writer(path, told.append)
    writer.submit(begin("b" * 32))
    writer.flush()
    assert writer._conn is not None
    assert writer._conn.execute("PRAGMA journal_mode").fetchone() == ("truncate",)
    writer.close()
    assert query(path, "SELECT count(*) FROM runs") == [(2,)]


def test_a_process_that_died_on_another_machine_is_recovered(share: Path) -> None:
    path = share / "nbtrack.db"
    told: list[str] = []
    first = make_writer(path, told.append)
    first.submit(begin(RUN))
    first.flush()
    first.journal.add_point(RUN, "m", 1.0, 0, 0)
    (folder,) = journal_file.pending_folders(path)
    assert len(list(folder.iterdir())) == 1
    first.journal.forget()  # as if it was killed
    second = make_writer(path, told.append, is_alive=dead)
    second.submit(begin("b" * 32))
    second.flush()
    assert list(folder.iterdir()) == [second.journal.path]
    second.close()
    first.close()
    assert query(path, "SELECT count FROM metrics") == [(1,)]
