"""Contents on their way in: read once, in pieces, hashed and compressed on the way.

A long one goes into a file beside the database, under a name of its own. It gets its place there
with the row that says so, while the database is locked: whatever lies in its place without a row
is nobody's.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from nbtrack.artifacts import places
from nbtrack.artifacts.digest import sha256
from nbtrack.artifacts.encoding import CHUNK, RAW, SAMPLE, ZSTD, Encoder, encode, pays
from nbtrack.db import Connection
from nbtrack.errors import NotFoundError, StoreError

_IN_MEMORY = 16 * CHUNK  # what is longer goes through a file, wherever it goes then


@dataclass(frozen=True, slots=True)
class Content:
    """A content that was read, and is not stored yet.

    Attributes
    ----------
    digest, size_bytes
        What it is.
    encoding, stored_bytes
        How it is stored, and the room that takes.
    data
        What is stored, if it is short; None: it is in a file.
    incoming
        Name of that file; empty: there is none.
    is_file
        Whether it stays a file beside the database.
    """

    digest: str
    size_bytes: int
    encoding: str
    stored_bytes: int
    data: bytes | None = None
    incoming: str = ""
    is_file: bool = False


def receive(
    stream: BinaryIO, database: Path, *, limit: int | None = None, session: str = "x"
) -> Content:
    """Read a stream to its end, in pieces.

    Parameters
    ----------
    stream
        Bytes; where it can seek, the middle of it says whether compressing pays.
    database
        The database that the content will be in; its folder must be there.
    limit
        Bytes; a longer content stays a file beside the database. Default: as the settings say.
    session
        Who reads it: cleaning up keeps the files of sessions that go on.

    Raises
    ------
    StoreError
        It cannot be written beside the database.
    OSError
        It cannot be read.
    """
    limit = places.file_limit() if limit is None else limit
    head = _read_up_to(stream, min(limit, _IN_MEMORY) + 1)
    if len(head) <= min(limit, _IN_MEMORY):
        encoding, stored = encode(head)
        return Content(sha256(head), len(head), encoding, len(stored), data=stored)
    sample = _sample(stream, head)
    encoding = ZSTD if pays(sample) else RAW
    name = f"{session}-{secrets.token_hex(8)}"
    path = places.incoming(database, name)
    try:
        with _created(database, path) as file:
            digest, size = _copy(head, stream, file, encoding)
            stored_bytes = file.tell()
    except BaseException:
        with contextlib.suppress(OSError):  # the folder may be what cannot be written
            path.unlink()
        raise
    return Content(digest, size, encoding, stored_bytes, incoming=name, is_file=size > limit)


def _read_up_to(stream: BinaryIO, size: int) -> bytes:
    parts, left = [], size
    while left > 0 and (part := stream.read(min(left, CHUNK))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _sample(stream: BinaryIO, head: bytes) -> bytes:
    """Return something from the middle, if the stream can seek; else from what was read."""
    try:
        here = stream.tell()
        end = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, (end - SAMPLE) // 2))
        sample = _read_up_to(stream, SAMPLE)
        stream.seek(here)
    except (OSError, AttributeError):  # also io.UnsupportedOperation
        middle = max(0, (len(head) - SAMPLE) // 2)
        return head[middle : middle + SAMPLE]
    return sample


@contextlib.contextmanager
def _created(database: Path, path: Path) -> Iterator[BinaryIO]:
    try:
        places.make_folder(database)
        path.parent.mkdir(exist_ok=True)
        file = path.open("xb", buffering=0)
    except OSError as error:
        raise _unwritable(path, error) from error
    with file:
        yield file


def _unwritable(path: Path, error: OSError) -> StoreError:
    return StoreError(
        f"A content cannot be kept beside the database, in {path.parent.parent}: {error.strerror}.",
        hint="Free some space, or choose another database by NBTRACK_DB.",
    )


def _copy(head: bytes, stream: BinaryIO, file: BinaryIO, encoding: str) -> tuple[str, int]:
    found, size, encoder = hashlib.sha256(), 0, Encoder(encoding)
    piece: bytes = head
    while piece:
        found.update(piece)
        size += len(piece)
        _write(file, encoder.encode(memoryview(piece)))
        piece = stream.read(CHUNK)
    _write(file, encoder.finish())
    return f"sha256:{found.hexdigest()}", size


def _write(file: BinaryIO, data: bytes | memoryview) -> None:
    view = memoryview(data)
    try:
        while view:
            view = view[file.write(view) :]
    except OSError as error:
        raise _unwritable(Path(str(file.name)), error) from error


def put_content(conn: Connection, content: Content) -> str:
    """Store a content unless it is there already, in the transaction of the caller.

    After that is rolled back, one that stays a file can be stored again; another one may have to
    be received anew.

    Returns
    -------
    str
        Its digest.

    Raises
    ------
    NotFoundError
        Its file is gone.
    """
    database = places.database_of(conn)
    row = conn.execute(
        "SELECT uri, encoding FROM blobs LEFT JOIN blob_places USING (place_id) WHERE digest = ?",
        (content.digest,),
    ).fetchone()
    if row is not None:
        if content.incoming and tuple(row) == (places.BESIDE, content.encoding):
            _settle(database, content)  # in case that the other one was lost
        elif content.incoming:
            places.incoming(database, content.incoming).unlink(missing_ok=True)
        return content.digest
    if content.is_file:
        _settle(database, content)
    conn.execute(
        "INSERT INTO blobs (digest, size_bytes, encoding, place_id, stored_bytes)"
        " VALUES (?, ?, ?, ?, ?)",
        (
            content.digest,
            content.size_bytes,
            content.encoding,
            places.place_beside(conn) if content.is_file else None,
            content.stored_bytes if content.is_file else None,
        ),
    )
    if not content.is_file:
        _put_chunks(conn, content, database)
    return content.digest


def _settle(database: Path, content: Content) -> None:
    """Bring a file into its place, also if a transaction did so that was rolled back."""
    path = places.file_beside(database, content.digest, content.encoding)
    path.parent.mkdir(exist_ok=True)
    try:
        places.incoming(database, content.incoming).replace(path)
    except FileNotFoundError:
        if not path.is_file():
            raise NotFoundError(
                f"The content {content.digest} is gone: {content.incoming} is not in {path.parent}."
            ) from None


def _put_chunks(conn: Connection, content: Content, database: Path) -> None:
    if content.data is not None:
        view = memoryview(content.data)
        pieces: Iterator[bytes | memoryview] = (
            view[start : start + CHUNK] for start in range(0, len(view), CHUNK)
        )
        put_chunks(conn, content.digest, pieces)
        return
    path = places.incoming(database, content.incoming)
    put_chunks(conn, content.digest, places.read_file(path))
    path.unlink(missing_ok=True)


def put_chunks(conn: Connection, digest: str, pieces: Iterator[bytes | memoryview]) -> None:
    """Store what is stored of a content in the database file; no piece is longer than `CHUNK`."""
    conn.executemany(
        "INSERT INTO blob_chunks (digest, seq, data) VALUES (?, ?, ?)",
        ((digest, seq, piece) for seq, piece in enumerate(pieces)),
    )


def put_blob(conn: Connection, data: bytes) -> str:
    """Store bytes, unless they are there already; return their digest."""
    if len(data) > places.file_limit():
        try:
            content = receive(io.BytesIO(data), places.database_of(conn))
        except StoreError:  # no room beside it: the database waits until there is some
            pass
        else:
            return put_content(conn, content)
    digest = sha256(data)
    if not conn.execute("SELECT 1 FROM blobs WHERE digest = ?", (digest,)).fetchone():
        encoding, stored = encode(data)
        put_content(conn, Content(digest, len(data), encoding, len(stored), data=stored))
    return digest
