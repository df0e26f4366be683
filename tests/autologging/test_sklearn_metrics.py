# X is what scikit-learn calls it
"""Which run a metric belongs to, and under which name: snippets as users write them."""

import itertools
import linecache

import pytest
from IPython.core.interactiveshell import InteractiveShell

PRELUDE = """
import numpy as np, pandas as pd
from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import IsolationForest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import *
from sklearn import metrics
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier
X, y = load_breast_cancer(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=0)
model = DecisionTreeClassifier(max_depth=3).fit(X_train, y_train)
"""

# Cells, separated by `---`, and the metrics that the runs have in the end.
SNIPPETS = {
    "the array": (
        "y_pred = model.predict(X_test)\n---\naccuracy_score(y_test, y_pred)",
        ["accuracy_score_X_test"],
    ),
    "in the call": (
        "f1_score(y_test, model.predict(X_test), average='macro')",
        ["f1_score_X_test"],
    ),
    "a view": (
        "roc_auc_score(y_test, model.predict_proba(X_test)[:, 1])",
        ["roc_auc_score_X_test"],
    ),
    "a view with a name": (
        "p = model.predict_proba(X_test)\nq = p[:, 1][::1]\n---\nroc_auc_score(y_test, q)",
        ["roc_auc_score_X_test"],
    ),
    "a threshold in the call": (
        "p = model.predict_proba(X_test)\n---\naccuracy_score(y_test, (p[:, 1] > 0.4).astype(int))",
        ["accuracy_score_X_test"],
    ),
    "a threshold before": (
        (
            "y_pred = (model.predict_proba(X_test)[:, 1] > .4).astype(int)\n---\n"
            "accuracy_score(y_test, y_pred)"
        ),
        ["accuracy_score_X_test"],
    ),
    "a chain of names over cells": (
        (
            "p = model.predict_proba(X_test)\n---\nlab = p.argmax(1)\n---\nhat = +lab\n---\n"
            "balanced_accuracy_score(y_test, hat)"
        ),
        ["balanced_accuracy_score_X_test"],
    ),
    "a series": (
        "s = pd.Series(model.predict(X_test))\n---\naccuracy_score(y_test, s)",
        ["accuracy_score_X_test"],
    ),
    "a column": (
        (
            "df = pd.DataFrame({'y': y_test})\ndf['p'] = model.predict(X_test)\n---\n"
            "accuracy_score(df['y'], df['p'])"
        ),
        ["accuracy_score_X_test"],
    ),
    "a dict of models": (
        (
            "models = {'a': model}\n---\nfor name, m in models.items():\n"
            "    print(name, recall_score(y_test, m.predict(X_test)))"
        ),
        ["recall_score_X_test"],
    ),
    "a dict of predictions": (
        (
            "pred = {'a': model.predict(X_test)}\n---\nkey = 'a'\n"
            "accuracy_score(y_test, pred[key] > 0)"
        ),
        ["accuracy_score_X_test"],
    ),
    "a function": (
        (
            "def evaluate(m, data, target):\n    hat = m.predict(data) + 0\n"
            "    return accuracy_score(target, hat)\n---\nevaluate(model, X_test, y_test)"
        ),
        ["accuracy_score_X_test"],
    ),
    "a function that predicts": (
        (
            "def hard(m, data):\n    return (m.predict_proba(data)[:, 1] > .5) + 0\n---\n"
            "accuracy_score(y_test, hard(model, X_test))"
        ),
        ["accuracy_score_X_test"],
    ),
    "a comprehension": (
        "scores = [f(y_test, model.predict(X_test)) for f in (accuracy_score, f1_score)]",
        ["accuracy_score_X_test", "f1_score_X_test"],
    ),
    "keywords, the other way round": (
        "y_hat = model.predict(X_test)\n---\nmetrics.accuracy_score(y_pred=y_hat, y_true=y_test)",
        ["accuracy_score_X_test"],
    ),
    "truth and prediction exchanged": (
        "y_hat = model.predict(X_test)\n---\naccuracy_score(y_hat, y_test)",
        ["accuracy_score_X_test"],
    ),
    "other keyword arguments": (
        (
            "p = model.predict(X_test)\nf1_score(y_test, p)\nf1_score(y_test, p, average='micro')\n"
            "f1_score( y_test,p )"
        ),
        ["f1_score-2_X_test", "f1_score_X_test", "f1_score_X_test"],
    ),
    "two sets of data": (
        (
            "for name in 'ab':\n    accuracy_score(y_train, model.predict(X_train))\n"
            "accuracy_score(y_test, model.predict(X_test))"
        ),
        ["accuracy_score_X_test", "accuracy_score_X_train", "accuracy_score_X_train"],
    ),
    "score": (
        "model.score(X_test, y_test)\nmodel.score(X=X_train, y=y_train)",
        ["DecisionTreeClassifier_score_X_test", "DecisionTreeClassifier_score_X_train"],
    ),
    "unnamed data": (
        "accuracy_score(y_test, model.predict([list(x) for x in X_test]))",
        ["accuracy_score_unknown_dataset"],
    ),
    "clusters": (
        "km = KMeans(2, n_init=1).fit(X)\n---\nsilhouette_score(X, km.labels_)",
        ["silhouette_score_X"],
    ),
    "clusters of fit_predict": (
        "labels = KMeans(2, n_init=1).fit_predict(X)\n---\nsilhouette_score(X, labels)",
        ["silhouette_score_X"],
    ),
    "a part of a curve": (
        "fpr, tpr, _ = roc_curve(y_test, model.predict_proba(X_test)[:, 1])\n---\nauc(fpr, tpr)",
        ["auc_X_test"],
    ),
    "negative scores": (
        (
            "forest = IsolationForest(n_estimators=5).fit(X_test)\n---\n"
            "roc_auc_score(y_test, -forest.score_samples(X_test))"
        ),
        ["roc_auc_score_X_test"],
    ),
    "the best of a search": (
        (
            "search = GridSearchCV(model, {'max_depth': [1, 2]}).fit(X_train, y_train)\n---\n"
            "best = search.best_estimator_\naccuracy_score(y_test, best.predict(X_test))\n"
            "search.score(X_test, y_test)"
        ),
        ["GridSearchCV_score_X_test", "accuracy_score_X_test"],
    ),
    "a step of a pipeline": (
        (
            "pipe = make_pipeline(StandardScaler(), DummyClassifier()).fit(X_train, y_train)\n---\n"
            "pipe[-1].score(X_test, y_test)"
        ),
        ["DummyClassifier_score_X_test"],
    ),
    "an object's attribute": (
        (
            "class Lab: pass\nlab = Lab()\nlab.model, lab.X = model, X_test\n---\n"
            "lab.p = lab.model.predict(lab.X)\naccuracy_score(y_test, lab.p + 0)"
        ),
        ["accuracy_score_lab.X"],
    ),
    "a magic": (
        "%%time\naccuracy_score(y_test, model.predict(X_test) + 0)",
        ["accuracy_score_X_test"],
    ),
    "a copy": (
        "import copy\nold = copy.deepcopy(model)\naccuracy_score(y_test, old.predict(X_test))",
        ["accuracy_score_unknown_dataset"],
    ),
    "rounded on the same line": (
        "p = model.predict_proba(X_test)[:, 1]; q = np.round(p); precision_score(y_test, q)",
        ["precision_score_X_test"],
    ),
    "parts put together": (
        """
parts, labels, whole, slow = [], [], np.zeros(len(X_test)), []
for i in range(0, len(X_test), 10):
    parts.append(model.predict(X_test[i : i + 10]))
    labels.extend(model.predict(X_test[i : i + 10]))
    whole[i : i + 10] = model.predict(X_test[i : i + 10])
for i in range(3):
    slow.append(model.predict(X_test[i : i + 1])[0])
accuracy_score(y_test, np.concatenate(parts))
f1_score(y_test, labels)
recall_score(y_test, whole)
jaccard_score(y_test[:3], slow)
""",
        [f"{name}_X_test" for name in ("accuracy_score", "f1_score", "jaccard_score")]
        + ["recall_score_X_test"],
    ),
    "lists": (
        "zero_one_loss(y_test.tolist(), [int(v) for v in model.predict(X_test)])",
        ["zero_one_loss_X_test"],
    ),
    "several numbers": (
        (
            "p, r, f, _ = precision_recall_fscore_support(y_test, model.predict(X_test), "
            "average='macro')\n"
            "precision_recall_fscore_support(y_test, model.predict(X_test))"
        ),
        [f"{name}_X_test" for name in ("f1_score", "precision_score", "recall_score")],
    ),
    # --- nothing is known of these, or they are no single number
    "no prediction": ("accuracy_score(y_test, y_test)", []),
    "a prediction by hand": ("accuracy_score(y_test, np.ones(len(y_test)))", []),
    "transformed data are no prediction": (
        (
            "scaler = StandardScaler().fit(X)\nZ = scaler.transform(X)\n"
            "silhouette_score(Z, Z[:, 0] > 0)"
        ),
        [],
    ),
    "a mean of two models": (
        (
            "other = DecisionTreeClassifier(max_depth=1).fit(X_train, y_train)\n---\n"
            "both = model.predict(X_test) | other.predict(X_test)\naccuracy_score(y_test, both)"
        ),
        [],
    ),
    "models of a loop": (
        """
other = DecisionTreeClassifier(max_depth=1).fit(X_train, y_train)
both, parts = np.zeros(len(X_test)), []
for m in (model, other):
    both[m.predict(X_test) > 0] += m.predict(X_test)[m.predict(X_test) > 0]
    parts.append(m.predict(X_test))
accuracy_score(y_test, both > 1)
accuracy_score(y_test, np.mean(parts, axis=0) > 0.5)
""",
        [],
    ),
    "no number": ("confusion_matrix(y_test, model.predict(X_test)).sum()", []),
    "scores of scikit-learn's own": (
        (
            "from sklearn.inspection import permutation_importance\n"
            "permutation_importance(model, X_test, y_test, n_repeats=1, scoring='f1')\n"
            "classification_report(y_test, model.predict(X_test))"
        ),
        [],
    ),
    "a model that was not fitted here": (
        (
            "old = DecisionTreeClassifier()\nDecisionTreeClassifier.fit(old, X, y)\n"
            "accuracy_score(y_test, old.predict(X_test))\n"
            "old.score(X_test, y_test)"
        ),
        [],
    ),
}

