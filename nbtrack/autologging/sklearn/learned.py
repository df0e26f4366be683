"""What a fitted estimator says of itself, without being asked to compute: curves, weights."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from nbtrack.autologging.sklearn.calls import TABLE, is_scalar, state, steps_of

if TYPE_CHECKING:
    from nbtrack.media import Plot

# Attributes with one number for each iteration or stage.
_CURVES = (
    "loss_curve_",
    "validation_scores_",
    "train_score_",
    "validation_score_",
    "oob_improvement_",
    "oob_scores_",
    "estimator_errors_",
    "lower_bounds_",
    "explained_variance_ratio_",
)
# Attributes with one number that tells how the fit went.
_NUMBERS = (
    "n_iter_",
    "inertia_",
    "lower_bound_",
    "best_loss_",
    "oob_score_",
    "alpha_",
    "reconstruction_err_",
    "kl_divergence_",
    "stress_",
    "log_marginal_likelihood_value_",
    "n_clusters_",
    "n_features_",
    "best_threshold_",
)
_LIBRARIES = ("sklearn.", "imblearn.", "xgboost.", "lightgbm.")
_MAX_DEPTH = 20  # of estimators in one another; a user's may hold itself
_MAX_FEATURES = 200
_MAX_TREES = 200
_MAX_NAMED = 20_000


def final(estimator: Any) -> Any:
    """Return the estimator that predicts: the last step, the best candidate, the inner one."""
    for _ in range(_MAX_DEPTH):
        own, steps = state(estimator), steps_of(estimator)
        inner = steps[-1] if steps else own.get("best_estimator_", own.get("regressor_"))
        if not hasattr(inner, "fit"):
            break
        estimator = inner
    return estimator


def curves(estimator: Any) -> Iterator[tuple[str, list[float]]]:
    """Yield what the estimator has kept of each iteration, by its own name of it."""
    for name in _CURVES:
        values: Any = state(estimator).get(name)
        if isinstance(values, list) or getattr(values, "ndim", 0) == 1:
            numbers = [float(value) for value in values if is_scalar(value)]
            if len(numbers) == len(values) > 0:
                yield name.rstrip("_"), numbers


def numbers(estimator: Any) -> dict[str, float]:
    """Return what tells in one number how the fit went."""
    found: dict[str, float] = {}
    for name in _NUMBERS:
        value: Any = state(estimator).get(name)
        if getattr(value, "size", 0) == 1:
            value = value.item()  # `n_iter_` has one for each class
        if is_scalar(value):
            found[name.rstrip("_")] = float(value)
    return found


def plots(estimator: Any, whole: Any) -> Iterator[Plot]:
    """Yield the importances and coefficients of `estimator`, which may be a part of `whole`.

    The importances of a forest come with `forest_plot`.
    """
    importances = None if _is_forest(estimator) else _importances(estimator)
    if importances is not None and importances.size:
        names = feature_names(estimator, whole, importances.size)
        yield _importance_plot(importances, names)
    results: Any = state(estimator).get("cv_results_")
    if isinstance(results, Mapping) and "n_features" in results:  # how many are best
        yield _table_of_counts(results)
    coefficients = _coefficients(estimator)
    if coefficients is not None and coefficients.size:
        yield _coefficient_plot(estimator, whole, coefficients)


def forest_plot(estimator: Any, whole: Any) -> Callable[[], Plot] | None:
    """Return what makes the plot of a forest's importances; None for other models.

    Each tree is asked, some 10 us. That can wait: a tree that has been fitted does not change.
    """
    if not _is_forest(estimator):
        return None
    # The property asks each tree through joblib, which takes ten times as long.
    trees = [tree.tree_ for tree in estimator.estimators_]
    trees = [tree for tree in trees[:: -(-len(trees) // _MAX_TREES)] if tree.node_count > 1]
    if not trees:
        return None
    names = feature_names(estimator, whole, trees[0].n_features)

    def make() -> Plot:
        import numpy as np

        mean = np.mean([tree.compute_feature_importances() for tree in trees], axis=0)
        return _importance_plot(mean / (mean.sum() or 1.0), names)

    return make


def _importance_plot(importances: Any, names: Any) -> Plot:
    import numpy as np

    from nbtrack.media import Plot

    best = np.argsort(-importances, kind="stable")[:_MAX_FEATURES]
    columns = {"feature": [names[i] for i in best], "importance": importances[best].tolist()}
    meta = {"features": importances.size}
    return Plot("feature_importance", "feature_importance", columns, meta)


def _table_of_counts(results: Mapping[str, Any]) -> Plot:
    from nbtrack.media import Plot

    return Plot("n_features", "search", {key: values.tolist() for key, values in results.items()})


def _coefficient_plot(estimator: Any, whole: Any, coefficients: Any) -> Plot:
    """Return the largest coefficients; where there are several classes, each in a column."""
    import numpy as np

    from nbtrack.media import Plot

    rows, features = coefficients.shape
    names = feature_names(estimator, whole, features)
    size = np.abs(coefficients).max(axis=0)
    best = np.argsort(-size, kind="stable")[: max(1, _MAX_FEATURES // rows)]
    columns: dict[str, list[Any]] = {"feature": [names[i] for i in best]}
    classes: Any = state(estimator).get("classes_")
    named = classes is not None and len(classes) == rows
    for row in range(min(rows, _MAX_FEATURES)):
        label = "coefficient" if rows == 1 else f"{classes[row] if named else row}"
        columns[label if label != "feature" else "feature (class)"] = coefficients[
            row, best
        ].tolist()
    intercept = np.ravel(state(estimator).get("intercept_", 0.0))[:_MAX_FEATURES].tolist()
    return Plot(
        "coefficients", "coefficients", columns, {"features": features, "intercept": intercept}
    )


def _importances(estimator: Any) -> Any:
    """Return the importances, where it takes no more than a few milliseconds; else None."""
    import numpy as np

    kind = type(estimator)
    if "feature_importances_" in state(estimator) or _is_own(kind, "feature_importances_"):
        return np.ravel(estimator.feature_importances_)
    return None


def _is_forest(estimator: Any) -> bool:
    forest = getattr(sys.modules.get("sklearn.ensemble._forest"), "BaseForest", ())
    return isinstance(estimator, forest) and _is_own(type(estimator), "feature_importances_")


def _is_own(kind: type, attribute: str) -> bool:
    """Whether a property is the library's: one of the user's may do anything."""
    owner = next((cls for cls in kind.__mro__ if attribute in vars(cls)), None)
    return owner is not None and owner.__module__.startswith(_LIBRARIES)


def _coefficients(estimator: Any) -> Any:
    import numpy as np

    found = state(estimator).get("coef_")
    if (
        found is None
        or getattr(found, "size", 0) == 0
        or getattr(found, "ndim", 0) not in {1, TABLE}
    ):
        return None
    if hasattr(found, "toarray"):
        found = found.toarray()
    array = np.atleast_2d(found)
    return array if array.dtype.kind in "fiu" else None


def feature_names(estimator: Any, whole: Any, count: int) -> Any:
    """Return the names of the features that `estimator` was fitted with."""
    names = state(estimator).get("feature_names_in_")
    if names is None and estimator is not whole and count <= _MAX_NAMED:
        names = _names_from_steps(whole)
    if names is not None and len(names) == count:
        return [str(name) for name in names]
    return [f"x{i}" for i in range(count)]


def _names_from_steps(whole: Any) -> Any:
    """Return what the steps before the last one of a pipeline say that they hand on."""
    for _ in range(_MAX_DEPTH):
        whole = state(whole).get("best_estimator_", whole)
    steps = steps_of(whole)
    if not steps[1:]:
        return None
    names = state(whole).get("feature_names_in_", getattr(steps[0], "feature_names_in_", None))
    for step in steps[:-1]:
        if step is None or isinstance(step, str):
            continue
        try:
            names = step.get_feature_names_out(names)
        except (AttributeError, ValueError):
            return None  # a step that cannot name what it makes
    return names
