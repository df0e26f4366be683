"""What ``pyfunc`` makes of data before it predicts: what the signature says, or a refusal.

A cast is made where no value can change by it (int to long, float to double ...), and nowhere
else. The rules are MLflow's, so that a model takes here what it takes there.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping
from typing import Any

from nbtrack.errors import InvalidParameterError
from nbtrack.models.schema import (
    AnyType,
    Array,
    DataType,
    Map,
    Object,
    ParamSchema,
    ParamSpec,
    Schema,
    TensorSpec,
)

_EXACT_IN_DOUBLE = 6  # bytes: whole numbers of so many are exact in a double
_WIDER = {
    DataType.long: {DataType.integer},
    DataType.float: {DataType.integer, DataType.long},
    DataType.double: {DataType.integer, DataType.long, DataType.float},
}


def enforce_schema(data: Any, schema: Schema) -> Any:
    """Return data as a model with this schema of inputs takes it.

    Parameters
    ----------
    data
        A frame, array, series, sparse matrix, list, dict or single value.

    Raises
    ------
    InvalidParameterError
        A column or tensor is missing, or of a type that cannot be cast without loss.

    Examples
    --------
    >>> import pandas as pd
    >>> schema = Schema.from_dict([{"type": "double", "name": "x"}])
    >>> enforce_schema(pd.DataFrame({"x": [1.0]}, dtype="float32"), schema)
         x
    0  1.0
    """
    if schema.is_tensor_spec():
        return _tensors(data, schema)
    frame = _frame(data, schema)
    if not schema.has_input_names():
        if len(frame.columns) < len(schema):
            raise InvalidParameterError(
                f"The model takes {len(schema)} columns, and the data has {len(frame.columns)}."
            )
        pairs = list(zip(frame.columns, schema, strict=False))
        if not frame.columns.is_unique:
            raise InvalidParameterError(f"Columns have one name: {list(frame.columns)}.")
    else:
        _check_names([*frame.columns], schema)
        pairs = [(spec.name, spec) for spec in schema if spec.name in frame.columns]
    import pandas as pd

    found = {}
    for name, spec in pairs:
        if getattr(frame[name], "ndim", 1) != 1:
            raise InvalidParameterError(f"The data has two columns with the name {name!r}.")
        found[name] = _column(frame[name], spec, f"column {name!r}")
    return pd.DataFrame(found)


def enforce_params(
    params: Mapping[str, Any] | None, schema: ParamSchema | None
) -> dict[str, Any] | None:
    """Return the params of a call with the defaults of those that were not given.

    Raises
    ------
    InvalidParameterError
        A param is of a type that cannot be cast without loss.
    """
    if params is not None and not isinstance(params, Mapping):
        raise InvalidParameterError(
            f"The params cannot be a {type(params).__name__}.", hint="Give a dict."
        )
    if schema is None and not params:
        return None if params is None else {}
    given = {str(name): value for name, value in (params or {}).items()}
    known = {spec.name: spec for spec in schema or ()}
    if unknown := [name for name in given if name not in known]:
        warnings.warn(
            f"The model knows no param {', '.join(map(repr, unknown))}: left out. "
            f"It knows: {', '.join(map(repr, known)) or 'none'}.",
            stacklevel=3,
        )
    return {
        name: enforce_param(given[name], spec) if name in given else spec.default
        for name, spec in known.items()
    }


def enforce_param(value: Any, spec: ParamSpec) -> Any:
    """Return the value of a param as its type is in Python.

    Raises
    ------
    InvalidParameterError
        It is of a type that cannot be cast without loss, or has another shape.
    """
    import numpy as np

    what = f"param {spec.name!r}"
    if spec.shape is None:
        if isinstance(spec.dtype, Object):
            _value(copy.deepcopy(value), spec.dtype, what, True)
            return value
        return _param_value(value, spec.dtype, what)
    if tuple(spec.shape) != (-1,):
        raise InvalidParameterError(
            f"The {what} cannot have the shape {spec.shape}.", hint="Use None or (-1,)."
        )
    if not isinstance(value, list | np.ndarray) or np.ndim(value) != 1:
        raise InvalidParameterError(f"The {what} is a list, and cannot be {value!r}.")
    return [_param_value(item, spec.dtype, what) for item in value]


def _param_value(value: Any, wanted: Any, what: str) -> Any:
    import numpy as np

    if value is None:
        return None
    problem = InvalidParameterError(
        f"The {what} is {_word(wanted)}, and cannot be {value!r}, a {type(value).__name__}."
    )
    if wanted is DataType.datetime:
        try:
            found = np.datetime64(value).item()
        except (ValueError, TypeError) as error:
            raise problem from error
        if isinstance(found, int):
            raise problem
        return found
    if not np.isscalar(value):
        raise problem
    python: Any = {
        DataType.boolean: bool,
        DataType.integer: int,
        DataType.long: int,
        DataType.float: float,
        DataType.double: float,
        DataType.string: str,
        DataType.binary: bytes,
    }[wanted]
    accepted = {wanted, *_WIDER.get(wanted, ())}
    if any(type(value) in _types(kind) for kind in accepted):
        return python(value)
    raise problem


def _types(kind: DataType) -> tuple[type, ...]:
    import numpy as np

    python: dict[DataType, tuple[type, ...]] = {
        DataType.boolean: (bool, np.bool_),
        DataType.integer: (int, np.int32),
        DataType.long: (int, np.int64),
        DataType.float: (float, np.float32),
        DataType.double: (float, np.float64),
        DataType.string: (str, np.str_),
        DataType.binary: (bytes, np.bytes_, bytearray),
    }
    return python[kind]


# -- columns


def _frame(data: Any, schema: Schema) -> Any:
    import numpy as np
    import pandas as pd

    if isinstance(data, pd.DataFrame):
        return data
    if type(data).__module__.partition(".")[0] == "polars" and hasattr(data, "to_pandas"):
        return data.to_pandas()
    if isinstance(data, pd.Series):
        return pd.DataFrame(data)
    try:
        if isinstance(data, dict):
            return _frame_of_dict(data, schema)
        if isinstance(data, list | np.ndarray):
            return pd.DataFrame(data)
        if np.isscalar(data) or data is None:
            return pd.DataFrame([data])
    except (ValueError, TypeError) as error:
        raise InvalidParameterError(
            f"The data, a {type(data).__name__}, cannot become a frame: {error}."
        ) from error
    raise InvalidParameterError(
        f"The model takes columns, and cannot take a {type(data).__name__}.", hint="Give a frame."
    )


def _frame_of_dict(data: dict[Any, Any], schema: Schema) -> Any:
    """Return a dict as one row, or as columns: MLflow tells them apart in this way."""
    import numpy as np
    import pandas as pd

    is_row = all(
        value is None
        or np.isscalar(value)
        or (isinstance(value, list) and all(isinstance(item, str) for item in value))
        or (isinstance(value, np.ndarray) and value.dtype.kind == "U" and value.ndim == 0)
        for value in data.values()
    )
    if is_row or any(isinstance(spec.type, Array | Object) for spec in schema):
        return pd.DataFrame([data])
    deep = {k: isinstance(v, np.ndarray) and v.ndim > 1 for k, v in data.items()}
    return pd.DataFrame({k: v.tolist() if deep[k] else v for k, v in data.items()})


def _check_names(names: list[Any], schema: Schema) -> None:
    missing = [name for name in schema.required_input_names() if name not in names]
    known = schema.input_names()
    extra = [name for name in names if name not in known]
    if missing:
        also = f" It has these, which the model does not know: {_list(extra)}." if extra else ""
        raise InvalidParameterError(
            f"The data has no {_list(missing)}, which the model needs.{also}",
            hint=f"Its columns: {_list(known)}.",
        )
    if extra:
        warnings.warn(f"The model does not know {_list(extra)}: left out.", stacklevel=4)


def _list(names: list[Any]) -> str:
    return ", ".join(map(repr, names))


def _column(values: Any, spec: Any, what: str) -> Any:
    import pandas as pd

    if isinstance(spec.type, DataType):
        return _cast(values, spec.type, what)
    cells = [_value(value, spec.type, what, spec.required) for value in values]
    return pd.Series(cells, index=values.index, name=values.name)


def _cast(values: Any, wanted: DataType, what: str) -> Any:
    """Return a column in the type wanted, if no value changes by that."""
    import numpy as np
    import pandas as pd

    if _is_objects(values.dtype) and wanted not in {DataType.binary, DataType.string}:
        values = values.infer_objects()
    found, numpy_type = values.dtype, wanted.to_numpy()
    if _fits(values, wanted):
        return values
    try:
        if wanted is DataType.datetime and (found.kind == "M" or _is_objects(found)):
            return values.astype(numpy_type)
        if wanted is DataType.double and _is_objects(found):  # decimals, or nothing at all
            return pd.to_numeric(values)
        # A column of 0 and 1 is often one of floats whose values happened to be whole.
        is_flags = found == np.int64 and numpy_type.kind == "f" and values.isin([0, 1]).all()
        if is_flags or _is_wider(found, numpy_type):
            return values.astype(numpy_type)
    except (ValueError, TypeError) as error:
        raise _mismatch(what, found, wanted) from error
    hint = None
    if found == np.float64 and numpy_type.kind == "i" and values.hasnans:
        hint = "Integers with missing values are floats in pandas: declare the column as double."
    raise _mismatch(what, found, wanted, hint)


def _fits(values: Any, wanted: DataType) -> bool:
    """Whether a column is of the type already, or is objects that are not looked at."""
    import pandas as pd

    found = values.dtype
    if found == wanted.to_pandas() or found == wanted.to_numpy():
        return True
    if wanted in {DataType.string, DataType.binary}:
        is_text = _is_objects(found) or isinstance(found, pd.StringDtype)
        return is_text or (wanted is DataType.binary and found.kind == "S")
    return wanted is DataType.boolean and _is_objects(found)  # None would become False


def _is_objects(dtype: Any) -> bool:
    """Whether a column holds any objects: pandas' own types say so of themselves, too."""
    return bool(dtype.kind == "O") and type(dtype).__module__.partition(".")[0] == "numpy"


