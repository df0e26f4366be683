"""The journal: what was put in is there, once, whatever happens meanwhile."""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import subprocess
import sys
import textwrap
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from nbtrack.store import journal as module
from nbtrack.store import journal_file, recovery
from nbtrack.store.fold import KINDS
from nbtrack.store.records import LogParams, SetTags

from .journaling import (
    Folding,
    begin,
    connect_writer,
    make_session,
    pending,
    points_of,
    query,
    steps_of,
)

RUN = "a" * 32
SLOTS = 8


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "nbtrack.db"


@pytest.fixture
def small() -> Iterator[None]:
    """Have so few slots that they are full all the time."""
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch)
        yield


def make_small(patch: pytest.MonkeyPatch, shrink_bytes: int = 600) -> None:
    patch.setattr(journal_file, "SLOTS", SLOTS)
    end = journal_file.SLOTS_AT + SLOTS * journal_file.SLOT.size
    for place in (journal_file, module, recovery.journal_file):
        patch.setattr(place, "FRAMES_AT", end)
    patch.setattr(module, "_SHRINK_BYTES", shrink_bytes)


@pytest.fixture
def folding(path: Path) -> Iterator[Folding]:
    made = Folding(path)
    yield made
    made.journal.close()
    made.conn.close()


def recover(path: Path) -> list[str]:
    """Bring in what a killed process left, and return what was told."""
    told: list[str] = []
    conn = connect_writer(path)
    try:
        for left in recovery.left_behind(path, lambda *_: False, "nobody"):
            recovery.recover(conn, left, KINDS, told.append)
    finally:
        conn.close()
    return told


def file_path(file: int) -> Path:
    """Return where an open file lies."""
    return Path(f"/proc/self/fd/{file}").readlink()


# -- random walks


class Walk(RuleBasedStateMachine):
    """Put in, take, commit, fail, shrink, lose the disk, and be killed: nothing is lost or doubled.

    The model is a list of what was returned from.
    """

    def __init__(self) -> None:
        super().__init__()
        self.patches = pytest.MonkeyPatch()
        self.stack = contextlib.ExitStack()
        make_small(self.patches)

    @initialize(in_memory=st.booleans())
    def start(self, in_memory: bool) -> None:
        import tempfile

        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory()))
        self.path = folder / "nbtrack.db"
        self.full = self.was_full = False
        self.in_memory = in_memory
        self.patches.setattr(module, "pending_folders", self.folders)
        self.elsewhere = folder / "elsewhere"
        self.patches.setattr(
            journal_file, "pending_folders", lambda database: [database.parent, self.elsewhere]
        )
        real = journal_file.write_all

        def write_all(file: int, parts: list[bytes], offset: int) -> None:
            if self.full and not file_path(file).is_relative_to(self.elsewhere):
                os.pwrite(file, b"".join(parts)[:7], offset)  # some of it gets there
                raise OSError(28, "No space left on device")
            real(file, parts, offset)

        for place in (module, journal_file):
            self.patches.setattr(place, "write_all", write_all)
        self.points: Counter[tuple[str, int]] = Counter()
        self.params: dict[str, str] = {}
        self.step = 0
        self.begin_life()
        self.folding.log(begin(RUN))

    def folders(self, database: Path) -> list[Path]:
        return [] if self.in_memory else [database.parent, self.elsewhere]

    def begin_life(self) -> None:
        self.folding = Folding(self.path)

    @rule(keys=st.lists(st.sampled_from("abcdefg"), unique=True))
    def expect(self, keys: list[str]) -> None:
        self.folding.journal.expect(RUN, keys)

    @rule(count=st.integers(1, 2 * SLOTS), key=st.sampled_from("abcde"))
    def add_points(self, count: int, key: str) -> None:
        for _ in range(count):
            self.folding.journal.add_point(RUN, key, float(self.step), self.step, self.step)
            self.points[key, self.step] += 1
            self.step += 1

    @rule(key=st.sampled_from("ab"), size=st.sampled_from([1, 300]))
    def add_record(self, key: str, size: int) -> None:
        value = f"{self.step}".ljust(size)
        self.step += 1
        assert self.folding.log(LogParams(RUN, {key: value}, 0))
        self.params[key] = value

    @rule(max_frames=st.integers(1, 3), fails=st.booleans())
    def write(self, max_frames: int, fails: bool) -> None:
        self.folding.write(max_frames, fails=fails)

    @rule(max_frames=st.integers(1, 3), between=st.integers(0, 2 * SLOTS))
    def write_while_points_come(self, max_frames: int, between: int) -> None:
        take = self.folding.journal.take

        def and_more(count: int) -> module.Batch:
            batch = take(count)
            self.add_points(between, "a") if between else None
            return batch

        self.folding.journal.take = and_more  # type: ignore[method-assign]
        self.folding.write(max_frames)
        self.folding.journal.take = take  # type: ignore[method-assign]

    @rule()
    def write_everything(self) -> None:
        self.folding.write_all()

    @rule()
    def lose_or_find_room(self) -> None:
        self.is_at_risk()
        self.full = not self.full
        self.was_full = True

    def is_at_risk(self) -> bool:
        """Return whether a kill may take something away: what came while the disk was full."""
        self.was_full = self.full or (self.was_full and bool(self.folding.journal.waiting))
        return self.was_full

    @rule()
    def make_room(self) -> None:
        """Go on in another folder, if the disk is full: nothing is at risk any more."""
        self.folding.journal.make_room()
        self.was_full = self.full = self.full and self.folding.journal.path is None

    @precondition(lambda self: not self.in_memory and not self.is_at_risk())
    @rule()
    def be_killed(self) -> None:
        self.folding.kill()
        assert recover(self.path) == []
        self.begin_life()

    @precondition(lambda self: not self.full)
    @rule()
    def end_and_begin(self) -> None:
        """End while the database takes nothing: all of it is in a file then."""
        self.in_memory = False
        waiting = self.folding.journal.waiting
        kept = self.folding.journal.close()
        assert (kept is not None) == bool(waiting)
        self.folding.conn.close()
        assert recover(self.path) == []
        self.begin_life()

    @invariant()
    def nothing_is_told(self) -> None:
        if hasattr(self, "folding"):
            assert self.folding.faults == self.folding.left_out == []

    def teardown(self) -> None:
        if hasattr(self, "folding"):
            self.full = False
            self.folding.write_all()
            self.folding.journal.close()
            self.folding.conn.close()
            assert pending(self.path) == []
            found: Counter[tuple[str, int]] = Counter()
            for key in {key for key, _ in self.points}:
                in_order = [step for step, *_ in points_of(self.path, RUN, key)]
                assert in_order == sorted(in_order)
                found.update((key, step) for step in in_order)
            assert found == self.points
            assert dict(query(self.path, "SELECT key, value FROM params")) == self.params
        self.stack.close()
        self.patches.undo()


