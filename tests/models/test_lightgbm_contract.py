"""LightGBM against the contract of all flavors."""

from __future__ import annotations

from typing import ClassVar

import pytest

from nbtrack.testing.flavor_contract import FlavorContract

pytest.importorskip("lightgbm")


class TestBooster(FlavorContract):
    flavor = module = library = "lightgbm"
    setup = """
        import numpy as np
        import pandas as pd
        import lightgbm

        random = np.random.default_rng(7)
        data = pd.DataFrame(random.normal(size=(60, 3)), columns=["a", "b", "c"])
        target = (data["a"] > data["b"]).astype(int)
        dataset = lightgbm.Dataset(data, target)
        model = lightgbm.train({"verbose": -1}, dataset, 4, keep_training_booster=True)
    """
    change = "model.update()"
    inputs: ClassVar = ("data", "data.to_numpy()")
    mlflow_options: ClassVar = {"default": "pip_requirements=[]"}


class TestClassifier(FlavorContract):
    flavor = module = library = "lightgbm"
    setup = """
        import numpy as np
        import pandas as pd
        from lightgbm import LGBMClassifier

        random = np.random.default_rng(7)
        data = pd.DataFrame(random.normal(size=(60, 3)), columns=["a", "b", "c"])
        target = (data["a"] > data["b"]).astype(int)
        words = target.map({0: "no", 1: "yes"})
        model = LGBMClassifier(n_estimators=4, verbose=-1).fit(data, words)
    """
    change = "model.fit(data, words.map({'no': 'yes', 'yes': 'no'}))"
    missing: ClassVar = {"equal_bytes": "skops calls its parts by the addresses of objects"}
    mlflow_options: ClassVar = {"default": "pip_requirements=[]"}


class TestPickle(FlavorContract):
    flavor = module = library = "lightgbm"
    setup = """
        import numpy as np
        import pandas as pd
        from lightgbm import LGBMRegressor

        random = np.random.default_rng(7)
        data = pd.DataFrame(random.normal(size=(60, 3)), columns=["a", "b", "c"])
        target = (data["a"] > data["b"]).astype(int)
        model = LGBMRegressor(n_estimators=4, verbose=-1).fit(data, data["a"])
    """
    change = "model.fit(data, data['b'])"
    options: ClassVar = {
        "default": {"serialization_format": "cloudpickle"},
        "pickle": {"serialization_format": "pickle"},
    }
    mlflow_options: ClassVar = {
        "pickle": "serialization_format='pickle', pip_requirements=[]",
        "cloudpickle": "serialization_format='cloudpickle', pip_requirements=[]",
    }
