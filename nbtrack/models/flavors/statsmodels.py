"""statsmodels: the results of a fit. Only a pickle can hold them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nbtrack.errors import InvalidParameterError
from nbtrack.models.flavors.base import Predictor, Snapshot, class_name, pickled, unpickled
from nbtrack.models.flavors.libraries import data_of, descends, library, read, requirements, used

NAMES = ("statsmodels",)
LOADERS = ("mlflow.statsmodels",)
DATA = "model.statsmodels"
_IN_USE = ("statsmodels", "numpy", "scipy", "pandas", "patsy", "formulaic")


def is_model(model: object) -> bool:
    """Whether it is the results of a fit; a model that is not fitted is none."""
    return descends(model, "statsmodels", "Results", "ResultsWrapper")


def snapshot(model: Any, *, max_bytes: int, remove_data: bool = False) -> Snapshot:
    """Return the results as a pickle.

    Parameters
    ----------
    remove_data
        Leave out the data that the model was fitted with. The results at hand keep theirs.

    Raises
    ------
    ModelTooLargeError
        The pickle takes more than `max_bytes`.
    InvalidParameterError
        It is no results of statsmodels, or they cannot be pickled.
    """
    if not is_model(model):
        raise InvalidParameterError(
            f"A {type(model).__name__} is no results of statsmodels.",
            hint="Give what fit() returned.",
        )
    try:
        kept = copy.deepcopy(model) if remove_data else model
        if remove_data:
            kept.remove_data()
        data = pickled(kept, max_bytes)
    except InvalidParameterError:
        raise
    except Exception as error:
        raise InvalidParameterError(
            f"The {type(model).__name__} cannot be pickled: {error}."
        ) from error
    return Snapshot(
        flavor=NAMES[0],
        model_class=class_name(model),
        files={DATA: data},
        native={
            "statsmodels_version": library("statsmodels").__version__,
            "data": DATA,
            "code": None,
        },
        pyfunc={"loader_module": LOADERS[0], "data": DATA},
        requirements=requirements(*_IN_USE),
    )


def runs_code(directory: Path, native: Mapping[str, Any]) -> str | None:
    """Return that the model is a pickle."""
    return "a pickle"


def load(directory: Path, native: Mapping[str, Any]) -> Any:
    """Return the results. The caller has made sure that the pickle can be trusted.

    Raises
    ------
    MissingPackageError, NotFoundError, InvalidParameterError
        statsmodels is not installed; the file is not there, or cannot be read.
    """
    library("statsmodels")
    path = data_of(directory, native, DATA)
    return read(lambda: unpickled(path), path)


def predictor(directory: Path, pyfunc: Mapping[str, Any], native: Mapping[str, Any]) -> Predictor:
    """Return what predicts; a model of a time series from a row with ``start`` and ``end``."""
    data_of(directory, native, DATA, pyfunc)
    return _Predictor(load(directory, native))


class _Predictor:
    def __init__(self, results: Any) -> None:
        self._results = results

    def predict(self, data: Any, params: Mapping[str, Any] | None = None) -> Any:
        from statsmodels.tsa.base.tsa_model import TimeSeriesModel

        used(params, set())
        if not isinstance(self._results.model, TimeSeriesModel):
            return self._results.predict(data)
        columns = getattr(data, "columns", ())
        if len(data) != 1 or not {"start", "end"} <= set(columns):
            raise InvalidParameterError(
                f"A model of a time series cannot predict from {len(data)} rows of "
                f"{', '.join(map(str, columns)) or 'no columns'}.",
                hint="Give a frame with one row, and the columns start and end.",
            )
        return self._results.predict(start=data["start"].iloc[0], end=data["end"].iloc[0])
