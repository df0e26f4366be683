"""Where contents lie that are not in the database file: beside it, or at an address of fsspec.

Beside ``x.db`` they are in the folder ``x.db-blobs``: ``ab/<digest>`` as they are, or
``ab/<digest>.zst`` compressed, and those that are not stored yet in ``incoming``. At an address
they are in a folder of this database's own, so that cleaning it never takes what others have.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path

from nbtrack.addresses import usable
from nbtrack.artifacts import fsspec
from nbtrack.artifacts.encoding import CHUNK, RAW
from nbtrack.db import Connection
from nbtrack.errors import IntegrityError, InvalidParameterError, NbtrackError, NotFoundError
from nbtrack.settings import Settings, settings

BESIDE = "beside"
INCOMING = "incoming"
SHARED = "shared:"
"""Before an address: it belongs to another database, which this one is a copy of."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_NAME = re.compile(r"[0-9a-f]{2}/([0-9a-f]{64})(\.zst)?")
_OWN = re.compile(r".+/nbtrack-[0-9a-f]{32}")
_INCOMING_NAME = re.compile(r"[0-9A-Za-z_]{1,64}-[0-9a-f]{16}")


def folder(database: Path) -> Path:
    """Return the folder beside a database: beside the file itself, where its name is a link.

    Examples
    --------
    >>> folder(Path("/data/nbtrack.db")).as_posix()
    '/data/nbtrack.db-blobs'
    """
    return Path(f"{os.path.realpath(database)}-blobs")


def make_folder(database: Path) -> Path:
    """Make the folder beside a database, no more open than the file itself; return it."""
    place = folder(database)
    if not place.is_dir():
        place.mkdir(mode=folder_mode(database), exist_ok=True)
    return place


def folder_mode(database: Path) -> int:
    """Return who may do what in the folder beside a database: those who may with the file."""
    mode = database.stat().st_mode & 0o777 if database.exists() else 0o777
    return mode | (mode & 0o444) >> 2  # who may read may enter


def file_name(digest: str, encoding: str) -> str:
    """Return the name of a content in its place.

    Raises
    ------
    IntegrityError
        That is no digest.

    Examples
    --------
    >>> file_name("sha256:" + "ab" * 32, "zstd") == "ab/" + "ab" * 32 + ".zst"
    True
    """
    if not _DIGEST.fullmatch(digest):
        raise IntegrityError(f"{digest!r} is no digest.")
    name = digest.removeprefix("sha256:")
    return f"{name[:2]}/{name}" + ("" if encoding == RAW else ".zst")


def digest_of(name: str) -> str | None:
    """Return the digest that a name in a place says; None if it is no content's.

    Examples
    --------
    >>> digest_of("ab/" + "ab" * 32) == "sha256:" + "ab" * 32, digest_of("notes.txt")
    (True, None)
    """
    found = _NAME.fullmatch(name)
    return f"sha256:{found[1]}" if found else None


def file_beside(database: Path, digest: str, encoding: str) -> Path:
    """Return where a content lies beside a database."""
    return folder(database) / file_name(digest, encoding)


def incoming(database: Path, name: str) -> Path:
    """Return where a content lies that is not stored yet.

    Raises
    ------
    InvalidParameterError
        That is no name of one: what a journal says may come from anywhere.
    """
    if not isinstance(name, str) or not _INCOMING_NAME.fullmatch(name):
        raise InvalidParameterError(f"{name!r} is no name of a content.")
    return folder(database) / INCOMING / name


def database_of(conn: Connection) -> Path:
    """Return the file of a connection."""
    return Path(conn.execute("SELECT file FROM pragma_database_list").fetchone()[0])


def file_limit() -> int:
    """Return how many bytes a content may have to be kept in the database file itself."""
    try:
        megabytes = settings.artifact_file_mb
    except InvalidParameterError:  # of the environment; told when the database is opened
        megabytes = Settings.artifact_file_mb.default
    return megabytes * 2**20


