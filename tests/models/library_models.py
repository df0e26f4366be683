"""Fitted models of the libraries that have files of their own, each with data to predict from.

It is also run by the Python that has MLflow: nothing of nbtrack in here.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd

LIBRARIES = ("xgboost", "lightgbm", "catboost", "statsmodels", "onnx")
# Of the libraries' own, on each other's newer versions.
QUIET = ("ignore", "", Warning)


def frame() -> pd.DataFrame:
    random = np.random.default_rng(7)
    x = pd.DataFrame(random.normal(size=(200, 3)), columns=["a", "b", "c"])
    x.loc[::9, "b"] = np.nan
    return x


def target() -> pd.Series:
    x = frame()
    return (x["a"] + x["b"].fillna(1) > 0).astype(int)


def words() -> pd.Series:
    return target().map({0: "no", 1: "yes"})


def groups() -> list[int]:
    return [20] * 10


def xgboost_models() -> dict[str, Any]:
    import xgboost as xgb

    x, y = frame(), target()
    some = {"n_estimators": 6, "max_depth": 3, "random_state": 0}
    return {
        "booster": xgb.train({"max_depth": 3}, xgb.DMatrix(x, y), 6),
        "classifier": xgb.XGBClassifier(**some).fit(x, y),
        "regressor": xgb.XGBRegressor(**some).fit(x.to_numpy(), x["a"]),
        "stopped": xgb.XGBRegressor(**{**some, "n_estimators": 80}, early_stopping_rounds=2).fit(
            x, x["a"] * 2, eval_set=[(x[:20], x["c"][:20])], verbose=False
        ),
        "ranker": xgb.XGBRanker(**some).fit(x, y, group=groups()),
        "forest": xgb.XGBRFClassifier(**some).fit(x, y),
    }


def lightgbm_models() -> dict[str, Any]:
    import lightgbm as lgb

    x, y = frame(), target()
    some: dict[str, Any] = {"n_estimators": 6, "verbose": -1, "random_state": 0}
    kinds = x.assign(kind=pd.Categorical(np.where(x["a"] > 0, "up", "down")))
    return {
        "booster": lgb.train({"verbose": -1}, lgb.Dataset(x, y), 6),
        "categories": lgb.train({"verbose": -1}, lgb.Dataset(kinds, y), 6),
        "classifier": lgb.LGBMClassifier(**some).fit(x, words()),
        "regressor": lgb.LGBMRegressor(**some).fit(x, x["a"]),
        "ranker": lgb.LGBMRanker(**some).fit(x, y, group=groups()),
        "objective": lgb.LGBMRegressor(**some, objective=squared).fit(x, x["a"]),
    }


def squared(y: Any, predicted: Any) -> Any:
    """An objective of the user's own: no file of LightGBM holds it."""
    return predicted - y, np.ones_like(y)


def catboost_models() -> dict[str, Any]:
    import catboost as cb

    x, y = frame(), target()
    some: dict[str, Any] = {"iterations": 6, "verbose": 0, "allow_writing_files": False}
    return {
        "model": cb.CatBoost({**some, "loss_function": "RMSE"}).fit(x, x["a"]),
        "classifier": cb.CatBoostClassifier(**some).fit(x, words()),
        "regressor": cb.CatBoostRegressor(**some).fit(x, x["a"]),
        "ranker": cb.CatBoostRanker(**some).fit(x, y, group_id=np.repeat(range(10), 20)),
    }


def statsmodels_models() -> dict[str, Any]:
    import statsmodels.api as sm
    import statsmodels.formula.api as smf
    from statsmodels.tsa.arima.model import ARIMA

    x, y = frame().fillna(0.5), target()
    noisy = y.where(np.arange(len(y)) % 3 > 0, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {
            "line": sm.OLS(x["a"], x[["a", "b", "c"]]).fit(),
            "formula": smf.ols("a ~ b + np.exp(c / 10)", x).fit(),
            "logit": sm.Logit(noisy, x[["a", "b", "c"]]).fit(disp=0),
            "poisson": smf.glm("y ~ b", x.assign(y=y), family=sm.families.Poisson()).fit(),
            "series": ARIMA(x["a"].to_numpy(), order=(1, 0, 0)).fit(),
        }


def onnx_models() -> dict[str, Any]:
    from onnx import numpy_helper, parser

    head = '<ir_version: 9, opset_import: ["" : 17]> g '
    one = parser.parse_model(f"{head}(float[N, 3] x) => (float[N, 3] y) {{ y = Tanh(x) }}")
    two = parser.parse_model(
        f"{head}(float[N] a, float[N] b) => (float[N] s, float[N] d) "
        "{ s = Add(a, b) d = Sub(a, b) }"
    )
    large = parser.parse_model(f"{head}(float[N, 3] x) => (float[N, 400] y) {{ y = MatMul(x, w) }}")
    weights = np.random.default_rng(7).normal(size=(3, 400)).astype("float32")
    large.graph.initializer.append(numpy_helper.from_array(weights, "w"))
    return {"one": one, "two": two, "large": large}


def models(library: str) -> dict[str, Any]:
    """Return the models of a library, by what they are."""
    found: dict[str, Any] = globals()[f"{library}_models"]()
    return found


def data(library: str, case: str) -> Any:
    """Return what a model of this case predicts from."""
    x = frame()
    if case == "categories":
        return x.assign(kind=pd.Categorical(np.where(x["a"] > 0, "up", "down")))
    if case == "series":
        return pd.DataFrame({"start": [200], "end": [204]})
    if library == "statsmodels":
        x = x.fillna(0.5)
    if library == "onnx":
        x = x.fillna(0.5)
        return x if case == "two" else x.to_numpy()
    return x
