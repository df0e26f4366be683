"""The numbers that tell how good predictions are, by MLflow's names; scikit-learn computes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nbtrack.errors import InvalidParameterError, MissingPackageError

BINARY = 2  # classes
AVERAGES = ("macro", "micro", "weighted")


@dataclass(frozen=True, slots=True)
class Answers:
    """Predictions beside the truth.

    Parameters
    ----------
    truth, predicted
        Arrays of one dimension (of two, where a regressor has several outputs).
    probabilities
        A column for each of `classes`; None: not known.
    classes
        In order; empty for a regressor.
    weights
        Of the rows; None: all the same.
    """

    truth: Any
    predicted: Any
    probabilities: Any = None
    classes: tuple[Any, ...] = ()
    weights: Any = None


def classifier_scores(
    answers: Answers, *, positive: Any = None, average: str = "weighted"
) -> dict[str, float]:
    """Return the metrics of a classifier.

    Parameters
    ----------
    positive
        Of two classes, the one that is looked for.
    average
        How those of several classes become one number.

    Raises
    ------
    InvalidParameterError
        The predictions are no labels.
    MissingPackageError
        scikit-learn is not installed.
    """
    found: dict[str, float] = {}
    is_binary = len(answers.classes) == BINARY
    if is_binary:
        others = [label for label in answers.classes if label != positive]
        labels = [*others, positive]
        found = _counts(answers.truth, answers.predicted, labels)
    found |= _of_labels(answers, positive, "binary" if is_binary else average)
    if answers.probabilities is not None:
        found |= _of_probabilities(answers, positive, average)
    return found


def class_scores(answers: Answers, *, areas: bool) -> list[dict[str, Any]]:
    """Return the metrics of each class against the rest.

    Parameters
    ----------
    areas
        With those of the curves.
    """
    rows = []
    for place, label in enumerate(answers.classes):
        truth, predicted = answers.truth == label, answers.predicted == label
        one = Answers(truth, predicted, None, (False, True), answers.weights)
        row = {"positive_class": label, **classifier_scores(one, positive=True)}
        if areas and answers.probabilities is not None:
            row |= _areas(truth, answers.probabilities[:, place], answers.weights)
        rows.append(row)
    return rows


def regressor_scores(answers: Answers) -> dict[str, float]:
    """Return the metrics of a regressor.

    Raises
    ------
    InvalidParameterError
        The predictions are no numbers.
    MissingPackageError
        scikit-learn is not installed.
    """
    import numpy as np

    metrics, (truth, predicted) = _metrics(), (answers.truth, answers.predicted)
    weights = answers.weights
    try:
        total = float(np.sum(truth if weights is None else (truth.T * weights).T))
        found = {
            "example_count": len(truth),
            "sum_on_target": total,
            "mean_on_target": total / len(truth),
        }
        for name in (
            "mean_absolute_error",
            "mean_squared_error",
            "root_mean_squared_error",
            "mean_absolute_percentage_error",
            *(["r2_score"] if len(truth) > 1 else []),  # one row has no variance
        ):
            found[name] = getattr(metrics, name)(truth, predicted, sample_weight=weights)
        if truth.ndim == 1:
            found["max_error"] = metrics.max_error(truth, predicted)
    except (ValueError, TypeError) as error:
        raise _unusable(error) from error
    return {name: float(value) for name, value in found.items()}


def _counts(truth: Any, predicted: Any, labels: list[Any]) -> dict[str, float]:
    is_positive, said = truth == labels[1], predicted == labels[1]
    is_negative, denied = truth == labels[0], predicted == labels[0]
    return {
        "true_negatives": float((is_negative & denied).sum()),
        "false_positives": float((is_negative & said).sum()),
        "false_negatives": float((is_positive & denied).sum()),
        "true_positives": float((is_positive & said).sum()),
    }


def _of_labels(answers: Answers, positive: Any, average: str) -> dict[str, float]:
    metrics = _metrics()
    given = {"average": average, "sample_weight": answers.weights, "zero_division": 0}
    if average == "binary":
        given["pos_label"] = positive
    try:
        found = {
            "example_count": len(answers.truth),
            "accuracy_score": metrics.accuracy_score(
                answers.truth, answers.predicted, sample_weight=answers.weights
            ),
        }
        for name in ("recall_score", "precision_score", "f1_score"):
            found[name] = getattr(metrics, name)(answers.truth, answers.predicted, **given)
    except (ValueError, TypeError) as error:
        raise _unusable(error) from error
    return {name: float(value) for name, value in found.items()}


def _of_probabilities(answers: Answers, positive: Any, average: str) -> dict[str, float]:
    metrics, classes = _metrics(), list(answers.classes)
    truth, weights = answers.truth, answers.weights
    try:
        loss = metrics.log_loss(truth, answers.probabilities, labels=classes, sample_weight=weights)
        found = {"log_loss": float(loss)}
        if len(classes) == BINARY:
            column = answers.probabilities[:, classes.index(positive)]
            found |= _areas(truth == positive, column, weights)
        # The area needs rows of each class.
        elif average in {"macro", "weighted"} and len(set(truth.tolist())) == len(classes):
            found["roc_auc"] = float(
                metrics.roc_auc_score(
                    truth,
                    answers.probabilities,
                    labels=classes,
                    sample_weight=weights,
                    average=average,
                    multi_class="ovr",
                )
            )
    except (ValueError, TypeError) as error:
        raise _unusable(error) from error
    return found


def _areas(truth: Any, score: Any, weights: Any) -> dict[str, float]:
    """Return the areas under the curves of one class, which need rows of it, and others."""
    if truth.all() or not truth.any():
        return {}
    metrics = _metrics()
    names = {"roc_auc": "roc_auc_score", "precision_recall_auc": "average_precision_score"}
    return {
        name: float(getattr(metrics, function)(truth, score, sample_weight=weights))
        for name, function in names.items()
    }


def _unusable(error: Exception) -> InvalidParameterError:
    reason = str(error).partition("\n")[0].rstrip(".")
    return InvalidParameterError(
        f"The predictions cannot be compared with the targets: {reason}.",
        hint="model_type='classifier' needs labels, and 'regressor' numbers, in both.",
    )


def _metrics() -> Any:
    try:
        from sklearn import metrics
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            "An evaluation needs the package 'scikit-learn', which is not installed.",
            hint="Install it: pip install scikit-learn",
        ) from error
    return metrics


def checked_average(options: Mapping[str, Any]) -> str:
    """Return how the metrics of several classes become one number.

    Raises
    ------
    InvalidParameterError
        In a way that is not known.

    Examples
    --------
    >>> checked_average({})
    'weighted'
    """
    average = options.get("average", "weighted")
    if average not in AVERAGES:
        raise InvalidParameterError(
            f"There is no average {average!r} of classes.",
            hint=f"There are: {', '.join(AVERAGES)}.",
        )
    return str(average)
