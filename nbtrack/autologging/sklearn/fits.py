"""Outermost fits: each is a run, or goes on with one."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import FrameType, FunctionType
from typing import Any

from nbtrack.autologging import scope, tally
from nbtrack.autologging.asking import is_from_library, predictions
from nbtrack.autologging.book import Chapter
from nbtrack.autologging.integration import TrackedRun, Tracker, current_tracker, is_asked
from nbtrack.autologging.predictions import Origin
from nbtrack.autologging.recording import Recording, attempt
from nbtrack.autologging.sklearn import learned, search, streams, training
from nbtrack.autologging.sklearn.calls import (
    LIBRARY,
    Call,
    WholeCall,
    library_of,
    positional,
    state,
    steps_of,
)
from nbtrack.tracking import later

METHODS = ("fit", "fit_transform", "fit_predict")


def wrap_fit(name: str, function: FunctionType) -> Callable[..., Any]:
    """Return a method that makes a run of each outermost call."""
    parameters = positional(function)

    def fit(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        if not scope.is_idle():
            if training.waiting and (fitted := training.waiting.get(id(self))) is not None:
                fitted.data = dict(zip(parameters, args, strict=False)) | kwargs
            if scope.is_inside():
                tally.skipped(LIBRARY, "inner fit")
            return function(self, *args, **kwargs)
        library = library_of(self)
        tracker = current_tracker(library) if is_asked(library) else None
        if tracker is None or not hasattr(type(self), "get_params"):
            return function(self, *args, **kwargs)
        frame = sys._getframe(1)
        if _is_a_helper(self, frame):
            tally.skipped(LIBRARY, "fit by the library itself")
            return scope.absorb(function, (self, *args), kwargs)
        data = dict(zip(parameters, args, strict=False)) | kwargs
        recorder = Fit(tracker, self, name, parameters, data, frame, library)
        return scope.record(recorder, function, (self, *args), kwargs)

    return fit


def wrap_partial_fit(function: FunctionType) -> Callable[..., Any]:
    """Return a method that makes one run of the calls in a loop."""
    parameters = positional(function)

    def partial_fit(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        tracker = current_tracker(LIBRARY) if scope.is_idle() and is_asked(LIBRARY) else None
        if tracker is None or not hasattr(type(self), "get_params"):
            return function(self, *args, **kwargs)
        frame = sys._getframe(1)
        if _is_a_helper(self, frame):
            return scope.absorb(function, (self, *args), kwargs)
        recorder: scope.Recorder | None
        recorder = attempt(tracker, "go on with the training", _stream, tracker, self, frame)
        if recorder is None:
            data = dict(zip(parameters, args, strict=False)) | kwargs
            recorder = PartialFit(tracker, self, "partial_fit", parameters, data, frame)
        return scope.record(recorder, function, (self, *args), kwargs)

    return partial_fit


def _is_a_helper(estimator: object, frame: FrameType) -> bool:
    """Whether the library fits, say, an encoder; but the KMeans of `k_means(X)` is the user's."""
    return is_from_library(frame) and frame.f_globals["__name__"] != type(estimator).__module__


def _was_interrupted(estimator: object) -> bool:
    """Whether a network (MLP) stopped early, although its loss, or score, went on improving.

    The interrupt itself is caught by the library, which warns and returns.
    """
    while steps := steps_of(estimator):
        estimator = steps[-1]
    known = state(estimator)
    count, done = known.get("_no_improvement_count"), known.get("n_iter_")
    if count is None or done is None or known.get("solver") not in {"adam", "sgd"}:
        return False
    return bool(done < known["max_iter"] and count <= known["n_iter_no_change"])


class Fit(WholeCall):
    """The run of a fit."""

    fitted: training.Fitted | None = None

    def begin(self) -> None:
        """Begin the run, and expect the data of the last step."""
        super().begin()
        if self.recording.options.log_training_metrics and self.recording.run is not None:
            self.fitted = training.expect(self.estimator, self.data)

    def take_up(self) -> None:
        """Begin the run, or go on with that of a warm start."""
        streams.fits_another(self.estimator, whole=True)
        recording = self.recording
        what = "go on with the training"
        earlier = recording.attempt(what, _earlier, self.tracker, self.estimator, recording)
        if earlier is not None:
            recording.go_on(earlier.run, ours=earlier.ours)
            self.chapter = earlier.chapter
            self.chapter.book.clock = earlier.fits
            earlier.fits += 1
            return
        super().take_up()
        if recording.run is not None and self.chapter is not None and _is_warm(self.estimator):
            run = streams.Training(recording.run, recording.ours, self.chapter, fits=1)
            streams.remember(self.estimator, run)

    def succeed(self, result: Any) -> None:
        """Write down the results, and end the run."""
        try:
            super().succeed(result)
        finally:
            self._let_go()

    def fail(self, error: BaseException) -> None:
        """End the run."""
        self._let_go()
        super().fail(error)

    def outcome(self) -> str:
        """Return how the fit has ended: networks take an interrupt for the end of training."""
        interrupted = self.recording.attempt("see how it ended", _was_interrupted, self.estimator)
        return "KILLED" if interrupted else "FINISHED"

    def write(self, run: TrackedRun, result: Any) -> None:
        """Write down what has been learned."""
        estimator, recording, chapter = self.estimator, self.recording, self.chapter
        if self.origin is not None:
            recording.attempt("remember the model", remember, estimator, self.origin)
            if self.function == "fit_predict":
                predictions.add(result, self.origin)
        metrics = {"fit_time_s": self.seconds}
        if self.fitted is not None:
            what = "score the model on its training data"
            scores = recording.attempt(what, training.scores, self.fitted) or {}
            if not scores:
                tally.skipped(LIBRARY, "training scores: not of this kind or size of model")
            metrics |= scores
        if chapter is not None:
            log_learned(recording, chapter, estimator, metrics)
            if (found := search.within(estimator)) is not None:
                what = "log the results of the search"
                recording.attempt(what, search.log, found, recording, chapter)
        # skops takes four times as long as a pickle, which can be trusted in one's own database.
        how = {"serialization_format": "cloudpickle"} if self.library == "lightgbm" else {}
        recording.log_model(estimator, self.library, **how)

    def _let_go(self) -> None:
        if self.fitted is not None:
            training.forget(self.fitted)


