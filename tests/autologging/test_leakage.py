# X is what scikit-learn calls it
"""A metric on data that was fitted is called so; rows that were fitted are counted in a test."""

import itertools
import linecache

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nbtrack.autologging.options import Options, choose, forget

generator = np.random.default_rng(0)
X = generator.normal(size=(100, 3))
y = (X[:, 0] > 0).astype(int)
TRAINING = "nbtrack.notice.training_metric"
LEAKAGE = "nbtrack.notice.leakage"


def notices(run):
    return {key: text for key, text in run.tags.items() if key.startswith("nbtrack.notice.")}


def test_metrics_of_the_training_data(tracker):
    X_train, y_train = X[:80], y[:80]
    model = LogisticRegression().fit(X_train, y_train)
    (run,) = tracker.runs
    assert notices(run) == {}
    model.score(X_train, y_train)
    said = "Computed on the data that was fitted: LogisticRegression_score_X_train"
    assert notices(run) == {TRAINING: f"{said}."}
    accuracy_score(y_train, model.predict(X_train))
    again = X_train.copy()
    f1_score(y_train, model.predict(again))
    f1_score(y_train, model.predict(again))
    assert notices(run) == {TRAINING: f"{said}, accuracy_score_X_train, f1_score_again."}


def test_rows_that_were_fitted(tracker):
    X_train, X_test = pd.DataFrame(X[:80]), pd.DataFrame(X[70:])
    model = LogisticRegression().fit(X_train, y[:80])
    predicted = model.predict(X_test)
    (run,) = tracker.runs
    assert notices(run) == {}
    accuracy_score(y[70:], predicted)
    model.score(X_test, y[70:])
    text = "10 of the 30 rows of X_test (33%) were in the training data."
    assert notices(run) == {LEAKAGE: text}
    X_valid = X_train[:5]
    model.score(X_valid, y[:5])
    more = "5 of the 5 rows of X_valid (100%) were in the training data."
    assert notices(run)[LEAKAGE] == f"{text} {more}"


# What is fitted, and what is predicted: with the ten rows from 70 in both, or all of the fitted.
SHARED = {
    "arrays without a name": ("fit(X[:80] + 0, y[:80])", "score(X[70:] + 0, y[70:])"),
    "rows by their numbers": (
        "fit(X[list(range(80))], y[:80])",
        "score(X[list(range(70, 100))], y[70:])",
    ),
    "lists": ("fit(X[:80].tolist(), y[:80])", "score(X[70:].tolist(), y[70:])"),
    "a list and an array": ("fit(X[:80].tolist(), y[:80])", "score(X[70:], y[70:])"),
    "an array and a list": ("fit(X_train, y[:80])", "score(X[70:].tolist(), y[70:])"),
    "columns of a frame": (
        "fit(frame[[0, 1, 2]][:80], y[:80])",
        "score(frame[[0, 1, 2]][70:], y[70:])",
    ),
    "a frame and its array": ("fit(frame[:80], y[:80])", "score(frame[70:].to_numpy(), y[70:])"),
    "polars": ("fit(polars[:80], y[:80])", "score(polars[70:], y[70:])"),
    "sparse matrices": ("fit(sparse[:80], y[:80])", "score(sparse[70:], y[70:])"),
    "predictions": ("fit(X[:80] + 0, y[:80])", "predict(X[70:] + 0)"),
    "a search": ("fit(X[:80] + 0, y[:80])", "score(X[70:] + 0, y[70:])"),
    "a pipeline": ("fit(X[:80] + 0, y[:80])", "score(X[70:] + 0, y[70:])"),
    "functions": (
        "fit(X[:80] + 0, y[:80])",
        "score(X[70:] + 0, y[70:])",
    ),
    "splits in the call": (
        "fit(*halves(X[:80] + 0, y[:80]))",
        "score(X[70:] + 0, y[70:])",
    ),
}


