"""Scores on the training data: the numbers of scikit-learn, without its price."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import (
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    RandomForestClassifier,
)
from sklearn.linear_model import (
    Lasso,
    LinearRegression,
    LogisticRegression,
    Perceptron,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from nbtrack.autologging.sklearn.training import Fitted, scores

IRIS = load_iris(return_X_y=True)
CANCER = load_breast_cancer(return_X_y=True, as_frame=True)
DIABETES = load_diabetes(return_X_y=True)
NAMES = (IRIS[0], np.array(["a", "b", "c"])[IRIS[1]])

CLASSIFIERS = [
    (LogisticRegression(max_iter=50), IRIS),
    (LogisticRegression(max_iter=50), NAMES),
    (LogisticRegression(max_iter=50), CANCER),
    (LogisticRegression(max_iter=50), (scipy.sparse.csr_matrix(IRIS[0]), IRIS[1])),
    (LogisticRegression(solver="liblinear"), CANCER),
    (LinearSVC(), IRIS),
    (SGDClassifier(random_state=0), CANCER),
    (Perceptron(), NAMES),
    (RidgeClassifier(), IRIS),
    (DecisionTreeClassifier(max_depth=2, random_state=0), IRIS),
    (DecisionTreeClassifier(max_depth=2, random_state=0), CANCER),
    (GradientBoostingClassifier(n_estimators=5, random_state=0), NAMES),
    (MLPClassifier((5,), max_iter=12, random_state=0), IRIS),
]


def expected_of_a_classifier(model, X, y, sample_weight=None):
    predicted, more = model.predict(X), {"sample_weight": sample_weight}
    mean = {"average": "weighted", "zero_division": 0} | more
    found = {
        "accuracy_score": metrics.accuracy_score(y, predicted, **more),
        "precision_score": metrics.precision_score(y, predicted, **mean),
        "recall_score": metrics.recall_score(y, predicted, **mean),
        "f1_score": metrics.f1_score(y, predicted, **mean),
        "score": model.score(X, y, **more),
    }
    if hasattr(model, "predict_proba") and not isinstance(model, SGDClassifier):
        probabilities = model.predict_proba(X)
        many = {"average": "weighted", "multi_class": "ovo"} if len(model.classes_) > 2 else {}
        # By decisions, as scikit-learn's own scorer: probabilities of different ones can be equal.
        decides = getattr(model, "decision_function", lambda X: probabilities[:, 1])
        score = probabilities if many else decides(X)
        found["log_loss"] = metrics.log_loss(y, probabilities, **more)
        if sample_weight is None:
            found["roc_auc"] = metrics.roc_auc_score(y, score, **many)
    return {f"training_{name}": value for name, value in found.items()}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize(("model", "data"), CLASSIFIERS, ids=lambda value: type(value).__name__)
def test_classifiers(model, data):
    X, y = data
    model.fit(X, y)
    found = scores(Fitted(model, {"X": X, "y": y}))
    if isinstance(model, RidgeClassifier):  # it predicts in a way of its own
        assert found == {}
        return
    assert found == pytest.approx(expected_of_a_classifier(model, X, y), rel=1e-6)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("data", [IRIS, CANCER], ids=["three", "two"])
def test_weights_of_the_rows(data):
    X, y = data
    weights = np.linspace(0, 1, len(y))
    model = LogisticRegression(max_iter=50).fit(X, y, sample_weight=weights)
    found = scores(Fitted(model, {"X": X, "y": y, "sample_weight": weights}))
    assert found == pytest.approx(expected_of_a_classifier(model, X, y, weights), rel=1e-6)


REGRESSORS = [
    LinearRegression(),
    Ridge(),
    Lasso(),
    DecisionTreeRegressor(max_depth=3),
    GradientBoostingRegressor(n_estimators=4),
]


@pytest.mark.parametrize("model", REGRESSORS, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("weighted", [False, True])
def test_regressors(model, weighted):
    X, y = DIABETES
    weights = np.linspace(1, 2, len(y)) if weighted else None
    model.fit(X, y, sample_weight=weights)
    predicted, more = model.predict(X), {"sample_weight": weights}
    found = scores(Fitted(model, {"X": X, "y": y, "sample_weight": weights}))
    assert found == pytest.approx(
        {
            "training_mean_squared_error": metrics.mean_squared_error(y, predicted, **more),
            "training_mean_absolute_error": metrics.mean_absolute_error(y, predicted, **more),
            "training_r2_score": metrics.r2_score(y, predicted, **more),
            "training_root_mean_squared_error": metrics.root_mean_squared_error(
                y, predicted, **more
            ),
            "training_score": model.score(X, y, **more),
        },
        rel=1e-6,
    )


def test_several_outputs():
    X, y = DIABETES
    both = np.stack([y, y**2, np.ones(len(y))], axis=1)
    model = LinearRegression().fit(X, both)
    found = scores(Fitted(model, {"X": X, "y": both}))
    predicted = model.predict(X)
    assert found["training_r2_score"] == pytest.approx(metrics.r2_score(both, predicted), abs=1e-3)
    assert found["training_root_mean_squared_error"] == pytest.approx(
        metrics.root_mean_squared_error(both, predicted)
    )


class Twice(RegressorMixin, BaseEstimator):
    """An estimator of a user's, who counts its predictions."""

    asked = 0

    def fit(self, X, y):
        return self

    def predict(self, X):
        Twice.asked += 1
        return np.zeros(len(X))