def place_beside(conn: Connection) -> int:
    """Return the number of the place beside the database, which is made if it is not there."""
    return put_place(conn, BESIDE)


def put_place(conn: Connection, uri: str) -> int:
    """Return the number of a place, which is made if it is not there."""
    conn.execute("INSERT OR IGNORE INTO blob_places (uri) VALUES (?)", (uri,))
    (place,) = conn.execute("SELECT place_id FROM blob_places WHERE uri = ?", (uri,)).fetchone()
    return int(place)


def is_own(uri: str) -> bool:
    """Return whether a place is an address that only this database brings contents to.

    Examples
    --------
    >>> name = "s3://bucket/nbtrack-" + 32 * "0"
    >>> is_own(name), is_own(SHARED + name), is_own(BESIDE), is_own("s3://bucket/others")
    (True, False, False, False)
    """
    return bool(_OWN.fullmatch(uri)) and not uri.startswith(SHARED)


def agree(conn: Connection, location: str) -> int:
    """Return the place of this database's own at an address, which is made if it is not there.

    An experiment's location counts only where there is one: a database that is merged, or an
    archive of MLflow's, may name any address, and what is logged later would go there.
    """
    return _own(conn, location) or put_place(conn, f"{location}/nbtrack-{secrets.token_hex(16)}")


def _own(conn: Connection, location: str) -> int | None:
    for place_id, uri in conn.execute("SELECT place_id, uri FROM blob_places"):
        if is_own(uri) and uri.rpartition("/")[0] == location:
            return int(place_id)
    return None


def send(conn: Connection, digest: str, run_id: str) -> bool:
    """Note that a content that is beside the database is to be brought where its run says.

    Returns
    -------
    bool
        Whether it is on its way.
    """
    place = _place_for(conn, run_id)
    if place is None:
        return False
    changed = conn.execute(
        "UPDATE blobs SET next_place_id = ? WHERE digest = ? AND next_place_id IS NULL"
        " AND place_id = (SELECT place_id FROM blob_places WHERE uri = ?)",
        (place, digest, BESIDE),
    )
    return changed.rowcount > 0


def _place_for(conn: Connection, run_id: str) -> int | None:
    """Return the place for what a run keeps: its experiment's, or that of the settings."""
    row = conn.execute(
        "SELECT artifact_location FROM runs JOIN experiments USING (experiment_id)"
        " WHERE run_id = ?",
        (run_id,),
    ).fetchone()
    place = _own(conn, usable(row[0])) if row and row[0] else None
    if place is not None:
        return place
    try:
        location = settings.artifact_location
    except NbtrackError:  # of the environment; told when the database is opened
        return None
    return agree(conn, location) if location else None


def read_stored(uri: str, database: Path, digest: str, encoding: str) -> Iterator[bytes]:
    """Yield in pieces what is stored of a content outside of the database file.

    Raises
    ------
    NotFoundError, StoreError, IntegrityError
        It is not there; it cannot be reached; that is no digest.
    """
    if uri == BESIDE:
        yield from read_file(file_beside(database, digest, encoding))
    else:
        yield from fsspec.read(f"{uri.removeprefix(SHARED)}/{file_name(digest, encoding)}")


def read_file(path: Path) -> Iterator[bytes]:
    """Yield a file in pieces.

    Raises
    ------
    NotFoundError
        There is none.
    IntegrityError
        It cannot be read.
    """
    try:
        if not path.is_file():  # a pipe would never end
            raise FileNotFoundError(errno.ENOENT, "no file", path)
        with path.open("rb", buffering=0) as file:
            while piece := file.read(CHUNK):
                yield piece
    except FileNotFoundError as error:
        raise NotFoundError(
            f"The file {path} is not there.",
            hint=f"The folder {path.parent.parent.name} belongs to the database: move it with it.",
        ) from error
    except OSError as error:
        raise IntegrityError(f"The file {path} cannot be read: {error.strerror}.") from error