_numbers = itertools.count()


def in_ipython(cells):
    InteractiveShell.clear_instance()
    shell = InteractiveShell.instance()
    try:
        for cell in cells:
            shell.run_cell(cell, store_history=True).raise_error()
    finally:
        shell.history_manager.end_session()
        InteractiveShell.clear_instance()


def in_a_script(cells):
    filename = f"<script {next(_numbers)}>"
    text = "\n".join(cells)
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
    exec(compile(text, filename, "exec"), {"__name__": "__main__"})


FIT = {"fit_time_s", "best_cv_score", "n_iter", "inertia"}


def after_fit(run):
    """Return the metrics that are none of the fit itself."""
    return {k: v for k, v in run.metrics.items() if k not in FIT and not k.startswith("training_")}


def logged(tracker):
    runs = [run for run in tracker.runs if run.parent is None]
    return sorted(key for run in runs for key, points in after_fit(run).items() for _ in points)


@pytest.mark.parametrize("run", [in_ipython, in_a_script])
@pytest.mark.parametrize("name", SNIPPETS)
def test_metric_finds_its_run(tracker, name, run):
    text, expected = SNIPPETS[name]
    if run is in_a_script and text.startswith("%%"):
        text = text.partition("\n")[2]
    run([PRELUDE, *text.split("\n---\n")])
    assert logged(tracker) == expected


