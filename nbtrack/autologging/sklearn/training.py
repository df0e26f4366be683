"""Scores on the training data, as MLflow names them, where they cost next to nothing.

What is asked depends on kind and size alone, so that the same notebook always has the same
metrics. A linear model needs one product of matrices and a tree one look-up, which are made here;
gradient boosting and networks predict in a small part of the time of their fit. Others are not
asked. In a pipeline the last step is, with what it was fitted with: the steps before are not run
again.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nbtrack.autologging.sklearn.calls import BINARY, TABLE, state
from nbtrack.autologging.sklearn.learned import final

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
    decision = _linear_decision(estimator, X, "decision_function", "LinearClassifierMixin")
    if decision is not None:
        if decision.ndim == TABLE and decision.shape[1] == 1:
            decision = decision[:, 0]
        codes = (decision > 0).astype(int) if decision.ndim == 1 else decision.argmax(axis=1)
        probabilities = _logistic(estimator, decision)
    else:
        probabilities = _looked_up(estimator, X, "DecisionTreeClassifier")
        if probabilities is None and _is_quick(estimator, X):
            probabilities = estimator.predict_proba(X)
        if not isinstance(probabilities, np.ndarray):
            return {}
        codes = probabilities.argmax(axis=1)
    true = np.searchsorted(classes, truth)
    return _of_labels(true, codes, len(classes), weights) | _of_probabilities(
        true, probabilities, weights
    )


def _regressor_scores(
    estimator: Any,
    X: Any,
    y: Any,
    weights: Any,
) -> dict[str, float]:
    import numpy as np

    truth = np.asarray(y, dtype=float)
    predicted = _linear_decision(estimator, X, "_decision_function", "LinearModel")
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


def _linear_decision(estimator: Any, X: Any, method: str, mixin: str) -> Any:
    """Return ``X @ coef_.T + intercept_``, where that is all that the estimator does; else None."""
    import numpy as np

    kind = type(estimator)
    owner = getattr(sys.modules.get("sklearn.linear_model._base"), mixin, None)
    same = owner is not None and all(
        getattr(kind, name, None) is getattr(owner, name) for name in (method, "predict")
    )
    coefficients = state(estimator).get("coef_")
    if not same or not isinstance(coefficients, np.ndarray):
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
    if hasattr(X, "to_numpy") and hasattr(X, "dtypes"):
        X = X.to_numpy()
    ok = hasattr(X, "dtype") and X.dtype.kind in "fiub" and X.ndim == TABLE
    return X if ok else None


def _logistic(estimator: Any, decision: Any) -> Any:
    """Return the probabilities of a logistic regression; None for other models."""
    import numpy as np

    kind = type(estimator)
    logistic = getattr(
        sys.modules.get("sklearn.linear_model._logistic"), "LogisticRegression", None
    )
    if getattr(kind, "predict_proba", None) is not getattr(logistic, "predict_proba", ""):
        return None
    # Older versions have more ways to get there.
    scheme = getattr(estimator, "multi_class", "auto")
    if scheme not in {"auto", "deprecated"}:
        return None
    if decision.ndim == 1:
        positive = 1 / (1 + np.exp(-np.clip(decision, -700, 700)))
        return np.stack([1 - positive, positive], axis=1)
    if estimator.solver == "liblinear":
        return None
    odds = np.exp(decision - decision.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def _of_labels(true: Any, codes: Any, count: int, weights: Any) -> dict[str, float]:
    """Return what comes of the confusion matrix; precision and the like are weighted means."""
    import numpy as np

    weights = None if weights is None else np.asarray(weights, dtype=float)
    matrix = np.bincount(true * count + codes, weights, minlength=count * count)
    matrix = matrix.reshape(count, count)
    hits, support, predicted = matrix.diagonal(), matrix.sum(axis=1), matrix.sum(axis=0)
    share = support / support.sum()
    precision, recall = _ratio(hits, predicted), _ratio(hits, support)
    accuracy = float(hits.sum() / support.sum())
    return {
        "training_accuracy_score": accuracy,
        "training_precision_score": float(share @ precision),
        "training_recall_score": float(share @ recall),
        "training_f1_score": float(share @ _ratio(2 * hits, support + predicted)),
        "training_score": accuracy,
    }


def _ratio(part: Any, whole: Any) -> Any:
    import numpy as np

    return np.divide(part, whole, out=np.zeros(len(part)), where=whole != 0)


def _of_probabilities(true: Any, probabilities: Any, weights: Any) -> dict[str, float]:
    import numpy as np

    if probabilities is None:
        return {}
    rows, count = probabilities.shape
    tiny = np.finfo(probabilities.dtype).eps
    likely = np.clip(probabilities[np.arange(rows), true], tiny, 1 - tiny)
    found = {"training_log_loss": float(-np.average(np.log(likely), weights=weights))}
    if weights is None and (area := _area(true, probabilities, count)) is not None:
        found["training_roc_auc"] = area
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
    ranked = score[order]
    starts = np.flatnonzero(np.concatenate(([True], ranked[1:] != ranked[:-1])))
    ends = np.append(starts[1:], len(ranked))
    ranks = np.repeat((starts + 1 + ends) / 2, ends - starts)
    hits = positive[order]
    first = int(hits.sum())
    second = len(hits) - first
    if not first or not second:
        return None
    return float((ranks[hits].sum() - first * (first + 1) / 2) / (first * second))
