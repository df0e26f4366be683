"""A training that takes several calls is one run: loops of ``partial_fit``, warm starts."""

import gc
import pickle
import weakref

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.cluster import MiniBatchKMeans
from sklearn.datasets import load_iris
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import Ridge, SGDClassifier
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nbtrack import autologging
from nbtrack.provenance import cells
from nbtrack.testing.fakes import FakeRun, FakeTracker

X, y = load_iris(return_X_y=True)
CLASSES = np.unique(y)


@pytest.fixture
def cell():
    """Return a function that runs another one as a cell."""
    before = list(cells.executions)

    def run(work, source="a cell", outcome="ok"):
        cells.begin_cell(source, None, None)
        try:
            return work()
        finally:
            cells.end_cell(outcome)

    yield run
    cells.executions[:] = before


def train(model, batches=3):
    for part in np.array_split(np.arange(len(y))[::-1], batches):
        model.partial_fit(X[part], y[part], classes=CLASSES)


def test_a_loop_is_a_run(tracker, cell):
    model = SGDClassifier(random_state=0)

    def loop():
        for _ in range(4):
            train(model, 2)
            accuracy_score(y, model.predict(X))
        assert tracker.runs[0].status is None
        assert tracker.runs[0].models == []

    cell(loop)
    (run,) = tracker.runs
    assert (run.name, run.status) == ("SGDClassifier", "FINISHED")
    assert [step for step, _ in run.metrics["accuracy_score_X"]] == [1, 3, 5, 7]
    assert run.params["random_state"] == "0"
    assert len(run.inputs) == 2
    assert len(run.metrics["fit_time_s"]) == 1
    ((_, _, data),) = run.models
    assert (pickle.loads(data).coef_ == model.coef_).all()
    assert "coefficients" in run.plots


def test_the_same_cell_again_is_another_run(tracker, cell):
    model = SGDClassifier()
    for _ in range(2):
        cell(lambda: train(model))
    assert [run.status for run in tracker.runs] == ["FINISHED"] * 2


@pytest.mark.parametrize(
    ("outcome", "status"), [("error", "FAILED"), ("interrupted", "KILLED"), ("ok", "FINISHED")]
)
def test_how_the_cell_ends(tracker, cell, outcome, status):
    cell(lambda: train(SGDClassifier()), outcome=outcome)
    assert tracker.runs[0].status == status
    assert tracker.runs[0].models  # nothing is lost


def test_a_call_that_fails(tracker, cell):
    model = SGDClassifier()

    def work():
        train(model, 2)
        model.partial_fit(X * np.nan, y)

    with pytest.raises(ValueError, match="NaN"):
        cell(work)
    (run,) = tracker.runs
    assert run.status == "FAILED"
    assert "X * np.nan" in run.error
    train(model)  # another training
    assert len(tracker.runs) == 2
    autologging.disable()
    assert tracker.runs[1].status == "FINISHED"


def test_the_first_call_fails(tracker):
    model = SGDClassifier()
    with pytest.raises(ValueError, match="NaN"):
        model.partial_fit(X * np.nan, y, classes=CLASSES)
    assert tracker.runs[0].status == "FAILED"
    train(model)
    assert len(tracker.runs) == 2


def test_another_estimator_ends_it(tracker):
    train(SGDClassifier())
    assert tracker.runs[0].status is None
    Ridge().fit(X, y)
    assert [run.status for run in tracker.runs] == ["FINISHED"] * 2
    for alpha in (1, 2, 3):
        train(SGDClassifier(alpha=alpha))
    assert [run.status for run in tracker.runs[2:]] == ["FINISHED", "FINISHED", None]


def test_fit_of_the_same_estimator_is_another_training(tracker):
    model = SGDClassifier()
    train(model)
    model.fit(X, y)
    assert [run.status for run in tracker.runs] == ["FINISHED", "FINISHED"]


def test_two_in_turn_are_two_runs(tracker, cell):
    a, b = SGDClassifier(), MiniBatchKMeans(2)

    def work():
        for _ in range(5):
            train(a)
            b.partial_fit(X)

    cell(work)
    assert [run.name for run in tracker.runs] == ["SGDClassifier", "MiniBatchKMeans"]
    assert [run.status for run in tracker.runs] == ["FINISHED", "FINISHED"]
    assert all(len(run.models) <= 2 for run in tracker.runs)
    assert (pickle.loads(tracker.runs[0].models[-1][2]).coef_ == a.coef_).all()


