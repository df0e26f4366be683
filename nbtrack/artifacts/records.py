"""Changes to the contents of files, and the files of runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from typing import Self

from nbtrack.artifacts import places
from nbtrack.artifacts.base import Files
from nbtrack.artifacts.digest import check_path
from nbtrack.artifacts.encoding import decoded
from nbtrack.artifacts.incoming import Content, put_blob, put_content
from nbtrack.db import Connection, Fields, Loggable

on_sent: list[Callable[[Path], None]] = []
"""Called with the database, inside its transaction, when a content is to be brought elsewhere."""


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

    def apply(self, conn: Connection) -> None:
        """Write them."""
        for path, data in self.files.items():
            put_path(conn, self.run_id, path, put_blob(conn, data))


@dataclass(frozen=True, slots=True)
class PutContent(Loggable):
    """A file of a run whose content waits beside the database, if it is long."""

    run_id: str
    path: str
    content: Content

    @property
    def blobs(self) -> Sequence[bytes]:
        """What is stored of a short content."""
        return () if self.content.data is None else (self.content.data,)

    def pack(self) -> Fields:
        """Return the packed form."""
        return [self.run_id, self.path, *astuple(replace(self.content, data=None))]

    @classmethod
    def unpack(cls, fields: Fields, blobs: Sequence[bytes]) -> Self:
        """Return the record that was packed."""
        run_id, path, *content = fields
        return cls(run_id, path, replace(Content(*content), data=blobs[0] if blobs else None))

    def apply(self, conn: Connection) -> None:
        """Write it; a short one if it is what its digest says: journals may come from anywhere."""
        check_path(self.path)
        content = self.content
        if content.data is not None:
            stored = iter([content.data])
            what = f"artifact {self.path!r} of run {self.run_id}"
            for _ in decoded(stored, content.encoding, content.size_bytes, content.digest, what):
                pass
        put_path(conn, self.run_id, self.path, put_content(conn, content))


def put_path(conn: Connection, run_id: str, path: str, digest: str) -> None:
    """Have a run's path mean a content that is stored, and is brought where the run says."""
    conn.execute(
        "INSERT INTO artifacts (run_id, path, digest) VALUES (?, ?, ?)"
        " ON CONFLICT (run_id, path) DO UPDATE SET digest = excluded.digest",
        (run_id, check_path(path), digest),
    )
    (is_outside,) = conn.execute(
        "SELECT place_id IS NOT NULL FROM blobs WHERE digest = ?", (digest,)
    ).fetchone()
    if is_outside and places.send(conn, digest, run_id):
        for told in on_sent:
            told(places.database_of(conn))


@dataclass(frozen=True, slots=True)
class Agree:
    """Contents may be brought to an address: somebody has named it, here and now."""

    location: str

    def apply(self, conn: Connection) -> None:
        """Note it."""
        places.agree(conn, self.location)


@dataclass(frozen=True, slots=True)
class Arrived:
    """A content has been brought where it was to go."""

    digest: str
    place_id: int

    def apply(self, conn: Connection) -> None:
        """Note it; not if it was deleted meanwhile."""
        conn.execute(
            "UPDATE blobs SET place_id = next_place_id, next_place_id = NULL"
            " WHERE digest = ? AND next_place_id = ?",
            (self.digest, self.place_id),
        )


@dataclass(frozen=True, slots=True)
class DropFile:
    """The file of a content that is elsewhere by now; nobody brings one in meanwhile."""

    digest: str
    encoding: str

    def apply(self, conn: Connection) -> None:
        """Delete it, unless a row says that it is there."""
        is_here = conn.execute(
            "SELECT 1 FROM blobs JOIN blob_places USING (place_id) WHERE digest = ? AND uri = ?",
            (self.digest, places.BESIDE),
        ).fetchone()
        if not is_here:
            places.file_beside(places.database_of(conn), self.digest, self.encoding).unlink(
                missing_ok=True
            )
