"""The only place that opens the SQLite file.

A file is one of nbtrack's when its header carries our application id; ``user_version`` counts
the migrations it has seen. Anything else is refused with an error that says what the file is.
Writing goes through records: small objects that know their SQL and are applied, in order, by the
one writer thread of the process. Reading uses a read-only connection per thread.
"""

from __future__ import annotations

import os
import random
import re
import sqlite3
import threading
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol, Self
from urllib.parse import quote, unquote, urlsplit

from nbtrack.errors import (
    CorruptDatabaseError,
    ForeignDatabaseError,
    InvalidParameterError,
    NbtrackError,
    NewerSchemaError,
    NotFoundError,
    StoreError,
)
from nbtrack.migrations import LATEST, migrate

# For the modules that hand connections on without speaking SQL themselves.
Connection = sqlite3.Connection
DatabaseError = sqlite3.Error
SQLITE_VERSION = sqlite3.sqlite_version

APPLICATION_ID = 0x6E627472  # "nbtr"; at byte 68 of the file, where file(1) looks
DEFAULT_NAME = "nbtrack.db"
BUSY_TIMEOUT_MS = 5_000
_PAGES_AT_ONCE = 2_000  # copied between two looks at how far it is


Fields = list[Any]
"""What JSON can hold: the packed form of a record."""


class Record(Protocol):
    """A change to the database: it knows how it is written."""

    def apply(self, conn: sqlite3.Connection) -> Any:
        """Write the record inside the transaction of the caller."""


class Loggable(ABC):
    """A record that waits in the journal until it is written, and outlives the process there.

    What is unpacked may come from anywhere: what `apply` is given then is only ever bound to its
    own statements, and what does not fit fails there.
    """

    __slots__ = ()

    @property
    def blobs(self) -> Sequence[bytes]:
        """Bytes that go along, too long for JSON."""
        return ()

    @abstractmethod
    def pack(self) -> Fields:
        """Return what JSON can hold of the record."""

    @classmethod
    @abstractmethod
    def unpack(cls, fields: Fields, blobs: Sequence[bytes]) -> Self:
        """Return the record that was packed."""

    @abstractmethod
    def apply(self, conn: sqlite3.Connection) -> Any:
        """Write the record inside the transaction of the caller."""


class LogSink(Protocol):
    """What keeps records until they are stored: the writer's thread, or the sender's."""

    def submit(self, record: Loggable) -> None:
        """Keep a record; returns at once and never raises for the state of the database."""

    def add_point(self, run_id: str, key: str, value: float, step: int, timestamp: int) -> None:
        """Keep a point of a metric: as `submit`, and much faster.

        Raises
        ------
        struct.error
            A number is none, or does not fit into 64 bits.
        """

    def expect(self, run_id: str, keys: Iterable[str]) -> None:
        """Hear of new metrics of a run, whose first points come next: it takes them sooner."""

    def flush(self, timeout: float = 10.0) -> None:
        """Return when all that was kept before is committed."""


class RecordSink(LogSink, Protocol):
    """What writes records to a database: the writer's thread."""

    def call(self, record: Record) -> Any:
        """Write a record now and return what its ``apply`` returned."""


def resolve_path(uri: str = "") -> Path:
    """Return the absolute path of the database that a tracking URI means.

    Parameters
    ----------
    uri
        ``sqlite:///path``, a path, or empty for the nearest ``nbtrack.db`` from the working
        directory upwards (not past a git root or the home directory), else ``./nbtrack.db``.

    Raises
    ------
    InvalidParameterError
        The URI has a scheme that is not supported, or names a directory.

    Examples
    --------
    >>> resolve_path("sqlite:////data/nbtrack.db").as_posix()
    '/data/nbtrack.db'
    """
    if not uri:
        return _nearest(Path.cwd())
    try:
        scheme = urlsplit(uri).scheme
    except ValueError:  # brackets that would be an address, after //
        scheme = uri.partition(":")[0] if "://" in uri else ""
    if uri.startswith("sqlite:///"):
        path = Path(unquote(uri.removeprefix("sqlite:///")))
    elif len(scheme) > 1:  # one letter is a Windows drive
        raise InvalidParameterError(
            f"The tracking URI {uri!r} has the scheme '{scheme}', which is not supported.",
            hint="Use a path, sqlite:///path, or the address of an MLflow server: http(s)://...",
        )
    else:
        path = Path(uri)
    try:
        path = path.expanduser().absolute()
    except RuntimeError:  # ~ of a user that the system does not know
        path = path.absolute()
    if "\0" in str(path):
        raise InvalidParameterError(
            f"The tracking URI {uri!r} has a NUL character in it.", hint="Use a path of a file."
        )
    if path.is_dir():
        raise InvalidParameterError(
            f"The tracking URI {uri!r} is a directory.",
            hint=f"Name the file in it, for example {path / DEFAULT_NAME}.",
        )
    return path


