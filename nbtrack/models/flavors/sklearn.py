"""scikit-learn, and everything that is pickled like it.

In the fit call only a pickle is fast enough (a forest takes 9 ms; skops takes 150 ms and refuses
trees). cloudpickle takes classes that were defined in the notebook along by value, so that the
model loads in a fresh process. A skops file is data, as long as skops itself trusts its types.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
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
from nbtrack.models.flavors.libraries import check_size, library, read, skops_types

NAMES = ("sklearn",)
LOADERS = ("mlflow.sklearn",)
DATA = "model.pkl"
FORMATS = ("cloudpickle", "pickle", "skops")
_SKOPS = "model.skops"
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


def snapshot(
    model: object,
    *,
    max_bytes: int,
    pyfunc_predict_fn: str = "predict",
    serialization_format: str = "cloudpickle",
    skops_trusted_types: Sequence[str] | None = None,
) -> Snapshot:
    """Return the model as a pickle, or as skops.

    Parameters
    ----------
    pyfunc_predict_fn
        The method that predicts when it is loaded as ``pyfunc``.
    serialization_format
        ``cloudpickle``, ``pickle`` or ``skops``.
    skops_trusted_types
        More types that MLflow may load from a skops file.

    Raises
    ------
    ModelTooLargeError
        It takes more than `max_bytes`.
    InvalidParameterError
        It cannot be saved so.
    MissingPackageError
        skops was asked for, and is not installed.
    """
    if serialization_format not in FORMATS:
        raise InvalidParameterError(
            f"scikit-learn has no serialization_format {serialization_format!r}.",
            hint=f"There are: {', '.join(FORMATS)}.",
        )
    native: dict[str, Any] = {}
    if serialization_format == "skops":
        name, package = _SKOPS, "skops"
        native["skops_trusted_types"] = sorted(set(skops_trusted_types or ()))
        data = _as_skops(model, native["skops_trusted_types"])
        check_size(len(data), max_bytes)
    else:
        name, package, data = DATA, "cloudpickle", pickled(model, max_bytes)
    return Snapshot(
        flavor=NAMES[0],
        model_class=class_name(model),
        files={name: data},
        native={
            "pickled_model": name,
            "serialization_format": serialization_format,
            "sklearn_version": _version("scikit-learn"),
            "code": None,
            **native,
        },
        pyfunc={
            "loader_module": LOADERS[0],
            "model_path": name,
            "predict_fn": pyfunc_predict_fn,
        },
        requirements=(f"{package}=={_version(package)}", *_requirements()),
    )


def _as_skops(model: object, trusted: Sequence[str]) -> bytes:
    skops = library("skops.io")
    try:
        data: bytes = skops.dumps(model)
        others = sorted(set(skops.get_untrusted_types(data=data)) - set(trusted))
        problem = f"it needs {', '.join(others)}" if others else ""
    except Exception as error:  # noqa: BLE001  # it has no node for something, or the like
        problem = str(error)
    if problem:
        raise InvalidParameterError(
            f"The {type(model).__name__} cannot be saved as skops: {problem}.",
            hint="Name the types in skops_trusted_types, or give "
            "serialization_format='cloudpickle'.",
        )
    return data


def runs_code(directory: Path, native: Mapping[str, Any]) -> str | None:
    """Return what is not only data: a pickle, or a skops file with types that skops refuses.

    Which types MLmodel calls trusted says nothing: whoever wrote the one wrote the other.
    """
    if native.get("serialization_format") != "skops":
        return "a pickle"
    others = sorted(skops_types(file_of(directory, native.get("pickled_model", _SKOPS))))
    return f"a skops file with {', '.join(others)}" if others else None


def load(directory: Path, native: Mapping[str, Any]) -> object:
    """Return the model. The caller has made sure that it can be trusted.

    Raises
    ------
    MissingPackageError, NotFoundError, InvalidParameterError
        A package that the model needs is not installed; the file is not there, or is damaged.
    """
    if native.get("serialization_format") != "skops":
        return unpickled(file_of(directory, native.get("pickled_model", DATA)), _PACKAGES)
    path = file_of(directory, native.get("pickled_model", _SKOPS))
    types = sorted(skops_types(path))
    return read(lambda: library("skops.io").load(path, trusted=types), path)


def predictor(directory: Path, pyfunc: Mapping[str, Any], native: Mapping[str, Any]) -> Predictor:
    """Return what predicts by the method that MLmodel names.

    Raises
    ------
    InvalidParameterError
        The model has no such method, or MLmodel names two files.
    """
    own, name = native.get("pickled_model"), pyfunc.get("model_path")
    if own is not None and name is not None and own != name:
        # Only the one of them was looked at.
        raise InvalidParameterError(
            f"The model {directory} names two files of data: {own!r} and {name!r}."
        )
    model = load(directory, native if name is None else {**native, "pickled_model": name})
    return _Predictor(model, str(pyfunc.get("predict_fn", "predict")))


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
