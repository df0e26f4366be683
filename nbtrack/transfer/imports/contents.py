"""Contents of files on their way in: the one place that knows how they are taken."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from nbtrack.artifacts.digest import sha256
from nbtrack.artifacts.incoming import put_blob
from nbtrack.db import Connection

_PIECE = 2**20


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of a file, and their digest."""

    digest: str
    size_bytes: int
    data: bytes


def receive(stream: BinaryIO, database: Path) -> Content:
    """Read a stream to its end: its content will be in a database."""
    data = stream.read()
    return Content(sha256(data), len(data), data)


def put_content(conn: Connection, content: Content) -> str:
    """Store a content, unless it is there already; return its digest."""
    return put_blob(conn, content.data)


def digest_of(stream: BinaryIO) -> tuple[str, int]:
    """Return the digest of a stream, and its length, and keep nothing of it."""
    found, size = hashlib.sha256(), 0
    while piece := stream.read(_PIECE):
        found.update(piece)
        size += len(piece)
    return f"sha256:{found.hexdigest()}", size
