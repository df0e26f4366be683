"""What an evaluation is given: features, targets and predictions, found in all forms of data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nbtrack.data.record import is_dataset
from nbtrack.errors import InvalidParameterError, NbtrackError

if TYPE_CHECKING:
    from nbtrack.evaluation.subject import Subject

_TABLE = 2  # dimensions


@dataclass(frozen=True, slots=True)
class Given:
    """Data to be evaluated with.

    Parameters
    ----------
    source
        What the user gave as data.
    features
        What the model is given.
    truth
        The targets, as an array.
    known
        Predictions that are there already, as an array; None: a model makes them.
    weights
        Of the rows; None: all the same.
    """

    source: Any
    features: Any
    truth: Any
    known: Any = None
    weights: Any = None

    def predicted(self, subject: Subject | None) -> Any:
        """Return the predictions, one for each target.

        Raises
        ------
        InvalidParameterError
            The model cannot predict the data, or gives more or fewer.
        """
        if subject is None:
            return self.known
        try:
            found = subject.predict(self.features)
        except NbtrackError:
            raise
        except Exception as error:
            reason = str(error).partition("\n")[0].rstrip(".") or "no reason given"
            raise InvalidParameterError(
                f"The model cannot predict the data: {type(error).__name__}: {reason}.",
                hint="feature_names says which columns it is given; targets are left out.",
            ) from error
        return _column("predictions", found, len(self.truth))


def given(
    data: Any,
    targets: Any,
    predictions: Any,
    feature_names: Sequence[str] | None,
    weights: Any,
) -> Given:
    """Return the data in order; arguments as of `nbtrack.evaluate`.

    Raises
    ------
    InvalidParameterError
        Something is missing, or is not as long as the rest.
    """
    source, frame, targets, predictions = _opened(data, targets, predictions)
    if targets is None:
        raise InvalidParameterError(
            "An evaluation needs targets.", hint="Give the values, or the name of their column."
        )
    named = [name for name in (targets, predictions) if isinstance(name, str)]
    truth = _values("targets", targets, frame)
    rows = len(truth)
    if not rows:
        raise InvalidParameterError("There are no rows to evaluate.")
    features = _features(frame, named, feature_names)
    if features is not None and (found := _length(features)) != rows:
        raise InvalidParameterError(f"There are {rows} targets for {found} rows of data.")
    known = None if predictions is None else _values("predictions", predictions, frame)
    return Given(
        source,
        features,
        truth,
        None if known is None else _column("predictions", known, rows),
        None if weights is None else _weights(weights, rows),
    )


def _opened(data: Any, targets: Any, predictions: Any) -> tuple[Any, Any, Any, Any]:
    """Return what is a source, the data itself, and the targets that a dataset may have."""
    import numpy as np

    if is_dataset(data):
        frame = next((getattr(data, n) for n in ("df", "features") if hasattr(data, n)), None)
        own = getattr(data, "targets", None)
        said = getattr(data, "predictions", None)
        targets = own if targets is None else targets
        return data, frame, targets, said if predictions is None else predictions
    if data is None:
        data = targets if not isinstance(targets, str) else None
        return data, None, targets, predictions
    frame = np.asarray(data) if isinstance(data, list | tuple) else data
    return frame, frame, targets, predictions


def _features(frame: Any, left_out: list[str], names: Sequence[str] | None) -> Any:
    if frame is None:
        return None
    if not hasattr(frame, "columns"):
        if names is None:
            return frame
        import pandas as pd

        array = _array(frame)
        if array.ndim != _TABLE or array.shape[1] != len(names):
            raise InvalidParameterError(
                f"There are {len(names)} feature_names for an array of the shape {array.shape}."
            )
        return pd.DataFrame(array, columns=list(names))
    if names is None:
        names = [name for name in frame.columns if name not in left_out]
    elif missing := [name for name in names if name not in frame.columns]:
        raise _no_column(missing[0], frame)
    return frame[list(names)]


def _values(what: str, values: Any, frame: Any) -> Any:
    if isinstance(values, str):
        if not hasattr(frame, "columns"):
            raise InvalidParameterError(
                f"The {what} are named {values!r}, but a {type(frame).__name__} has no columns.",
                hint=f"Give the {what} themselves.",
            )
        if values not in frame.columns:
            raise _no_column(values, frame)
        values = frame[values]
    return _array(values)


def _no_column(name: str, frame: Any) -> InvalidParameterError:
    known = ", ".join(map(str, list(frame.columns)[:20]))
    return InvalidParameterError(f"The data has no column {name!r}.", hint=f"It has: {known}.")


def _column(what: str, values: Any, rows: int) -> Any:
    """Return values as an array with one for each row."""
    array = _array(values)
    if not array.ndim or len(array) != rows:
        count = len(array) if array.ndim else "no"
        raise InvalidParameterError(f"There are {count} {what} for {rows} targets.")
    return array


def _array(values: Any) -> Any:
    """Return an array; a table with one column is that column."""
    import numpy as np

    for name in ("detach", "cpu"):  # a tensor
        values = getattr(values, name, lambda values=values: values)()
    array = np.asarray(values)
    return array[:, 0] if array.ndim == _TABLE and array.shape[1] == 1 else array


def _weights(values: Any, rows: int) -> Any:
    array = _column("sample_weights", values, rows)
    if array.dtype.kind not in "iuf":
        raise InvalidParameterError(f"sample_weights are {array.dtype}: they are to be numbers.")
    return array.astype(float)


def _length(data: Any) -> int:
    shape = getattr(data, "shape", None)
    return int(shape[0]) if shape else len(data)