def _is_wider(found: Any, wanted: Any) -> bool:
    if found.kind == wanted.kind:
        return bool(found.itemsize <= wanted.itemsize)
    if found.kind == "u" and wanted.kind == "i":
        return bool(found.itemsize < wanted.itemsize)
    if found.kind in "iu" and wanted.name == "float64":
        return bool(found.itemsize <= _EXACT_IN_DOUBLE)
    return False


def _mismatch(
    what: str, found: Any, wanted: DataType, hint: str | None = None
) -> InvalidParameterError:
    return InvalidParameterError(
        f"The {what} is {found}, and the model takes {_word(wanted)}: "
        "it cannot be converted without loss.",
        hint=hint,
    )


def _word(wanted: Any) -> str:
    return f"{wanted.name} ({wanted.value})" if isinstance(wanted, DataType) else repr(wanted)


# -- values in cells


def _value(value: Any, wanted: Any, what: str, required: bool) -> Any:
    """Return a value as its type says, at any depth."""
    if isinstance(wanted, AnyType):
        return value
    missing = _is_missing(value)
    if not required and (missing or (isinstance(value, list | dict) and not value)):
        return None if missing and isinstance(wanted, DataType) else value
    if isinstance(wanted, DataType):
        return _single(value, wanted, what)
    if isinstance(wanted, Array):
        return _array(value, wanted, what, required)
    if isinstance(wanted, Map):
        return _map(value, wanted, what, required)
    return _object(value, wanted, what)


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)  # noqa: PLR0124 - NaN


