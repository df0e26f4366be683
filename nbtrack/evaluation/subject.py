"""What is evaluated: a model in any of its forms, as functions that predict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbtrack.errors import InvalidParameterError
from nbtrack.models import PyFuncModel, load_directory
from nbtrack.tracking.fluent import default_client

_ESTIMATOR = ("predict", "fit")


@dataclass(frozen=True, slots=True)
class Subject:
    """A model to be evaluated.

    Parameters
    ----------
    predict
        Gives predictions of data.
    estimator
        The model as its library has it, if it is an estimator: it may know probabilities, classes
        and a score of its own.
    """

    predict: Callable[[Any], Any]
    estimator: Any = None

    def probabilities(self, data: Any) -> Any:
        """Return a column for each class; None if the model does not tell."""
        import numpy as np

        function = getattr(self.estimator, "predict_proba", None)
        found = None if function is None else np.asarray(function(data))
        return found if getattr(found, "ndim", 0) == 2 else None  # noqa: PLR2004

    @property
    def classes(self) -> list[Any]:
        """The classes that the model knows."""
        import numpy as np

        found = getattr(self.estimator, "classes_", None)
        return np.asarray(found).tolist() if getattr(found, "ndim", 0) == 1 else []


def subject_of(model: Any, *, trust: bool) -> Subject:
    """Return what predicts.

    Parameters
    ----------
    model
        URI of a model, an estimator, a model of ``pyfunc``, or a function.
    trust
        As of `nbtrack.load_model`.

    Raises
    ------
    InvalidParameterError
        It is none of these.
    NotFoundError, UntrustedModelError
        As of `nbtrack.load_model`.
    """
    if isinstance(model, str | Path):
        return _loaded(str(model), trust)
    inner = _raw(model)
    if _is_estimator(inner):
        return Subject(inner.predict, inner)
    if callable(getattr(model, "predict", None)):
        return Subject(model.predict)
    if callable(model) and not isinstance(model, type):
        return Subject(model)
    raise InvalidParameterError(
        f"A {type(model).__name__} cannot be evaluated: it does not predict.",
        hint="Give a URI, a fitted estimator, a pyfunc model, or a function of the data.",
    )


def _loaded(uri: str, trust: bool) -> Subject:
    with default_client().model_directory(uri) as directory:
        native = load_directory(directory, trust=trust, called=uri)
        if _is_estimator(native):
            return Subject(native.predict, native)  # type: ignore[attr-defined]
        return Subject(PyFuncModel.load(directory, model_uri=uri, trust=trust).predict)


def _raw(model: Any) -> Any:
    """Return what is in a model of pyfunc, ours or MLflow's, if it tells; other models as is."""
    function = getattr(model, "get_raw_model", None)
    try:
        return function() if callable(function) else model
    except (InvalidParameterError, NotImplementedError):
        return model  # it has none to tell of, as pyfunc's contract says: it predicts itself


def _is_estimator(model: object) -> bool:
    return all(callable(getattr(model, name, None)) for name in _ESTIMATOR)
