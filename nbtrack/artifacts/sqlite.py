"""Artifacts as content-addressed contents: short ones in the database file, long ones beside it."""

from __future__ import annotations

import os
import secrets
import sqlite3
import threading
import weakref
from builtins import list as List  # noqa: N812 - a method has its name
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from nbtrack.artifacts import places
from nbtrack.artifacts.base import Files
from nbtrack.artifacts.digest import check_path
from nbtrack.artifacts.encoding import decoded
from nbtrack.artifacts.incoming import receive
from nbtrack.artifacts.names import Names, folded
from nbtrack.artifacts.records import PutContent, PutFiles
from nbtrack.db import Reader, RecordSink
from nbtrack.errors import IntegrityError, InvalidParameterError, NbtrackError, NotFoundError
from nbtrack.types import ArtifactInfo

_MAX_RUNS = 256  # whose paths are remembered
_MAX_NEW = 8  # runs that have just begun

_CONTENT = (
    "SELECT digest, size_bytes, encoding, uri FROM blobs LEFT JOIN blob_places USING (place_id)"
)
_NEXT_CHUNK = "SELECT seq, data FROM blob_chunks WHERE digest = ? AND seq > ? ORDER BY seq LIMIT 1"

_all: weakref.WeakSet[SqliteArtifacts] = weakref.WeakSet()


