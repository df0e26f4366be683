"""What a tracked search costs: ``pytest -s tests/benchmarks/test_search_fit_cost.py``."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.tree import DecisionTreeClassifier

import nbtrack
from nbtrack import autologging
from nbtrack.autologging.tracker import FluentTracker

pytestmark = pytest.mark.benchmark


def compare(workdir: Path, work, rounds: int) -> str:
    """Run `work` without and with tracking, in turn; say what the difference is."""
    nbtrack.set_tracking_uri(workdir / "nbtrack.db")
    plain, tracked, in_all, without = [], [], [], []
    try:
        for _ in range(rounds):
            start, process = time.thread_time(), time.process_time()
            work()
            plain.append(time.thread_time() - start)
            without.append(time.process_time() - process)
            autologging.enable(FluentTracker())
            start, process = time.thread_time(), time.process_time()
            work()
            tracked.append(time.thread_time() - start)
            nbtrack.flush()
            in_all.append(time.process_time() - process)
            autologging.disable()
    finally:
        autologging.disable()
        nbtrack.set_tracking_uri("")
    off, on, all_off, everything = (
        statistics.median(times) * 1e3 for times in (plain, tracked, without, in_all)
    )
    return (
        f"{off:.1f} -> {on:.1f} ms on the calling thread (ratio {on / off:.2f}, {on - off:+.1f} ms)"
        f", {everything - all_off:+.1f} ms CPU in all"
    )


def test_grid_search(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    X, y = load_breast_cancer(return_X_y=True)
    grid = {"max_depth": [1, 2, 3, 4, 5, 6], "criterion": ["gini", "entropy"]}

    def search() -> None:
        GridSearchCV(DecisionTreeClassifier(random_state=0), grid, cv=3).fit(X, y)

    text = compare(workdir, search, 15)
    with capsys.disabled():
        print(f"\n12 candidates x 3 folds: {text}")


def test_loop_of_partial_fit(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    X, y = load_breast_cancer(return_X_y=True)

    def loop() -> None:
        model = SGDClassifier(random_state=0)
        for start in range(0, 500, 5):
            model.partial_fit(X[start : start + 5], y[start : start + 5], classes=[0, 1])

    text = compare(workdir, loop, 9)
    with capsys.disabled():
        print(f"\n100 calls of partial_fit: {text}")


def test_metrics_of_many_rows(workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import numpy as np

    generator = np.random.default_rng(0)
    X = generator.normal(size=(100_000, 2))
    y = (X[:, 0] + generator.normal(size=100_000) > 0).astype(int)
    model = DecisionTreeClassifier(max_depth=3)

    def measure() -> None:
        model.fit(X, y)
        score = model.predict_proba(X)[:, 1] + X[:, 0]
        roc_auc_score(y, score)
        accuracy_score(y, model.predict(X))

    text = compare(workdir, measure, 7)
    with capsys.disabled():
        print(f"\nfit, ROC and confusion of 100,000 rows: {text}")
