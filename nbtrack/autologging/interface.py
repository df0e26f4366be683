"""What a model takes and gives, seen as it is fitted: from the first rows of its data.

The model is not asked to predict: that would run the user's code once more.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbtrack.models import Interface

_ROWS = 5  # as many as MLflow takes
_MAX_COLUMNS = 2_000
_MAX_KEPT = 64


def of_data(data: Any, *, signature: bool, example: bool) -> Interface | None:
    """Return what is known of a model that is fitted with `data`; None for other data than these.

    Parameters
    ----------
    data
        A numpy array or pandas DataFrame.
    signature, example
        Whether the schema and the first rows are wanted.

    Examples
    --------
    >>> import numpy as np
    >>> of_data(np.zeros((9, 2)), signature=True, example=False).inputs
    '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2]}}]'
    """
    kind = type(data).__module__.partition(".")[0]
    if kind == "numpy" and hasattr(data, "dtype") and data.ndim and data.dtype.kind in "biufU":
        return _of_array(data[:_ROWS], signature, example)
    if kind == "pandas" and hasattr(data, "columns") and data.shape[1] <= _MAX_COLUMNS:
        return _of_frame(data, signature, example)
    return None


def with_outputs(interface: Interface, model: object) -> Interface:
    """Return the same with what a classifier gives: one of its classes for each row."""
    from nbtrack.data.schema import infer_schema
    from nbtrack.models import Interface

    classes = _classes(model)
    if classes is None or interface.inputs is None:
        return interface
    schema = infer_schema(classes)
    outputs = None if schema is None else schema.to_json()
    return Interface(interface.inputs, outputs, interface.example, interface.rows)


def _classes(model: object) -> Any | None:
    """Return the labels of a classifier, if it predicts them."""
    found = getattr(model, "classes_", None) if hasattr(type(model), "predict") else None
    return found if getattr(found, "ndim", 0) == 1 else None


def _of_array(rows: Any, signature: bool, example: bool) -> Interface:
    from nbtrack.data.schema import infer_schema
    from nbtrack.models import Interface

    schema = infer_schema(rows) if signature else None
    return Interface(
        None if schema is None else schema.to_json(),
        example="ndarray" if example else "",
        rows=json.dumps(rows.tolist()) if example else "",
    )


def _of_frame(frame: Any, signature: bool, example: bool) -> Interface:
    from nbtrack.models import Interface

    inputs = _frame_schema(frame) if signature else None
    if not example:
        return Interface(inputs)
    rows = frame.head(_ROWS)
    columns = [name if isinstance(name, str | int | float) else str(name) for name in rows.columns]
    content = {"columns": columns, "data": rows.astype(object).values.tolist()}
    return Interface(inputs, example="dataframe", rows=json.dumps(content, default=_plain))


def _plain(value: Any) -> Any:
    if type(value).__name__ in {"NAType", "NaTType"}:
        return float("nan")
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return value.item() if hasattr(value, "item") else str(value)


_schemas: dict[tuple[Any, ...], str | None] = {}


def _frame_schema(frame: Any) -> str | None:
    """Return the schema of the first rows: some 50 us for each column, so it is kept."""
    types, names = tuple(frame.dtypes.tolist()), frame.columns
    kinds = {getattr(dtype, "kind", "O") for dtype in set(types)}
    if "O" in kinds:
        return _inferred(frame.head(_ROWS))  # what is in such columns may be anything
    key = (tuple(names.tolist()), str(names.dtype), types, _missing(frame, kinds))
    if key not in _schemas:
        if len(_schemas) >= _MAX_KEPT:
            _schemas.clear()
        _schemas[key] = _inferred(frame.head(_ROWS))
    return _schemas[key]


def _missing(frame: Any, kinds: set[str]) -> tuple[bool, ...]:
    """Return which columns lack values in the first rows; empty: none does."""
    import numpy as np

    if kinds == {"f"}:
        first = frame.to_numpy()[:_ROWS]  # mostly one block, which is not copied
        if first.dtype.kind == "f" and not np.isnan(first).any():
            return ()
    missing = tuple(frame.head(_ROWS).isna().to_numpy().any(axis=0).tolist())
    return missing if any(missing) else ()


def _inferred(rows: Any) -> str | None:
    from nbtrack.data.schema import infer_schema

    schema = infer_schema(rows)
    return None if schema is None else schema.to_json()
