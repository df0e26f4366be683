"""The whole file: copied while others write, and made as small as what is in it."""

from __future__ import annotations

import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path

from nbtrack.artifacts import places
from nbtrack.db import Connection, copy_database, lent, translated, vacuum_database
from nbtrack.errors import AlreadyExistsError, IntegrityError, InvalidParameterError, StoreError
from nbtrack.store.maintenance.check import Progress, check

_BESIDE = ("-wal", "-journal")  # what SQLite would take for a part of a new file of that name
_MODE = 0o777


def backup(
    path: Path,
    target: Path,
    *,
    overwrite: bool = False,
    verify: bool = True,
    progress: Progress | None = None,
) -> None:
    """Copy a database as it is at this moment, whoever writes to it.

    Parameters
    ----------
    path, target
        The database, and where its copy will be.
    overwrite
        Replace the file that is there, once the copy is made and verified.
    verify
        Check the copy; one with problems is not kept.
    progress
        Told how many bytes are copied, and of how many.

    Raises
    ------
    InvalidParameterError, AlreadyExistsError
        There can be no file; there is one already.
    StoreError
        The database cannot be read, or the copy not be written.
    IntegrityError
        The copy has problems.
    """
    try:
        _check_target(path, target, overwrite=overwrite)
        part = target.parent / f".nbtrack-{secrets.token_hex(8)}.part"
        try:
            _copy(path, part, target, progress)
            if verify:
                _verify(part, target)
            part.chmod(path.stat().st_mode & _MODE)
            _put_contents(part, target)
            _put(part, target, overwrite=overwrite)
        finally:
            shutil.rmtree(places.folder(part), ignore_errors=True)
            for leftover in (part, *(part.with_name(part.name + end) for end in _BESIDE)):
                leftover.unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(
            f"The backup {target} cannot be written: {error.strerror}.",
            hint="Choose a folder that can be written and has room.",
        ) from error


def _copy(path: Path, part: Path, target: Path, progress: Progress | None) -> None:
    with translated(path), lent(path, upgrade=False) as conn:
        (size,) = conn.execute(
            "SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"
        ).fetchone()
        _need_room(target.parent, size + _size_beside(conn), f"A backup of {path}")
        # Only for its owner until it is whole; it is never more open than the database.
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        copy_database(
            conn, part, progress, lambda copy: _copy_contents(path, conn, part, copy, progress)
        )


def _size_beside(conn: Connection) -> int:
    if not _has_places(conn):
        return 0
    (size,) = conn.execute(
        "SELECT coalesce(sum(stored_bytes), 0) FROM blobs JOIN blob_places USING (place_id)"
        " WHERE uri = ?",
        (places.BESIDE,),
    ).fetchone()
    return int(size)


def _has_places(conn: Connection) -> bool:
    """Return whether the schema is new enough to have contents outside of the file."""
    return bool(conn.execute("SELECT 1 FROM sqlite_schema WHERE name = 'blob_places'").fetchone())


def _copy_contents(
    path: Path, conn: Connection, part: Path, copy: Connection, progress: Progress | None
) -> None:
    """Copy what is beside a database; what is at an address stays the database's own."""
    if not _has_places(copy):
        return
    rows = copy.execute(
        "SELECT digest, encoding, stored_bytes FROM blobs JOIN blob_places USING (place_id)"
        " WHERE uri = ?",
        (places.BESIDE,),
    ).fetchall()
    done = base = part.stat().st_size
    total = base + sum(row[2] or 0 for row in rows)
    for digest, encoding, size in rows:
        source = places.file_beside(path, digest, encoding)
        target = places.make_folder(part) / places.file_name(digest, encoding)
        target.parent.mkdir(exist_ok=True)
        try:
            shutil.copyfile(source, target)
        except FileNotFoundError:
            _follow(conn, copy, digest)  # what is nowhere is found when the copy is checked
        done += size or 0
        if progress is not None:
            progress(done, total)
    copy.execute("UPDATE blobs SET next_place_id = NULL")
    for (uri,) in copy.execute("SELECT uri FROM blob_places").fetchall():
        if places.is_own(uri):
            copy.execute("UPDATE blob_places SET uri = ? WHERE uri = ?", (places.SHARED + uri, uri))
            places.agree(copy, uri.rpartition("/")[0])