def _nearest(start: Path) -> Path:
    try:
        home = Path.home()
    except RuntimeError:  # a container's user may have none
        home = None
    for folder in (start, *start.parents):
        candidate = folder / DEFAULT_NAME
        if candidate.is_file():
            return candidate
        if folder == home or (folder / ".git").exists():
            break
    return start / DEFAULT_NAME


def check_file(path: Path) -> None:
    """Refuse a file that is not one of ours, without waiting for whoever has locked it.

    SQLite is asked, and the file never opened by hand: closing it again would drop the locks that
    SQLite holds on it for this process, whereupon another process could delete the log that we
    write to (see "How To Corrupt An SQLite Database File", 2.2).

    Raises
    ------
    ForeignDatabaseError, CorruptDatabaseError, NewerSchemaError, StoreError
        What the file is instead, or why it cannot be read.
    """
    if not path.exists():
        return
    try:
        conn = sqlite3.connect(_readonly_uri(path), uri=True, timeout=0)
        try:
            _check_ours(conn, path)
        finally:
            conn.close()
    except sqlite3.Error as error:
        if _code(error) not in _LOCKED:
            raise translate(error, path) from error


def _check_ours(conn: sqlite3.Connection, path: Path) -> int:
    """Return the schema's version of a file that is ours, or empty."""
    try:
        # One look: between two, another process may be making the file.
        application_id, version, tables = conn.execute(
            "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_master)"
            " FROM pragma_application_id, pragma_user_version"
        ).fetchone()
    except sqlite3.DatabaseError as error:
        if _code(error) in _CORRUPT:
            raise translate(error, path) from error
        raise
    if application_id != APPLICATION_ID and (application_id or version or tables):
        raise _foreign(path)
    if version > LATEST:
        raise _newer(path, version)
    return int(version)


def _readonly_uri(path: Path) -> str:
    return f"file:{quote(os.fsencode(path))}?mode=ro"


def _foreign(path: Path) -> ForeignDatabaseError:
    return ForeignDatabaseError(
        f"{path} is an SQLite database, but not one of nbtrack's.",
        hint="Choose another file by NBTRACK_DB or nbtrack.set_tracking_uri(...).",
    )


def connect_writer(path: Path) -> sqlite3.Connection:
    """Open the file for writing; make it, and bring its schema up to date, where needed.

    The connection is in autocommit mode: transactions are begun and ended explicitly.

    Raises
    ------
    NbtrackError
        The file cannot be opened, is not ours, is damaged, or is newer than this nbtrack.
    sqlite3.OperationalError
        It is locked.
    """
    if path.parent.exists() and not path.parent.is_dir():
        raise StoreError(
            f"The database {path} cannot be made: {path.parent} is a file, not a folder.",
            hint="Choose another file by NBTRACK_DB or nbtrack.set_tracking_uri(...).",
        )
    if not path.parent.is_dir():
        raise StoreError(
            f"The directory of the database {path} does not exist.",
            hint=f"Make it: mkdir -p {path.parent}",
        )
    conn = sqlite3.connect(
        path,
        timeout=BUSY_TIMEOUT_MS / 1000,
        isolation_level=None,
        check_same_thread=False,  # the writer closes in whichever thread ends the process
    )
    try:
        _set_up(conn, path)
    except BaseException:
        conn.close()
        raise
    return conn


def _set_up(conn: sqlite3.Connection, path: Path) -> None:
    if _check_ours(conn, path) < LATEST:
        # What takes long is done before the lock is held: others may be waiting to make the file.
        import sqlite_utils.migrations  # noqa: F401

        # One transaction for all of it: of two processes that make the file, the second waits
        # and finds it done.
        begin(conn)
        try:
            if _check_ours(conn, path) < LATEST:
                conn.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                migrate(conn)
            conn.execute("COMMIT")
        except BaseException:
            if conn.in_transaction:  # a full disk has ended it already
                conn.execute("ROLLBACK")
            raise
    if is_network_folder(path.parent):
        conn.execute("PRAGMA journal_mode = TRUNCATE")
    else:
        _set_wal(conn)
    conn.execute("PRAGMA synchronous = NORMAL")
    conn.execute("PRAGMA foreign_keys = ON")


