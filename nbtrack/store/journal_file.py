"""The file of a journal: its layout, and how it is read and written.

Beside the database it is called ``<database>-pending-<session>``. In the byte order of the machine:

    0        magic (8 bytes), ordinal of the point in slot 0 and where the frames begin (uint64),
             length of the JSON (uint32)
    28       JSON: who writes
    4080     how many records and points were delivered (uint64); 0 where the database keeps that
    4096     slots for points: step, timestamp (int64), value (float64), series, mark (uint32)
    ...      frames: records one after the other, each with its number and a digest

A slot counts if its mark is the one that is expected there: its place in the file plus a number
that no two rounds through the slots have in common. The mark is written last. A file may come from
anywhere: what is read is bound by its size, and what does not fit ends the reading.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import mmap
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbtrack.db import Fields, is_network_folder

MAGIC = b"nbtrkjl1"
SLOTS = 32_768
SLOT = struct.Struct("=qqdII")  # step, timestamp, value, series, mark
SLOTS_AT = 4096
FRAMES_AT = SLOTS_AT + SLOTS * SLOT.size
BASE_AT = 8  # where the ordinal of slot 0 stands
START_AT = 16  # where it stands where the frames begin
DELIVERED = struct.Struct("=QQ")
DELIVERED_AT = SLOTS_AT - DELIVERED.size

_HEAD = struct.Struct("=8sQQI")
_FRAME = struct.Struct("=QQIIQ")  # size of what follows, number, length of the JSON, 0, digest
_ROUND = 2**31  # marks of a round begin below this, so that they never run over
_MOST = 2**62  # no number in a file is greater: each, and a sum of two, is one of SQLite's
_LARGE = 2**28  # a frame that is looked at twice
_DENSEST = 64  # times that a file system may make a file smaller
_BLOCK = 2**20
_VECTORS = 16  # parts that any system writes with one call


@dataclass(frozen=True, slots=True)
class Head:
    """The beginning of a journal.

    Parameters
    ----------
    base
        Ordinal of the point in slot 0.
    start
        Where the frames begin.
    identity
        Who writes.
    delivered
        How many records and points of it a server has.
    """

    base: int
    start: int
    identity: dict[str, Any]
    delivered: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Frame:
    """A record as it lies in a journal."""

    number: int
    kind: str
    fields: Fields
    blobs: Sequence[bytes] = ()


class PendingFile:
    """A journal's file, as the process has it that writes it.

    Attributes
    ----------
    path
        Where it lies.
    file
        Its descriptor.
    view
        Head and slots, mapped into memory.
    end
        Where the next frame begins.
    """

    def __init__(self, path: Path, file: int, view: mmap.mmap) -> None:
        self.path = path
        self.file = file
        self.view = view
        self.end = FRAMES_AT

    @classmethod
    def make(cls, folder: Path, database: Path, identity: Mapping[str, Any]) -> PendingFile:
        """Make the file of a session in a folder.

        Raises
        ------
        OSError, ValueError
            It cannot be made there; who writes has no room in the head.
        """
        path = folder / f"{database.name}-pending-{identity['session_id'][:16]}"
        if folder != database.parent:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
        file = os.open(path, flags, 0o600)
        try:
            # Room on the disk now: writing to a page that finds none later kills the process.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file, 0, FRAMES_AT)
            else:
                write_all(file, [bytes(FRAMES_AT)], 0)
            os.pwrite(file, head(0, json.dumps(dict(identity)).encode()), 0)
            return cls(path, file, mmap.mmap(file, FRAMES_AT))
        except (OSError, ValueError):
            os.close(file)
            path.unlink(missing_ok=True)
            raise

    def write(self, number: int, kind: str, fields: Fields, blobs: Sequence[bytes] = ()) -> None:
        """Write a frame behind the others.

        Raises
        ------
        OSError
            The disk did not take it; the file is as it was.
        TypeError, ValueError
            JSON cannot hold the fields.
        """
        parts, size = encode_frame(number, kind, fields, blobs)
        try:
            write_all(self.file, parts, self.end)
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self.file, self.end)
            raise
        self.end += size

    def take_over(self, other: PendingFile, start: int) -> None:
        """Write the frames of another file, from a place on, behind the own ones.

        Raises
        ------
        OSError
            The disk did not take them.
        """
        while start < other.end:
            block = os.pread(other.file, min(_BLOCK, other.end - start), start)
            if not block:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            write_all(self.file, [block], self.end)
            start += len(block)
            self.end += len(block)

    def close(self, *, remove: bool) -> None:
        """Close the file, and remove it."""
        self.view.close()
        os.close(self.file)
        if remove:
            self.path.unlink(missing_ok=True)


def pending_folders(database: Path) -> list[Path]:
    """Return where journals of a database may lie, best first.

    Beside it; or, where that cannot be written or is on another machine, in the user's own folder.
    """
    import platformdirs

    name = hashlib.sha256(os.fsencode(database)).hexdigest()[:32]
    own = Path(platformdirs.user_state_dir("nbtrack", appauthor=False)) / "pending" / name
    return [own] if is_network_folder(database.parent) else [database.parent, own]


def head(base: int, identity: bytes) -> bytes:
    """Return the beginning of a file, up to the first slot.

    Raises
    ------
    ValueError
        The identity, as JSON, has no room.
    """
    content = _HEAD.pack(MAGIC, base, FRAMES_AT, len(identity)) + identity
    if len(content) > DELIVERED_AT:
        raise ValueError("the identity has no room")
    return content.ljust(SLOTS_AT, b"\0")


def round_mark(base: int) -> int:
    """Return what the marks are greater than the slots' places, in the round after an ordinal."""
    return base % _ROUND