@pytest.mark.parametrize("name", SHARED)
@pytest.mark.filterwarnings("ignore:X (has|does not have) .*feature names")
def test_rows_in_both_however_they_are_held(tracker, name):
    fit, ask = SHARED[name]
    model = LogisticRegression()
    if name == "a search":
        model = GridSearchCV(model, {"C": [1.0]}, cv=2)
    if name == "a pipeline":
        model = make_pipeline(StandardScaler(), model)
    frame = pd.DataFrame(X)
    space = {
        "model": model, "X": X, "y": y, "X_train": X[:80], "frame": frame,
        "polars": pl.DataFrame(X), "sparse": csr_array(X), "accuracy_score": accuracy_score,
        "halves": lambda *data: data,
    }  # fmt: skip
    call = f"model.{ask}" if "score" in ask else f"accuracy_score(y[70:], model.{ask})"
    text = f"model.{fit}\n{call}"
    if name == "functions":
        text = f"def train(X):\n    X = X + 0\n    model.fit(X[:80], y[:80])\ntrain(X)\n{call}"
    run_cell(text, space)
    run = tracker.runs[0]
    assert notices(run)[LEAKAGE].startswith("10 of the 30 rows of "), notices(run)
    assert "(33%)" in notices(run)[LEAKAGE]
    assert TRAINING not in notices(run)


@pytest.mark.parametrize("hold", ["{}.tolist()", "{} + 0", "pd.DataFrame({})"])
def test_the_very_data_without_a_name(tracker, hold):
    space = {"model": LogisticRegression(), "X": X, "y": y, "pd": pd}
    given = hold.format("X")
    run_cell(f"model.fit({given}, y)\nmodel.score({given}, y)", space)
    assert list(notices(tracker.runs[0])) == [TRAINING]


def test_texts(tracker):
    texts = [f"word{i} and some more" for i in range(50)]
    model = make_pipeline(CountVectorizer(), LogisticRegression()).fit(texts[:40], [0, 1] * 20)
    model.score(pd.Series(texts[35:]), [0, 1, 0] * 5)
    text = "5 of the 15 rows of texts (33%) were in the training data."
    assert notices(tracker.runs[0]) == {LEAKAGE: text}


def test_rows_that_repeat_within_the_training_data(tracker):
    X_train = np.vstack([X[:76], X[:4]])
    X_test = np.vstack([X[80:], X[:1]])
    model = LogisticRegression().fit(X_train, (X_train[:, 0] > 0).astype(int))
    model.score(X_test, (X_test[:, 0] > 0).astype(int))
    text = (
        "1 of the 21 rows of X_test (4.8%) were in the training data, where 5.0% of the rows "
        "repeat others."
    )
    assert notices(tracker.runs[0]) == {LEAKAGE: text}


def test_discrete_data_gives_no_alarm(tracker):
    data = generator.integers(0, 3, size=(300, 3))
    target = (data[:, 0] > 0).astype(int)
    LogisticRegression().fit(data[:200], target[:200]).score(data[200:], target[200:])
    assert notices(tracker.runs[0]) == {}


def test_a_loop_over_batches_is_not_compared_for_ever(tracker, monkeypatch):
    from nbtrack.provenance import overlap as module

    calls, original = [], module.overlap
    monkeypatch.setattr(module, "overlap", lambda *a: calls.append(a) or original(*a))
    model = LogisticRegression().fit(X[:50], y[:50])
    batches = [X[50 + i : 52 + i] for i in range(40)]
    for batch in batches:
        model.score(batch, [0, 1])
    assert len(calls) == 20


_numbers = itertools.count()


def run_cell(text, space):
    filename = f"<leakage {next(_numbers)}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    exec(compile(text, filename, "exec"), {"__name__": "__main__", **space})


def test_no_notice_without_a_reason(tracker):
    X_train, X_test = X[:80], X[80:]
    model = LogisticRegression().fit(X_train, y[:80])
    accuracy_score(y[80:], model.predict(X_test))
    model.score(X_test, y[80:])
    f1_score(y[80:], (model.predict_proba(X_test)[:, 1] > 0.5).astype(int))
    model.score(X_test.tolist(), y[80:])
    assert notices(tracker.runs[0]) == {}


@pytest.mark.parametrize("chosen", [{"silent": True}, {"log_post_training_metrics": False}])
def test_when_nothing_is_to_be_said(tracker, chosen):
    choose(Options(**chosen), "sklearn")
    try:
        model = LogisticRegression().fit(X, y)
        model.score(X, y)
    finally:
        forget()
    assert notices(tracker.runs[0]) == {}
