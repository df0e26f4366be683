"""What XGBoost, LightGBM and CatBoost log, with the real libraries."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import nbtrack
from nbtrack import autologging
from nbtrack.autologging import options
from nbtrack.testing.fakes import FakeTracker

xgboost = pytest.importorskip("xgboost")
lightgbm = pytest.importorskip("lightgbm")
catboost = pytest.importorskip("catboost")

X, y = load_breast_cancer(return_X_y=True)
X_train, y_train, X_valid, y_valid = X[::2], y[::2], X[1::2], y[1::2]
ROUNDS = 12
XGB = {"objective": "binary:logistic", "max_depth": 2, "nthread": 1}
LGB = {"objective": "binary", "num_leaves": 4, "verbose": -1, "num_threads": 1}
Cat = partial(
    catboost.CatBoostClassifier, depth=2, verbose=0, thread_count=1, allow_writing_files=False
)


@pytest.fixture(autouse=True)
def _here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)  # CatBoost leaves files
    yield
    nbtrack.set_tracking_uri("")


def curve(run, key):
    return [value for _, value in run.metrics[key]]


def matrices():
    return xgboost.DMatrix(X_train, y_train), xgboost.DMatrix(X_valid, y_valid)


# ------------------------------------------------------------------------------------ XGBoost


def test_xgboost_logs_every_eval_set_in_each_iteration(tracker):
    dtrain, dvalid = matrices()
    history: dict = {}
    given = XGB | {"eval_metric": ["logloss", "map@3"]}
    xgboost.train(
        given,
        dtrain,
        ROUNDS,
        evals=[(dtrain, "train"), (dvalid, "valid")],
        evals_result=history,
        verbose_eval=False,
    )
    (run,) = tracker.runs
    assert curve(run, "valid-logloss") == pytest.approx(history["valid"]["logloss"])
    assert curve(run, "train-map_at_3") == pytest.approx(history["train"]["map@3"])
    assert run.name == "XGBoost"
    assert run.tags["mlflow.autologging"] == "xgboost"
    assert run.params["max_depth"] == "2"
    assert run.params["num_boost_round"] == str(ROUNDS)
    assert sorted(run.highlights) == sorted(given)
    assert run.inputs == [("dtrain", "train", "DMatrix"), ("valid", "eval", "DMatrix")]
    assert [(kind, flavor) for kind, flavor, _ in run.models] == [("Booster", "xgboost")]
    assert "best_iteration" not in run.metrics


def test_xgboost_early_stopping(tracker):
    dtrain, dvalid = matrices()
    booster = xgboost.train(
        XGB, dtrain, 500, evals=[(dvalid, "valid")], early_stopping_rounds=3, verbose_eval=False
    )
    (run,) = tracker.runs
    losses = curve(run, "valid-logloss")
    assert run.last("best_iteration") == booster.best_iteration == np.argmin(losses)
    assert run.last("best_score") == pytest.approx(min(losses))
    # The callback that ends the training is told after ours: the last iteration is there, too.
    assert run.last("stopped_iteration") == len(losses) - 1 == booster.best_iteration + 3


def test_xgboost_metrics_of_predictions(tracker):
    dtrain, dvalid = matrices()
    booster = xgboost.train(XGB, dtrain, ROUNDS)
    loss = log_loss(y_valid, booster.predict(dvalid))
    roc_auc_score(y_valid, booster.inplace_predict(X_valid))
    (run,) = tracker.runs
    assert run.last("log_loss_dvalid") == loss
    assert "roc_auc_score_X_valid" in run.metrics


def test_xgboost_importances_are_shares_of_the_gain(tracker):
    data = xgboost.DMatrix(X_train, y_train, feature_names=[f"f {i}" for i in range(X.shape[1])])
    booster = xgboost.train(XGB, data, ROUNDS)
    xgboost.train({"booster": "gblinear", "nthread": 1}, data, 2)
    trees, linear = tracker.runs
    table = trees.plots["feature_importance"]
    gains = booster.get_score(importance_type="gain")
    best = max(gains, key=gains.__getitem__)
    assert table["columns"]["feature"][0] == best
    assert table["columns"]["importance"][0] == pytest.approx(gains[best] / sum(gains.values()))
    assert "feature_importance" not in linear.plots


def test_xgboost_cross_validation(tracker):
    dtrain, _ = matrices()
    table = xgboost.cv(XGB, dtrain, ROUNDS, nfold=3, metrics=["auc"], seed=1)
    (run,) = tracker.runs
    assert run.name == "XGBoost cv"
    assert curve(run, "test-auc-mean") == pytest.approx(list(table["test-auc-mean"]))
    assert curve(run, "train-auc-std") == pytest.approx(list(table["train-auc-std"]))
    assert run.params["nfold"] == "3"
    assert run.models == []


def test_xgboost_functions_are_params_by_their_names(tracker):
    def squares(predicted, data):
        return predicted - data.get_label(), np.ones_like(predicted)

    dtrain, _ = matrices()
    for _ in range(2):
        xgboost.train({"nthread": 1}, dtrain, 1, obj=squares)
    for run in tracker.runs:
        assert run.params["obj"].endswith("squares")


@pytest.mark.parametrize("wrong", [{"callbacks": 7}, {"no_such": 1}, {"evals": [1]}])
def test_xgboost_wrong_arguments_are_told_by_xgboost(tracker, wrong):
    dtrain, _ = matrices()
    with pytest.raises(TypeError) as found:
        xgboost.train(XGB, dtrain, 1, **wrong)
    assert "nbtrack" not in str(found.value)
    tracker.warnings.clear()


# ----------------------------------------------------------------------------------- LightGBM


def test_lightgbm_logs_every_eval_set_in_each_iteration(tracker):
    train = lightgbm.Dataset(X_train, y_train)
    valid = lightgbm.Dataset(X_valid, y_valid, reference=train)
    history: dict = {}
    booster = lightgbm.train(
        LGB | {"metric": ["binary_logloss", "auc"]},
        train,
        500,
        valid_sets=[train, valid],
        valid_names=["mine", "other"],
        callbacks=[lightgbm.record_evaluation(history), lightgbm.early_stopping(3, verbose=False)],
    )
    (run,) = tracker.runs
    losses = curve(run, "other-binary_logloss")
    assert losses == pytest.approx(history["other"]["binary_logloss"])
    assert curve(run, "mine-auc") == pytest.approx(history["mine"]["auc"])
    assert run.last("best_iteration") == booster.best_iteration
    assert run.last("stopped_iteration") == len(losses)
    assert run.inputs == [
        ("train", "train", "ndarray"),
        ("train.label", "target", "ndarray"),
        ("other", "eval", "ndarray"),
    ]
    roc_auc_score(y_valid, booster.predict(X_valid))
    assert "roc_auc_score_X_valid" in run.metrics
    assert run.plots["feature_importance"]["columns"]["importance"][0] == max(
        booster.feature_importance()
    )


def test_lightgbm_cross_validation(tracker):
    found = lightgbm.cv(LGB, lightgbm.Dataset(X_train, y_train), ROUNDS, nfold=3)
    (run,) = tracker.runs
    assert curve(run, "valid-binary_logloss-mean") == found["valid binary_logloss-mean"]
    assert curve(run, "valid-binary_logloss-std") == found["valid binary_logloss-stdv"]
    assert run.models == []


# ----------------------------------------------------------------------------------- CatBoost


def test_catboost_logs_every_eval_set_in_each_iteration(tracker):
    model = Cat(n_estimators=ROUNDS)
    model.fit(X_train, y_train, eval_set=(X_valid, y_valid), early_stopping_rounds=50)
    (run,) = tracker.runs
    known = model.get_evals_result()
    assert curve(run, "learn-Logloss") == pytest.approx(known["learn"]["Logloss"])
    assert curve(run, "validation-Logloss") == pytest.approx(known["validation"]["Logloss"])
    assert run.last("tree_count") == model.tree_count_
    assert run.last("best_iteration") == model.get_best_iteration()
    assert run.params["n_estimators"] == str(ROUNDS)
    assert float(run.params["learning_rate"]) > 0  # which CatBoost has chosen
    assert "learning_rate" not in run.highlights
    assert run.inputs == [
        ("X_train", "train", "ndarray"),
        ("y_train", "target", "ndarray"),
        ("validation", "eval", "ndarray"),
    ]
    assert model.score(X_valid, y_valid) == run.last("CatBoostClassifier_score_X_valid")
    auc = roc_auc_score(y_valid, model.predict_proba(X_valid)[:, 1])
    assert run.last("roc_auc_score_X_valid") == auc
    assert run.plots["feature_importance"]["columns"]["importance"][0] == max(
        model.feature_importances_
    )


def test_catboost_train_and_pools(tracker):
    pool = catboost.Pool(X_train, y_train)
    params = {"loss_function": "Logloss", "iterations": 3, "allow_writing_files": False}
    catboost.train(pool, params, verbose=False)
    (run,) = tracker.runs
    assert run.inputs == [("pool", "train", "Pool")]
    assert curve(run, "learn-Logloss")


def test_catboost_cross_validation(tracker):
    pool = catboost.Pool(X_train, y_train)
    table = catboost.cv(
        pool, {"loss_function": "Logloss", "iterations": 3}, fold_count=2, verbose=False
    )
    (run,) = tracker.runs
    assert run.name == "CatBoost cv"
    assert curve(run, "test-Logloss-mean") == pytest.approx(list(table["test-Logloss-mean"]))
    assert run.params["fold_count"] == "2"


# ------------------------------------------------------------------------- through scikit-learn


@pytest.mark.parametrize("wrap", [lambda model: model, partial(make_pipeline, StandardScaler())])
def test_estimators_are_one_run_with_their_curves(tracker, wrap):
    xgb = xgboost.XGBClassifier(n_estimators=ROUNDS, max_depth=2, n_jobs=1)
    lgbm = lightgbm.LGBMClassifier(n_estimators=ROUNDS, num_leaves=4, verbose=-1, n_jobs=1)
    cat = Cat(n_estimators=ROUNDS)
    given = [
        (xgb, {"eval_set": [(X_valid, y_valid)], "verbose": False}),
        (lgbm, {"eval_X": (X_valid,), "eval_y": (y_valid,)}),
        (cat, {"eval_set": (X_valid, y_valid)}),
    ]
    for model, more in given:
        whole = wrap(model)
        prefix = "" if whole is model else f"{whole.steps[-1][0]}__"
        whole.fit(X_train, y_train, **{f"{prefix}{key}": value for key, value in more.items()})
    assert [run.parent for run in tracker.runs] == [None] * 3
    names = ("validation_0-logloss", "valid_0-binary_logloss", "validation-Logloss")
    for run, name in zip(tracker.runs, names, strict=True):
        assert len(run.metrics[name]) == ROUNDS
        assert run.plots["feature_importance"]["columns"]["feature"]
        assert ("eval", True) in {(context, bool(name)) for name, context, _ in run.inputs}


def test_estimators_are_kept_in_the_format_of_their_library(tracker):
    xgboost.XGBClassifier(n_estimators=2, n_jobs=1).fit(X_train, y_train)
    lightgbm.LGBMClassifier(n_estimators=2, verbose=-1).fit(X_train, y_train)
    Cat(n_estimators=2).fit(X_train, y_train)
    assert [run.models[0][1] for run in tracker.runs] == ["xgboost", "lightgbm", "catboost"]
    assert [run.tags["mlflow.autologging"] for run in tracker.runs] == [
        "xgboost",
        "lightgbm",
        "catboost",
    ]


def test_params_that_were_not_given_are_not_told_as_chosen(tracker):
    xgboost.XGBClassifier(n_estimators=2, n_jobs=1).fit(X_train, y_train)
    (run,) = tracker.runs
    assert sorted(run.highlights) == ["n_estimators", "n_jobs"]


def test_a_search_tells_of_the_iterations_of_the_model_that_it_keeps(tracker):
    grid = {"max_depth": [1, 2]}
    estimator = xgboost.XGBClassifier(n_estimators=2, n_jobs=1)
    GridSearchCV(estimator, grid, cv=2).fit(
        X_train, y_train, eval_set=[(X_valid, y_valid)], verbose=False
    )
    (parent,) = (run for run in tracker.runs if run.parent is None)
    assert [step for step, _ in parent.metrics["validation_0-logloss"]] == [0, 1]
    assert len(tracker.runs) == 3


# -------------------------------------------------------------------------------------- choices


def test_every_nth_iteration(tracker, monkeypatch):
    monkeypatch.setattr(options, "_chosen", {"xgboost": options.Options(log_every_n_steps=5)})
    dtrain, _ = matrices()
    xgboost.train(XGB, dtrain, ROUNDS, evals=[(dtrain, "train")], verbose_eval=False)
    (run,) = tracker.runs
    assert [step for step, _ in run.metrics["train-logloss"]] == [0, 5, 10]


def test_two_trainings_in_the_users_run(tracker):
    tracker.active = tracker.begin_run("mine")
    dtrain, _ = matrices()
    for depth in (1, 2):
        xgboost.train(
            XGB | {"max_depth": depth}, dtrain, 2, evals=[(dtrain, "t")], verbose_eval=False
        )
    (run,) = tracker.runs
    assert run.params["max_depth"] == "1"
    assert run.params["XGBoost-2.max_depth"] == "2"
    assert len(run.metrics["t-logloss"]) == len(run.metrics["XGBoost-2.t-logloss"]) == 2
    assert run.status is None


def test_one_library_alone():
    from sklearn.linear_model import LogisticRegression

    tracker = FakeTracker()
    autologging.enable(tracker, "xgboost")
    try:
        assert autologging.status()["sklearn"].reason == "not enabled"
        LogisticRegression(max_iter=10_000).fit(X_train, y_train)
        lightgbm.LGBMClassifier(n_estimators=1, verbose=-1).fit(X_train, y_train)
        model = xgboost.XGBClassifier(n_estimators=1, n_jobs=1).fit(X_train, y_train)
        roc_auc_score(y_valid, model.predict(X_valid))
    finally:
        autologging.disable()
    (run,) = tracker.runs
    assert run.name == "XGBClassifier"
    assert "roc_auc_score_X_valid" in run.metrics
    xgboost.XGBClassifier(n_estimators=1, n_jobs=1).fit(X_train, y_train)
    assert len(tracker.runs) == 1


def test_all_but_one_library():
    tracker = FakeTracker()
    autologging.enable(tracker)
    try:
        autologging.disable("xgboost")
        xgboost.XGBClassifier(n_estimators=1, n_jobs=1).fit(X_train, y_train)
        xgboost.train(XGB, matrices()[0], 1)
        assert tracker.runs == []
        lightgbm.LGBMClassifier(n_estimators=1, verbose=-1).fit(X_train, y_train)
        assert [run.name for run in tracker.runs] == ["LGBMClassifier"]
    finally:
        autologging.disable()


# ------------------------------------------------------------------------------ a real database


@pytest.fixture
def client(tmp_path: Path):
    nbtrack.set_tracking_uri(tmp_path / "nbtrack.db")
    nbtrack.autolog()
    yield nbtrack.Client(tmp_path / "nbtrack.db")
    nbtrack.autolog(disable=True)


def test_models_come_back(client):
    dtrain, dvalid = matrices()
    booster = xgboost.train(XGB, dtrain, ROUNDS)
    expected = booster.predict(dvalid)
    other = lightgbm.train(LGB, lightgbm.Dataset(X_train, y_train), ROUNDS)
    model = Cat(n_estimators=3).fit(X_train, y_train)
    client.flush()
    runs = client.search_runs(["0"], order_by=["start_time"])
    loaded = [nbtrack.load_model(f"runs:/{run.info.run_id}/model") for run in runs]
    assert loaded[0].predict(dvalid) == pytest.approx(expected)
    assert loaded[1].predict(X_valid) == pytest.approx(other.predict(X_valid))
    assert loaded[2].predict_proba(X_valid) == pytest.approx(model.predict_proba(X_valid))
    digests = [run.inputs.dataset_inputs[0].dataset.digest for run in runs]
    assert all(digests)


def test_the_same_training_again_is_noticed(client):
    dtrain, _ = matrices()
    for _ in range(2):
        xgboost.train(XGB, dtrain, 2)
    xgboost.train(XGB, matrices()[1], 2)
    client.flush()
    runs = client.search_runs(["0"], order_by=["start_time"])
    digests = [run.inputs.dataset_inputs[0].dataset.digest for run in runs]
    assert digests[0] == digests[1] != digests[2]


def test_adopt(tmp_path: Path):
    nbtrack.set_tracking_uri(tmp_path / "nbtrack.db")
    dtrain, dvalid = matrices()
    booster = xgboost.train(XGB, dtrain, ROUNDS)
    run = nbtrack.adopt(booster)
    assert run.data.params["max_depth"] == "2"
    assert run.data.tags["nbtrack.adopted"] == "True"
    loaded = nbtrack.load_model(f"runs:/{run.run_id}/model")
    assert loaded.predict(dvalid) == pytest.approx(booster.predict(dvalid))
    other = lightgbm.train(LGB, lightgbm.Dataset(X_train, y_train), 3)
    assert nbtrack.adopt(other).data.params["num_leaves"] == "4"
    assert nbtrack.adopt(Cat(n_estimators=2).fit(X_train, y_train)).data.params["depth"] == "2"
    with pytest.raises(nbtrack.errors.InvalidParameterError, match="is not fitted"):
        nbtrack.adopt(Cat())
    client = nbtrack.Client(tmp_path / "nbtrack.db")
    assert {run.info.status for run in client.search_runs(["0"])} == {"FINISHED"}
