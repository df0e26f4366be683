"""Is everything in the file, and beside it, what was put there? All of it is looked at.

The file may be damaged anywhere, or made to harm: a part that cannot be read is one problem of
many, nothing of it is run, and no more of it is in memory at a time than one row.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbtrack import packing
from nbtrack.artifacts import places
from nbtrack.artifacts.encoding import Stored
from nbtrack.db import Connection, DatabaseError, lent, schema_objects
from nbtrack.errors import CorruptDatabaseError, IntegrityError, NotFoundError, StoreError
from nbtrack.migrations import LATEST
from nbtrack.store.points import CHUNK, number
from nbtrack.store.sealing import METRIC, SUMMARY
from nbtrack.store.summary import Summary
from nbtrack.store.words import MODEL_STATUSES, ROLES, STAGES, VERSION_STATUSES
from nbtrack.types import LifecycleStage, RunStatus

Progress = Callable[[int, int], None]
"""Told how many bytes of files and points have been looked at, and of how many."""

_BACKUP = "Take the database from a backup."
_MOST = 1000  # problems that are told
_SHOWN = 100  # of those that SQLite itself finds
_READ = 2**20  # most bytes of a file in memory at once, and of one row of its contents
_MAX_POINTS = packing.HEADER.size + 24 * CHUNK
_MAX_WINDOW = 2**27


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it should be, and what to do."""

    what: str
    hint: str = _BACKUP


def check(
    path: Path, progress: Progress | None = None, *, any_schema: bool = False
) -> list[Problem]:
    """Return what is wrong with a database; it is only read, as it is at this moment.

    Parameters
    ----------
    path
        The database.
    progress
        Told how much was looked at.
    any_schema
        An old schema is no problem; of such a file only pages and references are looked at.

    Raises
    ------
    NbtrackError
        There is no such file, it is not one of nbtrack's, or too new for this one.
    """
    try:
        with lent(path, upgrade=False) as conn:
            conn.text_factory = lambda text: text.decode("utf-8", "replace")
            conn.row_factory = None
            conn.execute("BEGIN")
            found = list(itertools.islice(_problems(conn, progress, any_schema), _MOST + 1))
    except CorruptDatabaseError as error:
        return [Problem(error.message, error.hint or _BACKUP)]
    if len(found) > _MOST:
        found[_MOST:] = [Problem(f"There are more than these {_MOST} problems.")]
    return found


def _problems(conn: Connection, progress: Progress | None, any_schema: bool) -> Iterator[Problem]:
    yield from _guarded("pages", _pages(conn))
    if any_schema and conn.execute("PRAGMA user_version").fetchone()[0] < LATEST:
        yield from _guarded("references", _references(conn))
        return
    missing = list(_guarded("schema", _schema(conn)))
    yield from missing
    if missing:  # nothing else can be asked
        return
    look = _Look(conn, progress)
    yield from _guarded("references", _references(conn))
    yield from _guarded("values", _values(conn))
    yield from _guarded("files", _files(conn))
    yield from _guarded("contents of files", look.blobs())
    yield from _guarded("points of metrics", look.metrics())
    yield from _guarded("sealed runs", _sealed(conn))


def _guarded(part: str, problems: Iterator[Problem]) -> Iterator[Problem]:
    try:
        yield from problems
    except (
        DatabaseError,
        ValueError,
        TypeError,
        ArithmeticError,
        MemoryError,
        struct.error,
    ) as error:
        yield Problem(f"The {part} cannot be read: {error}.")


def _pages(conn: Connection) -> Iterator[Problem]:
    for (text,) in conn.execute(f"PRAGMA integrity_check({_SHOWN})"):
        if text != "ok":
            for line in text.splitlines():
                yield Problem(f"SQLite: {line}.", f"{_BACKUP} sqlite3's .recover can save rows.")


def _schema(conn: Connection) -> Iterator[Problem]:
    (version,) = conn.execute("PRAGMA user_version").fetchone()
    if version < LATEST:
        yield Problem(
            f"The schema is {version}, and this nbtrack's is {LATEST}: nothing else was checked.",
            "Whatever reads the file brings it up to date: nbtrack runs list. Then check again.",
        )
        return
    there = schema_objects(conn)
    for kind, name in sorted(schema_objects() - there):
        yield Problem(f"The {kind} {name} is missing.")


def _references(conn: Connection) -> Iterator[Problem]:
    rows = conn.execute("PRAGMA foreign_key_check")
    for (table, parent), count in Counter((row[0], row[2]) for row in rows).items():
        yield Problem(f"{count} rows of {table} refer to rows of {parent} that are not there.")


