"""Finding, opening and refusing the database file; its schema."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from nbtrack import db, migrations
from nbtrack.db import (
    APPLICATION_ID,
    Reader,
    check_file,
    connect_reader,
    connect_writer,
    resolve_path,
    storable,
    translate,
)
from nbtrack.errors import (
    CorruptDatabaseError,
    ForeignDatabaseError,
    InvalidParameterError,
    NbtrackError,
    NewerSchemaError,
    NotFoundError,
    StoreError,
)

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "nbtrack.db"


@pytest.fixture
def ours(path: Path) -> Path:
    connect_writer(path).close()
    return path


# -- which file


def test_without_a_file_it_is_made_here(workdir: Path) -> None:
    assert resolve_path() == workdir / "nbtrack.db"


def test_the_nearest_file_upwards_is_taken(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = workdir / "a" / "b"
    deep.mkdir(parents=True)
    (workdir / "nbtrack.db").touch()
    monkeypatch.chdir(deep)
    assert resolve_path() == workdir / "nbtrack.db"
    (workdir / "a" / "nbtrack.db").touch()
    assert resolve_path() == workdir / "a" / "nbtrack.db"


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_not_past_the_root_of_a_repository(
    workdir: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    (workdir / "nbtrack.db").touch()
    deep = workdir / "repository" / "notebooks"
    deep.mkdir(parents=True)
    marker = workdir / "repository" / ".git"
    marker.mkdir() if kind == "folder" else marker.write_text("gitdir: elsewhere")
    monkeypatch.chdir(deep)
    assert resolve_path() == deep / "nbtrack.db"
    (workdir / "repository" / "nbtrack.db").touch()
    assert resolve_path() == workdir / "repository" / "nbtrack.db"


def test_not_past_the_home_directory(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (workdir / "nbtrack.db").touch()
    deep = workdir / "home" / "project"
    deep.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(workdir / "home"))
    monkeypatch.chdir(deep)
    assert resolve_path() == deep / "nbtrack.db"


def test_a_user_without_a_home(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    assert resolve_path() == workdir / "nbtrack.db"


def test_a_folder_of_that_name_is_no_database(
    workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (workdir / "nbtrack.db").mkdir()
    deep = workdir / "a"
    deep.mkdir()
    monkeypatch.chdir(deep)
    assert resolve_path() == deep / "nbtrack.db"


def test_forms_of_a_tracking_uri(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert resolve_path("sqlite:////data/x.db") == Path("/data/x.db")
    assert resolve_path("sqlite:///x.db") == workdir / "x.db"
    assert resolve_path("sqlite:///a%20b.db") == workdir / "a b.db"
    assert resolve_path("x.db") == workdir / "x.db"
    assert resolve_path("a%20b.db") == workdir / "a%20b.db"
    assert resolve_path("~/x.db") == Path("/home/me/x.db")
    assert resolve_path("~nobody-of-that-name/x.db") == workdir / "~nobody-of-that-name/x.db"
    assert resolve_path("a/b:c.db") == workdir / "a/b:c.db"
    assert resolve_path("//[odd/x.db") == Path("//[odd/x.db")


@pytest.mark.parametrize(
    ("uri", "scheme"),
    [
        ("http://localhost:5000", "http"),
        ("postgresql://me@host/x", "postgresql"),
        ("file:///data/x.db", "file"),
        ("sqlite://x.db", "sqlite"),
        ("http://[broken", "http"),
    ],
)
def test_other_schemes_are_refused(uri: str, scheme: str) -> None:
    with pytest.raises(
        InvalidParameterError, match=re.escape(f"{uri!r} has the scheme '{scheme}', which is not")
    ) as caught:
        resolve_path(uri)
    assert (caught.value.hint or "").startswith("Use a path, sqlite:///path, or the address of")


def test_a_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match="is a directory") as caught:
        resolve_path(str(tmp_path))
    assert caught.value.hint == f"Name the file in it, for example {tmp_path / 'nbtrack.db'}."


def test_a_nul_character_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match="has a NUL character") as caught:
        resolve_path("a\0b.db")
    assert caught.value.hint == "Use a path of a file."


# -- files that are not ours


def text_file(path: Path) -> None:
    path.write_text("x,y\n1,2\n" * 50)


def short_file(path: Path) -> None:
    path.write_text("short")


def cut_header(path: Path) -> None:
    connect_writer(path).close()
    path.write_bytes(path.read_bytes()[:60])


def other_database(path: Path) -> None:
    conn = sqlite3.connect(path)
    conn.execute("CREATE TABLE customers (name)")
    conn.execute("INSERT INTO customers VALUES ('a')")
    conn.commit()
    conn.close()


def other_database_without_tables(path: Path) -> None:
    conn = sqlite3.connect(path)
    conn.execute("PRAGMA user_version = 3")
    conn.commit()
    conn.close()


def other_application(path: Path) -> None:
    other_database(path)
    conn = sqlite3.connect(path)
    conn.execute("PRAGMA application_id = 252006673")
    conn.commit()
    conn.close()


def newer(path: Path) -> None:
    connect_writer(path).close()
    conn = sqlite3.connect(path)
    conn.execute("PRAGMA user_version = 99")
    conn.close()


_NO_SQLITE = "is no SQLite database, or is damaged"
_FOREIGN = "is an SQLite database, but not one of nbtrack's"
_NEWER = f"has schema 99; this nbtrack knows schemas up to {migrations.LATEST}"


@pytest.mark.parametrize("connect", [connect_writer, connect_reader])
@pytest.mark.parametrize(
    ("make", "error", "message", "hint"),
    [
        (text_file, CorruptDatabaseError, _NO_SQLITE, "Move it away, or choose another file"),
        (short_file, CorruptDatabaseError, _NO_SQLITE, "Move it away, or choose another file"),
        (cut_header, CorruptDatabaseError, "is damaged", "Move it away"),
        (other_database, ForeignDatabaseError, _FOREIGN, "Choose another file by NBTRACK_DB"),
        (
            other_database_without_tables,
            ForeignDatabaseError,
            _FOREIGN,
            "Choose another file by NBTRACK_DB",
        ),
        (other_application, ForeignDatabaseError, _FOREIGN, "Choose another file by NBTRACK_DB"),
        (newer, NewerSchemaError, _NEWER, "pip install --upgrade nbtrack"),
    ],
)
def test_a_file_that_is_not_ours_is_left_alone(  # noqa: PLR0917 - parametrized
    path: Path,
    connect: Callable[[Path], sqlite3.Connection],
    make: Callable[[Path], None],
    error: type[NbtrackError],
    message: str,
    hint: str,
) -> None:
    make(path)
    before = path.read_bytes()
    with pytest.raises(error, match=re.escape(message)) as caught:
        connect(path)
    assert str(path) in caught.value.message
    assert hint in (caught.value.hint or "")
    assert path.read_bytes() == before
    if make not in {newer, cut_header}:  # these may be ours, and have a log beside them
        assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_database_of_others_behind_an_empty_header_is_left_alone(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program may make its tables between the first look and the lock."""
    path.touch()
    real, looks = db._check_ours, []

    def look(conn: sqlite3.Connection, path: Path) -> int:
        version = real(conn, path)
        if not looks:
            other_database(path)
        looks.append(version)
        return version

    monkeypatch.setattr(db, "_check_ours", look)
    with pytest.raises(ForeignDatabaseError, match=re.escape(_FOREIGN)):
        connect_writer(path)
    assert looks == [0]
    conn = sqlite3.connect(path)
    tables = [row[0] for row in conn.execute("SELECT name FROM sqlite_master")]
    conn.close()
    assert tables == ["customers"]


