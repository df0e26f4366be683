# X is what scikit-learn calls it
"""scikit-learn: which calls become runs, and what stands in them."""

import pickle
import sys
import threading

import numpy as np
import pandas as pd
import pytest
from joblib import Parallel, delayed, parallel_config
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin, clone
from sklearn.cluster import KMeans
from sklearn.datasets import load_diabetes, load_iris
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import RandomForestClassifier, StackingClassifier, VotingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    permutation_test_score,
    validation_curve,
)
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.metaestimators import available_if

from nbtrack import autologging
from nbtrack.testing.fakes import FakeRun

X, y = load_iris(return_X_y=True)


def roots(tracker):
    """Return the runs but for those of candidates."""
    return [run for run in tracker.runs if run.parent is None]


def names(tracker):
    return [run.name for run in roots(tracker)]


def test_fit_is_a_run(tracker):
    X_train, labels = X[:100], y[:100]
    model = LogisticRegression(C=0.5)
    assert model.fit(X_train, labels) is model
    (run,) = tracker.runs
    assert (run.name, run.status, run.error) == ("LogisticRegression", "FINISHED", None)
    assert run.params["C"] == "0.5"
    assert set(run.params) == set(model.get_params())
    assert run.tags == {
        "mlflow.autologging": "sklearn",
        "estimator_name": "LogisticRegression",
        "estimator_class": "sklearn.linear_model._logistic.LogisticRegression",
    }
    assert run.inputs == [("X_train", "train", "ndarray"), ("labels", "target", "ndarray")]
    assert run.last("fit_time_s") > 0
    ((kind, flavor, data),) = run.models
    assert (kind, flavor) == ("LogisticRegression", "sklearn")
    assert (pickle.loads(data).predict(X) == model.predict(X)).all()


def test_names_of_the_data(tracker):
    frame = pd.DataFrame(X)
    columns, kwargs = [0, 1], {"X": X, "y": y}
    Ridge().fit(y=y, X=frame)
    Ridge().fit(frame[columns], y)
    Ridge().fit(StandardScaler().fit(frame).transform(frame), y)
    Ridge().fit(**kwargs)
    [model.fit(X, y * 2) for model in [Ridge()]]
    list(map(Ridge().fit, [X], [y]))
    assert [[name for name, _, _ in run.inputs] for run in tracker.runs] == [
        ["frame", "y"],
        ["frame", "y"],
        ["frame"],
        ["frame", "y"],
        ["X", "y"],
        ["X", "y"],
        ["X", "y"],
    ]


def test_iterators_are_left_alone(tracker):
    vectorizer = CountVectorizer()
    matrix = vectorizer.fit_transform(text for text in ["a word", "a sentence word"])
    assert matrix.shape == (2, 2)
    assert tracker.runs[0].inputs == []


@pytest.mark.parametrize(
    "call",
    [
        lambda: make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y),
        lambda: make_pipeline(StandardScaler(), StandardScaler()).fit_transform(X),
        lambda: make_pipeline(StandardScaler(), KMeans(3, n_init=1)).fit_predict(X),
        lambda: StandardScaler().fit_transform(X),
        lambda: KMeans(3, n_init=1).fit_predict(X),
        lambda: GridSearchCV(Ridge(), {"alpha": [1, 2]}).fit(X, y),
        lambda: VotingClassifier([("a", DummyClassifier()), ("b", DummyClassifier())]).fit(X, y),
        lambda: StackingClassifier([("a", DummyClassifier())], cv=2).fit(X, y),
        lambda: RandomForestClassifier(4, n_jobs=2).fit(X, y),
    ],
)
def test_one_call_is_one_run(tracker, call):
    call()
    (run,) = roots(tracker)
    assert run.status == "FINISHED"


@pytest.mark.parametrize("backend", ["sequential", "threading", "loky"])
def test_workers_belong_to_their_call(tracker, backend):
    with parallel_config(backend=backend):
        GridSearchCV(DummyClassifier(), {"constant": [0, 1, 2]}, cv=10, n_jobs=2).fit(X, y)
    assert names(tracker) == ["GridSearchCV"]


