"""Contents of files: copied as they lie there, a chunk at a time, and verified on the way."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from nbtrack.artifacts.sqlite import CHUNK
from nbtrack.db import Connection
from nbtrack.errors import IntegrityError
from nbtrack.transfer.sqlite import Source

_ENCODINGS = ("raw", "zstd")


def copy_blob(source: Source, conn: Connection, digest: str, *, dry_run: bool) -> int | None:
    """Copy a content that is not there yet.

    Returns
    -------
    int or None
        The room it takes; None if it was there.

    Raises
    ------
    IntegrityError
        The source does not have it, or not as its digest says.
    """
    if conn.execute("SELECT 1 FROM blobs WHERE digest = ?", (digest,)).fetchone():
        return None
    blob = source.row(
        "SELECT size_bytes, encoding, (SELECT sum(length(data)) FROM blob_chunks c"
        " WHERE c.digest = b.digest) AS stored, (SELECT max(length(data)) FROM blob_chunks c"
        " WHERE c.digest = b.digest) AS longest FROM blobs b WHERE digest = ?",
        (digest,),
    )
    if blob is None or blob["encoding"] not in _ENCODINGS or (blob["longest"] or 0) > CHUNK:
        raise _damaged(digest, "it is not stored as nbtrack does")
    conn.execute(
        "INSERT INTO blobs (digest, size_bytes, encoding) VALUES (?, ?, ?)",
        (digest, blob["size_bytes"], blob["encoding"]),
    )
    if not dry_run:
        chunks = _copied(source, conn, digest)
        if blob["encoding"] == "zstd":
            chunks = _decompressed(chunks, digest, blob["size_bytes"])
        _verify(chunks, digest, blob["size_bytes"])
    return int(blob["stored"] or 0)


def _copied(source: Source, conn: Connection, digest: str) -> Iterator[bytes]:
    """Yield the chunks, each when it is stored."""
    rows = source.rows("SELECT data FROM blob_chunks WHERE digest = ? ORDER BY seq", (digest,))
    for seq, (data,) in enumerate(rows):
        conn.execute(
            "INSERT INTO blob_chunks (digest, seq, data) VALUES (?, ?, ?)", (digest, seq, data)
        )
        yield data


class _Stream:
    """Chunks as a file that can be read."""

    def __init__(self, chunks: Iterator[bytes], first: bytes) -> None:
        self._chunks = chunks
        self._rest = first

    def read(self, size: int) -> bytes:
        """Return the next bytes: none at the end."""
        if not self._rest:
            self._rest = next(self._chunks, b"")
        part, self._rest = self._rest[:size], self._rest[size:]
        return part


def _decompressed(chunks: Iterator[bytes], digest: str, size: int) -> Iterator[bytes]:
    import zstandard

    try:
        first = next(chunks, b"")
        # As it is checked when the file is read: see `nbtrack.artifacts.sqlite`.
        if zstandard.frame_content_size(first) != size:
            raise _damaged(digest, "its size is not what was noted")
        stream = _Stream(chunks, first)
        with zstandard.ZstdDecompressor().stream_reader(stream) as reader:  # type: ignore[arg-type]
            while part := reader.read(CHUNK):
                yield part
    except zstandard.ZstdError as error:
        raise _damaged(digest, str(error)) from error
    for _ in chunks:
        raise _damaged(digest, "something follows its end")


def _verify(chunks: Iterator[bytes], digest: str, size: int) -> None:
    found, length = hashlib.sha256(), 0
    for chunk in chunks:
        found.update(chunk)
        length += len(chunk)
        if length > size:
            break
    if length != size or f"sha256:{found.hexdigest()}" != digest:
        raise _damaged(digest, "its bytes do not match")


def _damaged(digest: str, why: str) -> IntegrityError:
    return IntegrityError(f"The content {digest} is damaged in the source: {why}.")
