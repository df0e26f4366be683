"""Predictions as tables to be drawn: exact where small, in shape where large, quick."""

import time

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from nbtrack.media import pictures

GENERATOR = np.random.default_rng(0)


def confusion(truth, prediction):
    plots = list(pictures.confusion("X", truth, prediction, {}))
    return plots[0] if plots else None


def matrix(plot):
    labels = plot.meta["labels"]
    found = np.zeros((len(labels), len(labels)), int)
    columns = (plot.columns[name] for name in ("true", "predicted", "count"))
    for true, predicted, count in zip(*columns, strict=True):
        found[labels.index(true), labels.index(predicted)] = count
    return found


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(["int", "str", "bool", "float", "negative", "series", "category", "list"]),
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40),
)
def test_confusion_is_that_of_the_library(kind, pairs):
    # More than one label: the library has a warning for the other case.
    truth, prediction = np.array([*pairs, (0, 4)]).T
    if kind == "bool":
        truth, prediction = truth > 2, prediction > 2
    make = {
        "str": lambda v: np.array(list("edcba"))[v],
        "float": lambda v: v * 2.0,
        "negative": lambda v: v * 1000 - 2,
        "series": lambda v: pd.Series(v, index=range(5, 5 + len(v))),
        "category": lambda v: pd.Series(np.array(list("edcba"))[v]).astype("category"),
        "list": lambda v: [f"label {x}" for x in v],
    }.get(kind, lambda v: v)
    truth, prediction = make(truth), make(prediction)
    plot = confusion(truth, prediction)
    assert (matrix(plot) == metrics.confusion_matrix(truth, prediction)).all()
    assert plot.meta["labels"] == sorted(set(plot.meta["labels"]))
    assert plot.encode()


def test_many_classes_are_put_together():
    truth = np.concatenate([np.arange(500), np.repeat(np.arange(10), 50)])
    plot = confusion(truth, truth)
    assert len(plot.meta["labels"]) == 30
    assert plot.meta["labels"][-1] == "(other)"
    assert set(range(10)) < set(plot.meta["labels"])
    assert sum(plot.columns["count"]) == len(truth)


@pytest.mark.parametrize(
    ("truth", "prediction"),
    [
        ([], []),
        ([1, 2], [1, 2, 3]),
        (np.array([None, "a"], dtype=object), np.array(["a", "a"], dtype=object)),
        (np.array([[1], 2], dtype=object), np.array([1, 2], dtype=object)),
        (np.zeros((2, 2, 2)), np.zeros((2, 2, 2))),
    ],
)
def test_no_labels_no_matrix(truth, prediction):
    assert confusion(truth, prediction) is None


@pytest.mark.parametrize("kind", [np.asarray, scipy.sparse.csr_matrix, pd.DataFrame])
def test_several_labels_at_once(kind):
    truth, prediction = GENERATOR.integers(0, 2, (2, 50, 3))
    plot = confusion(kind(truth), kind(prediction))
    expected = metrics.multilabel_confusion_matrix(truth, prediction)
    assert plot.meta["multilabel"]
    assert plot.columns["true_positive"] == expected[:, 1, 1].tolist()
    assert plot.columns["false_positive"] == expected[:, 0, 1].tolist()
    assert plot.columns["false_negative"] == expected[:, 1, 0].tolist()
    assert plot.columns["true_negative"] == expected[:, 0, 0].tolist()


# --- curves ---------------------------------------------------------------------------------------


def curves(truth, score, **options):
    return {plot.kind: plot for plot in pictures.curves("X", truth, score, options)}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 9)), min_size=2, max_size=60),
    st.sampled_from([0, 1]),
)
def test_curves_are_those_of_the_library(pairs, positive):
    truth, score = np.array([t for t, _ in pairs], int), np.array([s / 9 for _, s in pairs])
    found = curves(truth, score, pos_label=positive)
    if len(set(truth)) < 2:
        assert found == {}
        return
    fpr, tpr, _ = metrics.roc_curve(truth, score, pos_label=positive, drop_intermediate=False)
    roc = found["roc_curve"]
    assert roc.columns["fpr"] == pytest.approx(fpr.tolist())
    assert roc.columns["tpr"] == pytest.approx(tpr.tolist())
    assert roc.meta["auc"][str(positive)] == pytest.approx(metrics.auc(fpr, tpr))
    recall = found["precision_recall_curve"]
    assert recall.meta["average_precision"][str(positive)] == pytest.approx(
        metrics.average_precision_score(truth, score, pos_label=positive)
    )
    bins = found["calibration_curve"].columns
    assert sum(bins["count"]) == len(pairs)
    assert np.dot(bins["observed"], bins["count"]) == pytest.approx((truth == positive).sum())
    assert all(plot.encode() for plot in found.values())


