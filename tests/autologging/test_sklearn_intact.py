# X is what scikit-learn calls it
"""What scikit-learn and its users rely on is as it was, with the hooks in place."""

import inspect
import pickle
import warnings

import cloudpickle
import numpy as np
import pytest
import sklearn
from sklearn.base import BaseEstimator, clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_wine
from sklearn.feature_selection import SelectFromModel
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import check_estimator

from nbtrack import autologging
from nbtrack.testing.fakes import FakeTracker

X, y = load_wine(return_X_y=True)
ESTIMATORS = [LogisticRegression, StandardScaler, KMeans, Pipeline, GridSearchCV, Ridge]


def on_and_off(look):
    autologging.disable()
    off = look()
    autologging.enable(FakeTracker())
    try:
        return look(), off
    finally:
        autologging.disable()


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_signature_docs_and_names(cls):
    def look():
        instance = object.__new__(cls)
        if cls is Pipeline:
            instance = make_pipeline(StandardScaler(), KMeans(2))
        facts = []
        for name in ("fit", "fit_transform", "predict", "score"):
            for owner in (cls, instance):
                method = getattr(owner, name, None)
                if method is not None:
                    facts.append(
                        (
                            name,
                            inspect.signature(method),
                            inspect.getdoc(method),
                            method.__name__,
                            method.__qualname__,
                            method.__module__,
                            inspect.getsource(method),
                            inspect.isfunction(method),
                            inspect.ismethod(method),
                        )
                    )
        return facts

    on, off = on_and_off(look)
    assert on == off
    assert len(on) >= 2


def test_class_access_is_the_original(tracker):
    fit = LogisticRegression.fit
    autologging.disable()
    assert LogisticRegression.fit is fit


def test_functions_keep_identity_signature_and_pickle():
    on, off = on_and_off(
        lambda: [
            (id(f), str(inspect.signature(f)), f.__doc__, pickle.dumps(f), cloudpickle.dumps(f))
            for f in (accuracy_score, cross_validate)
        ]
    )
    assert on == off


def test_pickles_are_the_same():
    def look():
        model = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)
        return pickle.dumps(model), pickle.dumps(model.fit), cloudpickle.dumps(model)

    on, off = on_and_off(look)
    assert on == off
    assert b"nbtrack" not in b"".join(on)


def test_metadata_routing(tracker):
    with sklearn.config_context(enable_metadata_routing=True):
        model = LogisticRegression().set_fit_request(sample_weight=True)
        model.set_score_request(sample_weight=False)
        weights = np.linspace(0, 1, len(y))
        search = GridSearchCV(model, {"C": [1, 2]}).fit(X[:, :2], y, sample_weight=weights)
        assert clone(model).get_metadata_routing().fit.requests == {"sample_weight": True}

        class Weighted(BaseEstimator):
            def fit(self, X, y, sample_weight=None):
                return self

        assert Weighted().set_fit_request(sample_weight=True).fit(X, y)
    assert search.n_features_in_ == 2
    assert [r.name for r in tracker.runs if r.parent is None] == ["GridSearchCV", "Weighted"]


def test_available_if(tracker):
    pipe = make_pipeline(StandardScaler(), LogisticRegression())
    assert hasattr(pipe, "predict_proba")
    assert not hasattr(make_pipeline(StandardScaler()), "predict")
    assert not hasattr(pipe, "fit_predict")
    with pytest.raises(AttributeError, match="no attribute 'fit_predict'"):
        pipe.fit_predict(X)
    selector = SelectFromModel(DecisionTreeClassifier())
    assert selector.fit(X, y).transform(X).shape[0] == len(X)
    assert len(tracker.runs) == 1


class Mine(BaseEstimator):
    def __init__(self, factor=1):
        self.factor = factor

    def fit(self, X, y=None):
        self.n_features_in_ = np.asarray(X).shape[1]
        return self

    def predict(self, X):
        return np.zeros(len(X))


@pytest.mark.parametrize(
    "estimator",
    [DecisionTreeClassifier(), StandardScaler(), Mine()],
    ids=lambda e: type(e).__name__,
)
def test_check_estimator_says_the_same(estimator):
    def look():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            results = check_estimator(estimator, on_fail=None, on_skip=None)
        return [
            (r["check_name"], r["status"], str(r["exception"])[:80])
            for r in results
            if "memmap" not in str(r["exception"])
        ]

    on, off = on_and_off(look)
    assert on == off
    assert len(on) > 20
