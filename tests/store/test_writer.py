"""The writer thread: order, trouble with the file, fork, death and many processes."""

from __future__ import annotations

import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from nbtrack import db, packing
from nbtrack.db import Connection, Fields, Loggable, connect_writer
from nbtrack.errors import CorruptDatabaseError, NotFoundError, StoreError
from nbtrack.settings import settings
from nbtrack.store import writer as module
from nbtrack.store.journal_file import FRAMES_AT
from nbtrack.store.writer import Writer

from .journaling import (
    assert_intact,
    begin,
    make_writer,
    pending,
    run_script,
    start_script,
    steps_of,
)

SHORT_BUSY_MS = 50


@dataclass(frozen=True)
class Row(Loggable):
    """A record that adds a row, returns its number, or fails."""

    number: int
    nbytes: int = 0
    fails: str = ""

    @property
    def blobs(self) -> list[bytes]:
        return [bytes(self.nbytes)]

    def pack(self) -> Fields:
        return [self.number, self.nbytes, self.fails]

    @classmethod
    def unpack(cls, fields: Fields, blobs: Sequence[bytes]) -> Row:
        return cls(*fields)

    def apply(self, conn: Connection) -> int:
        conn.execute("CREATE TABLE IF NOT EXISTS rows (number INTEGER)")
        conn.execute("INSERT INTO rows VALUES (?)", (self.number,))
        if self.fails:
            raise NotFoundError(self.fails)
        return self.number


@dataclass(frozen=True)
class Big(Row):
    """A row that takes some pages."""

    def apply(self, conn: Connection) -> int:
        conn.execute("CREATE TABLE IF NOT EXISTS filler (data BLOB)")
        conn.execute("INSERT INTO filler VALUES (zeroblob(5000))")
        return super().apply(conn)


KINDS = {"row": Row, "big": Big}


def on_open(monkeypatch: pytest.MonkeyPatch, act: Callable[[Connection], object]) -> None:
    """Do something with each connection that a writer opens."""

    def connect(path: Path) -> Connection:
        conn = connect_writer(path)
        act(conn)
        return conn

    monkeypatch.setattr(module, "connect_writer", connect)


def rows(path: Path) -> list[int]:
    conn = sqlite3.connect(path)
    try:
        return [row[0] for row in conn.execute("SELECT number FROM rows ORDER BY rowid")]
    finally:
        conn.close()


def wait_for(condition: Callable[[], bool], timeout: float = 10.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.01)


class Told(list[str]):
    """What the user is told."""


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "nbtrack.db"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make waiting for a locked file, and trying again, quick."""
    monkeypatch.setattr(db, "BUSY_TIMEOUT_MS", SHORT_BUSY_MS)
    monkeypatch.setattr(module, "_RETRY_S", (0.02, 0.05))


@pytest.fixture
def make(path: Path, told: Told) -> Iterator[Callable[..., Writer]]:
    made = []

    def _make(**options: Any) -> Writer:
        writer = make_writer(path, told.append, KINDS, **options)
        made.append(writer)
        return writer

    yield _make
    for writer in made:
        writer.close(1)


@pytest.fixture
def writer(make: Callable[..., Writer]) -> Writer:
    return make()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the file as another program might."""
    conn = sqlite3.connect(path, isolation_level=None)
    conn.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        conn.execute("ROLLBACK")
        conn.close()


# -- order, batches, answers


def test_nothing_is_made_before_the_first_record(writer: Writer, path: Path) -> None:
    writer.flush()
    assert not path.exists()
    writer.submit(Row(1))
    writer.flush()
    assert rows(path) == [1]


