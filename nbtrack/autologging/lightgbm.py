"""LightGBM: ``train`` and ``cv`` are runs; its estimators are scikit-learn's, with curves."""

from __future__ import annotations

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
    {
        "params",
        "train_set",
        "valid_sets",
        "valid_names",
        "init_model",
        "callbacks",
        "folds",
        "fpreproc",
        "return_cvbooster",
    }
)
_STD = 4  # place of the deviation in what is told of the folds


def install(module: ModuleType, patches: Patches) -> None:
    """Patch the package, which says its version only once all of it is there."""
    for function in (module.train, module.cv):
        patches.function(function, partial(boosting.wrap, Training))
    wrap = partial(wrap_predict, "predict", library=Training.library, parameter="data")
    patches.hook(module.Booster, "predict", wrap)


def adopt(model: Any, tracker: Tracker, tags: dict[str, str]) -> TrackedRun | None:
    """Make a run of a booster that was trained before; None for anything else."""
    is_booster = isinstance(model, sys.modules["lightgbm"].Booster)
    return boosting.adopt(Training, model, tracker, tags) if is_booster else None


class Training(boosting.Training):
    """The run of ``lightgbm.train`` or ``lightgbm.cv``."""

    library = "lightgbm"
    title = "LightGBM"
    train_argument = "train_set"

    @classmethod
    def listening(cls, given: Mapping[str, Any], iterations: Iterations) -> dict[str, Any]:
        """Return ``callbacks`` with one more.

        It is the first, since LightGBM numbers the user's from the end, and is called before
        early stopping.
        """

        def listen(env: Any) -> None:
            iterations.log(env.iteration, _told(env.evaluation_result_list or ()))

        listen.order = 1  # type: ignore[attr-defined]
        return {"callbacks": [listen, *(given.get("callbacks") or ())]}

    @classmethod
    def numbers(cls, model: Any, last: int) -> dict[str, float]:
        """Return the best iteration, where early stopping has found one."""
        best = int(model.best_iteration)
        if best <= 0:
            return {}
        return {"best_iteration": best, "stopped_iteration": last + 1}  # it counts from 1

    @classmethod
    def known_params(cls, model: Any) -> dict[str, Any]:
        """Return the params that the booster has kept."""
        return dict(model.params)

    @classmethod
    def importances(cls, model: Any) -> tuple[list[str], list[float]] | None:
        """Return how often each feature is split on, as the estimators have it."""
        counts = model.feature_importance(importance_type="split")
        return list(map(str, model.feature_name())), [float(count) for count in counts]

    def params(self) -> dict[str, Any]:
        """Return the params of the booster, and those of the call."""
        own = {
            key: value
            for key, value in self.given.items()
            if key not in _NO_PARAMS and value is not None
        }
        return own | dict(self.given["params"])

    def described(self, data: Any) -> Iterator[tuple[Any, str, str]]:
        """Yield features and labels, as long as they are there: LightGBM lets go of them."""
        features, labels = getattr(data, "data", None), getattr(data, "label", None)
        if features is None or isinstance(features, str):
            yield data, "", "train"
            return
        yield features, "", "train"
        if labels is not None:
            yield labels, ".label", "target"

    @classmethod
    def evaluated(cls, given: Mapping[str, Any]) -> Iterator[tuple[Any, str]]:
        """Yield the data that is evaluated in each iteration."""
        sets = given.get("valid_sets") or ()
        sets = sets if isinstance(sets, (list, tuple)) else [sets]
        names = given.get("valid_names") or ()
        names = [names] if isinstance(names, str) else list(names)
        for i, data in enumerate(sets):
            if data is given["train_set"]:
                continue
            features = getattr(data, "data", None)
            known = data if features is None or isinstance(features, str) else features
            yield known, str(names[i]) if i < len(names) else f"valid_{i}"


def _told(results: Any) -> dict[str, float]:
    """Return the metrics of an iteration; of folds, mean and deviation.

    Examples
    --------
    >>> _told([("valid_0", "l2", 0.5, False)])
    {'valid_0-l2': 0.5}
    >>> _told([("cv_agg", "valid l2", 0.5, False, 0.1)])
    {'valid-l2-mean': 0.5, 'valid-l2-std': 0.1}
    """
    found = {}
    for result in results:
        name = f"{result[0]}-{result[1]}".removeprefix("cv_agg-").replace(" ", "-")
        if len(result) > _STD and result[_STD] is not None:
            found[f"{name}-mean"], found[f"{name}-std"] = result[2], result[_STD]
        else:
            found[name] = result[2]
    return found
