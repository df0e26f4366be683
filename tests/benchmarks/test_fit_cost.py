"""What a tracked fit costs with everything kept: ``pytest -s tests/benchmarks/test_fit_cost.py``.

The limit is what cannot be saved: the fit itself, and the pickle that has to be taken in the call.
"""

from __future__ import annotations

import pickle
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import nbtrack
from nbtrack import autologging
from nbtrack.autologging.tracker import FluentTracker

pytestmark = pytest.mark.benchmark
ROUNDS = 25

MODELS: dict[str, Callable[[], object]] = {
    "logistic regression": LogisticRegression,
    "pipeline": lambda: make_pipeline(StandardScaler(), LogisticRegression()),
    "forest of 100 trees": lambda: RandomForestClassifier(100, random_state=0),
}


@pytest.mark.parametrize("name", MODELS)
def test_tracked_fit(name: str, workdir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    X, y = load_breast_cancer(return_X_y=True, as_frame=True)
    X = (X - X.mean()) / X.std()
    make = MODELS[name]
    nbtrack.set_tracking_uri(workdir / "nbtrack.db")
    plain, tracked, in_all, pickled = [], [], [], []
    try:
        for _ in range(ROUNDS):
            model = make()
            start = time.thread_time()
            model.fit(X, y)  # type: ignore[attr-defined]
            plain.append(time.thread_time() - start)
            start = time.thread_time()
            pickle.dumps(model, protocol=5)
            pickled.append(time.thread_time() - start)
            autologging.enable(FluentTracker())
            model = make()
            start, process = time.thread_time(), time.process_time()
            model.fit(X, y)  # type: ignore[attr-defined]
            tracked.append(time.thread_time() - start)
            nbtrack.flush()
            in_all.append(time.process_time() - process)
            autologging.disable()
    finally:
        autologging.disable()
        nbtrack.set_tracking_uri("")
    fit, dump, on, everything = (
        statistics.median(times) * 1e3 for times in (plain, pickled, tracked, in_all)
    )
    with capsys.disabled():
        print(
            f"\n{name}: fit {fit:.2f} ms + pickle {dump:.2f} ms; tracked {on:.2f} ms on the calling"
            f" thread (ratio {on / (fit + dump):.2f}, {on - fit - dump:+.2f} ms), with everything"
            f" stored {everything:.2f} ms CPU of the process ({everything - fit - dump:+.2f} ms)"
        )
