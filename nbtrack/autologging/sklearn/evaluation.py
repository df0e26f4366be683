"""After the fit: predictions are remembered, and scores and metrics of them find their run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import FrameType, FunctionType
from typing import Any

from nbtrack.autologging import leakage, scope, tally
from nbtrack.autologging.callsite import CallSite
from nbtrack.autologging.integration import Tracker, current_tracker
from nbtrack.autologging.naming import argument_name
from nbtrack.autologging.options import options
from nbtrack.autologging.predictions import Origin, weak
from nbtrack.autologging.recording import attempt
from nbtrack.autologging.sklearn import pictures
from nbtrack.autologging.sklearn.calls import (
    LIBRARY,
    is_from_library,
    is_scalar,
    predictions,
)
from nbtrack.autologging.sklearn.selection import CALLER


def wrap_predict(name: str, function: FunctionType) -> Callable[..., Any]:
    """Return a method whose result is remembered."""

    def predict(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        tracker, frame = current_tracker(LIBRARY), sys._getframe(1)
        origin = _origin(tracker, self, frame)
        if tracker is None or origin is None:
            return function(self, *args, **kwargs)
        result = scope.absorb(function, (self, *args), kwargs)
        data = args[0] if args else kwargs.get("X")
        what = "remember the prediction"
        attempt(tracker, what, _remember, result, origin, data, frame, name)
        return result

    return predict


def _origin(tracker: Tracker | None, estimator: object, frame: FrameType) -> Origin | None:
    """Return the origin of what `estimator` is asked for in an outermost call of the user's."""
    if tracker is None or not scope.is_idle():
        return None
    origin = predictions.of_estimator(estimator)
    return None if origin is None or is_from_library(frame) else origin


def _remember(result: object, origin: Origin, data: object, frame: FrameType, method: str) -> None:
    name = argument_name(CallSite(frame, method), 0, "X")
    predictions.add(result, Origin(origin.book, name, weak(data), origin.data), data)


def wrap_score(function: FunctionType) -> Callable[..., Any]:
    """Return ``score`` such that what it returns becomes a metric."""

    def score(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        tracker, frame = current_tracker(LIBRARY), sys._getframe(1)
        origin = _origin(tracker, self, frame)
        if tracker is None or origin is None:
            return function(self, *args, **kwargs)
        result = scope.absorb(function, (self, *args), kwargs)
        if is_scalar(result) and options(LIBRARY).log_post_training_metrics:
            name = f"{type(self).__name__}_score"
            data = args[0] if args else kwargs.get("X")
            attempt(tracker, "log a score", _log_score, name, result, origin, data, frame)
        return result

    return score


def _log_score(name: str, result: Any, origin: Origin, data: object, frame: FrameType) -> None:
    site = CallSite(frame, "score")
    asked = Origin(origin.book, argument_name(site, 0, "X"), weak(data), origin.data)
    _log(name, result, _told_apart(asked), site)


def _told_apart(origin: Origin) -> Origin:
    """Return an origin whose data is called like no other of its run."""
    name = origin.dataset
    if name is None:
        return origin
    return replace(origin, dataset=origin.book.dataset(name, origin.data))


def _log(name: str, result: Any, origin: Origin, site: CallSite) -> None:
    key = origin.book.log(name, origin.dataset, site.text, float(result))
    tally.logged(LIBRARY, "metrics after a fit")
    if not options(LIBRARY).silent:
        leakage.check(origin.book.run, key, origin.fitted, origin.data, origin.dataset)


def wrap_metric(function: FunctionType) -> Callable[..., Any]:
    """Return a function of ``sklearn.metrics`` whose results become metrics and pictures."""
    name = function.__name__
    drawn = name in pictures.KINDS

    def metric(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        tracker = current_tracker(LIBRARY) if scope.is_idle() else None
        if tracker is None:
            return function(*args, **kwargs)
        result = scope.absorb(function, args, kwargs)  # some fit an encoder of their own
        frame = sys._getframe(CALLER)
        if (
            (drawn or is_scalar(result))
            and not is_from_library(frame)
            and options(LIBRARY).log_post_training_metrics
        ):
            what = "log a metric"
            attempt(tracker, what, _log_metric, name, result, args, kwargs, frame)
        return result

    return metric


def _log_metric(
    name: str,
    result: Any,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    frame: FrameType,
) -> None:
    site = CallSite(frame, name)
    origin = predictions.find(args, kwargs, site)
    if origin is None:
        tally.skipped(LIBRARY, "metric of no known prediction")
        return
    origin = _told_apart(origin)
    if is_scalar(result):
        _log(name, result, origin, site)
    if name in pictures.KINDS:
        pictures.log(origin, name, args, kwargs)
