# X is what scikit-learn calls it
"""A metric on data that was fitted is called so; rows that were fitted are counted in a test."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score

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
    text = "10 of the 30 rows of X_test were in the training data."
    assert notices(run) == {LEAKAGE: text}
    X_valid = X_train[:5]
    model.score(X_valid, y[:5])
    assert notices(run)[LEAKAGE] == f"{text} 5 of the 5 rows of X_valid were in the training data."


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
