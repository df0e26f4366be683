"""scikit-learn: an outermost ``fit``, or a ``cross_validate``, is a run; metrics find theirs.

Methods are hooked on each class that defines them, now and as classes are made. Functions are
wrapped inside their closure, so that names imported earlier are reached, too.
"""

from __future__ import annotations

import inspect
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from numbers import Real
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any

from nbtrack.autologging import scope
from nbtrack.autologging.callsite import CallSite
from nbtrack.autologging.integration import TrackedRun, Tracker, current_tracker
from nbtrack.autologging.patching import Patches, Wrap
from nbtrack.autologging.predictions import PREDICTING_METHODS, Origin, Predictions
from nbtrack.autologging.recording import Recording, attempt

_FITTING_METHODS = ("fit", "fit_transform", "fit_predict")
_CROSS_VALIDATION = (
    "cross_val_score",
    "cross_validate",
    "cross_val_predict",
    "learning_curve",
    "validation_curve",
    "permutation_test_score",
)
# Arguments of the functions above that say how they were run, rather than on what.
_SETTINGS = ("cv", "scoring", "method", "param_name", "param_range", "n_permutations")
# Between a function that is wrapped in its closure and its caller stands the one that validates
# the parameters.
_CALLER = 2

_predictions = Predictions()


def forget() -> None:
    """Forget all estimators and predictions."""
    _predictions.clear()


def install(module: ModuleType, patches: Patches) -> None:
    """Patch one of ``sklearn.base``, ``sklearn.metrics`` and ``sklearn.model_selection``."""
    if module.__name__ == "sklearn.base":
        _install_methods(module, patches)
    elif module.__name__ == "sklearn.metrics":
        for function in list(vars(module).values()):
            patches.cell(function, "func", _wrap_metric)
    else:
        for name in _CROSS_VALIDATION:
            patches.cell(getattr(module, name, None), "func", _wrap_cross_validation)


def _install_methods(base: ModuleType, patches: Patches) -> None:
    makers: dict[str, Wrap] = {name: partial(_wrap_fit, name) for name in _FITTING_METHODS}
    makers |= {name: partial(_wrap_predict, name) for name in PREDICTING_METHODS}
    makers["score"] = _wrap_score

    def hook(cls: type) -> None:
        # Mixins, which are no estimators themselves, define methods of estimators, too.
        for owner in cls.__mro__:
            for name in vars(owner).keys() & makers.keys():
                patches.hook(owner, name, makers[name])

    def hook_new(cls: type) -> None:
        tracker = current_tracker()
        if tracker is not None:
            attempt(tracker, f"watch the class {cls.__name__}", hook, cls)

    estimator: type = base.BaseEstimator
    for cls in _subclasses(estimator):
        hook(cls)
    patches.after_subclassing(estimator, hook_new)
    # The output mixin wraps `fit_transform` of a new class once more, after BaseEstimator's turn.
    for cls in base.TransformerMixin.__mro__:
        if "__init_subclass__" in vars(cls) and cls is not object:
            patches.after_subclassing(cls, hook_new)


def _subclasses(cls: type[Any]) -> set[type[Any]]:
    """Return `cls` and all classes that derive from it."""
    found, waiting = {cls}, [cls]
    while waiting:
        new = set(waiting.pop().__subclasses__()) - found
        found |= new
        waiting += new
    return found


def _positional(function: FunctionType) -> tuple[str, ...]:
    """Return the names of a method's positional parameters, without ``self``."""
    code: CodeType = inspect.unwrap(function).__code__
    return code.co_varnames[1 : code.co_argcount]


def _from_library(frame: FrameType) -> bool:
    """Whether `frame` is scikit-learn's own code, whose metrics and scores are not the user's."""
    return str(frame.f_globals.get("__name__")).startswith("sklearn.")


# --- fits ---------------------------------------------------------------------------------------