def encode_frame(
    number: int, kind: str, fields: Fields, blobs: Sequence[bytes]
) -> tuple[list[bytes], int]:
    """Return a frame in parts, and how many bytes it is.

    Raises
    ------
    TypeError, ValueError
        JSON cannot hold the fields.
    """
    content = json.dumps([kind, fields, [len(blob) for blob in blobs]]).encode()
    size = len(content) + sum(map(len, blobs))
    header = _FRAME.pack(size, number, len(content), 0, _digest(content, *blobs))
    return [header, content, *blobs], _FRAME.size + size


def frames(file: int, start: int, end: int | None = None) -> Iterator[tuple[Frame, int]]:
    """Yield the frames of a journal from a place on, and where each ends.

    A frame that is cut short or damaged ends them: it was being written when the process, or the
    machine, died.
    """
    end = os.fstat(file).st_size if end is None else end
    buffer, offset = b"", start  # what was read, and where it begins
    place = start
    while place < end:
        buffer, offset = _read_on(file, buffer, offset, place, _FRAME.size)
        if len(buffer) - (place - offset) < _FRAME.size:
            return
        size, number, length, _, digest = _FRAME.unpack_from(buffer, place - offset)
        if place + _FRAME.size + size > end or length > size or number > _MOST:
            return
        if size > _LARGE and _is_hollow(file):
            return
        buffer, offset = _read_on(file, buffer, offset, place, _FRAME.size + size)
        start_at = place - offset + _FRAME.size
        content = buffer[start_at : start_at + length]
        rest = memoryview(buffer)[start_at + length : start_at + size]
        if len(content) + len(rest) < size or _digest(content, rest) != digest:
            return
        try:
            kind, fields, sizes = json.loads(content)
            blobs, at = [], 0
            for blob in sizes:
                blobs.append(bytes(rest[at : at + blob]))
                at += blob
        except (ValueError, TypeError, RecursionError):
            return
        place += _FRAME.size + size
        yield Frame(number, kind, fields, blobs), place