class PartialFit(Call):
    """The first call of a loop of ``partial_fit``."""

    stream: streams.Stream | None = None

    def take_up(self) -> None:
        """Begin the run."""
        streams.fits_another(self.estimator, whole=False)
        super().take_up()

    def begin(self) -> None:
        """Begin the run, and the training."""
        super().begin()
        if self.chapter is not None:
            self.stream = streams.Stream(
                self.estimator, self.recording, self.chapter, _write_stream
            )
            self.recording.attempt("begin the training", streams.start, self.stream)

    def succeed(self, result: Any) -> None:
        """Count the first batch."""
        if self.stream is not None:
            self.stream.count(time.perf_counter() - self._start)
            if self.origin is not None:
                self.recording.attempt("remember the model", remember, self.estimator, self.origin)

    def fail(self, error: BaseException) -> None:
        """End the run."""
        if self.stream is not None:
            self.stream.frame = self.frame
            self.stream.fail(error)
        else:
            super().fail(error)


def _is_warm(estimator: object) -> bool:
    """Whether the next fit goes on from this one; the candidates of a search begin anew."""
    last = learned.final(estimator)
    return bool(state(last).get("warm_start")) and not search.is_search(estimator)


def _earlier(tracker: Tracker, estimator: object, recording: Recording) -> streams.Training | None:
    """Return the training that a fit goes on with."""
    known = streams.find(estimator) if _is_warm(estimator) else None
    exclusive = recording.options.exclusive
    if known is None or not known.goes_on(tracker, exclusive=exclusive):
        return None
    return known


def _write_stream(stream: streams.Stream) -> None:
    recording, estimator = stream.recording, stream.estimator
    log_learned(recording, stream.chapter, estimator, {"fit_time_s": stream.seconds})
    recording.log_model(estimator, "sklearn")


def _stream(tracker: Tracker, estimator: object, frame: FrameType) -> streams.Stream | None:
    """Return the stream that a call of ``partial_fit`` goes on with."""
    stream = streams.find(estimator)
    if not isinstance(stream, streams.Stream) or stream.is_broken:
        return None
    exclusive = stream.recording.options.exclusive
    if not stream.goes_on(tracker, exclusive=exclusive) or not stream.is_of_this_cell():
        return None
    streams.fits_another(estimator, whole=False)
    stream.estimator, stream.frame = estimator, frame
    return stream


def log_learned(
    recording: Recording, chapter: Chapter, estimator: Any, metrics: dict[str, float]
) -> None:
    """Log what a fitted estimator tells of itself."""
    last = learned.final(estimator)
    recording.attempt("log how the fit went", _log_numbers, chapter, last, metrics)
    recording.attempt("log the curves", _log_curves, chapter, last)
    recording.attempt("log the weights", _log_plots, chapter, last, estimator)


def _log_numbers(chapter: Chapter, last: Any, metrics: dict[str, float]) -> None:
    chapter.log_metrics(learned.numbers(last) | metrics)


def _log_curves(chapter: Chapter, last: Any) -> None:
    for key, values in learned.curves(last):
        chapter.log_curve(key, values)


def _log_plots(chapter: Chapter, last: Any, whole: Any) -> None:
    for plot in learned.plots(last, whole):
        chapter.log_plot(plot)
    make = learned.forest_plot(last, whole)
    if make is not None:
        later.do("log the importances of a forest", lambda: chapter.log_plot(make()))


def remember(estimator: Any, origin: Origin) -> None:
    """Let predictions of an estimator, and of what was fitted with it, find their run."""
    for part in _parts(estimator):
        predictions.add_estimator(part, origin)


def _parts(estimator: Any) -> list[Any]:
    """Return a fitted estimator and those fitted with it that users take out of it."""
    parts, waiting = [estimator], [estimator]
    while waiting:
        part = waiting.pop()
        held = [value for name, value in state(part).items() if name.endswith("_")]
        for one in (*steps_of(part), *held):
            if hasattr(one, "fit") and all(one is not known for known in parts):
                parts.append(one)
                waiting.append(one)
    return parts