def test_in_the_run_of_the_user(tracker, cell):
    tracker.active = FakeRun("f" * 32, "mine")
    model = SGDClassifier()
    cell(lambda: train(model))
    assert tracker.runs == []
    assert tracker.active.status is None
    assert tracker.active.models
    tracker.active = None
    train(model)
    assert len(tracker.runs) == 1


def test_switched_off_in_between(tracker):
    model = SGDClassifier()
    train(model)
    autologging.disable()
    assert tracker.runs[0].status == "FINISHED"
    train(model)
    assert len(tracker.runs) == 1


def test_the_model_is_let_go(tracker, cell):
    model = SGDClassifier()
    kept = weakref.ref(model)
    cell(lambda: train(kept()))
    gc.disable()
    try:
        del model
        assert kept() is None
    finally:
        gc.enable()


def test_at_exit():
    import subprocess
    import sys

    code = (
        "import atexit, numpy as np\n"
        "show = lambda: print([(r.name, r.status, len(r.models)) for r in tracker.runs])\n"
        "atexit.register(show)\n"
        "from nbtrack import autologging\n"
        "from nbtrack.testing.fakes import FakeTracker\n"
        "tracker = FakeTracker()\n"
        "autologging.enable(tracker)\n"
        "from sklearn.linear_model import SGDRegressor\n"
        "model = SGDRegressor()\n"
        "for _ in range(3):\n    model.partial_fit(np.eye(3), np.arange(3))\n"
    )
    for more, status in (("", "FINISHED"), ("1 / 0", "FAILED")):
        done = subprocess.run(
            [sys.executable, "-c", code + more], capture_output=True, text=True, check=False
        )
        assert done.stdout.strip() == f"[('SGDRegressor', '{status}', 1)]", done.stderr


def test_inside_a_fit_it_is_part_of_that(tracker):
    class Outer(ClassifierMixin, BaseEstimator):
        def fit(self, X, y):
            self.inner_ = SGDClassifier()
            train(self.inner_)
            return self

        def partial_fit(self, X, y):
            return self.fit(X, y)

    Outer().fit(X, y)
    Outer().partial_fit(X, y)
    MiniBatchKMeans(2).fit(X)
    assert [run.name for run in tracker.runs] == ["Outer", "Outer", "MiniBatchKMeans"]


@pytest.mark.parametrize("verb", ["begin_run", "active_run", "log_model", "log_metrics", "end"])
def test_a_failing_store_does_not_reach_the_user(cell, verb):
    broken = FakeTracker(failing=[verb])
    autologging.enable(broken)
    try:
        model = SGDClassifier(random_state=0)
        cell(lambda: train(model))
    finally:
        autologging.disable()
    assert broken.warnings
    plain = SGDClassifier(random_state=0)
    train(plain)
    assert (plain.coef_ == model.coef_).all()


def test_an_interrupt(tracker, cell):
    class Slow(SGDClassifier):
        def partial_fit(self, X, y, classes=None):
            if hasattr(self, "coef_"):
                raise KeyboardInterrupt
            return super().partial_fit(X, y, classes=classes)

    with pytest.raises(KeyboardInterrupt):
        cell(lambda: train(Slow()))
    (run,) = tracker.runs
    assert run.status == "KILLED"
    assert run.params