def _follow(conn: Connection, copy: Connection, digest: str) -> None:
    """Note where a content is by now, if it was brought to an address while it was copied."""
    row = conn.execute(
        "SELECT uri FROM blobs JOIN blob_places USING (place_id) WHERE digest = ?", (digest,)
    ).fetchone()
    if row is not None and row[0] != places.BESIDE:
        copy.execute(
            "UPDATE blobs SET place_id = ? WHERE digest = ?",
            (places.put_place(copy, row[0]), digest),
        )


def _put_contents(part: Path, target: Path) -> None:
    """Bring contents to where the copy will look for them; those that are there are the same."""
    source = places.folder(part)
    if not source.is_dir():
        return
    folder = Path(os.path.realpath(target.parent), f"{target.name}-blobs")
    if not folder.is_dir():
        folder.mkdir(mode=places.folder_mode(part))
    for place, _, names in os.walk(source):
        for name in names:
            there = folder / Path(place, name).relative_to(source)
            there.parent.mkdir(exist_ok=True)
            Path(place, name).replace(there)


def _verify(part: Path, target: Path) -> None:
    problems = check(part, any_schema=True)
    if problems:
        raise IntegrityError(
            f"There is no backup {target}, because it would have {len(problems)} problems: "
            f"{problems[0].what}",
            hint="nbtrack db check tells all; --no-verify (verify=False) copies what is there.",
        )


def _check_target(path: Path, target: Path, *, overwrite: bool) -> None:
    if "\0" in str(target):
        raise InvalidParameterError(f"{str(target)!r} is no name of a file.")
    if target.is_dir():
        raise InvalidParameterError(
            f"{target} is a directory.", hint=f"Name the file in it: {target / path.name}"
        )
    if not target.name or not target.parent.is_dir():
        raise InvalidParameterError(
            f"The directory of the backup {target} does not exist.",
            hint=f"Make it: mkdir -p {target.parent}",
        )
    if target.exists() and target.samefile(path):
        raise InvalidParameterError(
            f"{target} is the database itself.", hint="A backup needs a name of its own."
        )
    if os.path.lexists(target) and not overwrite:
        raise _taken(target)
    for end in _BESIDE:
        if target.with_name(target.name + end).exists():
            raise AlreadyExistsError(
                f"The file {target} is in use: there is {target.name}{end} beside it.",
                hint="Choose another name for the backup.",
            )


def _taken(target: Path) -> AlreadyExistsError:
    return AlreadyExistsError(
        f"There is a file {target} already.",
        hint="Choose another name, or say --force (overwrite=True).",
    )


def _put(part: Path, target: Path, *, overwrite: bool) -> None:
    if not overwrite:
        try:
            os.link(part, target)  # unlike a renaming it never replaces anything
        except FileExistsError:
            raise _taken(target) from None
        except OSError as error:  # a file system without links
            if os.path.lexists(target):
                raise _taken(target) from error
        else:
            return
    part.replace(target)


def _need_room(folder: Path, size: int, what: str) -> None:
    free = shutil.disk_usage(folder).free
    if free < size:
        raise StoreError(
            f"{what} needs {size // 2**20 + 1} MB on the disk of {folder}, which has "
            f"{free // 2**20} MB left.",
            hint="Free some space, or choose another disk.",
        )


@dataclass(frozen=True, slots=True)
class Vacuumed:
    """What vacuuming a file gave.

    Attributes
    ----------
    before, after
        Bytes of the file.
    is_done
        Whether the file is as small as it gets. If not, somebody reads it: it shrinks with the next
        writing after that.
    """

    before: int
    after: int
    is_done: bool


def vacuum(path: Path) -> Vacuumed:
    """Give free room in the file back to the disk.

    Raises
    ------
    StoreError
        Somebody writes; there is not enough room on the disk.
    """
    with lent(path) as conn, translated(path):
        before, live = conn.execute(
            "SELECT page_count * page_size, (page_count - freelist_count) * page_size"
            " FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
        ).fetchone()
    # What is in the file is written once beside it, and once into its log.
    _need_room(path.parent, 2 * live, f"Vacuuming {path}")
    with translated(path):
        is_done = vacuum_database(path)
    return Vacuumed(before, path.stat().st_size, is_done)
