"""What the libraries of boosted trees have in common: a call of theirs that trains is a run.

Their functions are wrapped (`wrap`), and tell of each iteration through a callback of the
library's own. Called inside an estimator's ``fit``, they tell the run of that fit instead of
having their own.
"""

from __future__ import annotations

import inspect
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import FrameType, FunctionType
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from nbtrack.autologging import scope
from nbtrack.autologging.asking import is_from_library, predictions
from nbtrack.autologging.book import Chapter
from nbtrack.autologging.callsite import CallSite
from nbtrack.autologging.integration import TrackedRun, Tracker, current_tracker
from nbtrack.autologging.naming import argument_name
from nbtrack.autologging.options import options
from nbtrack.autologging.predictions import Origin
from nbtrack.autologging.recording import Recording, attempt
from nbtrack.autologging.sklearn import learned
from nbtrack.errors import StoreError

if TYPE_CHECKING:
    from nbtrack.media import Plot

_BETWEEN = 2  # from a wrapper to who calls what it wraps: the library's own decorator, or our code
_MAX_FRAMES = 8
_MAX_FEATURES = 200


class Recorded(Protocol):
    """A call that is recorded: one of those here, or an estimator's fit."""

    recording: Recording
    chapter: Chapter | None


@dataclass(eq=False)
class Iterations:
    """Logs what a training tells of its iterations, as it tells it.

    Parameters
    ----------
    call
        Whose run it is.
    every
        Of the iterations, log each n-th.
    """

    call: Recorded
    every: int
    last: int = -1
    _keys: dict[str, str] = field(default_factory=dict)

    def log(self, iteration: int, metrics: Mapping[str, float]) -> None:
        """Log the metrics of one iteration, which count from 0."""
        self.last = iteration
        if self.call.chapter is not None and metrics and iteration % self.every == 0:
            what = "log an iteration"
            self.call.recording.attempt(what, self._log, self.call.chapter, iteration, metrics)

    def _log(self, chapter: Chapter, iteration: int, metrics: Mapping[str, float]) -> None:
        keys = self._keys
        for name in metrics.keys() - keys.keys():
            # What no metric of MLflow may have in its name.
            keys[name] = chapter.key(name.replace("@", "_at_"))
        named = {keys[name]: float(value) for name, value in metrics.items()}
        chapter.book.run.log_metrics(named, iteration)


