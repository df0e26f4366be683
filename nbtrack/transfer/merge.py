"""Runs are brought over: from another file into this one, and from this one into another.

A merge goes in short steps, each of whole runs in one transaction of the target: a kernel that
writes there has its turn in between, and after an interruption the next merge goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from nbtrack.db import (
    Connection,
    DatabaseError,
    Loggable,
    Record,
    begin,
    check_file,
    connect_writer,
    is_trouble,
    translated,
)
from nbtrack.errors import InvalidParameterError, NbtrackError
from nbtrack.store import sealing
from nbtrack.store.maintenance import Progress
from nbtrack.store.sessions import IsAlive
from nbtrack.transfer import around
from nbtrack.transfer.models import bring_models
from nbtrack.transfer.report import MergeReport
from nbtrack.transfer.runs import bring_run
from nbtrack.transfer.sqlite import Source, opened

_STEP_S = 0.05
UNFIT = (ValueError, TypeError, AttributeError, OverflowError)  # a number where a text should be

Bring = Callable[[Connection], MergeReport]
"""Brings one thing over, whole."""


class Target(Protocol):
    """What applies a record in a transaction: the writer of a file."""

    def call(self, record: Record) -> Any:
        """Write a record now and return what its ``apply`` returned."""


@dataclass(frozen=True, slots=True)
class _Step:
    """Some things are brought over, as many as fit into a short time; the result tells how many.

    What is wrong with one of them is told, and does not keep the others away.
    """

    source: Source
    things: Sequence[tuple[str, Bring]]
    seconds: float

    def apply(self, conn: Connection) -> tuple[int, MergeReport]:
        """Write them."""
        with self.source.using:
            return self._apply(conn)

    def _apply(self, conn: Connection) -> tuple[int, MergeReport]:
        whole, done = MergeReport(), 0
        deadline = time.monotonic() + self.seconds
        for what, bring in self.things:
            conn.execute("SAVEPOINT thing")
            try:
                report = bring(conn)
            except (NbtrackError, DatabaseError, *UNFIT) as error:
                if is_trouble(error):
                    raise  # the target's fault: the writer tries again
                conn.execute("ROLLBACK TO thing")
                why = error.message if isinstance(error, NbtrackError) else f"{error}."
                report = MergeReport(problems=[f"{what} was left out: {why}"])
            conn.execute("RELEASE thing")
            whole.include(report)
            done += 1
            if time.monotonic() > deadline:
                break
        return done, whole


class _RolledBackError(Exception):
    """Carries what a rehearsal found out of the transaction, which is rolled back by it."""

    def __init__(self, report: MergeReport) -> None:
        super().__init__("This was a rehearsal.")
        self.report = report


@dataclass(frozen=True, slots=True)
class _Rehearsal:
    """All is brought over but the contents of files, and taken back."""

    step: _Step

    def apply(self, conn: Connection) -> None:
        """Raise what was found."""
        raise _RolledBackError(self.step.apply(conn)[1])


def merge(
    path: Path,
    target: Target,
    target_path: Path,
    *,
    user_id: str,
    is_alive: IsAlive,
    kinds: Mapping[str, type[Loggable]],
    dry_run: bool = False,
    progress: Progress | None = None,
) -> MergeReport:
    """Bring all that a file has over into another one; again changes nothing.

    Parameters
    ----------
    path
        The file that is read.
    target, target_path
        The writer of the other one, and where it is.
    user_id
        Who does so.
    is_alive
        Tells whether a process lives: what dead ones left beside the file is read, too.
    kinds
        The records that their journals may have.
    dry_run
        Only find out what would be done.
    progress
        Called again and again with how many runs and other things are done, and of how many.

    Raises
    ------
    InvalidParameterError
        Both are the same file.
    NbtrackError
        One of the files cannot be read or written.
    """
    _refuse_same(path, target_path)
    troubles: list[str] = []
    with opened(path, is_alive=is_alive, kinds=kinds, on_trouble=troubles.append) as source:
        things = list(_all(source, user_id, dry_run=dry_run))
        if dry_run:
            report = rehearse_things(target, source, things)
        else:
            report = bring_things(target, source, things, progress)
    report.problems += troubles
    return report


def export(
    path: Path,
    runs: Sequence[str],
    target_path: Path,
    *,
    user_id: str,
    is_alive: IsAlive,
    kinds: Mapping[str, type[Loggable]],
    progress: Progress | None = None,
) -> MergeReport:
    """Bring some runs, their children, and what they refer to, over into another file.

    Parameters
    ----------
    path
        The file that is read.
    runs
        Ids of the runs.
    target_path
        The other file: it is made, or is one of nbtrack's.
    user_id, is_alive, kinds, progress
        As in `merge`.

    Raises
    ------
    InvalidParameterError
        Both are the same file.
    NbtrackError
        One of the files cannot be read or written.
    """
    _refuse_same(path, target_path)
    check_file(target_path)
    troubles: list[str] = []
    with opened(path, is_alive=is_alive, kinds=kinds, on_trouble=troubles.append) as source:
        things = list(_some(source, runs, user_id))
        with translated(target_path), closing(connect_writer(target_path)) as conn:
            report = bring_things(_Direct(conn), source, things, progress)
    report.problems += troubles
    return report


@dataclass(frozen=True, slots=True)
class _Direct:
    """Writes into a file without being one of its sessions."""

    conn: Connection

    def call(self, record: Record) -> Any:
        """Write a record now and return what its ``apply`` returned."""
        begin(self.conn)
        try:
            value = record.apply(self.conn)
            sealing.seal_ended(self.conn)
            self.conn.execute("COMMIT")
        except BaseException:
            if self.conn.in_transaction:
                self.conn.execute("ROLLBACK")
            raise
        return value


def bring_things(
    target: Target,
    source: Source,
    things: Sequence[tuple[str, Bring]],
    progress: Progress | None = None,
) -> MergeReport:
    """Bring things over in short steps; return what was done."""
    report, place = MergeReport(), 0
    while place < len(things):
        done, part = target.call(_Step(source, things[place:], _STEP_S))
        report.include(part)
        place += done
        if progress is not None:
            progress(place, len(things))
    return report


def rehearse_things(
    target: Target, source: Source, things: Sequence[tuple[str, Bring]]
) -> MergeReport:
    """Return what `bring_things` would do."""
    try:
        target.call(_Rehearsal(_Step(source, things, float("inf"))))
    except _RolledBackError as found:
        return found.report
    return MergeReport()


def _all(source: Source, user_id: str, *, dry_run: bool) -> Iterator[tuple[str, Bring]]:
    """Yield all that a file has, in the order in which it can be brought over."""
    for number, name in source.rows("SELECT experiment_id, name FROM experiments ORDER BY 1"):
        yield f"The experiment {name!r}", _experiment(source, number)
    for (session_id,) in source.rows("SELECT session_id FROM sessions ORDER BY start_ms"):
        yield f"The session {session_id}", _session(source, session_id)
    for run_no, name in source.rows("SELECT run_no, run_name FROM runs ORDER BY run_no"):
        yield f"The run {name}", _run(source, run_no, dry_run=dry_run)
    for (name,) in source.rows("SELECT name FROM registered_models ORDER BY name"):
        yield f"The model {name!r}", _model(source, name, user_id, None)


def _some(source: Source, runs: Sequence[str], user_id: str) -> Iterator[tuple[str, Bring]]:
    """Yield runs, those below them, and what is registered of them."""
    chosen: dict[str, None] = {}
    waiting = list(runs)
    while waiting:
        run_id = waiting.pop()
        if run_id not in chosen:
            chosen[run_id] = None
            waiting += (
                child
                for (child,) in source.rows(
                    "SELECT run_id FROM runs WHERE parent_run_id = ?"
                    " AND lifecycle_stage = 'active'",
                    (run_id,),
                )
            )
    for run_no, run_id, name in source.rows("SELECT run_no, run_id, run_name FROM runs ORDER BY 1"):
        if run_id in chosen:
            yield f"The run {name}", _run(source, run_no, dry_run=False)
    for (name,) in source.rows("SELECT name FROM registered_models ORDER BY name"):
        yield f"The model {name!r}", _model(source, name, user_id, frozenset(chosen))


def _experiment(source: Source, number: int) -> Bring:
    def bring(conn: Connection) -> MergeReport:
        report = MergeReport()
        around.bring_experiment(source, conn, number, report)
        return report

    return bring


def _session(source: Source, session_id: str) -> Bring:
    def bring(conn: Connection) -> MergeReport:
        around.bring_session(source, conn, session_id)
        around.bring_executions(source, conn, session_id)
        return MergeReport()

    return bring


def _run(source: Source, run_no: int, *, dry_run: bool) -> Bring:
    return lambda conn: bring_run(source, conn, run_no, dry_run=dry_run)


def _model(source: Source, name: str, user_id: str, runs: frozenset[str] | None) -> Bring:
    return lambda conn: bring_models(source, conn, name, user_id, runs)


def _refuse_same(path: Path, target: Path) -> None:
    if path == target or (path.exists() and target.exists() and path.samefile(target)):
        raise InvalidParameterError(
            f"{path} would be merged into itself.", hint="Name another file."
        )
