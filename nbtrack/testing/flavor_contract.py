"""What every flavor has to do: a class of tests, and the little code that names a library.

Needs pytest and numpy. A flavor is tested by a subclass in a file of its own, whose examples are
texts of Python: they are run here and, where the real MLflow is compared with, there::

    class TestMine(FlavorContract):
        flavor, module, library = "mine", "mine", "mine"
        setup = "from mine import Model; data = ...; model = Model().fit(data)"
        predict = "model.predict(data)"

The environment of MLflow needs the library, too. What a library cannot have is left out with a
reason: ``missing = {"change": "..."}``.
"""

from __future__ import annotations

import inspect
import json
import os
import shutil
import subprocess
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml

from nbtrack.db import connect_writer
from nbtrack.errors import IntegrityError, NbtrackError, UntrustedModelError
from nbtrack.models import load_directory, load_predictor, mlmodel, seal
from nbtrack.models.flavors import Flavor, ModelTooLargeError, flavor_of, get_flavor
from nbtrack.tracking.fluent import start_run
from nbtrack.tracking.fluent_models import load_model
from nbtrack.tracking.fluent_system import flush, set_tracking_uri

Names = dict[str, Any]

# Run here and in MLflow's process: what is compared is what both of them tell as JSON.
_TELL = """
def tell(value):
    import numpy as np
    kind = type(value).__name__
    if isinstance(value, dict):
        return [kind, "", {str(k): tell(v) for k, v in value.items()}]
    if hasattr(value, "columns") and hasattr(value, "dtypes"):
        types = [str(d) for d in value.dtypes]
        names = [str(c) for c in value.columns]
        return [kind, [names, types], value.to_numpy().tolist()]
    if isinstance(value, (list, tuple)) or not hasattr(value, "dtype"):
        return [kind, "", np.asarray(value).tolist()]
    return [kind, str(value.dtype), np.asarray(value).tolist()]
"""
_WITHOUT_NBTRACK = """
import sys, warnings
sys.modules["nbtrack"] = None
warnings.simplefilter("ignore")
import json, logging
import mlflow, mlflow.pyfunc, mlflow.{module} as module
logging.disable(logging.ERROR)
"""