_RULES = (
    *(
        (f"rows of {table} have no JSON in {column}", f"{table} WHERE NOT json_valid({column})")
        for table, column in (
            ("datasets", "schema"),
            ("datasets", "profile"),
            ("run_inputs", "tags"),
            ("sessions", "environment"),
            ("model_events", "details"),
            ("shapes", "keys"),
            ("sealed_runs", "params"),
            ("sealed_runs", "tags"),
        )
    ),
    ("runs have an unknown status", f"runs WHERE status NOT IN {tuple(map(str, RunStatus))}"),
    *(
        (
            f"{table} are neither active nor deleted",
            f"{table} WHERE lifecycle_stage NOT IN {tuple(map(str, LifecycleStage))}",
        )
        for table in ("runs", "experiments")
    ),
    *(
        (f"rows of {table} have an unknown {column}", f"{table} WHERE {column} NOT IN {words}")
        for table, column, words in (
            ("models", "status", MODEL_STATUSES),
            ("run_models", "role", ROLES),
            ("model_versions", "status", VERSION_STATUSES),
            ("model_versions", "current_stage", STAGES),
        )
    ),
    ("runs are sealed and to be sealed", "sealed_runs JOIN unsealed_runs USING (run_no)"),
    ("blobs have an unknown encoding", "blobs WHERE encoding NOT IN ('raw', 'zstd')"),
)


def _values(conn: Connection) -> Iterator[Problem]:
    for what, source in _RULES:
        (count,) = conn.execute(f"SELECT count(*) FROM {source}").fetchone()
        if count:
            yield Problem(f"{count} {what}.")


def _files(conn: Connection) -> Iterator[Problem]:
    for run_id, path in conn.execute(
        "SELECT run_id, path FROM artifacts WHERE digest NOT IN (SELECT digest FROM blobs)"
    ):
        yield Problem(f"The content of the file {path!r} of run {run_id} is not there.")


