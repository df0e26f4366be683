"""CatBoost: an outermost ``fit``, and ``cv``, is a run.

Its callbacks are not used: they are given all that was evaluated so far in each iteration, and
cannot be had on a GPU. The curves are there when the fit has ended.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import FrameType, FunctionType, ModuleType
from typing import Any

from nbtrack.autologging import boosting, scope
from nbtrack.autologging.asking import is_from_library, wrap_predict
from nbtrack.autologging.book import Chapter
from nbtrack.autologging.integration import TrackedRun, Tracker, current_tracker
from nbtrack.autologging.patching import Patches
from nbtrack.autologging.recording import attempt
from nbtrack.autologging.sklearn.calls import estimator_tags, positional
from nbtrack.autologging.sklearn.evaluation import wrap_score
from nbtrack.errors import InvalidParameterError

_CLASSES = ("CatBoost", "CatBoostClassifier", "CatBoostRegressor", "CatBoostRanker")
_PREDICTING = ("predict", "predict_proba", "predict_log_proba")
# Arguments that carry data, functions and output, and are no params.
_NO_PARAMS = frozenset(
    (
        *("X", "y", "data", "eval_set", "pool", "dtrain", "params", "folds", "init_model"),
        *("group_id", "group_weight", "subgroup_id", "pairs", "pairs_weight", "graph"),
        *("sample_weight", "baseline", "column_description", "callbacks"),
        *("log_cout", "log_cerr", "plot", "plot_file", "verbose", "verbose_eval", "silent"),
        *("logging_level", "metric_period", "metric_update_interval"),
        *("save_snapshot", "snapshot_file", "snapshot_interval", "as_pandas", "return_models"),
    )
)


def install(module: ModuleType, patches: Patches) -> None:
    """Patch the package, which says its version only once all of it is there."""
    for name in _CLASSES:
        owner = getattr(module, name)
        patches.hook(owner, "fit", _wrap_fit)
        patches.hook(owner, "score", partial(wrap_score, library=Fit.library))
        for method in _PREDICTING:
            data = "X" if method == "predict_proba" else "data"
            wrap = partial(wrap_predict, method, library=Fit.library, parameter=data)
            patches.hook(owner, method, wrap)
    patches.function(module.cv, partial(boosting.wrap, CrossValidation))


def adopt(model: Any, tracker: Tracker, tags: dict[str, str]) -> TrackedRun | None:
    """Make a run of a model that was fitted before; None for anything else.

    Raises
    ------
    InvalidParameterError
        It is not fitted.
    """
    if not isinstance(model, sys.modules["catboost"].CatBoost):
        return None
    if not model.is_fitted():
        raise InvalidParameterError(
            f"The {type(model).__name__} is not fitted, so there is nothing to make a run of.",
            hint="Call its fit: that is a run by itself.",
        )
    return boosting.adopt(Fit, model, tracker, estimator_tags(model) | tags)


def _wrap_fit(function: FunctionType) -> Callable[..., Any]:
    parameters = positional(function)

    def fit(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True
        tracker = current_tracker(Fit.library)
        if tracker is None:
            return function(self, *args, **kwargs)
        given = dict(zip(parameters, args, strict=False)) | kwargs
        if not scope.is_idle():
            if (around := boosting.fit_of(self)) is None:
                return function(self, *args, **kwargs)
            attempt(tracker, "name the data", boosting.log_evaluated, Fit, around, given)
            result = function(self, *args, **kwargs)
            boosting.write_down(Fit, around, self)
            return result
        frame = sys._getframe(1)
        if is_from_library(frame):  # ``catboost.train``, whose argument is the first one, too
            call = Fit(tracker, frame.f_code.co_name, given, _users(frame))
        else:
            call = Fit(tracker, "fit", given, frame)
        call.model = self
        return scope.record(call, function, (self, *args), kwargs)

    return fit


def _users(frame: FrameType) -> FrameType:
    """Return the user's frame: ``catboost.train`` calls ``fit``."""
    while is_from_library(frame) and frame.f_back is not None:
        frame = frame.f_back
    return frame


