"""After the fit: scores and metrics of what was predicted find their run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from types import FrameType, FunctionType
from typing import Any

from nbtrack.autologging import leakage, scope, tally
from nbtrack.autologging.asking import (
    asked,
    is_from_library,
    origin_of,
    predictions,
    told_apart,
)
from nbtrack.autologging.callsite import CallSite
from nbtrack.autologging.integration import current_tracker
from nbtrack.autologging.options import options
from nbtrack.autologging.predictions import Origin
from nbtrack.autologging.recording import attempt
from nbtrack.autologging.sklearn import pictures
from nbtrack.autologging.sklearn.calls import LIBRARY, is_scalar

# Modules whose functions stand between a function that is wrapped in its closure and its caller.
_VALIDATING = frozenset({"sklearn.utils._param_validation", "sklearn.utils.validation"})
# The names of the numbers that some functions return together.
_PARTS = {
    "class_likelihood_ratios": ("positive_likelihood_ratio", "negative_likelihood_ratio"),
    "homogeneity_completeness_v_measure": (
        "homogeneity_score",
        "completeness_score",
        "v_measure_score",
    ),
    "precision_recall_fscore_support": ("precision_score", "recall_score", "fbeta_score"),
}


def wrap_score(function: FunctionType, library: str = LIBRARY) -> Callable[..., Any]:
    """Return ``score`` such that what it returns becomes a metric, if the library's options do."""

    def score(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        tracker, frame = current_tracker(library), sys._getframe(1)
        origin = origin_of(tracker, self, frame)
        if tracker is None or origin is None:
            return function(self, *args, **kwargs)
        result = scope.absorb(function, (self, *args), kwargs)
        if is_scalar(result) and options(library).log_post_training_metrics:
            name = f"{type(self).__name__}_score"
            data = args[0] if args else kwargs.get("X")
            attempt(tracker, "log a score", _log_score, name, result, origin, data, frame)
        return result

    return score


def _log_score(name: str, result: Any, origin: Origin, data: object, frame: FrameType) -> None:
    site = CallSite(frame, "score")
    log(name, result, asked(origin, site, 0, data), site)


def log(name: str, result: Any, origin: Origin, site: CallSite) -> None:
    """Log a metric of a prediction, and tell if it was of data that had been fitted."""
    key = origin.book.log(name, origin.dataset, site.text, float(result))
    tally.logged(LIBRARY, "metrics after a fit")
    if not options(LIBRARY).silent:
        leakage.check(origin.book.run, key, origin.fitted, origin.data, origin.dataset)


def wrap_metric(function: FunctionType) -> Callable[..., Any]:
    """Return a function of ``sklearn.metrics`` whose results become metrics and pictures."""
    name = function.__name__
    drawn, parts = name in pictures.KINDS, name in _PARTS

    def metric(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        tracker = current_tracker(LIBRARY) if scope.is_idle() else None
        if tracker is None:
            return function(*args, **kwargs)
        result = scope.absorb(function, args, kwargs)  # some fit an encoder of their own
        frame = caller(sys._getframe(1))
        if (
            (drawn or parts or is_scalar(result))
            and not is_from_library(frame)
            and options(LIBRARY).log_post_training_metrics
        ):
            what = "log a metric"
            attempt(tracker, what, _log_metric, name, result, args, kwargs, frame)
        return result

    return metric


def caller(frame: FrameType) -> FrameType:
    """Return the frame that has called the function of the library whose caller is `frame`."""
    while frame.f_back is not None and frame.f_globals.get("__name__") in _VALIDATING:
        frame = frame.f_back
    return frame


def _numbers(name: str, result: Any, kwargs: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the numbers that a metric function has returned."""
    if isinstance(result, tuple):
        for part, value in zip(_PARTS.get(name, ()), result, strict=False):
            if is_scalar(value):
                is_f1 = part == "fbeta_score" and kwargs.get("beta", 1.0) == 1.0
                yield "f1_score" if is_f1 else part, value
    elif is_scalar(result):
        yield name, result


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
    origin = told_apart(origin)
    for part, value in _numbers(name, result, kwargs):
        log(part, value, origin, site)
    if name in pictures.KINDS:
        pictures.log(origin, name, args, kwargs)
    if isinstance(result, Mapping):
        pictures.report(origin, result)