def _single(value: Any, wanted: DataType, what: str) -> Any:
    import numpy as np
    import pandas as pd

    if not np.isscalar(value):
        raise _no(value, _word(wanted), what)
    return _cast(pd.Series(value), wanted, what)[0]


def _map(value: Any, wanted: Map, what: str, required: bool) -> Any:
    if isinstance(wanted.value_type, AnyType) and (value is None or value == {}):
        return value
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise _no(value, "a dict with texts as names", what)
    return {
        name: _value(item, wanted.value_type, f"{what} at {name!r}", required)
        for name, item in value.items()
    }


def _array(value: Any, wanted: Array, what: str, required: bool) -> Any:
    import numpy as np
    import pandas as pd

    if isinstance(wanted.dtype, AnyType) and value is None:
        return value
    if not isinstance(value, list | np.ndarray):
        raise _no(value, "a list", what)
    if not len(value):
        return value
    found: Any
    if isinstance(wanted.dtype, DataType):
        numpy_type = wanted.dtype.to_numpy()
        found = _cast(pd.Series(value), wanted.dtype, what).to_numpy(dtype=numpy_type)
        return found.tolist() if isinstance(value, list) else found
    found = [_value(item, wanted.dtype, what, required) for item in value]
    return np.array(found) if isinstance(value, np.ndarray) else found


def _object(value: Any, wanted: Object, what: str) -> Any:
    if not isinstance(value, dict):
        raise _no(value, "a dict", what)
    known = {p.name: p for p in wanted.properties}
    if missing := [p.name for p in wanted.properties if p.required and p.name not in value]:
        raise InvalidParameterError(f"The {what} has no {_list(missing)}, which the model needs.")
    if unknown := [name for name in value if name not in known]:
        raise InvalidParameterError(
            f"The {what} has {_list(unknown)}, which the model does not know.",
            hint=f"It knows: {_list([*known])}.",
        )
    return {
        name: _value(item, known[name].dtype, f"{what} at {name!r}", known[name].required)
        for name, item in value.items()
    }


