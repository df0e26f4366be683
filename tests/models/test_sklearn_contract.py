"""scikit-learn against the contract of all flavors."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
import yaml
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

import nbtrack
from nbtrack.errors import InvalidParameterError, UntrustedModelError
from nbtrack.models import load_predictor
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
    options: ClassVar = {
        "default": {"pyfunc_predict_fn": "predict_proba"},
        "pickle": {"pyfunc_predict_fn": "predict_proba", "serialization_format": "pickle"},
    }
    mlflow_options: ClassVar = {
        "cloudpickle": "serialization_format='cloudpickle'",
        "pickle": "serialization_format='pickle', pyfunc_predict_fn='predict_proba'",
    }


class TestSkops(TestSklearn):
    """The same as data: skops trusts all of its types."""

    data_only = True
    options: ClassVar = {
        "default": {"pyfunc_predict_fn": "predict_proba", "serialization_format": "skops"}
    }
    missing: ClassVar = {"equal_bytes": "skops calls its parts by the addresses of objects"}
    mlflow_options: ClassVar = {
        "skops": "serialization_format='skops', pyfunc_predict_fn='predict_proba'",
    }

    @pytest.fixture(autouse=True)
    def _needs_skops(self) -> None:
        pytest.importorskip("skops")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A forest as skops, which does not trust the trees of others."""
    pytest.importorskip("skops")
    path = tmp_path / "tree"
    model = DecisionTreeClassifier().fit([[0.0], [1.0]], [0, 1])
    with pytest.raises(InvalidParameterError, match=r"as skops: it needs sklearn\.tree") as caught:
        nbtrack.sklearn.save_model(model, path, serialization_format="skops")
    assert "skops_trusted_types" in (caught.value.hint or "")
    types = ["sklearn.tree._tree.Tree"]
    nbtrack.sklearn.save_model(model, path, serialization_format="skops", skops_trusted_types=types)
    return path


def test_types_that_skops_does_not_trust(tree: Path) -> None:
    """What the MLmodel of somebody else trusts counts for nothing."""
    assert nbtrack.sklearn.load_model(tree).predict([[1.0]]).tolist() == [1]
    (tree / "nbtrack-seal.json").unlink()
    with pytest.raises(UntrustedModelError, match=r"it is a skops file with sklearn\.tree"):
        nbtrack.sklearn.load_model(tree)
    assert nbtrack.sklearn.load_model(tree, trust=True).predict([[1.0]]).tolist() == [1]


def test_two_files_of_data(tmp_path: Path) -> None:
    """One could be looked at, and the other loaded."""
    pytest.importorskip("skops")
    path = tmp_path / "model"
    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    nbtrack.sklearn.save_model(model, path, serialization_format="skops")
    (path / "evil.pkl").write_bytes(b"")
    content = yaml.safe_load((path / "MLmodel").read_text())
    content["flavors"]["python_function"]["model_path"] = "evil.pkl"
    (path / "MLmodel").write_text(yaml.safe_dump(content))
    with pytest.raises(InvalidParameterError, match="two files of data"):
        load_predictor(path)


def test_an_unknown_format(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match="no serialization_format 'joblib'"):
        nbtrack.sklearn.save_model(
            LogisticRegression(), tmp_path / "model", serialization_format="joblib"
        )