def test_threads_of_an_estimator_of_the_users(tracker):
    """More tasks than are sent out at once: joblib's own threads ask for the rest."""

    class Bag(BaseEstimator):
        def fit(self, X, y):
            fit_one = delayed(DummyClassifier().fit)
            Parallel(n_jobs=2, backend="threading")(fit_one(X, y) for _ in range(60))
            return self

    Bag().fit(X, y)
    assert names(tracker) == ["Bag"]


def test_user_parallel_threads_are_runs_of_their_own(tracker):
    Parallel(n_jobs=2, backend="threading")(delayed(Ridge(a).fit)(X, y) for a in range(1, 9))
    assert sorted(run.params["alpha"] for run in tracker.runs) == list("12345678")


def test_one_run_per_thread(tracker):
    barrier = threading.Barrier(4)

    class Waiting(BaseEstimator):
        def fit(self, X, y=None):
            barrier.wait(10)
            self.inner_ = DummyClassifier().fit(X, y)
            return self

    threads = [threading.Thread(target=Waiting().fit, args=(X, y)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [run.name for run in tracker.runs] == ["Waiting"] * 4
    assert len({run.thread for run in tracker.runs}) == 4
    assert "pickle" in tracker.warnings.pop()  # of the barrier


class Base(ClassifierMixin, BaseEstimator):
    def __init__(self, level=1):
        self.level = level

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        return self

    def predict(self, X):
        return np.zeros(len(X), int)


class Derived(Base):
    def fit(self, X, y):
        """Fit twice as well."""
        return super().fit(X, y)


def test_classes_made_before(tracker):
    Derived(level=3).fit(X, y)
    (run,) = tracker.runs
    assert (run.name, run.params) == ("Derived", {"level": "3"})


def double(self, X, y=None):
    """Fit twice: two runs, if this one is not seen."""
    return self.fit(X, y).fit(X, y) and X


def trivial(self, X, y=None):
    return self


METHODS = {
    "fit": trivial,
    "fit_transform": double,
    "fit_predict": available_if(lambda self: True)(double),
    "transform": lambda self, X: X,
    "get_feature_names_out": lambda self: list("abcd"),
}


@pytest.mark.parametrize(
    "bases", [(TransformerMixin, BaseEstimator), (BaseEstimator, TransformerMixin)]
)
def test_classes_made_after(tracker, bases):
    """scikit-learn wraps `fit_transform` of a new class, before or after our turn."""
    cls: type = object
    for name in ("Made", "Inheriting"):
        cls = type(name, bases if name == "Made" else (cls,), METHODS if name == "Made" else {})
        out = cls().set_output(transform="pandas").fit_transform(pd.DataFrame(X))
        assert list(out.columns) == list("abcd")
        cls().fit_predict(X)
    assert names(tracker) == ["Made", "Made", "Inheriting", "Inheriting"]


def test_fit_from_a_mixin(tracker):
    class Mixin:
        def fit(self, X, y=None):
            return self

    class FromMixin(Mixin, BaseEstimator):
        pass

    FromMixin().fit(X)
    Mixin().fit(X)  # no estimator
    assert names(tracker) == ["FromMixin"]


def test_active_run_of_the_user(tracker):
    tracker.active = FakeRun("f" * 32, "mine")
    Ridge().fit(X, y)
    with pytest.raises(ValueError, match="NaN"):
        Ridge().fit(X * np.nan, y)
    Ridge(alpha=2).fit(X, y).score(X, y)
    assert tracker.runs == []
    assert tracker.active.status is None
    assert tracker.active.params["alpha"] == "1.0"
    assert tracker.active.params["Ridge-3.alpha"] == "2"
    assert "Ridge-3.tol" not in tracker.active.params
    assert {"fit_time_s", "Ridge-3.fit_time_s", "Ridge_score_X"} <= set(tracker.active.metrics)
    assert tracker.active.metrics["Ridge_score_X"][0][0] == 0


def test_nothing_after_disable(tracker):
    model = Ridge().fit(X, y)
    autologging.disable()
    Ridge().fit(X, y)
    model.score(X, y)
    assert len(tracker.runs) == 1
    assert "Ridge_score_X" not in tracker.runs[0].metrics


def test_enabling_again_replaces_the_tracker(tracker):
    from nbtrack.testing.fakes import FakeTracker

    other = FakeTracker()
    autologging.enable(other)
    Ridge().fit(X, y)
    assert (len(tracker.runs), len(other.runs)) == (0, 1)


# --- cross-validation ---------------------------------------------------------------------------


def test_cross_val_score(tracker):
    scores = cross_val_score(make_pipeline(StandardScaler(), LogisticRegression()), X, y, cv=3)
    (run,) = tracker.runs
    assert (run.name, run.status, run.models) == ("cross_val_score: Pipeline", "FINISHED", [])
    assert run.inputs == [("X", "train", "ndarray"), ("y", "target", "ndarray")]
    assert run.params["cv"] == "3"
    assert run.params["logisticregression__C"] == "1.0"
    assert run.metrics["test_score"] == list(enumerate(scores))
    assert run.last("mean_test_score") == scores.mean()
    assert run.last("std_test_score") == scores.std()


@pytest.mark.parametrize("n_jobs", [None, 2])
def test_cross_validate(tracker, n_jobs):
    with parallel_config(backend="threading"):
        result = cross_validate(
            Ridge(),
            X,
            y,
            scoring=("r2", "neg_mean_squared_error"),
            return_train_score=True,
            n_jobs=n_jobs,
        )
    (run,) = tracker.runs
    for name in (
        "test_r2",
        "train_r2",
        "test_neg_mean_squared_error",
        "train_neg_mean_squared_error",
    ):
        assert [value for _, value in run.metrics[name]] == list(result[name])
        assert run.last(f"mean_{name}") == result[name].mean()


def test_cv_settings(tracker):
    splits = [(np.arange(100), np.arange(100, 150)), (np.arange(50, 150), np.arange(50))]
    cross_validate(Ridge(), X, y, cv=splits)
    cross_validate(GridSearchCV(Ridge(), {"alpha": [1]}, cv=3), X, y, cv=2)
    assert tracker.runs[0].params["cv"] == "list"
    assert tracker.runs[1].params["cv"] == "3"
    assert tracker.runs[1].params["cross_validate.cv"] == "2"


def test_curves(tracker):
    sizes, train, test = learning_curve(Ridge(), X, y, cv=3, train_sizes=[0.5, 1.0])
    train_v, test_v = validation_curve(
        Ridge(), X, y, param_name="alpha", param_range=[1, 2, 3], cv=3
    )
    score, _, pvalue = permutation_test_score(Ridge(), X, y, cv=3, n_permutations=5)
    learning, validation, permutation = tracker.runs
    assert learning.metrics["mean_train_score"] == list(zip(sizes, train.mean(axis=1), strict=True))
    assert validation.metrics["mean_test_score"] == list(enumerate(test_v.mean(axis=1)))
    assert validation.params["param_range"] == "[1, 2, 3]"
    assert (permutation.last("score"), permutation.last("pvalue")) == (score, pvalue)
    assert (len(test), len(train_v)) == (2, 3)


def test_cross_val_predict_is_a_prediction(tracker):
    from sklearn.metrics import accuracy_score

    out_of_fold = cross_val_predict(DummyClassifier(), X, y)
    accuracy = accuracy_score(y, out_of_fold)
    assert names(tracker) == ["cross_val_predict: DummyClassifier"]
    assert tracker.runs[0].last("accuracy_score_X") == accuracy


def test_failing_cross_validation(tracker):
    with pytest.raises(ValueError, match="greater than the number of samples"):
        cross_val_score(DummyClassifier(), X, y, cv=1000)
    with pytest.raises(TypeError, match="estimator"):
        cross_val_score()
    (run,) = tracker.runs
    assert run.status == "FAILED"
    assert "greater than" in run.error


# --- failures -----------------------------------------------------------------------------------


class Raising(BaseEstimator):
    def __init__(self, error=None):
        self.error = error

    def fit(self, X, y=None):
        raise self.error


def test_the_users_exception(tracker):
    error = RuntimeError("mine")
    with pytest.raises(RuntimeError) as caught:
        Raising(error).fit(X)
    assert caught.value is error
    assert (error.__cause__, error.__context__) == (None, None)
    frames, trace = [], error.__traceback__
    while trace:
        frames.append(trace.tb_frame)
        trace = trace.tb_next
    shown = [f.f_code.co_name for f in frames if "__tracebackhide__" not in f.f_locals]
    assert shown == ["test_the_users_exception", "fit"]
    (run,) = tracker.runs
    assert (run.status, run.models) == ("FAILED", [])
    assert run.error.endswith("RuntimeError: mine\n")
    assert "Raising(error).fit(X)" in run.error
    assert "raise self.error" in run.error
    assert "autologging/s" not in run.error


def test_frames_of_inner_fits_are_hidden(tracker):
    pipeline = make_pipeline(StandardScaler(), Raising(ValueError("inner")))
    with pytest.raises(ValueError, match="inner") as caught:
        pipeline.fit(X)
    ours = [
        entry
        for entry in caught.traceback
        if "nbtrack" in str(entry.path)
        and "__tracebackhide__" not in entry.frame.f_locals
        and "tests" not in str(entry.path)
    ]
    assert ours == []
    assert len(tracker.runs) == 1


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_interrupts(tracker, kind):
    error = kind()
    with pytest.raises(kind) as caught:
        Raising(error).fit(X)
    assert caught.value is error
    assert tracker.runs[0].status == "KILLED"
    Ridge().fit(X, y)
    assert names(tracker) == ["Raising", "Ridge"]


@pytest.mark.parametrize(
    "verb",
    [
        "begin_run",
        "active_run",
        "warn",
        "log_params",
        "log_metrics",
        "set_tags",
        "log_input",
        "log_model",
        "end",
    ],
)
def test_a_failing_tracker_changes_nothing(tracker, verb):
    from sklearn.metrics import accuracy_score

    from nbtrack.testing.fakes import FakeTracker

    failing = FakeTracker({verb})
    autologging.enable(failing)
    model = LogisticRegression(max_iter=1000)
    assert model.fit(X, y) is model
    predicted = model.predict(X)
    assert accuracy_score(y, predicted) == model.score(X, y) > 0.9
    cross_val_score(DummyClassifier(), X, y)
    error = RuntimeError("mine")
    with pytest.raises(RuntimeError, match="mine"):
        Raising(error).fit(X)
    assert error.__context__ is None
    if verb != "warn":
        assert any(f"{verb} fails" in message for message in failing.warnings)


def test_estimators_that_cannot_be_described(tracker):
    class Strange(BaseEstimator):
        def __repr__(self):
            raise RuntimeError("no repr")

        def get_params(self, deep=True):
            raise RuntimeError("no params")

        def __eq__(self, other):
            raise RuntimeError("no comparison")

        __hash__ = None

        def fit(self, X, y=None):
            return self

        def score(self, X, y=None):
            return 0.5

    strange = Strange()
    assert strange.fit(X) is strange
    assert strange.score(X) == 0.5
    assert tracker.runs[0].status == "FINISHED"
    assert tracker.runs[0].last("Strange_score_X") == 0.5
    (message,) = tracker.warnings
    assert "no params" in message
    tracker.warnings.clear()


def test_an_error_that_cannot_say_its_message(tracker):
    class MuteError(Exception):
        def __str__(self):
            raise RuntimeError("no message")

    class Bad(BaseEstimator):
        def fit(self, X):
            raise MuteError

    with pytest.raises(MuteError):
        Bad().fit(X)
    assert tracker.runs[0].status == "FAILED"


# --- nothing changes ----------------------------------------------------------------------------


def work():
    import random

    np.random.seed(0)
    random.seed(0)
    forest = RandomForestClassifier(5).fit(X, y)
    kmeans = KMeans(3, n_init=2).fit(X)
    scores = cross_val_score(LogisticRegression(max_iter=500), X, y)
    search = GridSearchCV(Ridge(), {"alpha": [1, 2]}).fit(X, y)
    regression = DummyRegressor().fit(*load_diabetes(return_X_y=True))
    state = (np.random.get_state()[1].tobytes(), np.random.get_state()[2], random.getstate())
    fitted = [pickle.dumps(e) for e in (forest, kmeans, search.best_estimator_, regression)]
    return fitted, scores.tolist(), state


def test_results_and_random_state_are_the_same(tracker):
    on = work()
    assert len(roots(tracker)) == 5
    autologging.disable()
    assert work() == on


def test_no_reference_is_kept(tracker):
    import gc
    import weakref

    data, model = X.copy(), LogisticRegression(max_iter=500)
    model.fit(data, y)
    predicted = model.predict(data)
    references = [weakref.ref(thing) for thing in (data, model, predicted)]
    gc.disable()  # not even until the next collection
    try:
        del data, model, predicted
        assert [reference() for reference in references] == [None] * 3
    finally:
        gc.enable()


def test_clone_copy_pipeline_access(tracker):
    import copy

    model = Pipeline([("scale", StandardScaler()), ("fit", Ridge(alpha=3))]).fit(X, y)
    assert (copy.deepcopy(model).predict(X) == model.predict(X)).all()
    assert clone(model).get_params()["fit__alpha"] == 3
    assert len(tracker.runs) == 1
    assert sys.getrefcount(model) < 10


def test_params_that_were_chosen_are_highlighted(tracker):
    class Odd(LogisticRegression):
        def __init__(self, *, weights=None, C=1.0):
            super().__init__(C=C, max_iter=500)
            self.weights = weights

        @classmethod
        def _get_param_names(cls):
            return ["C", "weights"]

    Ridge().fit(X, y)
    LogisticRegression(C=0.5, max_iter=500).fit(X, y)
    make_pipeline(StandardScaler(with_mean=False), LogisticRegression(C=0.2)).fit(X, y)
    GridSearchCV(LogisticRegression(max_iter=500), {"C": [1, 2]}, cv=2).fit(X, y)
    Odd(weights=np.ones(3)).fit(X, y)
    assert [run.highlights for run in roots(tracker)] == [
        [],
        ["C", "max_iter"],
        ["steps", "standardscaler__with_mean", "logisticregression__C"],
        ["cv", "estimator__max_iter", "param_grid"],
        ["weights"],
    ]


@pytest.mark.parametrize("in_pipeline", [False, True])
@pytest.mark.parametrize("solver", ["adam", "sgd"])
def test_an_interrupt_that_the_library_takes_for_the_end(tracker, monkeypatch, solver, in_pipeline):
    after = MLPClassifier._update_no_improvement_count

    def interrupt(self, *args):
        after(self, *args)
        if self.n_iter_ == 3:
            raise KeyboardInterrupt

    network = MLPClassifier((3,), solver=solver, max_iter=5, random_state=0)
    model = make_pipeline(StandardScaler(), network) if in_pipeline else network
    with monkeypatch.context() as patch:
        patch.setattr(MLPClassifier, "_update_no_improvement_count", interrupt)
        with pytest.warns(UserWarning, match="interrupted"):
            model.fit(X, y)
    with pytest.warns(ConvergenceWarning):
        model.fit(X, y)
    network.set_params(tol=10, n_iter_no_change=1)
    model.fit(X, y)
    assert network.n_iter_ < 5  # it has converged
    assert [run.status for run in tracker.runs] == ["KILLED", "FINISHED", "FINISHED"]
    assert tracker.runs[0].metrics["loss_curve"]
    assert tracker.runs[0].models
