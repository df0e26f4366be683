"""Artifacts as content-addressed blobs in the database file itself."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from nbtrack.artifacts.base import Files
from nbtrack.artifacts.digest import check_path, sha256
from nbtrack.db import Fields, Loggable, Reader, RecordSink
from nbtrack.errors import IntegrityError, NotFoundError
from nbtrack.types import ArtifactInfo

CHUNK = 2**20
_SAMPLE = 2**18
_PAYS = 0.9  # compressed to less than this share, or kept raw
_LEVEL = 3  # measured on forests: a fifth of the pickle at 0.4 GB/s; higher levels gain little


@dataclass(frozen=True, slots=True)
class PutFiles(Loggable):
    """Files of a run; one that is there is replaced."""

    run_id: str
    files: Files

    @property
    def blobs(self) -> Sequence[bytes]:
        """The files' bytes."""
        return tuple(self.files.values())

    def pack(self) -> Fields:
        """Return the packed form."""
        return [self.run_id, list(self.files)]

    @classmethod
    def unpack(cls, fields: Fields, blobs: Sequence[bytes]) -> Self:
        """Return the record that was packed."""
        run_id, paths = fields
        return cls(run_id, dict(zip(paths, blobs, strict=True)))

    def apply(self, conn: sqlite3.Connection) -> None:
        """Write them."""
        for path, data in self.files.items():
            digest = put_blob(conn, data)
            conn.execute(
                "INSERT INTO artifacts (run_id, path, digest) VALUES (?, ?, ?)"
                " ON CONFLICT (run_id, path) DO UPDATE SET digest = excluded.digest",
                (self.run_id, check_path(path), digest),
            )


def put_blob(conn: sqlite3.Connection, data: bytes) -> str:
    """Store bytes, unless they are there already; return their digest."""
    digest = sha256(data)
    if conn.execute("SELECT 1 FROM blobs WHERE digest = ?", (digest,)).fetchone():
        return digest
    encoding, stored = _compress(data)
    conn.execute(
        "INSERT INTO blobs (digest, size_bytes, encoding) VALUES (?, ?, ?)",
        (digest, len(data), encoding),
    )
    view = memoryview(stored)
    conn.executemany(
        "INSERT INTO blob_chunks (digest, seq, data) VALUES (?, ?, ?)",
        (
            (digest, seq, view[start : start + CHUNK])
            for seq, start in enumerate(range(0, len(view), CHUNK))
        ),
    )
    return digest


def _compress(data: bytes) -> tuple[str, bytes]:
    import zstandard

    compressor = zstandard.ZstdCompressor(level=_LEVEL)
    middle = max(0, (len(data) - _SAMPLE) // 2)
    sample = data[middle : middle + _SAMPLE]
    if not sample or len(compressor.compress(sample)) > _PAYS * len(sample):
        return "raw", data
    return "zstd", compressor.compress(data)


class SqliteArtifacts:
    """An `ArtifactStore` in the database file.

    Parameters
    ----------
    sink
        Where records go: the writer of the file.
    reader
        Read-only connections to the same file.
    """

    def __init__(self, sink: RecordSink, reader: Reader) -> None:
        self._sink = sink
        self._reader = reader

    def put(self, run_id: str, files: Files) -> None:
        """Store files; returns at once."""
        self._sink.submit(PutFiles(run_id, {check_path(path): files[path] for path in files}))

    def list(self, run_id: str, path: str = "") -> list[ArtifactInfo]:
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
        self._sink.flush()
        row = self._reader.row(
            "SELECT digest, size_bytes, encoding FROM artifacts JOIN blobs USING (digest)"
            " WHERE run_id = ? AND path = ?",
            (run_id, path),
        )
        if row is None:
            raise NotFoundError(f"The run {run_id} has no artifact {path!r}.")
        chunks = self._reader.rows(
            "SELECT data FROM blob_chunks WHERE digest = ? ORDER BY seq", (row["digest"],)
        )
        data = b"".join(chunk["data"] for chunk in chunks)
        return _verified(data, row, f"artifact {path!r} of run {run_id}")

    def download(self, run_id: str, path: str, target: Path) -> Path:
        """Write a file, or all files below a path, into a folder; return where `path` is now."""
        files = self.list(run_id, path)
        if not files:
            raise NotFoundError(f"The run {run_id} has no artifact {path!r}.")
        for file in files:
            # A database can come from anywhere: its paths are checked again on the way out.
            place = target / check_path(file.path)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(self.read(run_id, file.path))
        return target / path


def _verified(data: bytes, row: sqlite3.Row, what: str) -> bytes:
    import zstandard

    if row["encoding"] == "zstd":
        try:
            # The frame may claim any size, and room for it would be made: the database can come
            # from anywhere.
            if zstandard.frame_content_size(data) != row["size_bytes"]:
                raise zstandard.ZstdError("its size is not what was noted")
            data = zstandard.ZstdDecompressor().decompress(data, max_output_size=row["size_bytes"])
        except zstandard.ZstdError as error:
            raise IntegrityError(f"The {what} cannot be read: {error}.") from error
    if sha256(data) != row["digest"]:
        raise IntegrityError(
            f"The {what} is not what was stored: its bytes do not match {row['digest']}.",
            hint="Take the database from a backup.",
        )
    return data
