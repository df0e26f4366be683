"""statsmodels against the contract of all flavors."""

from __future__ import annotations

from typing import ClassVar

import pytest

from nbtrack.testing.flavor_contract import FlavorContract

pytest.importorskip("statsmodels")


class TestFormula(FlavorContract):
    flavor = module = library = "statsmodels"
    setup = """
        import numpy as np
        import pandas as pd
        import statsmodels.formula.api as smf

        random = np.random.default_rng(7)
        data = pd.DataFrame(random.normal(size=(60, 3)), columns=["a", "b", "c"])
        target = (data["a"] > data["b"]).astype(int)
        model = smf.ols("a ~ b + np.exp(c)", data).fit()
    """
    change = "model._results.params[:] = 7"
    options: ClassVar = {"default": {}, "small": {"remove_data": True}}
    mlflow_options: ClassVar = {
        "default": "pip_requirements=[]",
        "small": "remove_data=True, pip_requirements=[]",
    }


class TestSeries(FlavorContract):
    flavor = module = library = "statsmodels"
    setup = """
        import numpy as np
        import pandas as pd
        from statsmodels.tsa.ar_model import AutoReg

        values = np.random.default_rng(7).normal(size=60)
        model = AutoReg(values, 2).fit()
        data = pd.DataFrame({"start": [60], "end": [63]})
    """
    predict = "model.predict(start=60, end=63)"
    change = "model._results.params[:] = 7"
    mlflow_options: ClassVar = {"default": "pip_requirements=[]"}