def _set_wal(conn: sqlite3.Connection) -> None:
    """Switch to the write-ahead log; for this step SQLite does not wait for others by itself."""
    deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            conn.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if _code(error) not in _LOCKED or time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def begin(conn: sqlite3.Connection) -> None:
    """Begin a transaction that writes, waiting for others up to `BUSY_TIMEOUT_MS`.

    SQLite itself looks only every tenth of a second after a while: of eight processes that write
    all the time, some would find the file locked each time they look.

    Raises
    ------
    sqlite3.OperationalError
        The file is still locked.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    conn.execute("PRAGMA busy_timeout = 0")
    try:
        while True:
            try:
                conn.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if _code(error) not in _LOCKED or time.monotonic() > deadline:
                    raise
                time.sleep(_turns.uniform(0.001, 0.004))
            else:
                return
    finally:
        conn.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")


# A generator of its own: the user's random numbers must come out as if nbtrack was not there.
_turns = random.Random()  # noqa: S311 - who comes first is no secret


def _newer(path: Path, version: int) -> NewerSchemaError:
    return NewerSchemaError(
        f"The database {path} has schema {version}; this nbtrack knows schemas up to {LATEST}.",
        hint="Upgrade it: pip install --upgrade nbtrack",
    )


def connect_reader(path: Path, *, upgrade: bool = True) -> sqlite3.Connection:
    """Open the file read-only.

    Parameters
    ----------
    upgrade
        Bring its schema up to date before.

    Raises
    ------
    NbtrackError
        There is no such file, or it is not one of ours.
    """
    if not path.exists():
        raise NotFoundError(
            f"There is no database {path} yet.",
            hint="It is made by the first run: %load_ext nbtrack, then fit a model.",
        )
    uri = _readonly_uri(path)
    try:
        conn, version = _connect_readonly(uri, path)
    except sqlite3.OperationalError as error:
        if _code(error) not in _UNWRITABLE:
            raise
        # WAL needs a writable folder for its index; on read-only media, where nobody writes,
        # the file can be read as it lies there.
        conn, version = _connect_readonly(f"{uri}&immutable=1", path)
    if version < LATEST and upgrade:
        conn.close()
        connect_writer(path).close()
        return connect_reader(path)
    conn.row_factory = sqlite3.Row
    # As much as a table of 10,000 runs takes, instead of 2 MB; it is used only as it is needed.
    conn.execute("PRAGMA cache_size = -32768")
    return conn


def schema_objects(conn: sqlite3.Connection | None = None) -> set[tuple[str, str]]:
    """Return kind and name of what is in the schema of a database; default: what should be."""
    if conn is None:
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
            migrate(fresh)
            return schema_objects(fresh)
    query = (
        "SELECT type, name FROM sqlite_schema WHERE name NOT GLOB 'sqlite_*'"
        " UNION ALL SELECT 'column', t.name || '.' || c.name"
        "  FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table'"
    )
    return {(kind, name) for kind, name in conn.execute(query)}


def copy_database(
    conn: sqlite3.Connection,
    target: Path,
    progress: Callable[[int, int], None] | None = None,
    finish: Callable[[sqlite3.Connection], None] | None = None,
) -> None:
    """Copy a database, as it is now, into an empty file.

    Parameters
    ----------
    conn
        A connection that is not in a transaction.
    target
        The file.
    progress
        Told how many bytes are copied, and of how many.
    finish
        Called with a connection to the copy, to change it.

    Raises
    ------
    sqlite3.Error
        What is read cannot be.
    StoreError
        The disk is full.
    """

    def tell(_status: int, remaining: int, total: int) -> None:
        if progress is not None:
            progress((total - remaining) * page_size, total * page_size)

    (page_size,) = conn.execute("PRAGMA page_size").fetchone()
    with closing(sqlite3.connect(target, isolation_level=None)) as copy:
        # What is read stays as it is for the whole copy; otherwise it would begin anew whenever
        # another process writes, and never end beside one that writes all the time.
        conn.execute("BEGIN")
        try:
            conn.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            conn.backup(copy, pages=_PAGES_AT_ONCE, progress=tell)
        except sqlite3.Error as error:
            if _code(error) in _FULL:
                raise translate(error, target) from error
            raise  # the fault of what is read
        finally:
            if conn.in_transaction:
                conn.execute("ROLLBACK")
        if finish is not None:
            finish(copy)
        # One file that can be read from any medium; who writes to it gives it a log again.
        copy.execute("PRAGMA journal_mode = DELETE")


def vacuum_database(path: Path) -> bool:
    """Write the file anew without the room that is free in it.

    Returns
    -------
    bool
        Whether its end could be cut off. If not, somebody reads it.

    Raises
    ------
    sqlite3.OperationalError
        It is locked; the disk is full.
    """
    with closing(connect_writer(path)) as conn:
        conn.execute("VACUUM")
        is_busy: int = conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        return not is_busy


def _connect_readonly(uri: str, path: Path) -> tuple[sqlite3.Connection, int]:
    conn = sqlite3.connect(
        uri,
        uri=True,
        timeout=BUSY_TIMEOUT_MS / 1000,
        isolation_level=None,
        check_same_thread=False,  # whichever thread forks closes it before
    )
    try:
        return conn, _check_ours(conn, path)
    except BaseException:
        conn.close()
        raise


def file_identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file from another one of the same name; None if there is none."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino


def log_identity(path: Path) -> tuple[int, int] | None:
    """Return the identity of the write-ahead log beside a database; None if there is none.

    While a connection is open its log stays the same file, unless this process has lost its
    locks: any code in it that opens the database by hand and closes it again (to copy it, say)
    drops them. Another process may then delete the log, and what is written to it is lost.
    """
    return file_identity(path.with_name(f"{path.name}-wal"))


_NETWORK = {
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "afs",
    "ceph",
    "glusterfs",
    "lustre",
    "beegfs",
    "gpfs",
    "orangefs",
    "ocfs2",
    "gfs2",
    "davfs",
    "fuse.sshfs",
    "fuse.s3fs",
    "fuse.gcsfuse",
    "fuse.rclone",
    "fuse.glusterfs",
    "fuse.ceph",
    "fuse.blobfuse",
    "fuse.blobfuse2",
    "fuse.vmhgfs-fuse",
    "vboxsf",
}
_MOUNTS = Path("/proc/self/mountinfo")
_MOUNT_FIELDS = 5  # of a line, up to where it is mounted


def is_network_folder(folder: Path) -> bool:
    """Return whether a folder lies on another machine, as far as the system tells (Linux does).

    The write-ahead log needs memory that all its users share: processes on two machines would
    damage the database.
    """
    try:
        place = folder.resolve()
        mounts = _MOUNTS.read_text("utf-8", "surrogateescape").splitlines()
    except (OSError, RuntimeError):
        return False
    found, kind = -1, ""
    for line in mounts:
        mount, _, rest = line.partition(" - ")
        fields = mount.split(" ")
        if len(fields) < _MOUNT_FIELDS:
            continue
        # A blank is \\040 there, and a few others likewise.
        where = re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), fields[_MOUNT_FIELDS - 1])
        if len(where) >= found and place.is_relative_to(where):
            found, kind = len(where), rest.split(" ")[0]
    return kind in _NETWORK


def storable(text: str) -> str:
    r"""Return text as SQLite can hold it and find it again.

    Half an emoji has no encoding in UTF-8; at a NUL character many of SQLite's functions, and
    most other programs, take the text to end.

    Examples
    --------
    >>> storable("caf\u00e9"), storable("half \ud83d"), storable("a\0b")
    ('café', 'half ?', 'a�b')
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        # Two halves that belong together are one character, as JSON has it: what comes through the
        # journal and what is looked up later must be the same.
        whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
        text = whole.encode("utf-8", "replace").decode("utf-8")
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}")


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn sqlite3's errors into nbtrack's.

    Raises
    ------
    StoreError
        The database cannot be read or written just now, with the reason.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise translate(error, path) from error


