"""XGBoost against the contract of all flavors."""

from __future__ import annotations

from typing import ClassVar

import pytest

from nbtrack.testing.flavor_contract import FlavorContract

pytest.importorskip("xgboost")


class TestBooster(FlavorContract):
    flavor = module = library = "xgboost"
    setup = """
        import numpy as np
        import pandas as pd
        import xgboost

        random = np.random.default_rng(7)
        data = pd.DataFrame(random.normal(size=(60, 3)), columns=["a", "b", "c"])
        target = (data["a"] > data["b"]).astype(int)
        matrix = xgboost.DMatrix(data, target)
        model = xgboost.train({"max_depth": 3}, matrix, 4)
    """
    predict = "model.predict(xgboost.DMatrix(data))"
    change = "model.update(matrix, 5)"
    data_only = True
    inputs: ClassVar = ("data", "data.iloc[:1]")
    options: ClassVar = {"default": {}, "json": {"model_format": "json"}}
    mlflow_options: ClassVar = {
        "default": "pip_requirements=[]",
        "json": "model_format='json', pip_requirements=[]",
    }


class TestClassifier(FlavorContract):
    flavor = module = library = "xgboost"
    setup = """
        import numpy as np
        import pandas as pd
        from xgboost import XGBClassifier

        random = np.random.default_rng(7)
        data = pd.DataFrame(random.normal(size=(60, 3)), columns=["a", "b", "c"])
        target = (data["a"] > data["b"]).astype(int)
        model = XGBClassifier(n_estimators=4, max_depth=3).fit(data, target)
    """
    predict = "model.predict(data)"
    change = "model.fit(data, 1 - target)"
    data_only = True
    mlflow_options: ClassVar = {"default": "pip_requirements=[]"}
