"""The tables that the user's metrics leave to be drawn."""

import time

import numpy as np
import pytest
from sklearn import metrics
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.linear_model import LinearRegression
from sklearn.multioutput import MultiOutputClassifier
from sklearn.tree import DecisionTreeClassifier

GENERATOR = np.random.default_rng(0)


def test_what_the_users_metrics_leave(tracker):
    X, y = load_breast_cancer(return_X_y=True)
    model = DecisionTreeClassifier(max_depth=3).fit(X, y)
    predicted, proba = model.predict(X), model.predict_proba(X)[:, 1]
    metrics.f1_score(y, predicted)
    metrics.classification_report(y, predicted)
    metrics.roc_auc_score(y, y_score=proba)
    assert set(tracker.runs[0].plots) >= {
        "confusion_matrix_X",
        "roc_curve_X",
        "precision_recall_curve_X",
        "calibration_curve_X",
    }
    X, y = load_diabetes(return_X_y=True)
    hat = LinearRegression().fit(X, y).predict(X)
    metrics.r2_score(y, hat)
    assert tracker.runs[1].plots["residuals_X"]["kind"] == "residuals"


def test_results_that_are_no_numbers(tracker):
    X, y = load_iris(return_X_y=True)
    predicted = DecisionTreeClassifier().fit(X, y).predict(X)
    metrics.confusion_matrix(y, predicted)
    (run,) = tracker.runs
    assert "confusion_matrix_X" in run.plots
    assert "confusion_matrix_X" not in run.metrics


def test_a_sweep_is_drawn_once(tracker, monkeypatch):
    X, y = load_breast_cancer(return_X_y=True)
    proba = DecisionTreeClassifier(max_depth=3).fit(X, y).predict_proba(X)[:, 1]
    (run,) = tracker.runs
    drawn = []
    monkeypatch.setattr(run, "log_plot", drawn.append)
    start = time.monotonic()
    for threshold in np.linspace(0.1, 0.9, 20):
        metrics.accuracy_score(y, proba > threshold)
    assert len(drawn) <= 1 + (time.monotonic() - start) / 0.2
    assert len(run.metrics["accuracy_score_X"]) == 20


def test_no_prediction_is_made_for_it(tracker, monkeypatch):
    X, y = load_iris(return_X_y=True)
    model = DecisionTreeClassifier().fit(X, y)
    predicted = model.predict(X)
    monkeypatch.setattr(type(model), "predict", None)
    metrics.accuracy_score(y, predicted)
    assert "confusion_matrix_X" in tracker.runs[0].plots


def test_odd_arguments_are_no_error(tracker):
    X, y = load_iris(return_X_y=True)
    model = DecisionTreeClassifier(max_depth=2).fit(X, y)
    proba, predicted = model.predict_proba(X), model.predict(X)
    metrics.roc_auc_score(y, proba, multi_class="ovr", labels=[0, 1, 2])
    metrics.log_loss(y, proba)
    metrics.top_k_accuracy_score(y, proba, k=2)
    metrics.brier_score_loss(y == 1, proba[:, 1])
    metrics.cohen_kappa_score(y, predicted)
    metrics.accuracy_score(y.tolist(), predicted.tolist())
    both = MultiOutputClassifier(model).fit(X, np.stack([y > 0, y > 1], axis=1))
    metrics.f1_score(np.stack([y > 0, y > 1], axis=1), both.predict(X), average="macro")
    with pytest.raises(ValueError, match="inconsistent"):
        metrics.accuracy_score(y[1:], predicted)


def test_switched_off(tracker):
    from nbtrack.autologging import options
    from nbtrack.autologging.options import Options

    X, y = load_iris(return_X_y=True)
    model = DecisionTreeClassifier().fit(X, y)
    options.choose(Options(log_post_training_metrics=False), "sklearn")
    try:
        metrics.accuracy_score(y, model.predict(X))
        model.score(X, y)
    finally:
        options.forget()
    (run,) = tracker.runs
    assert not [key for key in run.metrics if key.endswith("_X")]
    assert set(run.plots) == {"feature_importance"}
