"""Schemas of data as MLflow writes them: columns with their types, or arrays with their shapes.

A type is the dict that it becomes in JSON. A value whose type is not known (None, NaN, an empty
list) is ``any``, which goes together with every other type.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

Type = dict[str, Any]
ANY: Type = {"type": "any"}
_PYTHON = {
    "bool": "boolean",
    "bool_": "boolean",
    "int": "long",
    "int64": "long",
    "int32": "integer",
    "float": "double",
    "float64": "double",
    "float32": "float",
    "object": "string",  # MLflow's word for nothing in particular
    "str": "string",
    "str_": "string",
    "bytes": "binary",
    "bytes_": "binary",
    "bytearray": "binary",
    "datetime": "datetime",
    "date": "datetime",
    "datetime64": "datetime",
    "Timestamp": "datetime",
}
_POLARS = {
    "Binary": "binary",
    "Boolean": "boolean",
    "Categorical": "string",
    "Date": "datetime",
    "Datetime": "datetime",
    "Enum": "string",
    "Float32": "float",
    "Float64": "double",
    "Int16": "integer",
    "Int32": "integer",
    "Int64": "long",
    "Int8": "integer",
    "String": "string",
    "UInt16": "integer",
    "UInt32": "long",
    "UInt8": "integer",
}
_INT32_BYTES, _INT64_BYTES = 4, 8


@dataclass(frozen=True)
class Schema:
    """Columns, or arrays: each a dict as in MLflow's JSON.

    Examples
    --------
    >>> Schema(({"type": "long", "name": "x", "required": True},)).to_json()
    '[{"type": "long", "name": "x", "required": true}]'
    """

    inputs: tuple[Type, ...]

    def input_names(self) -> list[Any]:
        """Return the names of the columns."""
        return [column.get("name") for column in self.inputs]

    def to_dict(self) -> list[Type]:
        """Return the columns as a list of dicts."""
        return list(self.inputs)

    def to_json(self) -> str:
        """Return the columns as JSON."""
        return json.dumps(self.to_dict())


@dataclass(frozen=True)
class TensorSchema:
    """Schema of arrays: features, and perhaps targets."""

    features: Schema
    targets: Schema | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return MLflow's form: the two schemas as JSON in a dict."""
        targets = self.targets.to_json() if self.targets else None
        return {"mlflow_tensorspec": {"features": self.features.to_json(), "targets": targets}}


def infer_schema(data: Any) -> Schema | None:
    """Return the schema of a pandas or polars DataFrame, a numpy array or a dict of arrays.

    None where MLflow has no type for a column: durations, complex numbers, mixed values.

    Examples
    --------
    >>> import pandas as pd
    >>> infer_schema(pd.DataFrame({"x": [1, 2], "y": ["a", None]})).to_dict()
    ... # doctest: +NORMALIZE_WHITESPACE
    [{'type': 'long', 'name': 'x', 'required': True},
     {'type': 'string', 'name': 'y', 'required': False}]
    """
    kind = type(data).__module__.partition(".")[0]
    try:
        if isinstance(data, Mapping):
            return Schema(tuple(_tensor(array, name) for name, array in data.items()))
        if hasattr(data, "columns"):
            column = _polars_column if kind == "polars" else _pandas_column
            return Schema(tuple(column(data[name], _name(name)) for name in data.columns))
        return Schema((_tensor(data, None),))
    except (NoTypeError, RecursionError):
        return None


class NoTypeError(Exception):
    """MLflow has no word for the type of a value."""


def _name(name: Any) -> str | int | float | None:
    return name if name is None or isinstance(name, str | int | float) else str(name)


def _tensor(array: Any, name: Any) -> Type:
    if not hasattr(array, "dtype") or not array.shape:
        raise NoTypeError
    dtype = {"U": "str", "S": "bytes"}.get(array.dtype.char) or array.dtype.name
    spec = {"dtype": dtype, "shape": [-1, *array.shape[1:]]}
    named = {} if name is None else {"name": name}
    return {**named, "type": "tensor", "tensor-spec": spec}


