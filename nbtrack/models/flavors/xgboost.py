"""XGBoost: its own UBJSON or JSON, in which there is no code.

The library's file holds the trees. The arguments of an estimator are kept in MLmodel: some of
them, as ``missing``, change what it predicts, and a clone is to be the same.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from nbtrack.errors import InvalidParameterError
from nbtrack.models.flavors.base import Predictor, Snapshot, class_name
from nbtrack.models.flavors.libraries import (
    accepted,
    data_of,
    descends,
    library,
    read,
    requirements,
    written,
)

NAMES = ("xgboost",)
LOADERS = ("mlflow.xgboost",)
FORMATS = ("ubj", "json")
_BOOSTER = "xgboost.core.Booster"
_IN_USE = ("xgboost", "numpy", "scipy", "pandas", "sklearn")


def is_model(model: object) -> bool:
    """Whether it is a Booster, or an estimator with one."""
    return descends(model, "xgboost", "Booster", "XGBModel")


def snapshot(model: Any, *, max_bytes: int, model_format: str = "ubj") -> Snapshot:
    """Return the model as XGBoost writes it.

    Parameters
    ----------
    model_format
        ``ubj`` or ``json``.

    Raises
    ------
    ModelTooLargeError
        The file takes more than `max_bytes`.
    InvalidParameterError
        It is no model of XGBoost, is not fitted, or its class is the notebook's own.
    """
    if not is_model(model):
        raise InvalidParameterError(
            f"A {type(model).__name__} is no model of XGBoost.",
            hint="Give a Booster, or an estimator such as XGBClassifier.",
        )
    if model_format not in FORMATS:
        raise InvalidParameterError(
            f"XGBoost has no model_format {model_format!r} any more.",
            hint=f"There are: {', '.join(FORMATS)}.",
        )
    kind = class_name(model)
    if kind.startswith("__main__."):
        raise InvalidParameterError(
            f"The class {kind} cannot be found where the model is loaded.",
            hint="Put it into a module, or use nbtrack.sklearn.log_model: a pickle takes it along.",
        )
    name = f"model.{model_format}"
    files = written(model.save_model, name, max_bytes)
    native = {
        "xgb_version": library("xgboost").__version__,
        "data": name,
        "model_class": kind,
        "model_format": model_format,
        "code": None,
    }
    if hasattr(model, "get_params"):
        native["params"] = _plain(model.get_params())
    return Snapshot(
        flavor=NAMES[0],
        model_class=kind,
        files=files,
        native=native,
        pyfunc={"loader_module": LOADERS[0], "data": name},
        requirements=requirements(*_IN_USE),
    )


def runs_code(directory: Path, native: Mapping[str, Any]) -> str | None:
    """Return None, unless the model's class is not one of XGBoost."""
    kind = str(native.get("model_class", _BOOSTER))
    return None if kind.startswith("xgboost.") else f"of the class {kind!r}"


def load(directory: Path, native: Mapping[str, Any]) -> Any:
    """Return the Booster or the estimator.

    Raises
    ------
    MissingPackageError, NotFoundError, InvalidParameterError
        XGBoost is not installed; the file is not there, or is damaged.
    """
    library("xgboost")
    path = data_of(directory, native, "model.ubj")

    def from_file() -> Any:
        module, _, name = str(native.get("model_class", _BOOSTER)).rpartition(".")
        model = getattr(import_module(module), name)()
        if not is_model(model):
            raise InvalidParameterError(f"{module}.{name} is no model of XGBoost")
        # As bytes: what kind of file it is shows in it, whatever it is called.
        model.load_model(bytearray(path.read_bytes()))
        return model

    model = read(from_file, path)
    params = native.get("params")
    if isinstance(params, dict) and hasattr(model, "get_params"):
        for name in params.keys() & model.get_params().keys():
            setattr(model, name, params[name])
    return model


def predictor(directory: Path, pyfunc: Mapping[str, Any], native: Mapping[str, Any]) -> Predictor:
    """Return what predicts: a Booster from a matrix that is made of the data."""
    data_of(directory, native, "model.ubj", pyfunc)
    return _Predictor(load(directory, native))


class _Predictor:
    def __init__(self, model: Any) -> None:
        self._model = model

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        import xgboost

        known = accepted(self._model.predict, params)
        if isinstance(self._model, xgboost.Booster):
            data = xgboost.DMatrix(data)
        return self._model.predict(data, **{"validate_features": True, **known})


def _plain(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the params that a text can hold: no functions, no arrays."""
    found = {}
    for name, value in params.items():
        try:
            plain = json.loads(json.dumps(value, default=lambda scalar: scalar.item()))
        except (TypeError, ValueError, AttributeError):
            continue
        if not isinstance(value, dict) or plain == value:  # keys that are no texts become texts
            found[name] = plain
    return found