_LOCKED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_UNWRITABLE = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM}
_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}
_CORRUPT = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def _code(error: BaseException) -> int:
    # The low byte is the primary code; the rest says more than we need.
    return int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)) & 0xFF


def is_trouble(error: BaseException) -> bool:
    """Return whether an error is the file's (locked, full, damaged ...), not the statement's."""
    return _code(error) in _LOCKED | _UNWRITABLE | _FULL | _CORRUPT


def translate(error: BaseException, path: Path) -> NbtrackError:  # noqa: PLR0911 - a table
    """Return the nbtrack error that says what an error of the database means for the user."""
    if isinstance(error, NbtrackError):
        return error
    code = _code(error)
    if code in _LOCKED:
        return StoreError(
            f"The database {path} is locked by another process.",
            hint="Close the program that holds it; writing goes on by itself then.",
        )
    if code in _UNWRITABLE:
        return StoreError(
            f"The database {path} cannot be written: {error}.",
            hint="Choose a file in a writable folder: NBTRACK_DB or nbtrack.set_tracking_uri(...).",
        )
    if code in _FULL:
        return StoreError(
            f"The database {path} cannot be written: {error}.",
            hint="Free some space on the disk; writing goes on by itself then.",
        )
    if code == sqlite3.SQLITE_NOTADB:
        return CorruptDatabaseError(
            f"{path} is no SQLite database, or is damaged.",
            hint="Move it away, or choose another file by NBTRACK_DB.",
        )
    if code in _CORRUPT:
        return CorruptDatabaseError(
            f"The database {path} is damaged: {error}.",
            hint="Move it away (sqlite3's .recover can save its rows), or choose another file.",
        )
    return StoreError(f"The database {path} gave an error: {error}.")