class MyRegression(LogisticRegression):
    def predict(self, X):
        Twice.asked += 1
        return super().predict(X)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    "model",
    [
        Twice(),
        MyRegression(),
        RandomForestClassifier(5),
        KNeighborsClassifier(),
        SVC(),
        GaussianNB(),
        KMeans(2, n_init=1),
        GridSearchCV(LogisticRegression(), {"C": [1, 2]}, cv=2),
        MLPClassifier((5,), max_iter=2),
    ],
    ids=lambda value: type(value).__name__,
)
def test_those_that_would_take_long_are_not_asked(tracker, model):
    model.fit(*IRIS)
    run = tracker.runs[0]
    assert not [key for key in run.metrics if key.startswith("training_")]
    assert Twice.asked == 0


def test_a_pipeline_is_not_run_again(tracker):
    asked = []

    class Scaler(StandardScaler):
        def transform(self, X):
            asked.append(len(X))
            return super().transform(X)

    X, y = CANCER
    model = make_pipeline(Scaler(), LogisticRegression()).fit(X, y)
    assert len(asked) <= 1  # by the fit
    (run,) = tracker.runs
    expected = expected_of_a_classifier(model, X, y)
    assert {k: run.last(k) for k in expected} == pytest.approx(expected)


def test_switched_off(tracker):
    from nbtrack.autologging import options
    from nbtrack.autologging.options import Options

    options.choose(Options(log_training_metrics=False), "sklearn")
    try:
        Ridge().fit(*DIABETES)
    finally:
        options.forget()
    assert set(tracker.runs[0].metrics) == {"fit_time_s"}


def test_no_data_is_kept(tracker):
    import gc
    import weakref

    X, y = CANCER[0].to_numpy().copy(), CANCER[1].to_numpy()
    model = make_pipeline(StandardScaler(), LogisticRegression())
    with pytest.raises(ValueError, match="inconsistent"):
        model.fit(X, y[1:])
    model.fit(X, y)
    kept = weakref.ref(X)
    gc.disable()
    try:
        del X
        assert kept() is None
    finally:
        gc.enable()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_labels_and_scores(data):
    """The numbers are those of scikit-learn, whatever the model says."""
    count = data.draw(st.integers(2, 4))
    rows = data.draw(st.integers(count, 30))
    y = np.array(
        [
            *range(count),
            *data.draw(
                st.lists(st.integers(0, count - 1), min_size=rows - count, max_size=rows - count)
            ),
        ]
    )
    X = np.array(data.draw(st.lists(st.integers(-3, 3), min_size=rows, max_size=rows)))[:, None]
    model = LogisticRegression(max_iter=3)
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, y)
    found = scores(Fitted(model, {"X": pd.DataFrame(X), "y": pd.Series(y)}))
    assert found == pytest.approx(expected_of_a_classifier(model, X, y), rel=1e-6, abs=1e-9)
