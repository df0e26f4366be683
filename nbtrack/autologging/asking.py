"""What models are asked after their fit: each prediction is remembered with the run it is of."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from threading import get_ident
from types import FrameType, FunctionType
from typing import Any

from nbtrack.autologging import leakage, scope
from nbtrack.autologging.callsite import CallSite
from nbtrack.autologging.integration import Tracker, current_tracker
from nbtrack.autologging.naming import argument_name
from nbtrack.autologging.options import options
from nbtrack.autologging.predictions import Origin, Predictions
from nbtrack.autologging.recording import attempt
from nbtrack.autologging.seen import see

predictions = Predictions()
"""Which run an estimator, or an array, came from."""
listeners: dict[tuple[int, int], list[Any]] = {}
"""By thread and id, the estimators whose predictions somebody wants to have, whoever asks."""
_LIBRARIES = ("sklearn.", "imblearn.", "xgboost.", "lightgbm.", "catboost.")


def is_from_library(frame: FrameType) -> bool:
    """Whether `frame` is a library's own code, whose fits and metrics are not the user's.

    imbalanced-learn is made like scikit-learn, and of it: its samplers fit neighbours and clusters.
    """
    return str(frame.f_globals.get("__name__")).startswith(_LIBRARIES)


def wrap_predict(
    name: str, function: FunctionType, library: str = "sklearn", parameter: str = "X"
) -> Callable[..., Any]:
    """Return a method whose result is remembered.

    Parameters
    ----------
    name
        What users call it.
    library
        Whose options count.
    parameter
        What the method calls its data.
    """

    def predict(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        if listeners and (answers := listeners.get((get_ident(), id(self)))) is not None:
            result = function(self, *args, **kwargs)
            answers.append(result)
            return result
        tracker, frame = current_tracker(library), sys._getframe(1)
        origin = origin_of(tracker, self, frame)
        if tracker is None or origin is None:
            return function(self, *args, **kwargs)
        result = scope.absorb(function, (self, *args), kwargs)
        data = args[0] if args else kwargs.get(parameter)
        what = "remember the prediction"
        attempt(tracker, what, _remember, result, origin, data, CallSite(frame, name), library)
        return result

    return predict


def origin_of(tracker: Tracker | None, estimator: object, frame: FrameType) -> Origin | None:
    """Return the origin of what `estimator` is asked for in an outermost call of the user's."""
    if tracker is None or not scope.is_idle():
        return None
    origin = predictions.of_estimator(estimator)
    return None if origin is None or is_from_library(frame) else origin


def _remember(result: object, origin: Origin, data: object, site: CallSite, library: str) -> None:
    predictions.add(result, _of_data(origin, site, 0, data, library), data)


def _of_data(
    origin: Origin, site: CallSite, place: int, data: object, library: str = "sklearn"
) -> Origin:
    """Return the origin of what a model says of `data`, the argument of a call by its place."""
    name, fitted, chosen = argument_name(site, data, place, "X"), origin.data, options(library)
    compares = chosen.log_post_training_metrics and not chosen.silent and fitted is not None
    keep = compares and leakage.is_new(origin.book.run, fitted, name)
    seen = see(data, lasting=site.is_lasting(place, "X"), keep=keep)
    return Origin(origin.book, name, seen, fitted)


def asked(origin: Origin, site: CallSite, place: int, data: object) -> Origin:
    """Return the origin of what was computed of `data`, which is called like no other."""
    return told_apart(_of_data(origin, site, place, data))


def told_apart(origin: Origin) -> Origin:
    """Return an origin whose data is called like no other of its run."""
    name = origin.dataset
    if name is None:
        return origin
    return replace(
        origin, dataset=origin.book.dataset(name, origin.data.value if origin.data else None)
    )
