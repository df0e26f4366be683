"""CatBoost against the contract of all flavors."""

from __future__ import annotations

from typing import ClassVar

import pytest

from nbtrack.testing.flavor_contract import FlavorContract

pytest.importorskip("catboost")


class TestCatboost(FlavorContract):
    flavor = module = library = "catboost"
    setup = """
        import numpy as np
        import pandas as pd
        from catboost import CatBoostClassifier

        random = np.random.default_rng(7)
        data = pd.DataFrame(random.normal(size=(60, 3)), columns=["a", "b", "c"])
        target = (data["a"] > data["b"]).astype(int)
        words = target.map({0: "no", 1: "yes"})
        model = CatBoostClassifier(iterations=4, verbose=0, allow_writing_files=False)
        model.fit(data, words)
    """
    change = "model.fit(data, words.iloc[::-1])"
    data_only = True
    options: ClassVar = {"default": {}, "json": {"format": "json"}}
    mlflow_options: ClassVar = {
        "default": "pip_requirements=[]",
        "json": "format='json', pip_requirements=[]",
    }
