"""An archive of another tool is brought into a database, by the rules of any merge.

Runs go into a staging database, some at a time, and from there into the target: whole ones, in
short transactions. A kernel that writes there has its turn in between, an interruption leaves whole
runs, and the next import goes on. No more of the archive is in memory than some thousand points
and some megabytes of files.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from nbtrack.artifacts.digest import check_path
from nbtrack.artifacts.incoming import Content, put_content, receive
from nbtrack.db import Connection, DatabaseError, Reader, translated
from nbtrack.errors import IntegrityError, NbtrackError, StoreError
from nbtrack.transfer import around
from nbtrack.transfer.imports.base import (
    Archive,
    ForeignExperiment,
    ForeignFile,
    ForeignModel,
    ForeignRun,
)
from nbtrack.transfer.imports.sqlite import Staging
from nbtrack.transfer.imports.stage import stage_experiment, stage_file, stage_model, stage_run
from nbtrack.transfer.merge import UNFIT, Bring, Target, bring_things, rehearse_things
from nbtrack.transfer.models import bring_models
from nbtrack.transfer.report import MergeReport
from nbtrack.transfer.runs import bring_run
from nbtrack.transfer.sqlite import Source

_BATCH_S = 0.5
_BATCH_RUNS = 200
_PIECE = 2**20
_WAITING_BYTES = 32 * 2**20
_BROKEN = (NbtrackError, DatabaseError, OSError, *UNFIT)
_EXPERIMENT = "name, lifecycle_stage, creation_time, last_update_time, artifact_location"

Progress = Callable[[int, int], None]
"""Told how many runs are done, and of how many."""


def import_archive(
    archive: Archive,
    target: Target,
    target_path: Path,
    *,
    user_id: str,
    session_id: str,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> MergeReport:
    """Bring all that an archive has into a database; again changes nothing.

    Parameters
    ----------
    archive
        What is read.
    target, target_path
        The writer of the database, and where it is.
    user_id, session_id
        Who does so, and in which session: until it ends, what it has taken in is not cleaned up.
    dry_run
        Only find out what would be done.
    progress
        Told how far it is.

    Raises
    ------
    NbtrackError
        The archive cannot be read, or the database cannot be written.
    """
    with closing(Staging()) as staging:
        reader = Reader(target_path)
        importing = _Importing(
            archive, staging, target, target_path, user_id, session_id, dry_run, reader
        )
        importing.bring_experiments()
        importing.bring_runs(progress or (lambda done, total: None))
        importing.bring_models()
    importing.report.problems += archive.problems
    return importing.report


@dataclass(slots=True)
class _Batch:
    """Some runs in a staging database, and contents of files that go along."""

    conn: Connection
    runs: list[tuple[str, int]] = field(default_factory=list)
    contents: list[Content] = field(default_factory=list)
    found: dict[str, int] = field(default_factory=dict)  # of a rehearsal: sizes by digest
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class _PutContents:
    """Contents are stored before the runs that have them, as far as they are not there."""

    contents: Sequence[Content]

    def apply(self, conn: Connection) -> tuple[int, int]:
        """Write them; return how many were new, and how many bytes they have."""
        files = size = 0
        for content in self.contents:
            if not _has_content(conn, content.digest):
                put_content(conn, content)
                files += 1
                size += content.size_bytes
        return files, size


@dataclass(slots=True)
class _Importing:
    """An import on its way."""

    archive: Archive
    staging: Staging
    target: Target
    target_path: Path
    user_id: str
    session_id: str
    dry_run: bool
    reader: Reader
    target_failed: bool = False
    report: MergeReport = field(default_factory=MergeReport)
    counted: set[str] = field(default_factory=set)  # contents that a rehearsal has found
    numbers: dict[str, int] = field(default_factory=dict)  # of experiments, in the staging database

    def bring_experiments(self) -> None:
        """Bring the experiments over: each by its name, with its number where that is free."""
        kept: list[tuple[str, ForeignExperiment, int]] = []
        for experiment in self.archive.experiments():
            what = f"The experiment {experiment.name!r}"
            with self._told(what):
                number = stage_experiment(self.staging.conn, experiment)
                self.numbers[experiment.name] = number
                kept.append((what, experiment, number))
        with self.staging.another() as conn, self._source(conn) as source:
            self._bring(
                source, [(what, _experiment(source, found, number)) for what, found, number in kept]
            )

    def bring_runs(self, progress: Progress) -> None:
        """Bring the runs over, some at a time."""
        done, total = 0, self.archive.run_count()
        runs = iter(self.archive.runs())
        progress(done, total)
        while batch := self._next_batch(runs):
            done += batch
            progress(min(done, total), total)
        progress(total, total)  # some could not be read

    def _next_batch(self, runs: Iterator[ForeignRun]) -> int:
        """Stage some runs and bring them over; return how many."""
        deadline, count = time.monotonic() + _BATCH_S, 0
        with self.staging.another() as conn:
            batch = _Batch(conn)
            conn.execute("BEGIN")
            for run in runs:
                count += 1
                self._stage(batch, run)
                if time.monotonic() > deadline or count >= _BATCH_RUNS:
                    break
            conn.execute("COMMIT")
            if batch.runs:
                self._put_contents(batch)
                with self._source(conn) as source:
                    self._bring(
                        source,
                        [(what, self._run(source, run_no, batch)) for what, run_no in batch.runs],
                    )
        return count

    def _run(self, source: Source, run_no: int, batch: _Batch) -> Bring:
        def bring(conn: Connection) -> MergeReport:
            rehearsed = MergeReport()
            for digest, size in batch.found.items():
                if _has_content(conn, digest):
                    continue
                conn.execute(
                    "INSERT INTO blobs (digest, size_bytes, encoding) VALUES (?, ?, 'raw')",
                    (digest, size),
                )
                if digest not in self.counted:
                    self.counted.add(digest)
                    rehearsed.files += 1
                    rehearsed.bytes += size
            report = bring_run(source, conn, run_no, dry_run=False)
            report.include(rehearsed)
            return report

        return bring

    def _stage(self, batch: _Batch, run: ForeignRun) -> None:
        conn = batch.conn
        conn.execute("SAVEPOINT run")
        what = f"The run {run.run_name}"
        with self._told(what):
            try:
                run_no = stage_run(conn, run, self._experiment_of(run))
                self._stage_files(batch, run)
            except BaseException:
                conn.execute("ROLLBACK TO run")
                raise
            batch.runs.append((what, run_no))
        conn.execute("RELEASE run")

    def _experiment_of(self, run: ForeignRun) -> int:
        try:
            return self.numbers[run.experiment]
        except KeyError:
            raise IntegrityError(
                f"Its experiment {run.experiment!r} is not in the archive, or was left out."
            ) from None

    def _stage_files(self, batch: _Batch, run: ForeignRun) -> None:
        known: Mapping[str, str] | None = None
        for file in run.files():
            with self._told(f"The file {file.path!r} of the run {run.run_name}"):
                check_path(file.path)
                if known is None:
                    known = self._known_files(run.run_id)
                stage_file(batch.conn, run.run_id, file.path, self._take(batch, file, known))
            if batch.waiting > _WAITING_BYTES:
                self._put_contents(batch)

    def _take(self, batch: _Batch, file: ForeignFile, known: Mapping[str, str]) -> str:
        """Return the digest of a file's content, which waits in the batch if it is new."""
        if self.dry_run or file.path in known:
            with file.open() as stream:
                digest, size = _digest(stream)
            if self.dry_run:
                batch.found[digest] = size
                return digest
            if digest == known[file.path]:
                return digest
        with file.open() as stream, self._of_target():
            content = receive(stream, self.target_path, session=self.session_id)
        batch.contents.append(content)
        batch.waiting += len(content.data or b"")
        return content.digest

    def _known_files(self, run_id: str) -> dict[str, str]:
        if not self.target_path.exists():
            return {}
        rows = self.reader.rows("SELECT path, digest FROM artifacts WHERE run_id = ?", (run_id,))
        return {row["path"]: row["digest"] for row in rows}

    def _put_contents(self, batch: _Batch) -> None:
        if batch.contents:
            with self._of_target():
                files, size = self.target.call(_PutContents(tuple(batch.contents)))
            self.report.files += files
            self.report.bytes += size
            batch.contents.clear()
            batch.waiting = 0

    def bring_models(self) -> None:
        """Bring the registered models over."""
        with self.staging.another() as conn:
            names = []
            conn.execute("BEGIN")
            for model in self.archive.registered_models():
                with self._told(f"The model {model.name!r}"):
                    self._stage_model(conn, model)
                    names.append(model.name)
            conn.execute("COMMIT")
            stubs = self.report.added if self.dry_run else ()
            with self._source(conn) as source:
                self._bring(
                    source,
                    [(f"The model {n!r}", _model(source, n, self.user_id, stubs)) for n in names],
                )

    def _stage_model(self, conn: Connection, model: ForeignModel) -> None:
        conn.execute("SAVEPOINT model")
        try:
            stage_model(conn, model)
        except BaseException:
            conn.execute("ROLLBACK TO model")
            raise
        conn.execute("RELEASE model")

    def _bring(self, source: Source, things: Sequence[tuple[str, Bring]]) -> None:
        bring = rehearse_things if self.dry_run else bring_things
        part = bring(self.target, source, things)
        # Of a rehearsal each batch makes the experiments anew.
        known = set(self.report.experiments)
        part.experiments = [name for name in part.experiments if name not in known]
        self.report.include(part)

    @contextmanager
    def _source(self, conn: Connection) -> Iterator[Source]:
        with translated(self.target_path):
            source = Source(conn, self.target_path)
        with closing(source):
            yield source

    @contextmanager
    def _of_target(self) -> Iterator[None]:
        """Let what fails on the side of the database end the import."""
        try:
            yield
        except StoreError:
            self.target_failed = True
            raise

    @contextmanager
    def _told(self, what: str) -> Iterator[None]:
        """Note what cannot be brought over; it does not keep the rest away."""
        try:
            yield
        except _BROKEN as error:
            if self.target_failed:
                raise
            why = error.message if isinstance(error, NbtrackError) else f"{error}."
            self.report.problems.append(f"{what} was left out: {why}")


