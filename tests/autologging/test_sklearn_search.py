"""Searches and cross-validations: one run, its candidates as children, its folds as a table."""

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.dummy import DummyClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import RFECV
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    RandomizedSearchCV,
    cross_val_score,
    cross_validate,
    learning_curve,
    validation_curve,
)
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from nbtrack.autologging import options
from nbtrack.autologging.options import Options
from nbtrack.autologging.sklearn.labels import labels

NAME = "mlflow.runName"
X, y = load_iris(return_X_y=True)


@pytest.fixture
def chosen():
    yield lambda **more: options.choose(Options(**more), "sklearn")
    options.forget()


def children(tracker):
    return [run for run in tracker.runs if run.parent is not None]


def test_candidates_are_children(tracker):
    search = GridSearchCV(Ridge(), {"alpha": [0.1, 10.0, 1.0]}, cv=3).fit(X, y)
    parent, *others = tracker.runs
    assert all(run.parent is parent and run.status == "FINISHED" for run in others)
    assert parent.params["best_alpha"] == str(search.best_params_["alpha"])
    assert parent.last("best_cv_score") == search.best_score_
    assert parent.params["estimator__alpha"] == "1.0"
    ranked = np.argsort(search.cv_results_["rank_test_score"], kind="stable")
    for run, row in zip(others, ranked, strict=True):
        assert run.params["alpha"] == str(search.cv_results_["params"][row]["alpha"])
        assert run.params["fit_intercept"] == "True"
        assert run.last("mean_test_score") == search.cv_results_["mean_test_score"][row]
        splits = [search.cv_results_[f"split{fold}_test_score"][row] for fold in range(3)]
        assert run.metrics["test_score"] == list(enumerate(splits))
        assert run.tags["estimator_name"] == "Ridge"
        assert "alpha" in run.highlights
    assert ["nbtrack.best" in run.tags for run in others] == [True, False, False]


def test_all_candidates_are_a_table(tracker):
    GridSearchCV(Ridge(), [{"alpha": [0.1, 1.0]}, {"tol": [1e-3]}], cv=2).fit(X, y)
    table = tracker.runs[0].plots["cv_results"]
    assert table["kind"] == "search"
    assert table["columns"]["param_alpha"] == [0.1, 1.0, None]
    assert table["columns"]["param_tol"] == [None, None, 1e-3]
    assert len(table["columns"]["mean_test_score"]) == 3
    assert table["meta"] == {
        "candidates": 3,
        "best": tracker.runs[0].plots["cv_results"]["meta"]["best"],
    }


@pytest.mark.parametrize(("most", "count"), [(None, 7), (5, 5), (2, 2), (0, 0)])
def test_the_best_so_many(tracker, chosen, most, count):
    chosen(max_tuning_runs=most)
    search = GridSearchCV(Ridge(), {"alpha": [0.01, 0.1, 1, 10, 100, 1e3, 1e4]}, cv=2).fit(X, y)
    found = children(tracker)
    assert len(found) == count
    best = sorted(search.cv_results_["mean_test_score"], reverse=True)[:count]
    assert [run.last("mean_test_score") for run in found] == best


def test_other_searches(tracker):
    RandomizedSearchCV(Ridge(), {"alpha": [0.1, 1.0, 5.0]}, n_iter=2, cv=2, random_state=0).fit(
        X, y
    )
    HalvingGridSearchCV(DecisionTreeClassifier(), {"max_depth": [1, 2, 3]}, cv=2).fit(X, y)
    random, halving = (run for run in tracker.runs if run.parent is None)
    assert len(random.plots["cv_results"]["columns"]["candidate"]) == 2
    assert "iter" in halving.plots["cv_results"]["columns"]
    assert len(children(tracker)) > 4
    assert {run.last("n_resources") for run in children(tracker) if run.parent is halving}