def test_order_is_kept_over_batches(
    writer: Writer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_BATCH", 7)
    for number in range(100):
        writer.submit(Row(number))
    assert writer.call(Row(100)) == 100
    assert rows(path) == list(range(101))


def test_records_are_committed_together_and_soon(
    writer: Writer, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements: list[str] = []
    on_open(monkeypatch, lambda conn: conn.set_trace_callback(statements.append))
    for number in range(500):
        writer.submit(Row(number))
    wait_for(lambda: path.exists() and "COMMIT" in statements)
    writer.flush()
    assert statements.count("COMMIT") <= 3
    assert rows(path) == list(range(500))


def test_nothing_is_committed_while_nothing_comes(
    writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    statements: list[str] = []
    on_open(monkeypatch, lambda conn: conn.set_trace_callback(statements.append))
    for number in range(3):
        writer.submit(Row(number))
        writer.flush()
    writer.hurry()
    time.sleep(0.3)
    assert statements.count("COMMIT") == 3


def test_call_raises_what_the_record_raises(writer: Writer, path: Path, told: Told) -> None:
    with pytest.raises(NotFoundError, match="There is no such thing"):
        writer.call(Row(1, fails="There is no such thing."))
    assert writer.call(Row(2)) == 2
    assert rows(path) == [2]
    assert told == []


def test_a_bad_record_spoils_nothing_else(writer: Writer, path: Path, told: Told) -> None:
    for number in range(10):
        writer.submit(Row(number, fails="odd" if number % 2 else ""))
    writer.flush()
    assert rows(path) == [0, 2, 4, 6, 8]
    assert told == ["A record could not be stored and was left out (row: odd)."]


def test_a_record_that_cannot_be_kept_is_told(writer: Writer, path: Path, told: Told) -> None:
    writer.submit(Row(object()))  # type: ignore[arg-type]
    writer.submit(Row(1))
    writer.flush()
    assert rows(path) == [1]
    assert len(told) == 1
    assert "was left out (row: Object of type object is not JSON" in told[0]


def test_flush_says_when_it_took_too_long(writer: Writer, monkeypatch: pytest.MonkeyPatch) -> None:
    hold = threading.Event()
    on_open(monkeypatch, lambda _: hold.wait(10))
    writer.submit(Row(1))
    with pytest.raises(StoreError, match=r"could not be written within 0\.05 s") as caught:
        writer.flush(0.05)
    assert caught.value.hint == (
        "The records stay in the journal; writing goes on in the background."
    )
    hold.set()
    writer.flush()


def test_close_drains_and_may_be_repeated(writer: Writer, path: Path, told: Told) -> None:
    for number in range(50):
        writer.submit(Row(number))
    writer.close()
    writer.close()
    assert rows(path) == list(range(50))
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert told == []


def test_a_closed_writer_says_what_it_does_not_take(writer: Writer, path: Path, told: Told) -> None:
    writer.submit(Row(1))
    writer.close()
    writer.submit(Row(2))
    writer.submit(Row(3))
    writer.flush(1)
    with pytest.raises(StoreError, match="was closed"):
        writer.call(Row(4))
    assert told == [f"The database {path} was closed: later records are lost."]
    assert rows(path) == [1]


# -- trouble with the file


def median_and_longest(act: Callable[[int], object], count: int) -> tuple[float, float]:
    taken = []
    for number in range(count):
        begun = time.perf_counter()
        act(number)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken), max(taken)


def test_a_locked_file_delays_the_writer_only(
    writer: Writer, path: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As for half a minute; here everything is shorter, and calls are compared with calls."""
    busy_s = 0.5
    monkeypatch.setattr(db, "BUSY_TIMEOUT_MS", int(busy_s * 1000))
    monkeypatch.setattr(module, "_RETRY_S", (0.02, 0.05))
    usual, _ = median_and_longest(lambda number: writer.submit(Row(number)), 300)
    writer.submit(begin("a" * 32))
    point, _ = median_and_longest(lambda i: writer.add_point("a" * 32, "m", 1.0, i, 0), 5_000)
    writer.flush()
    with locked(path):
        locked_point, longest_point = median_and_longest(
            lambda i: writer.add_point("a" * 32, "m", 1.0, 5_000 + i, 0), 100_000
        )
        locked_usual, longest = median_and_longest(
            lambda number: writer.submit(Row(300 + number)), 300
        )
        wait_for(lambda: bool(told))
        with pytest.raises(StoreError, match="is locked by another process"):
            writer.flush(1)
        with pytest.raises(StoreError, match="is locked by another process") as caught:
            writer.call(Row(-1))  # taken back: an answer that came later would surprise
        assert caught.value.hint is not None
        assert "by itself" in caught.value.hint
        assert writer.journal._memory_bytes == 0  # what waits, waits in a file
    assert locked_usual < 10 * usual
    assert locked_point < 10 * point
    assert max(longest, longest_point) < busy_s  # nobody waited for the lock
    wait_for(lambda: not writer.journal.waiting)
    assert rows(path) == list(range(600))
    assert steps_of(path, "a" * 32, "m") == list(range(105_000))
    assert len(told) == 1
    assert "is locked by another process. Training goes on; what is tracked waits" in told[0]


@pytest.mark.usefixtures("quick")
def test_a_file_that_is_no_database(writer: Writer, path: Path, told: Told) -> None:
    path.write_text("my notes, for more than a hundred characters " * 5)
    before = path.read_bytes()
    writer.submit(Row(1))
    with pytest.raises(CorruptDatabaseError, match="is no SQLite database, or is damaged"):
        writer.flush()
    assert len(told) == 1
    assert path.read_bytes() == before
    path.unlink()
    wait_for(lambda: not writer.journal.waiting)
    assert rows(path) == [1]


@pytest.mark.usefixtures("quick")
def test_a_file_that_was_damaged(path: Path, make: Callable[..., Writer], told: Told) -> None:
    first = make()
    first.submit(Row(1))
    first.close()
    data = bytearray(path.read_bytes())
    data[100:8192] = b"\xff" * 8092
    path.write_bytes(data)
    writer = make()
    writer.submit(Row(2))
    with pytest.raises(CorruptDatabaseError, match="is damaged") as caught:
        writer.flush()
    assert caught.value.hint is not None
    assert ".recover" in caught.value.hint
    assert path.read_bytes() == data


@pytest.mark.usefixtures("quick")
def test_a_folder_that_is_not_there(tmp_path: Path, told: Told) -> None:
    folder = tmp_path / "later"
    writer = make_writer(folder / "nbtrack.db", told.append, KINDS)
    writer.submit(Row(1))
    with pytest.raises(StoreError, match=r"The directory of the database .* does not exist") as e:
        writer.flush()
    assert e.value.hint == f"Make it: mkdir -p {folder}"
    folder.mkdir()
    wait_for(lambda: not writer.journal.waiting)
    writer.close()
    assert rows(folder / "nbtrack.db") == [1]
    assert len(told) == 1


@pytest.mark.usefixtures("quick")
def test_a_folder_that_is_a_file(tmp_path: Path, told: Told) -> None:
    (tmp_path / "file").write_text("")
    writer = make_writer(tmp_path / "file" / "nbtrack.db", told.append, KINDS)
    writer.submit(Row(1))
    with pytest.raises(StoreError, match="is a file, not a folder"):
        writer.flush()
    writer.close(0.1)
    assert "What was logged waits in " in told[-1]


@pytest.mark.usefixtures("quick")
def test_a_full_disk(
    writer: Writer, path: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    conns: list[Connection] = []

    def limit(conn: Connection) -> None:
        pages = conn.execute("PRAGMA page_count").fetchone()[0]
        conn.execute(f"PRAGMA max_page_count = {pages + 4}")
        conns.append(conn)

    on_open(monkeypatch, limit)
    for number in range(20):
        writer.submit(Big(number))
    with pytest.raises(StoreError, match="cannot be written: database or disk is full") as caught:
        writer.flush()
    assert caught.value.hint is not None
    assert "Free some space" in caught.value.hint
    conns[0].execute("PRAGMA max_page_count = 1000000")
    wait_for(lambda: not writer.journal.waiting)
    assert rows(path) == list(range(20))
    assert len(told) == 1


@pytest.mark.usefixtures("quick")
def test_a_file_that_cannot_be_written(
    writer: Writer, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    readonly = True

    def connect(path: Path) -> Connection:
        conn = connect_writer(path)
        conn.execute(f"PRAGMA query_only = {int(readonly)}")
        return conn

    monkeypatch.setattr(module, "connect_writer", connect)
    writer.submit(Row(1))
    with pytest.raises(StoreError, match="cannot be written: attempt to write a readonly") as e:
        writer.flush()
    assert e.value.hint is not None
    assert "writable folder" in e.value.hint
    readonly = False
    wait_for(lambda: not writer.journal.waiting)
    assert len(told) == 1


@pytest.mark.parametrize("how", ["deleted", "moved", "replaced"])
def test_a_file_that_goes_away_under_us(
    writer: Writer, path: Path, tmp_path: Path, told: Told, how: str
) -> None:
    writer.submit(Row(1))
    writer.flush()
    reader = db.Reader(path)
    assert reader.rows("SELECT number FROM rows")[0][0] == 1
    if how == "replaced":
        other = tmp_path / "other.db"
        second = make_writer(other, told.append, KINDS)
        second.submit(Row(7))
        second.close()
        other.replace(path)
    elif how == "moved":
        path.rename(tmp_path / "moved.db")
    else:
        path.unlink()
    writer.submit(Row(2))
    writer.flush()
    expected = [7, 2] if how == "replaced" else [2]
    assert [row[0] for row in reader.rows("SELECT number FROM rows")] == expected
    assert rows(path) == expected
    assert_intact(path)
    if how == "moved":
        assert rows(tmp_path / "moved.db") == [1]
    assert told == []


@pytest.mark.usefixtures("quick")
def test_records_that_fill_the_memory(
    make: Callable[..., Writer], path: Path, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "max_pending_mb", 1)
    writer = make()
    writer.submit(Row(0))
    writer.flush()
    with locked(path):
        writer.submit(Row(1, nbytes=600_000))
        wait_for(lambda: bool(told))
        for number in range(2, 6):
            writer.submit(Row(number, nbytes=600_000))
        with pytest.raises(StoreError, match="is locked"):
            writer.call(Row(9, nbytes=600_000))
    assert writer.journal._memory_bytes == 0  # what waits, waits in a file
    (kept,) = pending(path)
    assert kept.stat().st_size < FRAMES_AT + 2**20
    settings.reset("max_pending_mb")
    wait_for(lambda: not writer.journal.waiting)
    assert rows(path) == [0, 1]
    assert len(told) == 2
    assert "fill 1 MB: further records are lost until it can" in told[1]
    writer.submit(Row(6, nbytes=600_000))
    writer.flush()
    assert rows(path) == [0, 1, 6]


# -- fork


def in_child(work: Callable[[], None]) -> int:
    """Run a function in a forked child and return its exit status."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
# Python 3.12 and later warn of every fork of a process with threads: ours has some.
forks = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


@needs_fork
@forks
def test_child_logs_its_own_rows_only(writer: Writer, path: Path) -> None:
    writer.submit(Row(0))
    writer.flush()
    with locked(path):
        writer.submit(Row(1))  # still queued when the fork happens

        def work() -> None:
            assert writer.journal.waiting == 0

        assert in_child(work) == 0

    def log() -> None:
        writer.submit(Row(100))
        writer.flush()

    assert in_child(log) == 0
    writer.submit(Row(2))
    writer.flush()
    assert sorted(rows(path)) == [0, 1, 2, 100]
    assert_intact(path)


@needs_fork
@forks
def test_child_has_a_journal_and_a_session_of_its_own(writer: Writer, path: Path) -> None:
    writer.submit(begin("a" * 32))
    writer.flush()
    with locked(path):
        for step in range(1_000):
            writer.add_point("a" * 32, "m", 1.0, step, 0)
        (own,) = pending(path)
        before = own.read_bytes()
        ready = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                for step in range(1_000, 1_500):
                    writer.add_point("a" * 32, "m", 1.0, step, 0)
                writer.submit(Row(1))
                os.write(ready[1], str(writer.journal.path).encode())
                time.sleep(60)
            finally:
                os._exit(1)
        of_child = Path(os.read(ready[0], 1000).decode())
        assert sorted(pending(path)) == sorted([own, of_child])
        assert own.read_bytes() == before
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    for end in ready:
        os.close(end)
    writer.flush()
    writer.close()
    second = make_writer(path, pytest.fail, KINDS)
    second.flush()  # what the child left is brought in by the next one
    second.close()
    assert steps_of(path, "a" * 32, "m") == list(range(1_500))
    assert rows(path) == [1]
    assert pending(path) == []
    assert_intact(path)


@needs_fork
@forks
def test_child_outlives_the_parents_connections(writer: Writer, path: Path) -> None:
    """A lock is not inherited: the parent must not take the log away from under its child."""
    reader = db.Reader(path)
    writer.submit(Row(0))
    writer.flush()
    assert len(reader.rows("SELECT number FROM rows")) == 1
    ready, go = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            writer.submit(Row(1))
            writer.flush()
            os.write(ready[1], b"x")
            os.read(go[0], 1)
            writer.submit(Row(2))
            writer.flush()
            assert len(reader.rows("SELECT number FROM rows")) == 3
            status = 0
        finally:
            os._exit(status)
    os.read(ready[0], 1)
    writer.close()
    del reader
    os.write(go[1], b"x")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    for end in (*ready, *go):
        os.close(end)
    assert rows(path) == [0, 1, 2]
    assert_intact(path)


@needs_fork
@forks
def test_forks_while_other_threads_read_and_write(writer: Writer, path: Path, told: Told) -> None:
    writer.submit(Row(0))
    writer.flush()
    reader = db.Reader(path)
    stop = threading.Event()
    wrong: list[BaseException] = []
    count = [0]

    def busy(act: Callable[[], object]) -> threading.Thread:
        def loop() -> None:
            try:
                while not stop.is_set():
                    act()
                    time.sleep(0.0005)
            except BaseException as error:
                wrong.append(error)

        thread = threading.Thread(target=loop)
        thread.start()
        return thread

    def write() -> None:
        count[0] += 1
        writer.submit(Row(count[0]))

    threads = [busy(write), busy(lambda: reader.rows("SELECT count(*) FROM rows"))]
    forked = 15
    try:
        for number in range(forked):

            def log(number: int = number) -> None:
                signal.alarm(20)  # a child that hangs must not hang the tests
                writer.submit(Row(1_000_000 + number))
                writer.flush()
                assert reader.rows("SELECT count(*) FROM rows WHERE number >= 1000000")[0][0] > 0

            assert in_child(log) == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    writer.flush()
    found = rows(path)
    assert sorted(n for n in found if n < 1_000_000) == list(range(count[0] + 1))
    assert sum(n >= 1_000_000 for n in found) == forked
    assert_intact(path)
    assert told == []


@pytest.mark.parametrize("method", [pytest.param("fork", marks=needs_fork), "spawn"])
def test_a_worker_of_multiprocessing_loses_nothing(path: Path, tmp_path: Path, method: str) -> None:
    script = """
        import multiprocessing, sys
        from pathlib import Path
        from nbtrack import Client

        def work(number):
            with Client(sys.argv[1]).start_run(f"worker-{number}") as run:
                run.log_metric("m", number)

        if __name__ == "__main__":
            with Client(sys.argv[1]).start_run("parent"):
                context = multiprocessing.get_context(sys.argv[2])
                workers = [context.Process(target=work, args=(i,)) for i in range(3)]
                for worker in workers:
                    worker.start()
                for worker in workers:
                    worker.join()
    """
    # A worker that is spawned imports the main module: it has to be a file.
    module = tmp_path / "main.py"
    module.write_text(textwrap.dedent(script))
    subprocess.run([sys.executable, module, path, method], check=True, timeout=60)
    assert pending(path) == []
    conn = sqlite3.connect(path)
    found = conn.execute(
        "SELECT run_name, status, pid FROM runs JOIN sessions USING (session_id) ORDER BY 1"
    ).fetchall()
    conn.close()
    assert [(name, status) for name, status, _ in found] == [
        ("parent", "FINISHED"),
        *((f"worker-{i}", "FINISHED") for i in range(3)),
    ]
    assert len({pid for *_, pid in found}) == 4


# -- other processes


LIVES = """
    import sys, time
    from nbtrack import Client
    client = Client(sys.argv[1])
    run = client.start_run(sys.argv[2])
    for step in range(500):
        run.log_metric("m", step, step)
    client.flush()
    print(run.run_id, flush=True)
    sys.stdin.read() if len(sys.argv) > 3 else time.sleep(60)
"""


def test_what_was_flushed_survives_a_kill(path: Path) -> None:
    from nbtrack.tracking import Client

    doomed, other = start_script(LIVES, path, "doomed"), start_script(LIVES, path, "other")
    assert doomed.stdout is not None
    assert other.stdout is not None
    try:
        ids = [process.stdout.readline().strip() for process in (doomed, other)]
        doomed.kill()
        doomed.wait()
        client = Client(path)
        with client.start_run("next"):
            pass
        dead, live = (client.get_run(run_id) for run_id in ids)
        assert dead.info.status == "KILLED"
        assert dead.info.end_time is not None
        assert live.info.status == "RUNNING"
        for run in (dead, live):
            assert run.data.summaries["m"].count == 500
            assert run.data.metrics["m"] == 499
        assert_intact(path)
    finally:
        for process in (doomed, other):
            process.kill()
            process.communicate()


def test_eight_processes_at_once_lose_nothing(path: Path) -> None:
    script = """
        import sys
        from nbtrack import Client
        client = Client(sys.argv[1])
        for n in range(5):
            with client.start_run(f"{sys.argv[2]}-{n}") as run:
                for step in range(100):
                    run.log_metric("m", step, step)
    """
    processes = [start_script(script, path, i) for i in range(8)]
    for process in processes:
        _, err = process.communicate(timeout=60)
        assert (process.returncode, err) == (0, "")
    conn = sqlite3.connect(path)
    names = {row[0] for row in conn.execute("SELECT run_name FROM runs WHERE status = 'FINISHED'")}
    chunks = conn.execute("SELECT data FROM metric_chunks").fetchall()
    summaries = conn.execute("SELECT sum(count), min(max), min(last) FROM metrics").fetchone()
    conn.close()
    assert names == {f"{i}-{n}" for i in range(8) for n in range(5)}
    assert summaries == (40 * 100, 99, 99)
    values = [value for (chunk,) in chunks for value in packing.decode(chunk)[2]]
    assert sorted(values) == sorted([float(step) for step in range(100)] * 40)
    assert pending(path) == []
    assert_intact(path)


def test_what_is_queued_is_written_at_exit(path: Path) -> None:
    run_script(
        """
        import sys
        from nbtrack import Client
        run = Client(sys.argv[1]).start_run("last")
        run.log_params({"a": 1})
        """,
        path,
    )
    conn = connect_writer(path)
    assert conn.execute("SELECT value FROM params").fetchall() == [("1",)]
    conn.close()


@pytest.mark.usefixtures("quick")
def test_a_log_that_was_deleted_is_told_and_not_written_to(path: Path, told: Told) -> None:
    """Whoever copies the file within the kernel drops the locks that SQLite holds for it."""
    writer = make_writer(path, told.append, KINDS)
    writer.submit(Row(1))
    writer.flush()
    path.read_bytes()  # a copy
    show = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT 1 FROM runs')"
    subprocess.run([sys.executable, "-c", f"{show}.fetchall(); c.close()", path], check=True)
    assert not path.with_name("nbtrack.db-wal").exists()
    writer.submit(Row(2))
    with pytest.raises(StoreError, match="was deleted while it was in use"):
        writer.flush()
    assert len(told) == 1
    assert "hint: Restart the kernel" in told[0]
    writer.close(0.1)
    (kept,) = pending(path)
    assert f"What was logged waits in {kept}, and is stored" in told[1]
    assert writer._conn is not None
    writer._conn.close()  # ours to do here: the writer leaves it to the end of the process


def test_the_heart_beats_also_while_records_come_without_a_pause(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats: list[float] = []
    monkeypatch.setattr(module.sessions, "beat", lambda *_: beats.append(time.monotonic()))
    writer = make_writer(path, pytest.fail, KINDS, beat_s=0.05)
    end = time.monotonic() + 0.6
    while time.monotonic() < end:
        writer.submit(Row(1))
        time.sleep(0.001)
    writer.close()
    assert len(beats) >= 3