def _wrap_fit(name: str, function: FunctionType) -> Callable[..., Any]:
    parameters = _positional(function)

    def fit(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        tracker = current_tracker()
        if tracker is None or not scope.is_idle() or not hasattr(type(self), "get_params"):
            return function(self, *args, **kwargs)
        frame = sys._getframe(1)
        if _from_library(frame) and frame.f_globals["__name__"] != type(self).__module__:
            # A helper's own encoder, say; but `k_means(X)` is a KMeans of the user's.
            return scope.absorb(function, (self, *args), kwargs)
        data = dict(zip(parameters, args, strict=False)) | kwargs
        recorder = _Fit(tracker, self, name, parameters, data, frame)
        return scope.record(recorder, function, (self, *args), kwargs)

    return fit


@dataclass(eq=False)
class _Call(ABC):
    """What fits and cross-validations have in common, as a `scope.Recorder`."""

    tracker: Tracker
    estimator: Any
    function: str
    parameters: tuple[str, ...]
    data: Mapping[str, Any]
    frame: FrameType
    origin: Origin | None = None
    seconds: float = 0.0
    _start: float = 0.0

    def __post_init__(self) -> None:
        self.recording = Recording(self.tracker, "sklearn")

    def begin(self) -> None:
        kind = type(self.estimator)
        recording = self.recording
        recording.begin(self.name_hint())
        if recording.run is not None:
            run = recording.run
            tags = {
                "estimator_name": kind.__name__,
                "estimator_class": f"{kind.__module__}.{kind.__qualname__}",
            }
            recording.attempt("set the tags", run.set_tags, tags)
            recording.attempt("log the parameters", self._log_params, run)
            dataset = recording.attempt("name the data", self._log_inputs, run)
            self.origin = Origin(_predictions.book(run), dataset)
        self._start = time.perf_counter()

    def succeed(self, result: Any) -> None:
        self.seconds = time.perf_counter() - self._start
        self.recording.finish(lambda run: self.write(run, result))

    def fail(self, error: BaseException) -> None:
        self.recording.fail(error, self.frame)

    def name_hint(self) -> str:
        return type(self.estimator).__name__

    def params(self) -> dict[str, Any]:
        return dict(self.estimator.get_params(deep=True))

    def _log_params(self, run: TrackedRun) -> None:
        params = self.params()
        run.log_params(params, highlights=_chosen(self.estimator, params))

    @abstractmethod
    def write(self, run: TrackedRun, result: Any) -> None:
        """Write down what the call has brought."""

    def _log_inputs(self, run: TrackedRun) -> str | None:
        """Log the data; return the user's name for the features."""
        site = CallSite(self.frame, self.function)
        dataset: str | None = None
        for parameter, context in self._inputs():
            places = self.parameters
            place = places.index(parameter) if parameter in places else None
            name, value = site.name(place, parameter), self.data[parameter]
            if context == "train":
                dataset = name
            # Describing an iterator could use it up.
            if value is not None and not hasattr(value, "__next__"):
                self.recording.attempt(
                    "describe the data", run.log_input, value, name or parameter, context
                )
        return dataset

    def _inputs(self) -> Iterator[tuple[str, str]]:
        """Yield the parameters that carry data, with their parts."""
        features = "X" if "X" in self.data else next(iter(self.data), None)
        if features is not None:
            yield features, "train"
        for parameter in self.data.keys() & {"y", "Y"}:
            yield parameter, "target"


class _Fit(_Call):
    """The run of a fit."""

    def write(self, run: TrackedRun, result: Any) -> None:
        estimator, recording = self.estimator, self.recording
        recording.attempt(
            "log the duration of the fit", run.log_metrics, {"fit_time_s": self.seconds}
        )
        if "cv_results_" in getattr(estimator, "__dict__", ()):
            recording.attempt("log the results of the search", self._log_search, run)
        recording.attempt("remember the model", self._remember, result)
        recording.attempt("log the model", run.log_model, estimator, "sklearn")

    def _remember(self, result: Any) -> None:
        if self.origin is not None:
            for part in _parts(self.estimator):
                _predictions.add_estimator(part, self.origin)
            if self.function == "fit_predict":
                _predictions.add(result, self.origin)

    def _log_search(self, run: TrackedRun) -> None:
        results = vars(self.estimator)
        best = results.get("best_params_") or {}
        run.log_params({f"best_{name}": value for name, value in best.items()})
        if _is_scalar(score := results.get("best_score_")):
            run.log_metrics({"best_cv_score": float(score)})


def _chosen(estimator: Any, params: Mapping[str, Any]) -> list[str]:
    """Return the keys of the params that differ from the defaults of their estimators."""
    owners = {name: value for name, value in params.items() if hasattr(value, "get_params")}
    defaults: dict[type, dict[str, Any]] = {}
    chosen = []
    for key, value in params.items():
        owner, _, name = key.rpartition("__")
        holder = owners.get(owner) if owner else estimator
        if key in owners or holder is None:
            continue
        kind = type(holder)
        if kind not in defaults:
            defaults[kind] = _defaults(kind)
        default = defaults[kind].get(name, inspect.Parameter.empty)
        # Comparing could be anybody's code, or an array's; the same text is the same default.
        if value is not default and repr(value) != repr(default):
            chosen.append(key)
    return chosen


def _defaults(cls: type) -> dict[str, Any]:
    """Return the defaults of a constructor; `inspect.signature` would take ten times as long."""
    function = inspect.unwrap(getattr(cls, "__init__"))  # noqa: B009 - mypy forbids cls.__init__
    if not isinstance(function, FunctionType):
        return {}
    code, defaults = function.__code__, function.__defaults__ or ()
    names = code.co_varnames[: code.co_argcount]
    by_place = dict(zip(names[len(names) - len(defaults) :], defaults, strict=True))
    return by_place | (function.__kwdefaults__ or {})


def _parts(estimator: Any) -> list[Any]:
    """Return a fitted estimator and those fitted with it that users take out of it."""
    parts, waiting = [estimator], [estimator]
    while waiting:
        for name, value in getattr(waiting.pop(), "__dict__", {}).items():
            steps = name == "steps" and isinstance(value, list)
            held = [step for _, step in value] if steps else [value] if name.endswith("_") else []
            new = [x for x in held if hasattr(x, "fit") and all(x is not part for part in parts)]
            parts += new
            waiting += new
    return parts


# --- cross-validation ---------------------------------------------------------------------------


def _wrap_cross_validation(function: FunctionType) -> Callable[..., Any]:
    signature = inspect.signature(function)

    def cross_validation(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        tracker = current_tracker()
        if tracker is None or not scope.is_idle():
            return function(*args, **kwargs)
        # scikit-learn has bound the arguments already, so binding them cannot fail.
        data = signature.bind(*args, **kwargs).arguments
        frame = sys._getframe(_CALLER)
        recorder = _CrossValidation(
            tracker, data["estimator"], function.__name__, tuple(signature.parameters), data, frame
        )
        return scope.record(recorder, function, args, kwargs)

    return cross_validation


class _CrossValidation(_Call):
    """The run of a function that fits an estimator many times and leaves no model."""

    def name_hint(self) -> str:
        return f"{self.function}: {super().name_hint()}"

    def params(self) -> dict[str, Any]:
        params = super().params()
        for name in _SETTINGS:
            if name in self.data:
                value = self.data[name]
                # A list of splits would be all their indices.
                splits = name == "cv" and isinstance(value, Iterable)
                key = f"{self.function}.{name}" if name in params else name
                params[key] = type(value).__name__ if splits else value
        return params

    def _inputs(self) -> Iterator[tuple[str, str]]:
        yield "X", "train"
        if "y" in self.data:
            yield "y", "target"

    def write(self, run: TrackedRun, result: Any) -> None:
        run.log_metrics({"fit_time_s": self.seconds})
        match self.function:
            case "cross_val_score":
                _log_folds(run, "test_score", result)
            case "cross_validate":
                for name, values in result.items():
                    if name.startswith(("test_", "train_")):
                        _log_folds(run, name, values)
            case "cross_val_predict":
                if self.origin is not None:
                    _predictions.add(result, self.origin)
            case "learning_curve":
                sizes, train, test = result[:3]
                _log_curve(run, [int(size) for size in sizes], train, test)
            case "validation_curve":
                train, test = result
                _log_curve(run, list(range(len(train))), train, test)
            case "permutation_test_score":
                score, _, pvalue = result
                run.log_metrics({"score": float(score), "pvalue": float(pvalue)})


def _log_folds(run: TrackedRun, name: str, values: Any) -> None:
    for fold, value in enumerate(values):
        run.log_metrics({name: float(value)}, fold)
    run.log_metrics({f"mean_{name}": float(values.mean()), f"std_{name}": float(values.std())})


def _log_curve(run: TrackedRun, steps: list[int], train: Any, test: Any) -> None:
    for step, train_scores, test_scores in zip(steps, train, test, strict=True):
        means = {
            "mean_train_score": float(train_scores.mean()),
            "mean_test_score": float(test_scores.mean()),
        }
        run.log_metrics(means, step)


# --- after the fit ------------------------------------------------------------------------------


def _is_scalar(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _wrap_predict(name: str, function: FunctionType) -> Callable[..., Any]:
    def predict(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        tracker, frame = current_tracker(), sys._getframe(1)
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
    origin = _predictions.of_estimator(estimator)
    return None if origin is None or _from_library(frame) else origin


def _remember(result: object, origin: Origin, data: object, frame: FrameType, method: str) -> None:
    name = CallSite(frame, method).name(0, "X")
    _predictions.add(result, Origin(origin.book, name), data)


def _wrap_score(function: FunctionType) -> Callable[..., Any]:
    def score(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        tracker, frame = current_tracker(), sys._getframe(1)
        origin = _origin(tracker, self, frame)
        if tracker is None or origin is None:
            return function(self, *args, **kwargs)
        result = scope.absorb(function, (self, *args), kwargs)
        if _is_scalar(result):
            name = f"{type(self).__name__}_score"
            attempt(tracker, "log a score", _log_score, name, result, origin, frame)
        return result

    return score


def _log_score(name: str, result: Any, origin: Origin, frame: FrameType) -> None:
    site = CallSite(frame, "score")
    origin.book.log(name, site.name(0, "X"), site.text, float(result))


def _wrap_metric(function: FunctionType) -> Callable[..., Any]:
    def metric(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        tracker = current_tracker()
        if tracker is None or not scope.is_idle():
            return function(*args, **kwargs)
        result = scope.absorb(function, args, kwargs)  # some fit an encoder of their own
        frame = sys._getframe(_CALLER)
        if _is_scalar(result) and not _from_library(frame):
            name = function.__name__
            attempt(tracker, "log a metric", _log_metric, name, result, args, kwargs, frame)
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
    origin = _predictions.find(args, kwargs, site)
    if origin is not None:
        origin.book.log(name, origin.dataset, site.text, float(result))
