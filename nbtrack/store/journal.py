"""What this process has logged and the database does not have yet, where a kill cannot reach it.

A journal is one file beside the database (`nbtrack.store.journal_file`), written by one process and
mapped into its memory: what was put there survives the process, as it is the system's by then. The
writer folds it into the database; what a killed process left is folded in by whoever opens the
database next (`nbtrack.store.recovery`). The file is gone when a process ends as it should.

Points go into slots. When these are full before the writer came, their points become a frame among
the other records. Records have numbers, points have ordinals, and the database keeps how far it has
both: so each is applied once, whenever the process dies.

Where no file can be made beside the database, one in the user's own folder is used, and at last
memory, which then is all that a kill takes away.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import struct
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbtrack.db import Fields, Loggable
from nbtrack.store.journal_file import (
    BASE_AT,
    FRAMES_AT,
    SLOT,
    SLOTS_AT,
    Frame,
    encode_frame,
    first_mark,
    frames,
    head,
    pending_folders,
    write_all,
)

POINTS = "points"  # the kind of a frame of points that found no room
SERIES = "series"  # the kind of a frame that says what a series in a slot is
ONE_POINT = "add_points"  # the kind of the record of points that take no slot

_MAX_SERIES = 100_000  # remembered names of series; then they are given anew
_SHRINK_BYTES = 4 * 2**20


@dataclass(slots=True)
class Batch:
    """What the writer takes at once: frames, and then points.

    Parameters
    ----------
    frames
        Records, in the order of their numbers.
    points
        Bytes of slots; empty while there are frames left, which may say what the series are.
    first_point
        Ordinal of the first of them.
    end
        Where in the file the next frame begins.
    """

    frames: list[Frame] = field(default_factory=list)
    points: bytes = b""
    first_point: int = 0
    end: int = FRAMES_AT
    from_memory: int = 0

    def __bool__(self) -> bool:
        return bool(self.frames or self.points)


class Journal:
    """The journal of this process for one database. All of it may be called from any thread.

    Parameters
    ----------
    database
        Path of the database.
    identity
        JSON-able facts that tell who writes; asked when the file is made.
    on_work
        Called when something was put in while the writer rests.
    on_fault
        Called with a sentence when something could not be kept.
    max_bytes
        How much may wait at most.

    Attributes
    ----------
    records, points
        How many of each were ever put in.
    """

    def __init__(
        self,
        database: Path,
        *,
        identity: Callable[[], Mapping[str, Any]],
        on_work: Callable[[], None],
        on_fault: Callable[[str], None],
        max_bytes: Callable[[], int],
    ) -> None:
        self._database = database
        self._identity = identity
        self._on_work = on_work
        self._on_fault = on_fault
        self._max_bytes = max_bytes
        self._lock = threading.RLock()
        self._file: int | None = None
        self.path: Path | None = None
        self._map: mmap.mmap | None = None
        self._start_empty()

    def _start_empty(self) -> None:
        self._ids: dict[tuple[str, str], int] = {}
        self._last_id = 0
        self.records = 0
        self._busy = False
        self._awake = False
        self._closed = False
        self._held = False  # the writer is in trouble: what waits is bounded
        self._opened = False
        self._view: mmap.mmap | bytearray = bytearray()
        self._base = 0  # ordinal of slot 0
        self._done_points = 0
        self._at = self._full = 0  # byte of the next slot, and of none
        self._mark = 1
        self._end = self._read = FRAMES_AT  # of the frames in the file; of those the writer has
        self._memory: deque[Frame] = deque()  # frames that the file did not take
        self._memory_bytes = 0
        self._late: deque[tuple[str, Fields, tuple[bytes, ...]]] = deque()

    @property
    def points(self) -> int:
        """How many points were ever put in."""
        return self._base + max(self._at - SLOTS_AT, 0) // SLOT.size

    # ------------------------------------------------------------ the callers' side

    def add_point(self, run_id: str, key: str, value: float, step: int, timestamp: int) -> None:
        """Put a point in: two thirds of a microsecond.

        Raises
        ------
        struct.error
            A number is none, or does not fit.
        """
        with self._lock:
            series = self._ids.get((run_id, key))
            if series is None or self._at == self._full or self._busy:
                series = self._prepare(run_id, key, value, step, timestamp)
            if series:
                self._busy = True
                try:
                    SLOT.pack_into(self._view, self._at, step, timestamp, value, series, self._mark)
                    self._at += SLOT.size
                    self._mark += 1
                finally:
                    self._busy = False
        if not self._awake:
            self._wake()

    def append(self, kind: str, record: Loggable) -> bool:
        """Put a record in; return False if there is no room for it.

        Raises
        ------
        TypeError, ValueError
            It cannot be packed.
        """
        with self._lock:
            kept = self._append(kind, record.pack(), record.blobs)
        if not self._awake:
            self._wake()
        return kept

    def touch(self) -> None:
        """Show others, who may be on another machine, that this process is alive."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.utime(self._file)

    def hold(self, on: bool) -> None:
        """Bound what waits, as long as the database takes nothing."""
        self._held = on

    def _wake(self) -> None:
        self._awake = True
        self._on_work()

    def _prepare(self, run_id: str, key: str, value: float, step: int, timestamp: int) -> int:
        """Return the series of a metric, with a free slot for a point; 0: it went elsewhere."""
        if self._busy:
            SLOT.pack(step, timestamp, value, 0, 0)  # the same refusals as for a slot
            self._append(ONE_POINT, [run_id, [[key, value, timestamp, step]]], ())
            return 0
        if self._closed:
            self._on_fault("a point of a metric, logged after the end")
            return 0
        self._open()
        if self._at == self._full:
            self._spill()
        series = self._ids.get((run_id, key))
        if series is None:
            if len(self._ids) >= _MAX_SERIES:
                self._ids.clear()
            self._last_id += 1
            series = self._last_id
            if not self._append(SERIES, [series, run_id, key], ()):
                self._on_fault("a point of a metric")
                return 0
            self._ids[run_id, key] = series
        return series

    def _spill(self) -> None:
        """Begin a new round of slots; what the database does not have yet becomes a frame."""
        end = self.points
        if self._done_points < end:
            first = max(self._done_points, self._base)
            start = SLOTS_AT + (first - self._base) * SLOT.size
            if not self._append(POINTS, [first], (bytes(self._view[start : self._at]),)):
                self._on_fault(f"{end - first} points of metrics")
        self._begin_round(end)

    def _begin_round(self, base: int) -> None:
        self._base = base
        self._at = SLOTS_AT
        self._mark = first_mark(base)
        # One store of 8 bytes: it is there or not, and either way the marks tell which slots
        # count.
        struct.pack_into("=Q", self._view, BASE_AT, base)

    def _append(self, kind: str, fields: Fields, blobs: Sequence[bytes]) -> bool:
        if self._busy:
            # A signal's handler, or a finalizer, logs while this very thread is at it: its record
            # waits aside until the writer comes, so that the one at work is not disturbed.
            json.dumps(fields)
            self._late.append((kind, fields, tuple(blobs)))
            return True
        self._busy = True
        try:
            return self._put(kind, fields, blobs)
        finally:
            self._busy = False

    def _put(self, kind: str, fields: Fields, blobs: Sequence[bytes]) -> bool:
        if self._closed:
            return False
        self._open()
        size = sum(map(len, blobs)) + 200
        waiting = self._end - self._read + self._memory_bytes
        if self._held and waiting + size > self._max_bytes():
            return False
        number = self.records + 1
        if self._memory or not self._write(number, kind, fields, blobs):
            if self._memory_bytes + size > self._max_bytes():
                return False
            json.dumps(fields)  # the same refusals as for the file
            self._memory.append(Frame(number, kind, fields, tuple(blobs)))
            self._memory_bytes += size
        self.records = number
        return True

    def _write(self, number: int, kind: str, fields: Fields, blobs: Sequence[bytes]) -> bool:
        """Write a frame behind the others; return whether the disk took it."""
        if self._file is None:
            return False
        parts, size = encode_frame(number, kind, fields, blobs)
        try:
            write_all(self._file, parts, self._end)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._end)
            return False
        self._end += size
        return True

    # ------------------------------------------------------------- the writer's side

    def rest(self) -> bool:
        """Return whether there is nothing to do; then `on_work` is called when there is."""
        with self._lock:
            idle = not self.waiting
            if idle:
                self._awake = False
            return idle

    def take(self, max_frames: int) -> Batch:
        """Return what is to be written next; it stays until `done`."""
        with self._lock:
            while self._late:
                self._append(*self._late.popleft())
            first = max(self._done_points, self._base)
            points = b""
            if first < self.points:
                start = SLOTS_AT + (first - self._base) * SLOT.size
                points = bytes(self._view[start : self._at])
            end = self._end
            memory = list(self._memory)
        batch = Batch(end=self._read)
        if self._file is not None:
            for frame, place in frames(self._file, self._read, end):
                batch.frames.append(frame)
                batch.end = place
                if len(batch.frames) >= max_frames:
                    return batch
            if batch.end < end and not batch.frames:
                # Somebody else wrote into the file. What comes now is behind it.
                batch.frames.append(Frame(self.records - len(memory), "damaged", []))
                batch.end = end
        if batch.end == end:
            batch.from_memory = len(memory)
            batch.frames += memory
            # Points last: what they are points of may be said by any frame before.
            batch.points, batch.first_point = points, first
        return batch

    def done(self, batch: Batch, points: int) -> None:
        """Forget what is in the database by now: a batch, and all points below an ordinal."""
        with self._lock:
            self._read = batch.end
            for _ in range(batch.from_memory):
                frame = self._memory.popleft()
                self._memory_bytes -= sum(map(len, frame.blobs)) + 200
            self._done_points = max(self._done_points, points)
            if self._memory or self._read < self._end:
                return
            if self._done_points == self.points and self._at > self._full // 2 and not self._busy:
                self._begin_round(self._done_points)
            if self._end > FRAMES_AT + _SHRINK_BYTES and self._file is not None:
                # The database knows the numbers that it has: those begin again behind the slots.
                with contextlib.suppress(OSError):
                    os.ftruncate(self._file, FRAMES_AT)
                    self._end = self._read = FRAMES_AT

    @property
    def waiting(self) -> int:
        """How many records and points the database does not have, about; 0: none."""
        records = (self._read < self._end) + len(self._memory) + len(self._late)
        return records + self.points - self._done_points

    def close(self) -> Path | None:
        """Close the file, and remove it if the database has all of it; else return its path.

        None, while `waiting` was not 0, means that the rest is lost: no disk took it.
        """
        with self._lock:
            kept = self._rescue() if self.waiting else None
            self._release()
            if self.path is not None and kept is None:
                self.path.unlink(missing_ok=True)
            self._start_empty()
            self.path, self._closed = None, True
            return kept

    def _rescue(self) -> Path | None:
        """Return a file that has all that waits, also what only memory had; None if none can."""
        batch = self.take(2**62)
        if self._file is None:
            slots = bytes(self._view)
            for folder in pending_folders(self._database):
                with contextlib.suppress(OSError):
                    self._make_file(folder, self._identity())
                    break
            if self._map is None:
                return None
            self._map[BASE_AT : BASE_AT + 8] = slots[BASE_AT : BASE_AT + 8]
            self._map[SLOTS_AT:] = slots[SLOTS_AT:]
        for frame in batch.frames[len(batch.frames) - batch.from_memory :]:
            if not self._write(frame.number, frame.kind, frame.fields, frame.blobs):
                return None
        return self.path

    def forget(self) -> None:
        """In the child of a fork: leave the parent its journal, and begin another one."""
        self._release()
        self.path = None
        self._lock = threading.RLock()
        self._start_empty()

    def _release(self) -> None:
        if self._map is not None:
            self._map.close()
            self._map = None
        if self._file is not None:
            os.close(self._file)
            self._file = None

    # --------------------------------------------------------------------- the file

    def _open(self) -> None:
        if self._opened:
            return
        for folder in pending_folders(self._database):
            with contextlib.suppress(OSError):
                self._make_file(folder, self._identity())
                break
        else:
            self._view = bytearray(FRAMES_AT)
        self._opened = True
        self._full = FRAMES_AT
        self._begin_round(0)

    def _make_file(self, folder: Path, identity: Mapping[str, Any]) -> None:
        name = f"{self._database.name}-pending-{identity['session_id'][:16]}"
        path = folder / name
        if folder != self._database.parent:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = os.open(
            path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600
        )
        try:
            # Room on the disk now: writing to a page that finds none later kills the process.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file, 0, FRAMES_AT)
            else:
                write_all(file, [bytes(FRAMES_AT)], 0)
            os.pwrite(file, head(0, json.dumps(dict(identity)).encode()), 0)
            self._map = self._view = mmap.mmap(file, FRAMES_AT)
        except (OSError, ValueError):
            os.close(file)
            path.unlink(missing_ok=True)
            raise
        self._file, self.path = file, path
