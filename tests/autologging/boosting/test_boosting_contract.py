"""XGBoost, LightGBM and CatBoost keep the contract of integrations, natively and as estimators."""

from __future__ import annotations

from typing import ClassVar

import pytest

from nbtrack.testing.integration_contract import IntegrationContract

DATA = """
import numpy as np
from sklearn.ensemble import VotingClassifier
from sklearn.model_selection import GridSearchCV, cross_validate
generator = np.random.default_rng(0)
X = generator.normal(size=(80, 4))
y = (X[:, 0] + 0.3 * X[:, 1] > 0).astype(int)
"""


class _Contract(IntegrationContract):
    @pytest.fixture(autouse=True)
    def _in_a_folder_of_its_own(self, monkeypatch, tmp_path):
        pytest.importorskip(self.library)
        monkeypatch.chdir(tmp_path)
        # With threads of OpenMP a forked child hangs, with nbtrack or without.
        monkeypatch.setenv("OMP_NUM_THREADS", "1")


class _Estimators(_Contract):
    """What the estimators of all three have in common; MODEL makes one with ROUNDS rounds."""

    nested = "GridSearchCV(MODEL(n_estimators=3), {'max_depth': [1, 2]}, cv=2).fit(X, y)"
    parallel = """
        import joblib
        with joblib.parallel_backend(BACKEND, n_jobs=2):
            cross_validate(MODEL(n_estimators=3), X, y, cv=2)
    """
    methods = ("fit", "predict")


class TestXGBoost(_Contract):
    library = "xgboost"
    setup = f"""{DATA}
import xgboost
from xgboost import train
dtrain = xgboost.DMatrix(X, y)
PARAMS = {{"max_depth": 2, "nthread": 1}}
class Callback(xgboost.callback.TrainingCallback):
    def __init__(self, do): self.do = do
    def after_iteration(self, model, epoch, evals_log): return self.do()
"""
    fit = """
        model = train(PARAMS, dtrain, 5, evals=[(dtrain, "train")], verbose_eval=False)
        result = model.predict(dtrain), bytes(model.save_raw("ubj"))
    """
    failing = """
        def objective(predicted, data): raise ValueError("as the user has it")
        train({}, dtrain, 3, obj=objective)
    """
    interrupted = """
        def stop(): raise KeyboardInterrupt
        train(PARAMS, dtrain, 3, callbacks=[Callback(stop)])
    """
    counting = """
        calls = 0
        def count():
            global calls
            calls += 1
        given = [Callback(count)]
        train(PARAMS, dtrain, 1, callbacks=given)
        assert len(given) == 1
    """
    nested = """
        class Inner(xgboost.callback.TrainingCallback):
            def after_training(self, model):
                train(PARAMS, dtrain, 1)
                return model
        train(PARAMS, dtrain, 2, callbacks=[Inner()])
    """
    curves = """
        train(PARAMS, dtrain, 5, evals=[(dtrain, "train")], verbose_eval=False)
    """
    steps: ClassVar = {"train-rmse": [0, 1, 2, 3, 4]}
    methods = ("predict",)
    missing: ClassVar = {"parallel": "joblib takes no part in it"}


class TestXGBoostEstimators(_Estimators):
    library = "xgboost"
    setup = f"""{DATA}
from functools import partial
from xgboost import XGBClassifier
MODEL = partial(XGBClassifier, n_jobs=1, max_depth=2)
"""
    fit = """
        model = MODEL(n_estimators=5).fit(X, y)
        result = model.predict_proba(X)
    """
    failing = "MODEL(objective='no:such').fit(X, y)"
    interrupted = """
        def stop(predicted, true): raise KeyboardInterrupt
        MODEL(objective=stop).fit(X, y)
    """
    counting = """
        calls = 0
        def metric(true, predicted):
            global calls
            calls += 1
            return 0.0
        MODEL(n_estimators=1, eval_metric=metric).fit(X, y, eval_set=[(X, y)], verbose=False)
    """
    curves = "MODEL(n_estimators=5).fit(X, y, eval_set=[(X, y)], verbose=False)"
    steps: ClassVar = {"validation_0-logloss": [0, 1, 2, 3, 4]}


