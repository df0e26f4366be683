"""Model directories: what is written, what is read, and what is refused."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

from nbtrack.errors import (
    InvalidParameterError,
    MissingPackageError,
    NotFoundError,
    UntrustedModelError,
)
from nbtrack.models import load_directory, mlmodel, seal, take_snapshot, write_files
from nbtrack.models.flavors import ModelTooLargeError, get_flavor
from nbtrack.models.flavors.base import BoundedBuffer, pickled
from nbtrack.settings import settings
from nbtrack.tracking import Client

ROOT = Path(__file__).resolve().parents[2]
MB = 2**20


def fitted() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression().fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])


def write(directory: Path, model: object, **changes: bytes) -> Path:
    snapshot = take_snapshot(model, "sklearn", max_bytes=MB)
    files = write_files(snapshot, run_id="0" * 32, artifact_path="model", model_id="1" * 32)
    for name, data in (files | {f"model/{name}": data for name, data in changes.items()}).items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return directory / "model"


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return write(tmp_path, fitted())


class Evil:
    """Unpickling it leaves a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.mark),))


# -- what is written


def test_files_of_a_directory(saved: Path) -> None:
    assert {path.name for path in saved.iterdir()} == {
        "MLmodel",
        "conda.yaml",
        "python_env.yaml",
        "requirements.txt",
        "model.pkl",
        seal.FILE,
    }


def test_mlmodel_has_the_keys_of_mlflow(saved: Path) -> None:
    content = yaml.safe_load((saved / "MLmodel").read_text())
    assert set(content) == {
        "artifact_path",
        "flavors",
        "model_size_bytes",
        "model_uuid",
        "run_id",
        "utc_time_created",
    }
    assert (content["artifact_path"], content["run_id"]) == ("model", "0" * 32)
    assert content["model_uuid"] == "1" * 32
    assert content["model_size_bytes"] == (saved / "model.pkl").stat().st_size
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}", content["utc_time_created"])
    native, pyfunc = content["flavors"]["sklearn"], content["flavors"]["python_function"]
    assert set(native) == {"pickled_model", "serialization_format", "sklearn_version", "code"}
    assert (native["pickled_model"], native["serialization_format"]) == ("model.pkl", "cloudpickle")
    assert pyfunc["loader_module"] == "mlflow.sklearn"
    assert (pyfunc["model_path"], pyfunc["predict_fn"]) == ("model.pkl", "predict")
    assert pyfunc["env"] == {"conda": "conda.yaml", "virtualenv": "python_env.yaml"}


def test_environment_files(saved: Path) -> None:
    lines = (saved / "requirements.txt").read_text().splitlines()
    assert any(line.startswith("cloudpickle==") for line in lines)
    assert any(line.startswith("scikit-learn==") for line in lines)
    conda = yaml.safe_load((saved / "conda.yaml").read_text())
    assert conda["name"] == "mlflow-env"
    assert conda["dependencies"][-1] == {"pip": lines}
    env = yaml.safe_load((saved / "python_env.yaml").read_text())
    assert env["dependencies"] == ["-r requirements.txt"]


# -- round trips


def test_a_model_comes_back(saved: Path) -> None:
    loaded: Any = load_directory(saved)
    assert loaded.predict([[0.0], [3.0]]).tolist() == [0, 1]


def test_a_model_is_kept_as_it_was(client: Client) -> None:
    model = fitted()
    run = client.start_run("r")
    run.log_model(model, "sklearn")
    model.coef_[:] = -model.coef_
    loaded: Any = client.load_model("runs:/r/model")
    assert loaded.predict([[0.0], [3.0]]).tolist() == [0, 1]
    (info,) = client.get_run("r").models
    assert info.model_class == "sklearn.linear_model._logistic.LogisticRegression"


def test_a_class_of_the_notebook_loads_in_a_fresh_process(tmp_path: Path) -> None:
    save = """
        import sys
        from sklearn.base import BaseEstimator
        from nbtrack import Client

        OFFSET = 40

        class Mine(BaseEstimator):
            def fit(self, X, y=None):
                self.n_ = len(X)
                return self

            def predict(self, X):
                return [OFFSET + self.n_ for _ in X]

        with Client(sys.argv[1]).start_run("mine") as run:
            run.log_model(Mine().fit([[1], [2]]), "sklearn")
    """
    load = """
        import sys
        from nbtrack import Client

        print(Client(sys.argv[1]).load_model("runs:/mine/model").predict([[0]]))
    """
    for script, printed in [(save, ""), (load, "[42]\n")]:
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "nbtrack.db")],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, done.stdout) == (0, printed), done.stderr


