"""PyTorch models as safetensors: what comes back, and what does not get in."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from nbtrack.errors import (
    InvalidParameterError,
    MissingPackageError,
    NotFoundError,
    UntrustedModelError,
)
from nbtrack.models import load_directory, take_snapshot, write_files
from nbtrack.models.flavors import ModelTooLargeError, get_flavor

torch = pytest.importorskip("torch")
pytest.importorskip("safetensors")
nn = torch.nn
MB = 2**20


def write(directory: Path, model: object) -> Path:
    snapshot = take_snapshot(model, "torch", max_bytes=MB)
    files = write_files(snapshot, run_id="0" * 32, artifact_path="model", model_id="1" * 32)
    for name, data in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return directory / "model"


def same(one: Any, other: Any) -> bool:
    return one.keys() == other.keys() and all(
        torch.equal(one[k], other[k]) and one[k].dtype == other[k].dtype for k in one
    )


def test_a_state_comes_back(tmp_path):
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2).double())
    state = load_directory(write(tmp_path, model))
    assert isinstance(state, dict)
    assert same(state, model.state_dict())
    content = yaml.safe_load((tmp_path / "model" / "MLmodel").read_text())
    native = content["flavors"]["torch"]
    assert native["model_class"] == "torch.nn.modules.container.Sequential"
    assert native["torch_version"] == torch.__version__
    assert "torch==" in (tmp_path / "model" / "requirements.txt").read_text()


def test_a_module_comes_back_where_its_class_can_be_made(tmp_path, monkeypatch):
    (tmp_path / "nets.py").write_text(
        "import torch\n"
        "class Net(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.layer = torch.nn.Linear(2, 3)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    from nets import Net

    model = Net()
    directory = write(tmp_path, model)
    loaded = load_directory(directory)
    assert type(loaded) is Net
    assert same(loaded.state_dict(), model.state_dict())
    (tmp_path / "nets.py").write_text("class Net: pass\n")
    check = f"import nbtrack; print(type(nbtrack.load_model({str(directory)!r})).__name__)"
    done = subprocess.run(
        [sys.executable, "-c", check], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.stdout.strip() in {"dict", "OrderedDict"}, done.stderr


@pytest.fixture
def net(tmp_path, monkeypatch):
    """A module whose class can be imported, in a directory that real processes see, too."""
    (tmp_path / "pfnets.py").write_text(
        "import torch\n"
        "class Net(torch.nn.Sequential):\n"
        "    def __init__(self):\n"
        "        super().__init__(torch.nn.Linear(2, 3), torch.nn.Dropout(0.9))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    from pfnets import Net

    return Net()


def test_the_class_of_a_foreign_state_is_not_imported(net, tmp_path, monkeypatch):
    directory = write(tmp_path, net)
    (directory / "nbtrack-seal.json").unlink(missing_ok=True)
    assert type(load_directory(directory)).__name__ == "Net"  # it is imported
    monkeypatch.delitem(sys.modules, "pfnets")
    with pytest.raises(UntrustedModelError, match=r"of the class 'pfnets\.Net'"):
        load_directory(directory)
    assert "pfnets" not in sys.modules
    assert type(load_directory(directory, trust=True)).__name__ == "Net"


def test_predicting_as_mlflow_does(net, tmp_path):
    directory = write(tmp_path, net)
    told = yaml.safe_load((directory / "MLmodel").read_text())["flavors"]["python_function"]
    loader = importlib.import_module(told["loader_module"])
    predictor = loader._load_pyfunc(str(directory))
    rows = np.array([[1.0, 2.0], [3.0, 4.0]])  # of twice the module's precision
    expected = net[0](torch.tensor(rows).float()).detach().numpy()
    assert np.allclose(predictor.predict(rows), expected)
    assert np.allclose(predictor.predict(pd.DataFrame(rows, columns=["a", "b"])), expected)
    with pytest.raises(InvalidParameterError, match="list cannot be given to a module"):
        predictor.predict([[1.0, 2.0]])
    with pytest.raises(InvalidParameterError, match="takes no params"):
        predictor.predict(rows, {"n": 1})


def test_a_state_cannot_predict(tmp_path):
    directory = write(tmp_path, nn.Sequential(nn.Linear(3, 4)))
    with pytest.raises(InvalidParameterError, match=r"a state without its module.*Sequential"):
        get_flavor("torch")._load_pyfunc(str(directory))


def test_tied_and_odd_tensors(tmp_path):
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(4, 4, bias=False)
            self.b = nn.Linear(4, 4, bias=False)
            self.b.weight = self.a.weight
            base = torch.arange(12.0).reshape(3, 4)
            self.register_buffer("transposed", base.t())
            self.register_buffer("row", base[1])
            self.register_buffer("small", torch.ones(2, dtype=torch.bfloat16))
            self.register_buffer("empty", torch.ones(0))
            self.register_buffer("none", None)

        def get_extra_state(self) -> Any:
            return {"not": "a tensor"}

        def set_extra_state(self, state: Any) -> None: ...

    model = Tied()
    state = load_directory(write(tmp_path, model))
    expected = model.state_dict()
    assert expected.pop("_extra_state") == {"not": "a tensor"}
    assert same(state, expected)
    native = yaml.safe_load((tmp_path / "model" / "MLmodel").read_text())["flavors"]["torch"]
    assert native["aliases"] == {"b.weight": "a.weight"}
    assert native["left_out"] == ["_extra_state"]


def test_what_is_refused(tmp_path):
    with pytest.raises(ModelTooLargeError, match="more than"):
        take_snapshot(nn.Linear(400, 400), "torch", max_bytes=1000)
    with pytest.raises(InvalidParameterError, match=r"dict is no torch\.nn\.Module"):
        take_snapshot({"a": 1}, "torch", max_bytes=MB)


@pytest.mark.parametrize("damage", [b"", b"\x08", b"\xff" * 64, b"\x80\x04N."])
def test_damaged_files(tmp_path, damage):
    directory = write(tmp_path, nn.Linear(1, 1))
    (directory / "model.safetensors").write_bytes(damage)
    with pytest.raises(InvalidParameterError, match="cannot be read"):
        load_directory(directory, trust=True)
    (directory / "model.safetensors").unlink()
    with pytest.raises(NotFoundError):
        load_directory(directory, trust=True)


@pytest.mark.parametrize(
    "native",
    [
        {"state": "../../other/model.safetensors"},
        {"model_class": "os.path.join"},
        {"model_class": "no.such.module.Net"},
        {"model_class": "torch.nn.Module.eval"},
        {"model_class": 5},
        {"aliases": {"x": "no such"}},
        {"aliases": "none"},
    ],
)
def test_hostile_descriptions(tmp_path, native):
    directory = write(tmp_path, nn.Linear(1, 1))
    if "state" in native:
        with pytest.raises(NotFoundError):
            get_flavor("torch").load(directory / "deeper", native)
        return
    state = get_flavor("torch").load(directory, native)
    assert set(state) == {"weight", "bias"}


def test_without_safetensors(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors.torch", None)
    with pytest.raises(MissingPackageError, match="safetensors"):
        take_snapshot(nn.Linear(1, 1), "torch", max_bytes=MB)