class SqliteArtifacts:
    """An `ArtifactStore` of a database file.

    Parameters
    ----------
    sink
        Where records go: the writer of the file.
    reader
        Read-only connections to the same file.
    session
        Asked for the id of this process's session.
    """

    def __init__(
        self, sink: RecordSink, reader: Reader, session: Callable[[], str] = lambda: "x"
    ) -> None:
        self._sink = sink
        self._reader = reader
        self._session = session
        self._names: dict[str, Names] = {}
        self._naming = threading.Lock()
        self._new: deque[str] = deque(maxlen=_MAX_NEW)
        _all.add(self)

    def expect_none(self, run_id: str) -> None:
        """Know that a run has no files yet, since it begins now: nobody has to look for them."""
        self._new.append(run_id)

    def put(self, run_id: str, files: Files) -> None:
        """Store files; returns at once."""
        checked = {check_path(path): files[path] for path in files}
        self._claim(run_id, checked)
        self._sink.submit(PutFiles(run_id, checked))

    def put_file(self, run_id: str, path: str, file: Path) -> None:
        """Store a file of the disk as it is now; a long one is read once, in pieces."""
        check_path(path)
        with file.open("rb") as stream:
            if os.fstat(stream.fileno()).st_size <= places.file_limit():
                self.put(run_id, {path: stream.read()})
                return
            self._claim(run_id, [path])
            content = receive(stream, self._reader.path, session=self._session())
        self._sink.submit(PutContent(run_id, path, content))

    def _claim(self, run_id: str, paths: Iterable[str]) -> None:
        """Refuse paths that cannot be beside those that the run has."""
        with self._naming:
            names = self._names.get(run_id)
            if names is None:
                names = self._names[run_id] = Names(self._first_paths(run_id))
                if len(self._names) > _MAX_RUNS:
                    del self._names[next(iter(self._names))]
            names.claim(paths)

    def _first_paths(self, run_id: str) -> List[str]:
        """Return the paths that a run has when it gets its first one from here."""
        if run_id not in self._new:
            return self._stored_paths(run_id)
        self._new.remove(run_id)
        return []

    def _stored_paths(self, run_id: str) -> List[str]:
        """Return the paths that a run has in the file; what is on its way there is ours."""
        try:
            rows = self._reader.rows("SELECT path FROM artifacts WHERE run_id = ?", (run_id,))
        except NbtrackError:
            # There is no file yet, or its trouble is told by who writes to it. What gets in now
            # is looked at when it is downloaded.
            return []
        return [row["path"] for row in rows]

    def list(self, run_id: str, path: str = "") -> List[ArtifactInfo]:
        """Return the files of a run that are at or below a path, sorted."""
        self._sink.flush()
        rows = self._reader.rows(
            "SELECT path, digest, size_bytes FROM artifacts JOIN blobs USING (digest)"
            " WHERE run_id = ? ORDER BY path",
            (run_id,),
        )
        below = f"{path.strip('/')}/" if path else ""
        return [
            ArtifactInfo(row["path"], row["digest"], row["size_bytes"])
            for row in rows
            if row["path"].startswith(below) or row["path"] == path
        ]

    def read(self, run_id: str, path: str) -> bytes:
        """Return the bytes of a file, verified."""
        return b"".join(self.stream(run_id, path))

    def stream(self, run_id: str, path: str) -> Iterator[bytes]:
        """Yield the bytes of a file in pieces; the last one only if all of them are right."""
        self._sink.flush()
        row = self._reader.row(
            f"{_CONTENT} JOIN artifacts USING (digest) WHERE run_id = ? AND path = ?",
            (run_id, path),
        )
        if row is None:
            raise NotFoundError(f"The run {run_id} has no artifact {path!r}.")
        what = f"artifact {path!r} of run {run_id}"
        stored = self._stored(row, what)
        return decoded(stored, row["encoding"], row["size_bytes"], row["digest"], what)

    def _stored(self, row: sqlite3.Row, what: str) -> Iterator[bytes]:
        """Yield what is stored of a content, from where it is now."""
        while True:
            pieces = self._pieces(row)
            try:
                first = next(pieces, b"")
            except NotFoundError as error:
                moved = self._reader.row(f"{_CONTENT} WHERE digest = ?", (row["digest"],))
                if moved is None or moved["uri"] == row["uri"]:
                    raise IntegrityError(
                        f"The {what} is gone: {error.message}", hint=error.hint
                    ) from error
                row = moved  # it has been brought elsewhere meanwhile
            else:
                yield first
                yield from pieces
                return

    def _pieces(self, row: sqlite3.Row) -> Iterator[bytes]:
        if row["uri"] is not None:
            yield from places.read_stored(
                row["uri"], self._reader.path, row["digest"], row["encoding"]
            )
            return
        seq = -1
        while chunk := self._reader.row(_NEXT_CHUNK, (row["digest"], seq)):
            seq = chunk["seq"]
            yield chunk["data"]

    def download(self, run_id: str, path: str, target: Path) -> Path:
        """Write a file, or all files below a path, into a folder; return where `path` is now."""
        files = self.list(run_id, path)
        if not files:
            raise NotFoundError(f"The run {run_id} has no artifact {path!r}.")
        written: dict[str, str] = {}
        for file in files:
            # A database can come from anywhere: its paths are checked again on the way out.
            place = target / check_path(file.path)
            other = written.get(folded(file.path))
            if other is not None and place.exists():
                raise _same_file(file.path, other, target)
            self._write(run_id, file.path, place)
            written[folded(file.path)] = file.path
        return target / path

    def _write(self, run_id: str, path: str, place: Path) -> None:
        pieces = self.stream(run_id, path)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            part = place.with_name(f".nbtrack-{secrets.token_hex(8)}.part")
            try:
                with part.open("xb", buffering=0) as file:
                    for piece in pieces:
                        view = memoryview(piece)
                        while view:
                            view = view[file.write(view) :]
                part.replace(place)
            finally:
                part.unlink(missing_ok=True)
        except OSError as error:
            raise InvalidParameterError(
                f"The artifact {path!r} cannot be written to {place}: {error.strerror}.",
                hint="Download it into an empty folder that has room: give another dst_path.",
            ) from error

    def _after_fork_in_child(self) -> None:
        self._naming = threading.Lock()


def _same_file(path: str, other: str, target: Path) -> InvalidParameterError:
    return InvalidParameterError(
        f"{path!r} and {other!r} are the same file in {target}: the second one was not written.",
        hint="Download each of them into a folder of its own.",
    )


def _after_fork_in_child() -> None:
    for artifacts in list(_all):
        artifacts._after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
