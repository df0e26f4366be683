"""CatBoost: its own ``cbm`` or JSON, in which there is no code."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nbtrack.errors import InvalidParameterError
from nbtrack.models.flavors.base import Predictor, Snapshot, class_name
from nbtrack.models.flavors.libraries import (
    data_of,
    descends,
    library,
    read,
    requirements,
    used,
    written,
)

NAMES = ("catboost",)
LOADERS = ("mlflow.catboost",)
FORMATS = ("cbm", "json")
"""Those of CatBoost's that it also loads with all that it predicts from."""
DATA = "model.cb"
_KINDS = ("CatBoost", "CatBoostClassifier", "CatBoostRanker", "CatBoostRegressor")
_IN_USE = ("catboost", "numpy", "scipy", "pandas")


def is_model(model: object) -> bool:
    """Whether it is one of CatBoost's four classes, or of one that derives from them."""
    return descends(model, "catboost", "CatBoost")


def snapshot(
    model: Any,
    *,
    max_bytes: int,
    format: str = "cbm",  # noqa: A002 - CatBoost's name
    pool: Any = None,
) -> Snapshot:
    """Return the model as CatBoost writes it.

    Parameters
    ----------
    format
        ``cbm`` or ``json``.
    pool
        The data it was fitted with: as JSON, a model with categories needs it.

    Raises
    ------
    ModelTooLargeError
        The file takes more than `max_bytes`.
    InvalidParameterError
        It is no model of CatBoost, is not fitted, or its class is the user's own.
    """
    kind = type(model).__name__
    if not is_model(model):
        raise InvalidParameterError(
            f"A {kind} is no model of CatBoost.", hint=f"Give a {' or '.join(_KINDS)}."
        )
    if format not in FORMATS:
        raise InvalidParameterError(
            f"A model of CatBoost does not come back from the format {format!r}.",
            hint=f"Give one of {', '.join(FORMATS)}; the model's own save_model writes others.",
        )
    if kind not in _KINDS:
        raise InvalidParameterError(
            f"The class {class_name(model)} does not come back from a file of CatBoost.",
            hint="Use nbtrack.sklearn.log_model: a pickle holds it.",
        )
    return Snapshot(
        flavor=NAMES[0],
        model_class=class_name(model),
        files=written(lambda path: model.save_model(path, format, pool=pool), DATA, max_bytes),
        native={
            "catboost_version": library("catboost").__version__,
            "code": None,
            "model_type": kind,
            "save_format": format,
            "data": DATA,
        },
        pyfunc={"loader_module": LOADERS[0], "data": DATA},
        requirements=requirements(*_IN_USE),
    )


def runs_code(directory: Path, native: Mapping[str, Any]) -> str | None:
    """Return None: its formats are only data."""
    return None


def load(directory: Path, native: Mapping[str, Any]) -> Any:
    """Return the model.

    Raises
    ------
    MissingPackageError, NotFoundError, InvalidParameterError
        CatBoost is not installed; the file is not there, is damaged, or of an unknown class.
    """
    catboost = library("catboost")
    path = data_of(directory, native, DATA)
    kind = native.get("model_type")
    if kind not in _KINDS:
        raise InvalidParameterError(
            f"{kind!r} is no class of CatBoost.", hint=f"There are: {', '.join(_KINDS)}."
        )
    model = getattr(catboost, kind)()
    read(lambda: model.load_model(str(path), str(native.get("save_format", "cbm"))), path)
    return model


def predictor(directory: Path, pyfunc: Mapping[str, Any], native: Mapping[str, Any]) -> Predictor:
    """Return what predicts; params it has none."""
    data_of(directory, native, DATA, pyfunc)
    return _Predictor(load(directory, native))


class _Predictor:
    def __init__(self, model: Any) -> None:
        self._model = model

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        return self._model.predict(data, **used(params, set()))
