"""Models of XGBoost, LightGBM, CatBoost, statsmodels and ONNX: what comes back, what stays out."""

from __future__ import annotations

import importlib
import importlib.util
import json
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import nbtrack
from nbtrack.errors import (
    InvalidParameterError,
    MissingPackageError,
    NotFoundError,
    UntrustedModelError,
)
from nbtrack.models import load_directory, load_predictor, seal
from nbtrack.models.flavors import ModelTooLargeError, flavor_of, get_flavor, take_snapshot

spec = importlib.util.spec_from_file_location(
    "library_models", Path(__file__).with_name("library_models.py")
)
made = importlib.util.module_from_spec(spec)
sys.modules["library_models"] = made  # where a pickle finds the functions in it
spec.loader.exec_module(made)
CASES = [
    pytest.param(library, case, id=f"{library}-{case}")
    for library, cases in {
        "xgboost": ["booster", "classifier", "regressor", "stopped", "ranker", "forest"],
        "lightgbm": ["booster", "categories", "classifier", "regressor", "ranker", "objective"],
        "catboost": ["model", "classifier", "regressor", "ranker"],
        "statsmodels": ["line", "formula", "logit", "poisson", "series"],
        "onnx": ["one", "two", "large"],
    }.items()
    for case in cases
]
MODELS: dict[str, dict[str, Any]] = {}


def model_of(library: str, case: str) -> Any:
    pytest.importorskip(library)
    if library not in MODELS:
        MODELS[library] = made.models(library)
    return MODELS[library][case]


def save(library: str, model: Any, path: Path, **options: Any) -> Path:
    getattr(nbtrack, library).save_model(model, path, **options)
    return path


def unsealed(path: Path) -> Path:
    """Make it somebody else's."""
    (path / seal.FILE).unlink()
    return path