@dataclass(eq=False)
class Training(ABC):
    """The run of one call, as a `scope.Recorder`.

    Parameters
    ----------
    tracker
        Where runs come from.
    function
        What the user has called.
    given
        Its arguments by name.
    frame
        The user's frame.
    """

    library: ClassVar[str]
    title: ClassVar[str]
    train_argument: ClassVar[str]
    """The parameter with the data that is fitted."""
    target_argument: ClassVar[str] = ""
    """The parameter with its labels, if there is one."""

    tracker: Tracker
    function: str
    given: Mapping[str, Any]
    frame: FrameType
    chapter: Chapter | None = None
    origin: Origin | None = None
    iterations: Iterations | None = None
    _start: float = 0.0

    def __post_init__(self) -> None:
        self.recording = Recording(self.tracker, self.library)

    # ------------------------------------------------- what a library fills in

    @classmethod
    def listening(cls, given: Mapping[str, Any], iterations: Iterations) -> dict[str, Any]:
        """Return the arguments that have it tell `iterations` what happens, and those alone."""
        return {}

    @classmethod
    def curves(cls, model: Any) -> Iterator[tuple[str, list[float]]]:
        """Yield what a model has kept of its iterations, and nobody was told meanwhile."""
        yield from ()

    @classmethod
    @abstractmethod
    def numbers(cls, model: Any, last: int) -> dict[str, float]:
        """Return what a model tells of its training in single numbers.

        Parameters
        ----------
        last
            The last iteration, from 0; -1: nobody was told of any.
        """

    @classmethod
    @abstractmethod
    def known_params(cls, model: Any) -> dict[str, Any]:
        """Return the params that a model knows it was trained with."""

    @classmethod
    @abstractmethod
    def importances(cls, model: Any) -> tuple[list[str], list[float]] | None:
        """Return features and their importances."""

    @abstractmethod
    def params(self) -> dict[str, Any]:
        """Return what is logged as params."""

    def name(self) -> str:
        """Return what the run is called for."""
        return self.title if self.makes_a_model() else f"{self.title} {self.function}"

    def tags(self) -> dict[str, str]:
        """Return the tags of the run."""
        return {}

    def chosen(self) -> Mapping[str, Any]:
        """Return the params that somebody chose."""
        return dict(self.given.get("params") or {})

    @classmethod
    @abstractmethod
    def evaluated(cls, given: Mapping[str, Any]) -> Iterator[tuple[Any, str]]:
        """Yield the data that is evaluated in each iteration, and what it is called."""

    def described(self, data: Any) -> Iterator[tuple[Any, str, str]]:
        """Yield what is to be described of the data that is fitted, with a suffix of its name."""
        yield data, "", "train"

    # ----------------------------------------------------------- as a recorder

    def begin(self) -> None:
        """Begin the run."""
        recording = self.recording
        recording.begin(self.name(), self.tags())
        if recording.run is not None:
            book = predictions.book(recording.run)
            self.chapter = book.chapter(self.name())
            self.origin = Origin(book, None)
            recording.attempt("log the parameters", self._log_params, self.chapter)
            recording.attempt("name the data", self._log_inputs)
        self._start = time.perf_counter()

    def succeed(self, result: Any) -> None:
        """Write down the results, and end the run."""
        seconds = time.perf_counter() - self._start
        self.recording.finish(lambda _: self._write(result, seconds))

    def fail(self, error: BaseException) -> None:
        """End the run."""
        self.recording.fail(error, self.frame)

    # ------------------------------------------------------------------- parts

    def _log_params(self, chapter: Chapter) -> None:
        params = {key: _as_text(value) for key, value in self.params().items()}
        highlights = [chapter.param(key, _as_text(value)) for key, value in self.chosen().items()]
        chapter.book.run.log_params(chapter.params(params), highlights=highlights)

    def _log_inputs(self) -> None:
        site = CallSite(self.frame, self.function)
        data = self.given.get(self.train_argument)
        name = argument_name(site, data, self._place(self.train_argument), self.train_argument)
        for part, suffix, context in self.described(data):
            called = f"{name or self.train_argument}{suffix}"
            self.recording.log_input(part, called, context)
        target = self.target_argument
        if self.given.get(target) is not None:
            labels = self.given[target]
            called = argument_name(site, labels, self._place(target), target) or target
            self.recording.log_input(labels, called, "target")
        log_evaluated(type(self), self, self.given)
        if self.origin is not None:
            self.origin = Origin(self.origin.book, name)

    def _place(self, parameter: str) -> int | None:
        names = list(self.given)
        return names.index(parameter) if parameter in names else None

    def _write(self, result: Any, seconds: float) -> None:
        if self.chapter is None:
            return
        self.chapter.log_metrics({"fit_time_s": seconds})
        if self.makes_a_model():
            last = -1 if self.iterations is None else self.iterations.last
            write_down(type(self), self, result, last)
            if self.origin is not None:
                predictions.add_estimator(result, self.origin)
            self.recording.log_model(result, self.library)
        else:
            self.recording.attempt("log the folds", self.log_result, self.chapter, result)

    def makes_a_model(self) -> bool:
        """Whether the call gives a model: a cross-validation does not."""
        return self.function != "cv"

    def log_result(self, chapter: Chapter, result: Any) -> None:  # noqa: B027 - mostly there is none
        """Log what a call gives that makes no model, and was not told by iterations."""


def write_down(kind: type[Training], call: Recorded, model: Any, last: int = -1) -> None:
    """Log what a model tells of its training."""
    if call.chapter is not None:
        call.recording.attempt("log the curves", _log_curves, kind, call.chapter, model)
        call.recording.attempt(
            "log how the fit went", _log_numbers, kind, call.chapter, model, last
        )
        call.recording.attempt("log the importances", _log_importances, kind, call.chapter, model)


def _log_curves(kind: type[Training], chapter: Chapter, model: Any) -> None:
    for name, values in kind.curves(model):
        chapter.log_curve(name, values)


def log_evaluated(kind: type[Training], call: Recorded, given: Mapping[str, Any]) -> None:
    """Describe the data that is evaluated in each iteration."""
    for data, name in kind.evaluated(given):
        call.recording.log_input(data, name, "eval")


def _log_numbers(kind: type[Training], chapter: Chapter, model: Any, last: int) -> None:
    if numbers := kind.numbers(model, last):
        chapter.log_metrics(numbers)