def test_large_curves_keep_their_shape_and_are_quick():
    truth = GENERATOR.integers(0, 2, 100_000)
    score = truth * 0.3 + GENERATOR.random(100_000)
    start = time.thread_time()
    found = curves(truth, score)
    assert time.thread_time() - start < 0.5  # some 20 ms on a quiet machine
    assert "calibration_curve" not in found  # no probabilities
    roc = found["roc_curve"]
    assert len(roc.columns["fpr"]) <= 202
    area = metrics.roc_auc_score(truth, score)
    assert roc.meta["auc"]["1"] == pytest.approx(area)
    assert metrics.auc(roc.columns["fpr"], roc.columns["tpr"]) == pytest.approx(area, abs=1e-3)
    assert (roc.columns["fpr"][0], roc.columns["tpr"][-1]) == (0, 1)
    more = curves(np.tile(truth, 3), np.tile(score, 3))["roc_curve"]
    assert more.meta["rows"] == 300_000
    assert more.meta["used"] <= 200_000


def test_classes_against_the_rest():
    X, y = load_iris(return_X_y=True)
    names = np.array(["a", "b", "c"])[y]
    proba = LogisticRegression(max_iter=500).fit(X, names).predict_proba(X)
    found = curves(names, proba)
    areas = metrics.roc_auc_score(pd.get_dummies(names), proba, average=None)
    assert list(found["roc_curve"].meta["auc"].values()) == pytest.approx(areas.tolist())
    assert set(found["calibration_curve"].columns["class"]) == {"a", "b", "c"}
    some = curves(names[:100], proba[:100], labels=np.array(["a", "b", "c"]))
    assert set(some["roc_curve"].meta["auc"]) == {"a", "b"}
    assert curves(names[:100], proba[:100]) == {}  # which column is whose is not known


def test_two_columns_are_the_second():
    truth, score = np.array([0, 1, 1, 0]), np.array([0.2, 0.7, 0.6, 0.4])
    assert curves(truth, np.stack([1 - score, score], axis=1)) == curves(truth, score)


def test_labels_of_several_outputs():
    truth, score = GENERATOR.integers(0, 2, (40, 3)), GENERATOR.random((40, 3))
    found = curves(scipy.sparse.csr_matrix(truth), score)
    assert set(found["roc_curve"].meta["auc"]) == {"0", "1", "2"}
    many = curves(GENERATOR.integers(0, 2, (40, 50)), GENERATOR.random((40, 50)))
    assert len(many["roc_curve"].meta["auc"]) == 10


# --- residuals ------------------------------------------------------------------------------------


def test_residuals():
    truth, prediction = np.arange(5.0), np.array([0.0, 1.5, np.nan, 3, 4])
    (plot,) = pictures.residuals("X", truth, prediction, {})
    assert plot.columns == {"predicted": [0, 1.5, 3, 4], "residual": [0, -0.5, 0, 0]}
    assert (plot.meta["rows"], sum(plot.meta["histogram"]["counts"])) == (5, 4)


def test_residuals_of_many_rows_keep_those_that_miss_most():
    truth, prediction = GENERATOR.normal(size=(2, 100_000))
    (plot,) = pictures.residuals("X", pd.Series(truth), prediction, {})
    missed = np.abs(truth - prediction)
    assert len(plot.columns["residual"]) <= 400
    assert max(map(abs, plot.columns["residual"])) == missed.max()
    (both,) = pictures.residuals("X", truth.reshape(-1, 2), prediction.reshape(-1, 2), {})
    assert set(both.columns["output"]) == {0, 1}


# --- from the calls of users ----------------------------------------------------------------------
