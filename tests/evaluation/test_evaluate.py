"""``nbtrack.evaluate``: the numbers, what is logged, and what is refused."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

import nbtrack
from nbtrack.errors import InvalidParameterError, NotFoundError, UntrustedModelError


@pytest.fixture(autouse=True)
def _database(workdir: Path) -> None:
    nbtrack.set_tracking_uri(str(workdir / "nbtrack.db"))


def split(load: Any, names: bool = False) -> tuple[Any, ...]:
    X, y = load(return_X_y=True, as_frame=True)
    if names:
        y = pd.Series(load().target_names[y], name="target")
    return train_test_split(X, y, random_state=0)


CASES = {
    "binary by name": (load_breast_cancer, LogisticRegression(max_iter=5000), True, {}),
    "other positive": (
        load_breast_cancer,
        LogisticRegression(max_iter=5000),
        True,
        {"pos_label": "benign"},
    ),
    "first is positive": (load_breast_cancer, RandomForestClassifier(9), False, {"pos_label": 0}),
    "weights": (load_breast_cancer, RandomForestClassifier(9), False, {"sample_weights": True}),
    "several": (load_iris, make_pipeline(StandardScaler(), LogisticRegression()), False, {}),
    "several by name": (load_iris, RandomForestClassifier(9), True, {"metric_prefix": "val_"}),
    "macro": (load_iris, LogisticRegression(max_iter=500), True, {"average": "macro"}),
    "micro": (load_iris, LogisticRegression(max_iter=500), False, {"average": "micro"}),
    "several with weights": (load_iris, RandomForestClassifier(9), False, {"sample_weights": True}),
    "no probabilities": (load_iris, LinearSVC(), False, {}),
    "regressor": (load_diabetes, LinearRegression(), False, {}),
    "regressor with weights": (load_diabetes, LinearRegression(), False, {"sample_weights": True}),
}

BY_MLFLOW = """
import json, logging, sys, warnings
warnings.simplefilter("ignore")
import matplotlib
matplotlib.use("agg")
import mlflow, pandas as pd
logging.disable(logging.CRITICAL)
mlflow.set_tracking_uri("sqlite:///mlflow.db")
found = {}
for name, case in json.load(open("cases.json")).items():
    data = pd.read_json(case["data"], orient="split", precise_float=True)
    with mlflow.start_run():
        result = mlflow.models.evaluate(
            case["model"],
            data,
            targets="target",
            model_type=case["kind"],
            evaluator_config={**case["config"], "log_model_explainability": False},
        )
    table = result.artifacts.get(case["config"].get("metric_prefix", "") + "per_class_metrics")
    table = result.artifacts.get("per_class_metrics", table)
    found[name] = {
        "metrics": {key: float(value) for key, value in result.metrics.items()},
        "classes": None if table is None else json.loads(table.content.to_json(orient="records")),
    }
