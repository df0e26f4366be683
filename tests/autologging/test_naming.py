"""What users call their data, wherever it is predicted: snippets as they write them."""

from __future__ import annotations

import itertools
import linecache
from typing import Any

import pytest

PRELUDE = """
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
rng = np.random.default_rng(0)
X = rng.normal(size=(80, 3))
y = (X[:, 0] > 0).astype(int)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
scaler = StandardScaler()
scaler = StandardScaler.fit(scaler, X_train)
model = LogisticRegression().fit(X_train, y_train)
"""
EVALUATE = """
def evaluate(model, features, labels):
    return log_loss(labels, model.predict_proba(features))
"""
CALLS = """
evaluate(model, X_train, y_train)
evaluate(model, X_test, y_test)
"""
BOTH = ["log_loss_X_test", "log_loss_X_train"]
SNIPPETS = {
    "a function": (EVALUATE + CALLS, BOTH),
    "keywords": (
        EVALUATE + "evaluate(labels=y_test, features=X_test, model=model)",
        ["log_loss_X_test"],
    ),
    "only keywords": (
        """
def evaluate(*, features, labels):
    return log_loss(labels, model.predict_proba(X=features))
evaluate(features=X_test, labels=y_test)
""",
        ["log_loss_X_test"],
    ),
    "a default": (
        """
def evaluate(model, features=X_test, labels=y_test):
    return log_loss(labels, model.predict_proba(features))
evaluate(model)
""",
        ["log_loss_X_test"],
    ),
    "functions in functions": (
        """
def probabilities(m, data):
    return m.predict_proba(data)
def evaluate(model, features, labels):
    p = probabilities(model, features)
    return log_loss(labels, p)
def report(m, Z, t):
    return evaluate(m, Z, labels=t)
report(model, X_train, y_train)
report(model, X_test, y_test)
""",
        BOTH,
    ),
    "arguments handed on": (
        """
def timed(function):
    def timing(*args, **kwargs):
        return function(*args, **kwargs)
    return timing
@timed
def evaluate(model, features, labels):
    return log_loss(labels, model.predict_proba(features))
"""
        + CALLS
        + "evaluate(model, labels=y_test, features=X_test)",
        ["log_loss_X_test", *BOTH],
    ),
    "data in *args": (
        EVALUATE + "pair = X_test, y_test\nevaluate(model, *pair)",
        ["log_loss_X_test"],
    ),
    "a method": (
        """
class Trainer:
    def __init__(self, model, X_test, y_test):
        self.model, self.X_test, self.y_test = model, X_test, y_test
    def loss(self, features, labels):
        return log_loss(labels, self.model.predict_proba(features))
    def own(self):
        return self.loss(self.X_test, self.y_test)
    def __call__(self, Z, t):
        return accuracy_score(t, self.model.predict(Z))
trainer = Trainer(model, X_test[:9], y_test[:9])
trainer.own()
trainer.loss(X_train, y_train)
trainer(X_train, y_train)
Trainer.loss(trainer, X_train, y_train)
""",
        ["accuracy_score_X_train", "log_loss_X_test", "log_loss_X_train", "log_loss_X_train"],
    ),
    "a lambda": (
        "loss = lambda A, b: log_loss(b, model.predict_proba(A))\nloss(X_test, y_test)",
        ["log_loss_X_test"],
    ),
    "score in a function": (
        "def score(m, data, target):\n    return m.score(data, target)\n"
        "score(model, X_train, y_train)\nscore(model, X_test, y_test)",
        ["LogisticRegression_score_X_test", "LogisticRegression_score_X_train"],
    ),
    "a loop over a dict of pairs": (
        """
splits = {"train": (X_train, y_train), "test": (X_test, y_test)}
for name, (X_, y_) in splits.items():
    log_loss(y_, model.predict_proba(X_))
""",
        BOTH,
    ),
    "a comprehension": (
        "scores = [log_loss(t, model.predict_proba(Z)) "
        "for Z, t in [(X_train, y_train), (X_test, y_test)]]",
        BOTH,
    ),
    "a comprehension whose variable is called like another": (
        "Z = X_train\n"
        "[log_loss(t, model.predict_proba(scaler.transform(Z))) for Z, t in [(X_test, y_test)]]",
        ["log_loss_X_test"],
    ),
    "a comprehension that calls a function": (
        EVALUATE + "{n: evaluate(model, Z, t) for n, Z, t in "
        "[('a', X_train, y_train), ('b', X_test, y_test)]}",
        BOTH,
    ),
    "a transformed loop variable": (
        """
for part, target in ((X_train, y_train), (X_test, y_test)):
    log_loss(target, model.predict_proba(scaler.transform(part)))
""",
        BOTH,
    ),
    "a loop over what has no name": (
        """
parts = {"a": (X_test[:10], y_test[:10]), "b": (X_test[10:], y_test[10:])}
for again in range(2):
    for name, (Z, t) in parts.items():
        accuracy_score(t, model.predict(Z))
""",
        ["accuracy_score_Z", "accuracy_score_Z", "accuracy_score_Z-2", "accuracy_score_Z-2"],
    ),
    "items of a dict": (
        "data = {'test': X_test[:9], 'train': X_train[:9]}\n"
        "for k in (1, 2):\n    model.score(data['test'], y_test[:9])\n"
        "model.score(data['train'], y_train[:9])",
        [
            "LogisticRegression_score_data.test",
            "LogisticRegression_score_data.test",
            "LogisticRegression_score_data.train",
        ],
    ),
    "other forms of the same rows": (
        """
def evaluate(model, features, labels):
    features = np.asarray(features)
    scaled = scaler.transform(features)
    return log_loss(labels, model.predict_proba(scaled))
"""
        + CALLS,
        BOTH,
    ),
    "data of a function": (
        """
def main(X, y):
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
    first = X_train[:5]
    model.score(X_test, y_test)
    model.score(first, y_train[:5])
    return model.score(X_train, y_train)
main(X, y)
""",
        [
            "LogisticRegression_score_X_test",
            "LogisticRegression_score_X_train",
            "LogisticRegression_score_first",
        ],
    ),
    "a library in between": (
        EVALUATE + "from functools import partial, reduce\n"
        "list(map(partial(evaluate, model), [X_train, X_test], [y_train, y_test]))",
        BOTH,
    ),
    "threads": (
        EVALUATE + "from concurrent.futures import ThreadPoolExecutor\n"
        "with ThreadPoolExecutor(1) as pool:\n"
        "    list(pool.map(evaluate, [model] * 2, [X_train, X_test], [y_train, y_test]))",
        BOTH,
    ),
    "frames": (
        """
frame = pd.DataFrame(X_test).assign(y=y_test)
old = LogisticRegression().fit(frame.drop("y", axis=1).to_numpy(), y_test)
def evaluate(df):
    return accuracy_score(df["y"], old.predict(df.drop("y", axis=1).values))
evaluate(frame)
accuracy_score(frame.y, old.predict(frame.iloc[:, :3].values))
""",
        ["accuracy_score-2_frame", "accuracy_score_frame"],
    ),
    "a function that predicts, and makes something new": (
        """
def hard(m, data):
    return (m.predict_proba(data)[:, 1] > 0.4) + 0
accuracy_score(y_test, hard(model, X_test))
labels = hard(model, data=X_train)
accuracy_score(y_train, labels)
""",
        ["accuracy_score_X_test", "accuracy_score_X_train"],
    ),
    "nothing is known": (
        EVALUATE + "def load():\n    return X_test + 0\nevaluate(model, load(), y_test)",
        ["log_loss_unknown_dataset"],
    ),
    "a closure": (
        """
def make(data):
    def inner(target):
        return log_loss(target, model.predict_proba(data))
    return inner(y_test)
make(X_test)
""",
        ["log_loss_X_test"],
    ),
    "columns side by side": (
        "model.predict_proba(X_test)\nmodel.score(np.c_[X_test[:, :1], X_test[:, 1:]], y_test)",
        ["LogisticRegression_score_X_test"],
    ),
    "recursion": (
        """
def again(data, n):
    return again(data, n - 1) if n else model.score(data, y_test)
again(X_test, 5)
again(X_test, 50)
""",
        ["LogisticRegression_score_X_test", "LogisticRegression_score_X_test"],
    ),
}
_numbers = itertools.count()


def run(text: str) -> None:
    filename = f"<naming {next(_numbers)}>"
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    exec(compile(text, filename, "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize("name", SNIPPETS)
def test_names(tracker: Any, name: str) -> None:
    text, expected = SNIPPETS[name]
    run(PRELUDE + text)
    metrics = [
        key
        for made in tracker.runs
        for key, points in made.metrics.items()
        for _ in points
        if not key.startswith(("training_", "fit_time", "n_iter"))
    ]
    assert sorted(metrics) == sorted(expected)
