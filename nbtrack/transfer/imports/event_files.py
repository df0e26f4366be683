"""TensorBoard's event files: records with checksums, each an event. TensorFlow is not needed.

A record is its length, a checksum of that, its bytes, a checksum of these. What a process writes
just now, or was killed while it wrote, ends anywhere. What the records hold is defined by the
``tensorboard`` package, and so are the checksums; its own loader does not tell why a file ends.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbtrack.errors import IntegrityError
from nbtrack.media.optional import need

_HEAD = struct.Struct("<QI")
_CHECKSUM = struct.Struct("<I")
_PURPOSE = "Reading TensorBoard's event files"


def tensorboard(module: str) -> Any:
    """Return one of TensorBoard's modules, none of which imports TensorFlow.

    Raises
    ------
    MissingPackageError
        It is not installed.
    """
    return need(f"tensorboard.{module}", "nbtrack[tensorboard]", _PURPOSE)


def event_files(root: Path) -> Iterator[tuple[Path, list[Path]]]:
    """Yield each folder below a folder that has event files, with them in the order of their names.

    These are what TensorBoard takes for runs. Links to folders are not followed.
    """
    for folder, folders, names in os.walk(root):
        folders.sort()
        paths = [Path(folder, name) for name in sorted(names) if _is_event_file(name)]
        if paths := [path for path in paths if path.is_file()]:
            yield Path(folder), paths


def _is_event_file(name: str) -> bool:
    return "tfevents" in name and not name.endswith(".profile-empty")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record is: it can be read again."""

    path: Path
    offset: int
    size: int

    def event(self) -> Any:
        """Return the event again.

        Raises
        ------
        IntegrityError
            It is none any more.
        """
        with self.path.open("rb") as file:
            file.seek(self.offset)
            return _event(file.read(self.size))


def verified_events(path: Path) -> Iterator[tuple[Place, Any]]:
    """Yield the events of a file, as far as it is whole.

    Raises
    ------
    IntegrityError
        The file ends within a record, or is damaged; it was whole up to there.
    """
    checksum = tensorboard("compat.tensorflow_stub.pywrap_tensorflow").masked_crc32c
    with path.open("rb") as file:
        length = os.fstat(file.fileno()).st_size
        offset = 0
        while offset < length:  # what is written from now on comes the next time
            head = file.read(_HEAD.size)
            broken = IntegrityError(
                f"The event file {path} ends within a record, at byte {offset} of {length}.",
                hint="The process that wrote it still does, or was killed. Import it again later.",
            )
            if len(head) < _HEAD.size:
                raise broken
            size, expected = _HEAD.unpack(head)
            if checksum(head[:8]) != expected:
                raise _damaged(path, offset)
            if size + _CHECKSUM.size > length - offset - _HEAD.size:
                raise broken
            data = file.read(size)
            if checksum(data) != _CHECKSUM.unpack(file.read(_CHECKSUM.size))[0]:
                raise _damaged(path, offset)
            yield Place(path, offset + _HEAD.size, size), _event(data)
            offset += _HEAD.size + size + _CHECKSUM.size


def events(path: Path, end: int) -> Iterator[Any]:
    """Yield the events of a file that was verified up to a byte."""
    with path.open("rb") as file:
        while file.tell() < end:
            size, _ = _HEAD.unpack(file.read(_HEAD.size))
            yield _event(file.read(size))
            file.seek(_CHECKSUM.size, os.SEEK_CUR)


def message(module: str, name: str, data: bytes) -> Any:
    """Return a message of one of TensorBoard's modules, of its bytes.

    Raises
    ------
    IntegrityError
        It is none.
    """
    decode_error = need("google.protobuf.message", "nbtrack[tensorboard]", _PURPOSE).DecodeError
    try:
        return getattr(tensorboard(module), name).FromString(data)
    except decode_error as error:
        raise IntegrityError(
            f"A record is no {name} of TensorBoard: {error}.",
            hint="Import what was written by TensorBoard, TensorFlow or PyTorch.",
        ) from error


def _event(data: bytes) -> Any:
    return message("compat.proto.event_pb2", "Event", data)


def _damaged(path: Path, offset: int) -> IntegrityError:
    return IntegrityError(
        f"The event file {path} is damaged at byte {offset}: the checksum of a record is wrong.",
        hint="Take the file from a backup.",
    )