@pytest.mark.parametrize("size", [150, 4096, 20_000])
def test_a_truncated_file(ours: Path, size: int) -> None:
    data = ours.read_bytes()[:size]
    ours.write_bytes(data)
    with pytest.raises(CorruptDatabaseError, match="is damaged"):
        Reader(ours).rows("SELECT * FROM runs JOIN models USING (run_id)")
    assert ours.read_bytes() == data


def test_an_empty_file_becomes_a_database(path: Path) -> None:
    path.touch()
    connect_writer(path).close()
    assert Reader(path).rows("SELECT name FROM experiments")[0]["name"] == "Default"


def test_a_path_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="is a file, not a folder") as caught:
        connect_writer(tmp_path / "file" / "nbtrack.db")
    assert caught.value.hint is not None
    assert "Choose another file" in caught.value.hint


def test_a_reader_makes_no_file(path: Path) -> None:
    with pytest.raises(NotFoundError, match="There is no database") as caught:
        Reader(path).rows("SELECT 1")
    assert caught.value.hint is not None
    assert "It is made by the first run" in caught.value.hint
    assert not path.exists()


def test_the_header_says_whose_file_it_is(ours: Path) -> None:
    header = ours.read_bytes()[:100]
    assert header[68:72] == APPLICATION_ID.to_bytes(4, "big") == b"nbtr"


