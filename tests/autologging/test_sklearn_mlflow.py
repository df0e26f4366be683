"""Beside MLflow's own autologging: the same names of params and training metrics, and values."""

import json
import subprocess
import textwrap

import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

WORK = """
import json, os, tempfile, warnings
warnings.simplefilter("ignore")
os.chdir(tempfile.mkdtemp())
import mlflow
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor
mlflow.set_tracking_uri("sqlite:///mlflow.db")
mlflow.sklearn.autolog(log_models=False, silent=True)
found = []
for model, load in {models}:
    X, y = load(return_X_y=True)
    with mlflow.start_run() as run:
        model.fit(X, y)
    data = mlflow.get_run(run.info.run_id).data
    found.append([data.params, data.metrics, data.tags])
print("RESULT" + json.dumps(found))
"""
MODELS = """[
    (LogisticRegression(max_iter=20, C=0.5), load_iris),
    (LogisticRegression(max_iter=20), load_breast_cancer),
    (DecisionTreeClassifier(max_depth=2, random_state=0), load_iris),
    (LinearRegression(), load_diabetes),
    (DecisionTreeRegressor(max_depth=2, random_state=0), load_diabetes),
]"""


@pytest.mark.mlflow
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_names_and_values_are_those_of_mlflow(tracker, mlflow_python):
    code = textwrap.dedent(WORK).replace("{models}", MODELS)
    done = subprocess.run([mlflow_python, "-c", code], capture_output=True, text=True, check=True)
    theirs = json.loads(done.stdout.partition("RESULT")[2])
    names = {
        value.__name__: value
        for value in (
            LogisticRegression,
            LinearRegression,
            DecisionTreeClassifier,
            DecisionTreeRegressor,
            load_breast_cancer,
            load_diabetes,
            load_iris,
        )
    }
    for model, load in eval(MODELS, names):
        model.fit(*load(return_X_y=True))
    assert len(tracker.runs) == len(theirs)
    for run, (params, metrics, tags) in zip(tracker.runs, theirs, strict=True):
        assert run.params == params
        assert {key: run.last(key) for key in metrics} == pytest.approx(metrics, rel=1e-6)
        ours = {key for key in run.metrics if key.startswith("training_")}
        assert ours == set(metrics)
        for tag in ("estimator_name", "estimator_class"):
            assert run.tags[tag] == tags[tag]
