"""Files of contents that nothing in the database refers to: found, and deleted.

A content gets its place while the database is locked, with the row that says so. So whoever holds
the lock sees what is nobody's; but for what waits for its row under a name of its own, which is
kept as long as the process that brought it may still store it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from nbtrack.artifacts import fsspec, places
from nbtrack.artifacts.locking import only_one
from nbtrack.db import Connection, lent, translated
from nbtrack.errors import NbtrackError
from nbtrack.store import journal_file
from nbtrack.store.sessions import IsAlive

_DAY_S = 86_400
_HOUR_S = 3_600


@dataclass(frozen=True, slots=True)
class Swept:
    """What was left behind and is deleted, or would be: how many files, and their size."""

    files: int
    nbytes: int


@dataclass(frozen=True, slots=True)
class Sweep:
    """Files beside the database that nothing refers to are deleted.

    Parameters
    ----------
    is_alive
        Tells whether a process lives.
    digests
        Contents whose rows were deleted just now: their files are not counted as left behind. What
        else has no row is younger than an hour only if somebody has failed to store it, and tries
        again.
    """

    is_alive: IsAlive
    digests: Collection[str] = ()

    def apply(self, conn: Connection) -> Swept:
        """Delete them; nobody brings one in meanwhile."""
        files = nbytes = 0
        folder = places.folder(places.database_of(conn))
        for path in self.orphans(conn):
            if places.digest_of(path.relative_to(folder).as_posix()) not in self.digests:
                files += 1
                nbytes += path.lstat().st_size
            path.unlink()
        return Swept(files, nbytes)

    def orphans(self, conn: Connection) -> Iterator[Path]:
        """Yield the files to be deleted."""
        database = places.database_of(conn)
        folder = places.folder(database)
        known = {
            places.file_name(*row)
            for row in conn.execute(
                "SELECT digest, encoding FROM blobs JOIN blob_places USING (place_id)"
                " WHERE uri = ?",
                (places.BESIDE,),
            )
        }
        now = time.time()
        for path in _files(folder):
            name = path.relative_to(folder).as_posix()
            digest = places.digest_of(name)
            if digest is not None and name not in known:
                if digest in self.digests or now - path.lstat().st_ctime > _HOUR_S:
                    yield path
            elif path.parent.name == places.INCOMING and self._is_left(conn, database, path, now):
                yield path

    def _is_left(self, conn: Connection, database: Path, path: Path, now: float) -> bool:
        """Return whether nobody will store a content any more."""
        session = path.name.partition("-")[0]
        journal = f"{database.name}-pending-{session[:16]}"
        if any((folder / journal).exists() for folder in journal_file.pending_folders(database)):
            return False
        process = conn.execute(
            "SELECT machine, pid, process_start, heartbeat_ms FROM sessions WHERE session_id = ?",
            (session,),
        ).fetchone()
        if process is None:
            return now - path.lstat().st_mtime > _DAY_S
        return not self.is_alive(*process)


def _files(folder: Path) -> Iterator[Path]:
    for place, _, names in os.walk(folder):
        yield from (Path(place, name) for name in names)


def find_orphans(path: Path, sweep: Sweep) -> Swept:
    """Return what would be deleted; nothing is changed.

    Raises
    ------
    NbtrackError
        The database cannot be read.
    """
    with lent(path) as conn, translated(path):
        sizes = [file.lstat().st_size for file in sweep.orphans(conn)]
    return Swept(len(sizes), sum(sizes))


def sweep_elsewhere(path: Path, on_trouble: Callable[[str], None]) -> int:
    """Delete what this database alone has at addresses, and refers to no more.

    Parameters
    ----------
    on_trouble
        Told what could not be deleted: the next sweep finds it.

    Returns
    -------
    int
        How many files were deleted.

    Raises
    ------
    NbtrackError
        The database cannot be read.
    """
    with lent(path) as conn, translated(path):
        rows = conn.execute("SELECT place_id, uri FROM blob_places").fetchall()
    count = 0
    for place_id, uri in rows:
        if places.is_own(uri):
            try:
                count += _sweep_place(path, place_id, uri)
            except (NbtrackError, OSError) as error:
                what = error.message if isinstance(error, NbtrackError) else f"{error}."
                on_trouble(f"Contents at {uri} are deleted the next time: {what}")
    return count


def _sweep_place(path: Path, place_id: int, uri: str) -> int:
    with only_one(path) as is_alone:
        if not is_alone:
            raise OSError("something is brought there just now")
        names = fsspec.names(uri)
        with lent(path) as conn, translated(path):
            known = {
                places.file_name(*row)
                for row in conn.execute(
                    "SELECT digest, encoding FROM blobs WHERE ? IN (place_id, next_place_id)",
                    (place_id,),
                )
            }
        orphans = [name for name in names if places.digest_of(name) and name not in known]
        for name in orphans:
            fsspec.remove(f"{uri}/{name}")
    return len(orphans)
