"""Signatures, input examples and registered models, as MLflow's autologging leaves them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.dummy import DummyClassifier, DummyRegressor

from nbtrack import autologging
from nbtrack.autologging import api
from nbtrack.autologging.interface import of_data, with_outputs
from nbtrack.tracking import Client, later, location

ARRAY = np.arange(12.0).reshape(6, 2)
FRAME = pd.DataFrame({"a": ARRAY[:, 0], "b": [1, 2, 3, 4, 5, 6]})
GAPS = pd.DataFrame(
    {"a": [1.5, None], "t": ["x", None], "d": pd.to_datetime(["2024-01-01", "2024-01-02"])}
)


# The right-hand sides are what MLflow 3.17.2 writes.
@pytest.mark.parametrize(
    ("data", "inputs", "rows"),
    [
        (
            ARRAY,
            '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2]}}]',
            "[[0.0, 1.0], [2.0, 3.0], [4.0, 5.0], [6.0, 7.0], [8.0, 9.0]]",
        ),
        (
            FRAME,
            '[{"type": "double", "name": "a", "required": true}, '
            '{"type": "long", "name": "b", "required": true}]',
            '{"columns": ["a", "b"], "data": [[0.0, 1], [2.0, 2], [4.0, 3], [6.0, 4], [8.0, 5]]}',
        ),
        (
            FRAME[["a"]].assign(a=[np.nan, *FRAME["a"][1:]]),
            '[{"type": "double", "name": "a", "required": false}]',
            '{"columns": ["a"], "data": [[NaN], [2.0], [4.0], [6.0], [8.0]]}',
        ),
        (
            FRAME[["a"]],  # after one of the same names that had gaps
            '[{"type": "double", "name": "a", "required": true}]',
            '{"columns": ["a"], "data": [[0.0], [2.0], [4.0], [6.0], [8.0]]}',
        ),
        (
            GAPS,
            '[{"type": "double", "name": "a", "required": false}, '
            '{"type": "string", "name": "t", "required": false}, '
            '{"type": "datetime", "name": "d", "required": true}]',
            '{"columns": ["a", "t", "d"], "data": '
            '[[1.5, "x", "2024-01-01T00:00:00"], [NaN, NaN, "2024-01-02T00:00:00"]]}',
        ),
    ],
)
def test_as_mlflow_has_it(data: Any, inputs: str, rows: str) -> None:
    found = of_data(data, signature=True, example=True)
    assert found is not None
    assert json.loads(found.inputs or "") == json.loads(inputs)
    assert found.rows.replace("null", "NaN") == rows
    without = of_data(data, signature=True, example=False)
    assert without is not None
    assert (without.example, without.rows) == ("", "")


@pytest.mark.parametrize("data", [None, [[1]], np.array(1.0), np.array([object()]), "text"])
def test_other_data_has_none(data: Any) -> None:
    assert of_data(data, signature=True, example=True) is None


def test_a_classifier_gives_its_classes() -> None:
    found = of_data(ARRAY, signature=True, example=False)
    assert found is not None
    classifier = DummyClassifier().fit(ARRAY, [0, 1] * 3)
    expected = '[{"type": "tensor", "tensor-spec": {"dtype": "int64", "shape": [-1]}}]'
    assert with_outputs(found, classifier).outputs == expected
    regressor = DummyRegressor().fit(ARRAY, [0, 1] * 3)
    assert with_outputs(found, regressor).outputs is None


@pytest.fixture
def autologged(client: Client, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(location, "_chosen", [client.path])
    yield client
    api.autolog(disable=True)
    assert not autologging.status()["sklearn"].installed


def files(client: Client, tmp_path: Path) -> Path:
    (run,) = client.search_runs(["0"])
    return Path(client.download_artifacts(run.info.run_id, "model", tmp_path))


def test_the_files_of_a_model(autologged: Client, tmp_path: Path) -> None:
    api.autolog(log_input_examples=True, registered_model_name="guesser")
    DummyClassifier().fit(FRAME, [0, 1] * 3)
    later.wait()
    (registered,) = autologged.search_registered_models()
    assert (registered.name, [v.version for v in registered.versions]) == ("guesser", [1])
    folder = files(autologged, tmp_path)
    content = yaml.safe_load((folder / "MLmodel").read_text())
    assert content["saved_input_example_info"] == {
        "artifact_path": "input_example.json",
        "pandas_orient": "split",
        "serving_input_path": "serving_input_example.json",
        "type": "dataframe",
    }
    assert json.loads(content["signature"]["inputs"])[1]["name"] == "b"
    assert content["signature"]["params"] is None
    served = json.loads((folder / "serving_input_example.json").read_text())
    assert served == {"dataframe_split": json.loads((folder / "input_example.json").read_text())}


def test_without(autologged: Client, tmp_path: Path) -> None:
    api.autolog(log_model_signatures=False)
    DummyClassifier().fit(FRAME, [0, 1] * 3)
    folder = files(autologged, tmp_path)
    assert not (folder / "input_example.json").exists()
    content = yaml.safe_load((folder / "MLmodel").read_text())
    assert {"signature", "saved_input_example_info"} & content.keys() == set()


READ = """
import json, sys, mlflow
model = mlflow.models.Model.load(sys.argv[1])
example = model.load_input_example(sys.argv[1])
print(json.dumps([model.signature.to_dict(), example.to_dict("list")]))
"""


@pytest.mark.mlflow
def test_the_real_mlflow_reads_it(autologged: Client, tmp_path: Path, mlflow_python: str) -> None:
    api.autolog(log_input_examples=True)
    DummyClassifier().fit(FRAME, [0, 1] * 3)
    command = [mlflow_python, "-c", READ, str(files(autologged, tmp_path))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=True)
    signature, example = json.loads(done.stdout.splitlines()[-1])
    assert json.loads(signature["outputs"])[0]["type"] == "tensor"
    assert example == {"a": [0.0, 2.0, 4.0, 6.0, 8.0], "b": [1, 2, 3, 4, 5]}