def test_odd_names_of_files(tmp_path: Path) -> None:
    for name in ("a b.db", "50%.db", "what?.db", "a#b.db", "naïve 😀.db", "%41.db"):
        path = tmp_path / name
        connect_writer(path).close()
        assert len(Reader(path).rows("SELECT * FROM experiments")) == 1
    raw = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.db"))
    connect_writer(raw).close()
    assert len(Reader(raw).rows("SELECT * FROM experiments")) == 1


# -- two at once


def test_processes_that_make_the_file_at_once(path: Path) -> None:
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from nbtrack.db import connect_writer\n"
        "import sqlite_utils.migrations\n"
        "print('ready', flush=True)\n"
        "sys.stdin.read(1)\n"
        "for n in range(10):\n"
        "    conn = connect_writer(Path(f'{sys.argv[1]}{n}'))\n"
        "    conn.execute('INSERT INTO cells VALUES (?, ?)', (sys.argv[2], 'x'))\n"
        "    conn.close()\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(path), str(number)],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(3)
    ]
    for process in processes:
        assert process.stdout is not None
        process.stdout.readline()
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("x")
        process.stdin.flush()
    for process in processes:
        _, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (0, "")
    for number in range(10):
        rows = Reader(Path(f"{path}{number}")).rows("SELECT digest FROM cells ORDER BY 1")
        assert [row[0] for row in rows] == ["0", "1", "2"]


def test_the_first_of_two_waits_for_the_second(ours: Path) -> None:
    """The log is switched on after the schema was made: another process may write by then."""
    other = sqlite3.connect(ours, isolation_level=None, check_same_thread=False)
    other.execute("PRAGMA journal_mode = DELETE")
    other.execute("BEGIN IMMEDIATE")
    timer = threading.Timer(0.1, other.execute, ["ROLLBACK"])
    timer.start()
    conn = connect_writer(ours)
    assert conn.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    conn.close()
    timer.join()
    other.close()


def test_a_reader_waits_for_no_lock_and_never_reads_past_it(
    ours: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "BUSY_TIMEOUT_MS", 50)
    other = sqlite3.connect(ours, isolation_level=None)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    reader = Reader(ours)
    with pytest.raises(StoreError, match="is locked by another process"):
        reader.rows("SELECT * FROM cells")
    other.execute("INSERT INTO cells VALUES ('d', 's')")
    other.execute("COMMIT")
    other.close()
    # A connection made for read-only media would never see the row.
    assert len(reader.rows("SELECT * FROM cells")) == 1