def _log_importances(kind: type[Training], chapter: Chapter, model: Any) -> None:
    found = kind.importances(model)
    if found is not None and found[0]:
        chapter.log_plot(importance_plot(*found))


def importance_plot(features: list[str], importances: list[float]) -> Plot:
    """Return the largest importances as a table to be drawn.

    Examples
    --------
    >>> importance_plot(["a", "b"], [1.0, 3.0]).columns
    {'feature': ['b', 'a'], 'importance': [3.0, 1.0]}
    """
    from nbtrack.media import Plot

    pairs = sorted(zip(features, importances, strict=True), key=lambda pair: -pair[1])
    kept = pairs[:_MAX_FEATURES]
    columns: dict[str, list[Any]] = {
        "feature": [name for name, _ in kept],
        "importance": [value for _, value in kept],
    }
    meta = {"features": len(features)}
    return Plot("feature_importance", "feature_importance", columns, meta)


def wrap(kind: type[Training], function: FunctionType) -> Callable[..., Any]:
    """Return a function that trains, such that each outermost call is a run."""
    signature = inspect.signature(function)
    name = function.__name__

    def train(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        tracker = current_tracker(kind.library)
        if tracker is None:
            return function(*args, **kwargs)
        frame = sys._getframe(_BETWEEN)
        call: Any = None
        if scope.is_idle():
            if is_from_library(frame):
                return function(*args, **kwargs)
        elif (call := fit_around(frame)) is None:
            return function(*args, **kwargs)
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError:
            return function(*args, **kwargs)  # which says what is wrong
        outermost = call is None
        call = kind(tracker, name, dict(bound.arguments), frame) if outermost else call
        iterations = Iterations(call, options(kind.library).log_every_n_steps)
        what = "listen to the training"
        more = attempt(tracker, what, kind.listening, bound.arguments, iterations)
        bound.arguments.update(more or {})
        if outermost:
            call.iterations = iterations
            return scope.record(call, function, bound.args, bound.kwargs)
        attempt(tracker, "name the data", log_evaluated, kind, call, bound.arguments)
        result = function(*bound.args, **bound.kwargs)
        write_down(kind, call, result, iterations.last)
        return result

    return train


def adopt(
    kind: type[Training], model: Any, tracker: Tracker, tags: Mapping[str, str]
) -> TrackedRun:
    """Make a run of a model that was trained before.

    Raises
    ------
    StoreError
        No run could be begun.
    """
    call: Any = kind(tracker, "train", {}, sys._getframe())
    recording = call.recording
    recording.begin(kind.title, tags)
    if recording.run is None:
        raise StoreError("No run could be begun: see the warning.")
    book = predictions.book(recording.run)
    call.chapter = book.chapter(kind.title)

    def write(run: TrackedRun) -> None:
        params = recording.attempt("ask the model for its params", kind.known_params, model) or {}
        recording.attempt("log the parameters", run.log_params, call.chapter.params(params))
        write_down(kind, call, model)
        predictions.add_estimator(model, Origin(book, None))
        recording.log_model(model, kind.library)

    recording.finish(write)
    return recording.run  # type: ignore[no-any-return]


def fit_around(frame: FrameType) -> Recorded | None:
    """Return the recorded ``fit`` of the very estimator that trains in `frame`, if it is one.

    What a search, or an ensemble, fits inside of it is no training that its run tells of.
    """
    found = _fit_that_goes_on()
    if found is None:
        return None
    call, inner = found
    above: FrameType | None = frame
    for _ in range(_MAX_FRAMES):
        if above is None:
            break
        if above.f_code.co_name == "fit" and above.f_locals.get("self") is inner:
            return call
        above = above.f_back
    return None


def fit_of(estimator: object) -> Recorded | None:
    """Return the recorded ``fit`` that is to fit this very estimator, alone or in a pipeline."""
    found = _fit_that_goes_on()
    return found[0] if found is not None and found[1] is estimator else None


def _fit_that_goes_on() -> tuple[Recorded, object] | None:
    call: Any = scope.recording()
    outer = getattr(call, "estimator", None)
    if outer is None or call.chapter is None:
        return None
    return call, learned.final(outer)


def _as_text(value: Any) -> Any:
    """Return a param; a function by its name, since its text would have its address."""
    if callable(value) and not isinstance(value, type):
        return getattr(value, "__qualname__", type(value).__name__)
    return value
