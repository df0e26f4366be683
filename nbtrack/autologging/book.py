"""What is remembered of a run after the call that made it: its verbs, and the names in use."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nbtrack.autologging.integration import TrackedRun

if TYPE_CHECKING:
    from nbtrack.media import Plot

# A sweep over thresholds calls a metric a hundred times: one picture of it is enough.
_REDRAW_S = 0.2
# A loop over a hundred batches is no hundred sets of data.
_MAX_OF_A_NAME = 10


class Book:
    """One run, for all that is logged into it by several calls.

    Parameters
    ----------
    run
        The run.
    """

    def __init__(self, run: TrackedRun) -> None:
        self.run = run
        self.clock = 0
        """Step of metrics that are computed now: how far the training has come."""
        self._texts: dict[tuple[str, str], list[str]] = {}
        self._steps: dict[str, int] = {}
        self._chapters = 0
        self._owners: dict[str, Chapter] = {}
        self._params: dict[str, str] = {}
        self._datasets: dict[str, list[tuple[int, Any]]] = {}
        self._drawn: dict[str, tuple[float, Any, Any]] = {}
        self._lock = threading.Lock()

    def chapter(self, title: str) -> Chapter:
        """Begin to write about another fit."""
        with self._lock:
            self._chapters += 1
            return Chapter(self, title, self._chapters)

    def log(self, function: str, dataset: str | None, text: str, value: float) -> str:
        """Log a metric computed after the fit, named as MLflow names it; return that name.

        The same `text` again is the next point of the same metric; another one for the same
        function and data is a metric of its own, with a number.
        """
        dataset = dataset or "unknown_dataset"
        with self._lock:
            texts = self._texts.setdefault((function, dataset), [])
            if text not in texts:
                texts.append(text)
            number = texts.index(text) + 1
            key = f"{function}_{dataset}" if number == 1 else f"{function}-{number}_{dataset}"
            step = max(self.clock, self._steps.get(key, 0))
            self._steps[key] = step + 1
        self.run.log_metrics({key: value}, step)
        return key

    def dataset(self, name: str, value: object) -> str:
        """Return the name of data among others that the user calls the same: ``X_``, ``X_-2``.

        What is gone by now, or was there earlier in the training, leaves its place to the next.
        """
        if value is None:
            return name
        reference = _weak(value)
        with self._lock:
            known = self._datasets.setdefault(name, [])
            found = (i for i, (_, other) in enumerate(known) if other() is value)
            left = (i for i, (at, other) in enumerate(known) if at < self.clock or other() is None)
            place = next(found, None)
            place = next(left, len(known)) if place is None else place
            if place < _MAX_OF_A_NAME:
                known[place : place + 1] = [(self.clock, reference)]
        return name if place == 0 else f"{name}-{min(place + 1, _MAX_OF_A_NAME)}"

    def is_to_draw(self, name: str, truth: object, prediction: object) -> bool:
        """Whether a picture of a prediction is worth while, and note that it is made.

        It is not for the very arrays that the last one was made of, nor right after it.
        """
        now = time.monotonic()
        at, *drawn = self._drawn.get(name, (0.0, _never, _never))
        if drawn[0]() is truth and drawn[1]() is prediction:
            return False
        if name in self._drawn and now - at < _REDRAW_S:
            return False
        self._drawn[name] = (now, _weak(truth), _weak(prediction))
        return True

    def owns(self, key: str, chapter: Chapter) -> bool:
        """Give `key` to a chapter, unless another one has it."""
        with self._lock:
            return self._owners.setdefault(key, chapter) is chapter

    def is_free(self, key: str, text: str, chapter: Chapter) -> bool:
        """Whether a chapter may set a param: it is its own, or another's of the same value."""
        owned = self.owns(key, chapter)
        with self._lock:
            if owned:
                self._params[key] = text
            return self._params.get(key) == text

    def next_steps(self, key: str, count: int) -> range:
        """Take the next steps of a metric."""
        with self._lock:
            first = self._steps.get(key, 0)
            self._steps[key] = first + count
        return range(first, first + count)


class Chapter:
    """What one fit writes into a run that other fits may write into, too.

    The first fit has all names as they are. A later one has its own name before those that are
    taken: ``Ridge-2.alpha`` for the second fit of the run.

    Examples
    --------
    >>> from nbtrack.autologging.book import Book
    >>> from nbtrack.testing.fakes import FakeTracker
    >>> run = FakeTracker().begin_run("mine")
    >>> book = Book(run)
    >>> book.chapter("Ridge").params({"alpha": 1.0, "tol": 0.1})
    {'alpha': 1.0, 'tol': 0.1}
    >>> book.chapter("Ridge").params({"alpha": 2.0, "tol": 0.1})
    {'Ridge-2.alpha': 2.0, 'tol': 0.1}
    """

    def __init__(self, book: Book, title: str, number: int) -> None:
        self.book = book
        self._prefix = f"{title}-{number}."
        self._lengths: dict[str, int] = {}

    def key(self, key: str) -> str:
        """Return the name for a metric or a plot."""
        return key if self.book.owns(key, self) else self._prefix + key

    def params(self, params: Mapping[str, object]) -> dict[str, object]:
        """Return params by the names that they get here."""
        return {self.param(key, value): value for key, value in params.items()}

    def param(self, key: str, value: object) -> str:
        """Return the name for a param."""
        return key if self.book.is_free(key, str(value), self) else self._prefix + key

    def log_metrics(self, metrics: Mapping[str, float]) -> None:
        """Log the next point of each metric."""
        by_step: dict[int, dict[str, float]] = {}
        for key, value in metrics.items():
            name = self.key(key)
            (step,) = self.book.next_steps(name, 1)
            by_step.setdefault(step, {})[name] = value
        for step, together in by_step.items():
            self.book.run.log_metrics(together, step)

    def log_curve(self, key: str, values: Sequence[float]) -> None:
        """Log a curve; of one that has grown since, what is new."""
        known = self._lengths.get(key, 0)
        new = values[known:] if known < len(values) else values
        self._lengths[key] = len(values)
        name = self.key(key)
        self.book.run.log_history(name, new, self.book.next_steps(name, len(new)))

    def log_plot(self, plot: Plot) -> None:
        """Keep a small table."""
        from nbtrack.media import Plot

        self.book.run.log_plot(Plot(self.key(plot.name), plot.kind, plot.columns, plot.meta))


def _never() -> None:
    """Return nothing, as a weak reference to what is gone."""


def _weak(value: object) -> Any:
    try:
        return weakref.ref(value)
    except TypeError:  # a list: it counts as another one each time
        return _never