def _is_hollow(file: int) -> bool:
    """Return whether a file says to be far larger than it is, and would only fill the memory."""
    found = os.fstat(file)
    blocks = getattr(found, "st_blocks", None)  # of 512 bytes; not every system tells
    return blocks is not None and blocks * 512 * _DENSEST < found.st_size


def _read_on(file: int, buffer: bytes, offset: int, place: int, size: int) -> tuple[bytes, int]:
    """Return a buffer that has `size` bytes from `place` on, if the file has; and its place."""
    if place - offset + size <= len(buffer):
        return buffer, offset
    rest = buffer[place - offset :]
    wanted = max(size, _BLOCK) - len(rest)
    return rest + os.pread(file, wanted, place + len(rest)), place


def points_in(data: bytes) -> Iterator[tuple[Any, ...]]:
    """Yield step, timestamp, value, series and mark of each slot in bytes."""
    return SLOT.iter_unpack(data)


def series_fields(ids: Mapping[tuple[str, str], int]) -> Fields:
    """Return the fields of a frame that says which run and metric the series in slots are of."""
    return [part for name, series in ids.items() for part in (series, *name)]


def series_in(fields: Fields) -> dict[int, tuple[str, str]]:
    """Return what a frame says of series: run and metric by the series' number.

    Raises
    ------
    TypeError, ValueError
        It is no such frame.

    Examples
    --------
    >>> series_in([1, "f00d", "loss", 2, "f00d", "accuracy"])
    {1: ('f00d', 'loss'), 2: ('f00d', 'accuracy')}
    """
    if not fields:
        raise ValueError("there are none")
    parts = iter(fields)
    return {
        int(series): (str(run_id), str(key))
        for series, run_id, key in zip(parts, parts, parts, strict=True)
    }


def count_points(data: bytes) -> int:
    """Return how many slots bytes hold."""
    return len(data) // SLOT.size


def drop_points(data: bytes, count: int) -> bytes:
    """Return the bytes of slots without the first ones."""
    return data[count * SLOT.size :] if count > 0 else data


def read_head(file: int) -> Head | None:
    """Return the head of a journal; None if the file is none."""
    data = os.pread(file, SLOTS_AT, 0)
    if len(data) < SLOTS_AT or not data.startswith(MAGIC):
        return None
    _, base, start, length = _HEAD.unpack_from(data)
    try:
        identity = json.loads(data[_HEAD.size : _HEAD.size + length])
    except (ValueError, RecursionError):
        return None
    if not isinstance(identity, dict) or base > _MOST or not FRAMES_AT <= start <= _MOST:
        return None
    records, points = DELIVERED.unpack_from(data, DELIVERED_AT)
    return Head(base, start, identity, (records, points))


def read_slots(file: int, base: int) -> bytes:
    """Return the bytes of the slots of the present round that were filled."""
    data = os.pread(file, SLOTS * SLOT.size, SLOTS_AT)
    mark = round_mark(base) + SLOTS_AT
    filled = 0
    for i, (*_, found) in enumerate(SLOT.iter_unpack(data[: len(data) // SLOT.size * SLOT.size])):
        if found != mark + i * SLOT.size:
            break
        filled += 1
    return data[: filled * SLOT.size]


def _digest(*parts: bytes | memoryview) -> int:
    import xxhash

    state = xxhash.xxh3_64()
    for part in parts:
        state.update(part)
    return state.intdigest()


def write_all(file: int, parts: Sequence[bytes], offset: int) -> None:
    """Write all parts at a place of a file.

    Raises
    ------
    OSError
        The disk is full, or worse.
    """
    if len(parts) <= _VECTORS and sum(map(len, parts)) < _BLOCK and hasattr(os, "pwritev"):
        written = os.pwritev(file, parts, offset)
        if written == sum(map(len, parts)):
            return
    for part in parts:
        view = memoryview(part)
        while view:
            written = os.pwrite(file, view[: 64 * _BLOCK], offset)
            view, offset = view[written:], offset + written
