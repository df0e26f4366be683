"""What a metric function was given, as small tables to be drawn: no prediction is made anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from nbtrack.autologging.predictions import Origin
from nbtrack.media.pictures import confusion, curves, residuals

if TYPE_CHECKING:
    from nbtrack.media import Plot

_LABELS = (
    "accuracy_score",
    "balanced_accuracy_score",
    "classification_report",
    "class_likelihood_ratios",
    "cohen_kappa_score",
    "confusion_matrix",
    "f1_score",
    "fbeta_score",
    "hamming_loss",
    "jaccard_score",
    "matthews_corrcoef",
    "multilabel_confusion_matrix",
    "precision_recall_fscore_support",
    "precision_score",
    "recall_score",
    "zero_one_loss",
)
_SCORES = (
    "average_precision_score",
    "brier_score_loss",
    "calibration_curve",
    "confusion_matrix_at_thresholds",
    "d2_brier_score",
    "d2_log_loss_score",
    "det_curve",
    "hinge_loss",
    "log_loss",
    "metric_at_thresholds",
    "precision_recall_curve",
    "roc_auc_score",
    "roc_curve",
)
_NUMBERS = (
    "d2_absolute_error_score",
    "d2_pinball_score",
    "d2_tweedie_score",
    "explained_variance_score",
    "max_error",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_gamma_deviance",
    "mean_pinball_loss",
    "mean_poisson_deviance",
    "mean_squared_error",
    "mean_squared_log_error",
    "mean_tweedie_deviance",
    "median_absolute_error",
    "r2_score",
    "root_mean_squared_error",
    "root_mean_squared_log_error",
)
_PREDICTIONS = ("y_pred", "y_score", "y_proba", "y_prob", "probas_pred")


def log(origin: Origin, function: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Keep the tables of what `function` was called with, unless they are there."""
    truth = args[0] if args else kwargs.get("y_true")
    given = (kwargs[name] for name in _PREDICTIONS if name in kwargs)
    prediction = args[1] if len(args) > 1 else next(given, None)
    if truth is None or prediction is None:
        return
    kind, draw = KINDS[function]
    dataset = origin.dataset or "unknown_dataset"
    if origin.book.is_to_draw(f"{kind}_{dataset}", truth, prediction):
        for plot in draw(dataset, truth, prediction, kwargs):
            origin.book.run.log_plot(plot)


def report(origin: Origin, found: Mapping[str, Any]) -> None:
    """Keep a classification report that the user has as a dict."""
    from nbtrack.media import Plot

    rows = {label: row for label, row in found.items() if isinstance(row, Mapping)}
    columns: dict[str, list[Any]] = {"label": [str(label) for label in rows]}
    for name in ("precision", "recall", "f1-score", "support"):
        columns[name] = [row.get(name) for row in rows.values()]
    meta = {label: value for label, value in found.items() if label not in rows}  # the accuracy
    name = f"classification_report_{origin.dataset or 'unknown_dataset'}"
    origin.book.run.log_plot(Plot(name, "classification_report", columns, meta))


_Draw = Callable[[str, Any, Any, Mapping[str, Any]], Iterator["Plot"]]
KINDS: dict[str, tuple[str, _Draw]] = {
    **dict.fromkeys(_LABELS, ("confusion", confusion)),
    **dict.fromkeys(_SCORES, ("curves", curves)),
    **dict.fromkeys(_NUMBERS, ("residuals", residuals)),
}
"""The functions whose arguments are drawn."""
