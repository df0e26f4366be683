"""scikit-learn, and everything that is pickled like it.

In the fit call only a pickle is fast enough (a forest takes 9 ms; skops takes 150 ms and refuses
trees). cloudpickle takes classes that were defined in the notebook along by value, so that the
model loads in a fresh process.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import Any

from nbtrack.errors import InvalidParameterError
from nbtrack.models.flavors.base import (
    Predictor,
    Snapshot,
    class_name,
    file_of,
    packages_of,
    pickled,
    unpickled,
)

NAMES = ("sklearn",)
LOADERS = ("mlflow.sklearn",)
DATA = "model.pkl"
# Packages that a pickle of an estimator may need, if they were imported when it was made.
_PACKAGES = {
    "sklearn": "scikit-learn",
    "numpy": "numpy",
    "scipy": "scipy",
    "pandas": "pandas",
    "xgboost": "xgboost",
    "lightgbm": "lightgbm",
    "imblearn": "imbalanced-learn",
}


def is_model(model: object) -> bool:
    """Whether it is an estimator."""
    return "sklearn" in packages_of(model)


def snapshot(model: object, *, max_bytes: int, pyfunc_predict_fn: str = "predict") -> Snapshot:
    """Return the model as a pickle.

    Parameters
    ----------
    pyfunc_predict_fn
        The method that predicts when it is loaded as ``pyfunc``.

    Raises
    ------
    ModelTooLargeError
        The pickle takes more than `max_bytes`.
    """
    import cloudpickle

    return Snapshot(
        flavor=NAMES[0],
        model_class=class_name(model),
        files={DATA: pickled(model, max_bytes)},
        native={
            "pickled_model": DATA,
            "serialization_format": "cloudpickle",
            "sklearn_version": _version("scikit-learn"),
            "code": None,
        },
        pyfunc={
            "loader_module": LOADERS[0],
            "model_path": DATA,
            "predict_fn": pyfunc_predict_fn,
        },
        requirements=(f"cloudpickle=={cloudpickle.__version__}", *_requirements()),
    )


def runs_code(directory: Path, native: Mapping[str, Any]) -> str | None:
    """Return that the model is a pickle."""
    return "a pickle"


def load(directory: Path, native: Mapping[str, Any]) -> object:
    """Return the model. The caller has made sure that the pickle can be trusted.

    Raises
    ------
    MissingPackageError, NotFoundError, InvalidParameterError
        A package that the model needs is not installed; the pickle is not there, or is damaged.
    """
    return unpickled(file_of(directory, native.get("pickled_model", DATA)), _PACKAGES)


def predictor(directory: Path, pyfunc: Mapping[str, Any], native: Mapping[str, Any]) -> Predictor:
    """Return what predicts by the method that MLmodel names.

    Raises
    ------
    InvalidParameterError
        The model has no such method.
    """
    name = pyfunc.get("model_path") or native.get("pickled_model", DATA)
    return _Predictor(
        unpickled(file_of(directory, name), _PACKAGES), str(pyfunc.get("predict_fn", "predict"))
    )


class _Predictor:
    def __init__(self, model: Any, method: str) -> None:
        if method.startswith("_") or not callable(getattr(model, method, None)):
            raise InvalidParameterError(
                f"A {type(model).__name__} has no method {method!r} to predict by."
            )
        self._model = model
        self._predict = getattr(model, method)

    def get_raw_model(self) -> Any:
        return self._model

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        return self._predict(data)


def _requirements() -> list[str]:
    return [
        f"{package}=={version}"
        for module, package in _PACKAGES.items()
        if module in sys.modules and (version := _version(package))
    ]


@lru_cache(maxsize=64)  # it is asked in every fit, and parses a file each time
def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # a build from source, without its metadata
        return None
