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
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbtrack.db import Fields, Loggable
from nbtrack.store.journal_file import (
    BASE_AT,
    DELIVERED,
    DELIVERED_AT,
    FRAMES_AT,
    SLOT,
    SLOTS_AT,
    START_AT,
    Frame,
    PendingFile,
    frames,
    pending_folders,
    points_in,
    round_mark,
    series_fields,
    series_in,
    write_all,
)

POINTS = "points"  # the kind of a frame of points that found no room
SERIES = "series"  # the kind of a frame that says what a series in a slot is
ONE_POINT = "add_points"  # the kind of the record of points that take no slot

_pack, _SLOT_SIZE = SLOT.pack_into, SLOT.size  # the fastest verb looks up nothing that it need not
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
        self._file: PendingFile | None = None
        self._start_empty()

    def _start_empty(self) -> None:
        self._ids: dict[tuple[str, str], int] = {}
        self._unsaid: dict[int, tuple[str, str]] = {}  # series that only the database knows
        self._last_id = 0
        self.records = 0
        self._busy = False
        self._awake = False
        self._closed = False
        self._held = False  # the writer is in trouble: what waits is bounded
        self._opened = False
        self._view: mmap.mmap | bytearray = bytearray()  # head and slots
        self._base = 0  # ordinal of slot 0
        self._done_points = 0
        self._at = self._full = 0  # byte of the next slot, and of none
        self._mark = 1
        self._read = FRAMES_AT  # where in the file the frames begin that the database lacks
        self._memory: deque[Frame] = deque()  # frames that the file did not take
        self._memory_bytes = 0
        self._late: deque[tuple[str, Fields, tuple[bytes, ...]]] = deque()

    @property
    def path(self) -> Path | None:
        """Where the file is, if there is one."""
        return None if self._file is None else self._file.path

    @property
    def _end(self) -> int:
        return self._read if self._file is None else self._file.end

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
            if self._busy:
                self._put_point_aside(run_id, key, value, step, timestamp)
                return
            self._busy = True
            try:
                series = self._ids.get((run_id, key))
                if series is None or self._at == self._full:
                    series = self._prepare(run_id, key)
                if series:
                    at = self._at
                    _pack(self._view, at, step, timestamp, value, series, self._mark + at)
                    self._at = at + _SLOT_SIZE
            finally:
                self._busy = False
        if not self._awake:
            self._wake()

    def expect(self, run_id: str, keys: Iterable[str]) -> None:
        """Say in one frame what several new series are, whose first points come next.

        Where that cannot be done, and of a single one, the first point says it.
        """
        with self._lock:
            if self._busy or self._closed:
                return
            new = [key for key in keys if (run_id, key) not in self._ids]
            if len(new) <= 1:
                return
            self._busy = True
            try:
                self._open()
                if len(self._ids) + len(new) > _MAX_SERIES:
                    self._ids.clear()
                given = {(run_id, key): self._last_id + i for i, key in enumerate(new, 1)}
                self._last_id += len(new)
                if self._put(SERIES, series_fields(given), ()):
                    self._ids |= given
            finally:
                self._busy = False

    def append(self, kind: str, record: Loggable) -> bool:
        """Put a record in; return False if there is no room for it.

        Raises
        ------
        TypeError, ValueError
            It cannot be packed.
        """
        with self._lock:
            if self._busy:
                self._put_aside(kind, record.pack(), record.blobs)
                return True
            kept = self._append(kind, record.pack(), record.blobs)
        if not self._awake:
            self._wake()
        return kept

    def touch(self) -> None:
        """Show others, who may be on another machine, that this process is alive."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.utime(self._file.file)

    def hold(self, on: bool) -> None:
        """Bound what waits, as long as the database takes nothing."""
        self._held = on

    def kept(self) -> tuple[int, int]:
        """Return how many records and points were put in by now."""
        with self._lock:
            self._put_late()
            return self.records, self.points

    def _wake(self) -> None:
        self._awake = True
        if self._late:
            with self._lock:
                self._put_late()
        self._on_work()

    def _put_aside(self, kind: str, fields: Fields, blobs: Sequence[bytes]) -> None:
        """Keep what a signal's handler, or a finalizer, logs while this very thread is at work.

        The work is not disturbed: whoever is at it puts the record in when it is done.
        """
        json.dumps(fields)  # the same refusals as for the file
        self._late.append((kind, fields, tuple(blobs)))
        self._awake = False

    def _put_point_aside(
        self, run_id: str, key: str, value: float, step: int, timestamp: int
    ) -> None:
        SLOT.pack(step, timestamp, value, 0, 0)  # the same refusals as for a slot
        self._put_aside(ONE_POINT, [run_id, [[key, value, timestamp, step]]], ())

    def _put_late(self) -> None:
        if self._busy or not self._late:
            return
        self._busy = True
        try:
            while self._late:
                kind, fields, blobs = self._late[0]
                if not self._put(kind, fields, blobs):
                    self._on_fault(f"a record ({kind}), for which there was no room")
                self._late.popleft()
        finally:
            self._busy = False

    def _prepare(self, run_id: str, key: str) -> int:
        """Return the series of a metric, with a free slot for a point; 0: there is no room."""
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
            if not self._put(SERIES, [series, run_id, key], ()):
                self._on_fault("a point of a metric, for which there was no room")
                return 0
            self._ids[run_id, key] = series
        return series

    def _spill(self) -> None:
        """Begin a new round of slots; what the database does not have yet becomes a frame."""
        end = self.points
        if self._done_points < end:
            first = max(self._done_points, self._base)
            start = SLOTS_AT + (first - self._base) * SLOT.size
            if not self._put(POINTS, [first], (bytes(self._view[start : self._at]),)):
                self._on_fault(f"{end - first} points of metrics, for which there was no room")
        self._begin_round(end)

    def _begin_round(self, base: int) -> None:
        mark = round_mark(base)
        # One store of 8 bytes: it is there or not, and either way the marks tell which slots
        # count.
        struct.pack_into("=Q", self._view, BASE_AT, base)
        # Nothing is called from here on: an interrupt comes before all of this, or after it.
        self._base = base
        self._at = SLOTS_AT
        self._mark = mark

    def _append(self, kind: str, fields: Fields, blobs: Sequence[bytes]) -> bool:
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
        self._say_unsaid()  # what comes now may be points of these
        number = self.records + 1
        if self._memory or not self._write(number, kind, fields, blobs):
            if self._memory_bytes + size > self._max_bytes():
                return False
            json.dumps(fields)  # the same refusals as for the file
            frame = Frame(number, kind, fields, tuple(blobs))
            # Counted first: an interrupt comes after the last of these, and the next record must
            # not get the same number.
            self._memory_bytes += size
            self.records = number
            self._memory.append(frame)
        self.records = number
        return True

    def _write(self, number: int, kind: str, fields: Fields, blobs: Sequence[bytes]) -> bool:
        """Write a frame behind the others; return whether the disk took it."""
        if self._file is None:
            return False
        try:
            self._file.write(number, kind, fields, blobs)
        except OSError:
            return False
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
        with self._alone():
            first = max(self._done_points, self._base)
            points = b""
            if first < self.points:
                start = SLOTS_AT + (first - self._base) * SLOT.size
                points = bytes(self._view[start : self._at])
            end = self._end
            memory = list(self._memory)
            last = self.records - len(memory)  # number of the last frame in the file
        batch = Batch(end=self._read)
        if self._file is not None:
            for frame, place in frames(self._file.file, self._read, end):
                batch.frames.append(frame)
                batch.end = place
                if len(batch.frames) >= max_frames:
                    return batch
            if batch.end < end and not batch.frames:
                # Somebody else wrote into the file. What comes now is behind it.
                batch.frames.append(Frame(last, "damaged", []))
                batch.end = end
        if batch.end == end:
            batch.from_memory = len(memory)
            batch.frames += memory
            # Points last: what they are points of may be said by any frame before.
            batch.points, batch.first_point = points, first
        return batch

    def done(self, batch: Batch, points: int) -> None:
        """Forget what is in the database by now: a batch, and all points below an ordinal."""
        with self._alone():
            self._read = batch.end
            for _ in range(batch.from_memory):
                frame = self._memory[0]
                self._drop_from_memory()
                if frame.kind == SERIES and self._file is not None:
                    self._unsaid |= series_in(frame.fields)
            self._say_unsaid()
            for name in self._unsaid.values():
                self._ids.pop(name, None)  # its next point says anew what it is a point of
            self._done_points = max(self._done_points, points)
            if self._memory or self._read < self._end:
                return
            if self._done_points == self.points and self._at > self._full // 2:
                self._begin_round(self._done_points)
            if self._end > FRAMES_AT + _SHRINK_BYTES and self._file is not None:
                with contextlib.suppress(OSError):
                    self._shrink(self._file)

    def note_delivered(self, records: int, points: int) -> None:
        """Keep in the file how much of it a server has, which keeps no such count itself."""
        with self._lock:
            if self._opened and self._view:
                DELIVERED.pack_into(self._view, DELIVERED_AT, records, points)

    def _shrink(self, file: PendingFile) -> None:
        """Give the room of frames back, all of which the database has.

        Points may wait whose series were said in them. These are said again, behind the old frames
        and then in their place, so that whoever recovers the file finds them at any moment.
        """
        first = max(self._done_points, self._base)
        start = SLOTS_AT + (first - self._base) * SLOT.size
        used = {series for *_, series, _ in points_in(bytes(self._view[start : self._at]))}
        self._ids = {name: series for name, series in self._ids.items() if series in used}
        if len(self._ids) < len(used):
            return  # some were forgotten since: the next time
        again = file.end
        for name, series in self._ids.items():
            file.write(0, SERIES, [series, *name])
        size = file.end - again
        self._read = file.end
        if size > again - FRAMES_AT:
            return
        struct.pack_into("=Q", self._view, START_AT, again)
        write_all(file.file, [os.pread(file.file, size, again)], FRAMES_AT)
        struct.pack_into("=Q", self._view, START_AT, FRAMES_AT)
        file.end = self._read = FRAMES_AT + size
        os.ftruncate(file.file, file.end)

    def _say_unsaid(self) -> None:
        """Write what series are whose frames the disk did not take when they were new."""
        while self._unsaid and self._file is not None:
            series, (run_id, key) = next(iter(self._unsaid.items()))
            if not self._write(0, SERIES, [series, run_id, key], ()):
                return
            del self._unsaid[series]

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the lock, and have what a finalizer logs meanwhile wait aside."""
        with self._lock:
            self._put_late()
            self._busy = True
            try:
                yield
            finally:
                self._busy = False

    @property
    def waiting(self) -> int:
        """How many records and points the database does not have, about; 0: none."""
        records = (self._read < self._end) + len(self._memory) + len(self._late)
        return records + self.points - self._done_points

    def make_room(self) -> None:
        """Bring what only memory has into a file: the own one, or one in another folder.

        For the writer, while it takes nothing.
        """
        with self._alone():
            self._say_unsaid()
            while self._memory:
                frame = self._memory[0]
                if not self._write(frame.number, frame.kind, frame.fields, frame.blobs):
                    break
                self._drop_from_memory()
            is_bare = self._file is None and self._done_points < self.points
            if self._memory or self._unsaid or is_bare:
                for folder in pending_folders(self._database):
                    if (self.path is None or folder != self.path.parent) and self._move(folder):
                        break

    def _drop_from_memory(self) -> None:
        frame = self._memory.popleft()
        self._memory_bytes -= sum(map(len, frame.blobs)) + 200

    def _move(self, folder: Path) -> bool:
        """Go on with a file in another folder, which gets all that waits; return whether it did."""
        try:
            new = PendingFile.make(folder, self._database, self._identity())
        except (OSError, ValueError):
            return False
        old = self._file
        try:
            # Noted anew, because they may have been said long ago.
            said = self._unsaid | {series: name for name, series in self._ids.items()}
            for series, name in said.items():
                new.write(0, SERIES, [series, *name])
            if old is not None:
                new.take_over(old, self._read)
            for frame in self._memory:
                new.write(frame.number, frame.kind, frame.fields, frame.blobs)
        except OSError:
            new.close(remove=True)
            return False
        new.view[BASE_AT : BASE_AT + 8] = self._view[BASE_AT : BASE_AT + 8]
        new.view[DELIVERED_AT:] = self._view[DELIVERED_AT:]
        self._file, self._view, self._read = new, new.view, FRAMES_AT
        self._memory.clear()
        self._unsaid.clear()
        self._memory_bytes = 0
        if old is not None:
            old.close(remove=True)
        return True

    def close(self) -> Path | None:
        """Close the file, and remove it if the database has all of it; else return its path.

        What no disk takes is lost, and told.
        """
        with self._lock:
            self._put_late()
            left = self.waiting
            self.make_room()
            if self._memory:
                self._on_fault(
                    f"{_count(self._memory)} records and points, for which there was no room"
                )
            kept = self.path if left else None
            if self._file is not None:
                self._file.close(remove=kept is None)
                self._file = None
            self._start_empty()
            self._closed = True
            return kept

    def forget(self) -> None:
        """In the child of a fork: leave the parent its journal, and begin another one."""
        if self._file is not None:
            self._file.close(remove=False)
            self._file = None
        self._lock = threading.RLock()
        self._start_empty()

    def _open(self) -> None:
        if self._opened:
            return
        for folder in pending_folders(self._database):
            with contextlib.suppress(OSError, ValueError):
                self._file = PendingFile.make(folder, self._database, self._identity())
                self._view = self._file.view
                break
        else:
            self._view = bytearray(FRAMES_AT)
        self._opened = True
        self._full = FRAMES_AT
        self._begin_round(0)


def _count(frames_of: Iterable[Frame]) -> int:
    """Return how many records and points frames have."""
    return sum(
        sum(map(len, frame.blobs)) // SLOT.size if frame.kind == POINTS else frame.kind != SERIES
        for frame in frames_of
    )
