"""The real MLflow and these flavors: each loads what the other saved, and predicts the same."""

from __future__ import annotations

import importlib.util
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import nbtrack
from nbtrack.errors import UntrustedModelError
from nbtrack.models import load_directory, load_predictor

HERE = Path(__file__).parent
spec = importlib.util.spec_from_file_location("library_models", HERE / "library_models.py")
made = importlib.util.module_from_spec(spec)
sys.modules["library_models"] = made  # where a pickle finds the functions in it
spec.loader.exec_module(made)

pytestmark = pytest.mark.mlflow

# What MLflow does; it is given the name of a library.
COMMON = """
import importlib.util, json, pickle, sys, warnings
warnings.simplefilter("ignore")
assert importlib.util.find_spec("nbtrack") is None
library, folder = sys.argv[1:3]
if importlib.util.find_spec(library) is None:
    print("absent")
    sys.exit()
sys.path.insert(0, sys.argv[3])
import library_models as made
import mlflow
from pathlib import Path
module = importlib.import_module(f"mlflow.{library}")
"""
LOAD = (
    COMMON
    + """
for path in sorted(Path(folder).iterdir()):
    model = module.load_model(str(path))
    found = mlflow.pyfunc.load_model(str(path))
    data = made.data(library, path.name)
    native = None if library == "onnx" or "series" in path.name else model
    if native is not None:
        if type(model).__module__ == "xgboost.core":
            import xgboost
            native = model.predict(xgboost.DMatrix(data))
        else:
            native = model.predict(data)
    told = type(model).__module__, type(model).__qualname__, native, found.predict(data)
    (path / "told.pkl").write_bytes(pickle.dumps(told))
print("done")
"""
)
SAVE = (
    COMMON
    + """
options = {}
if library == "lightgbm":
    options["objective"] = {"serialization_format": "cloudpickle"}
    options["ranker"] = {"skops_trusted_types": ["lightgbm.sklearn.LGBMRanker"]}
for case, model in made.models(library).items():
    path = Path(folder, case)
    module.save_model(model, str(path), pip_requirements=[], **options.get(case, {}))
    told = mlflow.pyfunc.load_model(str(path)).predict(made.data(library, case))
    (Path(folder) / f"{case}.pkl").write_bytes(pickle.dumps(told))
print("done")
"""
)


def in_mlflow(python: str, code: str, library: str, folder: Path) -> None:
    done = subprocess.run(
        [python, "-I", "-c", code, library, str(folder), str(HERE)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder.parent,
    )
    if "absent" in done.stdout.splitlines():
        pytest.skip(f"the Python that has mlflow has no {library}")
    assert done.returncode == 0, done.stderr


def assert_same(one: Any, other: Any) -> None:
    assert type(one) is type(other)
    if isinstance(one, pd.DataFrame):
        pd.testing.assert_frame_equal(one, other)
    elif isinstance(one, pd.Series):
        pd.testing.assert_series_equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for name in one:
            assert_same(one[name], other[name])
    else:
        np.testing.assert_array_equal(one, other)
        assert np.asarray(one).dtype == np.asarray(other).dtype


@pytest.mark.parametrize("library", made.LIBRARIES)
def test_mlflow_loads_ours(library: str, tmp_path: Path, mlflow_python: str) -> None:
    pytest.importorskip(library)
    models = made.models(library)
    for case, model in models.items():
        getattr(nbtrack, library).save_model(model, tmp_path / "saved" / case)
    in_mlflow(mlflow_python, LOAD, library, tmp_path / "saved")
    for case, model in models.items():
        path = tmp_path / "saved" / case
        told = path / "told.pkl"
        module, name, native, pyfunc = pickle.loads(told.read_bytes())
        told.unlink()
        assert (module, name) == (type(model).__module__, type(model).__qualname__)
        ours = load_predictor(path).predict(made.data(library, case))
        assert_same(pyfunc, ours)
        if native is not None:
            assert_same(native, ours)


@pytest.mark.parametrize("library", made.LIBRARIES)
def test_ours_loads_mlflows(library: str, tmp_path: Path, mlflow_python: str) -> None:
    pytest.importorskip(library)
    assert importlib.util.find_spec("mlflow") is None
    (tmp_path / "saved").mkdir()
    in_mlflow(mlflow_python, SAVE, library, tmp_path / "saved")
    models = made.models(library)
    for case, model in models.items():
        path, data = tmp_path / "saved" / case, made.data(library, case)
        told = pickle.loads((tmp_path / "saved" / f"{case}.pkl").read_bytes())
        pickles = library == "statsmodels" or case == "objective"
        if pickles:
            with pytest.raises(UntrustedModelError, match="it is a pickle"):
                load_directory(path)
        assert type(load_directory(path, trust=pickles)) is type(model)
        assert_same(load_predictor(path, trust=pickles).predict(data), told)
