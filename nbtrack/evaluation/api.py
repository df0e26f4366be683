"""``nbtrack.evaluate``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from nbtrack.autologging import scope
from nbtrack.errors import InvalidParameterError
from nbtrack.evaluation.given import Given, given
from nbtrack.evaluation.result import EvaluationResult
from nbtrack.evaluation.scores import (
    BINARY,
    Answers,
    checked_average,
    class_scores,
    classifier_scores,
    regressor_scores,
)
from nbtrack.evaluation.subject import Subject, subject_of
from nbtrack.media import Plot
from nbtrack.media.pictures import confusion, curves, residuals
from nbtrack.tracking import notices
from nbtrack.tracking.fluent import active_run, start_run

MODEL_TYPES = ("classifier", "regressor")
_OPTIONS = {
    "classifier": {
        "average",
        "label_list",
        "max_classes_for_multiclass_roc_pr",
        "metric_prefix",
        "pos_label",
        "sample_weights",
    },
    "regressor": {"metric_prefix", "sample_weights"},
}
_MAX_CLASSES_OF_AREAS = 10


def evaluate(
    model: Any = None,
    data: Any = None,
    *,
    model_type: str | None = None,
    targets: Any = None,
    predictions: Any = None,
    feature_names: Sequence[str] | None = None,
    evaluator_config: Mapping[str, Any] | None = None,
    trust: bool = False,
) -> EvaluationResult:
    """Let a model predict for data, and log how good it is to the active run, or to a new one.

    Logged are MLflow's metrics, the data's fingerprint, and tables that are drawn: confusion
    matrix, ROC, precision-recall and calibration curve, metrics of each class; of a regressor its
    residuals.

    Parameters
    ----------
    model
        URI of a model, a fitted estimator, a model of pyfunc, or a function of the data. None:
        `predictions` are there already.
    data
        DataFrame, array, list of rows, or a dataset of `nbtrack.data`.
    model_type
        ``classifier`` or ``regressor``.
    targets
        What is right: name of a column of the data, or the values. A dataset may name its own.
    predictions
        Without a model: name of the column of predictions, or the values.
    feature_names
        The columns that the model is given; default: all but targets and predictions.
    evaluator_config
        ``metric_prefix`` (before all names), ``sample_weights``; of classifiers also
        ``label_list``, ``pos_label``, ``average`` (weighted, macro, micro), and
        ``max_classes_for_multiclass_roc_pr``.
    trust
        As of `nbtrack.load_model`.

    Returns
    -------
    EvaluationResult
        ``metrics``, ``tables`` (DataFrames), ``run_id``.

    Raises
    ------
    InvalidParameterError
        An argument cannot be used; predictions and targets do not go together.
    MissingPackageError
        scikit-learn is not installed.
    NotFoundError, UntrustedModelError
        As of `nbtrack.load_model`.

    Examples
    --------
    >>> import nbtrack, tempfile
    >>> nbtrack.set_tracking_uri(tempfile.mkdtemp() + "/nbtrack.db")
    >>> found = nbtrack.evaluate(
    ...     lambda rows: rows[:, 0] > 1,
    ...     [[0], [1], [2], [3]],
    ...     targets=[False, True, True, True],
    ...     model_type="classifier",
    ... )
    >>> found.metrics["accuracy_score"], found.metrics["false_negatives"]
    (0.75, 1.0)
    >>> found.tables["confusion_matrix"]["count"].tolist()
    [1, 1, 2]
    """
    options = _checked_options(model_type, evaluator_config or {})
    if (model is None) == (predictions is None):
        raise InvalidParameterError(
            "An evaluation needs either a model or predictions.",
            hint="For example nbtrack.evaluate(model, test, targets='y', model_type='classifier').",
        )
    used = given(data, targets, predictions, feature_names, options.get("sample_weights"))
    subject = None if model is None else subject_of(model, trust=trust)
    prefix = str(options.get("metric_prefix", ""))
    work = _classified if model_type == "classifier" else _regressed
    # What is called in here is no fit, prediction or metric of the user's.
    found, plots = scope.absorb(work, (subject, used, options, prefix), {})
    metrics = {f"{prefix}{name}": value for name, value in found.items()}
    run = active_run()
    with start_run() if run is None else nullcontext(run) as run:
        run.log_metrics(metrics)
        for plot in plots:
            run.log_plot(plot)
        run.log_input(used.source, context=prefix or "eval")
        return EvaluationResult(metrics, {plot.kind: plot for plot in plots}, run.run_id)


def _checked_options(model_type: str | None, options: Mapping[str, Any]) -> Mapping[str, Any]:
    if model_type not in MODEL_TYPES:
        raise InvalidParameterError(
            f"There is no model_type {model_type!r}.", hint=f"There are: {', '.join(MODEL_TYPES)}."
        )
    if unknown := sorted(map(str, set(options) - _OPTIONS[model_type])):
        raise InvalidParameterError(
            f"The evaluator_config of a {model_type} has no {', '.join(unknown)}.",
            hint=f"It has: {', '.join(sorted(_OPTIONS[model_type]))}.",
        )
    return options


def _regressed(
    subject: Subject | None, used: Given, options: Mapping[str, Any], prefix: str
) -> tuple[dict[str, float], list[Plot]]:
    predicted = used.predicted(subject)
    metrics = _own_score(subject, used) | regressor_scores(
        Answers(used.truth, predicted, weights=used.weights)
    )
    return metrics, list(residuals(_name(prefix), used.truth, predicted, options))


def _classified(
    subject: Subject | None, used: Given, options: Mapping[str, Any], prefix: str
) -> tuple[dict[str, float], list[Plot]]:
    import numpy as np

    average = checked_average(options)
    predicted = used.predicted(subject)
    for what, values in (("targets", used.truth), ("predictions", predicted)):
        if values.ndim != 1:
            raise InvalidParameterError(
                f"The {what} have the shape {values.shape}: a classifier has one label for a row.",
                hint="Evaluate each output by itself.",
            )
    classes = _classes(subject, used.truth, predicted, options)
    positive = _positive(classes, options)
    probabilities = None if subject is None else subject.probabilities(used.features)
    if probabilities is not None and probabilities.shape[1] != len(classes):
        raise InvalidParameterError(
            f"The model gives probabilities of {probabilities.shape[1]} classes, and there are "
            f"{len(classes)}: {', '.join(map(str, classes[:20]))}.",
            hint="Name all classes of the model: evaluator_config={'label_list': [...]}.",
        )
    answers = Answers(used.truth, predicted, probabilities, tuple(classes), used.weights)
    metrics = _own_score(subject, used) | classifier_scores(
        answers, positive=positive, average=average
    )
    name, plots = _name(prefix), []
    if len(classes) > BINARY:
        limit = options.get("max_classes_for_multiclass_roc_pr", _MAX_CLASSES_OF_AREAS)
        rows = class_scores(answers, areas=len(classes) <= limit)
        names = dict.fromkeys(key for row in rows for key in row)
        columns = {key: [row.get(key) for row in rows] for key in names}
        plots.append(Plot(f"per_class_metrics_{name}", "per_class_metrics", columns))
    plots += confusion(name, used.truth, predicted, {})
    if probabilities is not None:
        chosen: dict[str, Any] = {"labels": np.asarray(classes)}
        score = probabilities
        if len(classes) == BINARY:
            score, chosen = probabilities[:, classes.index(positive)], {"pos_label": positive}
        plots += curves(name, used.truth, score, chosen)
    return metrics, plots


def _name(prefix: str) -> str:
    return prefix.strip("_") or "eval"


def _classes(
    subject: Subject | None, truth: Any, predicted: Any, options: Mapping[str, Any]
) -> list[Any]:
    """Return the classes in order."""
    import numpy as np

    chosen = options.get("label_list")
    if chosen is None:
        known = [] if subject is None else subject.classes
        chosen = {*truth.tolist(), *predicted.tolist(), *known}
    try:
        classes: list[Any] = np.unique(np.asarray(list(chosen))).tolist()
        if set(classes) != set(chosen):  # labels of several types became one
            raise TypeError("they are of several types")
    except TypeError as error:
        raise InvalidParameterError(
            f"The labels {sorted(map(str, set(chosen)))[:10]} have no order: {error}.",
            hint="Targets and predictions are to be of one type.",
        ) from error
    if len(classes) < BINARY:
        raise InvalidParameterError(
            f"A classifier needs two classes at least; there is {', '.join(map(str, classes))}.",
            hint="Name all classes: evaluator_config={'label_list': [0, 1]}.",
        )
    if strange := sorted(map(str, {*truth.tolist(), *predicted.tolist()} - set(classes))):
        raise InvalidParameterError(
            f"The labels {', '.join(strange[:10])} are not in the label_list.",
            hint="Name all classes of targets and predictions there.",
        )
    return classes


def _positive(classes: list[Any], options: Mapping[str, Any]) -> Any:
    """Return of two classes the one that is looked for."""
    positive = options.get("pos_label")
    if positive is None:
        return classes[-1] if len(classes) == BINARY else None
    if positive not in classes or len(classes) != BINARY:
        raise InvalidParameterError(
            f"The pos_label {positive!r} is none of two classes: {', '.join(map(str, classes))}."
        )
    return positive


def _own_score(subject: Subject | None, used: Given) -> dict[str, float]:
    """Return what an estimator itself says how good it is."""
    function = getattr(None if subject is None else subject.estimator, "score", None)
    if function is None:
        return {}
    weights = {} if used.weights is None else {"sample_weight": used.weights}
    try:
        return {"score": float(function(used.features, used.truth, **weights))}
    except Exception as error:  # noqa: BLE001  # the metrics do not depend on it
        notices.warn(f"The model's own score cannot be computed: {type(error).__name__}: {error}")
        return {}
