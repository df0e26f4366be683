"""A training that takes several calls is one run: ``partial_fit`` in a loop, warm starts.

A loop of ``partial_fit`` is a run that stays open. It ends with its cell, when another estimator
is fitted, or at exit, and only then the model is kept. Where the other estimator is fitted in turn
with this one, the run goes on, and ends with the cell.

A warm start is a run that has ended, and goes on. The same cell once more is another training.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from nbtrack import exits
from nbtrack.autologging.book import Chapter
from nbtrack.autologging.integration import TrackedRun, Tracker
from nbtrack.autologging.predictions import IdentityMap
from nbtrack.autologging.recording import Recording
from nbtrack.provenance import cells

_OUTCOMES = {"error": "FAILED", "interrupted": "KILLED"}


@dataclass(eq=False)
class Training:
    """A training that a later call may go on with."""

    run: TrackedRun
    ours: bool
    chapter: Chapter
    fits: int = 0
    _cells: dict[str, str] = field(default_factory=dict)
    process: int = field(default_factory=os.getpid)

    def goes_on(self, tracker: Tracker, *, exclusive: bool = False) -> bool:
        """Whether a call that is made now belongs to this training, and note its cell."""
        active = None if exclusive else tracker.active_run()
        wanted = None if self.ours else self.run.run_id
        if (active and active.run_id) != wanted or os.getpid() != self.process:
            return False
        return self.is_in_new_cell()

    def is_in_new_cell(self) -> bool:
        """Note the cell that is running; whether it has not been part of the training before."""
        cell = cells.current_cell()
        if cell is None:
            return True
        key = cell.cell_id or cell.source or cell.execution_id
        return self._cells.setdefault(key, cell.execution_id) == cell.execution_id

    def is_of_this_cell(self) -> bool:
        """Whether all of it was in the very execution that is going on."""
        cell = cells.current_cell()
        now = set() if cell is None else {cell.execution_id}
        return set(self._cells.values()) == now


class Stream(Training):
    """The run of a loop of ``partial_fit``; as a `scope.Recorder`, of one call after the first."""

    def __init__(
        self,
        estimator: Any,
        recording: Recording,
        chapter: Chapter,
        write: Callable[[Stream], None],
    ) -> None:
        super().__init__(chapter.book.run, recording.ours, chapter)
        self.estimator: Any = estimator
        self.recording = recording
        self.seconds = 0.0
        self.thread = threading.get_ident()
        self.frame: FrameType | None = None
        self.is_broken = False
        self._write = write
        self._closed = 0
        self._start = 0.0

    @property
    def is_shared(self) -> bool:
        """Whether others were fitted in turn with it."""
        return self._closed > 0

    def begin(self) -> None:
        """Before another call."""
        if self not in _open:
            self.recording.go_on(self.run, ours=self.ours)
            _open.append(self)
        self._start = time.perf_counter()

    def succeed(self, result: Any) -> None:
        """After the call has fitted a batch."""
        self.count(time.perf_counter() - self._start)
        self.frame = None

    def fail(self, error: BaseException) -> None:
        """End the run: the call has raised."""
        frame, self.frame = self.frame, None
        self.is_broken = True
        self.drop()
        self.recording.fail(error, frame)

    def count(self, seconds: float) -> None:
        """Note that another batch has been fitted."""
        self.seconds += seconds
        self.chapter.book.clock = self.fits
        self.fits += 1

    def close(self, status: str = "FINISHED") -> None:
        """Keep what has been learned, and end the run."""
        try:
            self.recording.finish(lambda run: self._write(self), status)
        finally:
            self.drop()
            self._closed += 1

    def drop(self) -> None:
        """Let go of the estimator."""
        if self in _open:
            _open.remove(self)
        self.estimator = None


_open: list[Stream] = []
_trainings: IdentityMap[Training] = IdentityMap()


def find(estimator: object) -> Training | None:
    """Return the training of an estimator, if it is remembered."""
    return _trainings.get(estimator)


def remember(estimator: object, training: Training) -> None:
    """Remember the training of an estimator, as long as that lives."""
    training.is_in_new_cell()
    _trainings.put(estimator, training)


def start(stream: Stream) -> None:
    """Remember a stream that has begun; it is closed in time."""
    remember(stream.estimator, stream)
    _open.append(stream)


def fits_another(estimator: object, *, whole: bool) -> None:
    """Close the streams that have come to their end, now that `estimator` is fitted.

    Parameters
    ----------
    whole
        By ``fit``: that ends a stream of the very same estimator, too.
    """
    for stream in _open.copy():
        own = stream.estimator is estimator
        if stream.thread != threading.get_ident():
            continue  # trained at the same time, and not in turn
        if (own and whole) or not (own or stream.is_shared):
            stream.close()


def close_all(status: str = "FINISHED") -> None:
    """Close all streams of this process."""
    for stream in _open.copy():
        if stream.process == os.getpid():
            stream.close(status)
    _open.clear()


def end_of_cell() -> None:
    """Close all streams: a cell has ended."""
    outcome = cells.executions[-1].outcome if cells.executions else None
    close_all(_OUTCOMES.get(outcome or "", "FINISHED"))


def forget() -> None:
    """Close all streams, and forget all estimators."""
    close_all()
    _trainings.clear()
    if end_of_cell in cells.on_end:
        cells.on_end.remove(end_of_cell)


def _at_exit() -> None:
    error = getattr(sys, "last_value", None)
    if error is None or hasattr(sys, "ps1") or "IPython" in sys.modules:
        close_all()
    else:
        close_all("FAILED" if isinstance(error, Exception) else "KILLED")


exits.register(exits.Step.TRAININGS, _at_exit)