class FlavorContract:
    """The tests. Subclasses fill in the examples; their names are in the tests that use them."""

    flavor: ClassVar[str]
    """Name of the file in ``models/flavors``."""
    module: ClassVar[str]
    """Name of the public module, which is MLflow's name, too."""
    library: ClassVar[str]
    """The package that the flavor is for."""
    setup: ClassVar[str]
    """Makes ``model``, and ``data`` that it predicts for."""
    predict: ClassVar[str] = "model.predict(data)"
    """Gives what the model predicts, natively."""
    change: ClassVar[str]
    """Changes ``model``, so that it predicts something else."""
    inputs: ClassVar[tuple[str, ...]] = ("data",)
    """What ``pyfunc`` predicts for, each as Python."""
    options: ClassVar[Mapping[str, Mapping[str, Any]]] = {"default": {}}
    """What ``save_model`` is given besides, by a name for each way of saving."""
    mlflow_options: ClassVar[Mapping[str, str]] = {"default": ""}
    """The same for MLflow's ``save_model``, as Python: ``{"json": "model_format='json'"}``."""
    data_only: ClassVar[bool] = False
    """Whether all files are data, and are loaded without trust."""
    missing: ClassVar[Mapping[str, str]] = {}
    """Examples that the library cannot have, and why."""

    # -- how examples are played

    def _example(self, name: str) -> str:
        if name in self.missing:
            pytest.skip(self.missing[name])
        return textwrap.dedent(getattr(self, name))

    def _names(self) -> Names:
        names: Names = {"__name__": "flavor_contract_example"}
        exec(compile(self._example("setup") + _TELL, "<setup>", "exec"), names)  # noqa: S102
        return names

    def _told(self, names: Names, source: str) -> Any:
        return json.loads(json.dumps(eval(f"tell({source})", names)))  # noqa: S307 - the subclass's

    def _api(self) -> Any:
        return import_module(f"nbtrack.{self.module}")

    def _flavor(self) -> Flavor:
        return get_flavor(self.flavor)

    def _saved(self, folder: Path, name: str = "default") -> tuple[Names, Path]:
        names = self._names()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._api().save_model(names["model"], folder / "model", **self.options[name])
        return names, folder / "model"

    def _same(self, names: Names, found: object) -> None:
        assert_same(self._told({**names, "model": found}, self.predict), self._wanted(names))

    def _wanted(self, names: Names) -> Any:
        return self._told(names, self.predict)

    @pytest.fixture(autouse=True)
    def _database(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.chdir(tmp_path)
        set_tracking_uri(str(tmp_path / "nbtrack.db"))
        yield
        flush()

    # -- what a flavor is

    def test_our_files_do_not_import_the_library(self) -> None:
        code = f"""
            import sys
            import nbtrack.{self.module}
            from nbtrack.models.flavors import get_flavor
            flavor = get_flavor({self.flavor!r})
            assert not flavor.is_model(object())
            assert {self.library!r} not in sys.modules
        """
        _run([sys.executable, "-c", textwrap.dedent(code)])

    def test_its_models_are_recognized(self) -> None:
        assert flavor_of(self._names()["model"]) is self._flavor()
        assert not self._flavor().is_model(object())

    def test_a_snapshot_is_the_model_as_it_was(self, tmp_path: Path) -> None:
        change = self._example("change")
        names = self._names()
        wanted = self._wanted(names)
        with start_run():
            info = self._api().log_model(names["model"], name="m")
            exec(compile(change, "<change>", "exec"), names)  # noqa: S102 - the subclass's own
        assert self._wanted(names) != wanted
        found = self._api().load_model(info.model_uri, tmp_path)
        assert_same(self._told({**names, "model": found}, self.predict), wanted)

    def test_equal_models_are_equal_bytes(self) -> None:
        if "equal_bytes" in self.missing:
            pytest.skip(self.missing["equal_bytes"])
        model = self._names()["model"]
        one, two = (self._flavor().snapshot(model, max_bytes=2**40).files for _ in range(2))
        assert one == two

    def test_a_size_cap(self) -> None:
        with pytest.raises(ModelTooLargeError, match="takes more than"):
            self._flavor().snapshot(self._names()["model"], max_bytes=8)

    # -- there and back

    def test_save_and_load(self, tmp_path: Path) -> None:
        for name in self.options:
            names, folder = self._saved(tmp_path / name, name)
            found = self._api().load_model(str(folder))
            assert type(found) is type(names["model"])
            self._same(names, found)
            assert self._flavor().NAMES[0] in mlmodel.read(folder)["flavors"]

    def test_pyfunc_predicts_the_same(self, tmp_path: Path) -> None:
        for name in self.options:
            names, folder = self._saved(tmp_path / name, name)
            wanted = values_of(self._wanted(names))
            predictor = load_predictor(folder)
            found = self._told({**names, "predictor": predictor}, "predictor.predict(data)")
            assert_same(values_of(found), wanted)

    def test_log_register_and_load(self) -> None:
        names = self._names()
        with start_run() as run:
            info = self._api().log_model(
                names["model"], name="deep/m", registered_model_name="mine"
            )
        assert info.model_uri == f"runs:/{run.run_id}/deep/m"
        for uri in (info.model_uri, "models:/mine/1", "models:/mine/latest"):
            self._same(names, self._api().load_model(uri))
            self._same(names, load_model(uri))

    # -- what is not to be believed

    def test_damaged_bytes_in_the_database(self, tmp_path: Path) -> None:
        with start_run():
            info = self._api().log_model(self._names()["model"], name="m")
        flush()
        conn = connect_writer(tmp_path / "nbtrack.db")
        conn.execute("UPDATE blob_chunks SET data = zeroblob(length(data))")
        conn.close()
        with pytest.raises(IntegrityError):
            self._api().load_model(info.model_uri)

    def test_what_this_user_did_not_save(self, tmp_path: Path) -> None:
        for name in self.options:
            names, folder = self._saved(tmp_path / name, name)
            (folder / seal.FILE).unlink()
            if self.data_only:
                self._same(names, self._api().load_model(str(folder)))
                load_predictor(folder)
                continue
            with pytest.raises(UntrustedModelError, match="can run any code"):
                self._api().load_model(str(folder))
            with pytest.raises(UntrustedModelError, match="can run any code"):
                load_predictor(folder)
            self._same(names, self._api().load_model(str(folder), trust=True))

    def test_mlmodel_files_that_lead_out_of_the_directory(self, tmp_path: Path) -> None:
        """No entry may make a file be read that is not in the directory."""
        _, folder = self._saved(tmp_path)
        outside = tmp_path / "outside"
        shutil.copytree(folder, outside)
        content: Mapping[str, Any] = mlmodel.read(folder)
        hostile: Any
        for key in (self._flavor().NAMES[0], mlmodel.PYFUNC):
            for name, value in content["flavors"][key].items():
                if not (isinstance(value, str) and value and (folder / value).exists()):
                    continue
                inside = folder / value
                parked = tmp_path / "parked"
                inside.rename(parked)
                elsewhere = [f"../outside/{value}", str(outside / value)]
                for hostile in [*elsewhere, "", "..", "\0", [], 7]:
                    entries = {**content["flavors"][key], name: hostile}
                    self._write(folder, {**content["flavors"], key: entries})
                    self._refused(folder)
                inside.symlink_to(outside / value)
                self._write(folder, content["flavors"])
                self._refused(folder)
                inside.unlink()
                parked.rename(inside)

    @staticmethod
    def _write(folder: Path, flavors: Mapping[str, Any]) -> None:
        content = {**mlmodel.read(folder), "flavors": flavors}
        (folder / mlmodel.FILE).write_text(yaml.safe_dump(content))

    def _refused(self, folder: Path) -> None:
        """One of the two has used the name, and must have refused it; none fails otherwise."""
        refused = 0
        loads: list[Callable[..., object]] = [load_directory, load_predictor]
        for load in loads:
            try:
                load(folder, trust=True)
            except NbtrackError:
                refused += 1
        assert refused, (folder / mlmodel.FILE).read_text()

    def test_files_that_are_cut_off(self, tmp_path: Path) -> None:
        _, folder = self._saved(tmp_path)
        snapshot = self._flavor().snapshot(self._names()["model"], max_bytes=2**40)
        largest = max(snapshot.files, key=lambda name: len(snapshot.files[name]))
        (folder / largest).write_bytes(snapshot.files[largest][: len(snapshot.files[largest]) // 2])
        with pytest.raises(NbtrackError):
            self._api().load_model(str(folder), trust=True)

    # -- the real MLflow

    def _mlflow(self, python: str, code: str, folder: Path) -> Any:
        """Return what a script tells that runs where MLflow is, and nbtrack is not."""
        lines = [
            _WITHOUT_NBTRACK.format(module=self.module),
            _TELL,
            self._example("setup"),
            textwrap.dedent(code),
        ]
        script = folder / "script.py"
        script.write_text("\n".join(lines))
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        return json.loads(_run([python, str(script)], cwd=folder, env=environment).splitlines()[-1])

    @pytest.fixture
    def mlflow_with_library(self, mlflow_python: str) -> str:
        """Return a Python that has MLflow and the library."""
        there = f"import importlib.util as u; print(u.find_spec({self.library!r}) is not None)"
        if _run([mlflow_python, "-c", there]).strip() != "True":
            pytest.skip(f"MLflow's environment has no {self.library}")
        return mlflow_python

    @pytest.mark.mlflow
    def test_mlflow_loads_ours(self, tmp_path: Path, mlflow_with_library: str) -> None:
        if "mlflow_loads_ours" in self.missing:
            pytest.skip(self.missing["mlflow_loads_ours"])
        for name in self.options:
            names, folder = self._saved(tmp_path / name, name)
            code = f"""
                model = module.load_model({str(folder)!r})
                native = tell({self.predict})
                loaded = mlflow.pyfunc.load_model({str(folder)!r})
                others = [tell(loaded.predict(x)) for x in ({", ".join(self.inputs)},)]
                print(json.dumps([native, *others]))
            """
            native, *others = self._mlflow(mlflow_with_library, code, tmp_path)
            assert_same(native, self._wanted(names))
            predictor = load_predictor(folder)
            for source, wanted in zip(self.inputs, others, strict=True):
                found = self._told(
                    {**names, "predictor": predictor}, f"predictor.predict({source})"
                )
                assert_same(found, wanted)

    @pytest.mark.mlflow
    def test_ours_loads_what_mlflow_saves(
        self, tmp_path: Path, mlflow_with_library: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, options in self.mlflow_options.items():
            folder = tmp_path / name
            code = f"""
                module.save_model(model, {str(folder)!r}, {options})
                loaded = mlflow.pyfunc.load_model({str(folder)!r})
                others = [tell(loaded.predict(x)) for x in ({", ".join(self.inputs)},)]
                print(json.dumps([tell({self.predict}), *others]))
            """
            native, *others = self._mlflow(mlflow_with_library, code, tmp_path)
            monkeypatch.setitem(sys.modules, "mlflow", None)
            names = self._names()
            found = self._api().load_model(str(folder), trust=True)
            assert_same(self._told({**names, "model": found}, self.predict), native)
            predictor = load_predictor(folder, trust=True)
            for source, wanted in zip(self.inputs, others, strict=True):
                told = self._told({**names, "predictor": predictor}, f"predictor.predict({source})")
                assert_same(told, wanted)

    @pytest.mark.mlflow
    def test_arguments_are_those_of_mlflow(self, tmp_path: Path, mlflow_with_library: str) -> None:
        """Each of ours is one of MLflow's, and they are in its order."""
        names = ("log_model", "save_model", "load_model")
        code = f"""
            import inspect
            functions = [getattr(module, name) for name in {names}]
            print(json.dumps([list(inspect.signature(f).parameters) for f in functions]))
        """
        for name, theirs in zip(
            names, self._mlflow(mlflow_with_library, code, tmp_path), strict=True
        ):
            ours = [
                p for p in inspect.signature(getattr(self._api(), name)).parameters if p != "trust"
            ]
            assert ours == [p for p in theirs if p in ours]


def _run(command: list[str], **options: Any) -> str:
    done = subprocess.run(  # noqa: S603 - Pythons and scripts of the tests
        command, capture_output=True, text=True, timeout=300, check=False, **options
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return str(done.stdout)


def values_of(told: Any) -> Any:
    """Return what was told without the types: what pyfunc gives is another container, maybe."""
    return ["", "", told[2]]


def assert_same(found: Any, wanted: Any) -> None:
    """Compare what two predictions tell: types exactly, numbers nearly."""
    import numpy as np

    assert found[:2] == wanted[:2]
    if isinstance(wanted[2], dict):
        assert found[2].keys() == wanted[2].keys()
        for name, value in wanted[2].items():
            assert_same(found[2][name], value)
        return
    one, two = np.asarray(found[2]), np.asarray(wanted[2])
    assert one.shape == two.shape
    if one.dtype.kind == "f" or two.dtype.kind == "f":
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-7)
    else:
        assert one.tolist() == two.tolist()
