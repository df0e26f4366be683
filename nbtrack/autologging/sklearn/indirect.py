"""Scorers, displays and importances by permutation: they predict by themselves.

What they are told by the model is caught on its way, so that nothing is predicted anew.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import update_wrapper
from threading import get_ident
from types import FrameType, FunctionType, ModuleType
from typing import TYPE_CHECKING, Any

from nbtrack.autologging import asking, scope
from nbtrack.autologging.asking import is_from_library, predictions
from nbtrack.autologging.callsite import CallSite
from nbtrack.autologging.integration import current_tracker
from nbtrack.autologging.options import options
from nbtrack.autologging.patching import Patches
from nbtrack.autologging.predictions import Origin
from nbtrack.autologging.recording import attempt
from nbtrack.autologging.sklearn import evaluation, pictures
from nbtrack.autologging.sklearn.calls import LIBRARY, is_scalar
from nbtrack.autologging.sklearn.learned import feature_names

if TYPE_CHECKING:
    from nbtrack.media import Plot

# Displays, and a function of `sklearn.metrics` that is drawn in the same way.
_DISPLAYS = {
    "CalibrationDisplay": "calibration_curve",
    "ConfusionMatrixDisplay": "confusion_matrix",
    "DetCurveDisplay": "det_curve",
    "PrecisionRecallDisplay": "precision_recall_curve",
    "PredictionErrorDisplay": "r2_score",
    "RocCurveDisplay": "roc_curve",
}
_SCORERS = ("_BaseScorer", "_PassthroughScorer", "_MultimetricScorer")
_MAX_FEATURES = 200


def install(module: ModuleType, patches: Patches) -> None:
    """Patch what `module` has of displays, scorers and importances."""
    for name, drawn_as in _DISPLAYS.items():
        display = getattr(module, name, None)
        if isinstance(display, type):
            for method, wrap in (
                ("from_predictions", _wrap_from_predictions),
                ("from_estimator", _wrap_from_estimator),
            ):
                _patch_class_method(patches, display, method, wrap, drawn_as)
    if module.__name__ == "sklearn.metrics":
        scorers = sys.modules.get("sklearn.metrics._scorer")
        for name in _SCORERS:
            if isinstance(scorer := getattr(scorers, name, None), type):
                patches.hook(scorer, "__call__", _wrap_scorer)
    patches.cell(getattr(module, "permutation_importance", None), "func", _wrap_importance)


def _patch_class_method(
    patches: Patches, owner: type, name: str, wrap: Callable[..., Any], drawn_as: str
) -> None:
    method = vars(owner).get(name)
    if isinstance(method, classmethod):
        wrapper = update_wrapper(wrap(method.__func__, drawn_as), method.__func__)
        patches.attribute(owner, name, classmethod(wrapper))


# --- what the model says --------------------------------------------------------------------------


@dataclass
class _Asked:
    """A call of the user's that has a model predict."""

    origin: Origin
    given: Mapping[str, Any]
    frame: FrameType
    answers: list[Any] = field(default_factory=list)

    def named(self, site: CallSite) -> Origin:
        """Return the origin of the answers, with the user's name of the data."""
        return asking.asked(self.origin, site, 1, self.given.get("X"))

    def call(
        self, function: FunctionType, owner: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Any:
        """Make the call, and listen to what the model predicts in this thread."""
        __tracebackhide__ = True
        key = get_ident(), id(self.given["estimator"])
        before = asking.listeners.get(key)
        asking.listeners[key] = self.answers
        try:
            return scope.absorb(function, (owner, *args), kwargs)
        finally:
            asking.listeners.pop(key, None)
            if before is not None:
                asking.listeners[key] = before


def _asked(args: tuple[Any, ...], kwargs: Mapping[str, Any], frame: FrameType) -> _Asked | None:
    """Return a call by its arguments, if it is to be logged."""
    given = dict(zip(("estimator", "X", "y_true"), args, strict=False)) | dict(kwargs)
    if "y" in given:  # what some call the truth
        given.setdefault("y_true", given["y"])
    if "estimator" not in given or not options(LIBRARY).log_post_training_metrics:
        return None
    origin = asking.origin_of(current_tracker(LIBRARY), given["estimator"], frame)
    return None if origin is None else _Asked(origin, given, frame)


# --- scorers --------------------------------------------------------------------------------------


def _wrap_scorer(function: FunctionType) -> Callable[..., Any]:
    """Return a scorer's call such that the scores become metrics."""

    def score(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        tracker = current_tracker(LIBRARY) if scope.is_idle() else None
        asked = None if tracker is None else _asked(args, kwargs, sys._getframe(1))
        if tracker is None or asked is None:
            return function(self, *args, **kwargs)
        result = asked.call(function, self, args, kwargs)
        attempt(tracker, "log a score", _log_scores, self, result, asked)
        return result

    return score


def _log_scores(scorer: Any, result: Any, asked: _Asked) -> None:
    site = CallSite(asked.frame)
    origin = asked.named(site)
    scorers: Mapping[str, Any] = getattr(scorer, "_scorers", {"": scorer})
    results = result if isinstance(result, Mapping) else {"": result}
    for key, one in scorers.items():
        value: Any = results.get(key)
        name = str(getattr(getattr(one, "_score_func", None), "__name__", ""))
        if not name.isidentifier():  # a lambda, or the model's own score
            name = f"{type(asked.given['estimator']).__name__}_score"
        if is_scalar(value):
            # To a scorer greater is better; the metric is what the function itself returns.
            evaluation.log(name, getattr(one, "_sign", 1) * value, origin, site)
        if name in pictures.KINDS and asked.answers:
            columns = asked.given.get("y_true"), asked.answers[-1]
            pictures.log(origin, name, columns, getattr(one, "_kwargs", {}))


# --- displays -------------------------------------------------------------------------------------


def _wrap_from_predictions(function: FunctionType, drawn_as: str) -> Callable[..., Any]:
    def from_predictions(cls: type, /, *args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        tracker = current_tracker(LIBRARY) if scope.is_idle() else None
        if tracker is None:
            return function(cls, *args, **kwargs)
        result = scope.absorb(function, (cls, *args), kwargs)
        frame = sys._getframe(1)
        if not is_from_library(frame) and options(LIBRARY).log_post_training_metrics:
            attempt(tracker, "keep a display", _keep, args, kwargs, frame)
        return result

    def _keep(args: tuple[Any, ...], kwargs: Mapping[str, Any], frame: FrameType) -> None:
        origin = predictions.find(args, kwargs, CallSite(frame, "from_predictions"))
        if origin is not None:
            pictures.log(asking.told_apart(origin), drawn_as, args, kwargs)

    return from_predictions


def _wrap_from_estimator(function: FunctionType, drawn_as: str) -> Callable[..., Any]:
    def from_estimator(cls: type, /, *args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        tracker = current_tracker(LIBRARY) if scope.is_idle() else None
        asked = None if tracker is None else _asked(args, kwargs, sys._getframe(1))
        if tracker is None or asked is None:
            return function(cls, *args, **kwargs)
        result = asked.call(function, cls, args, kwargs)
        if asked.answers:
            attempt(tracker, "keep a display", _keep, asked, kwargs)
        return result

    def _keep(asked: _Asked, kwargs: Mapping[str, Any]) -> None:
        origin = asked.named(CallSite(asked.frame, "from_estimator"))
        columns = asked.given.get("y_true"), asked.answers[-1]
        pictures.log(origin, drawn_as, columns, kwargs)

    return from_estimator


# --- importances ----------------------------------------------------------------------------------


def _wrap_importance(function: FunctionType) -> Callable[..., Any]:
    """Return ``permutation_importance`` such that its result is kept as a table."""

    def permutation_importance(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        tracker = current_tracker(LIBRARY) if scope.is_idle() else None
        if tracker is None:
            return function(*args, **kwargs)
        asked = _asked(args, kwargs, evaluation.caller(sys._getframe(1)))
        result = scope.absorb(function, args, kwargs)
        if asked is not None:
            attempt(tracker, "keep the importances", _log_importances, result, asked)
        return result

    return permutation_importance


def _log_importances(result: Any, asked: _Asked) -> None:
    given, origin = asked.given, asked.named(CallSite(asked.frame, "permutation_importance"))
    by_scorer = {"": result} if "importances_mean" in result else result
    for scorer, found in by_scorer.items():
        plot = _importances(found, given["estimator"], given["X"])
        name = "_".join(filter(None, (plot.name, scorer, origin.dataset)))
        origin.book.run.log_plot(type(plot)(name, plot.kind, plot.columns, plot.meta))


def _importances(found: Any, estimator: Any, X: Any) -> Plot:
    import numpy as np

    from nbtrack.media import Plot

    mean, deviation = found["importances_mean"], found["importances_std"]
    best = np.argsort(-mean, kind="stable")[:_MAX_FEATURES]
    columns = getattr(X, "columns", None)
    names = feature_names(estimator, estimator, len(mean)) if columns is None else columns
    table = {
        "feature": [str(names[place]) for place in best],
        "importance": mean[best].tolist(),
        "std": deviation[best].tolist(),
    }
    return Plot("permutation_importance", "feature_importance", table, {"features": len(mean)})
