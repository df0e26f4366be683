"""Digests, schemas, profiles and sources are those of MLflow: compared with what it said."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pytest

from nbtrack import data

CASES = runpy.run_path(str(Path(__file__).with_name("record_mlflow.py")))
MLFLOW = json.loads(CASES["RECORDED"].read_text())


def facts(dataset: data.Dataset) -> dict[str, Any]:
    return dataset.to_dict()


@pytest.mark.parametrize("name", CASES["PANDAS"])
def test_pandas(name: str) -> None:
    wanted = MLFLOW["pandas"][name]
    # Whether durations are numbers, which have a digest, is a matter of the version of pandas.
    digest = wanted["digest"] if name == "duration" else None
    dataset = data.from_pandas(CASES["PANDAS"][name](), source="data/x.csv", digest=digest)
    assert facts(dataset) == wanted


@pytest.mark.parametrize("name", CASES["NUMPY"])
def test_numpy(name: str) -> None:
    features, targets = CASES["NUMPY"][name]()
    dataset = data.from_numpy(features, source="data/x.csv", targets=targets)
    assert facts(dataset) == MLFLOW["numpy"][name]


@pytest.mark.parametrize("name", CASES["POLARS"])
def test_polars(name: str) -> None:
    pytest.importorskip("polars")
    # A digest of polars is one of its version, in MLflow too.
    dataset = data.from_polars(CASES["polars_frame"](name), source="data/x.csv", digest="given")
    assert facts(dataset) == MLFLOW["polars"][name]