def test_the_right_one_of_several_runs(tracker):
    in_ipython(
        [
            PRELUDE,
            "a = DummyClassifier().fit(X, y)\nb = LogisticRegression(max_iter=9999).fit(X, y)",
            "p, q = a.predict(X), b.predict(X)",
            "accuracy_score(p, q)\nf1_score(y, p + 0)\nf1_score(y, q + 0)",
        ]
    )
    _, a, b = tracker.runs
    assert set(after_fit(a)) == {"f1_score_X"}
    assert set(after_fit(b)) == {"f1_score_X", "accuracy_score_X"}


def test_running_a_cell_again_adds_a_point(tracker):
    in_ipython([PRELUDE, *["accuracy_score(y_test, model.predict(X_test))"] * 3])
    points = tracker.runs[0].metrics["accuracy_score_X_test"]
    assert [step for step, _ in points] == [0, 1, 2]
    assert len({value for _, value in points}) == 1


def test_metrics_after_the_run_and_without_source(tracker):
    exec(
        compile(
            PRELUDE
            + "p = model.predict(X_test)\naccuracy_score(y_test, p)\nf1_score(y_test, p > 0)",
            "<no source>",
            "exec",
        ),
        {"__name__": "__main__"},
    )
    assert logged(tracker) == ["accuracy_score_unknown_dataset"]