def _pandas_column(column: Any, name: Any) -> Type:
    if column.ndim != 1:  # two columns of one name
        raise NoTypeError
    named = {"name": name, "required": not bool(column.isna().any())}
    if column.dtype.kind == "O":
        column = column.infer_objects()
    if column.dtype.kind != "O":
        return {"type": type_of_dtype(column.dtype), **named}
    values = column.to_list()
    return {**(type_of_values(values) if values else {"type": "string"}), **named}


def type_of_dtype(dtype: Any) -> str:
    """Return MLflow's word for a type of numpy or pandas.

    Raises
    ------
    NoTypeError
        There is none.
    """
    kind, size = dtype.kind, getattr(dtype, "itemsize", 0)
    if kind in "iu":
        signed = kind == "i"
        if size < _INT32_BYTES or (signed and size == _INT32_BYTES):
            return "integer"
        if size < _INT64_BYTES or (signed and size == _INT64_BYTES):
            return "long"
    if kind == "f" and size <= _INT64_BYTES:
        return "float" if size <= _INT32_BYTES else "double"
    words = {"b": "boolean", "U": "string", "S": "binary", "M": "datetime"}
    if kind not in words:
        raise NoTypeError
    return words[kind]


def type_of_values(values: Iterable[Any]) -> Type:
    """Return the one type that all values have.

    Raises
    ------
    NoTypeError
        There is none.
    """
    values = list(values)
    if set(map(type, values)) == {str}:  # most columns of objects: no need to look at each
        return {"type": "string"}
    found: Type | None = None
    for value in values:
        kind = type_of_value(value)
        if kind is not None:
            found = kind if found is None else _merged(found, kind)
    if found is None:
        raise NoTypeError
    return found


def type_of_value(value: Any) -> Type | None:
    """Return the type of a value; None for an array without items, which says nothing.

    Raises
    ------
    NoTypeError
        There is none.
    """
    if _is_missing(value) or (isinstance(value, list | dict) and not value):
        return ANY
    if isinstance(value, dict):
        properties = {}
        for name, item in value.items():
            kind = type_of_value(item)
            if kind is None:
                raise NoTypeError
            properties[name] = {**kind, "required": kind != ANY}
        return {"type": "object", "properties": dict(sorted(properties.items()))}
    if isinstance(value, list) or type(value).__name__ == "ndarray":
        kinds = [kind for kind in map(type_of_value, value) if kind is not None]
        found = kinds[0] if kinds else None
        for kind in kinds[1:]:
            found = _merged(found or ANY, kind)
        return None if found is None else {"type": "array", "items": found}
    word = _PYTHON.get(type(value).__name__)
    if word is None:
        raise NoTypeError
    return {"type": word}


def _is_missing(value: Any) -> bool:
    return (
        value is None
        or (isinstance(value, float) and value != value)  # noqa: PLR0124 - NaN, of numpy too
        or type(value).__name__ in {"NAType", "NaTType"}
    )


def _merged(one: Type, other: Type) -> Type:
    """Return the type of two values that stand in one place."""
    if ANY in (one, other):
        return other if one == ANY else one
    if one["type"] != other["type"]:
        raise NoTypeError
    if one["type"] == "array":
        return {"type": "array", "items": _merged(one["items"], other["items"])}
    if one["type"] != "object":
        return one
    properties = {}
    for name in sorted({*one["properties"], *other["properties"]}):
        both = [p["properties"][name] for p in (one, other) if name in p["properties"]]
        kinds = [{k: v for k, v in p.items() if k != "required"} for p in both]
        required = len(both) == 2 and all(p["required"] for p in both)  # noqa: PLR2004
        properties[name] = {**_merged(kinds[0], kinds[-1]), "required": required}
    return {"type": "object", "properties": properties}


def _polars_column(column: Any, name: Any) -> Type:
    return {**_of_polars(column.dtype), "name": name, "required": column.null_count() < len(column)}


def _of_polars(dtype: Any) -> Type:
    word = type(dtype).__name__
    if word in _POLARS:
        return {"type": _POLARS[word]}
    if word in {"List", "Array"}:
        return {"type": "array", "items": _of_polars(dtype.inner)}
    if word == "Struct":
        properties = {field.name: _of_polars(field.dtype) for field in dtype.fields}
        return {
            "type": "object",
            "properties": {k: {**v, "required": True} for k, v in sorted(properties.items())},
        }
    raise NoTypeError