class _Look:
    """Looks at what fills the file, and says how far it is."""

    def __init__(self, conn: Connection, progress: Progress | None) -> None:
        self._conn = conn
        self._path = places.database_of(conn)
        self._progress = progress
        self._done = self._total = 0
        if progress is not None:
            sums = [f"sum(length(data)), 0) FROM {t}" for t in ("blob_chunks", "metric_chunks")]
            for what in (*sums, "sum(stored_bytes), 0) FROM blobs WHERE place_id IS NOT NULL"):
                for (size,) in _readable(conn, f"SELECT coalesce({what}"):
                    self._total += size

    def _seen(self, size: int) -> None:
        self._done += size
        if self._progress is not None:
            self._progress(self._done, self._total)

    def blobs(self) -> Iterator[Problem]:
        for digest, size, encoding, place_id, uri in self._conn.execute(
            "SELECT digest, size_bytes, encoding, place_id, uri FROM blobs"
            " LEFT JOIN blob_places USING (place_id) WHERE encoding IN ('raw', 'zstd')"
        ):
            try:
                if place_id is None:
                    fault = self._fault(self._rows(digest), digest, size, encoding)
                else:
                    stored = self._outside(str(uri), digest, encoding)
                    fault = self._fault(stored, digest, size, encoding)
            except DatabaseError as error:
                fault = f"cannot be read: {error}"
            except NotFoundError as error:
                fault = f"is not in its place: {error.message.rstrip('.')}"
            except StoreError as error:
                fault = f"could not be looked at: {error.message.rstrip('.')}"
            if fault:
                users = self._conn.execute(
                    "SELECT path || ' of run ' || run_id FROM artifacts WHERE digest = ? LIMIT 3",
                    (digest,),
                ).fetchall()
                where = ", ".join(row[0] for row in users) or "no file of a run"
                yield Problem(f"The content {digest} ({where}) {fault}.")

    def _fault(self, pieces: Iterator[bytes], digest: str, size: int, encoding: str) -> str | None:
        import zstandard

        stored: Any = Stored(pieces)
        if encoding == "zstd":
            # By parts: a frame may claim any size, and unpack to any.
            unpacker = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
            stored = unpacker.stream_reader(stored, read_size=_READ)
        found = hashlib.sha256()
        count = 0
        try:
            while part := stored.read(_READ):
                found.update(part)
                count += len(part)
                if count > size:
                    break
        except (zstandard.ZstdError, IntegrityError) as error:
            return f"is damaged: {error}"
        if count != size:
            return f"has not the {size} bytes that were stored"
        if digest != f"sha256:{found.hexdigest()}":
            return "is not what was stored: its bytes have another digest"
        return None

    def _outside(self, uri: str, digest: str, encoding: str) -> Iterator[bytes]:
        for piece in places.read_stored(uri, self._path, digest, encoding):
            self._seen(len(piece))
            yield piece

    def _rows(self, digest: str) -> Iterator[bytes]:
        query = "SELECT seq, length(data) FROM blob_chunks WHERE digest = ? ORDER BY seq"
        for seq, size in self._conn.execute(query, (digest,)):
            if size > _READ:
                raise IntegrityError(f"a part of it has {size} bytes")
            (data,) = self._conn.execute(
                "SELECT data FROM blob_chunks WHERE digest = ? AND seq = ?", (digest, seq)
            ).fetchone()
            self._seen(size)
            yield data

    def metrics(self) -> Iterator[Problem]:
        for metric_id, run_id, key, *columns in self._conn.execute(
            "SELECT metric_id, run_id, key, first_step, first_timestamp, first, last_step,"
            " last_timestamp, last, min, max, count FROM metrics JOIN runs USING (run_no)"
        ):
            try:
                fault = self._points_fault(metric_id, columns)
            except IntegrityError as error:
                fault = error.message
            except DatabaseError as error:
                fault = f"they cannot be read: {error}."
            if fault:
                yield Problem(f"Points of the metric {key!r} of run {run_id}: {fault}")

    def _points_fault(self, metric_id: int, columns: Sequence[Any]) -> str | None:
        whole: Summary | None = None
        for chunk_id, count, size in self._conn.execute(
            "SELECT chunk_id, count, length(data) FROM metric_chunks WHERE metric_id = ?"
            " ORDER BY chunk_id",
            (metric_id,),
        ):
            if size > _MAX_POINTS:
                return f"a chunk has {size} bytes, which is more than one can have."
            (data,) = self._conn.execute(
                "SELECT data FROM metric_chunks WHERE chunk_id = ?", (chunk_id,)
            ).fetchone()
            self._seen(size)
            summary = Summary.of(*packing.decode(data))
            if summary.count != count:
                return f"a chunk has {summary.count} points, and not {count}."
            if whole is None:
                whole = summary
            else:
                whole.merge(summary)
        if whole is None:
            return "they are not there."
        values = [*whole.first, *whole.last, whole.min, whole.max, whole.count]
        if not all(map(_same, map(number, columns), map(float, values))):
            return "their summary (first, last, min, max, count) is another one."
        return None


def _same(a: float, b: float) -> bool:
    return a == b or (math.isnan(a) and math.isnan(b))


def _readable(conn: Connection, query: str) -> list[Any]:
    """Return rows, or none where the file is damaged: somebody else tells of that."""
    try:
        return conn.execute(query).fetchall()
    except DatabaseError:
        return []


def _sealed(conn: Connection) -> Iterator[Problem]:
    for run_no, run_id, *row in conn.execute(
        "SELECT run_no, run_id, p.keys, params, t.keys, tags, m.keys, lasts, metrics"
        " FROM sealed_runs JOIN runs USING (run_no)"
        " LEFT JOIN shapes p ON p.shape_id = param_shape"
        " LEFT JOIN shapes t ON t.shape_id = tag_shape"
        " LEFT JOIN shapes m ON m.shape_id = metric_shape"
    ):
        expected: list[Any] = []
        for table in ("params", "tags"):
            pairs = conn.execute(
                f"SELECT key, value FROM {table} WHERE run_no = ? ORDER BY key", (run_no,)
            ).fetchall()
            expected += [json.dumps([pair[place] for pair in pairs]) for place in (0, 1)]
        rows = conn.execute(
            f"SELECT key, {', '.join(SUMMARY)} FROM metrics WHERE run_no = ? ORDER BY key",
            (run_no,),
        ).fetchall()
        expected.append(json.dumps([metric[0] for metric in rows]))
        metrics = [[*map(number, metric[1:5]), *metric[5:]] for metric in rows]
        expected.append(struct.pack(f"<{len(metrics)}d", *(metric[0] for metric in metrics)))
        expected.append(b"".join(METRIC.pack(*metric) for metric in metrics))
        if row != expected:
            yield Problem(
                f"The sealed row of run {run_id} is not what its params, tags and metrics are.",
                "It is made anew as soon as a tag of the run is set.",
            )