def test_candidates_are_called_by_what_differs(tracker):
    pipe = Pipeline([("scale", StandardScaler()), ("svc", LogisticRegression(max_iter=500))])
    grid = {"svc__C": [0.1, 1 / 3], "svc__max_iter": [500], "scale__with_mean": [True, False]}
    GridSearchCV(pipe, grid, cv=2).fit(X, y)
    names = {run.tags[NAME] for run in children(tracker)}
    assert names == {f"with_mean={m}, C={c}" for m in (True, False) for c in ("0.1", "0.3333")}


def test_rounds_of_a_search_that_halves(tracker, chosen):
    chosen(max_tuning_runs=None)
    search = HalvingGridSearchCV(
        DecisionTreeClassifier(random_state=0), {"max_depth": [1, 2, 3, 4]}, cv=2, factor=2
    ).fit(X, y)
    runs = children(tracker)
    depth, last = search.best_params_["max_depth"], search.cv_results_["iter"].max()
    assert runs[0].tags[NAME] == f"max_depth={depth}, iter={last}"
    assert "nbtrack.best" in runs[0].tags
    assert len({run.tags[NAME] for run in runs}) == len(runs)


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ([{"a__C": 1, "b__C": 2}, {"a__C": 2, "b__C": 1}], ["a__C=1, b__C=2", "a__C=2, b__C=1"]),
        ([{"a": 1}], ["a=1"]),
        ([{}], ["candidate 0"]),
        ([{"a": 1}, {"a": 1}], ["a=1", "a=1 (1)"]),
        ([{"C": 1}, {"kernel": "rbf"}], ["C=1", "kernel=rbf"]),
        ([{"f": np.mean}, {"f": None}], ["f=mean", "f=None"]),
        ([{"m": Ridge(2)}, {"m": DummyClassifier()}], ["m=Ridge", "m=DummyClassifier"]),
        ([{"s": "x" * 50}, {"s": "a\nb"}], [f"s={'x' * 29}…", "s=a b"]),
        ([{"l": (100,)}, {"l": (50, 50)}], ["l=(100,)", "l=(50, 50)"]),
        ([{"a": np.float64(0.1)}, {"a": np.float64(1e-12)}], ["a=0.1", "a=1e-12"]),
    ],
)
def test_names_of_candidates(params, names):
    assert list(labels({"params": params}, range(len(params)))) == names


def test_long_names_are_cut():
    params = [{f"key_{i}": j for i in range(40)} for j in (1, 2)]
    first, second = labels({"params": params}, [0, 1])
    assert len(first) == len(second) == 120


def test_several_scores_without_refit(tracker):
    GridSearchCV(
        LogisticRegression(max_iter=500),
        {"C": [1, 2]},
        cv=2,
        scoring=["accuracy", "f1_macro"],
        refit=False,
    ).fit(X, y)
    assert {"mean_test_accuracy", "test_f1_macro"} <= set(children(tracker)[0].metrics)
    assert not any("nbtrack.best" in run.tags for run in tracker.runs)


@pytest.mark.filterwarnings("ignore")
def test_candidates_that_fail(tracker):
    grid = {"C": [1.0, -1.0]}
    GridSearchCV(LogisticRegression(max_iter=500), grid, cv=2).fit(X, y)
    good, bad = children(tracker)
    assert np.isnan(bad.last("mean_test_score"))
    assert ("test_score" in good.metrics, "test_score" in bad.metrics) == (True, False)
    assert tracker.runs[0].plots["cv_results"]["columns"]["mean_test_score"][1] is None


def test_steps_that_are_exchanged(tracker):
    pipe = Pipeline([("scale", StandardScaler()), ("fit", LogisticRegression(max_iter=500))])
    grid = {"fit": [DecisionTreeClassifier(max_depth=2), LogisticRegression(C=7, max_iter=500)]}
    GridSearchCV(pipe, grid, cv=2).fit(X, y)
    for run in children(tracker):
        is_tree = "Tree" in run.params["fit"]
        assert ("fit__max_depth" in run.params, "fit__C" in run.params) == (is_tree, not is_tree)


