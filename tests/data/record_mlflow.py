"""The cases in which datasets have to be as MLflow's, and the script that asks MLflow.

Run it where mlflow and polars are installed: ``python tests/data/record_mlflow.py``. It writes
``mlflow_datasets.json`` beside itself; the tests read that, and need no mlflow.
"""

from __future__ import annotations

import datetime
import json
import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

RECORDED = Path(__file__).with_name("mlflow_datasets.json")
DAY = pd.Timestamp("2024-02-03")


def mixed_frame() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "f": [1.5, np.nan, -2.0],
            "i": [1, 2, 3],
            "text": pd.Series(["a", "b", "c"], dtype=object),
            "holes": pd.Series(["a", None, "c"], dtype=object),
            "flag": [True, False, True],
            "when": [DAY, DAY, DAY],
            "small": np.array([1, 2, 3], "int16"),
            "half": np.array([1, 2, 3], "float32"),
        }
    )


def one(**columns: Any) -> Callable[[], pd.DataFrame]:
    return lambda: pd.DataFrame(columns)


def cells(*values: Any) -> Callable[[], pd.DataFrame]:
    return lambda: pd.DataFrame({"x": pd.Series(list(values), dtype=object)})


def two_of_one_name() -> pd.DataFrame:
    return pd.DataFrame([[1, 2.5]], columns=["x", "x"])


PANDAS: dict[str, Callable[[], pd.DataFrame]] = {
    "mixed": mixed_frame,
    "one column": one(x=[1, 2]),
    "no rows": lambda: mixed_frame().head(0),
    "long": lambda: pd.DataFrame({"x": np.arange(10_050.0), "y": ["t"] * 10_050}),
    "order of columns": lambda: mixed_frame()[["text", "i", "f"]],
    "own index": lambda: pd.DataFrame({"x": [1, 2]}, index=["a", "b"]),
    "numbers as names": lambda: pd.DataFrame({0: [1.0], 1: [2.0]}),
    "unsigned": one(x=np.array([1], "uint8"), y=np.array([1], "uint32")),
    "unsigned 64": one(x=np.array([1], "uint64")),
    "nullable": lambda: pd.DataFrame({"x": pd.array([1, None], dtype="Int64")}),
    "nullable bool": lambda: pd.DataFrame({"x": pd.array([True, None], dtype="boolean")}),
    "category": lambda: pd.DataFrame({"x": pd.Categorical(["u", "v"])}),
    "category of numbers": lambda: pd.DataFrame({"x": pd.Categorical([3, 4])}),
    "timezone": lambda: pd.DataFrame({"x": [DAY.tz_localize("UTC")]}),
    "duration": lambda: pd.DataFrame({"x": [pd.Timedelta(1, "s")], "y": [1]}),
    "complex": one(x=[1j]),
    "bytes": cells(b"a", b"b"),
    "dates": cells(datetime.date(2024, 1, 2)),
    "lists": cells([1, 2], [3]),
    "lists, some empty": cells([], [1.5], None),
    "lists of lists": cells([["a"], []], [["b", None]]),
    "arrays": cells(np.array([1.0, 2.0]), np.array([3.0])),
    "empty array": cells(np.array([]), np.array([1.0])),
    "dicts": cells({"a": 1, "b": "x"}, {"a": 2}),
    "dicts, deep": cells({"a": {"b": [1]}}, {"a": {"b": [], "c": None}}),
    "dicts, none first": cells({"a": None}, {"a": "x"}),
    "dicts that differ": cells({"a": 1}, {"a": "x"}),
    "nothing at all": cells(None, None),
    "mixed cells": cells(1, "a"),
    "numbers as objects": cells(1, 2.5),
    "decimal-like": cells(object(), object()),
    "two columns of one name": two_of_one_name,
}
ARRAY = np.arange(24.0).reshape(6, 4)
NUMPY: dict[str, Callable[[], tuple[Any, Any]]] = {
    "2d": lambda: (ARRAY, None),
    "targets": lambda: (ARRAY, np.arange(6)),
    "dict": lambda: ({"b": ARRAY, "a": np.array(["x", "yy"])}, None),
    "dict of targets": lambda: (ARRAY, {"t": np.arange(6, dtype="int8")}),
    "fortran": lambda: (np.asfortranarray(ARRAY), None),
    "3d": lambda: (np.zeros((2, 3, 4), "f4"), None),
    "long": lambda: (np.arange(20_000), None),
    "bytes": lambda: (np.array([b"a", b"bb"]), None),
    "bool": lambda: (np.array([True, False]), None),
    "dates": lambda: (np.array(["2024-01-01"], "datetime64[D]"), None),
    "complex": lambda: (np.array([1j, 2.0]), None),
    "objects": lambda: (np.array(["a", None], dtype=object), None),
    "lists": lambda: (np.array([[1], [2, 3]], dtype=object), None),
    "no axes": lambda: (np.array(3.0), None),
    "empty": lambda: (np.zeros((0, 3)), None),
}


def _polars(name: str) -> Any:
    import polars as pl

    if name == "mixed":
        return pl.DataFrame(
            {
                "i": [1, 2],
                "f": [1.5, None],
                "s": ["a", "b"],
                "b": [True, None],
                "d": [datetime.date(2024, 1, 2)] * 2,
                "t": [datetime.datetime(2024, 1, 2)] * 2,
                "l": [[1], [2, 3]],
                "o": [{"y": 1, "x": "a"}] * 2,
                "n": pl.Series([None, None], dtype=pl.Int32),
            }
        )
    if name == "small numbers":
        kinds = ("Int8", "Int16", "UInt8", "UInt16", "UInt32", "Float32")
        return pl.DataFrame({k: pl.Series([1], dtype=getattr(pl, k)) for k in kinds})
    if name == "unknown types":
        return pl.DataFrame({"x": [datetime.timedelta(1)], "u": pl.Series([1], dtype=pl.UInt64)})
    return pl.DataFrame({"x": pl.Series(["a", "b"], dtype=pl.Categorical)})


POLARS = {name: name for name in ("mixed", "small numbers", "unknown types", "category")}


def polars_frame(name: str) -> Any:
    return _polars(name)


def _outcome(make: Callable[[], Any]) -> Any:
    try:
        facts = make().to_dict()
    except Exception as error:
        return {"raises": type(error).__name__}
    return {key: facts[key] for key in ("name", "digest", "source_type", "source", "schema")} | {
        "profile": facts["profile"]
    }


def main() -> None:
    import mlflow.data

    logging.disable()
    warnings.simplefilter("ignore")
    src = "data/x.csv"
    recorded = {
        "mlflow": mlflow.__version__,
        "pandas": {
            name: _outcome(lambda make=make: mlflow.data.from_pandas(make(), source=src))
            for name, make in PANDAS.items()
        },
        "numpy": {
            name: _outcome(
                lambda make=make: mlflow.data.from_numpy(make()[0], targets=make()[1], source=src)
            )
            for name, make in NUMPY.items()
        },
        "polars": {
            name: _outcome(
                lambda name=name: mlflow.data.from_polars(
                    polars_frame(name), source=src, digest="given"
                )
            )
            for name in POLARS
        },
    }
    RECORDED.write_text(json.dumps(recorded, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
