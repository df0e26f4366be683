"""What boosting costs when tracked: ``pytest -s tests/benchmarks/test_boosting_cost.py``.

In turns with and without, on the same data, with an eval set that is told in each iteration; CPU
time of the whole process, the thread that writes included. The goal is a ratio of 1.03 at most.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nbtrack
from nbtrack import autologging
from nbtrack.autologging.tracker import FluentTracker

pytestmark = pytest.mark.benchmark
ROUNDS = 7
ITERATIONS = 200

generator = np.random.default_rng(0)
X = generator.normal(size=(20_000, 20))
y = (X[:, 0] * X[:, 1] + generator.normal(size=20_000) > 0).astype(int)
X_valid, y_valid = X[:4_000], y[:4_000]


def xgboost_train(xgboost: Any) -> object:
    dtrain, dvalid = xgboost.DMatrix(X, y), xgboost.DMatrix(X_valid, y_valid)
    params = {"objective": "binary:logistic", "nthread": 1}
    evals = [(dtrain, "train"), (dvalid, "valid")]
    return xgboost.train(params, dtrain, ITERATIONS, evals=evals, verbose_eval=False)


def xgboost_estimator(xgboost: Any) -> object:
    model = xgboost.XGBClassifier(n_estimators=ITERATIONS, n_jobs=1)
    return model.fit(X, y, eval_set=[(X_valid, y_valid)], verbose=False)


def lightgbm_train(lightgbm: Any) -> object:
    data = lightgbm.Dataset(X, y)
    valid = lightgbm.Dataset(X_valid, y_valid, reference=data)
    params = {"objective": "binary", "verbose": -1, "num_threads": 1}
    return lightgbm.train(params, data, ITERATIONS, valid_sets=[data, valid])


def lightgbm_estimator(lightgbm: Any) -> object:
    model = lightgbm.LGBMClassifier(n_estimators=ITERATIONS, verbose=-1, n_jobs=1)
    return model.fit(X, y, eval_X=(X_valid,), eval_y=(y_valid,))


def catboost_fit(catboost: Any) -> object:
    model = catboost.CatBoostClassifier(
        n_estimators=ITERATIONS, verbose=0, thread_count=1, allow_writing_files=False
    )
    return model.fit(X, y, eval_set=(X_valid, y_valid))


@pytest.mark.parametrize(
    "train", [xgboost_train, xgboost_estimator, lightgbm_train, lightgbm_estimator, catboost_fit]
)
def test_tracked_training(
    train: Callable[[Any], object], workdir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    library = pytest.importorskip(train.__name__.partition("_")[0])
    nbtrack.set_tracking_uri(workdir / "nbtrack.db")

    def measure() -> float:
        start = time.process_time()
        train(library)
        nbtrack.flush()
        return time.process_time() - start

    plain, tracked = [], []
    try:
        measure()
        for _ in range(ROUNDS):
            plain.append(measure())
            autologging.enable(FluentTracker())
            tracked.append(measure())
            autologging.disable()
    finally:
        autologging.disable()
        nbtrack.set_tracking_uri("")
    off, on = statistics.median(plain), statistics.median(tracked)
    with capsys.disabled():
        print(
            f"\n{train.__name__}, {ITERATIONS} iterations: {off * 1e3:.0f} ms; tracked"
            f" {on * 1e3:.0f} ms (ratio {on / off:.3f}, {(on - off) * 1e3:+.0f} ms)"
        )
