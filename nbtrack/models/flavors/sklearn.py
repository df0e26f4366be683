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

from nbtrack.errors import MissingPackageError, NotFoundError
from nbtrack.models.flavors.base import Snapshot, pickled

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


def snapshot(model: object, *, max_bytes: int) -> Snapshot:
    """Return the model as a pickle.

    Raises
    ------
    ModelTooLargeError
        The pickle takes more than `max_bytes`.
    """
    import cloudpickle

    data = pickled(model, max_bytes)
    kind = type(model)
    version = _version("scikit-learn")
    return Snapshot(
        flavor="sklearn",
        model_class=f"{kind.__module__}.{kind.__qualname__}",
        files={DATA: data},
        native={
            "pickled_model": DATA,
            "serialization_format": "cloudpickle",
            "sklearn_version": version,
            "code": None,
        },
        pyfunc={
            "loader_module": "mlflow.sklearn",
            "model_path": DATA,
            "predict_fn": "predict",
        },
        requirements=(f"cloudpickle=={cloudpickle.__version__}", *_requirements()),
    )


def load(directory: Path, native: Mapping[str, Any]) -> object:
    """Return the model. The caller has made sure that the pickle can be trusted.

    Raises
    ------
    MissingPackageError, NotFoundError
        A package that the model needs is not installed; the pickle is not there.
    """
    import cloudpickle

    # The name comes from a file: only its last part counts, so that it stays in the directory.
    data = directory / Path(str(native.get("pickled_model", DATA))).name
    if not data.is_file():
        raise NotFoundError(f"The model {directory} has no file {data.name!r}.")
    try:
        with data.open("rb") as file:
            return cloudpickle.load(file)
    except ModuleNotFoundError as error:
        package = _PACKAGES.get(error.name or "", error.name)
        raise MissingPackageError(
            f"The model needs the package '{error.name}', which is not installed.",
            hint=f"Install it: pip install {package}",
        ) from error


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
