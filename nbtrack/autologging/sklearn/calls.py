"""What fits, cross-validations and what comes after them have in common."""

from __future__ import annotations

import inspect
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from numbers import Real
from types import CodeType, FrameType, FunctionType
from typing import Any

from nbtrack.autologging.asking import predictions
from nbtrack.autologging.book import Book, Chapter
from nbtrack.autologging.callsite import CallSite
from nbtrack.autologging.integration import TrackedRun, Tracker
from nbtrack.autologging.naming import argument_name
from nbtrack.autologging.predictions import Origin
from nbtrack.autologging.recording import Recording
from nbtrack.autologging.seen import see
from nbtrack.autologging.sklearn.params import chosen

LIBRARY = "sklearn"
_BOOSTING = frozenset({"xgboost", "lightgbm"})
TABLE = 2  # dimensions
BINARY = 2  # classes


def positional(function: FunctionType) -> tuple[str, ...]:
    """Return the names of a method's positional parameters, without ``self``."""
    code: CodeType = inspect.unwrap(function).__code__
    return code.co_varnames[1 : code.co_argcount]


def is_scalar(value: object) -> bool:
    """Whether `value` can be a metric."""
    return isinstance(value, Real) and not isinstance(value, bool)


def state(value: object) -> dict[str, Any]:
    """Return what an object itself holds: reading a property could do anything."""
    return getattr(value, "__dict__", {})


def steps_of(estimator: object) -> list[Any]:
    """Return the estimators that a pipeline holds; somebody's own may hold them without names."""
    steps: Any = state(estimator).get("steps")
    if not isinstance(steps, list):
        return []
    return [step[-1] if isinstance(step, tuple) and step else step for step in steps]


def library_of(estimator: object) -> str:
    """Return whose estimator it is: some libraries have theirs beside functions of their own."""
    for kind in type(estimator).__mro__:
        package = kind.__module__.partition(".")[0]
        if package in _BOOSTING:
            return package
        if package == LIBRARY:
            break
    return LIBRARY


def estimator_tags(estimator: object) -> dict[str, str]:
    """Return the tags that say what was fitted, as MLflow has them."""
    kind = type(estimator)
    class_name = f"{kind.__module__}.{kind.__qualname__}"
    return {"estimator_name": kind.__name__, "estimator_class": class_name}


@dataclass(eq=False)
class Call(ABC):
    """One outermost call, as a `scope.Recorder`: how it becomes a run."""

    tracker: Tracker
    estimator: Any
    function: str
    parameters: tuple[str, ...]
    data: Mapping[str, Any]
    frame: FrameType
    library: str = LIBRARY
    chapter: Chapter | None = None
    origin: Origin | None = None
    seconds: float = 0.0
    _start: float = 0.0

    def __post_init__(self) -> None:
        self.recording = Recording(self.tracker, self.library)

    def begin(self) -> None:
        """Before the call."""
        recording = self.recording
        self.take_up()
        if recording.run is not None:
            recording.attempt("log the parameters", self._log_params, recording.run)
            self.origin = Origin(predictions.book(recording.run), None)
            recording.attempt("name the data", self._log_inputs, self.origin.book)
        self._start = time.perf_counter()

    @abstractmethod
    def succeed(self, result: Any) -> None:
        """After the call has returned `result`."""

    def fail(self, error: BaseException) -> None:
        """After the call has raised `error`."""
        self.recording.fail(error, self.frame)

    def take_up(self) -> None:
        """Begin the run."""
        self.recording.begin(self.name_hint(), estimator_tags(self.estimator))
        if self.recording.run is not None:
            self.chapter = predictions.book(self.recording.run).chapter(
                type(self.estimator).__name__
            )

    def name_hint(self) -> str:
        """Return what the run is about."""
        return type(self.estimator).__name__

    def params(self) -> dict[str, Any]:
        """Return what is logged as params."""
        return dict(self.estimator.get_params(deep=True))

    def log_metrics(self, metrics: Mapping[str, float]) -> None:
        """Log the next point of each metric, by the names that are left for it."""
        if self.chapter is not None:
            self.chapter.log_metrics(metrics)

    def _log_params(self, run: TrackedRun) -> None:
        params = self.params()
        highlights = chosen(self.estimator, params)
        if self.chapter is not None and not self.recording.ours:
            highlights = [self.chapter.param(key, params[key]) for key in highlights]
            params = self.chapter.params(params)
        run.log_params(params, highlights=highlights)

    def _log_inputs(self, book: Book) -> None:
        """Log the data, and note the user's name for the features."""
        site = CallSite(self.frame, self.function)
        features, dataset, lasting = None, None, True
        for parameter, context in self.inputs():
            places = self.parameters
            place = places.index(parameter) if parameter in places else None
            value = self.data[parameter]
            name = argument_name(site, value, place, parameter)
            if context == "train":
                features, dataset = value, name
                lasting = site.is_lasting(place, parameter)
            # Describing an iterator could use it up.
            if value is not None and not hasattr(value, "__next__"):
                self.recording.log_input(value, name or parameter, context)
        options = self.recording.options
        keep = options.log_post_training_metrics and not options.silent
        self.origin = Origin(book, dataset, see(features, lasting=lasting, keep=keep))

    def inputs(self) -> Iterator[tuple[str, str]]:
        """Yield the parameters that carry data, with their parts."""
        features = "X" if "X" in self.data else next(iter(self.data), None)
        if features is not None:
            yield features, "train"
        for parameter in self.data.keys() & {"y", "Y"} - {features}:  # encoders have only a target
            yield parameter, "target"


class WholeCall(Call):
    """A call that is all of its run."""

    def succeed(self, result: Any) -> None:
        """Write down the results, and end the run."""
        self.seconds = time.perf_counter() - self._start
        self.recording.finish(lambda run: self.write(run, result), self.outcome())

    def outcome(self) -> str:
        """Return how the call has ended, which has returned."""
        return "FINISHED"

    @abstractmethod
    def write(self, run: TrackedRun, result: Any) -> None:
        """Write down what the call has brought."""