def entry(path: Path, library: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((path / "MLmodel").read_text())["flavors"][library]
    return found


def change(path: Path, library: str, **changes: Any) -> Path:
    content = yaml.safe_load((path / "MLmodel").read_text())
    content["flavors"][library] |= changes
    (path / "MLmodel").write_text(yaml.safe_dump(content))
    return path


def predicted(library: str, model: Any, data: Any) -> Any:
    """Return what the library itself predicts."""
    if library == "xgboost" and type(model).__name__ == "Booster":
        return model.predict(importlib.import_module("xgboost").DMatrix(data))
    if library == "statsmodels" and "start" in getattr(data, "columns", ()):
        return model.predict(start=200, end=204)
    if library == "onnx":
        reference = importlib.import_module("onnx.reference").ReferenceEvaluator(model)
        if isinstance(data, pd.DataFrame):
            feeds = {name: data[name].to_numpy("float32") for name in ("a", "b")}
            return pd.DataFrame(dict(zip("sd", reference.run(None, feeds), strict=True)))
        return {"y": reference.run(None, {"x": data.astype("float32")})[0]}
    return model.predict(data)


def assert_same(one: Any, other: Any) -> None:
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for name in one:
            np.testing.assert_allclose(one[name], other[name], rtol=1e-5, atol=1e-6)
    elif isinstance(one, pd.DataFrame):
        pd.testing.assert_frame_equal(one, other, rtol=1e-5)
    else:
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


@pytest.mark.parametrize(("library", "case"), CASES)
def test_round_trip(library: str, case: str, tmp_path: Path) -> None:
    model, data = model_of(library, case), made.data(library, case)
    assert flavor_of(model) is get_flavor(library)
    before = predicted(library, model, data)
    path = save(library, model, tmp_path / "model")
    assert_same(predicted(library, model, data), before)  # the one at hand is as it was
    back = getattr(nbtrack, library).load_model(path)
    assert type(back) is type(model)
    assert_same(predicted(library, back, data), before)
    assert_same(load_predictor(path).predict(data), before)
    first = (path / "requirements.txt").read_text().splitlines()[0]
    assert first.startswith(f"{library}==")
    # Data only: somebody else's is loaded, too, but for what only a pickle can hold, and for what
    # LightGBM reads.
    unsealed(path)
    if library in {"statsmodels", "lightgbm"}:
        reason = "it is a (pickle|text|skops file with a text)"
        with pytest.raises(UntrustedModelError, match=reason):
            load_directory(path)
    else:
        assert_same(predicted(library, load_directory(path), data), before)


@pytest.mark.parametrize("library", made.LIBRARIES)
def test_through_a_run_and_the_registry(library: str, workdir: Path) -> None:
    case = {"onnx": "large", "statsmodels": "line"}.get(library, "regressor")
    model, data = model_of(library, case), made.data(library, case)
    nbtrack.set_tracking_uri(str(workdir / "nbtrack.db"))
    module = getattr(nbtrack, library)
    with nbtrack.start_run():
        info = module.log_model(model, name="mine", registered_model_name="best")
    for uri in (info.model_uri, "models:/best/1"):
        assert_same(
            predicted(library, module.load_model(uri), data), predicted(library, model, data)
        )
    (logged,) = nbtrack.get_run(info.run_id).models
    assert logged.flavor == library


@pytest.mark.parametrize("library", made.LIBRARIES)
def test_what_is_refused(library: str, tmp_path: Path) -> None:
    case = {"onnx": "large", "statsmodels": "line"}.get(library, "regressor")
    model = model_of(library, case)
    with pytest.raises(InvalidParameterError, match="A dict is no"):
        take_snapshot({}, library, max_bytes=10**6)
    with pytest.raises(ModelTooLargeError):
        take_snapshot(model, library, max_bytes=100)
    path = save(library, model, tmp_path / "model")
    data = path / entry(path, library)["data"]
    data.write_bytes(b"no model")
    with pytest.raises(InvalidParameterError, match=r"cannot be read|is damaged"):
        load_directory(path, trust=True)
    with pytest.raises(InvalidParameterError, match=r"cannot be read|is damaged"):
        load_predictor(path, trust=True)
    change(path, library, data="../model/" + data.name)
    data.unlink()
    with pytest.raises(NotFoundError, match="has no file"):
        load_directory(path, trust=True)
    (tmp_path / data.name).write_bytes(b"")
    change(path, library, data=f"../{data.name}")
    with pytest.raises(NotFoundError, match="has no file"):
        load_directory(path, trust=True)


@pytest.mark.parametrize("library", made.LIBRARIES)
def test_a_missing_library(library: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = {"onnx": "large", "statsmodels": "line"}.get(library, "regressor")
    path = save(library, model_of(library, case), tmp_path / "model")
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(MissingPackageError, match=f"needs the package '{library}'") as caught:
        load_directory(path)
    assert f"pip install {library}" in str(caught.value)


def test_params_that_do_nothing_are_named(tmp_path: Path) -> None:
    model = model_of("lightgbm", "regressor")
    found = load_predictor(save("lightgbm", model, tmp_path / "model"))
    with pytest.warns(UserWarning, match="without the params raw, which it does not know"):
        found.predict(made.frame(), {"raw": 1})


class TestXgboost:
    def test_arguments_come_back(self, tmp_path: Path) -> None:
        xgb = pytest.importorskip("xgboost")
        x = made.frame().fillna(-999.0)
        model = xgb.XGBClassifier(n_estimators=np.int64(9), missing=-999.0).fit(x, made.target())
        back = load_directory(save("xgboost", model, tmp_path / "model"))
        assert back.get_params() == model.get_params()
        np.testing.assert_array_equal(back.predict_proba(x), model.predict_proba(x))
        np.testing.assert_array_equal(
            load_predictor(tmp_path / "model").predict(x), model.predict(x)
        )
        # As after the fit: what XGBoost finds out from its file does not bind the next fit.
        again = back.fit(x[["a"]], made.target())
        assert again.n_features_in_ == 1

    def test_formats(self, tmp_path: Path) -> None:
        model = model_of("xgboost", "classifier")
        path = save("xgboost", model, tmp_path / "model", model_format="json")
        assert json.loads((path / "model.json").read_text())
        np.testing.assert_array_equal(
            load_directory(path).predict(made.frame()), model.predict(made.frame())
        )
        with pytest.raises(InvalidParameterError, match="no model_format 'xgb'"):
            save("xgboost", model, tmp_path / "other", model_format="xgb")

    def test_params_of_the_prediction(self, tmp_path: Path) -> None:
        model = model_of("xgboost", "booster")
        found = load_predictor(save("xgboost", model, tmp_path / "model"))
        xgb = importlib.import_module("xgboost")
        np.testing.assert_array_equal(
            found.predict(made.frame(), {"output_margin": True}),
            model.predict(xgb.DMatrix(made.frame()), output_margin=True),
        )
        with pytest.warns(UserWarning, match="without the params nonsense"):
            found.predict(made.frame(), {"nonsense": 1})

    def test_classes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        xgb = pytest.importorskip("xgboost")
        x, y = made.frame(), made.target()
        with pytest.raises(InvalidParameterError, match="need to call fit"):
            save("xgboost", xgb.XGBClassifier(), tmp_path / "a")
        mine = type("Mine", (xgb.XGBClassifier,), {"__module__": "__main__"})
        with pytest.raises(InvalidParameterError, match=r"__main__\.Mine cannot be found"):
            save("xgboost", mine(n_estimators=1).fit(x, y), tmp_path / "a")
        (tmp_path / "own_trees.py").write_text(
            "import xgboost\nclass Mine(xgboost.XGBClassifier): pass\n"
        )
        monkeypatch.syspath_prepend(tmp_path)
        model = importlib.import_module("own_trees").Mine(n_estimators=1).fit(x, y)
        path = unsealed(save("xgboost", model, tmp_path / "a"))
        with pytest.raises(UntrustedModelError, match=r"it is of the class 'own_trees\.Mine'"):
            load_directory(path)
        assert type(load_directory(path, trust=True)) is type(model)
        for kind in ("xgboost.core.DMatrix", "xgboost.sys", "xgboost.nowhere", "os.system", "x"):
            change(path, "xgboost", model_class=kind)
            with pytest.raises((InvalidParameterError, MissingPackageError)):
                load_directory(path, trust=True)


class TestLightgbm:
    def test_formats(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        model, x = model_of("lightgbm", "classifier"), made.frame()
        pytest.importorskip("skops")
        for number, (given, found) in enumerate(
            [(None, "skops"), ("skops", "skops"), ("pickle", "pickle"), ("cloudpickle",) * 2]
        ):
            path = save("lightgbm", model, tmp_path / str(number), serialization_format=given)
            assert entry(path, "lightgbm")["serialization_format"] == found
            assert load_directory(path).predict(x).tolist() == model.predict(x).tolist()
        with pytest.raises(InvalidParameterError, match="no serialization_format 'json'"):
            save("lightgbm", model, tmp_path / "a", serialization_format="json")
        own = model_of("lightgbm", "objective")
        with pytest.raises(InvalidParameterError, match=r"it needs library_models\.squared"):
            save("lightgbm", own, tmp_path / "a", serialization_format="skops")
        path = save(
            "lightgbm",
            own,
            tmp_path / "a",
            serialization_format="skops",
            skops_trusted_types=["library_models.squared"],
        )
        np.testing.assert_array_equal(load_directory(path).predict(x), own.predict(x))
        # What its MLmodel trusts counts for nothing.
        with pytest.raises(
            UntrustedModelError, match=r"it is a skops file with library_models\.squared"
        ):
            load_directory(unsealed(path))
        monkeypatch.setitem(sys.modules, "skops.io", None)
        path = save("lightgbm", model, tmp_path / "b")
        assert entry(path, "lightgbm")["serialization_format"] == "cloudpickle"
        with pytest.raises(MissingPackageError, match="'skops'"):
            save("lightgbm", model, tmp_path / "c", serialization_format="skops")

    def test_a_pickle_that_claims_to_be_text(self, tmp_path: Path) -> None:
        path = save(
            "lightgbm",
            model_of("lightgbm", "classifier"),
            tmp_path / "a",
            serialization_format="pickle",
        )
        mark = tmp_path / "mark"

        class Evil:
            def __reduce__(self) -> Any:
                return (Path.touch, (mark,))

        (path / "model.pkl").write_bytes(pickle.dumps(Evil()))
        for claim in (
            {"model_class": "lightgbm.basic.Booster"},
            {"serialization_format": "skops"},
        ):
            change(path, "lightgbm", **claim)
            with pytest.raises(InvalidParameterError, match=r"cannot be read|is damaged"):
                load_directory(path, trust=True)
        change(path, "lightgbm", model_class="x.Y", serialization_format="pickle")
        with pytest.raises(UntrustedModelError):
            load_directory(path)
        assert not mark.exists()


class TestCatboost:
    def test_formats(self, tmp_path: Path) -> None:
        model = model_of("catboost", "classifier")
        path = save("catboost", model, tmp_path / "a", format="json")
        assert json.loads((path / "model.cb").read_text())
        assert load_directory(path).predict(made.frame()).tolist() == (
            model.predict(made.frame()).tolist()
        )
        with pytest.raises(InvalidParameterError, match="does not come back from the format 'cpp'"):
            save("catboost", model, tmp_path / "b", format="cpp")

    def test_classes(self, tmp_path: Path) -> None:
        cb = pytest.importorskip("catboost")
        with pytest.raises(InvalidParameterError, match="no trained model"):
            save("catboost", cb.CatBoostClassifier(), tmp_path / "a")
        mine = type("Mine", (cb.CatBoostClassifier,), {})
        with pytest.raises(InvalidParameterError, match="Mine does not come back"):
            save("catboost", mine(), tmp_path / "a")
        path = save("catboost", model_of("catboost", "classifier"), tmp_path / "a")
        with pytest.raises(InvalidParameterError, match="'Pool' is no class of CatBoost"):
            load_directory(change(path, "catboost", model_type="Pool"))


class TestStatsmodels:
    def test_without_the_data(self, tmp_path: Path) -> None:
        for case in ("line", "formula"):
            model, x = model_of("statsmodels", case), made.data("statsmodels", case)
            residuals = model.resid.copy()
            whole = save("statsmodels", model, tmp_path / f"{case}-whole")
            path = save("statsmodels", model, tmp_path / case, remove_data=True)
            data = "model.statsmodels"
            assert (path / data).stat().st_size < (whole / data).stat().st_size
            assert_same(load_directory(path).predict(x), model.predict(x))
            assert_same(model.resid, residuals)

    def test_what_a_series_predicts_from(self, tmp_path: Path) -> None:
        found = load_predictor(
            save("statsmodels", model_of("statsmodels", "series"), tmp_path / "a")
        )
        with pytest.raises(InvalidParameterError, match="cannot predict from 2 rows of start"):
            found.predict(pd.DataFrame({"start": [1, 2]}))


class TestOnnx:
    def test_tensors_in_a_file_of_their_own(self, tmp_path: Path) -> None:
        model = model_of("onnx", "large")
        whole = model.SerializeToString()
        path = save("onnx", model, tmp_path / "a")
        assert model.SerializeToString() == whole
        assert (path / "model.onnx.data").stat().st_size >= 4800
        one = save("onnx", model, tmp_path / "b", save_as_external_data=False)
        assert not (one / "model.onnx.data").exists()
        assert (one / "model.onnx").stat().st_size > 4800
        data = made.data("onnx", "large")
        assert_same(load_predictor(one).predict(data), load_predictor(path).predict(data))

    @pytest.mark.parametrize("where", ["../secret", "{}/secret", "link"])
    def test_tensors_of_somewhere_else(self, where: str, tmp_path: Path) -> None:
        onnx = pytest.importorskip("onnx")
        path = save("onnx", model_of("onnx", "large"), tmp_path / "a")
        (tmp_path / "secret").write_bytes(bytes(4800))
        (path / "link").symlink_to(tmp_path / "secret")
        model = onnx.load(str(path / "model.onnx"), load_external_data=False)
        for field in model.graph.initializer[0].external_data:
            if field.key == "location":
                field.value = where.format(tmp_path)
        (path / "model.onnx").write_bytes(model.SerializeToString())
        with pytest.raises(InvalidParameterError, match=r"cannot be read|is damaged"):
            load_directory(path)
        with pytest.raises(InvalidParameterError, match=r"cannot be read|is damaged"):
            load_predictor(path)

    def test_sessions(self, tmp_path: Path) -> None:
        model, data = model_of("onnx", "one"), made.data("onnx", "one")
        path = save(
            "onnx",
            model,
            tmp_path / "a",
            onnx_session_options={
                "execution_mode": "parallel",
                "graph_optimization_level": 99,
                "intra_op_num_threads": 1,
            },
            onnx_execution_providers=["CPUExecutionProvider"],
        )
        assert_same(load_predictor(unsealed(path)).predict(data), predicted("onnx", model, data))
        for options, message in [
            ({"nonsense": 1}, "'nonsense' is not known"),
            ({"execution_mode": "odd"}, "no execution_mode 'odd'"),
            ({"graph_optimization_level": "high"}, "No session has the options"),
        ]:
            with pytest.raises(InvalidParameterError, match=message):
                save("onnx", model, tmp_path / "b", onnx_session_options=options)
        path = save("onnx", model, tmp_path / "c", onnx_execution_providers=["Nowhere"])
        with pytest.warns(UserWarning, match=r"providers \['Nowhere'\] this onnxruntime has \[\]"):
            load_predictor(path)

    @pytest.mark.parametrize(
        "changes",
        [
            {"providers": [["CPUExecutionProvider", {"backend_path": "evil.so"}]]},
            {"onnx_session_options": {"extra_session_config": {"session.x": "1"}}},
        ],
    )
    def test_what_may_load_libraries_needs_trust(
        self, changes: dict[str, Any], tmp_path: Path
    ) -> None:
        path = save("onnx", model_of("onnx", "one"), tmp_path / "a")
        change(path, "onnx", **changes)
        with pytest.raises(UntrustedModelError, match="it is a model with"):
            load_predictor(path)

    @pytest.mark.parametrize("providers", [7, [7], [[]], {"a": 1}])
    def test_providers_that_are_none(self, providers: Any, tmp_path: Path) -> None:
        path = change(
            save("onnx", model_of("onnx", "one"), tmp_path / "a"), "onnx", providers=providers
        )
        with pytest.raises(InvalidParameterError, match="is no execution provider"):
            load_predictor(path, trust=True)

    def test_inputs(self, tmp_path: Path) -> None:
        found = load_predictor(save("onnx", model_of("onnx", "two"), tmp_path / "a"))
        x = made.data("onnx", "two")
        for data, message in [
            (x[["a"]], "there is no column 'b'"),
            (x.to_numpy(), "one array cannot be all of them"),
            ([1.0], "a list is no frame"),
        ]:
            with pytest.raises(InvalidParameterError, match=message):
                found.predict(data)
        feeds = {name: x[name].to_numpy("float32") for name in ("a", "b")}
        np.testing.assert_allclose(found.predict(feeds)["s"], feeds["a"] + feeds["b"])
