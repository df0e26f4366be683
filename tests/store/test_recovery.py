"""What killed processes left behind: brought in, once, also where the file is hostile."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import struct
import threading
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nbtrack.db import Reader, connect_writer
from nbtrack.store import SqliteStore, journal_file, recovery
from nbtrack.store.fold import KINDS
from nbtrack.store.journal import POINTS, SERIES
from nbtrack.store.records import LogParams, SetTags
from nbtrack.store.sessions import identity
from nbtrack.tracking.modelfiles import JOURNALED
from nbtrack.types import RunQuery, RunStatus

from .journaling import (
    Folding,
    assert_intact,
    begin,
    dead,
    make_session,
    make_writer,
    pending,
    points_of,
    query,
    start_script,
    steps_of,
)

RUN = "a" * 32


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "nbtrack.db"


def leave(path: Path, *, points: int = 3) -> Path:
    """Leave a journal behind, as a killed process does, and return it."""
    folding = Folding(path)
    folding.log(begin(RUN, folding.session.session_id))
    for step in range(points):
        folding.journal.add_point(RUN, "m", float(step), step, step)
    folding.log(LogParams(RUN, {"a": "1"}, 0))
    left = folding.journal.path
    assert left is not None
    folding.kill()
    return left


class Opened:
    """What the next process finds, and what it is told."""

    def __init__(self, path: Path, **options: Any) -> None:
        self.path = path
        self.told: list[str] = []
        self.writer = make_writer(path, self.told.append, JOURNALED, **{"is_alive": dead} | options)
        self.store = SqliteStore(self.writer, Reader(path), dead)

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_: object) -> None:
        self.writer.close()


# -- as it should be


def test_the_next_one_who_reads_finds_all_of_it(path: Path) -> None:
    left = leave(path)
    with Opened(path) as opened:
        run = opened.store.get_run(RUN)
        assert run.data.params == {"a": "1"}
        assert run.data.summaries["m"].count == 3
        assert run.info.status is RunStatus.KILLED
        assert opened.told == []
    assert not left.exists()
    assert query(path, "SELECT status, end_time FROM runs")[0][0] == "KILLED"
    assert_intact(path)


def test_the_database_need_not_be_there(path: Path) -> None:
    """Nothing was ever committed."""
    left = leave(path)
    for file in path.parent.glob("nbtrack.db*"):
        if file != left:
            file.unlink()
    with Opened(path) as opened:
        assert [run.info.run_id for run in opened.store.search_runs(RunQuery())] == [RUN]
    assert points_of(path, RUN, "m") == [(0, 0, 0.0), (1, 1, 1.0), (2, 2, 2.0)]
    assert_intact(path)


def test_what_the_database_has_is_not_taken_again(path: Path) -> None:
    folding = Folding(path)
    folding.log(begin(RUN))
    for step in range(10):
        folding.journal.add_point(RUN, "m", 1.0, step, step)
    folding.write_all()
    for step in range(10, 20):
        folding.journal.add_point(RUN, "m", 1.0, step, step)
    folding.log(SetTags(RUN, {"b": "2"}))
    left = folding.journal.path
    assert left is not None
    folding.kill()
    copy = left.read_bytes()
    with Opened(path) as opened:
        assert opened.store.get_run(RUN).data.summaries["m"].count == 20
    # The file cannot be removed, say: it is there again.
    left.write_bytes(copy)
    with Opened(path) as opened:
        assert opened.store.get_run(RUN).data.summaries["m"].count == 20
        assert opened.told == []
    assert steps_of(path, RUN, "m") == list(range(20))


def test_a_journal_that_cannot_be_removed_keeps_nobody_from_writing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = leave(path)

    real = Path.unlink

    def refuse(self: Path, missing_ok: bool = False) -> None:
        if self == left:
            raise PermissionError(13, "Permission denied", str(self))
        real(self, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    with Opened(path) as opened:
        opened.store.log_params(RUN, {"b": "2"})
        assert opened.store.get_run(RUN).data.params == {"a": "1", "b": "2"}
        assert opened.told == []
    assert left.exists()


def test_a_database_that_is_locked_meanwhile_delays_the_recovery_only(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = leave(path)
    real = recovery.recover
    tries: list[Path] = []

    def locked_once(conn: Any, file: Path, *rest: Any) -> None:
        tries.append(file)
        if len(tries) == 1:
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = sqlite3.SQLITE_BUSY
            raise error
        real(conn, file, *rest)

    monkeypatch.setattr(recovery, "recover", locked_once)
    with Opened(path) as opened:
        opened.store.log_params(RUN, {"b": "2"})
        for _ in range(2000):
            if not opened.writer.journal.waiting:
                break
            threading.Event().wait(0.01)
        assert opened.store.get_run(RUN).data.params == {"a": "1", "b": "2"}
        (told,) = opened.told
        assert "is locked by another process. Training goes on" in told
    assert tries == [left, left]


def test_a_process_that_lives_keeps_its_journal(path: Path) -> None:
    left = leave(path)
    with Opened(path, is_alive=lambda *_: True) as opened:
        assert opened.store.search_runs(RunQuery()) == []
    assert left.exists()


def test_an_older_process_is_brought_in_by_one_that_goes_on(path: Path) -> None:
    with Opened(path, beat_s=0.05) as opened:
        opened.store.create_run(begin("b" * 32).run)
        opened.writer.flush()
        with opened.writer._using:  # it must not look before all of it is there
            left = leave(path)
        for _ in range(1000):
            if not left.exists():
                break
            threading.Event().wait(0.02)
        assert opened.store.get_run(RUN).data.params == {"a": "1"}
        assert opened.told == []


def test_two_at_once(path: Path) -> None:
    folding = Folding(path)
    folding.log(begin(RUN))
    for step in range(40_000):
        folding.journal.add_point(RUN, "m", 1.0, step, step)
    left = folding.journal.path
    assert left is not None
    folding.kill()
    barrier = threading.Barrier(4)
    told: list[str] = []
    wrong: list[BaseException] = []

    def work() -> None:
        conn = connect_writer(path)
        try:
            found = recovery.left_behind(path, dead, "me")
            barrier.wait(10)
            for file in found:
                recovery.recover(conn, file, KINDS, told.append)
        except BaseException as error:
            wrong.append(error)
        finally:
            conn.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (told, wrong) == ([], [])
    assert pending(path) == []
    assert steps_of(path, RUN, "m") == list(range(40_000))
    assert_intact(path)


def test_recovery_that_is_killed_half_way(path: Path) -> None:
    folding = Folding(path)
    folding.log(begin(RUN))
    for step in range(50_000):
        folding.journal.add_point(RUN, "m", 1.0, step, step)
        if step % 100 == 0:
            folding.log(SetTags(RUN, {str(step): "x"}))
    folding.kill()
    script = """
        import sys
        from pathlib import Path
        from nbtrack.store import fold, recovery
        from nbtrack.db import connect_writer
        path = Path(sys.argv[1])
        conn = connect_writer(path)
        count = 0
        def trace(_):
            global count
            count += 1
            if count == 300:
                print("half-way", flush=True)
                sys.stdin.read()
        conn.set_trace_callback(trace)
        (left,) = recovery.left_behind(path, lambda *_: False, "me")
        recovery.recover(conn, left, fold.KINDS, print)
    """
    process = start_script(script, path)
    assert process.stdout is not None
    assert process.stdout.readline() == "half-way\n"
    process.kill()
    process.communicate()
    assert len(pending(path)) == 1
    with Opened(path) as opened:
        assert opened.store.get_run(RUN).data.summaries["m"].count == 50_000
        assert opened.told == []
    assert pending(path) == []
    assert query(path, "SELECT count(*) FROM tags") == [(500,)]
    assert_intact(path)


def test_a_journal_of_another_database_is_left_as_it_is_and_told_once(
    path: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other" / "nbtrack.db"
    other.parent.mkdir()
    folding = Folding(other)
    folding.log(begin(RUN))
    folding.write_all()
    folding.log(SetTags(RUN, {"a": "x" * 100}))
    # As after room was given back: the first records are only in the other database.
    assert folding.journal._file is not None
    folding.journal._shrink(folding.journal._file)
    folding.log(SetTags(RUN, {"b": "1"}))
    left = folding.journal.path
    assert left is not None
    folding.kill()
    here = left.rename(path.parent / left.name)
    before = here.read_bytes()
    with Opened(path, beat_s=0.03) as opened:
        opened.store.create_run(begin("b" * 32).run)
        opened.writer.flush()
        threading.Event().wait(0.2)  # some heartbeats look again
        assert len(opened.told) == 1
        assert (
            f"The file {here} belongs to another database and is left as it is." in opened.told[0]
        )
        assert "hint: Put it beside that one, or delete it." in opened.told[0]
    assert here.read_bytes() == before
    with Opened(other):
        here.rename(left)
    with Opened(other) as opened:
        assert opened.store.get_run(RUN).data.tags["b"] == "1"


# -- hostile


def journal_bytes(*frames: bytes, base: int = 0, slots: bytes = b"", **who: Any) -> bytes:
    """Return a journal as anybody could write it."""
    facts = {**identity(make_session("f" * 32)), **who}
    head = bytearray(journal_file.head(base, json.dumps(facts).encode()))
    return bytes(head) + slots.ljust(journal_file.FRAMES_AT - len(head), b"\0") + b"".join(frames)


def frame(number: int, kind: Any, fields: Any, *blobs: bytes) -> bytes:
    parts, _ = journal_file.encode_frame(number, kind, fields, blobs)
    return b"".join(parts)


def new_run(number: int) -> bytes:
    return frame(number, "create_run", begin(RUN).pack())


def put(path: Path, data: bytes, name: str = "hostile") -> Path:
    file = path.parent / f"{path.name}-pending-{name}"
    file.write_bytes(data)
    return file


def open_beside(path: Path) -> list[str]:
    """Open the database, use it, and return what was told."""
    with Opened(path) as opened:
        run_id = f"b{uuid.uuid4().hex[1:]}"
        opened.store.create_run(begin(run_id).run)
        opened.store.log_metric(run_id, "m", 1.0, 0, 0)
        runs = {run.info.run_id: run for run in opened.store.search_runs(RunQuery())}
        assert runs[run_id].data.metrics == {"m": 1.0}
        opened.store.run_table(RunQuery())
        for run in runs:
            opened.store.get_run_detail(run)
    assert_intact(path)
    return opened.told


BAD_RECORDS: list[tuple[Any, Any]] = [
    ("no_such_kind", []),
    (["a", "list"], []),
    (None, None),
    (7, {"a": 1}),
    ("create_run", []),
    ("create_run", [1, 2, 3, "RUNNING", 5, 6, 7, 8, 9, 10, {}]),
    ("create_run", ["c" * 32, "n", "x", "EVIL", 1, "me", None, None, None, None, {}]),
    ("create_run", ["c" * 32, "n", "x", "RUNNING", "soon", "me", None, None, None, None, {}]),
    ("create_run", ["c" * 32, "n", "x", "RUNNING", 10**30, "me", None, None, None, None, {}]),
    ("create_run", ["c" * 32, "n", "x", "RUNNING", 1, "me", "no session", None, None, None, {}]),
    ("create_run", ["c" * 32, "n", "x", "RUNNING", 1, "me", None, None, None, "99", {}]),
    ("create_run", ["c" * 32, "n", "x", "RUNNING", 1, "me", None, None, None, None, "tags"]),
    ("create_run", begin(RUN).pack()),  # once more
    ("update_run", [RUN, {"run_no": 7}]),
    ("update_run", [RUN, {"status = 'x', run_id": "y"}]),
    ("update_run", [RUN, {"status": "EVIL"}]),
    ("update_run", [RUN, {"status": None}]),
    ("update_run", [RUN, {"end_time": "soon"}]),
    ("update_run", [RUN, {"end_time": 2**70}]),
    ("update_run", [RUN, {"run_name": 7}]),
    ("update_run", [RUN, {"error": ["x"]}]),
    ("update_run", [RUN, "status"]),
    ("log_params", [RUN, {"a": 1}, 0]),
    ("log_params", [RUN, {"a": None}, 0]),
    ("log_params", [RUN, [["a", "b"]], 0]),
    ("log_params", ["' OR 1 --", {"a": "b"}, 0]),
    ("set_tags", [RUN]),
    ("set_tags", [RUN, "tags"]),
    ("add_points", [RUN, [["m", "1.0", 0, 0]]]),
    ("add_points", [RUN, [["m", 1.0, 0.5, 0]]]),
    ("add_points", [RUN, [["m", 1.0, 2**63, 0]]]),
    ("add_points", [RUN, [["m", 1.0, 0, None]]]),
    ("add_points", [RUN, [["m"]]]),
    ("add_points", [RUN, [[7, 1.0, 0, 0]]]),
    ("add_points", [RUN, 7]),
    ("link_metrics", [RUN, [["m", "x", 0, 0, None, None, None]]]),
    ("link_metrics", [RUN, [["m"]]]),
    ("log_inputs", [RUN, [["n", "d", "numpy", {}, {}, "", "train", "tags"]]]),
    ("log_inputs", [RUN, [["n", "d", "numpy", {}, {}, None, "train", {}]]]),
    ("log_inputs", [RUN, [["n", "d", "numpy", 7, {}, "", "train", {}]]]),
    ("log_inputs", [RUN, [["n", "d", "numpy", {}, "x", "", "train", {}]]]),
    ("log_inputs", ["d" * 32, [["n", "d", "numpy", {}, {}, "", "train", {}]]]),
    ("log_model", ["id", "d" * 32, "model", "sklearn", "a.B", 1, 1]),
    ("log_model", ["id", RUN, "model", "sklearn", "a.B", "big", 1]),
    ("log_model", [None] * 7),
    ("begin_cell", ["no session", ["e", 1, None, "source", 1, None, None], "digest"]),
    ("begin_cell", ["f" * 32, ["e", "one", None, "source", 1, None, None], "digest"]),
    ("begin_cell", ["f" * 32, ["e", 1, None, None, 1, None, None], "digest"]),
    ("end_cell", [1]),
    ("put_files", [RUN, ["../outside"]]),
    ("put_files", [RUN, ["/etc/passwd"]]),
    ("put_files", [RUN, ["a", "b"]]),
    ("put_content", [RUN, "a", f"sha256:{'0' * 64}", 32, "raw", 32, None, "", False]),
    ("put_content", [RUN, "a", f"sha256:{'0' * 64}", 32, "raw", 32, None, "../../a.txt", True]),
    ("put_content", [RUN, "a", "sha256:../../b", 32, "raw", 32, None, "", True]),
    ("put_content", [RUN, "../a", f"sha256:{'0' * 64}", 32, "raw", 32, None, "x-1", True]),
    ("put_content", [RUN]),
    ("model_files", [["sklearn", "a.B", ["../x"], {}, {}, []], RUN, "model", "id", "token"]),
    ("model_files", [["sklearn", "a.B", ["x"], {}, {}, []], RUN, "../../up", "id", "token"]),
    ("model_files", [["evil", "a.B"], RUN, "model", "id", "token"]),
    (SERIES, []),
    (SERIES, [[1], RUN, "m"]),
    (SERIES, ["x", RUN, "m"]),
    (SERIES, {"a": 1}),
    (POINTS, []),
    (POINTS, ["x"]),
    (POINTS, [-1]),
    (POINTS, [2**63 - 1]),
    (POINTS, [float("inf")]),
]


@pytest.mark.parametrize("kind_and_fields", BAD_RECORDS, ids=lambda pair: str(pair)[:60])
def test_a_bad_record_is_told_and_the_others_are_stored(
    path: Path, kind_and_fields: tuple[Any, Any]
) -> None:
    kind, fields = kind_and_fields
    blob = journal_file.SLOT.pack(0, 0, 1.0, 1, 1)
    left = put(
        path,
        journal_bytes(
            new_run(1),
            frame(2, "log_params", [RUN, {"before": "1"}, 0]),
            frame(3, kind, fields, blob),
            frame(4, "log_params", [RUN, {"after": "1"}, 0]),
        ),
    )
    told = open_beside(path)
    assert len(told) == 1
    assert told[0].startswith("1 records that a killed process left behind could not be stored (")
    assert not left.exists()
    assert query(path, "SELECT key FROM params") == [("after",), ("before",)]
    assert query(path, "SELECT status, run_id FROM runs WHERE run_id NOT LIKE 'b%'") == [
        ("RUNNING", RUN)
    ]
    assert query(path, "SELECT count(*) FROM artifacts") == [(0,)]


@pytest.mark.parametrize(
    "who",
    [
        {"pid": float("inf")},
        {"pid": 10**30},
        {"pid": -1},
        {"pid": [1]},
        {"start_ms": "9" * 2000},
        {"start_ms": float("nan")},
        {"start_ms": 2**63},
        {"session_id": None},
        {"session_id": "\ud83d"},
        {"session_id": {"a": 1}},
        {"machine": "/../../\0", "process_start": "\ud83d"},
        {"notebook": ["x"]},
        {"user_id": "'; DROP TABLE runs; --"},
    ],
    ids=str,
)
def test_an_odd_identity_harms_nobody(path: Path, who: dict[str, Any]) -> None:
    put(path, journal_bytes(new_run(1), **who))
    assert open_beside(path) == []
    assert open_beside(path) == []


def test_numbers_beyond_those_of_sqlite(path: Path) -> None:
    slot = journal_file.SLOT.pack(0, 0, 1.0, 1, 2**63 % 2**31 + journal_file.SLOTS_AT)
    put(path, journal_bytes(new_run(1), base=2**63, slots=slot), "base")
    put(path, journal_bytes(new_run(2**64 - 1)), "number")
    assert open_beside(path) == []


def test_a_file_that_only_claims_to_be_large_gets_no_memory(path: Path) -> None:
    header = struct.pack("=QQIIQ", 2**40, 1, 20, 0, 0)
    left = put(path, journal_bytes(header))
    os.truncate(left, 2**41)
    assert open_beside(path) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFO")
def test_what_is_no_file_is_left_alone(path: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(journal_bytes(new_run(1)))
    names = [path.parent / f"{path.name}-pending-{name}" for name in ("fifo", "link", "folder")]
    os.mkfifo(names[0])
    names[1].symlink_to(elsewhere)
    names[2].mkdir()
    assert open_beside(path) == []
    assert all(name.is_symlink() or name.exists() for name in names)
    assert elsewhere.exists()


def test_a_file_that_is_no_journal_is_left_alone(path: Path) -> None:
    for name, data in (
        ("empty", b""),
        ("text", b"my notes " * 1000),
        ("short", journal_bytes()[:1000]),
        ("deep", b"nbtrkjl1" + struct.pack("=QQI", 0, journal_file.FRAMES_AT, 4000) + b"[" * 4068),
    ):
        put(path, data, name)
    assert open_beside(path) == []
    assert len(pending(path)) == 4


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_damaged_journal_harms_nobody(tmp_path: Path, data: st.DataObject) -> None:
    folder = tmp_path / str(len(list(tmp_path.iterdir())))
    folder.mkdir()
    path = folder / "nbtrack.db"
    left = leave(path)
    whole = bytearray(left.read_bytes())
    interesting = st.integers(0, 600) | st.integers(4096, 4300)
    interesting |= st.integers(journal_file.FRAMES_AT, len(whole) - 1)
    for place in data.draw(st.lists(interesting, min_size=1, max_size=5)):
        whole[place] ^= data.draw(st.integers(1, 255))
    if data.draw(st.booleans()):
        del whole[data.draw(interesting) :]
    left.write_bytes(whole)
    assert len(open_beside(path)) <= 2


def test_bytes_of_any_kind(path: Path) -> None:
    generator = random.Random(0)
    for i in range(20):
        put(path, b"nbtrkjl1" + generator.randbytes(10_000), f"a{i}")
        put(path, journal_bytes(generator.randbytes(10_000)), f"b{i}")
    assert open_beside(path) == []


def test_names_are_texts_and_no_sql(path: Path) -> None:
    name = "x'); DROP TABLE runs; --"
    put(
        path,
        journal_bytes(
            new_run(1),
            frame(2, "log_params", [RUN, {name: name}, 0]),
            frame(3, SERIES, [1, RUN, name]),
            frame(4, POINTS, [0], journal_file.SLOT.pack(1, 2, 3.0, 1, 0)),
        ),
    )
    assert open_beside(path) == []
    assert query(path, "SELECT key, value FROM params") == [(name, name)]
    assert points_of(path, RUN, name) == [(1, 2, 3.0)]


# -- models


def test_a_recovered_model_is_stored_and_carries_no_seal(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nbtrack.models import Snapshot
    from nbtrack.tracking import modelfiles

    snapshot = Snapshot("sklearn", "a.B", {"model.pkl": b"pickle"}, {}, {}, ("a==1",))
    own = modelfiles.ModelFiles(snapshot, RUN, "own", "1" * 32)
    with Opened(path) as opened:
        opened.store.create_run(begin(RUN).run)
        opened.writer.submit(own)
        opened.writer.flush()
    fields = replace(own, artifact_path="theirs").pack()
    monkeypatch.setattr(modelfiles, "_HERE", "another process")
    put(path, journal_bytes(frame(1, "model_files", fields, *own.blobs)))
    assert open_beside(path) == []
    names = [name for (name,) in query(path, "SELECT path FROM artifacts ORDER BY 1")]
    assert "own/model.pkl" in names
    assert "theirs/model.pkl" in names
    seals = {name for name in names if "seal" in name.lower()}
    assert seals
    assert all(name.startswith("own/") for name in seals)


def test_every_kind_of_record_is_tried_above() -> None:
    assert {*KINDS, *JOURNALED} <= {kind for kind, _ in BAD_RECORDS if isinstance(kind, str)}


def test_a_process_that_was_taken_for_dead_writes_nothing_twice(path: Path) -> None:
    """A laptop that slept: another machine has brought its journal in meanwhile."""
    with Opened(path, is_alive=lambda *_: True) as opened:
        opened.store.create_run(begin(RUN, None).run)
        opened.writer.flush()
        with opened.writer._using:  # it sleeps
            for step in range(10):
                opened.store.log_metric(RUN, "m", float(step), step, step)
            opened.store.log_params(RUN, {"a": "1"})
            assert opened.writer.journal.path is not None
            conn = connect_writer(path)
            recovery.recover(conn, opened.writer.journal.path, KINDS, opened.told.append)
            conn.close()
        opened.store.log_metric(RUN, "m", 10.0, 10, 10)
        opened.store.log_params(RUN, {"b": "2"})
        run = opened.store.get_run(RUN)
        assert run.data.summaries["m"].count == 11
        assert run.data.params == {"a": "1", "b": "2"}
        assert opened.told == []