TestWalk = Walk.TestCase
TestWalk.settings = settings(
    max_examples=60, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)


def test_metrics_that_come_together_are_said_in_one_frame(folding: Folding) -> None:
    folding.log(begin(RUN))
    folding.journal.expect(RUN, ["a", "b", "c"])
    folding.journal.add_point(RUN, "b", 0.0, 0, 0)
    folding.journal.expect(RUN, ["a", "d"])  # one that is new: its point says it
    frames = folding.journal.take(100).frames
    assert [f.fields for f in frames if f.kind == module.SERIES] == [
        [1, RUN, "a", 2, RUN, "b", 3, RUN, "c"]
    ]
    folding.journal.add_point(RUN, "d", 0.0, 1, 0)
    folding.kill()
    assert recover(folding.path) == []
    assert steps_of(folding.path, RUN, "b") == [0]
    assert steps_of(folding.path, RUN, "d") == [1]


# -- kills


@pytest.mark.usefixtures("small")
def test_points_are_recovered_after_the_frames_were_given_back(folding: Folding) -> None:
    """The names of series were among these frames."""
    folding.log(begin(RUN))
    folding.journal.add_point(RUN, "m", 0.0, 0, 0)
    folding.log(SetTags(RUN, {"long": "x" * 1000}))
    folding.write_all()
    assert folding.journal.path is not None
    assert folding.journal.path.stat().st_size < journal_file.FRAMES_AT + 600
    folding.journal.add_point(RUN, "m", 1.0, 1, 0)
    folding.kill()
    assert recover(folding.path) == []
    assert steps_of(folding.path, RUN, "m") == [0, 1]


@pytest.mark.usefixtures("small")
def test_points_that_come_while_frames_are_given_back(folding: Folding) -> None:
    folding.log(begin(RUN))
    folding.journal.add_point(RUN, "m", 0.0, 0, 0)
    folding.log(SetTags(RUN, {"long": "x" * 1000}))
    batch = folding.journal.take(100)
    folding.journal.add_point(RUN, "m", 1.0, 1, 0)
    folding.journal.take = lambda _: batch  # type: ignore[method-assign]
    folding.write()
    assert folding.journal.path is not None
    assert folding.journal.path.stat().st_size < journal_file.FRAMES_AT + 600
    folding.kill()
    assert recover(folding.path) == []
    assert steps_of(folding.path, RUN, "m") == [0, 1]