def _digest(stream: BinaryIO) -> tuple[str, int]:
    """Return the digest of a stream, and its length, and keep nothing of it."""
    found, size = hashlib.sha256(), 0
    while piece := stream.read(_PIECE):
        found.update(piece)
        size += len(piece)
    return f"sha256:{found.hexdigest()}", size


def _has_content(conn: Connection, digest: str) -> bool:
    return bool(conn.execute("SELECT 1 FROM blobs WHERE digest = ?", (digest,)).fetchone())


def _experiment(source: Source, experiment: ForeignExperiment, staged: int) -> Bring:
    def bring(conn: Connection) -> MergeReport:
        report = MergeReport()
        row = source.row(
            f"SELECT {_EXPERIMENT} FROM experiments WHERE experiment_id = ?", (staged,)
        )
        values = dict(zip(row.keys(), row, strict=True)) if row else {}
        number = _number(experiment.experiment_id)
        if number is not None:
            made = conn.execute(
                f"INSERT OR IGNORE INTO experiments (experiment_id, {_EXPERIMENT})"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (number, *values.values()),
            ).rowcount
            report.experiments += [values["name"]] if made else []
        # Where nothing is in it yet, as in Default in a new file, its times are those of the other.
        conn.execute(
            "UPDATE experiments SET creation_time = :creation_time, last_update_time ="
            " :last_update_time WHERE name = :name AND :creation_time > 0 AND NOT EXISTS"
            " (SELECT 1 FROM runs r WHERE r.experiment_id = experiments.experiment_id)"
            " AND NOT EXISTS (SELECT 1 FROM experiment_tags t WHERE t.experiment_id ="
            " experiments.experiment_id)",
            values,
        )
        around.bring_experiment(source, conn, staged, report)
        return report

    return bring


def _number(experiment_id: str | None) -> int | None:
    """Return the id of an experiment if it can be one here."""
    text = experiment_id or ""
    if text.isascii() and text.isdigit() and int(text) < 2**62:  # room for those that come later
        return int(text)
    return None


def _model(source: Source, name: str, user_id: str, rehearsed: Sequence[str]) -> Bring:
    def bring(conn: Connection) -> MergeReport:
        # Of a rehearsal the runs are not here, though they would be.
        conn.executemany(
            "INSERT OR IGNORE INTO runs (run_id, run_name, experiment_id, status, start_time,"
            " user_id) VALUES (?, '', 0, 'FINISHED', 0, '')",
            [(run_id,) for run_id in rehearsed],
        )
        return bring_models(source, conn, name, user_id)

    return bring