def test_a_model_that_is_too_large(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelTooLargeError, match=r"takes more than 0\.5 MB") as caught:
        take_snapshot(bytes(MB), "sklearn", max_bytes=MB // 2)
    assert "max_model_mb" in (caught.value.hint or "")
    monkeypatch.setitem(settings.values, "max_model_mb", 1)
    run = client.start_run("r")
    with pytest.warns(UserWarning, match="The model of run r is left out"):
        run.log_model(bytes(2 * MB), "sklearn")
    assert client.get_run("r").models == ()
    assert client.list_artifacts("r") == []


def test_a_bounded_buffer_stops_before_it_is_full() -> None:
    buffer = BoundedBuffer(5)
    assert buffer.writable()
    assert buffer.write(memoryview(b"abc")) == 3
    with pytest.raises(ModelTooLargeError):
        buffer.write(b"def")
    assert buffer.getvalue() == b"abc"


def test_a_pickle_without_classes_of_the_notebook_is_a_plain_one() -> None:
    model = fitted()
    assert pickled(model, MB) == pickle.dumps(model, protocol=pickle.HIGHEST_PROTOCOL)


@pytest.mark.parametrize("many", [1, 100_000], ids=["alone", "behind a large array"])
def test_a_class_of_the_notebook_goes_along(many: int) -> None:
    code = f"""
        import pickle, sys, numpy as np
        from nbtrack.models.flavors.base import pickled

        class Mine:
            value = 7

        model = [np.ones({many}), {{"class": Mine, "function": lambda x: x + Mine.value}}]
        sys.stdout.buffer.write(pickled(model, 2**30))
    """
    made = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], check=True, capture_output=True
    )
    found = pickle.loads(made.stdout)[1]
    assert (found["class"].value, found["function"](1)) == (7, 8)