def test_what_lies_in_no_frame_is_left_out_and_the_rest_comes(folding: Folding) -> None:
    """Somebody wrote into the file of a process that lives."""
    folding.log(begin(RUN))
    folding.write_all()
    damaged_at = folding.journal._end
    folding.log(SetTags(RUN, {"a": "1"}))
    assert folding.journal._file is not None
    os.pwrite(folding.journal._file.file, b"\xff" * 40, damaged_at)
    real = folding.journal._lock
    taken: list[None] = []

    class Racing:
        """A lock after which another thread puts a record in."""

        def __enter__(self) -> None:
            real.__enter__()

        def __exit__(self, *error: object) -> None:
            real.__exit__(None, None, None)
            if not taken:
                taken.append(None)
                folding.log(SetTags(RUN, {"b": "2"}))

    folding.journal._lock = Racing()  # type: ignore[assignment]
    folding.write()
    folding.journal._lock = real
    folding.write_all()
    assert query(folding.path, "SELECT key, value FROM tags") == [("b", "2")]
    assert len(folding.left_out) == 1


# -- bounds


@pytest.mark.usefixtures("small")
def test_what_found_no_room_is_told_and_waited_for_by_nobody(folding: Folding) -> None:
    folding.log(begin(RUN))
    for step in range(SLOTS):
        folding.journal.add_point(RUN, "m", 1.0, step, 0)
    folding.journal.hold(True)
    folding.max_bytes = 0
    folding.journal.add_point(RUN, "other", 1.0, 0, 0)
    assert [fault.partition(",")[0] for fault in folding.faults] == [
        f"{SLOTS} points of metrics",
        "a point of a metric",
    ]
    assert not folding.log(SetTags(RUN, {"a": "1"}))
    folding.write_all()
    assert folding.fold.points == folding.journal.points
    folding.max_bytes = 2**30
    folding.journal.add_point(RUN, "m", 1.0, 99, 0)
    folding.write_all()
    assert steps_of(folding.path, RUN, "m") == [99]


@pytest.mark.parametrize(
    "numbers", [(1.0, 2**63, 0), (1.0, 0, -(2**63) - 1), (1.0, 0.5, 0), ("1", 0, 0), (None, 0, 0)]
)
def test_a_point_that_is_none_leaves_no_trace(
    folding: Folding, numbers: tuple[float, int, int]
) -> None:
    folding.log(begin(RUN))
    with pytest.raises(struct.error):
        folding.journal.add_point(RUN, "m", *numbers)
    folding.journal.add_point(RUN, "m", 1.0, 5, 0)
    folding.kill()
    assert recover(folding.path) == []
    assert steps_of(folding.path, RUN, "m") == [5]


# -- where no file can be


def test_memory_is_used_where_no_file_can_be(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "pending_folders", lambda _: [path / "no", path / "neither"])
    folding = Folding(path)
    folding.log(begin(RUN))
    for step in range(10):
        folding.journal.add_point(RUN, "m", 1.0, step, 0)
    assert folding.journal.path is None
    folding.write_all()
    assert steps_of(path, RUN, "m") == list(range(10))
    folding.journal.add_point(RUN, "m", 1.0, 10, 0)
    monkeypatch.undo()
    kept = folding.journal.close()  # now a file can be made: what waits is there
    folding.conn.close()
    assert kept in pending(path)
    assert recover(path) == []
    assert steps_of(path, RUN, "m") == list(range(11))


def test_an_end_without_any_file_says_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "pending_folders", lambda _: [path / "no"])
    folding = Folding(path)
    folding.log(begin(RUN))
    assert folding.journal.waiting
    assert folding.journal.close() is None
    folding.conn.close()