def test_threads_train_at_the_same_time(tracker):
    import threading

    barrier = threading.Barrier(3)

    def work(model):
        for _ in range(3):
            barrier.wait(10)
            train(model)

    models = [SGDClassifier(alpha=alpha) for alpha in (1, 2, 3)]
    threads = [threading.Thread(target=work, args=(model,)) for model in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    autologging.disable()
    assert sorted(run.params["alpha"] for run in tracker.runs) == ["1", "2", "3"]
    assert [(run.status, len(run.models)) for run in tracker.runs] == [("FINISHED", 1)] * 3


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_leaves_it_alone(tracker):
    import os

    if not hasattr(os, "fork"):
        pytest.skip("there are no forks here")
    model = SGDClassifier()
    train(model)
    child = os.fork()
    if child == 0:
        from nbtrack.autologging.sklearn import streams

        streams.close_all()
        train(model)
        os._exit(len(tracker.runs[0].models) + len(tracker.runs) - 1)
    assert os.waitpid(child, 0)[1] == 0
    train(model)
    autologging.disable()
    assert len(tracker.runs) == 1


# --- warm starts --------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_warm_start_goes_on(tracker):
    model = MLPClassifier((3,), max_iter=5, warm_start=True, random_state=0)
    for _ in range(3):
        model.fit(X, y)
        accuracy_score(y, model.predict(X))
    (run,) = tracker.runs
    assert run.status == "FINISHED"
    assert len(run.models) == 3
    assert [step for step, _ in run.metrics["fit_time_s"]] == [0, 1, 2]
    assert [step for step, _ in run.metrics["accuracy_score_X"]] == [0, 1, 2]
    steps, losses = zip(*run.metrics["loss_curve"], strict=True)
    assert list(steps) == list(range(len(model.loss_curve_)))
    assert list(losses) == pytest.approx(model.loss_curve_)


def test_more_trees(tracker, cell):
    model = RandomForestClassifier(2, warm_start=True)
    cell(lambda: model.fit(X, y), "first")
    cell(lambda: model.set_params(n_estimators=4).fit(X, y), "second")
    (run,) = tracker.runs
    assert run.params["n_estimators"] == "4"
    cell(lambda: model.set_params(n_estimators=6).fit(X, y), "second")  # once more
    assert len(tracker.runs) == 2


def test_a_warm_start_in_a_pipeline(tracker):
    pipe = make_pipeline(StandardScaler(), GradientBoostingClassifier(n_estimators=2))
    pipe.set_params(gradientboostingclassifier__warm_start=True).fit(X, y)
    pipe.set_params(gradientboostingclassifier__n_estimators=4).fit(X, y)
    (run,) = tracker.runs
    assert [step for step, _ in run.metrics["train_score"]] == [0, 1, 2, 3]


def test_without_warm_start_each_fit_is_a_run(tracker):
    model = Ridge()
    for _ in range(2):
        model.fit(X, y)
    assert len(tracker.runs) == 2


def test_another_run_of_the_user_is_another_training(tracker):
    model = RandomForestClassifier(2, warm_start=True).fit(X, y)
    tracker.active = FakeRun("f" * 32, "mine")
    model.set_params(n_estimators=3).fit(X, y)
    model.set_params(n_estimators=4).fit(X, y)
    assert len(tracker.runs) == 1
    assert tracker.active.params["n_estimators"] == "4"
    assert len(tracker.active.metrics["fit_time_s"]) == 2


def test_a_search_is_no_warm_start(tracker):
    search = GridSearchCV(SGDClassifier(warm_start=True), {"alpha": [1, 2]}, cv=2)
    for _ in range(2):
        search.fit(X, y)
    assert len([run for run in tracker.runs if run.parent is None]) == 2


def test_a_store_that_cannot_tell_the_active_run():
    broken = FakeTracker(failing=["active_run"])
    autologging.enable(broken)
    try:
        model = RandomForestClassifier(2, warm_start=True).fit(X, y)
        model.set_params(n_estimators=3).fit(X, y)
    finally:
        autologging.disable()
    assert len(model.estimators_) == 3
    assert broken.warnings


def test_an_estimator_that_holds_itself(tracker):
    class Snake(BaseEstimator):
        def fit(self, X, y=None):
            self.regressor_ = self.best_estimator_ = self
            return self

    Snake().fit(X, y)
    assert tracker.runs[0].status == "FINISHED"
    assert "pickle" not in str(tracker.warnings)


def test_a_warm_start_that_fails(tracker):
    model = RandomForestClassifier(2, warm_start=True).fit(X, y)
    with pytest.raises(ValueError, match="n_estimators"):
        model.set_params(n_estimators=1).fit(X, y)
    (run,) = tracker.runs
    assert run.status == "FAILED"
    assert len(run.models) == 1
