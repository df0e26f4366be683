"""scikit-learn against the contract of all flavors."""

from __future__ import annotations

from typing import ClassVar

from nbtrack.testing.flavor_contract import FlavorContract


class TestSklearn(FlavorContract):
    flavor = module = library = "sklearn"
    setup = """
        import numpy as np
        import pandas as pd
        from sklearn.linear_model import LogisticRegression

        random = np.random.default_rng(7)
        data = pd.DataFrame(random.normal(size=(30, 3)), columns=["a", "b", "c"])
        model = LogisticRegression().fit(data, data["a"] > data["b"])
    """
    predict = "model.predict_proba(data)"
    change = "model.coef_ += 1"
    options: ClassVar = {"default": {"pyfunc_predict_fn": "predict_proba"}}
    mlflow_options: ClassVar = {
        "cloudpickle": "serialization_format='cloudpickle'",
        "pickle": "serialization_format='pickle', pyfunc_predict_fn='predict_proba'",
    }