def _no(value: Any, wanted: str, what: str) -> InvalidParameterError:
    return InvalidParameterError(
        f"The {what} has a {type(value).__name__}, and the model takes {wanted} there."
    )


# -- tensors


def _tensors(data: Any, schema: Schema) -> Any:
    import numpy as np
    import pandas as pd

    if isinstance(data, pd.Series):
        data = pd.DataFrame(data)
    specs = [spec for spec in schema if isinstance(spec, TensorSpec)]
    if not schema.has_input_names():
        spec = specs[0]
        if isinstance(data, pd.DataFrame):
            return _tensor_of_frame(data, spec)
        if isinstance(data, np.ndarray) or type(data).__module__.startswith("scipy.sparse"):
            return _tensor(data, spec, "data")
        raise InvalidParameterError(
            f"The model takes an array, and cannot take a {type(data).__name__}."
        )
    if isinstance(data, np.ndarray) and len(specs) == 1:
        data = {specs[0].name: data}
    if not isinstance(data, dict | pd.DataFrame):
        raise InvalidParameterError(
            f"The model takes arrays by name, and cannot take a {type(data).__name__}.",
            hint=f"Give a dict of {_list(schema.input_names())}.",
        )
    _check_names([*data], schema)
    found = {}
    for spec in specs:
        values, what = data[spec.name], f"input {spec.name!r}"
        if isinstance(data, pd.DataFrame):
            found[spec.name] = _tensor_of_column(values, spec, what)
        elif isinstance(values, np.ndarray):
            found[spec.name] = _tensor(values, spec, what)
        else:
            raise _no(values, "an array", what)
    return found


def _tensor(values: Any, spec: TensorSpec, what: str) -> Any:
    found = values.dtype
    shape, wanted = tuple(values.shape), tuple(spec.shape)
    if wanted == (-1,) and spec.type.kind == "O":
        return values
    # Rows of several lengths are an array of objects.
    if len(wanted) > 1 and -1 in wanted[1:] and len(shape) == 1 and found.kind == "O":
        return values
    if len(shape) != len(wanted) or any(
        w not in {-1, s} for s, w in zip(shape, wanted, strict=True)
    ):
        raise InvalidParameterError(
            f"The {what} has the shape {shape}, and the model takes {wanted}."
        )
    is_text = found.char in "US"  # of any length
    if found.kind != spec.type.kind or not (is_text or found == spec.type):
        raise InvalidParameterError(
            f"The {what} is {found}, and the model takes {spec.type}.",
            hint=f"Convert it: data.astype({spec.type.name!r}).",
        )
    return values


def _tensor_of_frame(frame: Any, spec: TensorSpec) -> Any:
    if frame.empty:
        raise InvalidParameterError("The data has no rows.")
    if len(frame.columns) == 1:
        return _tensor_of_column(frame.iloc[:, 0], spec, f"column {frame.columns[0]!r}")
    return _tensor(frame.to_numpy(), spec, "data")


def _tensor_of_column(values: Any, spec: TensorSpec, what: str) -> Any:
    """Return the cells of a column, numbers or lists of them, as one array."""
    import numpy as np

    if not len(values) or spec.shape[0] != -1 or -1 in spec.shape[1:]:
        raise InvalidParameterError(
            f"The {what} of a frame cannot become an array of the shape {spec.shape}."
        )
    first = values.iloc[0]
    try:
        if np.isscalar(first):
            if tuple(spec.shape) not in {(-1,), (-1, 1)}:
                raise _no(first, f"arrays of the shape {tuple(spec.shape)}", what)
            array = np.array(values, dtype=spec.type).reshape(spec.shape)
        elif isinstance(first, list | np.ndarray):
            array = np.vstack(values.tolist()).reshape(spec.shape)
            if isinstance(first, list):
                array = array.astype(spec.type)
        else:
            raise _no(first, "numbers or lists of them", what)
    except (ValueError, TypeError) as error:
        if isinstance(error, InvalidParameterError):
            raise
        raise InvalidParameterError(
            f"The {what} cannot become an array of the shape {tuple(spec.shape)}: {error}."
        ) from error
    if len(array) != len(values):
        raise InvalidParameterError(
            f"The {what} has cells of another size than {tuple(spec.shape)} needs."
        )
    return _tensor(array, spec, what)
