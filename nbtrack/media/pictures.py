"""Predictions beside the truth, as small tables to be drawn.

Counts are exact up to a million rows. Above, and for curves above 200,000, evenly spread rows
stand for all; a table says how many rows it was made of.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from nbtrack.media.plot import Plot

BINARY = 2  # classes
TABLE = 2  # dimensions
_MAX_ROWS = 1_000_000  # what is counted, some milliseconds
_MAX_SORTED = 200_000  # what is sorted, some 20 milliseconds
_MAX_TEXTS = 100_000  # labels that are Python objects
_MAX_SPAN = 10_000  # of labels that are numbers
_MAX_CLASSES = 30
_MAX_OUTPUTS = 300
_MAX_CURVES = 10
_POINTS = 100  # along each axis
_RESIDUALS, _OUTLIERS = 350, 50
_BINS = 10


# --- labels -------------------------------------------------------------------------------------


def confusion(
    dataset: str, truth: Any, prediction: Any, options: Mapping[str, Any]
) -> Iterator[Plot]:
    """Yield the confusion matrix as a table of the pairs that occur."""
    import numpy as np

    truth, prediction = _dense(truth), _dense(prediction)
    if truth.shape != prediction.shape or truth.ndim > TABLE or not truth.size:
        return
    rows, (truth, prediction) = _spread(_limit(truth, _MAX_ROWS), truth, prediction)
    name, meta = f"confusion_matrix_{dataset}", {"rows": rows, "used": len(truth)}
    if truth.ndim == TABLE and truth.shape[1] > 1:
        columns = _by_label(truth != 0, prediction != 0)
        yield Plot(name, "confusion_matrix", columns, meta | {"multilabel": True})
        return
    found = _codes(truth.ravel(), prediction.ravel())
    if found is None:
        return
    labels, true, predicted = found
    if len(labels) > _MAX_CLASSES:
        common = np.argsort(-np.bincount(true, minlength=len(labels)), kind="stable")
        keep = np.sort(common[: _MAX_CLASSES - 1])
        place = np.full(len(labels), len(keep))
        place[keep] = np.arange(len(keep))
        labels = [*(labels[i] for i in keep), "(other)"]
        true, predicted = place[true], place[predicted]
    count = len(labels)
    matrix = np.bincount(true * count + predicted, minlength=count * count)
    where = np.flatnonzero(matrix)
    columns = {
        "true": [labels[i] for i in where // count],
        "predicted": [labels[i] for i in where % count],
        "count": matrix[where].tolist(),
    }
    yield Plot(name, "confusion_matrix", columns, meta | {"labels": labels})


def _by_label(truth: Any, prediction: Any) -> dict[str, list[Any]]:
    """Return a two by two matrix for each of the first labels."""
    truth, prediction = truth[:, :_MAX_OUTPUTS], prediction[:, :_MAX_OUTPUTS]
    hits, false = (truth & prediction).sum(axis=0), (~truth & prediction).sum(axis=0)
    missed = (truth & ~prediction).sum(axis=0)
    return {
        "label": list(range(truth.shape[1])),
        "true_positive": hits.tolist(),
        "false_positive": false.tolist(),
        "false_negative": missed.tolist(),
        "true_negative": (len(truth) - hits - false - missed).tolist(),
    }


def _codes(truth: Any, prediction: Any) -> tuple[list[Any], Any, Any] | None:
    """Return the labels in order, and both columns as places among them; None if there is none."""
    import numpy as np

    both = np.concatenate([truth, prediction])
    if both.dtype.kind in "iu":
        least, span = int(both.min()), int(both.max()) - int(both.min()) + 1
        if span <= _MAX_SPAN:  # counting is much quicker than sorting
            present = np.flatnonzero(np.bincount(both - least, minlength=span))
            place = np.zeros(span, int)
            place[present] = np.arange(len(present))
            codes, labels = place[both - least], (present + least).tolist()
            return labels, codes[: len(truth)], codes[len(truth) :]
    pandas = sys.modules.get("pandas")
    try:
        if both.dtype.hasobject and pandas is not None:
            codes, found = pandas.factorize(both, sort=True)
            if codes.min() < 0:
                return None  # missing labels
        else:
            found, codes = np.unique(both, return_inverse=True)
    except TypeError:
        return None  # labels of several types have no order
    return _label_list(found), codes[: len(truth)], codes[len(truth) :]


def _label_list(labels: Any) -> list[Any]:
    """Return labels as numbers and texts."""
    plain = (getattr(label, "item", lambda label=label: label)() for label in labels)
    return [x if isinstance(x, bool | int | float) else str(x) for x in plain]


# --- scores and probabilities ---------------------------------------------------------------------


def curves(dataset: str, truth: Any, prediction: Any, options: Mapping[str, Any]) -> Iterator[Plot]:
    """Yield ROC and precision-recall curve, and calibration where scores are probabilities."""
    truth, score = _dense(truth), _dense(prediction)
    if len(truth) != len(score) or not truth.size or score.dtype.kind not in "fiub":
        return
    rows, (truth, score) = _spread(_limit(truth, _MAX_SORTED), truth, score)
    probable = bool(score.min() >= 0 and score.max() <= 1)
    roc: dict[str, list[Any]] = {"class": [], "fpr": [], "tpr": [], "threshold": []}
    recall: dict[str, list[Any]] = {"class": [], "recall": [], "precision": [], "threshold": []}
    bins: dict[str, list[Any]] = {"class": [], "predicted": [], "observed": [], "count": []}
    areas, precisions = {}, {}
    for label, positive, column in _one_against_rest(truth, score, options):
        curve = _curve(positive, column)
        if curve is None:
            continue
        (fpr, tpr, precision, threshold), areas[str(label)], precisions[str(label)] = curve
        _extend(roc, label, fpr, tpr, threshold)
        _extend(recall, label, tpr, precision, threshold)
        if probable:
            _extend(bins, label, *_calibration(positive, column))
    meta = {"rows": rows, "used": len(truth)}
    if areas:
        yield Plot(f"roc_curve_{dataset}", "roc_curve", roc, meta | {"auc": areas})
        kind = "precision_recall_curve"
        yield Plot(f"{kind}_{dataset}", kind, recall, meta | {"average_precision": precisions})
        if probable:
            yield Plot(f"calibration_curve_{dataset}", "calibration_curve", bins, meta)


def _one_against_rest(
    truth: Any, score: Any, options: Mapping[str, Any]
) -> Iterator[tuple[Any, Any, Any]]:
    """Yield the classes as label, truth as booleans, and scores."""
    if truth.ndim == TABLE and truth.shape[1] > 1:
        if truth.shape == score.shape:
            for column in range(min(truth.shape[1], _MAX_CURVES)):
                yield column, truth[:, column] != 0, score[:, column]
        return
    found = _codes(truth.ravel(), truth.ravel()[:0])
    if found is None:
        return
    labels, codes, _ = found
    if score.ndim == TABLE and score.shape[1] <= BINARY:
        score = score[:, -1]
    if score.ndim == 1:
        chosen = options.get("pos_label")
        label = labels[-1] if chosen is None else chosen
        if label in labels and len(labels) <= BINARY:
            yield label, codes == labels.index(label), score
        return
    wanted = options.get("labels")
    classes = labels if wanted is None else _label_list(wanted)
    if len(classes) == score.shape[1]:
        yield from _classes(labels, codes, classes, score)


def _classes(
    labels: list[Any], codes: Any, classes: list[Any], score: Any
) -> Iterator[tuple[Any, Any, Any]]:
    """Yield the most frequent of the labels with their columns of the scores."""
    import numpy as np

    counts = np.bincount(codes, minlength=len(labels))
    for place in np.argsort(-counts, kind="stable")[:_MAX_CURVES].tolist():
        if labels[place] in classes:
            yield labels[place], codes == place, score[:, classes.index(labels[place])]


def _curve(positive: Any, score: Any) -> tuple[tuple[Any, ...], float, float] | None:
    """Return a few hundred points of the curves, the area and the average precision.

    The points are some of the real ones, even along both axes.
    """
    import numpy as np

    total = int(positive.sum())
    if not 0 < total < len(positive):
        return None
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    hits = np.cumsum(positive[order])[last]
    false = last + 1 - hits
    tpr, fpr = np.append(0.0, hits / total), np.append(0.0, false / (len(positive) - total))
    precision = np.append(1.0, hits / (last + 1))
    area = float(np.sum((fpr[1:] - fpr[:-1]) * (tpr[1:] + tpr[:-1])) / 2)
    average = float(np.sum((tpr[1:] - tpr[:-1]) * precision[1:]))
    threshold = np.append(np.inf, ranked[last])
    if len(tpr) > 2 * _POINTS:
        even = np.linspace(0, 1, _POINTS)
        at = np.concatenate([np.searchsorted(fpr, even), np.searchsorted(tpr, even)])
        at = np.unique(np.concatenate([[0, len(tpr) - 1], np.clip(at, 0, len(tpr) - 1)]))
        fpr, tpr, precision, threshold = fpr[at], tpr[at], precision[at], threshold[at]
    return (fpr, tpr, precision, threshold), area, average


def _calibration(positive: Any, score: Any) -> tuple[Any, Any, Any]:
    """Return the mean prediction, the observed share and the count of each bin that has any."""
    import numpy as np

    place = np.minimum((score * _BINS).astype(int), _BINS - 1)
    count = np.bincount(place, minlength=_BINS)
    used = count > 0
    predicted = np.bincount(place, score, minlength=_BINS)[used] / count[used]
    observed = np.bincount(place, positive, minlength=_BINS)[used] / count[used]
    return predicted, observed, count[used]


def _extend(table: dict[str, list[Any]], label: Any, *columns: Any) -> None:
    """Add the rows of a class."""
    names = iter(table.values())
    next(names).extend([label] * len(columns[0]))
    for target, column in zip(names, columns, strict=True):
        target.extend(column.tolist())


# --- numbers --------------------------------------------------------------------------------------


def residuals(
    dataset: str, truth: Any, prediction: Any, options: Mapping[str, Any]
) -> Iterator[Plot]:
    """Yield predictions and what they miss: evenly spread rows, and those that miss most."""
    import numpy as np

    truth, predicted = _dense(truth), _dense(prediction)
    if truth.size != predicted.size or not truth.size:
        return
    outputs = truth.shape[1] if truth.ndim == TABLE else 1
    truth, predicted = truth.ravel().astype(float), predicted.ravel().astype(float)
    missed = truth - predicted
    rows = np.flatnonzero(np.isfinite(missed))
    if len(rows) > _RESIDUALS + _OUTLIERS:
        worst = np.argpartition(np.abs(missed[rows]), -_OUTLIERS)[-_OUTLIERS:]
        even = np.linspace(0, len(rows) - 1, _RESIDUALS).astype(int)
        rows = rows[np.union1d(even, worst)]
    columns = {"predicted": predicted[rows].tolist(), "residual": missed[rows].tolist()}
    if outputs > 1:
        columns["output"] = (rows % outputs).tolist()
    finite = missed[np.isfinite(missed)]
    meta: dict[str, Any] = {"rows": len(truth) // outputs, "used": len(rows)}
    if finite.size:
        counts, edges = np.histogram(finite, 20)
        meta["histogram"] = {"counts": counts.tolist(), "edges": edges.tolist()}
    yield Plot(f"residuals_{dataset}", "residuals", columns, meta)


# --- both -----------------------------------------------------------------------------------------


def _dense(values: Any) -> Any:
    """Return an array of one or two dimensions."""
    import numpy as np

    if hasattr(values, "toarray"):
        values = values.toarray()
    return np.atleast_1d(np.asarray(values))


def _limit(values: Any, most: int) -> int:
    return _MAX_TEXTS if values.dtype.hasobject else most // (values.size // len(values))


def _spread(most: int, *columns: Any) -> tuple[int, list[Any]]:
    """Return how many rows there are, and evenly spread ones of them where they are too many."""
    rows = len(columns[0])
    step = -(-rows // max(1, most))
    return rows, [column[::step] for column in columns]