def test_what_the_disk_did_not_take_does_not_take_the_rest_along(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folding = Folding(path)
    folding.log(begin(RUN))

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(journal_file, "write_all", full)
    folding.log(SetTags(RUN, {"a": "1"}))
    kept = folding.journal.close()
    folding.conn.close()
    assert kept in pending(path)
    assert folding.faults == ["1 records and points, for which there was no room"]
    assert recover(path) == []
    assert query(path, "SELECT run_id FROM runs") == [(RUN,)]


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_full_disk_moves_what_waits_to_another_one(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_killed: bool
) -> None:
    folders = [path.parent, tmp_path / "own"]
    for place in (module, journal_file):
        monkeypatch.setattr(place, "pending_folders", lambda _: folders)
    folding = Folding(path)
    folding.log(begin(RUN))
    for step in range(1000):
        folding.journal.add_point(RUN, "m", 1.0, step, 0)
    folding.write_all()
    real = journal_file.write_all

    def full(file: int, parts: list[bytes], offset: int) -> None:
        if file_path(file).parent == path.parent:
            raise OSError(28, "No space left on device")
        real(file, parts, offset)

    monkeypatch.setattr(journal_file, "write_all", full)
    for step in range(1000, 3 * journal_file.SLOTS):
        folding.journal.add_point(RUN, "m", 1.0, step, 0)
    folding.log(SetTags(RUN, {"a": "1"}))
    folding.journal.make_room()
    for step in range(3 * journal_file.SLOTS, 5 * journal_file.SLOTS):
        folding.journal.add_point(RUN, "m", 1.0, step, 0)
    assert pending(path) == []
    if is_killed:
        folding.kill()
    else:
        kept = folding.journal.close()
        assert kept is not None
        assert kept.parent == tmp_path / "own"
        folding.conn.close()
    assert folding.faults == []
    assert recover(path) == []
    assert steps_of(path, RUN, "m") == list(range(5 * journal_file.SLOTS))
    assert query(path, "SELECT key, value FROM tags") == [("a", "1")]
    assert list((tmp_path / "own").iterdir()) == []


@pytest.mark.parametrize("notebook", ["a" * 5_000, "\N{GRINNING FACE}" * 1_000, "\udcff" * 1_000])
def test_an_identity_of_any_length_has_a_file(path: Path, notebook: str) -> None:
    folding = Folding(path)
    folding.session = make_session(notebook=notebook)
    folding.log(begin(RUN))
    assert pending(path) == [folding.journal.path]
    folding.journal.close()
    folding.conn.close()


# -- interrupted


def in_child(script: str, *args: object) -> list[str]:
    """Run a script that prints what it was told, and return its lines."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            textwrap.dedent(PREAMBLE) + textwrap.dedent(script),
            *map(str, args),
        ],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


PREAMBLE = """
    import signal, sys, threading, time
    from pathlib import Path
    from nbtrack import Client
    from nbtrack.store import journal, journal_file
    path = Path(sys.argv[1])
    if len(sys.argv) > 2:  # few slots: full ones are a matter of handlers, too
        journal_file.SLOTS = 64
        end = journal_file.SLOTS_AT + 64 * journal_file.SLOT.size
        journal.FRAMES_AT = journal_file.FRAMES_AT = end
    client = Client(path)
    run = client.start_run("a")
    store = client.workspace.store
    def log(key, step):
        store.log_metric(run.run_id, key, 1.0, step, step)
    # A handler runs between any two steps of the main thread: it must never wait for itself.
    signal.alarm(50)
"""
only_posix = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs setitimer")


def all_points(path: Path, key: str) -> list[int]:
    (run_id,) = query(path, "SELECT run_id FROM runs")[0]
    return steps_of(path, run_id, key)


@only_posix
@pytest.mark.parametrize("slots", [[], ["few"]])
def test_a_handler_that_logs_while_the_main_thread_does(path: Path, slots: list[str]) -> None:
    script = """
        count = 0
        def handle(*_):
            global count
            now, count = count, count + 1  # handlers are interrupted by handlers, too
            log("handler", now)
            run.set_tag(f"tag-{now}", now)
            log(f"new-{now}", 0)
        signal.signal(signal.SIGALRM, handle)
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        for step in range(60_000):
            log("main", step)
            if step % 100 == 0:
                run.log_params({"step": step})
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        client.flush()
        print(count)
    """
    (count,) = in_child(script, path, *slots)
    assert int(count) > 20
    assert all_points(path, "main") == list(range(60_000))
    assert all_points(path, "handler") == list(range(int(count)))
    assert query(path, "SELECT count(*) FROM metrics WHERE key LIKE 'new-%'") == [(int(count),)]
    assert query(path, "SELECT count(*) FROM tags WHERE key LIKE 'tag-%'") == [(int(count),)]
    assert query(path, "SELECT value FROM params") == [("59900",)]


@only_posix
@pytest.mark.parametrize("slots", [[], ["few"]])
def test_a_storm_of_interrupts(path: Path, slots: list[str]) -> None:
    """What was returned from is there, once; what was interrupted is there or not."""
    script = """
        armed = False
        def interrupt(*_):
            global armed
            if armed:
                armed = False
                raise KeyboardInterrupt
        signal.signal(signal.SIGALRM, interrupt)
        signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
        unknown, interrupted, step = [], 0, 0
        while step < 60_000:
            try:
                now, step, done = step, step + 1, False
                armed = True
                log("m", now)
                if now % 50 == 0:
                    run.set_tag(f"t{now}", now)
                armed, done = False, True
            except KeyboardInterrupt:
                interrupted += 1
                if not done:
                    unknown.append(now)
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        client.flush()
        print(interrupted)
        print(*unknown)
    """
    interrupted, unknown, *_ = [*in_child(script, path, *slots), ""]
    assert int(interrupted) > 20
    found = Counter(all_points(path, "m"))
    assert max(found.values()) == 1
    missing = set(range(60_000)) - set(found)
    assert missing <= set(map(int, unknown.split()))
    tags = {int(key[1:]) for (key,) in query(path, "SELECT key FROM tags WHERE key LIKE 't%'")}
    assert set(range(0, 60_000, 50)) - tags <= set(map(int, unknown.split()))


def test_what_a_handler_logged_is_where_a_kill_cannot_reach_it(folding: Folding) -> None:
    """It waits aside while the main thread is at work, and no longer."""
    folding.log(begin(RUN))
    journal = folding.journal
    real = journal._prepare

    def handled(*point: object) -> int:
        journal.add_point(RUN, "aside", 1.0, 7, 7)
        folding.log(SetTags(RUN, {"aside": "1"}))
        return real(*point)  # type: ignore[arg-type]

    journal._prepare = handled  # type: ignore[method-assign,assignment]
    journal.add_point(RUN, "m", 1.0, 1, 1)
    folding.kill()
    assert recover(folding.path) == []
    assert steps_of(folding.path, RUN, "m") == [1]
    assert steps_of(folding.path, RUN, "aside") == [7]
    assert query(folding.path, "SELECT value FROM tags") == [("1",)]


def test_a_handlers_record_that_cannot_be_kept_is_told(folding: Folding) -> None:
    folding.log(begin(RUN))
    journal = folding.journal
    real = journal._prepare

    def handled(*point: object) -> int:
        folding.log(SetTags(RUN, {"aside": "1"}))
        journal.hold(True)
        folding.max_bytes = 0
        journal._prepare = real  # type: ignore[method-assign]
        return 0

    journal._prepare = handled  # type: ignore[method-assign,assignment]
    journal.add_point(RUN, "m", 1.0, 1, 1)
    assert folding.faults == ["a record (set_tags), for which there was no room"]


# -- threads


@pytest.mark.usefixtures("small")
def test_threads_lose_and_double_nothing(folding: Folding) -> None:
    folding.log(begin(RUN))
    threads, count = 8, 1_500
    stop = threading.Event()

    def put(number: int) -> None:
        for step in range(count):
            folding.journal.add_point(RUN, f"m{number % 4}", 1.0, step + number * count, step)
            if step % 100 == 0:
                folding.log(SetTags(RUN, {f"{number}-{step}": ""}))

    workers = [threading.Thread(target=put, args=(i,)) for i in range(threads)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        for worker in workers:
            worker.start()
        while any(worker.is_alive() for worker in workers):
            folding.write(7)
    finally:
        stop.set()
        sys.setswitchinterval(interval)
        for worker in workers:
            worker.join()
    folding.write_all()
    for key in range(4):
        of_key = [n for n in range(threads) if n % 4 == key]
        expected = [step + n * count for n in of_key for step in range(count)]
        assert steps_of(folding.path, RUN, f"m{key}") == expected
    assert query(folding.path, "SELECT count(*) FROM tags") == [(threads * count // 100,)]
    assert folding.faults == folding.left_out == []


@pytest.mark.usefixtures("small")
def test_how_much_was_kept_is_never_overrated(folding: Folding) -> None:
    """Whoever waits for more than there is waits for ever."""
    stop = threading.Event()
    seen: list[int] = []

    def look() -> None:
        while not stop.is_set():
            seen.append(folding.journal.kept()[1])

    watcher = threading.Thread(target=look)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        watcher.start()
        for step in range(4_000):
            folding.journal.add_point(RUN, "m", 1.0, step, step)
            if seen and seen[-1] > step + 1:
                break
    finally:
        stop.set()
        sys.setswitchinterval(interval)
        watcher.join()
    assert seen == sorted(seen)
    assert seen[-1] <= folding.journal.kept()[1]


def test_the_writer_is_woken_once(folding: Folding) -> None:
    folding.log(begin(RUN))
    for step in range(100):
        folding.journal.add_point(RUN, "m", 1.0, step, step)
    assert folding.woken == 1
    assert not folding.journal.rest()
    folding.write_all()
    assert folding.journal.rest()
    folding.journal.add_point(RUN, "m", 1.0, 100, 100)
    assert folding.woken == 2