class _Training(boosting.Training):
    """What ``fit`` and ``cv`` have in common."""

    library = "catboost"
    title = "CatBoost"

    @classmethod
    def curves(cls, model: Any) -> Iterator[tuple[str, list[float]]]:
        """Yield the metrics of each iteration: ``learn-Logloss``."""
        for data, metrics in model.get_evals_result().items():
            for metric, values in metrics.items():
                yield f"{data}-{metric}", list(values)

    @classmethod
    def numbers(cls, model: Any, last: int) -> dict[str, float]:
        """Return the number of trees, and the best iteration where something was evaluated."""
        found = {"tree_count": float(model.tree_count_)}
        best = model.get_best_iteration()
        if best is not None:
            found["best_iteration"] = float(best)
        for data, metrics in model.get_best_score().items():
            if data != "learn":
                for metric, value in metrics.items():
                    found[f"best_{data}-{metric}"] = float(value)
        return found

    @classmethod
    def known_params(cls, model: Any) -> dict[str, Any]:
        """Return all params, also those that CatBoost has chosen itself."""
        return dict(model.get_all_params())

    @classmethod
    def importances(cls, model: Any) -> tuple[list[str], list[float]] | None:
        """Return what the fit itself has found out; of a ranker it needs the data, and is none."""
        found = model.feature_importances_
        if getattr(found, "ndim", 0) != 1:
            return None
        return list(map(str, model.feature_names_)), [float(value) for value in found]

    def own_params(self) -> dict[str, Any]:
        """Return the arguments that are params."""
        return {
            key: value
            for key, value in self.given.items()
            if key not in _NO_PARAMS and value is not None
        }

    @classmethod
    def evaluated(cls, given: Mapping[str, Any]) -> Iterator[tuple[Any, str]]:
        """Yield what is evaluated in each iteration."""
        sets = given.get("eval_set")
        sets = sets if isinstance(sets, list) else [] if sets is None else [sets]
        for i, data in enumerate(sets):
            features = data[0] if isinstance(data, tuple) else data
            yield features, "validation" if len(sets) == 1 else f"validation_{i}"


class Fit(_Training):
    """The run of a ``fit``."""

    train_argument = "X"
    target_argument = "y"
    model: Any = None

    def name(self) -> str:
        """Return the class of the model."""
        return type(self.model).__name__

    def tags(self) -> dict[str, str]:
        """Return class and name of the model, as for those of scikit-learn."""
        return estimator_tags(self.model)

    def params(self) -> dict[str, Any]:
        """Return the params that were given to the model and to the call."""
        return self.own_params() | self.chosen()

    def chosen(self) -> dict[str, Any]:
        """Return the params that were given to the model."""
        return dict(self.model.get_params())

    def succeed(self, result: Any) -> None:
        """Write down the results, and what CatBoost has chosen itself, as its learning rate."""
        self.recording.attempt("log the parameters", self._log_all_params)
        super().succeed(result)

    def _log_all_params(self) -> None:
        if self.chapter is not None:
            known = self.params()
            found = self.model.get_all_params().items()
            params = {key: value for key, value in found if key not in known}
            self.chapter.book.run.log_params(self.chapter.params(params))


class CrossValidation(_Training):
    """The run of ``catboost.cv``."""

    @property
    def train_argument(self) -> str:  # type: ignore[override]  # it has two names there
        """The parameter with the data."""
        return "pool" if self.given.get("pool") is not None else "dtrain"

    def params(self) -> dict[str, Any]:
        """Return the params of the model and of the call."""
        return self.own_params() | dict(self.chosen())

    def log_result(self, chapter: Chapter, result: Any) -> None:
        """Log mean and deviation of each iteration."""
        table = result[0] if isinstance(result, tuple) else result
        columns: Mapping[str, Any] = table
        for name in columns:
            if name != "iterations":
                chapter.log_curve(name, [float(value) for value in columns[name]])
