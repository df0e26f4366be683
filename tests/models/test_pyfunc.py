"""Models of every flavor by one way to predict, and models of one's own code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

import nbtrack
from nbtrack.errors import InvalidParameterError, NotFoundError, UntrustedModelError
from nbtrack.models import infer_signature, seal
from nbtrack.models.schema import ColSpec, ParamSchema, ParamSpec, Schema
from nbtrack.pyfunc import PythonModel

ROOT = Path(__file__).resolve().parents[2]

MODELS = """
import {library} as mlflow
import {library}.pyfunc, {library}.models

class Reader(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        with open(context.artifacts["words"]) as file:
            self.words = file.read().split()
        self.end = (context.model_config or {{}}).get("end", "")

    def predict(self, context, model_input, params=None):
        times = (params or {{}}).get("times", 1)
        return [self.words[i] * times + self.end for i in model_input["i"]]

class Shout(mlflow.pyfunc.PythonModel):
    def predict(self, model_input: list[str]) -> list[str]:
        return [text.upper() for text in model_input]

class Plain(mlflow.pyfunc.PythonModel):
    def predict(self, model_input):
        return model_input

def shout(model_input: list[str]) -> list[str]:
    return [text.upper() for text in model_input]
"""
SAVE = """
import pandas as pd
signature = mlflow.models.infer_signature(pd.DataFrame({"i": [1]}), params={"times": 1})
mlflow.pyfunc.save_model(
    "reader", python_model=Reader(), artifacts={"words": "words.txt"}, signature=signature,
    pip_requirements=[], model_config={"end": "!"},
)
mlflow.pyfunc.save_model("shout", python_model=Shout(), pip_requirements=[])
mlflow.pyfunc.save_model("function", python_model=shout, pip_requirements=[])
mlflow.pyfunc.save_model("plain", python_model=Plain(), pip_requirements=[])
mlflow.pyfunc.save_model("code", python_model="coded.py", pip_requirements=[])
"""
LOAD = """
import json, pandas as pd
def load(name):
    return mlflow.pyfunc.load_model(name{trust})
frame = pd.DataFrame({{"other": ["x"], "i": [1]}})
print(json.dumps([
    load("reader").predict(frame, params={{"times": 2}}),
    load("shout").predict(["a"]),
    load("function").predict(["a"]),
    load("plain").predict([1, 2]),
    load("code").predict([1, 2]),
]))
"""
CODED = """
import {library} as mlflow
import {library}.pyfunc, {library}.models

class Doubled(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return [2 * x for x in model_input]

mlflow.models.set_model(Doubled())
"""
WANTED = [["beta" * 2 + "!"], ["A"], ["A"], [1, 2], [2, 4]]


def play(python: str, folder: Path, library: str, code: str, without: str) -> str:
    quiet = "import sys, warnings\nwarnings.simplefilter('ignore')\n"
    quiet += f"sys.modules[{without!r}] = None\n"
    done = subprocess.run(
        [python, "-c", quiet + code],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT) if library == "nbtrack" else ""},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def write_sources(folder: Path, library: str) -> None:
    (folder / "words.txt").write_text("alpha beta")
    (folder / "coded.py").write_text(CODED.format(library=library))


@pytest.fixture(autouse=True)
def _database(workdir: Path) -> None:
    nbtrack.set_tracking_uri(str(workdir / "nbtrack.db"))


def test_models_of_a_script_load_in_another_process(tmp_path: Path) -> None:
    write_sources(tmp_path, "nbtrack")
    play(sys.executable, tmp_path, "nbtrack", MODELS.format(library="nbtrack") + SAVE, "mlflow")
    load = "import nbtrack as mlflow\nimport nbtrack.pyfunc\n" + LOAD.format(trust="")
    assert json.loads(play(sys.executable, tmp_path, "nbtrack", load, "mlflow")) == WANTED


@pytest.mark.mlflow
def test_mlflow_loads_ours_without_nbtrack(tmp_path: Path, mlflow_python: str) -> None:
    write_sources(tmp_path, "nbtrack")
    # A file of code is executed as it is: one that imports nbtrack needs it.
    (tmp_path / "coded.py").write_text(CODED.format(library="mlflow"))
    play(sys.executable, tmp_path, "nbtrack", MODELS.format(library="nbtrack") + SAVE, "mlflow")
    load = "import mlflow, mlflow.pyfunc\n" + LOAD.format(trust="")
    out = play(mlflow_python, tmp_path, "mlflow", load, "nbtrack")
    assert json.loads(out.splitlines()[-1]) == WANTED


@pytest.mark.mlflow
def test_ours_loads_mlflows_without_mlflow(tmp_path: Path, mlflow_python: str) -> None:
    write_sources(tmp_path, "mlflow")
    play(mlflow_python, tmp_path, "mlflow", MODELS.format(library="mlflow") + SAVE, "nbtrack")
    load = "import nbtrack as mlflow\nimport nbtrack.pyfunc\n" + LOAD.format(trust=", trust=True")
    assert json.loads(play(sys.executable, tmp_path, "nbtrack", load, "mlflow")) == WANTED


class Adder(PythonModel):
    def __init__(self, n: int) -> None:
        self.n = n

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return (model_input + self.n).to_numpy().tolist()


def test_log_register_and_load() -> None:
    import pandas as pd

    signature = infer_signature(pd.DataFrame({"x": [0.5], "y": [1.5]}))
    with nbtrack.start_run() as run:
        nbtrack.pyfunc.log_model(
            name="add", python_model=Adder(1), signature=signature, registered_model_name="add"
        )
    model = nbtrack.pyfunc.load_model("models:/add/1")
    frame = pd.DataFrame({"z": ["no"], "y": [2], "x": [True]}).astype({"y": "int32", "x": "int64"})
    with pytest.warns(UserWarning, match="does not know 'z'"):
        assert model.predict(frame) == [[2.0, 3.0]]
    assert model.metadata.run_id == run.run_id
    assert model.metadata.signature == signature
    assert model.metadata.get_input_schema() == signature.inputs
    assert model.unwrap_python_model().n == 1
    assert "models:/add/1" in repr(model)
    loaded: Any = nbtrack.load_model("models:/add/1")
    assert isinstance(loaded, Adder)


def test_what_does_not_fit_is_told() -> None:
    import pandas as pd

    signature = infer_signature(pd.DataFrame({"x": [0.5], "y": [1]}), params={"k": 3})
    nbtrack.pyfunc.save_model("m", python_model=Adder(1), signature=signature)
    model = nbtrack.pyfunc.load_model("m")
    with pytest.raises(InvalidParameterError, match="has no 'y', which the model needs"):
        model.predict(pd.DataFrame({"x": [0.5]}))
    with pytest.raises(
        InvalidParameterError, match=r"column 'y' is float64, and the model takes long \(int64\)"
    ):
        model.predict(pd.DataFrame({"x": [0.5], "y": [1.5]}))
    with pytest.raises(InvalidParameterError, match=r"param 'k' is long .*cannot be 'a', a str"):
        model.predict(pd.DataFrame({"x": [0.5], "y": [1]}), params={"k": "a"})
    with pytest.warns(UserWarning, match="knows no param 'other'"):
        model.predict(pd.DataFrame({"x": [0.5], "y": [1]}), params={"other": 1})


def test_the_hint_of_the_input_is_checked() -> None:
    def count(model_input: list[dict[str, int]]) -> list[int]:
        return [row["n"] for row in model_input]

    nbtrack.pyfunc.save_model("m", python_model=count)
    model = nbtrack.pyfunc.load_model("m")
    assert model.predict([{"n": 3}]) == [3]
    with pytest.raises(InvalidParameterError, match=r"data\[0\]\['n'\] is a str"):
        model.predict([{"n": "3"}])
    assert model.unwrap_python_model()([{"n": 4}]) == [4]


def test_an_example_shows_the_signature(tmp_path: Path) -> None:
    import numpy as np

    nbtrack.pyfunc.save_model(
        "m", python_model=lambda model_input: model_input * 2, input_example=np.zeros((2, 3))
    )
    model = nbtrack.pyfunc.load_model("m")
    assert model.metadata.signature == infer_signature(np.zeros((2, 3)), np.zeros((2, 3)))
    assert json.loads((tmp_path / "m" / "input_example.json").read_text()) == [[0.0] * 3] * 2
    with pytest.raises(InvalidParameterError, match=r"has the shape \(1, 2\)"):
        model.predict(np.zeros((1, 2)))
    with pytest.raises(InvalidParameterError, match="is float32, and the model takes float64"):
        model.predict(np.zeros((1, 3), "float32"))


def test_an_example_that_does_not_work_is_told() -> None:
    with pytest.warns(UserWarning, match="The model has no signature"):
        nbtrack.pyfunc.save_model("m", python_model=lambda model_input: 1 / 0, input_example=[1])
    assert nbtrack.pyfunc.load_model("m").metadata.signature is None


def test_code_goes_along_and_is_not_run_unasked(tmp_path: Path) -> None:
    from sklearn.dummy import DummyClassifier

    (tmp_path / "helper_of_a_model.py").write_text("VALUE = 5\n")

    def use(model_input: Any) -> Any:
        import helper_of_a_model  # type: ignore[import-not-found]

        return helper_of_a_model.VALUE

    with nbtrack.start_run():
        info = nbtrack.pyfunc.log_model(python_model=use, code_paths=["helper_of_a_model.py"])
    assert nbtrack.pyfunc.load_model(info.model_uri).predict([1]) == 5
    (tmp_path / "s.py").write_text("")
    nbtrack.sklearn.save_model(DummyClassifier().fit([[0]], [1]), "s", code_paths=["s.py"])
    (tmp_path / "s" / seal.FILE).unlink()
    with pytest.raises(UntrustedModelError, match="with code of its own"):
        nbtrack.pyfunc.load_model("s")


def test_settings_of_a_model() -> None:
    class Settings(PythonModel):
        def predict(self, context: Any, model_input: Any) -> Any:
            return context.model_config

    nbtrack.pyfunc.save_model("m", python_model=Settings(), model_config={"a": 1, "b": 2})
    loaded = nbtrack.pyfunc.load_model("m", model_config={"b": 3})
    assert loaded.predict(0) == {"a": 1, "b": 3}


def test_an_artifact_that_leads_out_of_the_directory(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("alpha")
    nbtrack.pyfunc.save_model("m", python_model=Adder(1), artifacts={"words": "words.txt"})
    path = tmp_path / "m" / "MLmodel"
    content = yaml.safe_load(path.read_text())
    content["flavors"]["python_function"]["artifacts"]["words"]["path"] = "../words.txt"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(NotFoundError, match=r"has no file '\.\./words\.txt'"):
        nbtrack.pyfunc.load_model("m", trust=True)


def test_a_foreign_model_is_not_run(tmp_path: Path) -> None:
    nbtrack.pyfunc.save_model("m", python_model=Adder(1))
    (tmp_path / "m" / seal.FILE).unlink()
    with pytest.raises(UntrustedModelError, match="it is a pickle"):
        nbtrack.pyfunc.load_model("m")
    (tmp_path / "code.py").write_text("raise SystemExit\n")
    nbtrack.pyfunc.save_model("c", python_model="code.py")
    (tmp_path / "c" / seal.FILE).unlink()
    with pytest.raises(UntrustedModelError, match="a file of Python code"):
        nbtrack.pyfunc.load_model("c")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"python_model": 3}, "is no python_model"),
        ({"python_model": "nowhere.py"}, "There is no file of Python"),
        ({"python_model": Adder(1), "artifacts": {"a": "nowhere"}}, "for the artifact 'a'"),
    ],
)
def test_what_is_no_model(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidParameterError, match=message):
        nbtrack.pyfunc.save_model("m", **given)


def test_a_file_without_a_model(tmp_path: Path) -> None:
    (tmp_path / "code.py").write_text("x = 1\n")
    nbtrack.pyfunc.save_model("m", python_model="code.py")
    with pytest.raises(InvalidParameterError, match="sets no model"):
        nbtrack.pyfunc.load_model("m")


def test_a_model_of_a_library_has_no_python_model() -> None:
    from sklearn.dummy import DummyClassifier

    nbtrack.sklearn.save_model(DummyClassifier().fit([[0]], [1]), "m")
    with pytest.raises(InvalidParameterError, match="none of Python code"):
        nbtrack.pyfunc.load_model("m").unwrap_python_model()


def test_params_get_their_defaults() -> None:
    class Params(PythonModel):
        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return params

    signature = nbtrack.models.ModelSignature(
        Schema([ColSpec("double", "x")]), params=ParamSchema([ParamSpec("k", "double", 2)])
    )
    nbtrack.pyfunc.save_model("m", python_model=Params(), signature=signature)
    assert nbtrack.pyfunc.load_model("m").predict({"x": 1.0}, {"k": 5}) == {"k": 5.0}
    assert nbtrack.pyfunc.load_model("m").predict({"x": 1.0}) == {"k": 2.0}
    assert textwrap.shorten(repr(signature.params), 99) == "['k': double (default: 2.0)]"
