"""Scores on the training data, as MLflow names them, where they cost next to nothing.

What is asked depends on kind and size alone, so that the same notebook always has the same
metrics. A linear model needs one product of matrices and a tree one look-up, which are made here;
gradient boosting and networks predict in a small part of the time of their fit. Others are not
asked. In a pipeline the last step is, with what it was fitted with: the steps before are not run
again.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nbtrack.autologging.sklearn.calls import BINARY, TABLE, state
from nbtrack.autologging.sklearn.learned import final

# Where the methods are defined of those that may be asked.
_ASKED = (
    "sklearn.linear_model.",
    "sklearn.tree.",
    "sklearn.ensemble._gb",
    "sklearn.neural_network.",
)
_MAX_LINEAR = 20_000_000  # values times outputs: some 10 ms
_MAX_TREE = 50_000  # rows: some 10 ms
_MAX_STAGES = 2_000_000  # rows times stages: some 50 ms, where the fit took seconds
_MIN_EPOCHS = 10
_MAX_PAIRS_OF = 10  # classes


@dataclass
class Fitted:
    """The data that the last step of an estimator was fitted with."""

    estimator: Any
    data: Mapping[str, Any] | None


waiting: dict[int, Fitted] = {}
"""By id, the last steps of the pipelines that are being fitted: for the hook of inner fits."""


def expect(estimator: Any, data: Mapping[str, Any]) -> Fitted:
    """Return where the data of the last step will be: it is there, or comes with an inner fit."""
    last = final(estimator)
    if last is estimator:
        return Fitted(estimator, data)
    fitted = Fitted(last, None)
    if "steps" in state(estimator):
        waiting[id(last)] = fitted
    return fitted


def forget(fitted: Fitted) -> None:
    """Let go of the data."""
    fitted.data = None
    waiting.pop(id(fitted.estimator), None)


def scores(fitted: Fitted) -> dict[str, float]:
    """Return the scores on the training data; none where they would take too long."""
    data, estimator = fitted.data, fitted.estimator
    if not data or data.get("X") is None or data.get("y") is None:
        return {}
    predict = getattr(type(estimator), "predict", None)
    if not str(getattr(predict, "__module__", "")).startswith(_ASKED):
        return {}
    base: Any = sys.modules["sklearn.base"]
    X, y, weights = data["X"], data["y"], data.get("sample_weight")
    if isinstance(estimator, base.ClassifierMixin):
        return _classifier_scores(estimator, X, y, weights)
    if isinstance(estimator, base.RegressorMixin):
        return _regressor_scores(estimator, X, y, weights)
    return {}


def _classifier_scores(
    estimator: Any,
    X: Any,
    y: Any,
    weights: Any,
) -> dict[str, float]:
    import numpy as np

    classes: Any = state(estimator).get("classes_")
    truth = np.asarray(y)
    if truth.ndim == TABLE and truth.shape[1] == 1:
        truth = truth[:, 0]
    if getattr(classes, "ndim", 0) != 1 or truth.ndim != 1 or len(classes) < BINARY:
        return {}
    decision = _linear_decision(
        estimator, X, "LinearClassifierMixin", "decision_function", "sklearn.linear_model._base"
    )
    true = np.searchsorted(classes, truth)
    if decision is not None:
        if decision.ndim == TABLE and decision.shape[1] == 1:
            decision = decision[:, 0]
        codes = decision > 0 if decision.ndim == 1 else decision.argmax(axis=1)
        more = _of_decision(estimator, true, decision, weights)
    else:
        probabilities = _looked_up(estimator, X, "DecisionTreeClassifier")
        if probabilities is None and _is_quick(estimator, X):
            probabilities = estimator.predict_proba(X)
        if not isinstance(probabilities, np.ndarray):
            return {}
        codes = probabilities.argmax(axis=1)
        more = _of_probabilities(true, probabilities, weights)
    return _of_labels(true, codes, len(classes), weights) | more


def _regressor_scores(
    estimator: Any,
    X: Any,
    y: Any,
    weights: Any,
) -> dict[str, float]:
    import numpy as np

    truth = np.asarray(y, dtype=float)
    predicted = _linear_decision(
        estimator, X, "LinearModel", "_decision_function", "sklearn.linear_model."
    )
    if predicted is None:
        predicted = _looked_up(estimator, X, "DecisionTreeRegressor")
    if predicted is None and _is_quick(estimator, X):
        predicted = estimator.predict(X)
    if predicted is None:
        return {}
    predicted = np.asarray(predicted, dtype=float).reshape(truth.shape)
    if truth.ndim > 1:
        truth, predicted = truth.reshape(len(truth), -1), predicted.reshape(len(truth), -1)
    error = truth - predicted
    squared = np.average(error**2, axis=0, weights=weights)
    variance = np.average(
        (truth - np.average(truth, axis=0, weights=weights)) ** 2, axis=0, weights=weights
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = np.where(variance > 0, 1 - squared / variance, np.where(squared > 0, 0.0, 1.0))
    r2_score = float(np.mean(r2))
    return {
        "training_mean_squared_error": float(np.mean(squared)),
        "training_mean_absolute_error": float(
            np.mean(np.average(np.abs(error), axis=0, weights=weights))
        ),
        "training_r2_score": r2_score,
        "training_root_mean_squared_error": float(np.mean(np.sqrt(squared))),
        "training_score": r2_score,
    }


def _linear_decision(estimator: Any, X: Any, mixin: str, method: str, module: str) -> Any:
    """Return ``X @ coef_.T + intercept_``, where that is all that the estimator does; else None.

    It is, where estimator has `mixin`, and its methods are those of `module`.
    """
    import numpy as np

    kind = type(estimator)
    owner = getattr(sys.modules.get("sklearn.linear_model._base"), mixin, ())
    coefficients = state(estimator).get("coef_")
    if not isinstance(estimator, owner) or not isinstance(coefficients, np.ndarray):
        return None
    if not all(getattr(kind, m).__module__.startswith(module) for m in (method, "predict")):
        return None
    X = _plain(X)
    if X is None:
        return None
    if X.shape[0] * X.shape[1] * max(1, coefficients.size // X.shape[1]) > _MAX_LINEAR:
        return None
    return np.asarray(X @ coefficients.T) + state(estimator).get("intercept_", 0.0)


def _looked_up(estimator: Any, X: Any, name: str) -> Any:
    """Return what the leaves of a tree hold, row by row; None for other models."""
    import numpy as np

    kind, owner = type(estimator), getattr(sys.modules.get("sklearn.tree._classes"), name, None)
    X = _plain(X)
    if owner is None or getattr(kind, "predict", None) is not owner.predict or X is None:
        return None
    if hasattr(X, "tocsr") or len(X) > _MAX_TREE or estimator.tree_.n_outputs > 1:
        return None
    return estimator.tree_.predict(np.ascontiguousarray(X, dtype=np.float32))


def _is_quick(estimator: Any, X: Any) -> bool:
    """Whether a prediction of the training data takes a small part of what the fit took."""
    own, kind = state(estimator), type(estimator).__module__
    if kind == "sklearn.ensemble._gb":
        rows = getattr(X, "shape", (_MAX_STAGES,))[0]
        return bool(rows * own["estimators_"].size <= _MAX_STAGES)
    return kind.startswith("sklearn.neural_network.") and own.get("n_iter_", 0) >= _MIN_EPOCHS


def _plain(X: Any) -> Any:
    """Return data as an array or sparse matrix of numbers; None where that is no simple thing."""
    if hasattr(X, "to_numpy") and hasattr(X, "columns"):
        X = X.to_numpy()
    ok = hasattr(X, "dtype") and X.dtype.kind in "fiub" and X.ndim == TABLE
    return X if ok else None


def _of_decision(estimator: Any, true: Any, decision: Any, weights: Any) -> dict[str, float]:
    """Return what comes of the probabilities of a logistic regression; nothing for other models."""
    import numpy as np

    kind = type(estimator)
    logistic: Any = sys.modules.get("sklearn.linear_model._logistic")
    own = getattr(getattr(logistic, "LogisticRegression", None), "predict_proba", None)
    # Older versions have more ways to get there.
    usual = getattr(estimator, "multi_class", "auto") in {"auto", "deprecated"}
    if own is None or getattr(kind, "predict_proba", None) is not own or not usual:
        return {}
    if decision.ndim == TABLE:
        if estimator.solver == "liblinear":
            return {}
        odds = np.exp(decision - decision.max(axis=1, keepdims=True))
        return _of_probabilities(true, odds / odds.sum(axis=1, keepdims=True), weights)
    # With two classes the probabilities themselves are not needed.
    losses = np.logaddexp(0, np.where(true, -decision, decision))
    losses = np.minimum(losses, -math.log(np.finfo(losses.dtype).eps))
    return _of_losses(losses, weights, lambda: _rank_area(true == 1, decision))


def _of_labels(true: Any, codes: Any, count: int, weights: Any) -> dict[str, float]:
    """Return what comes of the confusion matrix; precision and the like are weighted means."""
    import numpy as np

    weights = None if weights is None else np.asarray(weights, dtype=float)
    matrix = np.bincount(true * count + codes, weights, minlength=count * count)
    matrix = matrix.reshape(count, count)
    # A few classes are added up sooner in Python than by numpy.
    hits, support, predicted = (
        counts.tolist() for counts in (matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0))
    )
    total = sum(support)
    precision = recall = f1 = 0.0
    for right, here, said in zip(hits, support, predicted, strict=True):
        if right:
            share = here / total
            precision += share * right / said
            recall += share * right / here
            f1 += share * 2 * right / (here + said)
    accuracy = sum(hits) / total
    return {
        "training_accuracy_score": accuracy,
        "training_precision_score": precision,
        "training_recall_score": recall,
        "training_f1_score": f1,
        "training_score": accuracy,
    }


def _of_probabilities(true: Any, probabilities: Any, weights: Any) -> dict[str, float]:
    import numpy as np

    rows, count = probabilities.shape
    tiny = np.finfo(probabilities.dtype).eps
    likely = np.clip(probabilities[np.arange(rows), true], tiny, 1 - tiny)
    return _of_losses(-np.log(likely), weights, lambda: _area(true, probabilities, count))


def _of_losses(losses: Any, weights: Any, area: Callable[[], float | None]) -> dict[str, float]:
    """Return the mean loss, and the area under the ROC curve where rows have no weights."""
    import numpy as np

    loss = losses.mean() if weights is None else np.average(losses, weights=weights)
    found = {"training_log_loss": float(loss)}
    if weights is None and (known := area()) is not None:
        found["training_roc_auc"] = known
    return found


def _area(true: Any, probabilities: Any, count: int) -> float | None:
    """Return the area under the ROC curve: of several classes, of each against each other one."""
    import numpy as np

    if count == BINARY:
        return _rank_area(true == 1, probabilities[:, 1])
    if count > _MAX_PAIRS_OF:
        return None
    areas, sizes = [], []
    for one in range(count):
        for other in range(one + 1, count):
            both = (true == one) | (true == other)
            pair = true[both]
            first = _rank_area(pair == one, probabilities[both, one])
            second = _rank_area(pair == other, probabilities[both, other])
            if first is None or second is None:
                return None
            areas.append((first + second) / 2)
            sizes.append(len(pair))
    return float(np.average(areas, weights=sizes))


def _rank_area(positive: Any, score: Any) -> float | None:
    """Return the area under the curve by the ranks of the scores, ties shared."""
    import numpy as np

    order = np.argsort(score, kind="stable")
    ranked, hits = score[order], positive[order]
    first = int(np.count_nonzero(hits))
    second = len(hits) - first
    if not first or not second:
        return None
    is_new = ranked[1:] != ranked[:-1]
    if is_new.all():
        total = int(np.flatnonzero(hits).sum()) + first
    else:
        starts = np.flatnonzero(np.concatenate(([True], is_new)))
        ends = np.append(starts[1:], len(ranked))
        ranks = np.repeat((starts + 1 + ends) / 2, ends - starts)
        total = ranks[hits].sum()
    return float((total - first * (first + 1) / 2) / (first * second))