def test_a_reader_on_read_only_media(ours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a CD: the log cannot be made beside the file. (Permissions do not stop root.)"""
    conn = connect_writer(ours)
    conn.execute("INSERT INTO cells VALUES ('d', 's')")
    conn.close()
    real, uris = sqlite3.connect, []

    def connect(database: str, **options: object) -> sqlite3.Connection:
        uris.append(database)
        if "immutable=1" not in database:
            error = sqlite3.OperationalError("unable to open database file")
            error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
            raise error
        return real(database, **options)  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr(sqlite3, "connect", connect)
    assert Reader(ours).rows("SELECT source FROM cells")[0][0] == "s"
    assert len(uris) == 2


def test_readers_cannot_write(ours: Path) -> None:
    with pytest.raises(StoreError, match="cannot be written: attempt to write a readonly"):
        Reader(ours).rows("DELETE FROM experiments")


def test_each_thread_reads_through_its_own_connection(ours: Path) -> None:
    reader = Reader(ours)
    seen = []

    def work() -> None:
        seen.append(reader._connection())
        assert len(reader.rows("SELECT * FROM experiments")) == 1

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
        thread.join()
    assert len({id(held) for held in seen}) == 3


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs a list of open files")
def test_connections_end_with_their_threads(ours: Path) -> None:
    reader = Reader(ours)

    def opened() -> int:
        links = (os.path.realpath(entry) for entry in Path("/proc/self/fd").iterdir())
        return sum(link.startswith(str(ours)) for link in links)

    reader.rows("SELECT 1")
    before = opened()
    for _ in range(20):
        thread = threading.Thread(target=reader.rows, args=("SELECT 1",))
        thread.start()
        thread.join()
    assert opened() <= before + 2


# -- errors and texts


@pytest.mark.parametrize(
    ("code", "kind", "message", "hint"),
    [
        (sqlite3.SQLITE_BUSY, StoreError, "is locked by another process", "by itself then"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, StoreError, "is locked by another", "by itself then"),
        (sqlite3.SQLITE_READONLY, StoreError, "cannot be written: reason", "writable folder"),
        (sqlite3.SQLITE_CANTOPEN, StoreError, "cannot be written: reason", "writable folder"),
        (sqlite3.SQLITE_FULL, StoreError, "cannot be written: reason", "Free some space"),
        (sqlite3.SQLITE_IOERR_WRITE, StoreError, "cannot be written: reason", "Free some"),
        (sqlite3.SQLITE_NOTADB, CorruptDatabaseError, "is no SQLite database", "Move it away"),
        (sqlite3.SQLITE_CORRUPT, CorruptDatabaseError, "is damaged: reason", ".recover"),
        (sqlite3.SQLITE_ERROR, StoreError, "gave an error: reason", ""),
    ],
)
def test_what_an_error_of_sqlite_means(
    path: Path, code: int, kind: type[StoreError], message: str, hint: str
) -> None:
    error = sqlite3.OperationalError("reason")
    error.sqlite_errorcode = code
    found = translate(error, path)
    assert type(found) is kind
    assert message in found.message
    assert str(path) in found.message
    assert hint in (found.hint or "")
    assert db.is_trouble(error) == (code != sqlite3.SQLITE_ERROR)


def test_our_own_errors_stay_what_they_are(path: Path) -> None:
    error = NotFoundError("x")
    assert translate(error, path) is error


def test_texts_are_made_storable() -> None:
    assert storable("plain é 😀") == "plain é 😀"
    assert storable("half \ud83d, nul \0.") == "half ?, nul \ufffd."
    assert storable("\ud83d\ude00 \ude00\ud83d") == "😀 ??"  # two halves, in their order or not


# -- schema and migrations


def test_every_table_is_described(ours: Path) -> None:
    """In .schema a reader has to find what times, NULL and digests mean."""
    tables = {
        row["name"]: row["sql"]
        for row in Reader(ours).rows("SELECT name, sql FROM sqlite_master WHERE type = 'table'")
        if not row["name"].startswith(("sqlite_", "_sqlite"))
    }
    assert len(tables) >= 16
    for name, sql in tables.items():
        assert "STRICT" in sql, name
        # A table that joins two others by what its foreign keys are called says all by that.
        assert "--" in sql or sql.count("REFERENCES") >= 1 or "value" in sql, name
    for column in ("outcome", "status", "encoding", "digest", "last", "error", "context"):
        assert any(
            re.search(rf"^\s*{column}\b.*--", sql, re.MULTILINE) for sql in tables.values()
        ), column


def test_steps_have_unique_numbers_in_order() -> None:
    numbers = [step.__name__.split("_")[1] for step in migrations.STEPS]
    assert numbers == [f"m{n + 1:03}" for n in range(len(numbers))]


def test_migrating_twice_is_harmless(ours: Path) -> None:
    conn = connect_writer(ours)
    before = conn.execute("SELECT * FROM sqlite_master").fetchall()
    conn.execute("BEGIN IMMEDIATE")
    migrations.migrate(conn)
    conn.execute("COMMIT")
    assert conn.execute("SELECT * FROM sqlite_master").fetchall() == before
    assert conn.execute("SELECT count(*) FROM experiments").fetchone() == (1,)
    conn.close()


def _half(database: object) -> None:
    database.conn.execute("CREATE TABLE half (x)")  # type: ignore[attr-defined]
    raise RuntimeError("stopped half-way")


def test_a_new_file_that_stops_half_way_is_left_empty(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS, _half))
    with pytest.raises(RuntimeError, match="half-way"):
        connect_writer(path)
    assert path.stat().st_size == 0
    monkeypatch.undo()
    connect_writer(path).close()
    assert len(Reader(path).rows("SELECT * FROM experiments")) == 1


def test_an_upgrade_that_stops_half_way_leaves_the_file_as_it_was(
    ours: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copy(ours, tmp_path / "copy.db")
    for module in (db, migrations):
        monkeypatch.setattr(module, "LATEST", migrations.LATEST + 1)
    monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS, _half))
    with pytest.raises(RuntimeError, match="half-way"):
        connect_writer(ours)
    dumps = []
    for file in (ours, copy):
        conn = sqlite3.connect(file)
        dumps.append([*conn.iterdump(), conn.execute("PRAGMA user_version").fetchone()])
        conn.close()
    assert dumps[0] == dumps[1]


def test_a_reader_upgrades_an_older_file(ours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def _m999_more(database: object) -> None:
        database.conn.execute("CREATE TABLE more (x)")  # type: ignore[attr-defined]

    latest = migrations.LATEST + 1
    for module in (db, migrations):
        monkeypatch.setattr(module, "LATEST", latest)
    monkeypatch.setattr(migrations, "STEPS", (*migrations.STEPS, _m999_more))
    reader = Reader(ours)
    assert reader.rows("SELECT * FROM more") == []
    assert reader.rows("PRAGMA user_version")[0][0] == latest


def test_settings_of_a_connection(ours: Path) -> None:
    conn = connect_writer(ours)
    values = {
        name: conn.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
    }
    conn.close()
    assert values == {
        "journal_mode": "wal",
        "synchronous": 1,
        "foreign_keys": 1,
        "busy_timeout": db.BUSY_TIMEOUT_MS,
    }


ADD_EXPERIMENT = (
    "INSERT INTO experiments (experiment_id, name, creation_time, last_update_time)"
    " VALUES (?, ?, 0, 0)"
)
SHOW = (
    "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]);"
    "print([row[0] for row in c.execute('SELECT name FROM experiments ORDER BY 1')]); c.close()"
)


def names_seen_by_another_process(path: Path) -> str:
    """Open, read and close the file elsewhere; whoever closes it last deletes its log."""
    command = [sys.executable, "-c", SHOW, str(path)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def test_looking_at_a_file_does_not_drop_our_locks(path: Path) -> None:
    writer = connect_writer(path)
    writer.execute(ADD_EXPERIMENT, (5, "earlier"))
    check_file(path)
    Reader(path).rows("SELECT 1")
    check_file(path)
    assert names_seen_by_another_process(path) == "['Default', 'earlier']"
    writer.execute(ADD_EXPERIMENT, (7, "later"))
    assert names_seen_by_another_process(path) == "['Default', 'earlier', 'later']"
    writer.close()
