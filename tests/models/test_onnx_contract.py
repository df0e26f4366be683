"""ONNX against the contract of all flavors."""

from __future__ import annotations

from typing import ClassVar

import pytest

from nbtrack.testing.flavor_contract import FlavorContract

pytest.importorskip("onnx")


class TestOnnx(FlavorContract):
    flavor = module = library = "onnx"
    setup = """
        import numpy as np
        import pandas as pd
        from onnx import numpy_helper, parser
        from onnx.reference import ReferenceEvaluator

        model = parser.parse_model(
            '<ir_version: 9, opset_import: ["" : 17]>'
            "g (float[N, 3] x) => (float[N, 400] y) { y = MatMul(x, w) }"
        )
        random = np.random.default_rng(7)
        weights = random.normal(size=(3, 400)).astype("float32")
        model.graph.initializer.append(numpy_helper.from_array(weights, "w"))
        data = random.normal(size=(5, 3)).astype("float32")
    """
    predict = "dict(y=ReferenceEvaluator(model).run(None, {'x': data})[0])"
    change = "model.graph.initializer[0].raw_data = bytes(4800)"
    data_only = True
    inputs: ClassVar = ("data", "{'x': data}", "data.astype('float64')", "pd.DataFrame(data)")
    options: ClassVar = {"default": {}, "one file": {"save_as_external_data": False}}
    mlflow_options: ClassVar = {
        # Of a model whose tensors go to a file of their own MLflow leaves only the graph in memory.
        "one": "save_as_external_data=False, pip_requirements=[]"
    }