def test_views_of_a_prediction_that_is_a_view(tracker):
    """NumPy's views know only the array at the bottom; without source, it has to do."""
    code = """
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.metrics import accuracy_score
class Mine(BaseEstimator):
    def fit(self, X): return self
    def predict(self, X): return np.zeros((len(X), 2))[:, 0]
class Echo(Mine):
    def predict(self, X): return X[:, 0]
X = np.zeros((4, 2))
p = Mine().fit(X).predict(X)
accuracy_score(np.zeros(4), p[::-1])
q = Echo().fit(X).predict(X)
accuracy_score(np.zeros(4), X[:, 1])
"""
    exec(compile(code, "<no source>", "exec"), {"__name__": "__main__"})
    assert logged(tracker) == ["accuracy_score_unknown_dataset"]


def test_several_outputs(tracker):
    import numpy as np
    from sklearn.datasets import make_multilabel_classification
    from sklearn.metrics import log_loss
    from sklearn.neighbors import KNeighborsClassifier

    X, Y = make_multilabel_classification(random_state=0)
    first, _, *_ = KNeighborsClassifier().fit(X, Y).predict_proba(X)
    log_loss(Y[:, 0], np.clip(first, 0.01, 0.99))
    assert list(tracker.runs[0].metrics)[1:] == ["log_loss_X"]


def test_estimators_inside_of_functions(tracker):
    """Only what the user asked for is a run: no encoder of a metric, but the functional API."""
    from sklearn.cluster import k_means
    from sklearn.datasets import load_iris
    from sklearn.metrics import log_loss

    X, _ = load_iris(return_X_y=True)
    log_loss([0, 1], [0.1, 0.8])
    k_means(X, 3, n_init=1)
    assert [run.name for run in tracker.runs] == ["KMeans"]


def test_a_metric_that_fails_is_not_touched(tracker):
    from sklearn.metrics import accuracy_score

    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        accuracy_score([1, 2], [1])


def test_nothing_is_logged_inside_a_fit(tracker):
    from sklearn.base import BaseEstimator
    from sklearn.datasets import load_iris
    from sklearn.dummy import DummyClassifier
    from sklearn.metrics import accuracy_score

    class Checking(BaseEstimator):
        def fit(self, X, y):
            inner = DummyClassifier().fit(X, y)
            predicted = inner.predict(X)
            self.accuracy_ = accuracy_score(y, predicted) + inner.score(X, y)
            return self

    Checking().fit(*load_iris(return_X_y=True))
    (run,) = tracker.runs
    assert list(run.metrics) == ["fit_time_s"]


def test_a_metric_that_the_library_computes_is_not_the_users(tracker):
    """`score` of a model without a run calls accuracy_score with another model's prediction."""
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    from nbtrack import autologging

    X, y = load_iris(return_X_y=True)
    autologging.disable()
    stranger = LogisticRegression(max_iter=500).fit(X, y)
    autologging.enable(tracker)
    known = LogisticRegression(max_iter=500).fit(X, y)
    predicted = known.predict(X)
    assert stranger.score(X, predicted) == 1
    (run,) = tracker.runs
    assert not after_fit(run)
