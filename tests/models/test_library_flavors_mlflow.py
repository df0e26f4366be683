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

# What MLflow does with a library: it loads what is in a folder, and saves its own into another.
SCRIPT = """
import importlib.util, pickle, sys, warnings
from pathlib import Path
warnings.simplefilter("ignore")
assert importlib.util.find_spec("nbtrack") is None
library, ours, theirs, here = sys.argv[1:]
if importlib.util.find_spec(library) is None:
    print("absent")
    sys.exit()
sys.path.insert(0, here)
import library_models as made
import mlflow
module = importlib.import_module(f"mlflow.{library}")

for path in Path(ours).iterdir():
    model, data = module.load_model(str(path)), made.data(library, path.name)
    kind = type(model).__module__, type(model).__qualname__
    native = None
    if kind == ("xgboost.core", "Booster"):
        import xgboost
        native = model.predict(xgboost.DMatrix(data))
    elif library != "onnx" and path.name != "series":
        native = model.predict(data)
    found = mlflow.pyfunc.load_model(str(path)).predict(data)
    Path(theirs, f"{path.name}.loaded").write_bytes(pickle.dumps((kind, native, found)))

options = {}
if library == "lightgbm":
    options["objective"] = {"serialization_format": "cloudpickle"}
    options["ranker"] = {"skops_trusted_types": ["lightgbm.sklearn.LGBMRanker"]}
for case, model in made.models(library).items():
    path = Path(theirs, case)
    module.save_model(model, str(path), pip_requirements=[], **options.get(case, {}))
    found = mlflow.pyfunc.load_model(str(path)).predict(made.data(library, case))
    Path(theirs, f"{case}.saved").write_bytes(pickle.dumps(found))
"""


def in_mlflow(python: str, library: str, ours: Path, theirs: Path) -> None:
    done = subprocess.run(
        [python, "-I", "-c", SCRIPT, library, str(ours), str(theirs), str(HERE)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ours.parent,
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
def test_both_ways(library: str, tmp_path: Path, mlflow_python: str) -> None:
    pytest.importorskip(library)
    assert importlib.util.find_spec("mlflow") is None
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    theirs.mkdir()
    models = made.models(library)
    for case, model in models.items():
        getattr(nbtrack, library).save_model(model, ours / case)
    in_mlflow(mlflow_python, library, ours, theirs)
    for case, model in models.items():
        data = made.data(library, case)
        kind, native, found = pickle.loads((theirs / f"{case}.loaded").read_bytes())
        assert kind == (type(model).__module__, type(model).__qualname__)
        predicted = load_predictor(ours / case).predict(data)
        assert_same(found, predicted)
        if native is not None:
            assert_same(native, predicted)

        trust = library in {"statsmodels", "lightgbm"}
        if trust:
            reason = "it is a (pickle|text|skops file)"
            with pytest.raises(UntrustedModelError, match=reason):
                load_directory(theirs / case)
        assert type(load_directory(theirs / case, trust=trust)) is type(model)
        found = pickle.loads((theirs / f"{case}.saved").read_bytes())
        assert_same(load_predictor(theirs / case, trust=trust).predict(data), found)