def test_a_class_of_the_notebook_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain pickle would take the name alone."""
    mine = type("Mine", (), {"__module__": "__main__"})
    monkeypatch.setattr(sys.modules["__main__"], "Mine", mine, raising=False)
    assert pickle.dumps([mine()])
    data = pickled([mine()], MB)
    monkeypatch.delattr(sys.modules["__main__"], "Mine")
    assert type(pickle.loads(data)[0]).__name__ == "Mine"


def test_a_module_that_goes_along(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloudpickle.list_registry_pickle_by_value", lambda: {"mine"})
    assert pickle.loads(pickled([1], MB)) == [1]


def test_log_models_off(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(settings.values, "log_models", False)
    client.start_run("r").log_model(fitted(), "sklearn")
    assert client.get_run("r").models == ()


def test_what_cannot_be_pickled_is_told_to_the_caller(client: Client) -> None:
    run = client.start_run("r")
    with pytest.raises(TypeError, match="pickle"):
        run.log_model((i for i in ()), "sklearn")
    assert client.get_run("r").models == ()


def test_an_unknown_flavor() -> None:
    with pytest.raises(NotFoundError, match="There is no model flavor 'os'") as caught:
        get_flavor("os")
    assert caught.value.hint == "There are: pyfunc, sklearn, torch."


# -- trust


def test_a_foreign_model_is_not_executed(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    directory = write(tmp_path, fitted(), **{"model.pkl": pickle.dumps(Evil(mark))})
    with pytest.raises(UntrustedModelError, match="its files were changed") as caught:
        load_directory(directory)
    assert not mark.exists()
    assert "loading it can run any code" in caught.value.message
    assert "trust=True" in (caught.value.hint or "")
    load_directory(directory, trust=True)
    assert mark.exists()  # the test would see it


@pytest.mark.parametrize(
    ("act", "why"),
    [
        (lambda d: (d / seal.FILE).unlink(), "it carries no seal of nbtrack"),
        (lambda d: (d / seal.FILE).write_text("{}"), "its seal cannot be read"),
        (lambda d: (d / "conda.yaml").write_text("name: x"), "its files were changed"),
    ],
)
def test_models_that_are_not_ours(saved: Path, act: Any, why: str) -> None:
    act(saved)
    with pytest.raises(UntrustedModelError, match=why):
        load_directory(saved)
    assert hasattr(load_directory(saved, trust=True), "predict")


def test_another_users_model(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.start_run("r").log_model(fitted(), "sklearn")
    client.register_model("r", "iris")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "other-home"))
    for uri in ("runs:/r/model", "models:/iris/1"):
        with pytest.raises(UntrustedModelError, match=f"The model {uri} was not loaded: it was"):
            client.load_model(uri)
        assert hasattr(client.load_model(uri, trust=True), "predict")


# -- hostile directories


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("!!python/object/apply:os.mkdir ['{mark}']", InvalidParameterError, "cannot be read"),
        (
            "flavors: !!python/object/apply:os.mkdir ['{mark}']",
            InvalidParameterError,
            "cannot be read",
        ),
        ("flavors: [sklearn]", InvalidParameterError, "names no flavors"),
        ("- flavors", InvalidParameterError, "names no flavors"),
        ("", InvalidParameterError, "names no flavors"),
        ("\0", InvalidParameterError, "cannot be read"),
        ("flavors: {{}}\ntime: 2024-99-99", InvalidParameterError, "cannot be read"),
        ("[" * 5_000, InvalidParameterError, "cannot be read"),
        ("flavors: {{a: 1, b: 2}}", NotFoundError, "has the flavors a, b; nbtrack loads pyfunc"),
        ("flavors: {{}}", NotFoundError, "nbtrack loads pyfunc"),
        (
            "flavors: {{sklearn: {{pickled_model: ../../x.pkl}}}}",
            NotFoundError,
            r"has no file '\.\./\.\./x\.pkl'",
        ),
        ("flavors: {{sklearn: {{pickled_model: ''}}}}", NotFoundError, "has no file"),
        ("flavors: {{sklearn: {{pickled_model: ..}}}}", NotFoundError, r"has no file '\.\.'"),
    ],
)
def test_hostile_mlmodel_files(
    tmp_path: Path, text: str, error: type[Exception], message: str
) -> None:
    mark = tmp_path / "mark"
    directory = tmp_path / "a" / "b" / "model"
    directory.mkdir(parents=True)
    (tmp_path / "a" / "x.pkl").write_bytes(pickle.dumps(Evil(mark)))
    (directory / "MLmodel").write_text(text.format(mark=mark))
    with pytest.raises(error, match=message):
        load_directory(directory, trust=True)
    assert not mark.exists()


def test_no_utf8(tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_bytes(b"flavors: \xff")
    with pytest.raises(InvalidParameterError, match="cannot be read"):
        load_directory(tmp_path)


def test_a_huge_mlmodel_file_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "MLmodel").open("wb") as file:
        file.truncate(mlmodel._MAX_BYTES + 1)
    with pytest.raises(InvalidParameterError, match="is too large to be an MLmodel file"):
        load_directory(tmp_path)


def test_a_folder_that_is_no_model(tmp_path: Path, client: Client) -> None:
    with pytest.raises(NotFoundError, match="is no model: it has no MLmodel file") as caught:
        client.load_model(str(tmp_path))
    assert "runs:/<run id>/model" in (caught.value.hint or "")


def test_the_smallest_directory_of_mlflow(tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text("flavors: {sklearn: {pickled_model: m.pkl}}")
    (tmp_path / "m.pkl").write_bytes(pickle.dumps({"a": 1}))
    assert load_directory(tmp_path, trust=True) == {"a": 1}


def test_a_package_that_is_missing(tmp_path: Path) -> None:
    (tmp_path / "MLmodel").write_text("flavors: {sklearn: }")
    (tmp_path / "model.pkl").write_bytes(b"cno_such_package\nThing\n.")
    with pytest.raises(MissingPackageError, match="needs the package 'no_such_package'") as caught:
        load_directory(tmp_path, trust=True)
    assert caught.value.hint == "Install it: pip install no_such_package"