def test_a_search_as_the_last_step(tracker):
    search = GridSearchCV(Ridge(), {"alpha": [1, 2]}, cv=2)
    pipe = Pipeline([("scale", StandardScaler()), ("search", search)]).fit(X, y)
    assert tracker.runs[0].last("best_cv_score") == pipe[-1].best_score_
    assert {run.tags[NAME] for run in children(tracker)} == {"alpha=1", "alpha=2"}


def test_others_have_results_that_are_no_candidates(tracker):
    RFECV(Ridge(), cv=2).fit(X, y)
    (run,) = tracker.runs
    assert run.status == "FINISHED"


def test_search_in_the_run_of_the_user(tracker):
    from nbtrack.testing.fakes import FakeRun

    tracker.active = FakeRun("f" * 32, "mine")
    GridSearchCV(Ridge(), {"alpha": [1, 2]}, cv=2).fit(X, y)
    assert all(run.parent is tracker.active for run in tracker.runs)
    assert len(tracker.runs) == 2


def test_a_failing_store_does_not_reach_the_user():
    from nbtrack import autologging
    from nbtrack.testing.fakes import FakeTracker

    for verb in ("log_plot", "log_history", "log_metrics", "log_params", "begin_run"):
        broken = FakeTracker(failing=[verb])
        autologging.enable(broken)
        try:
            search = GridSearchCV(Ridge(), {"alpha": [1, 2]}, cv=2).fit(X, y)
            cross_val_score(Ridge(), X, y)
        finally:
            autologging.disable()
        assert search.best_params_
        assert broken.warnings, verb
        assert all(run.status == "FINISHED" for run in broken.runs)


# --- folds --------------------------------------------------------------------------------------


def test_folds_are_a_table(tracker):
    result = cross_validate(
        LogisticRegression(max_iter=500),
        X,
        y,
        cv=3,
        scoring=["accuracy", "f1_macro"],
        return_train_score=True,
        return_estimator=True,
        return_indices=True,
    )
    cross_val_score(DummyClassifier(), X, y)
    first, second = tracker.runs
    table = first.plots["folds"]
    assert table["kind"] == "folds"
    assert table["columns"]["fold"] == [0, 1, 2]
    assert table["columns"]["test_accuracy"] == result["test_accuracy"].tolist()
    assert set(table["columns"]) >= {"fit_time", "score_time", "train_f1_macro"}
    assert not {"estimator", "indices"} & set(table["columns"])
    assert first.last("mean_test_accuracy") == result["test_accuracy"].mean()
    assert first.last("std_train_f1_macro") == result["train_f1_macro"].std()
    assert [step for step, _ in second.metrics["test_score"]] == [0, 1, 2, 3, 4]


def test_learning_and_validation_curve(tracker):
    model = LogisticRegression(max_iter=500)
    sizes, train, test = learning_curve(model, X, y, cv=3, shuffle=True, random_state=0)
    validation_curve(model, X, y, param_name="C", param_range=[0.1, 1.0], cv=3)
    learning, validation = tracker.runs
    columns = learning.plots["learning_curve"]["columns"]
    assert columns["train_size"] == [int(size) for size in sizes for _ in range(3)]
    assert columns["test_score"] == pytest.approx(test.ravel().tolist(), nan_ok=True)
    assert learning.plots["learning_curve"]["meta"] == {"x": "train_size"}
    assert [s for s, _ in learning.metrics["mean_test_score"]] == sizes.tolist()
    assert learning.metrics["mean_train_score"][-1][1] == train[-1].mean()
    table = validation.plots["validation_curve"]
    assert (table["columns"]["C"], table["meta"]) == ([0.1] * 3 + [1.0] * 3, {"x": "C"})
    assert [s for s, _ in validation.metrics["mean_test_score"]] == [0, 1]
