"""Contents of files: copied as they are stored, a piece at a time, and verified on the way.

They are taken from wherever the other database has them, and kept where this one's own rule says:
in the file, or beside it. Nothing here refers to a place of the other one.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator
from typing import Any

from nbtrack.artifacts import places
from nbtrack.artifacts.encoding import CHUNK, RAW, ZSTD, decoded
from nbtrack.artifacts.incoming import Content, put_content
from nbtrack.db import Connection
from nbtrack.errors import IntegrityError, NotFoundError, StoreError
from nbtrack.transfer.sqlite import Row, Source

_BLOB = (
    "SELECT size_bytes, encoding, place_id, uri, (SELECT sum(length(data)) FROM blob_chunks c"
    " WHERE c.digest = b.digest) AS stored, (SELECT max(length(data)) FROM blob_chunks c"
    " WHERE c.digest = b.digest) AS longest, stored_bytes"
    " FROM blobs b LEFT JOIN blob_places USING (place_id) WHERE digest = ?"
)


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
    StoreError
        It cannot be reached, or there is no room for it.
    """
    if conn.execute("SELECT 1 FROM blobs WHERE digest = ?", (digest,)).fetchone():
        return None
    blob = _blob(source, digest)
    room = int((blob["stored"] if blob["place_id"] is None else blob["stored_bytes"]) or 0)
    if dry_run:
        conn.execute(
            "INSERT INTO blobs (digest, size_bytes, encoding) VALUES (?, ?, ?)",
            (digest, blob["size_bytes"], blob["encoding"]),
        )
        return room
    stored = _stored(source, digest, blob)
    if blob["size_bytes"] > places.file_limit():
        return _to_file(conn, stored, digest, blob)
    return _to_table(conn, stored, digest, blob)


def read_blob(source: Source, digest: str) -> Iterator[bytes]:
    """Yield a content in pieces; the last one only if all of it is what the digest says.

    Raises
    ------
    IntegrityError
        The source does not have it, or not as its digest says.
    StoreError
        It cannot be reached.
    """
    blob = _blob(source, digest)
    yield from _decoded(_stored(source, digest, blob), digest, blob)


def _blob(source: Source, digest: str) -> Row:
    blob = source.row(_BLOB, (digest,))
    if blob is None or blob["encoding"] not in {RAW, ZSTD} or (blob["longest"] or 0) > CHUNK:
        raise _damaged(digest, "it is not stored as nbtrack does")
    return blob


def _decoded(stored: Iterator[bytes], digest: str, blob: Row) -> Iterator[bytes]:
    what = f"content {digest} of the source"
    return decoded(stored, blob["encoding"], blob["size_bytes"], digest, what)


def _stored(source: Source, digest: str, blob: Row) -> Iterator[bytes]:
    """Yield what the source has stored, wherever that is."""
    if blob["place_id"] is None:
        query = "SELECT data FROM blob_chunks WHERE digest = ? ORDER BY seq"
        yield from (data for (data,) in source.rows(query, (digest,)))
        return
    try:
        if blob["uri"] == places.BESIDE:
            yield from places.read_file(source.file_beside(digest, blob["encoding"]))
        else:
            yield from places.read_stored(str(blob["uri"]), source.path, digest, blob["encoding"])
    except NotFoundError as error:
        raise _damaged(digest, error.message.rstrip(".")) from error


def _to_table(conn: Connection, stored: Iterator[bytes], digest: str, blob: Row) -> int:
    conn.execute(
        "INSERT INTO blobs (digest, size_bytes, encoding) VALUES (?, ?, ?)",
        (digest, blob["size_bytes"], blob["encoding"]),
    )
    room = seq = 0

    def keep(piece: bytes) -> None:
        nonlocal room, seq
        conn.execute(
            "INSERT INTO blob_chunks (digest, seq, data) VALUES (?, ?, ?)", (digest, seq, piece)
        )
        room += len(piece)
        seq += 1

    _verify(stored, keep, digest, blob)
    return room


def _to_file(conn: Connection, stored: Iterator[bytes], digest: str, blob: Row) -> int:
    database = places.database_of(conn)
    name = f"x-{secrets.token_hex(8)}"
    path = places.incoming(database, name)
    room = 0
    try:
        places.make_folder(database)
        path.parent.mkdir(exist_ok=True)
        with path.open("xb") as file:

            def keep(piece: bytes) -> None:
                nonlocal room
                room += file.write(piece)

            _verify(stored, keep, digest, blob)
    except BaseException as error:
        with contextlib.suppress(OSError):  # the folder may be what cannot be written
            path.unlink()
        if isinstance(error, OSError):
            raise StoreError(
                f"The content {digest} cannot be kept in {path.parent}: {error.strerror}.",
                hint="Free some space on the disk, and merge again.",
            ) from error
        raise
    content = Content(
        digest, blob["size_bytes"], blob["encoding"], room, incoming=name, is_file=True
    )
    put_content(conn, content)
    return room


def _verify(stored: Iterator[bytes], keep: Callable[[bytes], Any], digest: str, blob: Row) -> None:
    """Keep what is stored, piece by piece, while it is looked at."""

    def kept() -> Iterator[bytes]:
        for piece in stored:
            keep(piece)
            yield piece

    for _ in _decoded(kept(), digest, blob):
        pass


def _damaged(digest: str, why: str) -> IntegrityError:
    return IntegrityError(f"The content {digest} is damaged in the source: {why}.")
