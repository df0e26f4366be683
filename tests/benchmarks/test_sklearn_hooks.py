"""What the scikit-learn hooks cost: run with ``pytest -s tests/benchmarks/test_sklearn_hooks.py``.

Ratios are of the same work with and without autologging, interleaved in one process.
"""

import statistics
import time

import pytest
from sklearn.datasets import load_iris
from sklearn.dummy import DummyClassifier
from sklearn.metrics import accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import all_estimators

from nbtrack import autologging
from nbtrack.autologging import scope

pytestmark = pytest.mark.benchmark


class NoTracker:
    """A tracker that does nothing, so that what is measured is ours."""

    run_id = "0" * 32

    def begin_run(self, name_hint, *, parent=None):
        return self

    def active_run(self):
        return None

    def _nothing(self, *args, **kwargs):
        return None

    log_params = log_metrics = set_tags = log_input = log_model = end = _nothing
    log_history = log_plot = log_state = resume = look_for_twin = _nothing

    def warn(self, message):
        raise AssertionError(message)


def seconds(work, number):
    start = time.thread_time()
    for _ in range(number):
        work()
    return (time.thread_time() - start) / number


def compare(capsys, name, work, number=200, rounds=15):
    """Print the median time of `work` without and with autologging."""
    on, off = [], []
    for _ in range(rounds):
        autologging.disable()
        off.append(seconds(work, number))
        autologging.enable(NoTracker())
        on.append(seconds(work, number))
    autologging.disable()
    with_, without = statistics.median(on), statistics.median(off)
    with capsys.disabled():
        print(
            f"\n{name}: {without * 1e6:.1f} -> {with_ * 1e6:.1f} us, "
            f"ratio {with_ / without:.3f}, {(with_ - without) * 1e6:+.1f} us"
        )


def test_enable_and_disable(capsys):
    all_estimators()
    on, off = [], []
    for _ in range(9):
        on.append(seconds(lambda: autologging.enable(NoTracker()), 1))
        off.append(seconds(autologging.disable, 1))
    with capsys.disabled():
        print(
            f"\nall of scikit-learn: enable {statistics.median(on) * 1e3:.2f} ms, "
            f"disable {statistics.median(off) * 1e3:.2f} ms"
        )


def test_calls(capsys):
    X, y = load_iris(return_X_y=True)
    model = DummyClassifier()
    pipe = make_pipeline(StandardScaler(), DummyClassifier())
    compare(capsys, "outermost fit", lambda: model.fit(X, y))
    compare(capsys, "outermost fit of a pipeline", lambda: pipe.fit(X, y), 60)
    inner = "fit, predict and score inside another call"

    def inside():
        model.fit(X, y)
        model.predict(X)
        model.score(X, y)

    compare(capsys, inner, lambda: scope.absorb(inside, (), {}), 60)
    compare(capsys, "predict after a fit", lambda: model.fit(X, y).predict(X))
    predicted = pipe.fit(X, y).predict(X)
    compare(capsys, "a metric of nobody's", lambda: accuracy_score(y, predicted), 60)
    compare(
        capsys, "fit, predict and metric", lambda: accuracy_score(y, model.fit(X, y).predict(X)), 60
    )