class _Held:
    """A connection and who may use it: its lock is held while it reads, and over a fork."""

    def __init__(self, conn: sqlite3.Connection, identity: tuple[int, int] | None) -> None:
        self.conn: sqlite3.Connection | None = conn
        self.identity = identity
        self.lock = threading.RLock()

    def close(self) -> None:
        """Close the connection; again is harmless."""
        if self.conn is not None:
            self.conn.close()
            self.conn = None

    def __del__(self) -> None:
        # A connection is part of a cycle: without this, those of threads that have ended would
        # wait for the garbage collector with their files open.
        self.close()


_FORK_WAIT_S = 2.0
_opening = threading.Lock()  # held while a connection is opened, and over a fork
_held: weakref.WeakSet[_Held] = weakref.WeakSet()  # they go with their threads
_over_fork: list[_Held] = []


class Reader:
    """Read-only connections to one file, one per thread (and none from before a fork).

    Parameters
    ----------
    path
        The file.
    on_open
        Called with each new connection, to register functions.
    """

    def __init__(
        self, path: Path, on_open: Callable[[sqlite3.Connection], None] | None = None
    ) -> None:
        self.path = path
        self._on_open = on_open
        self._local = threading.local()

    def _connection(self) -> _Held:
        """Return the connection of the calling thread, opened on first use.

        Raises
        ------
        NbtrackError
            The file is absent, foreign, damaged or too new.
        """
        held: _Held | None = getattr(self._local, "held", None)
        identity = file_identity(self.path)
        if held is not None and held.conn is not None and held.identity == identity:
            return held
        if held is not None:
            with held.lock:  # the file was moved, deleted or replaced under us
                held.close()
        with _opening, translated(self.path):
            held = _Held(connect_reader(self.path), file_identity(self.path))
            if self._on_open is not None and held.conn is not None:
                self._on_open(held.conn)
            _held.add(held)
        self._local.held = held
        return held

    def rows(self, sql: str, args: tuple[Any, ...] | Mapping[str, Any] = ()) -> list[sqlite3.Row]:
        """Return all rows of a query.

        Raises
        ------
        StoreError
            The database cannot be read.
        """
        if isinstance(args, tuple):
            args = tuple(storable(a) if isinstance(a, str) else a for a in args)
        else:
            args = {k: storable(a) if isinstance(a, str) else a for k, a in args.items()}
        while True:
            held = self._connection()
            with held.lock, translated(self.path):
                if held.conn is not None:  # else another thread has forked just now
                    return held.conn.execute(sql, args).fetchall()

    def row(self, sql: str, args: tuple[Any, ...] = ()) -> sqlite3.Row | None:
        """Return the first row of a query, or None."""
        rows = self.rows(sql, args)
        return rows[0] if rows else None


@contextmanager
def lent(path: Path, *, upgrade: bool = True) -> Iterator[sqlite3.Connection]:
    """Lend a read-only connection that nobody else has, for settings of its own.

    Parameters
    ----------
    upgrade
        Bring the file's schema up to date before.

    Raises
    ------
    NbtrackError
        The file is absent, foreign, damaged or too new.
    """
    with _opening, translated(path):
        held = _Held(connect_reader(path, upgrade=upgrade), None)
        _held.add(held)
    with held.lock:
        if held.conn is None:  # another thread has forked just now
            raise StoreError(f"The database {path} was closed by a fork.", hint="Try again.")
        try:
            yield held.conn
        finally:
            held.close()


def close_readers() -> None:
    """Close all read-only connections of this process; the next reading opens one again."""
    for held in list(_held):
        with held.lock:
            held.close()


def _before_fork() -> None:
    # The locks of a process on a file do not come along into its child, but SQLite's notes about
    # them do: the child would believe that it holds them. So nothing is open while a fork happens.
    _opening.acquire()
    for held in list(_held):
        # A query that takes longer than that is not waited for: its connection stays open.
        if held.lock.acquire(timeout=_FORK_WAIT_S):
            held.close()
            _over_fork.append(held)


def _after_fork() -> None:
    while _over_fork:
        _over_fork.pop().lock.release()
    _opening.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork, after_in_parent=_after_fork, after_in_child=_after_fork
    )
