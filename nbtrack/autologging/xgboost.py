"""XGBoost: ``train`` and ``cv`` are runs; its estimators are those of scikit-learn, with curves.

Both functions are wrapped in the closure of the library's own decorator, so that names imported
earlier are reached, too.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from types import ModuleType
from typing import Any

from nbtrack.autologging import boosting
from nbtrack.autologging.asking import wrap_predict
from nbtrack.autologging.boosting import Iterations
from nbtrack.autologging.integration import TrackedRun, Tracker
from nbtrack.autologging.patching import Patches

# Arguments that carry data, functions and output, and are no params.
_NO_PARAMS = frozenset(
    {"params", "dtrain", "evals", "evals_result", "xgb_model", "callbacks", "folds", "fpreproc"}
)


def install(module: ModuleType, patches: Patches) -> None:
    """Patch the package, which says its version only once all of it is there."""
    for function in (module.train, module.cv):
        for variable in ("func", "f"):  # the decorator's, in newer and older versions
            patches.cell(function, variable, partial(boosting.wrap, Training))
    for name in ("predict", "inplace_predict"):
        wrap = partial(wrap_predict, name, library=Training.library, parameter="data")
        patches.hook(module.Booster, name, wrap)


def adopt(model: Any, tracker: Tracker, tags: dict[str, str]) -> TrackedRun | None:
    """Make a run of a booster that was trained before; None for anything else."""
    is_booster = isinstance(model, sys.modules["xgboost"].Booster)
    return boosting.adopt(Training, model, tracker, tags) if is_booster else None


class Training(boosting.Training):
    """The run of ``xgboost.train`` or ``xgboost.cv``."""

    library = "xgboost"
    title = "XGBoost"
    train_argument = "dtrain"

    @classmethod
    def listening(cls, given: Mapping[str, Any], iterations: Iterations) -> dict[str, Any]:
        """Return ``callbacks`` with one more, the first: one that ends the training is the last."""
        return {"callbacks": [_listener(iterations), *(given.get("callbacks") or ())]}

    @classmethod
    def numbers(cls, model: Any, last: int) -> dict[str, float]:
        """Return the best iteration and its score, where early stopping was asked for."""
        found = {name: model.attr(name) for name in ("best_iteration", "best_score")}
        numbers = {name: float(value) for name, value in found.items() if value is not None}
        if numbers:
            numbers["stopped_iteration"] = last
        return numbers

    @classmethod
    def known_params(cls, model: Any) -> dict[str, Any]:
        """Return what the booster's own configuration says of its training."""
        learner = json.loads(model.save_config())["learner"]
        trees = learner["gradient_booster"].get("tree_train_param", {})
        return {
            "objective": learner["objective"]["name"],
            **learner["learner_train_param"],
            **trees,
            "num_boost_round": model.num_boosted_rounds(),
        }

    @classmethod
    def importances(cls, model: Any) -> tuple[list[str], list[float]] | None:
        """Return the share of each feature in the gain, as the estimators have it."""
        try:
            scores = model.get_score(importance_type="gain")
        except ValueError:  # a linear booster has weights, which are positive and negative
            return None
        total = sum(scores.values()) or 1.0
        return list(scores), [float(score) / total for score in scores.values()]

    def params(self) -> dict[str, Any]:
        """Return the params of the booster, and those of the call."""
        own = {
            key: value
            for key, value in self.given.items()
            if key not in _NO_PARAMS and value is not None
        }
        return own | dict(self.given["params"])

    @classmethod
    def evaluated(cls, given: Mapping[str, Any]) -> Iterator[tuple[Any, str]]:
        """Yield the data that is evaluated in each iteration."""
        for data, name in given.get("evals") or ():
            if data is not given["dtrain"]:
                yield data, str(name)


def _listener(iterations: Iterations) -> Any:
    """Return a callback of XGBoost's, whose base class is there by now."""
    base: Any = sys.modules["xgboost.callback"].TrainingCallback

    class Listener(base):  # type: ignore[misc]
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            iterations.log(epoch, _latest(evals_log))
            return False

    return Listener()


def _latest(history: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Return the metrics of the last iteration; of folds, mean and deviation.

    Examples
    --------
    >>> _latest({"test": {"rmse": [2.0, 1.5], "mae": [(2.0, 0.1), (1.0, 0.2)]}})
    {'test-rmse': 1.5, 'test-mae-mean': 1.0, 'test-mae-std': 0.2}
    """
    found = {}
    for data, metrics in history.items():
        for metric, values in metrics.items():
            value = values[-1]
            if isinstance(value, tuple):
                found[f"{data}-{metric}-mean"], found[f"{data}-{metric}-std"] = value
            else:
                found[f"{data}-{metric}"] = value
    return found
