"""Signatures, and what is made of data by them, compared with the real MLflow."""

from __future__ import annotations

import json
import os
import subprocess
import warnings
from pathlib import Path
from typing import Any

import pytest

# Run on both sides: `tell` is what is compared.
SETUP = """
import datetime, decimal, itertools, json, pickle  # MLflow writes into dicts that it is given
import numpy as np, pandas as pd, scipy.sparse as sp

def attempt(f):
    try:
        return f()
    except Exception:
        return "refused"

def tell(x):
    if isinstance(x, pd.DataFrame):
        return ["frame", [str(c) for c in x.columns], [str(d) for d in x.dtypes],
                [[str(v) for v in row] for row in x.to_numpy().tolist()]]
    if isinstance(x, np.ndarray):
        return ["array", str(x.dtype), list(x.shape), [str(v) for v in x.ravel().tolist()]]
    if isinstance(x, dict):
        return ["dict", {str(k): tell(v) for k, v in x.items()}]
    if isinstance(x, list):
        return [tell(v) for v in x]
    return [type(x).__name__, str(x)]

day = datetime.datetime(2024, 5, 6, 7)
columns = {
    "bool": [True, False], "int64": [1, 2], "flags": [0, 1], "float": [1.5, 2.5],
    "whole": [1.0, None], "text": ["a", "b"], "missing": ["a", None], "bytes": [b"a", b"b"],
    "date": [day, day], "mixed": [1, "a"], "list": [["a"], ["b", "c"]], "ints": [[1], [2]],
    "dicts": [{"k": 1}, {"k": 2, "l": "x"}], "objects": pd.Series([1, 2], dtype=object),
    "decimal": [decimal.Decimal("1.5"), decimal.Decimal(2)], "nones": [None, None],
    "boolish": [True, None],
}
frames = {k: pd.DataFrame({"x": v}) for k, v in columns.items()}
for t in ["int8", "int16", "int32", "uint8", "uint16", "uint32", "uint64", "float16", "float32",
          "datetime64[s]", "Int64", "Int32", "boolean", "category"]:
    values = [day, day] if t.startswith("date") else [1, 0]
    frames[t] = pd.DataFrame({"x": pd.Series(values).astype(t)})
inputs = {
    **frames,
    "array": np.ones((2, 3)), "array32": np.ones((2, 3), "float32"), "vector": np.ones(3),
    "texts": np.array([["a", "bc"]]), "arrays": {"a": np.ones((2, 2)), "b": np.ones(2, "int32")},
    "csr": sp.csr_matrix(np.eye(2)), "csc": sp.csc_matrix(np.eye(2)),
    "list of int": [1, 2], "list of text": ["a"], "list of dict": [{"a": 1, "b": None}, {"a": 2}],
    "dict": {"a": 1, "b": "x", "c": [1.5, 2.5], "d": {"e": True}}, "empty": [], "number": 3.5,
    "text alone": "x", "series": pd.Series([1, 2], name="s"), "nested": [[1, 2], [3]],
    "two": pd.DataFrame({"a": [1], "b": ["x"]}), "numbered": pd.DataFrame([[1, 2.5]]),
    "none": [None], "set": {1, 2},
}
params = {
    "int": {"k": 1}, "float": {"k": 1.5}, "text": {"k": "a"}, "bool": {"k": True},
    "list": {"k": [1, 2]}, "floats": {"k": [1, 2.5]}, "texts": {"k": ["a"]}, "date": {"k": day},
    "dict": {"k": {"a": 1}}, "deep": {"k": [[1]]}, "none": {"k": None}, "np": {"k": np.int32(3)},
    "np8": {"k": np.int8(3)},
}
types = ["boolean", "integer", "long", "float", "double", "string", "binary", "datetime"]
"""
RUN = """
infer = lambda *a: attempt(lambda: infer_signature(*a).to_dict())
told = {"infer " + k: infer(v) for k, v in inputs.items()}
told |= {"output " + k: infer(None, v) for k, v in inputs.items()}
told |= {"param " + k: infer(None, None, v) for k, v in params.items()}
for t, (k, frame) in itertools.product(types, frames.items()):
    for required in (True, False):
        schema = Schema([ColSpec(t, "x", required)])
        told[f"{k} as {t} {required}"] = tell(attempt(lambda: enforce(frame, schema)))
    schema = Schema([ColSpec(t)])
    told[f"{k} as {t} without a name"] = tell(attempt(lambda: enforce(frame, schema)))
for (k, v), (l, w) in itertools.product(inputs.items(), inputs.items()):
    schema = attempt(lambda: infer_signature(v).inputs)
    if schema != "refused":
        told[f"{l} for {k}"] = tell(attempt(lambda: enforce(pickle.loads(pickle.dumps(w)), schema)))
for (k, v), (l, w) in itertools.product(params.items(), params.items()):
    schema = attempt(lambda: infer_signature(None, None, v).params)
    if schema != "refused":
        told[f"params {l} for {k}"] = tell(attempt(lambda: enforce_params(w, schema)))
"""
THEIRS = """
import warnings, logging
warnings.simplefilter("ignore")
from mlflow.models import infer_signature
from mlflow.models.utils import _enforce_schema as enforce, _enforce_params_schema as enforce_params
from mlflow.types.schema import Schema, ColSpec
logging.disable(logging.ERROR)
"""


@pytest.mark.mlflow
def test_the_same_as_mlflow(tmp_path: Path, mlflow_python: str) -> None:
    from nbtrack.models import infer_signature
    from nbtrack.models.enforce import enforce_params, enforce_schema
    from nbtrack.models.schema import ColSpec, Schema

    script = tmp_path / "theirs.py"
    script.write_text(THEIRS + SETUP + RUN + "print(json.dumps(told))")
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [mlflow_python, str(script)], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    theirs = json.loads(done.stdout.splitlines()[-1])
    names: dict[str, Any] = {
        "infer_signature": infer_signature,
        "enforce": enforce_schema,
        "enforce_params": enforce_params,
        "Schema": Schema,
        "ColSpec": ColSpec,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(SETUP + RUN, "<ours>", "exec"), names)
    ours = json.loads(json.dumps(names["told"]))
    differing = {
        k: (ours.get(k), theirs.get(k)) for k in [*theirs, *ours] if ours.get(k) != theirs.get(k)
    }
    shown = "\n".join(f"{k}: {a} != {b}" for k, (a, b) in [*differing.items()][:60])
    assert not differing, f"{len(differing)} of {len(theirs)}\n{shown}"