json.dump(found, open("found.json", "w"))
"""


@pytest.mark.mlflow
def test_metrics_are_those_of_mlflow(mlflow_python: str, workdir: Path) -> None:
    ours, cases = {}, {}
    for number, (name, (load, model, names, options)) in enumerate(CASES.items()):
        X, X_test, y, y_test = split(load, names)
        kind = "regressor" if load is load_diabetes else "classifier"
        nbtrack.sklearn.save_model(model.fit(X, y), workdir / f"m{number}")
        data = X_test.assign(target=y_test).reset_index(drop=True)
        config = dict(options)
        if config.get("sample_weights"):
            config["sample_weights"] = [1 + i % 3 for i in range(len(data))]
        data.to_json(workdir / f"d{number}.json", orient="split", double_precision=15)
        data = pd.read_json(workdir / f"d{number}.json", orient="split", precise_float=True)
        ours[name] = nbtrack.evaluate(
            str(workdir / f"m{number}"),
            data,
            targets="target",
            model_type=kind,
            evaluator_config=config,
        )
        cases[name] = {
            "model": f"m{number}",
            "data": f"d{number}.json",
            "kind": kind,
            "config": config,
        }
    (workdir / "cases.json").write_text(json.dumps(cases))
    subprocess.run([mlflow_python, "-c", BY_MLFLOW], check=True, cwd=workdir)
    theirs = json.loads((workdir / "found.json").read_text())
    for name, result in ours.items():
        assert result.metrics == pytest.approx(theirs[name]["metrics"], rel=1e-9), name
        if theirs[name]["classes"] is not None:
            table = result.tables["per_class_metrics"].to_dict(orient="records")
            for mine, its in zip(table, theirs[name]["classes"], strict=True):
                assert mine.pop("positive_class") == its.pop("positive_class")
                assert mine == pytest.approx(its, rel=1e-9), name
        else:
            assert "per_class_metrics" not in result.tables


def fitted() -> tuple[Any, pd.DataFrame]:
    X, X_test, y, y_test = split(load_breast_cancer)
    return LogisticRegression(max_iter=5000).fit(X, y), X_test.assign(target=y_test)


def test_it_is_logged_to_the_active_run() -> None:
    model, data = fitted()
    with nbtrack.start_run() as run:
        result = nbtrack.evaluate(model, data, targets="target", model_type="classifier")
        assert nbtrack.active_run() is run
    found = nbtrack.get_run(run.run_id)
    assert result.run_id == run.run_id
    assert found.data.metrics == result.metrics
    (used,) = found.inputs.dataset_inputs
    assert used.dataset.profile
    paths = {info.path for info in nbtrack.Client().list_artifacts(run.run_id, "plots")}
    kinds = {"calibration_curve", "confusion_matrix", "precision_recall_curve", "roc_curve"}
    assert paths == {f"plots/{kind}_eval.json" for kind in kinds}
    assert set(result.tables) == kinds
    assert result.tables["confusion_matrix"]["count"].sum() == len(data)


def test_a_run_begins_and_ends_if_none_is_active() -> None:
    model, data = fitted()
    result = nbtrack.evaluate(model, data, targets="target", model_type="classifier")
    assert nbtrack.active_run() is None
    assert nbtrack.get_run(result.run_id).info.status == "FINISHED"


def test_all_forms_of_a_model_give_the_same() -> None:
    model, data = fitted()
    X = data.drop(columns="target")
    with nbtrack.start_run():
        nbtrack.sklearn.log_model(model, registered_model_name="cancer", await_registration_for=60)
        uri = f"runs:/{nbtrack.active_run().run_id}/model"
    nbtrack.flush()

    def measure(model: Any, data: Any = data, targets: Any = "target", **given: Any) -> Any:
        return nbtrack.evaluate(
            model, data, targets=targets, model_type="classifier", **given
        ).metrics

    class Pyfunc:
        def predict(self, data: Any) -> Any:
            return model.predict(data)

    class Wrapped(Pyfunc):
        def get_raw_model(self) -> Any:
            return model

    full = measure(model)
    assert full["score"] == full["accuracy_score"]
    for form in (uri, "models:/cancer/1", nbtrack.pyfunc.load_model(uri), Wrapped()):
        assert measure(form) == full
    assert measure(model, X, data.target) == full
    assert measure(model, nbtrack.data.from_pandas(data, targets="target"), None) == full
    named = measure(
        model, X.to_numpy(), data.target.to_numpy(), feature_names=[str(c) for c in X.columns]
    )
    assert named == pytest.approx(full, rel=1e-12)
    odd = X.assign(source=1, digest="x", name="y", to_json=2)  # no dataset, but a frame
    chosen = [str(c) for c in X.columns]
    assert measure(model, odd, data.target, feature_names=chosen) == full
    without = {name: full[name] for name in measure(Pyfunc())}
    assert set(full) - set(without) == {"score", "log_loss", "roc_auc", "precision_recall_auc"}
    said = data.assign(said=model.predict(X))
    assert measure(model.predict, X, data.target) == without
    assert measure(lambda frame: model.predict(frame).tolist()) == without
    assert measure(None, said, predictions="said") == without
    assert measure(None, None, data.target, predictions=said.said) == without


def test_autologging_takes_no_notice() -> None:
    nbtrack.sklearn.autolog()
    try:
        X, X_test, y, y_test = split(load_iris)
        model = LogisticRegression(max_iter=500).fit(X, y)
        run_id = nbtrack.last_active_run().info.run_id
        before = nbtrack.get_run(run_id).data.metrics
        nbtrack.evaluate(model, X_test, targets=y_test, model_type="classifier")
        assert nbtrack.get_run(run_id).data.metrics == before
    finally:
        nbtrack.autolog(disable=True)


def test_a_class_that_the_data_lacks() -> None:
    X, _, y, _ = split(load_iris)
    model = LogisticRegression(max_iter=500).fit(X, y)
    few = X.assign(target=y)[y < 2]
    result = nbtrack.evaluate(model, few, targets="target", model_type="classifier")
    assert result.metrics["accuracy_score"] > 0.9
    assert "roc_auc" not in result.metrics  # it needs rows of each class
    assert result.tables["per_class_metrics"]["positive_class"].tolist() == [0, 1, 2]


def test_residuals_and_outputs() -> None:
    X = np.arange(20.0).reshape(-1, 2)
    model = LinearRegression().fit(X, X * 2)
    result = nbtrack.evaluate(model, X, targets=X * 2 + 1, model_type="regressor")
    assert result.metrics["mean_absolute_error"] == pytest.approx(1)
    assert "max_error" not in result.metrics
    assert len(result.tables["residuals"]) == 20
    one = nbtrack.evaluate(lambda rows: rows[:, 0], X[:1], targets=[3.0], model_type="regressor")
    assert one.metrics["max_error"] == 3
    assert "r2_score" not in one.metrics


def test_somebody_elses_model_is_not_run(workdir: Path) -> None:
    model, data = fitted()
    nbtrack.sklearn.save_model(model, workdir / "m")
    (workdir / "m" / "model.pkl").write_bytes(b"cos\nsystem\n(S'touch hacked'\ntR.")
    with pytest.raises(UntrustedModelError):
        nbtrack.evaluate(workdir / "m", data, targets="target", model_type="classifier")
    assert not (workdir / "hacked").exists()


def refused(message: str, kind: type[Exception] = InvalidParameterError, **given: Any) -> None:
    with pytest.raises(kind, match=message):
        nbtrack.evaluate(
            **{
                "model": lambda rows: rows[:, 0],
                "data": np.array([[0], [1], [1]]),
                "targets": [0, 1, 0],
                "model_type": "classifier",
                **given,
            }
        )
    assert nbtrack.active_run() is None


def test_what_cannot_be_is_refused() -> None:
    frame = pd.DataFrame({"x": [0, 1], "y": [0, 1]})
    refused("no model_type 'ranker'", model_type="ranker")
    refused("no model_type None", model_type=None)
    refused("either a model or predictions", model=None)
    refused("either a model or predictions", predictions=[0, 1, 0])
    refused("has no explain", evaluator_config={"explain": True})
    refused("has no pos_label", model_type="regressor", evaluator_config={"pos_label": 1})
    refused("needs targets", targets=None)
    refused("3 targets for 2 rows", data=[[1], [2]])
    refused("1 predictions for 3 targets", model=lambda rows: [1])
    refused("no predictions for 3 targets", model=lambda rows: 7)
    refused("ZeroDivisionError", model=lambda rows: 1 / 0)
    refused("does not predict", model=object())
    refused("no column 'z'", data=frame, targets="z")
    refused("no column 'w'", data=frame, targets="y", feature_names=["w"])
    refused("has no columns", targets="z")
    refused("feature_names for an array", feature_names=["a", "b"])
    refused("needs two classes", model=lambda rows: rows[:, 0] * 0, targets=[0, 0, 0])
    refused("not in the label_list", evaluator_config={"label_list": [1, 2]})
    refused("pos_label 5", evaluator_config={"pos_label": 5})
    refused("no average 'best'", evaluator_config={"average": "best"})
    refused("have no order", targets=["a", "b", "a"])
    refused("cannot be compared", model_type="regressor", targets=["a", "b", "a"])
    refused("2 sample_weights for 3", evaluator_config={"sample_weights": [1, 2]})
    refused("to be numbers", evaluator_config={"sample_weights": ["a", "b", "c"]})
    refused("one label for a row", targets=[[0, 1], [1, 0], [1, 1]])
    refused("one label for a row", model=lambda rows: np.eye(3))
    assert nbtrack.search_runs().empty  # nothing is begun for what fails
    refused("no rows", data=np.empty((0, 1)), targets=[])
    refused("MLmodel", NotFoundError, model="nowhere")
