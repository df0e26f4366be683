"""The signature of a model: schemas of what it takes and gives, and of its params."""

from __future__ import annotations

import copy
import datetime
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from nbtrack.data.schema import (
    NoTypeError,
    infer_schema,
    type_of_dtype,
    type_of_value,
    type_of_values,
)
from nbtrack.errors import InvalidParameterError, NbtrackError
from nbtrack.models.schema import (
    AnyType,
    ColSpec,
    DataType,
    Object,
    ParamSchema,
    ParamSpec,
    Schema,
    type_from_dict,
)


@dataclass(frozen=True)
class ModelSignature:
    """What a model takes and gives, and which params `predict` takes.

    Examples
    --------
    >>> signature = ModelSignature(inputs=Schema([ColSpec("double", "x")]))
    >>> ModelSignature.from_dict(signature.to_dict()) == signature
    True
    """

    inputs: Schema | None = None
    outputs: Schema | None = None
    params: ParamSchema | None = None

    def __post_init__(self) -> None:
        """Check the parts.

        Raises
        ------
        InvalidParameterError
            There are none, or one is of another type.
        """
        if self.inputs is None and self.outputs is None and self.params is None:
            raise InvalidParameterError(
                "A signature needs a schema.", hint="Give inputs, outputs or params."
            )
        for name, kind in (("inputs", Schema), ("outputs", Schema), ("params", ParamSchema)):
            part = getattr(self, name)
            if part is not None and not isinstance(part, kind):
                raise InvalidParameterError(
                    f"The {name} of a signature cannot be a {type(part).__name__}.",
                    hint=f"Give a {kind.__name__}, or make the signature by infer_signature.",
                )

    def to_dict(self) -> dict[str, Any]:
        """Return it as MLmodel has it: each schema as JSON."""
        return {
            "inputs": self.inputs.to_json() if self.inputs else None,
            "outputs": self.outputs.to_json() if self.outputs else None,
            "params": self.params.to_json() if self.params else None,
        }

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> Self:
        """Return what was `to_dict`.

        Raises
        ------
        InvalidParameterError
            It is none.
        """
        inputs, outputs, params = (told.get(name) for name in ("inputs", "outputs", "params"))
        return cls(
            Schema.from_json(inputs) if inputs else None,
            Schema.from_json(outputs) if outputs else None,
            ParamSchema.from_json(params) if params else None,
        )


def infer_signature(
    model_input: Any = None, model_output: Any = None, params: Mapping[str, Any] | None = None
) -> ModelSignature:
    """Return the signature of a model that takes and gives such data.

    Parameters
    ----------
    model_input, model_output
        A frame, a column, an array, a sparse matrix, a dict of arrays, or lists and dicts as JSON
        has them.
    params
        Params of `predict` with their defaults.

    Raises
    ------
    InvalidParameterError
        Nothing was given, or a param cannot be one.

    Examples
    --------
    >>> import pandas as pd
    >>> infer_signature(pd.DataFrame({"x": [0.5]}), params={"k": 3}).params
    ['k': long (default: 3)]
    """
    return ModelSignature(
        _schema_or_any(model_input, "inputs"),
        _schema_or_any(model_output, "outputs"),
        ParamSchema([_param(str(k), v) for k, v in params.items()]) if params else None,
    )


def schema_of(data: Any) -> Schema:
    """Return the schema of data.

    Raises
    ------
    InvalidParameterError
        MLflow has none for it.
    """
    try:
        return _schema(data)
    except (NoTypeError, KeyError, TypeError, RecursionError) as error:
        raise InvalidParameterError(
            f"There is no schema for this {type(data).__name__}.",
            hint="Give a frame, an array, a dict of arrays, or what JSON can hold.",
        ) from error


def _schema_or_any(data: Any, what: str) -> Schema | None:
    if data is None:
        return None
    try:
        return schema_of(data)
    except NbtrackError as error:
        warnings.warn(f"The {what} of the signature can be anything: {error}", stacklevel=3)
        return Schema([ColSpec(AnyType())])


def _schema(data: Any) -> Schema:
    kind = type(data).__module__.partition(".")[0]
    if isinstance(data, list):
        return _of_list(data)
    if isinstance(data, dict):
        if not all(type(value).__name__ == "ndarray" for value in data.values()):
            return _of_dict(data)
    elif kind == "pandas" and hasattr(data, "to_frame") and not hasattr(data, "columns"):
        found = infer_schema(data.to_frame("x"))
        if found is None:
            raise NoTypeError
        return Schema.from_dict([{**found.inputs[0], "name": data.name}])
    elif kind == "scipy":
        data = _Dense(data.data.dtype, data.shape)
    elif not hasattr(data, "columns") and type(data).__name__ != "ndarray":
        return Schema([ColSpec(_type(type_of_value(data)))])
    found = infer_schema(data)
    if found is None:
        raise NoTypeError
    return Schema.from_dict(found.inputs)


@dataclass(frozen=True)
class _Dense:
    """What a schema needs of a sparse matrix."""

    dtype: Any
    shape: tuple[int, ...]


def _of_list(data: list[Any]) -> Schema:
    if not data:
        return Schema([ColSpec(DataType.string)])
    if not all(isinstance(row, dict) for row in data):
        return Schema([ColSpec(_type(type_of_values(data)))])
    columns: dict[str, list[Any]] = {}
    for row in data:
        for name, value in row.items():
            columns.setdefault(name, []).append(value)
    return Schema(
        [
            ColSpec(
                _type(type_of_values(values)),
                name,
                required=all(row.get(name) is not None for row in data),
            )
            for name, values in columns.items()
        ]
    )


def _of_dict(data: dict[Any, Any]) -> Schema:
    if not all(isinstance(name, str) for name in data):
        raise NoTypeError
    return Schema(
        [ColSpec(_type(type_of_value(v)), k, required=_is_there(v)) for k, v in data.items()]
    )


def _is_there(value: Any) -> bool:
    values = value if isinstance(value, list) else [value]
    return not any(type_of_value(v) == {"type": "any"} and v not in ([], {}) for v in values)


def _type(told: Any) -> Any:
    if told is None:
        raise NoTypeError
    return type_from_dict(told)


def _param(name: str, value: Any) -> ParamSpec:
    import numpy as np

    shape = None
    try:
        if isinstance(value, dict):
            found = _type(type_of_value(value))
        else:
            if isinstance(value, list | np.ndarray):
                shape = (-1,)
            array = np.asarray(value)
            if array.ndim != (0 if shape is None else 1):
                raise NoTypeError
            values = value if shape else [value]
            dates = all(isinstance(v, datetime.date | np.datetime64) for v in values)
            found = DataType.datetime if dates else DataType[type_of_dtype(array.dtype)]
        if not isinstance(found, DataType | Object):
            raise NoTypeError
    except (NoTypeError, KeyError, TypeError, ValueError) as error:
        raise InvalidParameterError(
            f"The param {name!r} cannot be {value!r}.",
            hint="Give a number, a text, a date, a list of these, or a dict.",
        ) from error
    return ParamSpec(name, found, copy.deepcopy(value), shape)
