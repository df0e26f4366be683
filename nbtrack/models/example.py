"""An example of what a model takes, as MLflow writes it."""

from __future__ import annotations

import base64
import datetime
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from nbtrack.errors import InvalidParameterError
from nbtrack.models.interface import Interface


@dataclass(frozen=True)
class Example:
    """Data, and perhaps params.

    Examples
    --------
    >>> import numpy as np
    >>> Example.of((np.zeros((1, 2)), {"best": 3})).interface()
    ... # doctest: +NORMALIZE_WHITESPACE
    Interface(inputs=None, outputs=None, example='ndarray', rows='[[0.0, 0.0]]',
              params='{"best": 3}')
    """

    data: Any
    params: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, given: Any) -> Self:
        """Return what was given: data, or a tuple of data and params."""
        if isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], dict):  # noqa: PLR2004
            return cls(given[0], given[1])
        return cls(given)

    def interface(self) -> Interface:
        """Return it as it goes into the model's directory.

        Raises
        ------
        InvalidParameterError
            It is nothing that JSON can hold.
        """
        kind, content = _content(self.data)
        try:
            rows = json.dumps(content, default=_plain)
            params = "" if self.params is None else json.dumps(self.params, default=_plain)
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidParameterError(
                f"A {type(self.data).__name__} cannot be an input example: {error}.",
                hint="Give a frame, an array, a dict of arrays, or what JSON can hold.",
            ) from error
        return Interface(example=kind, rows=rows, params=params)


def _content(data: Any) -> tuple[str, Any]:
    if hasattr(data, "columns"):
        if hasattr(data, "to_pandas"):
            data = data.to_pandas()
        split = data.astype(object).where(data.notna(), None).to_dict(orient="split")
        return "dataframe", {name: split[name] for name in ("columns", "data")}
    if type(data).__name__ == "ndarray":
        return "ndarray", data.tolist()
    if isinstance(data, dict) and data:
        arrays = [type(value).__name__ == "ndarray" for value in data.values()]
        return ("ndarray" if all(arrays) else "json_object"), data
    if type(data).__module__.startswith("scipy.sparse") and data.format in {"csr", "csc"}:
        parts = {name: getattr(data, name).tolist() for name in ("data", "indices", "indptr")}
        return f"sparse_matrix_{data.format}", {**parts, "shape": list(data.shape)}
    return "json_object", data


def _plain(value: Any) -> Any:
    if isinstance(value, bytes | bytearray):
        return base64.encodebytes(value).decode("ascii")
    if isinstance(value, datetime.date):
        return value.isoformat()
    if hasattr(value, "model_dump"):  # of pydantic
        return value.model_dump()
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"a {type(value).__name__} cannot become JSON")