class TestLightGBM(_Contract):
    library = "lightgbm"
    setup = f"""{DATA}
import lightgbm
from lightgbm import train
PARAMS = {{"objective": "binary", "verbose": -1, "num_threads": 1, "min_data_in_leaf": 2}}
def dataset(): return lightgbm.Dataset(X, y)
"""
    fit = """
        known = dataset()
        model = train(PARAMS, known, 5, valid_sets=[known])
        result = model.predict(X), model.model_to_string()
    """
    failing = "train({'objective': 'no such', 'verbose': -1}, dataset(), 3)"
    interrupted = """
        def stop(env): raise KeyboardInterrupt
        train(PARAMS, dataset(), 3, callbacks=[stop])
    """
    counting = """
        calls = 0
        def count(env):
            global calls
            calls += 1
        given = [count]
        train(PARAMS, dataset(), 1, callbacks=given)
        assert given == [count]
        assert count.order == -1
    """
    nested = """
        def inner(env): train(PARAMS, dataset(), 1)
        train(PARAMS, dataset(), 2, callbacks=[inner])
    """
    curves = """
        known = dataset()
        train(PARAMS, known, 5, valid_sets=[known])
    """
    steps: ClassVar = {"training-binary_logloss": [0, 1, 2, 3, 4]}
    methods = ("predict",)
    missing: ClassVar = {"parallel": "joblib takes no part in it"}


class TestLightGBMEstimators(_Estimators):
    library = "lightgbm"
    setup = f"""{DATA}
from functools import partial
from lightgbm import LGBMClassifier
MODEL = partial(LGBMClassifier, n_jobs=1, verbose=-1, min_child_samples=2)
"""
    fit = """
        model = MODEL(n_estimators=5).fit(X, y)
        result = model.predict_proba(X)
    """
    failing = "MODEL(objective='no such').fit(X, y)"
    interrupted = """
        def stop(env): raise KeyboardInterrupt
        MODEL().fit(X, y, callbacks=[stop])
    """
    counting = """
        calls = 0
        def count(env):
            global calls
            calls += 1
        MODEL(n_estimators=1).fit(X, y, callbacks=[count])
    """
    curves = "MODEL(n_estimators=5).fit(X, y, eval_X=(X,), eval_y=(y,))"
    steps: ClassVar = {"valid_0-binary_logloss": [0, 1, 2, 3, 4]}


class TestCatBoost(_Estimators):
    library = "catboost"
    setup = f"""{DATA}
from functools import partial
from catboost import CatBoostClassifier
MODEL = partial(CatBoostClassifier, thread_count=1, verbose=0, allow_writing_files=False)
class Callback:
    def __init__(self, do): self.do = do
    def after_iteration(self, info):
        self.do()
        return True
"""
    fit = """
        model = MODEL(n_estimators=5).fit(X, y)
        result = model.predict_proba(X)
    """
    failing = "MODEL(loss_function='NoSuch').fit(X, y)"
    interrupted = """
        # As Jupyter does it: what a callback raises comes out as an error of CatBoost's.
        import _thread, threading
        threading.Timer(0.5, _thread.interrupt_main).start()
        MODEL(n_estimators=10**7).fit(X, y)
    """
    counting = """
        calls = 0
        def count():
            global calls
            calls += 1
        MODEL(n_estimators=1).fit(X, y, callbacks=[Callback(count)])
    """
    nested = """
        from catboost import CatBoostClassifier as Base
        VotingClassifier([("a", MODEL(n_estimators=2)), ("b", MODEL(n_estimators=3))]).fit(X, y)
    """
    curves = "MODEL(n_estimators=5).fit(X, y)"
    steps: ClassVar = {"learn-Logloss": [0, 1, 2, 3, 4]}


del IntegrationContract, _Contract, _Estimators
